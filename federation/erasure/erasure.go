// Package erasure keeps what providers asked on behalf of people who want their data deleted, so that the person can see what became of it.
//
// It owns the stored form of these requests, sealed and bounded in time. What is deleted, and when, is federation's and an
// administrator's to know.
package erasure

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// Life is how long a request can be looked up.
const Life = 365 * 24 * time.Hour

// kindName never changes.
const kindName = "erasure"

// ErrUnknown: there is no such request, or not any more.
var ErrUnknown = errors.New("erasure: no such request")

// Request is one request. Whom it is about stands in it only as the user's sub, which says nothing by itself, and only until it is done.
type Request struct {
	Code             secret.Text // random; whoever has it may see the request
	PoolID, Provider string
	Sub              string    // "" where nobody is known, or nobody any more
	Asked            time.Time // here
	Done             time.Time // zero: not done yet, as far as is known here
}

// stored is the form in the store. It exists only between a record and the sealed body.
type stored struct {
	Key      string    `json:"key"`
	Code     string    `json:"code"`
	PoolID   string    `json:"pool"`
	Provider string    `json:"provider"`
	Sub      string    `json:"sub,omitempty"`
	Asked    time.Time `json:"asked"`
	Done     time.Time `json:"done,omitzero"`
}

type record struct {
	key string
	Request
}

// MarshalStored implements store.Stored. The result holds the code.
func (r *record) MarshalStored() ([]byte, error) {
	return json.Marshal(stored{Key: r.key, Code: r.Code.Reveal(), PoolID: r.PoolID, Provider: r.Provider, Sub: r.Sub, Asked: r.Asked, Done: r.Done})
}

// StoredForm implements store.Stored.
func (*record) StoredForm() any { return stored{} }

// UnmarshalStored implements store.Stored.
func (r *record) UnmarshalStored(data []byte) error {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*r = record{key: s.Key, Request: Request{Code: secret.New(s.Code), PoolID: s.PoolID, Provider: s.Provider, Sub: s.Sub, Asked: s.Asked, Done: s.Done}}
	return nil
}

// Requests keeps requests, on all nodes together. It is safe for concurrent use.
type Requests struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time
}

func (r *Requests) kind() *store.Kind[record] {
	return &store.Kind[record]{Engine: r.Engine, Ring: r.Ring, Name: kindName, KeysOf: func(v *record) store.Keys {
		return store.Keys{Key: v.key, Unique: []string{codeKey(v.Code)}, Index: []string{"pool:" + v.PoolID}, Expires: v.Asked.Add(Life)}
	}}
}

// codeKey is a hash, so that who lists keys does not have the codes.
func codeKey(code secret.Text) string { return "code:" + hash(code.Reveal()) }

func hash(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(sum, "%d\x00%s", len(p), p) // hash.Hash.Write never returns an error
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// Open returns the request that the provider made with its message of that id, and makes it where it is not there yet: one for each message,
// however often it comes, and by however many ways at once. sub is the user's, "" where nobody is known.
func (r *Requests) Open(ctx context.Context, poolID, provider, id, sub string) (Request, error) {
	v := record{key: hash(poolID, provider, id), Request: Request{PoolID: poolID, Provider: provider, Sub: sub, Asked: r.Now().UTC()}}
	e, err := r.kind().Get(ctx, v.key)
	if errors.Is(err, store.ErrNotFound) {
		v.Code = secret.New(rand.Text())
		if _, err = r.kind().Put(ctx, &v, 0); err == nil {
			return v.Request, nil
		}
		if errors.Is(err, store.ErrConflict) { // another copy came first
			e, err = r.kind().Get(ctx, v.key)
		}
	}
	if err != nil {
		return Request{}, fmt.Errorf("open a request for deletion: %w", err)
	}
	return e.Value.Request, nil
}

// Done notes that nothing is kept any more of whom the request is about, and forgets who that was.
func (r *Requests) Done(ctx context.Context, code secret.Text) error {
	e, err := r.kind().GetBy(ctx, codeKey(code))
	if err == nil {
		_, err = r.kind().Update(ctx, e.Value.key, func(v *record) error {
			if !v.Done.IsZero() {
				return store.ErrUnchanged
			}
			v.Done, v.Sub = r.Now().UTC(), ""
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("finish a request for deletion: %w", err)
	}
	return nil
}

// Find returns the request with that code. Errors: ErrUnknown.
func (r *Requests) Find(ctx context.Context, code secret.Text) (Request, error) {
	e, err := r.kind().GetBy(ctx, codeKey(code))
	if errors.Is(err, store.ErrNotFound) {
		return Request{}, ErrUnknown
	}
	if err != nil {
		return Request{}, fmt.Errorf("find a request for deletion: %w", err)
	}
	return e.Value.Request, nil
}

// DonePool finishes every request about people of a pool that is deleted: nothing is kept of them any more.
func (r *Requests) DonePool(ctx context.Context, poolID string) error {
	err := r.kind().All(ctx, "pool:"+poolID, func(e store.Entry[record]) error {
		if e.Value.PoolID != poolID || !e.Value.Done.IsZero() { // an index entry of an id that begins in the same way
			return nil
		}
		return r.Done(ctx, e.Value.Code)
	})
	if err != nil {
		return fmt.Errorf("finish the requests for deletion of a pool: %w", err)
	}
	return nil
}
