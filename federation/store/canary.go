package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/secret"
)

// ErrWrongRing: the store was sealed under keys that the ring does not hold.
var ErrWrongRing = errors.New("the sealing keys do not belong to this store")

// Where the sealed document of CheckRing is.
const (
	canaryKind = "meta"
	canaryKey  = "sealing"
)

type canary struct {
	Purpose string `json:"purpose"`
}

// Sealed reports whether something was sealed in the store already, so that only one set of keys can open it.
func Sealed(ctx context.Context, e Engine) (bool, error) {
	_, err := e.Get(ctx, canaryKind, canaryKey)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// CheckRing finds out whether ring belongs to the store, before anything is read or written under it: the first call
// leaves a sealed document behind, later ones open it. Errors: ErrWrongRing, and the engine's.
func CheckRing(ctx context.Context, e Engine, ring *secret.Ring) error {
	k := Kind[canary]{Engine: e, Name: canaryKind, Ring: ring, KeysOf: func(*canary) Keys { return Keys{Key: canaryKey} }}
	_, err := k.Get(ctx, canaryKey)
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
		_, err = k.Get(ctx, canaryKey)
	}
	return err
}

// Identity names the store for as long as it lives: the SHA-256 of the sealed document that CheckRing left behind, which has a nonce of its
// own and is never written again. Copies have the same identity, backups included. Errors: ErrNotFound before the first CheckRing.
func Identity(ctx context.Context, e Engine) (string, error) {
	d, err := e.Get(ctx, canaryKind, canaryKey)
	if err != nil {
		return "", fmt.Errorf("identity of the store: %w", err)
	}
	sum := sha256.Sum256(d.Body)
	return hex.EncodeToString(sum[:]), nil
}
