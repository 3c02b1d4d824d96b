package samlsp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/store"
)

const replayKind = "samlreplay"

// ErrReplayed: a message came a second time.
var ErrReplayed = errors.New("samlsp: the message was used before")

// Replays remembers the messages that were used, in the store, so that it holds on every node (SAML profiles section 4.1.4.5).
type Replays struct {
	Engine store.Engine
}

type replay struct {
	Key   string    `json:"-"`
	Until time.Time `json:"until"`
}

func (r *Replays) kind() *store.Kind[replay] {
	return &store.Kind[replay]{Engine: r.Engine, Name: replayKind, KeysOf: func(v *replay) store.Keys {
		return store.Keys{Key: v.Key, Expires: v.Until}
	}}
}

// Once returns nil for exactly one caller with that issuer and message id, and ErrReplayed for every other one until the given time, when
// the message is no longer acceptable by itself. It costs one write. Issuer and id are of any length and bytes: what is kept is their hash.
func (r *Replays) Once(ctx context.Context, issuer, id string, until time.Time) error {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%d\x00%s\x00%s", len(issuer), issuer, id) // hash.Hash.Write never returns an error
	_, err := r.kind().Put(ctx, &replay{Key: base64.RawURLEncoding.EncodeToString(sum.Sum(nil)), Until: until}, 0)
	switch {
	case errors.Is(err, store.ErrConflict):
		return ErrReplayed
	case err != nil:
		return fmt.Errorf("remember a SAML message: %w", err)
	}
	return nil
}
