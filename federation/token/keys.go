package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// Defaults of Keys.
const (
	defaultCacheAge = 5 * time.Second
	defaultMaxAge   = time.Hour
	defaultOverlap  = 24 * time.Hour
)

// loadTimeout bounds a read or a first write of a pool's keys that several callers share
// and that therefore outlives the caller who began it.
const loadTimeout = 30 * time.Second

// Keys holds the signing keys of all pools: one sealed document per pool, read through a cache of bounded
// age. It is safe for concurrent use and must not be copied. Private keys leave it only as signatures.
type Keys struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time

	// CacheAge is how long a node may go on with what it read of the keys; 5 seconds if zero.
	CacheAge time.Duration
	// MaxAge is how long a client may keep the JWKS; 1 hour if zero.
	MaxAge time.Duration
	// Overlap is how long new keys are published before they sign; 24 hours if zero. It is raised to
	// MaxAge + CacheAge + 5 minutes of clock skew, because a client with an older JWKS could not verify otherwise.
	Overlap time.Duration

	mu     sync.Mutex
	cache  map[string]*ring
	flight singleflight.Group
}

// ring is a pool's keys as read at one time, parsed. It is immutable.
type ring struct {
	loaded      time.Time
	generations []ringGeneration // in the order of signFrom, at least one
	byKID       map[string]*signingKey
	parsed      map[[sha256.Size]byte]*signingKey // by kind of token and stored form
}

// add readies a stored key, which is dear for RSA, or takes it from the ring before.
func (r *ring) add(old *ring, alg jose.SignatureAlgorithm, der secret.Text, access bool) (*signingKey, error) {
	name := sha256.Sum256(fmt.Appendf(nil, "%s %t %s", alg, access, der.Reveal()))
	var key *signingKey
	if old != nil {
		key = old.parsed[name]
	}
	if key == nil {
		var err error
		if key, err = parseKey(alg, der, access); err != nil {
			return nil, err
		}
	}
	r.parsed[name], r.byKID[key.public.KeyID] = key, key
	return key, nil
}

type ringGeneration struct {
	signFrom   time.Time
	id, access *signingKey
}

// signing returns the generation that signs at that time. A clock behind the one that made the first
// generation finds none begun: then it is the first.
func (r *ring) signing(now time.Time) ringGeneration {
	g := r.generations[0]
	for _, next := range r.generations[1:] {
		if next.signFrom.After(now) {
			break
		}
		g = next
	}
	return g
}

// published returns the generations that are in the JWKS at that time.
func (r *ring) published(now time.Time) []ringGeneration {
	for i := range r.generations {
		if i == len(r.generations)-1 || published(r.generations[i+1].signFrom, now) {
			return r.generations[i:]
		}
	}
	return nil
}

// Ensure creates the pool's two keys if it has none. Any number of callers on any number of nodes
// end up with the same keys. With RS256 the first call takes a good part of a second.
func (k *Keys) Ensure(ctx context.Context, p pool.Pool) error {
	_, err := k.ensured(ctx, p)
	return err
}

// JWKS returns the pool's public keys (RFC 7517) and how long a client may keep them. Two keys in steady
// state, one per kind of token; during a rotation also the next or the last ones.
func (k *Keys) JWKS(ctx context.Context, p pool.Pool) (jose.JSONWebKeySet, time.Duration, error) {
	r, err := k.ensured(ctx, p)
	if err != nil {
		return jose.JSONWebKeySet{}, 0, err
	}
	var set jose.JSONWebKeySet
	for _, g := range r.published(k.Now()) {
		set.Keys = append(set.Keys, g.id.public, g.access.public)
	}
	return set, k.maxAge(), nil
}

// ensured returns the keys of a pool that exists; they are made if there are none.
func (k *Keys) ensured(ctx context.Context, p pool.Pool) (*ring, error) {
	r, err := k.read(ctx, p.ID)
	if !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	return k.shared(ctx, "create/"+p.ID, func(ctx context.Context) (*ring, error) { return k.create(ctx, p) })
}

// read returns the keys of a pool that somebody named. It never makes any, since the name may come from a
// forged token. Errors: store.ErrNotFound.
func (k *Keys) read(ctx context.Context, poolID string) (*ring, error) {
	k.mu.Lock()
	r := k.cache[poolID]
	k.mu.Unlock()
	if r != nil {
		// An age below zero is a clock that was set back.
		if age := k.Now().Sub(r.loaded); age >= 0 && age < orDefault(k.CacheAge, defaultCacheAge) {
			return r, nil
		}
	}
	return k.shared(ctx, "load/"+poolID, func(ctx context.Context) (*ring, error) { return k.load(ctx, poolID) })
}

// shared runs f once for all callers with that name at the same time. f does not end with the caller that
// happened to be first; a caller stops waiting with its own ctx.
func (k *Keys) shared(ctx context.Context, name string, f func(context.Context) (*ring, error)) (*ring, error) {
	done := k.flight.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return f(ctx)
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for signing keys: %w", ctx.Err())
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
	if errors.Is(err, store.ErrNotFound) {
		k.mu.Lock()
		delete(k.cache, poolID)
		k.mu.Unlock()
	}
	if err != nil {
		return nil, fmt.Errorf("read signing keys of pool %q: %w", poolID, err)
	}
	return k.keep(e.Value, loaded)
}

// create generates keys outside any lock; of several nodes the first to write wins, and the others take its keys.
func (k *Keys) create(ctx context.Context, p pool.Pool) (*ring, error) {
	g, err := generate(algorithmOf(p))
	if err != nil {
		return nil, err
	}
	now := k.Now()
	g.Announced, g.SignFrom = now, now
	s := keyset{PoolID: p.ID, Generations: []generation{g}}
	_, err = k.kind().Put(ctx, &s, 0)
	if errors.Is(err, store.ErrConflict) {
		return k.load(ctx, p.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("store signing keys of pool %q: %w", p.ID, err)
	}
	return k.keep(s, now)
}

// keep parses a key set and puts it into the cache. Keys that the cache holds already are not parsed again.
func (k *Keys) keep(s keyset, loaded time.Time) (*ring, error) {
	k.mu.Lock()
	old := k.cache[s.PoolID]
	k.mu.Unlock()
	r := &ring{loaded: loaded, byKID: make(map[string]*signingKey), parsed: make(map[[sha256.Size]byte]*signingKey)}
	for _, g := range s.Generations {
		rg := ringGeneration{signFrom: g.SignFrom}
		var err error
		if rg.id, err = r.add(old, g.Algorithm, g.ID, false); err != nil {
			return nil, fmt.Errorf("pool %q: %w", s.PoolID, err)
		}
		if rg.access, err = r.add(old, g.Algorithm, g.Access, true); err != nil {
			return nil, fmt.Errorf("pool %q: %w", s.PoolID, err)
		}
		r.generations = append(r.generations, rg)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cache == nil {
		k.cache = make(map[string]*ring)
	}
	if now := k.cache[s.PoolID]; now == nil || !now.loaded.After(loaded) {
		k.cache[s.PoolID] = r
	}
	return r, nil
}

func (k *Keys) maxAge() time.Duration { return orDefault(k.MaxAge, defaultMaxAge) }

func (k *Keys) overlap() time.Duration {
	return max(orDefault(k.Overlap, defaultOverlap), k.maxAge()+orDefault(k.CacheAge, defaultCacheAge)+skew)
}

func algorithmOf(p pool.Pool) jose.SignatureAlgorithm {
	if p.SigningAlgorithm == "" {
		return jose.RS256
	}
	return jose.SignatureAlgorithm(p.SigningAlgorithm)
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// DeletePool removes the signing keys of a pool that is being deleted. Another node may go on with what it has read for as long as its
// cache is good; what it signs is of a pool that does not exist.
func (k *Keys) DeletePool(ctx context.Context, poolID string) error {
	err := k.kind().Delete(ctx, poolID)
	k.mu.Lock()
	delete(k.cache, poolID)
	k.mu.Unlock()
	if err != nil {
		return fmt.Errorf("delete the signing keys of pool %q: %w", poolID, err)
	}
	return nil
}
