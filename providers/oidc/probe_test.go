package oidc_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// probed asks a provider with these details over the usual ones, and returns what it has to say. private is outgoing.Options.AllowPrivate.
func probed(t *testing.T, private bool, pairs ...string) string {
	t.Helper()
	d := pool.Details{"client_id": secret.New("weir"), "client_secret": secret.New("s3cret")}
	for i := 0; i+1 < len(pairs); i += 2 {
		d[pairs[i]] = secret.New(pairs[i+1])
	}
	// The details may name what the client then refuses to call, as a name does that leads to a private address.
	p, err := oidc.New(pool.IdentityProvider{Name: "Corp", Type: "OIDC", Details: d}, oidc.Options{
		HTTP: outgoing.New(outgoing.Options{AllowPrivate: private, Timeout: time.Second}), AllowPrivate: true, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	faults := p.Probe(t.Context())
	if len(faults) == 0 {
		return ""
	}
	if len(faults) > 1 || faults[0].Key != "oidc_issuer" {
		t.Fatalf("faults %v", faults)
	}
	return faults[0].Problem
}

func TestProbe(t *testing.T) {
	up := oidctest.Start(t, oidctest.Config{Now: time.Now})
	const hidden = "the database password is hunter2"
	answers := func(status int, body func(base string) string) string {
		var srv *httptest.Server
		srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body(srv.URL)))
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	text := func(s string) func(string) string { return func(string) string { return s } }
	for name, c := range map[string]struct {
		issuer  string
		private bool
		more    []string
		want    string // "": nothing is wrong
	}{
		"a provider that is up":     {up.Issuer(), true, nil, ""},
		"all endpoints by hand":     {"http://127.0.0.1:1", true, []string{"authorize_url", "http://127.0.0.1:1/a", "token_url", "http://127.0.0.1:1/t", "attributes_url", "http://127.0.0.1:1/u", "jwks_uri", "http://127.0.0.1:1/k"}, ""},
		"some endpoints by hand":    {"http://127.0.0.1:1", true, []string{"authorize_url", "http://127.0.0.1:1/a"}, "127.0.0.1 could not be reached"},
		"nobody":                    {"http://127.0.0.1:1", true, nil, "127.0.0.1 could not be reached"},
		"a private address":         {up.Issuer(), false, nil, "127.0.0.1 is not an address that may be called"},
		"another issuer":            {answers(200, text(`{"issuer":"https://`+hidden+`"}`)), true, nil, "the discovery document at 127.0.0.1 is another issuer's"},
		"the issuer with a slash":   {up.Issuer() + "/", true, nil, "the discovery document at 127.0.0.1 is another issuer's"},
		"no endpoints":              {answers(200, func(base string) string { return fmt.Sprintf(`{"issuer":%q}`, base) }), true, nil, "the discovery document at 127.0.0.1 lacks an endpoint"},
		"no document":               {answers(404, text(hidden)), true, nil, "127.0.0.1 has no discovery document that can be used"},
		"something else":            {answers(200, text(hidden)), true, nil, "127.0.0.1 has no discovery document that can be used"},
		"an answer that is endless": {answers(200, text(strings.Repeat(hidden, 1<<18))), true, nil, "127.0.0.1 gave an answer that is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			got := probed(t, c.private, append([]string{"oidc_issuer", c.issuer}, c.more...)...)
			if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("says %q, want %q", got, c.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("tells what answered: %q", got)
			}
		})
	}
}
