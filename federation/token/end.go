package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

// EndSession ends the session and revokes every grant that was made in it, for whichever client, and returns
// those that gave anything until now. An error may come with grants that were ended before it.
func (g *Grants) EndSession(ctx context.Context, sessionID string) (ended []Grant, err error) {
	const reason = "session ended"
	// The grant that began the session is found by its key; the index has the later ones.
	r, err := g.get(ctx, sessionID)
	if err == nil && r != nil && r.SessionID == r.ID && !r.over() {
		ended, err = g.endOne(ctx, r.ID, reason, nil)
	}
	if err == nil {
		ended, err = g.end(ctx, sessionIndex(sessionID), reason, ended)
	}
	if err != nil {
		return ended, fmt.Errorf("end session: %w", err)
	}
	return ended, nil
}

// EndUser ends all sessions of the user, revokes all grants and returns how many gave anything until now. A sign-in that
// is under way may finish behind its back: whoever signs a user out everywhere first sets User.SignedOutAt.
func (g *Grants) EndUser(ctx context.Context, poolID, sub string) (int, error) {
	ended, err := g.end(ctx, userIndex(poolID, sub), "all of the user's grants ended", nil)
	if err != nil {
		return len(ended), fmt.Errorf("end user's grants: %w", err)
	}
	return len(ended), nil
}

// CountUser returns how many grants of the user still give something: the session, or tokens.
func (g *Grants) CountUser(ctx context.Context, u pool.User) (int, error) {
	n := 0
	err := g.kind().All(ctx, userIndex(u.PoolID, u.Sub), func(e store.Entry[record]) error {
		if e.Value.Check(u) == nil {
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count user's grants: %w", err)
	}
	return n, nil
}

// EndUpstream ends what a provider says has ended: every session that its principal began, or only those that began with
// one of the provider's sessions (SAML SessionIndex), as EndSession does. A session index alone would not
// do: nothing says that two people never share one.
func (g *Grants) EndUpstream(ctx context.Context, poolID, provider, principal string, sessions []string) (ended []Grant, err error) {
	if principal == "" {
		return nil, nil
	}
	// Every grant of a session has the principal: the one that began it may have expired, and others live on.
	var named []string
	err = g.kind().All(ctx, upstreamIndex(poolID, provider, principal), func(e store.Entry[record]) error {
		if (len(sessions) == 0 || slices.Contains(sessions, e.Value.SessionIndex)) && !slices.Contains(named, e.Value.SessionID) {
			named = append(named, e.Value.SessionID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find upstream session: %w", err)
	}
	for _, id := range named {
		more, err := g.EndSession(ctx, id)
		ended = append(ended, more...)
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// EndIdentity revokes every grant of the user that began with that identity, ends their sessions and returns how many gave anything until now. It
// goes by the user and not by the principal as EndUpstream does: the grants that a session gave later, by single sign-on,
// may live on when the one that began it, which alone is found by its principal, has expired.
func (g *Grants) EndIdentity(ctx context.Context, poolID, sub, provider, subject string) (int, error) {
	var ended []Grant
	err := g.kind().All(ctx, userIndex(poolID, sub), func(e store.Entry[record]) (err error) {
		if r := e.Value; r.Provider == provider && r.Subject == subject {
			ended, err = g.endOne(ctx, r.ID, "the provider says that it is over", ended)
		}
		return err
	})
	if err != nil {
		return len(ended), fmt.Errorf("end an identity's grants: %w", err)
	}
	return len(ended), nil
}

// CountIdentity returns how many grants EndIdentity would end.
func (g *Grants) CountIdentity(ctx context.Context, poolID, sub, provider, subject string) (int, error) {
	n := 0
	err := g.kind().All(ctx, userIndex(poolID, sub), func(e store.Entry[record]) error {
		if e.Value.Provider == provider && e.Value.Subject == subject {
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count an identity's grants: %w", err)
	}
	return n, nil
}

// end ends every grant of that index entry and appends what it ended to ended.
func (g *Grants) end(ctx context.Context, index, reason string, ended []Grant) ([]Grant, error) {
	err := g.kind().All(ctx, index, func(e store.Entry[record]) (err error) {
		ended, err = g.endOne(ctx, e.Value.ID, reason, ended)
		return err
	})
	return ended, err
}

func (g *Grants) endOne(ctx context.Context, id, reason string, ended []Grant) ([]Grant, error) {
	e, err := g.kind().Update(ctx, id, func(r *record) error {
		r.revoke(g.Now().UTC(), reason)
		r.SessionExpires = time.Time{}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return ended, nil // expired meanwhile
	}
	if err != nil {
		return ended, err
	}
	return append(ended, e.Value.Grant), nil
}

// DeletePool removes every grant of a pool that is being deleted. Nothing of them is checked any more: the pool does not exist.
func (g *Grants) DeletePool(ctx context.Context, poolID string) error {
	err := g.kind().All(ctx, "user:"+poolID+"/", func(e store.Entry[record]) error { return g.kind().Delete(ctx, e.Value.ID) })
	if err != nil {
		return fmt.Errorf("delete a pool's grants: %w", err)
	}
	return nil
}
