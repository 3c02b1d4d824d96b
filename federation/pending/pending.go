// Package pending keeps sign-ins that wait for an answer of the person, for minutes.
//
// It owns their stored form: sealed, bounded in size and time, and taken by one caller only. What a sign-in is and who may answer
// is package federation's.
package pending

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	// kindName never changes.
	kindName = "pending_sign_in"
	// MaxSize bounds one, in bytes before it is sealed. A person in a thousand groups has some 60 KB of claims; tokens have 32 KB at most.
	MaxSize = 256 << 10
)

// The reasons for which nothing is kept or found.
var (
	ErrNone     = errors.New("pending: no such sign-in, or it was answered")
	ErrTooLarge = errors.New("pending: too large to be kept")
)

// SignIns keeps them, on all nodes together. It is safe for concurrent use.
type SignIns struct {
	Engine store.Engine
	Ring   *secret.Ring
}

// SignIn is one of them.
type SignIn struct {
	ID    string          `json:"id"` // random, 128 bits
	Until time.Time       `json:"until"`
	Data  json.RawMessage `json:"data"` // may hold secrets
}

func (s *SignIns) kind() *store.Kind[SignIn] {
	return &store.Kind[SignIn]{Engine: s.Engine, Name: kindName, Ring: s.Ring, KeysOf: func(v *SignIn) store.Keys {
		return store.Keys{Key: v.ID, Expires: v.Until}
	}}
}

// Keep keeps a new one. It costs one write. Errors: ErrTooLarge and the store's.
func (s *SignIns) Keep(ctx context.Context, v SignIn) error {
	if len(v.Data) > MaxSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(v.Data), MaxSize)
	}
	if _, err := s.kind().Put(ctx, &v, 0); err != nil {
		return fmt.Errorf("keep a pending sign-in: %w", err)
	}
	return nil
}

// Get returns one and leaves it. Errors: ErrNone and the store's.
func (s *SignIns) Get(ctx context.Context, id string) (SignIn, error) {
	e, err := s.kind().Get(ctx, id)
	return e.Value, fault("read", err)
}

// Take returns one to exactly one caller, and it is gone. Errors: ErrNone and the store's.
func (s *SignIns) Take(ctx context.Context, id string) (SignIn, error) {
	e, err := s.kind().Take(ctx, id)
	return e.Value, fault("take", err)
}

// Change lets change alter the data, again from the start where another writer came between. Errors: ErrNone, ErrTooLarge, change's and the store's.
func (s *SignIns) Change(ctx context.Context, id string, change func(SignIn) (json.RawMessage, error)) error {
	_, err := s.kind().Update(ctx, id, func(v *SignIn) error {
		data, err := change(*v)
		if err == nil && len(data) > MaxSize {
			err = ErrTooLarge
		}
		v.Data = data
		return err
	})
	return fault("change", err)
}

func fault(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return ErrNone
	}
	return fmt.Errorf("%s a pending sign-in: %w", operation, err)
}
