package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/token"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that a test moves.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(epoch.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// counted counts the calls that reach an engine.
type counted struct {
	store.Engine
	gets, puts, others atomic.Int64
}

func (c *counted) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	c.gets.Add(1)
	return c.Engine.Get(ctx, kind, key)
}

func (c *counted) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	c.puts.Add(1)
	return c.Engine.Put(ctx, kind, d)
}

func (c *counted) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	c.others.Add(1)
	return c.Engine.Take(ctx, kind, key)
}

func (c *counted) Delete(ctx context.Context, kind, key string) error {
	c.others.Add(1)
	return c.Engine.Delete(ctx, kind, key)
}

// writes returns the number of Put, Take and Delete since the last call.
func (c *counted) writes() int64 { return c.puts.Swap(0) + c.others.Swap(0) }

// world is a pool with a client and a user, and everything of the package around them.
type world struct {
	clock  *clock
	engine *counted
	ring   *secret.Ring
	keys   *token.Keys
	issuer *token.Issuer
	grants *token.Grants
	pool   pool.Pool
	client pool.Client
	user   pool.User
}

const baseURL = "https://login.example.com"

func newWorld(t testing.TB, alg string) *world {
	t.Helper()
	w := &world{clock: newClock(), ring: newRing(t)}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.engine = &counted{Engine: db}
	w.keys = w.node()
	w.issuer = &token.Issuer{Keys: w.keys, BaseURL: baseURL, Now: w.clock.Now}
	w.grants = &token.Grants{Engine: w.engine, Ring: w.ring, Now: w.clock.Now}
	w.pool = pool.Pool{ID: "local_Example01", SigningAlgorithm: alg}
	w.client = pool.Client{
		ID: "exampleclient0000000000001", PoolID: w.pool.ID, Secrets: []pool.ClientSecret{{Value: secret.New("s3cret")}},
		IDTokenValidity: time.Hour, AccessTokenValidity: time.Hour, RefreshTokenValidity: 30 * 24 * time.Hour,
		EnableTokenRevocation: true,
	}
	w.user = pool.User{
		PoolID: w.pool.ID, Sub: "5b7a4c1e-0f6d-4a52-9a0a-6f6d6f1f2b3c", Username: "Corp_Ada", Enabled: true,
		Attributes: map[string]string{
			"email": "ada@example.com", "email_verified": "true", "name": "Ada <Lovelace>", "given_name": "Ada",
			"phone_number": "+441234567", "address": "12 St James's Square\nLondon", "updated_at": "1767225600",
			"custom:department": "Engines", "birthdate": "1815-12-10",
		},
		Identities: []pool.LinkedIdentity{
			{Provider: "Corp", ProviderType: "OIDC", Issuer: "https://idp.example.com", Subject: "Ada", Primary: true, Created: epoch.Add(-time.Hour)},
			{Provider: "Facebook", ProviderType: "Facebook", Subject: "4711", Created: epoch.Add(-time.Minute)},
		},
	}
	return w
}

// node returns the keys as another process sees them: the same store, a cache of its own.
func (w *world) node() *token.Keys {
	return &token.Keys{Engine: w.engine, Ring: w.ring, Now: w.clock.Now}
}

const (
	redirectURI = "https://app.example.com/callback"
	// verifier and challenge are those of RFC 7636 appendix B.
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// request is a grant as the broker would start it.
func (w *world) request() token.Grant {
	return token.Grant{
		PoolID: w.pool.ID, ClientID: w.client.ID, Sub: w.user.Sub,
		Provider: "Corp", Subject: "Ada", SessionIndex: "upstream-1", Principal: "ada@corp", RedirectURI: redirectURI,
		Scopes: []string{"openid"}, Nonce: "n-0S6_WzA2Mj", CodeChallenge: challenge,
		AuthTime: epoch.Add(-10 * time.Second), EventID: "3f3c9b0e-5c3e-4d57-8f0e-2d2c8d0b8a11",
	}
}

func (w *world) spend() token.Spend {
	return token.Spend{ClientID: w.client.ID, RedirectURI: redirectURI, Verifier: verifier, RefreshValidity: w.client.RefreshTokenValidity}
}

// start starts a grant and returns its code.
func (w *world) start(t testing.TB, in token.Grant) (string, token.Grant) {
	t.Helper()
	code, g, err := w.grants.Start(t.Context(), in, token.Lifetimes{})
	if err != nil {
		t.Fatal(err)
	}
	return code, g
}

// login returns a grant whose code is spent, and its refresh token.
func (w *world) login(t testing.TB) (token.Grant, string) {
	t.Helper()
	code, _ := w.start(t, w.request())
	g, refresh, err := w.grants.Spend(t.Context(), code, w.spend())
	if err != nil {
		t.Fatal(err)
	}
	return g, refresh
}

func (w *world) mint(t testing.TB, g token.Grant) token.Tokens {
	t.Helper()
	out, err := w.issuer.Mint(t.Context(), token.Mint{Pool: w.pool, Client: w.client, User: w.user, Grant: g})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newRing(t testing.TB) *secret.Ring {
	t.Helper()
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// wantErr fails unless err is that error.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// part decodes a part of a compact token: 0 is the header, 1 the claims.
func part(t testing.TB, compact string, n int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// golden compares a value's JSON with a file, or writes it with -update.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, name); string(got) != string(want) {
		t.Errorf("%s differs; run with -update after a look at it\ngot:\n%s\nwant:\n%s", name, got, want)
	}
}

// together runs f n times at once and returns the errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(1)
	for i := range n {
		done.Go(func() {
			ready.Wait()
			errs[i] = f(i)
		})
	}
	ready.Done()
	done.Wait()
	return errs
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// second is the error of a call that returns something else as well.
func second[T any](_ T, err error) error { return err }
