package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
)

func TestVerifyAccessReturnsWhatTheTokenSays(t *testing.T) {
	for _, alg := range algorithms {
		w := newWorld(t, alg)
		g, _ := w.login(t)
		out, err := w.issuer.Mint(t.Context(), token.Mint{
			Pool: w.pool, Client: w.client, User: w.user, Grant: g, Groups: []pool.Group{{Name: "staff"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.issuer.VerifyAccess(t.Context(), out.Access)
		if err != nil {
			t.Fatal(err)
		}
		want := token.Access{
			PoolID: w.pool.ID, ClientID: w.client.ID, Sub: w.user.Sub, Username: w.user.Username, Scopes: []string{"openid"}, Groups: []string{"staff"},
			GrantID: g.ID, JTI: got.JTI, EventID: g.EventID, AuthTime: g.AuthTime, IssuedAt: epoch, Expires: epoch.Add(time.Hour),
		}
		if got.JTI == "" || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", alg, got, want)
		}
	}
}

// forge returns a token of those parts with a signature made by sign.
func forge(header, claims map[string]any, sign func(input string) []byte) string {
	var parts []string
	for _, p := range []map[string]any{header, claims} {
		raw, _ := json.Marshal(p)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	input := strings.Join(parts, ".")
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func TestVerifyAccessRefuses(t *testing.T) {
	w := newWorld(t, "RS256")
	g, _ := w.login(t)
	out := w.mint(t, g)
	header, claims := part(t, out.Access, 0), part(t, out.Access, 1)
	public := jwks(t, w.keys, w.pool).Keys[1].Key.(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	hs256 := func(key []byte) string {
		return forge(map[string]any{"alg": "HS256", "kid": header["kid"]}, claims, func(in string) []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(in))
			return mac.Sum(nil)
		})
	}
	none := func(string) []byte { return nil }
	garbage := func(string) []byte { return bytes.Repeat([]byte{7}, public.Size()) }
	with := func(m map[string]any, name string, v any) map[string]any {
		out := map[string]any{name: v}
		for k, old := range m {
			if k != name {
				out[k] = old
			}
		}
		return out
	}

	// A second pool of the same deployment, with keys of its own.
	other := newWorld(t, "RS256")
	other.engine, other.keys.Engine, other.grants.Engine = w.engine, w.engine, w.engine
	other.keys.Ring = w.ring
	other.pool.ID, other.client.PoolID, other.user.PoolID = "local_Other0001", "local_Other0001", "local_Other0001"
	og, _ := other.login(t)
	theirs := other.mint(t, og).Access
	swapped := strings.Split(theirs, ".")[0] + "." + strings.Split(out.Access, ".")[1] + "." + strings.Split(theirs, ".")[2]

	// The same pool id and key ids elsewhere.
	elsewhere := *w.issuer
	elsewhere.BaseURL = "https://evil.example.com"
	foreign, err := elsewhere.Mint(t.Context(), token.Mint{Pool: w.pool, Client: w.client, User: w.user, Grant: g})
	if err != nil {
		t.Fatal(err)
	}
	tail := out.Access[strings.LastIndexByte(out.Access, '.'):]

	for _, c := range []struct {
		name, raw string
		want      error
	}{
		{"empty", "", token.ErrMalformed},
		{"not a token", "abc.def.ghi", token.ErrMalformed},
		{"oversized", strings.Repeat("a", 1<<20), token.ErrMalformed},
		{"JSON serialization", `{"payload":"","signatures":[]}`, token.ErrMalformed},
		{"claims that are not an object", forge(header, nil, garbage), token.ErrIssuer},
		{"alg none", forge(map[string]any{"alg": "none"}, claims, none), token.ErrAlgorithm},
		{"alg none with our kid", forge(with(header, "alg", "none"), claims, none), token.ErrAlgorithm},
		{"alg None", forge(with(header, "alg", "None"), claims, none), token.ErrAlgorithm},
		{"HS256 with the public key in DER", hs256(der), token.ErrAlgorithm},
		{"HS256 with the public key in PEM", hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), token.ErrAlgorithm},
		{"alg of another kind than the key", forge(with(header, "alg", "ES256"), claims, garbage), token.ErrAlgorithm},
		{"alg of the same key that is not ours", forge(with(header, "alg", "PS256"), claims, garbage), token.ErrAlgorithm},
		{"other pool's key", swapped, token.ErrKey},
		{"no kid", forge(map[string]any{"alg": "RS256"}, claims, garbage), token.ErrKey},
		{"key in the header", forge(map[string]any{"alg": "RS256", "jwk": jwks(t, other.keys, other.pool).Keys[1]}, claims, garbage), token.ErrKey},
		{"signature that is not one", forge(header, claims, garbage), token.ErrSignature},
		{"changed claims", forge(header, with(claims, "sub", "someone-else"), func(string) []byte {
			sig, _ := base64.RawURLEncoding.DecodeString(tail[1:])
			return sig
		}), token.ErrSignature},
		{"unknown critical header", forge(with(header, "crit", []string{"exp"}), claims, garbage), token.ErrSignature},
		{"ID token in place of an access token", out.ID, token.ErrTokenUse},
		{"wrong issuer", foreign.Access, token.ErrIssuer},
		{"issuer without a pool", forge(header, with(claims, "iss", baseURL+"/"), garbage), token.ErrIssuer},
		{"issuer below a pool", forge(header, with(claims, "iss", baseURL+"/"+w.pool.ID+"/x"), garbage), token.ErrIssuer},
		{"issuer of a pool that is not there", forge(header, with(claims, "iss", baseURL+"/local_Nowhere01"), garbage), token.ErrIssuer},
		{"issuer with a long name", forge(header, with(claims, "iss", baseURL+"/"+strings.Repeat("a", 60)+"_b"), garbage), token.ErrIssuer},
		{"refresh token", strings.Repeat("A", 86), token.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := w.issuer.VerifyAccess(t.Context(), c.raw)
			wantErr(t, err, c.want)
			if fault.CodeOf(err) != fault.Unauthenticated || !reflect.DeepEqual(a, token.Access{}) {
				t.Errorf("got %+v with %v, want nothing and fault.Unauthenticated", a, err)
			}
		})
	}
	if _, err := w.issuer.VerifyAccess(t.Context(), out.Access); err != nil {
		t.Fatalf("the token that the forgeries were made from: %v", err)
	}
	w.clock.Advance(time.Hour)
	_, err = w.issuer.VerifyAccess(t.Context(), out.Access)
	wantErr(t, err, token.ErrExpired)
}

func TestVerifyAccessRefusesADroppedKey(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.client.AccessTokenValidity = 24 * time.Hour
	g, _ := w.login(t)
	if _, err := w.keys.Rotate(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(24*time.Hour - time.Second)
	last := w.mint(t, g).Access
	w.clock.Advance(24 * time.Hour)
	if _, err := w.issuer.VerifyAccess(t.Context(), last); err == nil {
		t.Fatal("an expired token was accepted")
	}
	w.clock.Advance(-2 * time.Second)
	if _, err := w.issuer.VerifyAccess(t.Context(), last); err != nil {
		t.Fatalf("the last token of a retired key: %v", err)
	}
	w.clock.Advance(10 * time.Minute)
	_, err := w.issuer.VerifyAccess(t.Context(), last)
	wantErr(t, err, token.ErrKey)
}

func TestRSAKeysHave2048Bits(t *testing.T) {
	w := newWorld(t, "RS256")
	for _, k := range jwks(t, w.keys, w.pool).Keys {
		if n := k.Key.(*rsa.PublicKey).N.BitLen(); n != 2048 {
			t.Errorf("%d bits, want 2048", n)
		}
	}
}
