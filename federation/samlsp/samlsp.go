// Package samlsp keeps what the SAML service provider of a pool has to remember: its key pairs and the last good
// metadata of its identity providers.
//
// It owns how key pairs are made, sealed, rotated and dropped (Keys), and the stored form of a metadata
// copy (Copies). It knows no XML: package saml/metadata publishes the certificates and reads the copies,
// package saml signs and decrypts. It lives in federation because only the domain speaks to the store.
package samlsp

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// Defaults of Keys.
const (
	defaultCacheAge = 5 * time.Second
	defaultOverlap  = 30 * 24 * time.Hour
	defaultRetain   = 30 * 24 * time.Hour
)

// renewBefore is how long before the end of its certificate a generation is replaced without being asked.
const renewBefore = 90 * 24 * time.Hour

// loadTimeout bounds a read or a first write that several callers share and that outlives the one who began it.
const loadTimeout = 30 * time.Second

// Pair is a private key with its certificate. It prints nothing of the key.
type Pair struct {
	key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// Key returns the private key. Each call is a place to review.
func (p Pair) Key() *rsa.PrivateKey { return p.key }

// Published is what metadata has to show at a time.
type Published struct {
	// Signing certificates: those in use and those announced, the one in use first.
	Signing []*x509.Certificate
	// Encryption is the one certificate to encrypt for: identity providers take one only, and every key of
	// Decryption opens what they made of the one before.
	Encryption *x509.Certificate
	// Changes is when the set is going to change; zero if no rotation is under way.
	Changes time.Time
}

// Keys holds the SAML key pairs of all pools: one sealed document per pool, read through a cache of bounded age. It is
// safe for concurrent use and must not be copied.
//
// A generation has two RSA-2048 pairs, one to sign and one to decrypt. A rotation takes three steps, which follow from the clock alone, so that
// all nodes take them together: Rotate announces the next generation, whose signing certificate is published at once;
// after Overlap it signs, and its encryption certificate takes the place of the old one; after Retain more the old one is dropped.
// Identity providers that do not fetch metadata need an administrator within Overlap.
type Keys struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time

	// CacheAge is how long a node may go on with what it read; 5 seconds if zero.
	CacheAge time.Duration
	// Overlap is how long a new signing certificate is published before it signs; 30 days if zero. AD FS looks once a day.
	Overlap time.Duration
	// Retain is how long the old generation is published and decrypts after that; 30 days if zero.
	Retain time.Duration

	mu     sync.Mutex
	cache  map[string]*ring
	flight singleflight.Group
}

// ring is a pool's keys as read at one time. It is immutable.
type ring struct {
	loaded      time.Time
	version     uint64           // of the document
	generations []ringGeneration // in the order of useFrom, at least one
}

type ringGeneration struct {
	useFrom          time.Time
	signing, opening Pair
}

// current returns the index of the generation in use. A clock behind the one that made the first finds that.
func (r *ring) current(now time.Time) int {
	at := 0
	for i, g := range r.generations {
		if !g.useFrom.After(now) {
			at = i
		}
	}
	return at
}

// live returns the generations that are not dropped yet.
func (r *ring) live(now time.Time, retain time.Duration) []ringGeneration {
	for i := range r.generations {
		if i == len(r.generations)-1 || now.Before(r.generations[i+1].useFrom.Add(retain)) {
			return r.generations[i:]
		}
	}
	return nil
}

// Signing returns the pair that signs now; it is made if there is none. poolID names a pool that exists: whoever
// may name any pool could fill the store. The first call of a pool takes a second or so.
func (k *Keys) Signing(ctx context.Context, poolID string) (Pair, error) {
	r, err := k.ensured(ctx, poolID)
	if err != nil {
		return Pair{}, err
	}
	return r.generations[r.current(k.Now())].signing, nil
}

// Decryption returns every pair that may open a message now, the one in use first. poolID is as with Signing.
func (k *Keys) Decryption(ctx context.Context, poolID string) ([]Pair, error) {
	r, err := k.ensured(ctx, poolID)
	if err != nil {
		return nil, err
	}
	now := k.Now()
	at := r.current(now)
	out := []Pair{r.generations[at].opening}
	for _, g := range r.live(now, k.retain()) {
		if g.opening.Certificate != out[0].Certificate {
			out = append(out, g.opening)
		}
	}
	return out, nil
}

// Published returns what metadata has to show now. poolID is as with Signing.
func (k *Keys) Published(ctx context.Context, poolID string) (Published, error) {
	r, err := k.ensured(ctx, poolID)
	if err != nil {
		return Published{}, err
	}
	now := k.Now()
	at := r.generations[r.current(now)]
	p := Published{Signing: []*x509.Certificate{at.signing.Certificate}, Encryption: at.opening.Certificate}
	live := r.live(now, k.retain())
	for _, g := range live {
		if g.signing.Certificate != at.signing.Certificate {
			p.Signing = append(p.Signing, g.signing.Certificate)
		}
	}
	switch newest := live[len(live)-1]; {
	case newest.useFrom.After(now):
		p.Changes = newest.useFrom
	case len(live) > 1:
		p.Changes = newest.useFrom.Add(k.retain())
	}
	return p, nil
}

// ensured returns the keys of a pool that exists; they are made if there are none.
func (k *Keys) ensured(ctx context.Context, poolID string) (*ring, error) {
	k.mu.Lock()
	r := k.cache[poolID]
	k.mu.Unlock()
	if r != nil {
		// An age below zero is a clock that was set back.
		if age := k.Now().Sub(r.loaded); age >= 0 && age < orDefault(k.CacheAge, defaultCacheAge) {
			return r, nil
		}
	}
	done := k.flight.DoChan(poolID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		r, err := k.load(ctx, poolID)
		if errors.Is(err, store.ErrNotFound) {
			r, err = k.create(ctx, poolID)
		}
		return r, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for SAML keys: %w", ctx.Err())
	case res := <-done:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*ring), nil
	}
}

func (k *Keys) load(ctx context.Context, poolID string) (*ring, error) {
	loaded := k.Now()
	e, err := k.kind().Get(ctx, poolID)
	if err != nil {
		return nil, fmt.Errorf("read SAML keys of pool %q: %w", poolID, err)
	}
	return k.keep(e.Value, e.Version, loaded)
}

// create makes keys outside any lock; of several nodes the first to write wins, and the others take its keys.
func (k *Keys) create(ctx context.Context, poolID string) (*ring, error) {
	now := k.Now()
	g, err := generate(poolID, now)
	if err != nil {
		return nil, err
	}
	g.UseFrom = now
	s := keyset{PoolID: poolID, Generations: []generation{g}}
	version, err := k.kind().Put(ctx, &s, 0)
	if errors.Is(err, store.ErrConflict) {
		return k.load(ctx, poolID)
	}
	if err != nil {
		return nil, fmt.Errorf("store SAML keys of pool %q: %w", poolID, err)
	}
	return k.keep(s, version, now)
}

// keep parses a key set and puts it into the cache. What the cache holds already is not parsed again, which is dear.
func (k *Keys) keep(s keyset, version uint64, loaded time.Time) (*ring, error) {
	r := &ring{loaded: loaded, version: version}
	k.mu.Lock()
	if old := k.cache[s.PoolID]; old != nil && old.version == version {
		r.generations, s.Generations = old.generations, nil
	}
	k.mu.Unlock()
	for _, g := range s.Generations {
		rg := ringGeneration{useFrom: g.UseFrom}
		var err error
		if rg.signing, err = g.Signing.parse(); err != nil {
			return nil, fmt.Errorf("pool %q: %w", s.PoolID, err)
		}
		if rg.opening, err = g.Opening.parse(); err != nil {
			return nil, fmt.Errorf("pool %q: %w", s.PoolID, err)
		}
		r.generations = append(r.generations, rg)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cache == nil {
		k.cache = make(map[string]*ring)
	}
	if have := k.cache[s.PoolID]; have == nil || !have.loaded.After(loaded) {
		k.cache[s.PoolID] = r
	}
	return r, nil
}

func (k *Keys) overlap() time.Duration { return orDefault(k.Overlap, defaultOverlap) }
func (k *Keys) retain() time.Duration  { return orDefault(k.Retain, defaultRetain) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// DeletePool removes the keys of a pool that is being deleted.
func (k *Keys) DeletePool(ctx context.Context, poolID string) error {
	err := k.kind().Delete(ctx, poolID)
	k.mu.Lock()
	delete(k.cache, poolID)
	k.mu.Unlock()
	if err != nil {
		return fmt.Errorf("delete the SAML keys of pool %q: %w", poolID, err)
	}
	return nil
}
