package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// EndSession ends the session and revokes every grant that was made in it, for whichever client, and returns
// those that gave anything until now. An error may come with grants that were ended before it.
func (g *Grants) EndSession(ctx context.Context, sessionID string) (ended []Grant, err error) {
	if ended, err = g.end(ctx, sessionIndex(sessionID), "session ended"); err != nil {
		return ended, fmt.Errorf("end session: %w", err)
	}
	return ended, nil
}

// EndUser ends all sessions of the user, revokes all grants and returns how many gave anything until now. A sign-in that
// is under way may finish behind its back: whoever signs a user out everywhere first sets User.SignedOutAt.
func (g *Grants) EndUser(ctx context.Context, poolID, sub string) (int, error) {
	ended, err := g.end(ctx, userIndex(poolID, sub), "all of the user's grants ended")
	if err != nil {
		return len(ended), fmt.Errorf("end user's grants: %w", err)
	}
	return len(ended), nil
}

// EndClient revokes all grants to the client and returns how many gave anything until now. Sessions that began at
// the client end too.
func (g *Grants) EndClient(ctx context.Context, poolID, clientID string) (int, error) {
	ended, err := g.end(ctx, clientIndex(poolID, clientID), "all of the client's grants ended")
	if err != nil {
		return len(ended), fmt.Errorf("end client's grants: %w", err)
	}
	return len(ended), nil
}

// EndUpstream ends every session that began with that session of the provider (its SAML SessionIndex or OpenID sid), as
// EndSession does: for a logout that the provider asks for.
func (g *Grants) EndUpstream(ctx context.Context, poolID, provider, index string) (ended []Grant, err error) {
	if index == "" {
		return nil, nil
	}
	sessions := make(map[string]bool)
	err = g.kind().All(ctx, upstreamIndex(poolID, provider, index), func(e store.Entry[record]) error {
		sessions[e.Value.SessionID] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find upstream session: %w", err)
	}
	for id := range sessions {
		more, err := g.EndSession(ctx, id)
		ended = append(ended, more...)
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

func (g *Grants) end(ctx context.Context, index, reason string) (ended []Grant, err error) {
	kind := g.kind()
	err = kind.All(ctx, index, func(e store.Entry[record]) error {
		e, err := kind.Update(ctx, e.Value.ID, func(r *record) error {
			r.revoke(g.Now().UTC(), reason)
			r.SessionExpires = time.Time{}
			return nil
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil // expired meanwhile
		}
		if err == nil {
			ended = append(ended, e.Value.Grant)
		}
		return err
	})
	return ended, err
}
