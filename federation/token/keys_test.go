package token_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/token"
)

var algorithms = []string{"RS256", "ES256", "EdDSA"}

func jwks(t testing.TB, k *token.Keys, p pool.Pool) jose.JSONWebKeySet {
	t.Helper()
	set, _, err := k.JWKS(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func kids(set jose.JSONWebKeySet) []string {
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.KeyID)
	}
	return out
}

func TestParallelFirstUseAgreesOnOneKeySet(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t, alg)
			nodes := []*token.Keys{w.node(), w.node(), w.node()}
			for _, err := range together(24, func(i int) error { return nodes[i%3].Ensure(t.Context(), w.pool) }) {
				if err != nil {
					t.Fatal(err)
				}
			}
			want := kids(jwks(t, w.node(), w.pool))
			for _, n := range nodes {
				if got := kids(jwks(t, n, w.pool)); !slices.Equal(got, want) {
					t.Errorf("a node publishes %q, the store holds %q", got, want)
				}
			}
		})
	}
}

func TestSteadyJWKSHasTwoPublicKeys(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t, alg)
			set, maxAge, err := w.keys.JWKS(t.Context(), w.pool)
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Keys) != 2 || set.Keys[0].KeyID == set.Keys[1].KeyID {
				t.Fatalf("got %d keys %q, want two different ones", len(set.Keys), kids(set))
			}
			if maxAge != time.Hour {
				t.Errorf("got max-age %v, want 1h", maxAge)
			}
			for _, k := range set.Keys {
				sum, err := k.Thumbprint(crypto.SHA256)
				if err != nil {
					t.Fatal(err)
				}
				if want := base64.RawURLEncoding.EncodeToString(sum); k.KeyID != want || k.Algorithm != alg || k.Use != "sig" {
					t.Errorf("got kid %q alg %q use %q, want %q %q sig", k.KeyID, k.Algorithm, k.Use, want, alg)
				}
				raw, err := json.Marshal(k)
				if err != nil {
					t.Fatal(err)
				}
				if !k.IsPublic() || bytes.Contains(raw, []byte(`"d"`)) {
					t.Errorf("the JWKS carries a private key")
				}
			}
			g, _ := w.login(t)
			tokens := w.mint(t, g)
			if got := part(t, tokens.ID, 0)["kid"]; got != set.Keys[0].KeyID {
				t.Errorf("the ID token is signed by %v, want the first key", got)
			}
			if got := part(t, tokens.Access, 0)["kid"]; got != set.Keys[1].KeyID {
				t.Errorf("the access token is signed by %v, want the second key", got)
			}
		})
	}
}

func TestKeysAreSealedAtRest(t *testing.T) {
	w := newWorld(t, "ES256")
	if err := w.keys.Ensure(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	d, err := w.engine.Get(t.Context(), "keyset", w.pool.ID)
	if err != nil {
		t.Fatal(err)
	}
	if json.Valid(d.Body) || bytes.Contains(d.Body, []byte("gens")) {
		t.Error("the stored keys can be read")
	}
	other := w.node()
	other.Ring = newRing(t)
	_, _, err = other.JWKS(t.Context(), w.pool)
	wantErr(t, err, secret.ErrUnknownKey)
	unsealed := w.node()
	unsealed.Ring = nil
	if err := unsealed.Ensure(t.Context(), pool.Pool{ID: "local_Other0001", SigningAlgorithm: "ES256"}); err == nil {
		t.Error("keys were stored without a key ring")
	}
}

func TestKeysAreReadAtMostEveryFiveSeconds(t *testing.T) {
	w := newWorld(t, "ES256")
	g, _ := w.login(t)
	w.mint(t, g)
	w.engine.gets.Store(0)
	for range 4 {
		w.mint(t, g)
		w.clock.Advance(time.Second)
	}
	if n := w.engine.gets.Load(); n != 0 {
		t.Errorf("%d reads within the cache's age, want none", n)
	}
	w.clock.Advance(time.Second)
	w.mint(t, g)
	w.mint(t, g)
	if n := w.engine.gets.Load(); n != 1 {
		t.Errorf("%d reads after the cache's age, want 1", n)
	}
}

func TestCallerThatGivesUpLeavesTheOthersTheirKeys(t *testing.T) {
	w := newWorld(t, "ES256")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.keys.Ensure(gone, w.pool); err != nil {
		wantErr(t, err, context.Canceled)
	}
	if err := w.keys.Ensure(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownAlgorithmIsAConfigFault(t *testing.T) {
	for _, alg := range []string{"HS256", "none", "PS256"} {
		w := newWorld(t, alg)
		if err := w.keys.Ensure(t.Context(), w.pool); fault.CodeOf(err) != fault.Config {
			t.Errorf("%s: got %v, want a config fault", alg, err)
		}
		if _, err := w.engine.Get(t.Context(), "keyset", w.pool.ID); err == nil {
			t.Errorf("%s: keys were stored", alg)
		}
	}
}

func TestPoolWithoutAlgorithmSignsRS256(t *testing.T) {
	w := newWorld(t, "")
	if got := jwks(t, w.keys, w.pool).Keys[0].Algorithm; got != "RS256" {
		t.Errorf("got %q, want RS256", got)
	}
}

func TestKeysThatWereRemovedAreNotUsedAfterTheCacheAge(t *testing.T) {
	w := newWorld(t, "ES256")
	g, _ := w.login(t)
	access := w.mint(t, g).Access
	if err := w.engine.Delete(t.Context(), "keyset", w.pool.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(5 * time.Second)
	_, err := w.issuer.VerifyAccess(t.Context(), access)
	wantErr(t, err, token.ErrIssuer)
	if _, err := w.engine.Get(t.Context(), "keyset", w.pool.ID); err == nil {
		t.Error("verifying a token made keys")
	}
}
