package token

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

// Rotate announces the pool's next keys, of the algorithm the pool now asks for, and returns when they begin to
// sign: after Overlap, during which every client's JWKS comes to hold them. The present keys sign until then, stay
// published for MaxTokenLife and 5 minutes more, and are then removed by Maintain. While keys are announced that
// do not sign yet, Rotate changes nothing and returns when those will.
//
// Safe on several nodes at once. With RS256 a call takes a good part of a second; no request waits for it.
func (k *Keys) Rotate(ctx context.Context, p pool.Pool) (signFrom time.Time, err error) {
	return k.advance(ctx, p, func(generation, time.Time) bool { return true })
}

// Maintain makes whatever step is due for the pool's keys and is to be called every few minutes, on one node or
// all: it creates missing keys, announces new ones so that none signs longer than p.SigningKeyDays (0: for
// ever) or with another algorithm than p.SigningAlgorithm for longer than the overlap, and removes what
// no token needs any more.
func (k *Keys) Maintain(ctx context.Context, p pool.Pool) error {
	_, err := k.advance(ctx, p, func(newest generation, now time.Time) bool {
		if newest.Algorithm != algorithmOf(p) {
			return true
		}
		life := time.Duration(p.SigningKeyDays) * 24 * time.Hour
		return p.SigningKeyDays > 0 && !now.Add(k.overlap()).Before(newest.SignFrom.Add(life))
	})
	return err
}

// advance announces a new generation if due says so of the newest and none is pending, and prunes. The
// slow part, generating, happens before the compare-and-swap and not again when that is lost.
func (k *Keys) advance(ctx context.Context, p pool.Pool, due func(newest generation, now time.Time) bool) (time.Time, error) {
	if err := k.Ensure(ctx, p); err != nil {
		return time.Time{}, err
	}
	e, err := k.kind().Get(ctx, p.ID)
	if err != nil {
		return time.Time{}, fmt.Errorf("read signing keys of pool %q: %w", p.ID, err)
	}
	wanted := func(s *keyset, now time.Time) bool { return !s.pending(now) && due(s.newest(), now) }
	var next generation
	announce := wanted(&e.Value, k.Now())
	if announce {
		if next, err = generate(algorithmOf(p)); err != nil {
			return time.Time{}, err
		}
	}
	var now time.Time
	e, err = k.kind().Update(ctx, p.ID, func(s *keyset) error {
		now = k.Now()
		changed := s.prune(now)
		// Another node may have announced its keys meanwhile: then these are thrown away.
		if announce && wanted(s, now) {
			next.Announced, next.SignFrom = now, now.Add(k.overlap())
			s.Generations = append(s.Generations, next)
			changed = true
		}
		if !changed {
			return store.ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("store signing keys of pool %q: %w", p.ID, err)
	}
	if _, err := k.keep(e.Value, now); err != nil {
		return time.Time{}, err
	}
	return e.Value.newest().SignFrom, nil
}
