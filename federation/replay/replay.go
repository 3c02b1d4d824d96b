// Package replay remembers which messages of identity providers were used, so that each is used once, on all nodes together.
//
// It owns the stored form of that memory. What a message is, and how long it would be acceptable by itself, is the caller's to know.
package replay

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// kindName is that of the first messages there were; it never changes.
const kindName = "samlreplay"

// ErrReplayed: a message came a second time.
var ErrReplayed = errors.New("replay: the message was used before")

// Messages remembers the messages that were used, in the store, so that it holds on every node (SAML profiles section 4.1.4.5).
type Messages struct {
	Engine store.Engine
}

type used struct {
	Key   string    `json:"-"`
	Until time.Time `json:"until"`
}

func (r *Messages) kind() *store.Kind[used] {
	return &store.Kind[used]{Engine: r.Engine, Name: kindName, KeysOf: func(v *used) store.Keys {
		return store.Keys{Key: v.Key, Expires: v.Until}
	}}
}

// Once returns nil for exactly one caller with that issuer and message id, and ErrReplayed for every other one until the given time, when
// the message is no longer acceptable by itself. It costs one write. Issuer and id are of any length and bytes: what is kept is their hash.
func (r *Messages) Once(ctx context.Context, issuer, id string, until time.Time) error {
	_, err := r.kind().Put(ctx, &used{Key: keyOf(issuer, id), Until: until}, 0)
	switch {
	case errors.Is(err, store.ErrConflict):
		return ErrReplayed
	case err != nil:
		return fmt.Errorf("remember a message: %w", err)
	}
	return nil
}

// Known reports whether Once was called for that issuer and message id, at the cost of one read. It reserves nothing: of two callers at the same
// time both may hear no. It is for messages whose effects may come twice, and may not be lost between Once and the effect.
func (r *Messages) Known(ctx context.Context, issuer, id string) (bool, error) {
	_, err := r.kind().Get(ctx, keyOf(issuer, id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up a message: %w", err)
	}
	return true, nil
}

func keyOf(issuer, id string) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%d\x00%s\x00%s", len(issuer), issuer, id) // hash.Hash.Write never returns an error
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}
