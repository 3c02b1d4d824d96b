package token_test

import (
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/weir-id/weir/federation/token"
)

// held is a JWKS as some client fetched it.
type held struct {
	at  time.Time
	set jose.JSONWebKeySet
}

// verifies reports whether a client with that JWKS can verify the token.
func (h held) verifies(raw, alg string) bool {
	tok, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return false
	}
	keys := h.set.Key(tok.Headers[0].KeyID)
	return len(keys) == 1 && tok.UnsafeClaimsWithoutVerification(&struct{}{}) == nil && tok.Claims(keys[0].Key, &struct{}{}) == nil
}

// TestRotationNeverLeavesATokenUnverifiable walks twelve days in steps of half an hour, with keys that last three days and a change
// of the algorithm on day eight. Two nodes mint, one of them always with the oldest keys its cache may hold; clients
// hold JWKS of every age up to max-age, fetched from either node.
func TestRotationNeverLeavesATokenUnverifiable(t *testing.T) {
	w := newWorld(t, "ES256")
	w.pool.SigningKeyDays = 3
	w.client.IDTokenValidity, w.client.AccessTokenValidity = 24*time.Hour, 24*time.Hour
	g, _ := w.login(t)

	fresh, stale := w.keys, w.node()
	mintBy := func(k *token.Keys) token.Tokens {
		i := &token.Issuer{Keys: k, BaseURL: baseURL, Now: w.clock.Now}
		out, err := i.Mint(t.Context(), token.Mint{Pool: w.pool, Client: w.client, User: w.user, Grant: g})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	type minted struct {
		raw, alg string
		at       time.Time
	}
	var tokens []minted
	var clients []held
	signedBy := map[any]bool{}
	sizes := map[int]int{}
	const step, cacheAge = 30 * time.Minute, 5 * time.Second
	for end := epoch.Add(12 * 24 * time.Hour); w.clock.Now().Before(end); w.clock.Advance(step - cacheAge + 1) {
		if w.clock.Now().Sub(epoch) >= 8*24*time.Hour {
			w.pool.SigningAlgorithm = "EdDSA"
		}
		jwks(t, stale, w.pool) // reads now, before the step below
		if err := fresh.Maintain(t.Context(), w.pool); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(cacheAge - 1)
		now := w.clock.Now()
		for _, k := range []*token.Keys{fresh, stale} {
			clients = append(clients, held{now, jwks(t, k, w.pool)})
			out := mintBy(k)
			for _, raw := range []string{out.ID, out.Access} {
				alg := part(t, raw, 0)["alg"].(string)
				tokens = append(tokens, minted{raw, alg, now})
			}
			signedBy[part(t, out.ID, 0)["kid"]] = true
		}
		sizes[len(clients[len(clients)-1].set.Keys)]++
		tokens = slices.DeleteFunc(tokens, func(m minted) bool { return now.Sub(m.at) >= 24*time.Hour })
		clients = slices.DeleteFunc(clients, func(h held) bool { return now.Sub(h.at) > time.Hour })
		// The oldest and the newest are the ones that can fail.
		for _, m := range slices.Concat(tokens[:4], tokens[len(tokens)-4:]) {
			for _, h := range slices.Concat(clients[:2], clients[len(clients)-2:]) {
				if !h.verifies(m.raw, m.alg) {
					t.Fatalf("at %v a client with the JWKS of %v cannot verify a token of %v", now.Sub(epoch), h.at.Sub(epoch), m.at.Sub(epoch))
				}
			}
		}
	}
	if len(signedBy) != 4 {
		t.Errorf("%d ID token keys were used in 12 days, want 4 (days 0-3, 3-6, 6-9, EdDSA from day 9)", len(signedBy))
	}
	if sizes[2] == 0 || sizes[4] == 0 {
		t.Errorf("JWKS sizes seen: %v, want 2 in steady state and 4 in a rotation", sizes)
	}
	w.clock.Advance(24*time.Hour + 10*time.Minute)
	if err := fresh.Maintain(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	for _, k := range jwks(t, stale, w.pool).Keys {
		if k.Algorithm != "EdDSA" {
			t.Errorf("a key of %s is still published", k.Algorithm)
		}
	}
}

func TestRotateAnnouncesThenSignsThenRetires(t *testing.T) {
	w := newWorld(t, "EdDSA")
	g, _ := w.login(t)
	old := kids(jwks(t, w.keys, w.pool))
	signFrom, err := w.keys.Rotate(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	if want := epoch.Add(24 * time.Hour); !signFrom.Equal(want) {
		t.Fatalf("new keys sign from %v, want %v", signFrom, want)
	}
	signs := func() string { return part(t, w.mint(t, g).Access, 0)["kid"].(string) }
	all := kids(jwks(t, w.keys, w.pool))
	if len(all) != 4 || !slices.Equal(all[:2], old) || signs() != old[1] {
		t.Fatalf("announced: published %q, signing %q, before %q", all, signs(), old)
	}
	again, err := w.keys.Rotate(t.Context(), w.pool)
	if err != nil || !again.Equal(signFrom) || len(jwks(t, w.keys, w.pool).Keys) != 4 {
		t.Fatalf("a second Rotate while one is announced: %v, %v, want no change", again, err)
	}
	w.clock.Advance(24*time.Hour - 1)
	if signs() != old[1] {
		t.Fatal("the new key signs before its time")
	}
	w.clock.Advance(1)
	if signs() != all[3] {
		t.Fatal("the new key does not sign from its time on")
	}
	w.clock.Advance(24*time.Hour + 5*time.Minute - 1)
	if got := kids(jwks(t, w.keys, w.pool)); !slices.Equal(got, all) {
		t.Fatalf("retired keys left the JWKS too early: %q", got)
	}
	w.clock.Advance(1)
	if got := kids(jwks(t, w.keys, w.pool)); !slices.Equal(got, all[2:]) {
		t.Fatalf("published %q, want the new keys alone", got)
	}
	sealed := func() int {
		d, err := w.engine.Get(t.Context(), "keyset", w.pool.ID)
		if err != nil {
			t.Fatal(err)
		}
		return len(d.Body)
	}
	before := sealed()
	if err := w.keys.Maintain(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	if sealed() >= before {
		t.Error("Maintain left the private keys of the old generation in the store")
	}
	w.engine.writes()
	if err := w.keys.Maintain(t.Context(), w.pool); err != nil || w.engine.writes() != 0 {
		t.Errorf("Maintain wrote with nothing due (error %v)", err)
	}
}

func TestMaintainOnManyNodesMakesOneStep(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.pool.SigningKeyDays = 2
	if err := w.keys.Ensure(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(24 * time.Hour)
	for _, err := range together(12, func(int) error { return w.node().Maintain(t.Context(), w.pool) }) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := len(jwks(t, w.node(), w.pool).Keys); n != 4 {
		t.Errorf("%d keys published, want 4", n)
	}
}

func TestMaintainNeverRotatesWithoutADay(t *testing.T) {
	w := newWorld(t, "EdDSA")
	if err := w.keys.Maintain(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	before := kids(jwks(t, w.keys, w.pool))
	w.clock.Advance(10 * 365 * 24 * time.Hour)
	if err := w.keys.Maintain(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	if after := kids(jwks(t, w.keys, w.pool)); !slices.Equal(before, after) {
		t.Errorf("keys changed from %q to %q", before, after)
	}
}

func TestOverlapIsRaisedOverTheAgeOfCaches(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.keys.Overlap, w.keys.MaxAge = time.Minute, 2*time.Hour
	signFrom, err := w.keys.Rotate(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := signFrom.Sub(epoch), 2*time.Hour+5*time.Second+5*time.Minute; got != want {
		t.Errorf("overlap %v, want %v", got, want)
	}
}
