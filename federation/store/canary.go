package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/secret"
)

// ErrWrongRing: the store was sealed under keys that the ring does not hold.
var ErrWrongRing = errors.New("the sealing keys do not belong to this store")

type canary struct {
	Purpose string `json:"purpose"`
}

// Sealed reports whether something was sealed in the store already, so that only one set of keys can open it.
func Sealed(ctx context.Context, e Engine) (bool, error) {
	_, err := e.Get(ctx, "meta", "sealing")
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// CheckRing finds out whether ring belongs to the store, before anything is read or written under it: the first call
// leaves a sealed document behind, later ones open it. Errors: ErrWrongRing, and the engine's.
func CheckRing(ctx context.Context, e Engine, ring *secret.Ring) error {
	k := Kind[canary]{Engine: e, Name: "meta", Ring: ring, KeysOf: func(*canary) Keys { return Keys{Key: "sealing"} }}
	_, err := k.Get(ctx, "sealing")
	switch {
	case err == nil:
		return nil
	case errors.Is(err, secret.ErrUnknownKey), errors.Is(err, secret.ErrTampered):
		return fmt.Errorf("%w: %w", ErrWrongRing, err)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	_, err = k.Put(ctx, &canary{Purpose: "tells whether the sealing keys belong to this store"}, 0)
	if errors.Is(err, ErrConflict) { // another node was first
		_, err = k.Get(ctx, "sealing")
	}
	return err
}
