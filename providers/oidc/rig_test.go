package oidc_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

const (
	clientID = "weir"
	theKey   = "a-s3cret"
	callback = "https://login.example.com/oauth2/idpresponse"
	subject  = "248289761001"
	nonce    = "n-0S6_WzA2Mj"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	state    = "af0ifjsldkj"
)

// clock is the time of both sides; it moves only when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// rig is a provider of ours against a real OpenID provider over HTTP.
type rig struct {
	t       *testing.T
	clock   *clock
	op      *oidctest.Provider
	http    *http.Client // ours, to the outside
	browser *http.Client
	details map[string]string
	variant oidc.Variant // plain, unless a test sets it before configure
	rp      *oidc.Provider
}

// newRig starts a provider with one client and one person. pairs are details over the usual ones; an empty value takes one away.
func newRig(t *testing.T, pairs ...string) *rig {
	t.Helper()
	c := &clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	r := &rig{t: t, clock: c, http: outgoing.New(outgoing.Options{AllowPrivate: true}), browser: &http.Client{}}
	r.op = oidctest.Start(t, oidctest.Config{
		Algorithm: jose.ES256, Now: c.Now,
		Clients: []oidctest.Client{client()},
		People: []oidctest.Person{{Username: "jane", Password: "pw", Subject: subject, Claims: map[string]any{
			"name": "Jane Doe", "email": "jane@example.com", "email_verified": true, "employee_number": 9007199254740993,
		}}},
	})
	r.details = map[string]string{"client_id": clientID, "client_secret": theKey, "oidc_issuer": r.op.Issuer(), "authorize_scopes": "openid email profile"}
	r.configure(pairs...)
	return r
}

func client() oidctest.Client {
	return oidctest.Client{ID: clientID, Secret: theKey, RedirectURIs: []string{callback}}
}

// configure makes our side anew, with nothing cached.
func (r *rig) configure(pairs ...string) {
	r.t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		r.details[pair[0]] = pair[1]
	}
	maps.DeleteFunc(r.details, func(_, v string) bool { return v == "" })
	var err error
	if r.rp, err = r.variant.New(r.config(), oidc.Options{HTTP: r.http, AllowPrivate: true, Now: r.clock.Now}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) config() pool.IdentityProvider {
	d := pool.Details{}
	for k, v := range r.details {
		d[k] = secret.New(v)
	}
	return pool.IdentityProvider{PoolID: "local_Example01", Name: "Corp", Type: "OIDC", Details: d}
}

func (r *rig) putClient(change func(*oidctest.Client)) {
	r.t.Helper()
	c := client()
	change(&c)
	if err := r.op.PutClient(c); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) attempt() federation.Attempt {
	return federation.Attempt{ID: state, PoolID: "local_Example01", Provider: "Corp", Started: r.clock.Now(),
		Nonce: nonce, Verifier: verifier, CallbackURL: callback}
}

// authorize goes from Begin to what the browser brings back.
func (r *rig) authorize(a federation.Attempt) (federation.Response, error) {
	r.t.Helper()
	ch, err := r.rp.Begin(r.t.Context(), a)
	if err != nil {
		return federation.Response{}, err
	}
	back, err := oidctest.SignIn(r.t.Context(), r.browser, ch.URL, "jane", "pw")
	if err != nil {
		return federation.Response{}, fmt.Errorf("sign in at the provider: %w", err)
	}
	return federation.Response{Method: http.MethodGet, Query: back.Params()}, nil
}

// login is a whole login.
func (r *rig) login(a federation.Attempt) (federation.Identity, error) {
	r.t.Helper()
	resp, err := r.authorize(a)
	if err != nil {
		return federation.Identity{}, err
	}
	return r.rp.Finish(r.t.Context(), a, resp)
}

// mustLogin is a login that has to succeed.
func (r *rig) mustLogin() federation.Identity {
	r.t.Helper()
	id, err := r.login(r.attempt())
	if err != nil {
		r.t.Fatalf("login: %v", err)
	}
	return id
}

// wantFault checks the two audiences of a failure.
func wantFault(t *testing.T, err error, code fault.Code, sentinel error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || f.Public == "" {
		t.Errorf("err = %v, want a %s fault", err, code)
	}
	if sentinel != nil && !errors.Is(err, sentinel) {
		t.Errorf("err = %v, want %v in it", err, sentinel)
	}
}
