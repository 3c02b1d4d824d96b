package oidc_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
)

// canned answers from memory, so that a benchmark sees our own work and no HTTP.
type canned map[string][]byte

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(c[req.URL.Path])), Request: req}, nil
}

// BenchmarkFinish is the CPU of one callback without HTTP: request building, signature, checks, merge.
func BenchmarkFinish(b *testing.B) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, alg := range []struct {
		name string
		key  crypto.Signer
	}{{"ES256", ec}, {"RS256", rs}} {
		b.Run(alg.name, func(b *testing.B) {
			const issuer = "https://idp.example.com"
			now := noon.Unix()
			sign := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg.name), Key: jose.JSONWebKey{Key: alg.key, KeyID: "1"}}
			signer, err := jose.NewSigner(sign, nil)
			if err != nil {
				b.Fatal(err)
			}
			jws, err := signer.Sign(encode(b, map[string]any{"iss": issuer, "sub": subject, "aud": clientID, "nonce": nonce, "iat": now, "exp": now + 300,
				"auth_time": now, "email": "jane@example.com", "email_verified": true, "name": "Jane Doe", "groups": []string{"a", "b", "c"}}))
			if err != nil {
				b.Fatal(err)
			}
			token, err := jws.CompactSerialize()
			if err != nil {
				b.Fatal(err)
			}
			answers := canned{
				"/jwks":     encode(b, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: alg.key.Public(), KeyID: "1", Use: "sig"}}}),
				"/token":    encode(b, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "id_token": token}),
				"/userinfo": encode(b, map[string]any{"sub": subject, "email": "jane@example.com", "email_verified": true, "locale": "de"}),
			}
			rp, err := oidc.New(pool.IdentityProvider{Name: "Corp", Details: pool.Details{
				"client_id": secret.New(clientID), "client_secret": secret.New(theKey), "oidc_issuer": secret.New(issuer), "authorize_url": secret.New(issuer + "/authorize"),
				"token_url": secret.New(issuer + "/token"), "attributes_url": secret.New(issuer + "/userinfo"), "jwks_uri": secret.New(issuer + "/jwks"),
			}}, oidc.Options{HTTP: &http.Client{Transport: answers}, Now: (&clock{now: noon}).Now})
			if err != nil {
				b.Fatal(err)
			}
			a := federation.Attempt{ID: state, Provider: "Corp", Nonce: nonce, Verifier: verifier, CallbackURL: callback, Started: noon}
			resp := federation.Response{Method: http.MethodGet, Query: url.Values{"state": {state}, "code": {"c"}}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rp.Finish(b.Context(), a, resp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func encode(b *testing.B, v any) []byte {
	b.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return data
}
