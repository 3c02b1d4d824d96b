package oidc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func newServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func (r *rig) count(at oidctest.Endpoint) int { return len(r.op.Requests(at)) }

func TestDiscoveryRefused(t *testing.T) {
	doc := func(name string, value any) oidctest.Faults {
		return oidctest.Faults{Discovery: func(d map[string]any) { d[name] = value }}
	}
	reply := func(status int, body string) oidctest.Faults {
		return endpoint(oidctest.EndpointDiscovery, oidctest.Reply(status, "application/json", body))
	}
	run(t, map[string]attack{
		"issuer_mismatch":           {faults: doc("issuer", "https://evil.example"), code: fault.Config, want: oidc.ErrIssuer},
		"issuer_absent":             {faults: doc("issuer", ""), code: fault.Config, want: oidc.ErrIssuer},
		"script_for_the_browser":    {faults: doc("authorization_endpoint", "javascript:alert(1)"), code: fault.Config, want: oidc.ErrDiscovery},
		"no_authorization_endpoint": {faults: doc("authorization_endpoint", ""), code: fault.Config, want: oidc.ErrDiscovery},
		"no_token_endpoint":         {faults: doc("token_endpoint", ""), code: fault.Config, want: oidc.ErrDiscovery},
		"no_jwks_uri":               {faults: doc("jwks_uri", ""), code: fault.Config, want: oidc.ErrDiscovery},
		"metadata_service":          {faults: doc("token_endpoint", "http://169.254.169.254/"), code: fault.Config, want: oidc.ErrDiscovery},
		"symmetric_algorithms_only": {faults: doc("id_token_signing_alg_values_supported", []string{"HS256", "none"}), code: fault.Config, want: oidc.ErrDiscovery},
		"wrong_types":               {faults: doc("token_endpoint", []int{1}), code: fault.Upstream, want: oidc.ErrDiscovery},
		"not_found":                 {faults: reply(404, `no`), code: fault.Upstream, want: oidc.ErrDiscovery},
		"large_error_page":          {faults: reply(500, strings.Repeat("<html>", 10000)), code: fault.Upstream, want: oidc.ErrDiscovery},
		"garbage":                   {faults: reply(200, `<html>`), code: fault.Upstream, want: oidc.ErrDiscovery},
		"huge":                      {faults: endpoint(oidctest.EndpointDiscovery, oidctest.Endless), code: fault.Upstream, want: outgoing.ErrTooLarge},
		"hangs_up":                  {faults: endpoint(oidctest.EndpointDiscovery, oidctest.Drop), code: fault.Upstream, want: oidc.ErrDiscovery},
		"redirect_to_metadata":      {faults: endpoint(oidctest.EndpointDiscovery, oidctest.RedirectTo(302, "http://169.254.169.254/")), code: fault.Config, want: outgoing.ErrPrivateAddress},
	})
}

func TestPrivateAddressIsRefused(t *testing.T) {
	r := newRig(t, "oidc_issuer", "https://localhost:1")
	r.http = outgoing.New(outgoing.Options{})
	r.configure()
	_, err := r.rp.Begin(t.Context(), r.attempt())
	wantFault(t, err, fault.Config, outgoing.ErrPrivateAddress)
}

func TestKeysRefused(t *testing.T) {
	reply := func(status int, body string) oidctest.Faults {
		return endpoint(oidctest.EndpointJWKS, oidctest.Reply(status, "application/json", body))
	}
	const (
		symmetric = `{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}`
		weak      = `{"kty":"RSA","e":"AQAB","n":"7ue6rlBLZC0KyyrOVr7yLEkfhsIvCSJ4m4yjl7UPBvEBv1qFVpNW1FVSEPPkMFuWQ8ypGAvGtA3LkuQp0wuMaQ"}`
		private   = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`
	)
	run(t, map[string]attack{
		"not_found": {faults: reply(404, ``), code: fault.Upstream, want: oidc.ErrKeys},
		"garbage":   {faults: reply(200, `<html>`), code: fault.Upstream, want: oidc.ErrKeys},
		"empty":     {faults: reply(200, `{"keys":[]}`), code: fault.Upstream, want: oidc.ErrKeys},
		"unusable":  {faults: reply(200, `{"keys":[7,{},`+symmetric+`,`+weak+`,`+private+`]}`), code: fault.Upstream, want: oidc.ErrKeys},
		"huge":      {faults: endpoint(oidctest.EndpointJWKS, oidctest.Endless), code: fault.Upstream, want: outgoing.ErrTooLarge},
		"hangs_up":  {faults: endpoint(oidctest.EndpointJWKS, oidctest.Drop), code: fault.Upstream, want: oidc.ErrKeys},
	})
}

func TestKeysOfAnotherUseAreNotTried(t *testing.T) {
	for name, from := range map[string]string{"for encryption": `"use":"sig"`, "for another algorithm": `"alg":"ES256"`} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			to := map[string]string{`"use":"sig"`: `"use":"enc"`, `"alg":"ES256"`: `"alg":"ES384"`}[from]
			replaced := false
			r.op.Set(endpoint(oidctest.EndpointJWKS, func(honest http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					rec := httptest.NewRecorder()
					honest.ServeHTTP(rec, req)
					body := strings.ReplaceAll(rec.Body.String(), from, to)
					replaced = body != rec.Body.String()
					_, _ = w.Write([]byte(body))
				})
			}))
			if _, err := r.login(r.attempt()); err == nil || !replaced {
				t.Errorf("err = %v, replaced %v", err, replaced)
			}
		})
	}
}

func TestJWKS(t *testing.T) {
	t.Run("jwks_rotation_without_restart", func(t *testing.T) {
		r := newRig(t)
		r.mustLogin()
		for range 2 {
			if err := r.op.RotateKeys(); err != nil {
				t.Fatal(err)
			}
			r.mustLogin()
		}
		if n := r.count(oidctest.EndpointJWKS); n != 3 {
			t.Errorf("%d fetches for three keys", n)
		}
	})
	t.Run("unknown_kid_refetch_is_rate_limited", func(t *testing.T) {
		r := newRig(t)
		r.mustLogin()
		r.op.Set(oidctest.Faults{SignIDToken: oidctest.SignWithUnknownKey})
		for range 20 {
			_, err := r.login(r.attempt())
			wantFault(t, err, fault.Upstream, oidc.ErrSignature)
		}
		if n := r.count(oidctest.EndpointJWKS); n != 1+3 {
			t.Errorf("%d fetches after 20 unknown keys, want 4", n)
		}
		r.clock.Advance(10 * time.Second)
		_, err := r.login(r.attempt())
		wantFault(t, err, fault.Upstream, oidc.ErrSignature)
		if n := r.count(oidctest.EndpointJWKS); n != 5 {
			t.Errorf("%d fetches ten seconds later, want 5", n)
		}
		r.op.Set(oidctest.Faults{})
		r.mustLogin() // the known key is not locked out
	})
	t.Run("good keys outlive an outage, for a day", func(t *testing.T) {
		r := newRig(t)
		r.mustLogin()
		r.op.Set(endpoint(oidctest.EndpointJWKS, oidctest.Drop))
		r.clock.Advance(23 * time.Hour)
		r.mustLogin()
		r.clock.Advance(2 * time.Hour)
		_, err := r.login(r.attempt())
		wantFault(t, err, fault.Upstream, oidc.ErrKeys)
	})
	t.Run("a withdrawn key is not believed for long", func(t *testing.T) {
		r := newRig(t)
		r.mustLogin()
		var old atomic.Pointer[jose.JSONWebKey]
		r.op.Set(oidctest.Faults{SignIDToken: func(key jose.JSONWebKey, payload []byte) (string, error) {
			old.Store(&key)
			return oidctest.SignHonestly(key, payload)
		}})
		r.mustLogin()
		for range 2 { // the second takes the first key out of the set
			if err := r.op.RotateKeys(); err != nil {
				t.Fatal(err)
			}
		}
		r.op.Set(oidctest.Faults{SignIDToken: func(_ jose.JSONWebKey, payload []byte) (string, error) {
			return oidctest.SignHonestly(*old.Load(), payload)
		}})
		r.clock.Advance(2 * time.Hour)
		_, err := r.login(r.attempt())
		wantFault(t, err, fault.Upstream, oidc.ErrSignature)
	})
}

func TestDiscoveryCache(t *testing.T) {
	t.Run("is refreshed after an hour, and survives an outage", func(t *testing.T) {
		r := newRig(t)
		r.mustLogin()
		r.clock.Advance(59 * time.Minute)
		r.mustLogin()
		if n := r.count(oidctest.EndpointDiscovery); n != 1 {
			t.Errorf("%d fetches within the hour", n)
		}
		r.op.Set(endpoint(oidctest.EndpointDiscovery, oidctest.Reply(503, "text/plain", "down")))
		r.clock.Advance(22 * time.Hour)
		for range 5 {
			r.mustLogin()
			r.clock.Advance(10 * time.Second)
		}
		if n := r.count(oidctest.EndpointDiscovery); n != 2 {
			t.Errorf("%d fetches, want one within the minute of the outage", n-1)
		}
		r.clock.Advance(2 * time.Hour)
		_, err := r.rp.Begin(t.Context(), r.attempt())
		wantFault(t, err, fault.Upstream, oidc.ErrDiscovery)
	})
	t.Run("is refreshed behind the back of a login", func(t *testing.T) {
		r := newRig(t)
		r.mustLogin()
		release := make(chan struct{})
		r.op.Set(endpoint(oidctest.EndpointDiscovery, oidctest.Hang(release)))
		r.clock.Advance(61 * time.Minute)
		r.begin(r.attempt()) // answers while the fetch hangs
		r.begin(r.attempt())
		close(release)
	})
	t.Run("keeps a failure for seconds, so that a dead provider is left alone", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(endpoint(oidctest.EndpointDiscovery, oidctest.Reply(503, "text/plain", "down")))
		for range 10 {
			_, err := r.rp.Begin(t.Context(), r.attempt())
			wantFault(t, err, fault.Upstream, oidc.ErrDiscovery)
		}
		if n := r.count(oidctest.EndpointDiscovery); n != 1 {
			t.Errorf("%d fetches from a dead provider", n)
		}
		r.op.Set(oidctest.Faults{})
		r.clock.Advance(5 * time.Second)
		r.mustLogin()
	})
	t.Run("a given-up request fails nobody else", func(t *testing.T) {
		r := newRig(t)
		arrived, release := make(chan struct{}), make(chan struct{})
		r.op.Set(endpoint(oidctest.EndpointDiscovery, func(honest http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				close(arrived) // a second fetch would panic here
				oidctest.Hang(release)(honest).ServeHTTP(w, req)
			})
		}))
		ctx, giveUp := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		begin := func(ctx context.Context, done chan<- error) {
			_, err := r.rp.Begin(ctx, r.attempt())
			done <- err
		}
		go begin(ctx, first)
		<-arrived
		go begin(t.Context(), second)
		giveUp()
		wantFault(t, <-first, fault.Unavailable, context.Canceled)
		close(release)
		if err := <-second; err != nil {
			t.Errorf("the other request: %v", err)
		}
	})
}

// TestSlow: each endpoint that does not answer ends the login within the client's timeout.
func TestSlow(t *testing.T) {
	for _, at := range []oidctest.Endpoint{oidctest.EndpointDiscovery, oidctest.EndpointToken, oidctest.EndpointJWKS, oidctest.EndpointUserInfo} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.http = outgoing.New(outgoing.Options{AllowPrivate: true, Timeout: time.Second})
			r.configure()
			r.op.Set(endpoint(at, oidctest.Hang(nil)))
			_, err := r.login(r.attempt())
			wantFault(t, err, fault.UpstreamTimeout, nil)
		})
	}
	t.Run("deadline of the request", func(t *testing.T) {
		r := newRig(t)
		a := r.attempt()
		resp, err := r.authorize(a)
		if err != nil {
			t.Fatal(err)
		}
		r.op.Set(endpoint(oidctest.EndpointToken, oidctest.Hang(nil)))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err = r.rp.Finish(ctx, a, resp)
		wantFault(t, err, fault.UpstreamTimeout, oidc.ErrToken)
	})
}

func TestProviderDown(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	r := newRig(t, "oidc_issuer", gone.URL)
	_, err := r.rp.Begin(t.Context(), r.attempt())
	wantFault(t, err, fault.Upstream, oidc.ErrDiscovery)
	_, err = r.rp.Finish(t.Context(), r.attempt(), federation.Response{Query: map[string][]string{"state": {state}, "code": {"c"}}})
	wantFault(t, err, fault.Upstream, oidc.ErrDiscovery)
}
