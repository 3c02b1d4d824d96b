package oidctest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func TestForgedIDTokensAreRefusedByTheRelyingParty(t *testing.T) {
	change := func(name string, value any) oidctest.Faults {
		return oidctest.Faults{IDToken: func(c map[string]any) { c[name] = value }}
	}
	tests := map[string]oidctest.Faults{
		"alg none":                      {SignIDToken: oidctest.SignWithNone},
		"HS256 with the public key":     {SignIDToken: oidctest.SignWithPublicKeyAsSecret},
		"other key under the known kid": {SignIDToken: oidctest.SignWithOtherKey},
		"unknown kid":                   {SignIDToken: oidctest.SignWithUnknownKey},
		"other issuer":                  change("iss", "https://evil.example"),
		"other audience":                change("aud", "another"),
		"expired":                       change("exp", 1),
	}
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	for name, faults := range tests {
		t.Run(name, func(t *testing.T) {
			p.Set(faults)
			token, err := rp.exchange(rp.signIn().Get("code"))
			if err != nil {
				t.Fatal(err)
			}
			if raw, _ := token.Extra("id_token").(string); strings.Count(raw, ".") != 2 {
				t.Fatalf("not a JWS: %q", raw)
			}
			if _, err := rp.verify(token); err == nil {
				t.Fatal("the relying party accepted it")
			}
		})
	}
	p.Set(oidctest.Faults{})
	rp.finish(rp.signIn().Get("code"))
}

func TestAlteredAnswersArrive(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)

	p.Set(oidctest.Faults{Authorization: func(v url.Values) { v.Set("iss", "https://evil.example") }})
	if got := rp.signIn().Get("iss"); got != "https://evil.example" {
		t.Errorf("iss = %q", got)
	}
	p.Set(oidctest.Faults{AuthorizeError: url.Values{"error": {"temporarily_unavailable"}, "error_description": {"Later."}}})
	for range 2 { // the second answer has nothing of the first
		if got := rp.visit(); got.Get("error") != "temporarily_unavailable" || got.Get("error_description") != "Later." || got.Get("state") != "state-1" {
			t.Errorf("callback = %v", got)
		}
	}
	p.Set(oidctest.Faults{TokenResponse: func(b map[string]any) { delete(b, "id_token") }})
	token, err := rp.exchange(rp.signIn().Get("code"))
	if err != nil || token.Extra("id_token") != nil {
		t.Errorf("token = %v, %v", token.Extra("id_token"), err)
	}
	p.Set(oidctest.Faults{UserInfo: func(c map[string]any) { c["sub"] = "someone else" }})
	info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != "someone else" {
		t.Errorf("userinfo = %+v, %v", info, err)
	}
	p.Set(oidctest.Faults{Discovery: func(doc map[string]any) { doc["issuer"] = "https://evil.example" }})
	if _, err := oidc.NewProvider(t.Context(), p.Issuer()); err == nil {
		t.Error("go-oidc accepted another issuer")
	}
}

func TestEndpointFaults(t *testing.T) {
	p := start(t, confidential())
	at := func(wrap func(http.Handler) http.Handler) (*http.Response, error) {
		p.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointJWKS: wrap}})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer()+"/jwks", nil)
		if err != nil {
			t.Fatal(err)
		}
		return http.DefaultTransport.RoundTrip(req) // no redirect is followed
	}
	t.Run("drop", func(t *testing.T) {
		if resp, err := at(oidctest.Drop); err == nil {
			t.Fatalf("status %d, close: %v", resp.StatusCode, resp.Body.Close())
		}
	})
	tests := map[string]struct {
		wrap                        func(http.Handler) http.Handler
		status                      int
		contentType, location, body string
	}{
		"reply":        {oidctest.Reply(503, "text/plain", "down"), 503, "text/plain", "", "down"},
		"redirect":     {oidctest.RedirectTo(302, "http://127.0.0.1:1/"), 302, "", "http://127.0.0.1:1/", ""},
		"content type": {oidctest.ContentType("text/html"), 200, "text/html", "", `{"keys":`},
		"endless":      {oidctest.Endless, 200, "application/json", "", `{"filler":"aaaa`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resp, err := at(tt.wrap)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, len(tt.body))
			_, err = io.ReadFull(resp.Body, body)
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				t.Fatal(err)
			}
			h := resp.Header
			if resp.StatusCode != tt.status || h.Get("Content-Type") != tt.contentType || h.Get("Location") != tt.location || string(body) != tt.body {
				t.Fatalf("%d %v %q", resp.StatusCode, h, body)
			}
		})
	}
}

func TestHangEndsWithTheClientOrTheRelease(t *testing.T) {
	p := start(t, confidential())
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	hang := oidctest.Hang(release)
	p.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
		oidctest.EndpointToken: func(honest http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				hang(honest).ServeHTTP(w, r)
			})
		},
	}})
	ask := func(ctx context.Context) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Issuer()+"/token", strings.NewReader("grant_type=x"))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := ask(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
	go func() { <-arrived; close(release) }()
	if status, err := ask(t.Context()); err != nil || status != http.StatusUnauthorized {
		t.Fatalf("after the release: %d, %v", status, err)
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	rp.finish(rp.signIn(oauth2.SetAuthURLParam("acr_values", "mfa")).Get("code"))
	seen := p.Requests(oidctest.EndpointAuthorize)
	if len(seen) != 1 || seen[0].Method != http.MethodGet || seen[0].Params.Get("acr_values") != "mfa" {
		t.Fatalf("authorize: %+v", seen)
	}
	seen = p.Requests(oidctest.EndpointToken)
	if len(seen) != 1 || seen[0].Params.Get("code_verifier") != rp.verifier || !strings.HasPrefix(seen[0].Header.Get("Authorization"), "Basic ") {
		t.Fatalf("token: %+v", seen)
	}
	p.Forget()
	if left := p.Requests(oidctest.EndpointToken); len(left) != 0 {
		t.Fatalf("after Forget: %+v", left)
	}
}
