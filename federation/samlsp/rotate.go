package samlsp

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Rotate announces the pool's next generation and returns when it comes into use: after Overlap. While one is
// announced that is not in use yet, Rotate changes nothing and returns when that one will be.
//
// Safe on several nodes at once. A call takes a second or so; no request waits for it.
func (k *Keys) Rotate(ctx context.Context, poolID string) (useFrom time.Time, err error) {
	return k.advance(ctx, poolID, func(generation, time.Time) bool { return true })
}

// Maintain makes whatever step is due for the pool's keys and is to be called every few hours, on one node or all: it
// creates missing keys, announces new ones in time before a certificate ends, and drops what is no longer needed.
func (k *Keys) Maintain(ctx context.Context, poolID string) error {
	_, err := k.advance(ctx, poolID, func(newest generation, now time.Time) bool {
		cert, err := x509.ParseCertificate(newest.Signing.Certificate)
		return err == nil && !now.Add(k.overlap()+renewBefore).Before(cert.NotAfter)
	})
	return err
}

// advance announces a new generation if due says so of the newest and none is pending, and prunes. The slow part,
// generating, happens before the compare-and-swap and not again when that is lost.
func (k *Keys) advance(ctx context.Context, poolID string, due func(newest generation, now time.Time) bool) (time.Time, error) {
	if _, err := k.ensured(ctx, poolID); err != nil {
		return time.Time{}, err
	}
	e, err := k.kind().Get(ctx, poolID)
	if err != nil {
		return time.Time{}, fmt.Errorf("read SAML keys of pool %q: %w", poolID, err)
	}
	wanted := func(s *keyset, now time.Time) bool { return !s.pending(now) && due(s.newest(), now) }
	var next generation
	announce := wanted(&e.Value, k.Now())
	if announce {
		if next, err = generate(poolID, k.Now()); err != nil {
			return time.Time{}, err
		}
	}
	var now time.Time
	e, err = k.kind().Update(ctx, poolID, func(s *keyset) error {
		now = k.Now()
		changed := s.prune(now, k.retain())
		// Another node may have announced its keys meanwhile: then these are thrown away.
		if announce && wanted(s, now) {
			next.UseFrom = now.Add(k.overlap())
			s.Generations = append(s.Generations, next)
			changed = true
		}
		if !changed {
			return store.ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("store SAML keys of pool %q: %w", poolID, err)
	}
	if _, err := k.keep(e.Value, e.Version, now); err != nil {
		return time.Time{}, err
	}
	return e.Value.newest().UseFrom, nil
}
