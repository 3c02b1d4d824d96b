package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

const (
	maxKeys    = 100  // of one set; more are not looked at
	maxRSABits = 8192 // a larger modulus costs whoever verifies, not whoever signs

	// A signature that no kept key verifies has the set fetched again, because the provider may have changed its keys
	// (OpenID Connect Core section 10.1.1); so often at most, because anybody can name an unknown key.
	refetchEvery = 10 * time.Second
	refetchBurst = 3
)

// keySet is a provider's JWKS, kept.
type keySet struct {
	url     string
	remote  *remote[[]jose.JSONWebKey]
	refetch *rate.Limiter
	now     func() time.Time
}

func newKeySet(url string, client *http.Client, now func() time.Time) *keySet {
	fetch := func(ctx context.Context) ([]jose.JSONWebKey, error) { return fetchKeys(ctx, client, url) }
	return &keySet{url: url, now: now, remote: newRemote(now, fetch), refetch: rate.NewLimiter(rate.Every(refetchEvery), refetchBurst)}
}

// verify returns the payload of a signature by one of the provider's keys. Its errors are ErrSignature
// or ErrKeys. The caller has parsed jws under an allow-list of algorithms.
func (k *keySet) verify(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	keys, err := k.remote.get(ctx)
	if err != nil {
		return nil, asFault(ErrKeys, err)
	}
	if payload, ok := tryKeys(jws, keys); ok {
		return payload, nil
	}
	if !k.refetch.AllowN(k.now(), 1) {
		return nil, fmt.Errorf("%w: by no known key, and the key set was fetched just now", ErrSignature)
	}
	if keys, err = k.remote.refresh(ctx); err != nil {
		return nil, asFault(ErrKeys, err)
	}
	if payload, ok := tryKeys(jws, keys); ok {
		return payload, nil
	}
	return nil, fmt.Errorf("%w: by no key of the provider", ErrSignature)
}

// tryKeys verifies with the keys that the header allows: the one it names, or all where it names
// none; and of a key that says what it is for, only that (RFC 7517 section 4.4).
func tryKeys(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	header := jws.Signatures[0].Protected
	for i := range keys {
		if header.KeyID != "" && header.KeyID != keys[i].KeyID || keys[i].Algorithm != "" && keys[i].Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(&keys[i]); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fetchKeys returns the usable signature keys at url. Keys that are of an unknown kind, private, symmetric,
// for encryption, too weak or too large are left out (RFC 7517 section 5).
func fetchKeys(ctx context.Context, client *http.Client, url string) ([]jose.JSONWebKey, error) {
	body, _, err := fetch(ctx, client, ErrKeys, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, badAnswer(ErrKeys, brief{err})
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usableKey(&key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, badAnswer(ErrKeys, fmt.Errorf("no usable key at %s", quote(url)))
	}
	return keys, nil
}

func usableKey(key *jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	if k, ok := key.Key.(*rsa.PublicKey); ok {
		return k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits
	}
	return true
}
