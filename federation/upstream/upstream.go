// Package upstream keeps what OAuth providers issued for people: access, refresh and ID tokens, sealed.
//
// It owns their stored form, and that a refresh token is used by one caller at a time, on all nodes together. It does not own
// whether tokens are kept and who may have them (federation), nor how a provider refreshes and revokes them (packages
// under providers).
//
// A refresh is: claim, ask, write. The claim is a compare-and-swap that puts a lease on the document, because many providers replace the
// refresh token at every use and take the second use of one as theft, which ends everything (RFC 9700 section 4.14.2). Callers of one
// process share one refresh; those of other nodes wait for the lease to go. The result is written by a second
// compare-and-swap: whoever signed in or out meanwhile is not overwritten.
package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	// kindName never changes.
	kindName = "upstream_tokens"
	// MaxTokens bounds the tokens of one sign-in, in bytes together.
	MaxTokens = 32 << 10
	// Good is how long a token that Fresh returns is good for at the least, as far as the provider said.
	Good = time.Minute
)

// The reasons for which there is nothing to have.
var (
	ErrNone      = errors.New("upstream: no tokens are kept")
	ErrTooLarge  = errors.New("upstream: tokens are too large to be kept")
	ErrRefused   = errors.New("upstream: the provider refused the refresh token")
	ErrNoRefresh = errors.New("upstream: the access token ends and there is no way to refresh it")
	ErrBusy      = errors.New("upstream: another node is refreshing the tokens")
)

// Tokens are what an OAuth provider issued.
type Tokens struct {
	Access  secret.Text
	Refresh secret.Text
	ID      secret.Text
	Scope   string // granted, separated by spaces; "" where the provider did not say
	Expires time.Time
}

// Kept are the tokens of one linked identity of a user.
type Kept struct {
	PoolID, Sub       string
	Provider, Subject string // as in the user's identities
	Tokens            Tokens
	Obtained          time.Time // when the access token came

	// Lease is the one caller that may use the refresh token until LeaseUntil; "" is nobody.
	Lease      string
	LeaseUntil time.Time
}

// stored is the form in the store. It exists only between a Kept and the sealed body.
type stored struct {
	PoolID     string    `json:"pool"`
	Sub        string    `json:"sub"`
	Provider   string    `json:"provider"`
	Subject    string    `json:"subject"`
	Access     string    `json:"access,omitempty"`
	Refresh    string    `json:"refresh,omitempty"`
	ID         string    `json:"id,omitempty"`
	Scope      string    `json:"scope,omitempty"`
	Expires    time.Time `json:"expires,omitzero"`
	Obtained   time.Time `json:"obtained"`
	Lease      string    `json:"lease,omitempty"`
	LeaseUntil time.Time `json:"lease_until,omitzero"`
}

var _ store.Stored = (*Kept)(nil)

// MarshalStored implements store.Stored. The result holds the tokens.
func (k *Kept) MarshalStored() ([]byte, error) {
	return json.Marshal(stored{
		PoolID: k.PoolID, Sub: k.Sub, Provider: k.Provider, Subject: k.Subject,
		Access: k.Tokens.Access.Reveal(), Refresh: k.Tokens.Refresh.Reveal(), ID: k.Tokens.ID.Reveal(),
		Scope: k.Tokens.Scope, Expires: k.Tokens.Expires, Obtained: k.Obtained, Lease: k.Lease, LeaseUntil: k.LeaseUntil,
	})
}

// StoredForm implements store.Stored.
func (*Kept) StoredForm() any { return stored{} }

// UnmarshalStored implements store.Stored.
func (k *Kept) UnmarshalStored(data []byte) error {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*k = Kept{
		PoolID: s.PoolID, Sub: s.Sub, Provider: s.Provider, Subject: s.Subject,
		Tokens: Tokens{
			Access: secret.New(s.Access), Refresh: secret.New(s.Refresh), ID: secret.New(s.ID), Scope: s.Scope, Expires: s.Expires,
		},
		Obtained: s.Obtained, Lease: s.Lease, LeaseUntil: s.LeaseUntil,
	}
	return nil
}

// key hashes provider and subject, which are of any length and any bytes. The provider's length stands in front, so that no two pairs
// give the same key.
func (k *Kept) key() string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(k.Provider)) + ":" + k.Provider + k.Subject))
	return k.PoolID + "/" + k.Sub + "/" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

func userIndex(poolID, sub string) string { return "user:" + poolID + "/" + sub + "/" }

// keys lets tokens without a way to refresh them end by themselves. A document that is emptied is over at once: writing one is the
// compare-and-swap by which something is removed only if nobody changed it.
func (k *Kept) keys() store.Keys {
	out := store.Keys{Key: k.key(), Index: []string{userIndex(k.PoolID, k.Sub)}}
	switch {
	case !k.Tokens.Refresh.IsZero():
	case k.Tokens.Access.IsZero():
		out.Expires = k.Obtained
	default:
		out.Expires = k.Tokens.Expires
	}
	return out
}

// good reports whether the access token can be given out.
func (k *Kept) good(now time.Time) bool {
	return k.Tokens.Expires.IsZero() || k.Tokens.Expires.Sub(now) >= Good
}

// Keeper keeps tokens in a store. The zero value needs Engine, Ring and Now. It is safe for concurrent use and must not be copied.
type Keeper struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time

	flights singleflight.Group
}

func (k *Keeper) kind() *store.Kind[Kept] {
	return &store.Kind[Kept]{Engine: k.Engine, Ring: k.Ring, Name: kindName, KeysOf: (*Kept).keys}
}

// maxRounds bounds how often a write is tried again: each lost round means that another writer won one.
const maxRounds = 64

// Keep keeps the tokens of a sign-in in place of those before: one read and one write, or none where nothing changed. A refresh token or
// an ID token that this sign-in did not bring stays what it was: Google sends a refresh token only when the person is asked for consent.
// Errors: ErrTooLarge, which leaves what is kept, and the store's.
func (k *Keeper) Keep(ctx context.Context, in Kept) error {
	if n := len(in.Tokens.Access.Reveal()) + len(in.Tokens.Refresh.Reveal()) + len(in.Tokens.ID.Reveal()) + len(in.Tokens.Scope); n > MaxTokens {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, MaxTokens)
	}
	in.Obtained, in.Lease, in.LeaseUntil = k.Now().UTC(), "", time.Time{}
	for range maxRounds {
		next := in
		e, err := k.kind().Get(ctx, in.key())
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return fmt.Errorf("keep upstream tokens: %w", err)
		default:
			if next.inherit(e.Value); next.Tokens.same(e.Value.Tokens) {
				return nil
			}
		}
		_, err = k.kind().Put(ctx, &next, e.Version)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keep upstream tokens: %w", err)
		}
		return nil
	}
	return fmt.Errorf("keep upstream tokens: %d rounds lost to other writers: %w", maxRounds, store.ErrConflict)
}

// inherit fills in what a sign-in did not bring. With the old refresh token comes its lease: it may be in use right now.
func (k *Kept) inherit(before Kept) {
	if k.Tokens.Refresh.IsZero() {
		k.Tokens.Refresh, k.Lease, k.LeaseUntil = before.Tokens.Refresh, before.Lease, before.LeaseUntil
	}
	if k.Tokens.ID.IsZero() {
		k.Tokens.ID = before.Tokens.ID
	}
}

func (t Tokens) same(o Tokens) bool {
	return t.Access.Reveal() == o.Access.Reveal() && t.Refresh.Reveal() == o.Refresh.Reveal() && t.ID.Reveal() == o.ID.Reveal() &&
		t.Scope == o.Scope && t.Expires.Equal(o.Expires)
}

// Of returns everything that is kept for a user.
func (k *Keeper) Of(ctx context.Context, poolID, sub string) ([]Kept, error) {
	var out []Kept
	err := k.kind().All(ctx, userIndex(poolID, sub), func(e store.Entry[Kept]) error {
		out = append(out, e.Value)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list upstream tokens: %w", err)
	}
	return out, nil
}

// Take removes the tokens of an identity and returns them to exactly one caller, who revokes them. Errors: ErrNone.
func (k *Keeper) Take(ctx context.Context, of Kept) (Kept, error) {
	e, err := k.kind().Take(ctx, of.key())
	if errors.Is(err, store.ErrNotFound) {
		return Kept{}, ErrNone
	}
	if err != nil {
		return Kept{}, fmt.Errorf("take upstream tokens: %w", err)
	}
	return e.Value, nil
}

// DeletePool removes what is kept for all users of a pool that is being deleted, without telling the providers.
func (k *Keeper) DeletePool(ctx context.Context, poolID string) error {
	err := k.kind().All(ctx, "user:"+poolID+"/", func(e store.Entry[Kept]) error { return k.kind().Delete(ctx, e.Value.key()) })
	if err != nil {
		return fmt.Errorf("delete a pool's upstream tokens: %w", err)
	}
	return nil
}
