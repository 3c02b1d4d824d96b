package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// offline is what makes a provider give refresh tokens.
const offline = "openid email profile offline_access"

// TestRefreshAndRevoke goes through both with each way in which a client can prove itself.
func TestRefreshAndRevoke(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, tt := range map[string]struct {
		client func(*oidctest.Client)
		pairs  []string
	}{
		"client_secret_basic": {func(*oidctest.Client) {}, nil},
		"client_secret_post": {func(c *oidctest.Client) { c.Auth = oidctest.SecretPost },
			[]string{"token_endpoint_auth_method", "client_secret_post"}},
		"private_key_jwt": {func(c *oidctest.Client) { c.Auth, c.Secret, c.PublicKey = oidctest.PrivateKeyJWT, "", key.Public() },
			[]string{"private_key", keyPEM, "client_secret", ""}},
		"none": {func(c *oidctest.Client) { c.Auth, c.Secret = oidctest.NoAuth, "" },
			[]string{"token_endpoint_auth_method", "none", "client_secret", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.putClient(tt.client)
			r.configure(append(tt.pairs, "authorize_scopes", offline)...)
			first := r.mustLogin().Tokens
			r.clock.Advance(time.Hour)
			next, err := r.rp.Refresh(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			if next.Access.IsZero() || next.Access.Reveal() == first.Access.Reveal() || next.Refresh.IsZero() || next.Refresh.Reveal() == first.Refresh.Reveal() ||
				!next.Expires.Equal(r.clock.Now().Add(time.Hour)) || next.Scope != offline || next.ID.Reveal() != first.ID.Reveal() {
				t.Errorf("tokens %+v", next)
			}
			if err := r.rp.Revoke(t.Context(), next, subject); err != nil {
				t.Fatal(err)
			}
			sent := r.op.Requests(oidctest.EndpointRevocation)
			if len(sent) != 1 || sent[0].Params.Get("token") != next.Refresh.Reveal() || sent[0].Params.Get("token_type_hint") != "refresh_token" {
				t.Errorf("revocation requests %v", sent)
			}
			if _, err := r.rp.Refresh(t.Context(), next); !errors.Is(err, federation.ErrRefreshRefused) || fault.CodeOf(err) != fault.LoginRequired {
				t.Errorf("after the revocation: %v", err)
			} else if strings.Contains(err.Error(), next.Refresh.Reveal()) {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}

func TestRefreshKeepsWhatTheAnswerLeavesOut(t *testing.T) {
	r := newRig(t, "authorize_scopes", offline)
	first := r.mustLogin().Tokens
	r.op.Set(oidctest.Faults{TokenResponse: func(body map[string]any) {
		delete(body, "refresh_token")
		delete(body, "scope")
		delete(body, "expires_in")
		body["id_token"] = "not.verified.here"
	}})
	next, err := r.rp.Refresh(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if next.Refresh.Reveal() != first.Refresh.Reveal() || next.Scope != first.Scope || !next.Expires.IsZero() || next.ID.Reveal() != first.ID.Reveal() {
		t.Errorf("tokens %+v", next)
	}
}

func TestRefreshFails(t *testing.T) {
	at := func(f func(http.Handler) http.Handler) oidctest.Faults {
		return oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointToken: f}}
	}
	for name, tt := range map[string]struct {
		faults  oidctest.Faults
		code    fault.Code
		refused bool
	}{
		"down":                     {at(oidctest.Drop), fault.Upstream, false},
		"a page":                   {at(oidctest.Reply(200, "text/html", "<p>hello")), fault.Upstream, false},
		"a server error":           {at(oidctest.Reply(500, "application/json", `{}`)), fault.Upstream, false},
		"the client is gone":       {at(oidctest.Reply(401, "application/json", `{"error":"invalid_client"}`)), fault.Config, false},
		"the token is refused":     {at(oidctest.Reply(400, "application/json", `{"error":"invalid_grant"}`)), fault.LoginRequired, true},
		"a token of another type":  {oidctest.Faults{TokenResponse: func(b map[string]any) { b["token_type"] = "mac" }}, fault.Upstream, false},
		"an answer without tokens": {oidctest.Faults{TokenResponse: func(b map[string]any) { delete(b, "access_token") }}, fault.Upstream, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "authorize_scopes", offline)
			tokens := r.mustLogin().Tokens
			r.op.Set(tt.faults)
			got, err := r.rp.Refresh(t.Context(), tokens)
			if fault.CodeOf(err) != tt.code || errors.Is(err, federation.ErrRefreshRefused) != tt.refused || !got.Access.IsZero() {
				t.Errorf("%v", err)
			}
		})
	}
	r := newRig(t)
	if _, err := r.rp.Refresh(t.Context(), r.mustLogin().Tokens); !errors.Is(err, federation.ErrNoRefresh) {
		t.Errorf("without a refresh token: %v", err)
	}
}

func TestRevokeFails(t *testing.T) {
	at := func(f func(http.Handler) http.Handler) oidctest.Faults {
		return oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointRevocation: f}}
	}
	r := newRig(t)
	tokens := r.mustLogin().Tokens // without a refresh token
	r.op.Set(at(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			http.Error(w, "cannot revoke "+req.PostForm.Get("token"), http.StatusServiceUnavailable)
		})
	}))
	err := r.rp.Revoke(t.Context(), tokens, subject)
	if !errors.Is(err, oidc.ErrRevoke) || fault.CodeOf(err) != fault.Upstream || strings.Contains(err.Error(), tokens.Access.Reveal()) {
		t.Errorf("unavailable: %v", err)
	}
	r.op.Set(at(oidctest.Drop))
	if err := r.rp.Revoke(t.Context(), tokens, subject); !errors.Is(err, oidc.ErrRevoke) {
		t.Errorf("down: %v", err)
	}
	r.op.Set(oidctest.Faults{})
	if err := r.rp.Revoke(t.Context(), tokens, subject); err != nil {
		t.Errorf("up again: %v", err)
	}
	if sent := r.op.Requests(oidctest.EndpointRevocation); sent[len(sent)-1].Params.Get("token") != tokens.Access.Reveal() {
		t.Errorf("without a refresh token the access token is revoked: %v", sent[len(sent)-1].Params)
	}
	for name, tt := range map[string]struct {
		endpoint any
		pairs    []string
		want     error
	}{
		"none in the discovery document":       {nil, nil, federation.ErrNoRevocation},
		"one that may not be called":           {"ftp://idp.example.com/revoke", nil, oidc.ErrDiscovery},
		"the configuration's own is the other": {"ftp://idp.example.com/revoke", []string{"revocation_url", r.op.Issuer() + "/revoke"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tt.pairs...)
			r.op.Set(oidctest.Faults{Discovery: func(doc map[string]any) {
				doc["revocation_endpoint"] = tt.endpoint
				if tt.endpoint == nil {
					delete(doc, "revocation_endpoint")
				}
			}})
			tokens := r.mustLogin().Tokens // it does not hinder a sign-in
			if err := r.rp.Revoke(t.Context(), tokens, subject); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// TestVariantsRefreshAndRevokeTheirOwnWay: for providers that know neither RFC 6749 section 6 nor RFC 7009.
func TestVariantsRefreshAndRevokeTheirOwnWay(t *testing.T) {
	var revoked string
	r := ruled(t, oidc.Rules{
		Refresh: func(_ context.Context, api *oidc.API, tokens federation.UpstreamTokens) (federation.UpstreamTokens, error) {
			if !tokens.Refresh.IsZero() || api.ClientID() != clientID {
				return federation.UpstreamTokens{}, errors.New("not what was kept")
			}
			return federation.UpstreamTokens{Access: secret.New(tokens.Access.Reveal() + "+"), Expires: api.Now().Add(time.Hour)}, nil
		},
		Revoke: func(_ context.Context, _ *oidc.API, _ federation.UpstreamTokens, subject string) error {
			revoked = subject
			return nil
		},
	})
	first := r.mustLogin().Tokens
	next, err := r.rp.Refresh(t.Context(), first)
	if err != nil || next.Access.Reveal() != first.Access.Reveal()+"+" || next.Scope != first.Scope || next.ID.Reveal() != first.ID.Reveal() {
		t.Errorf("%+v, %v", next, err)
	}
	if err := r.rp.Revoke(t.Context(), next, subject); err != nil || revoked != subject {
		t.Errorf("revoked %q, %v", revoked, err)
	}
	if sent := r.op.Requests(oidctest.EndpointRevocation); len(sent) > 0 {
		t.Errorf("%d requests to the revocation endpoint", len(sent))
	}
}

func TestDetailsOfKeptTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		pairs []string
		want  string
	}{
		"kept, for clients":           {[]string{"keep_tokens", "true", "token_clients", "one two"}, ""},
		"kept, for nobody":            {[]string{"keep_tokens", "true"}, ""},
		"not kept":                    {[]string{"keep_tokens", "false"}, ""},
		"neither true nor false":      {[]string{"keep_tokens", "yes"}, "keep_tokens: must be false or true"},
		"clients of tokens not kept":  {[]string{"token_clients", "one"}, "token_clients: needs keep_tokens: true"},
		"clients, and expressly not":  {[]string{"keep_tokens", "false", "token_clients", "one"}, "token_clients: needs keep_tokens: true"},
		"a revocation URL that is no": {[]string{"revocation_url", "revoke"}, "revocation_url: must be an absolute URL"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for i := 0; i < len(tt.pairs); i += 2 {
				r.details[tt.pairs[i]] = tt.pairs[i+1]
			}
			var got string
			for _, f := range oidc.Validate(r.config().Details, true) {
				got += f.Error()
			}
			if got != tt.want {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
		})
	}
}
