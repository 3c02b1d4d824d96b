package upstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	// leaseLife is how long a claim stands: longer than Refresh may take, so that it goes by itself only where a node died with it.
	leaseLife = time.Minute
	// refreshTime bounds one refresh, its writes included, by the wall clock.
	refreshTime = 20 * time.Second
	// pollFirst and pollMost are the waits for another node's refresh.
	pollFirst = 20 * time.Millisecond
	pollMost  = 500 * time.Millisecond
)

// Source is the provider that the tokens are from.
type Source struct {
	// Refresh uses the refresh token. An error with ErrRefused in its chain means that the person has to sign in again, one with
	// ErrNoRefresh that there is nothing to refresh with; after any other error it may be tried again.
	Refresh func(ctx context.Context, t Tokens) (Tokens, error)
	// Drop is given tokens that nobody may have any more: the user was signed out while they were on their way.
	Drop func(ctx context.Context, k Kept)
}

// outcome is what the callers of one refresh share.
type outcome struct {
	kept      Kept
	refreshed bool
}

// Fresh returns the tokens of an identity with an access token that is good for at least Good, and whether this call refreshed them. A
// refresh is not given up with the request that asked for it: the provider may have replaced the refresh token already, and what it answers
// has to be written down.
//
// Errors: ErrNone; ErrRefused, after which nothing is kept; ErrNoRefresh; ErrBusy where another node does not come to an end; those of
// Source.Refresh and of the store.
func (k *Keeper) Fresh(ctx context.Context, of Kept, src Source) (Kept, bool, error) {
	e, err := k.get(ctx, of)
	if err != nil || e.Value.good(k.Now()) {
		return e.Value, false, err
	}
	flight := k.flights.DoChan(of.key(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
		defer cancel()
		return k.fresh(ctx, of, src)
	})
	select {
	case <-ctx.Done():
		return Kept{}, false, ctx.Err()
	case r := <-flight:
		out, _ := r.Val.(outcome)
		return out.kept, out.refreshed, r.Err
	}
}

func (k *Keeper) get(ctx context.Context, of Kept) (store.Entry[Kept], error) {
	e, err := k.kind().Get(ctx, of.key())
	if errors.Is(err, store.ErrNotFound) {
		return e, ErrNone
	}
	if err != nil {
		return e, fmt.Errorf("read upstream tokens: %w", err)
	}
	return e, nil
}

// fresh claims the refresh token, or waits for whoever has claimed it.
func (k *Keeper) fresh(ctx context.Context, of Kept, src Source) (outcome, error) {
	for wait := pollFirst; ; wait = min(2*wait, pollMost) {
		e, err := k.get(ctx, of)
		if err != nil || e.Value.good(k.Now()) {
			return outcome{kept: e.Value}, err
		}
		now := k.Now().UTC()
		if e.Value.Lease == "" || !now.Before(e.Value.LeaseUntil) {
			mine := e.Value
			mine.Lease, mine.LeaseUntil = rand.Text(), now.Add(leaseLife)
			_, err := k.kind().Replace(ctx, e, &mine)
			if err == nil {
				return k.refresh(ctx, mine, src)
			}
			if !errors.Is(err, store.ErrConflict) {
				return outcome{}, fmt.Errorf("claim upstream tokens: %w", err)
			}
			continue
		}
		if err := store.Pause(ctx, wait); err != nil {
			return outcome{}, fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
}

// refresh uses a refresh token that is claimed, and settles what came of it.
func (k *Keeper) refresh(ctx context.Context, mine Kept, src Source) (outcome, error) {
	got, err := src.Refresh(ctx, mine.Tokens)
	if size := len(got.Access.Reveal()) + len(got.Refresh.Reveal()) + len(got.ID.Reveal()) + len(got.Scope); err == nil && size > MaxTokens {
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxTokens)
	}
	// Whatever the provider took so long for, what it said is written down.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
	defer cancel()
	fresh := mine
	fresh.Tokens, fresh.Obtained = got, k.Now().UTC()
	for range maxRounds {
		e, gone := k.get(ctx, mine)
		if errors.Is(gone, ErrNone) && err == nil {
			src.Drop(ctx, fresh) // signed out meanwhile
		}
		if gone != nil {
			return outcome{}, errors.Join(gone, err)
		}
		next, out, verdict := settle(e.Value, mine, fresh, err, k.Now().UTC())
		if next == nil {
			return out, verdict
		}
		_, lost := k.kind().Replace(ctx, e, next)
		switch {
		case errors.Is(lost, store.ErrConflict):
			continue
		case lost != nil:
			return outcome{}, errors.Join(fmt.Errorf("write refreshed upstream tokens: %w", lost), verdict)
		}
		return out, verdict
	}
	return outcome{}, fmt.Errorf("write refreshed upstream tokens: %d rounds lost to other writers: %w", maxRounds, store.ErrConflict)
}

// settle decides what becomes of the document cur after a refresh of mine, which ended with fresh or with err; nil writes nothing.
//
// A sign-in may have come between. If it brought a refresh token, that one counts, and what was refreshed is of no use. If it did not, it
// inherited the token that was just used, and has to get the successor.
func settle(cur, mine, fresh Kept, err error, now time.Time) (*Kept, outcome, error) {
	newer := cur.Tokens.Access.Reveal() != mine.Tokens.Access.Reveal() && cur.good(now)
	ours := cur.Tokens.Refresh.Reveal() == mine.Tokens.Refresh.Reveal()
	next := cur
	next.Lease, next.LeaseUntil = "", time.Time{}
	switch {
	case !ours && newer:
		return nil, outcome{kept: cur}, nil
	case !ours:
		return nil, outcome{}, errors.Join(ErrBusy, err) // whatever came between has ended already
	case err == nil:
		next.Tokens.Refresh = fresh.Tokens.Refresh
		if !newer || later(fresh.Tokens.Expires, cur.Tokens.Expires) {
			next.Tokens, next.Obtained = fresh.Tokens, fresh.Obtained
			next.Tokens.ID = cur.Tokens.ID
		}
		return &next, outcome{kept: next, refreshed: true}, nil
	case cur.Lease != mine.Lease:
		return nil, outcome{}, err // another one is at it
	case errors.Is(err, ErrRefused) && newer:
		next.Tokens.Refresh = secret.Text{}
		return &next, outcome{kept: next}, nil
	case errors.Is(err, ErrRefused):
		next.Tokens, next.Obtained = Tokens{}, now.Add(-time.Second)
		return &next, outcome{}, err
	case newer:
		return &next, outcome{kept: next}, nil
	}
	return &next, outcome{}, err
}

// later reports whether an end, zero being never, is not before another.
func later(a, b time.Time) bool { return a.IsZero() || !b.IsZero() && !a.Before(b) }
