// Package once keeps what a provider says of a person only once, where the sign-in in which it said so failed.
//
// It owns the stored form of that memory, sealed and bounded in time. Whether a person was proven before something is kept of them
// is the caller's to know, and so is what the claims mean.
package once

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

// Life is how long something is kept: long enough for an administrator to repair what made the sign-in fail.
const Life = 30 * 24 * time.Hour

// maxClaims bounds what is kept of one person, in bytes of JSON.
const maxClaims = 4 << 10

// kindName never changes.
const kindName = "said_once"

// ErrTooLarge: the claims are larger than what may be kept.
var ErrTooLarge = errors.New("once: claims are too large to be kept")

// Memory keeps claims by person, on all nodes together. It is safe for concurrent use.
type Memory struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time
}

// Person is whom a provider spoke of.
type Person struct{ PoolID, Provider, Subject string }

// key is a hash, because a subject is of any length and bytes, and nobody's business who lists keys.
func (p Person) key() string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%d\x00%s\x00%d\x00%s\x00%s", len(p.PoolID), p.PoolID, len(p.Provider), p.Provider, p.Subject) // never returns an error
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

type said struct {
	Key    string         `json:"key"`
	PoolID string         `json:"pool"`
	Until  time.Time      `json:"until"`
	Claims mapping.Claims `json:"claims"`
}

func (m *Memory) kind() *store.Kind[said] {
	return &store.Kind[said]{Engine: m.Engine, Name: kindName, Ring: m.Ring, KeysOf: func(s *said) store.Keys {
		return store.Keys{Key: s.Key, Index: []string{"pool:" + s.PoolID}, Expires: s.Until}
	}}
}

// Recall returns what is kept of a person, nil where nothing is. It costs one read.
func (m *Memory) Recall(ctx context.Context, p Person) (mapping.Claims, error) {
	e, err := m.kind().Get(ctx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recall what a provider said once: %w", err)
	}
	return e.Value.Claims, nil
}

// Keep keeps the claims of a person for Life, in place of those that were kept before. It costs one read and one write. Of two calls
// at the same time either may win: both have what the provider said. Errors: ErrTooLarge and the store's.
func (m *Memory) Keep(ctx context.Context, p Person, claims mapping.Claims) error {
	if body, err := json.Marshal(claims); err != nil || len(body) > maxClaims {
		return errors.Join(ErrTooLarge, err)
	}
	v := said{Key: p.key(), PoolID: p.PoolID, Until: m.Now().Add(Life), Claims: claims}
	version := uint64(0)
	e, err := m.kind().Get(ctx, v.Key)
	switch {
	case err == nil:
		version = e.Version
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("keep what a provider said once: %w", err)
	}
	if _, err := m.kind().Put(ctx, &v, version); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("keep what a provider said once: %w", err)
	}
	return nil
}

// Forget removes what is kept of a person, if anything is. It costs one write.
func (m *Memory) Forget(ctx context.Context, p Person) error {
	if err := m.kind().Delete(ctx, p.key()); err != nil {
		return fmt.Errorf("forget what a provider said once: %w", err)
	}
	return nil
}

// DeletePool removes what is kept of all people of a pool that is being deleted.
func (m *Memory) DeletePool(ctx context.Context, poolID string) error {
	err := m.kind().All(ctx, "pool:"+poolID, func(e store.Entry[said]) error {
		if e.Value.PoolID != poolID { // an id that begins in the same way
			return nil
		}
		return m.kind().Delete(ctx, e.Value.Key)
	})
	if err != nil {
		return fmt.Errorf("forget what providers said once to a pool: %w", err)
	}
	return nil
}
