package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// cacheAge is how old what a node remembers of the directory and of keys may be.
const cacheAge = 5 * time.Second

// balancer sends each request to the next node, as a load balancer without stickiness does. Requests to others go their way.
type balancer struct {
	nodes []http.RoundTripper

	mu   sync.Mutex
	next int
	sent map[int]int
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	b.mu.Lock()
	to := b.next % len(b.nodes)
	if net.ParseIP(req.URL.Hostname()) == nil { // addresses in digits are others'
		b.next++
		b.sent[to]++
	}
	b.mu.Unlock()
	return b.nodes[to].RoundTrip(req)
}

// cluster is a number of nodes on one store behind a balancer.
type cluster struct {
	*servertest.Weir
	nodes    []*servertest.Weir
	balancer *balancer
}

// clustered adds nodes to the first one, whose clocks are so far ahead of its.
func clustered(t *testing.T, first *servertest.Weir, ahead ...time.Duration) *cluster {
	t.Helper()
	c := &cluster{Weir: first, nodes: []*servertest.Weir{first}, balancer: &balancer{sent: map[int]int{}}}
	for _, d := range ahead {
		clock := servertest.NewClock()
		clock.Advance(first.Clock.Now().Sub(clock.Now()) + d)
		c.nodes = append(c.nodes, servertest.Start(t, servertest.Options{Beside: first, Clock: clock}))
	}
	for _, w := range c.nodes {
		c.balancer.nodes = append(c.balancer.nodes, w.Transport())
	}
	return c
}

// pass lets time pass everywhere.
func (c *cluster) pass(d time.Duration) {
	for _, w := range c.nodes {
		w.Clock.Advance(d)
	}
}

func (c *cluster) browser() *servertest.Browser {
	b := c.Browser()
	b.Transport = c.balancer
	return b
}

func (c *cluster) app(a *servertest.App) *servertest.App {
	a.HTTP = &http.Client{Transport: c.balancer, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return a
}

// at is the browser's next visit through that node alone.
func at(b *servertest.Browser, w *servertest.Weir) *servertest.Browser {
	other := w.Browser()
	other.Jar = b.Jar
	return other
}

// Whole days of people whose every request meets another node than the one before: sign-in, single sign-on, tokens, rotation, sign-out.
func TestEveryRequestOnAnotherNode(t *testing.T) {
	rotating := func(o *servertest.Options) {
		o.Spec.UserPools[0].Clients[0].RefreshTokenRotation = &pool.RefreshRotation{Feature: "ENABLED"}
	}
	for name, start := range map[string]func() (*servertest.Weir, servertest.Upstream){
		"OIDC": func() (*servertest.Weir, servertest.Upstream) {
			w, _ := servertest.StartExample(t, rotating)
			return w, ada
		},
		"SAML": func() (*servertest.Weir, servertest.Upstream) {
			w, _ := servertest.StartSAML(t, rotating)
			return w, servertest.AsSAML("ada")
		},
	} {
		for _, ahead := range [][]time.Duration{{0}, {0, 0}, {-5 * time.Second, -2 * time.Second}} { // applications go by the clock that is ahead
			t.Run(fmt.Sprintf("%s, more nodes ahead by %v", name, ahead), func(t *testing.T) {
				w, who := start()
				c := clustered(t, w, ahead...)
				for range 3 { // begun at each of them
					day(t, c, who)
					c.balancer.next++
				}
				for i := range c.nodes {
					if c.balancer.sent[i] < 10 {
						t.Errorf("node %d was sent %d requests", i, c.balancer.sent[i])
					}
				}
			})
		}
	}
}

func day(t *testing.T, c *cluster, who servertest.Upstream) {
	t.Helper()
	web, spa, b := c.app(c.Web()), c.app(c.SPA()), c.browser()
	first := web.Login(b, who)
	claims := web.Claims(first.Text("id_token"))
	sso := spa.Tokens(b.Get(spa.Authorize("prompt", "none")))
	if got := spa.Claims(sso.Text("id_token"))["sub"]; got != claims["sub"] {
		t.Errorf("single sign-on of %v, signed in was %v", got, claims["sub"])
	}
	if ans := web.UserInfo(first.Text("access_token")); ans.Text("sub") != claims["sub"] {
		t.Errorf("userinfo: %d %s", ans.Status, ans.Body)
	}
	old, refresh := first.Text("refresh_token"), first.Text("refresh_token")
	for range 4 {
		c.pass(time.Minute)
		ans := web.Refresh(refresh)
		if ans.Status != http.StatusOK {
			t.Fatalf("refresh: %d %s", ans.Status, ans.Body)
		}
		web.Claims(ans.Text("access_token"))
		if next := ans.Text("refresh_token"); next != "" {
			refresh = next
		}
	}
	if refresh == old {
		t.Error("the refresh token was not rotated: the test shows less than it says")
	}
	if ans := web.Refresh(old); ans.Status != http.StatusBadRequest {
		t.Errorf("a refresh token used again on another node: %d %s", ans.Status, ans.Body)
	}
	if ans := web.Refresh(refresh); ans.Status != http.StatusBadRequest {
		t.Errorf("the family of it goes on: %d %s", ans.Status, ans.Body)
	}
	token := sso.Text("refresh_token")
	if ans := spa.Post("/oauth2/revoke", url.Values{"token": {token}}); ans.Status != http.StatusOK {
		t.Errorf("revoke: %d %s", ans.Status, ans.Body)
	}
	if ans := spa.Refresh(token); ans.Status != http.StatusBadRequest {
		t.Errorf("a revoked token: %d %s", ans.Status, ans.Body)
	}
	b.Get("/logout?" + url.Values{"client_id": {web.ClientID}, "logout_uri": {servertest.LogoutURI}}.Encode())
	if p := b.Get(spa.Authorize("prompt", "none")); p.Location == nil || p.Location.Query().Get("error") != "login_required" {
		t.Errorf("after the sign-out: %d %v", p.Status, p.Location)
	}
}

// What is used once is used once by all nodes together, at the same time too.
func TestACodeIsSpentOnAllNodes(t *testing.T) {
	w, _ := servertest.StartExample(t)
	c := clustered(t, w, 0, 0)
	code := c.Web().Code(c.browser().SignIn(c.Web().Authorize(), ada))
	const n = 12
	answers := make(chan *servertest.Answer, n)
	for i := range n {
		app := c.nodes[i%len(c.nodes)].Web()
		go func() { answers <- app.Redeem(code) }()
	}
	won := 0
	for range n {
		if ans := <-answers; ans.Status == http.StatusOK {
			won++
		} else if ans.Text("error") != "invalid_grant" {
			t.Errorf("%d %s", ans.Status, ans.Body)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d redemptions won", won, n)
	}
}

// What one node changed another one has learned after five seconds, whatever it remembered before.
func TestWhatAnotherNodeChanged(t *testing.T) {
	gone := func(err error) bool { return fault.CodeOf(err) == fault.NotFound }
	for name, tt := range map[string]struct {
		change func(ctx context.Context, d *pool.Directory) error
		known  func(ctx context.Context, w *servertest.Weir) bool // whether w knows
	}{
		"a provider is deleted": {
			func(ctx context.Context, d *pool.Directory) error {
				return d.DeleteProvider(ctx, servertest.PoolID, "Corp")
			},
			func(ctx context.Context, w *servertest.Weir) bool {
				_, err := w.Directory.Provider(ctx, servertest.PoolID, "Corp")
				_, ident := w.Directory.ProviderByIdentifier(ctx, servertest.PoolID, "corp.example")
				all, list := w.Directory.Providers(ctx, servertest.PoolID)
				return gone(err) && gone(ident) && list == nil && len(all) == 0
			},
		},
		"a provider is changed": {
			func(ctx context.Context, d *pool.Directory) error {
				ip, err := d.Provider(ctx, servertest.PoolID, "Corp")
				if err == nil {
					ip.Details["client_id"] = secret.New("changed")
					_, err = d.UpdateProvider(ctx, ip)
				}
				return err
			},
			func(ctx context.Context, w *servertest.Weir) bool {
				p := w.Browser().Get(w.Web().Authorize()) // the provider as it was made of the configuration
				return p.Location != nil && p.Location.Query().Get("client_id") == "changed"
			},
		},
		"a client is deleted": {
			func(ctx context.Context, d *pool.Directory) error {
				return d.DeleteClient(ctx, servertest.PoolID, servertest.WebClient)
			},
			func(ctx context.Context, w *servertest.Weir) bool {
				_, err := w.Directory.Client(ctx, servertest.WebClient)
				return gone(err) && w.Web().Redeem("x").Status == http.StatusUnauthorized
			},
		},
		"a callback address is taken away": {
			func(ctx context.Context, d *pool.Directory) error {
				c, err := d.Client(ctx, servertest.WebClient)
				if err == nil {
					c.CallbackURLs = []string{"https://app.example.com/other"}
					_, err = d.UpdateClient(ctx, c)
				}
				return err
			},
			func(_ context.Context, w *servertest.Weir) bool {
				return w.Browser().Get(w.Web().Authorize()).Status == http.StatusBadRequest
			},
		},
		"a domain is taken away": {
			func(ctx context.Context, d *pool.Directory) error {
				return d.DeleteDomain(ctx, servertest.PoolID, "acme")
			},
			func(ctx context.Context, w *servertest.Weir) bool {
				_, err := w.Directory.PoolByDomain(ctx, "acme")
				return gone(err)
			},
		},
		"a pool is deleted": {
			func(ctx context.Context, d *pool.Directory) error { return d.DeletePool(ctx, servertest.PoolID) },
			func(ctx context.Context, w *servertest.Weir) bool {
				_, err := w.Directory.Pool(ctx, servertest.PoolID)
				_, client := w.Directory.Client(ctx, servertest.WebClient)
				return gone(err) && gone(client)
			},
		},
		"a group is deleted": {
			func(ctx context.Context, d *pool.Directory) error {
				return d.DeleteGroup(ctx, servertest.PoolID, "admins")
			},
			func(ctx context.Context, w *servertest.Weir) bool {
				u, err := w.Directory.UserByUsername(ctx, servertest.PoolID, "Corp_ada-0001")
				if err != nil {
					return false
				}
				names, err := w.Directory.GroupsOf(ctx, u)
				return err == nil && len(names) == 0
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.StartExample(t)
			other := servertest.Start(t, servertest.Options{Beside: w})
			w.Web().Login(w.Browser(), ada)
			member(t, w)
			if tt.known(t.Context(), other) { // and what it has just looked up it remembers
				t.Fatal("known before the change")
			}
			if err := tt.change(t.Context(), w.Directory); err != nil {
				t.Fatal(err)
			}
			if !tt.known(t.Context(), w) {
				t.Error("the node that changed it does not know at once")
			}
			w.Clock.Advance(cacheAge)
			if !tt.known(t.Context(), other) {
				t.Error("the other node does not know after five seconds")
			}
		})
	}
}

func member(t *testing.T, w *servertest.Weir) {
	t.Helper()
	u, err := w.Directory.UserByUsername(t.Context(), servertest.PoolID, "Corp_ada-0001")
	if err == nil {
		_, err = w.Directory.CreateGroup(t.Context(), pool.Group{PoolID: servertest.PoolID, Name: "admins"})
	}
	if err == nil {
		err = w.Directory.AddToGroup(t.Context(), servertest.PoolID, u.Sub, "admins")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A provider that one node deleted, or people that it disabled, while somebody is signing in through another one.
func TestDeletedOnOneNodeUsedOnAnother(t *testing.T) {
	t.Run("a provider", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		other := servertest.Start(t, servertest.Options{Beside: w})
		app, b := other.Web(), other.Browser()
		app.Login(other.Browser(), ada) // the other node knows it well
		req := b.ToCallback(app.Authorize(), ada)
		if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Corp"); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(cacheAge)
		if p := b.Do(req); p.Location == nil || p.Location.Query().Get("code") != "" || p.Location.Query().Get("error") == "" {
			t.Errorf("%d %v", p.Status, p.Location)
		}
	})
	t.Run("a person: at once", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		other := servertest.Start(t, servertest.Options{Beside: w})
		ans := other.Web().Login(other.Browser(), ada)
		sub, _ := other.Web().Claims(ans.Text("id_token"))["sub"].(string)
		if _, err := w.Directory.UpdateUser(t.Context(), servertest.PoolID, sub, func(u *pool.User) error { u.Enabled = false; return nil }); err != nil {
			t.Fatal(err)
		}
		if got := other.Web().Refresh(ans.Text("refresh_token")); got.Status != http.StatusBadRequest {
			t.Errorf("refresh: %d %s", got.Status, got.Body)
		}
		if got := other.Web().UserInfo(ans.Text("access_token")); got.Status == http.StatusOK {
			t.Errorf("userinfo: %d %s", got.Status, got.Body)
		}
	})
	t.Run("a session", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		other := servertest.Start(t, servertest.Options{Beside: w})
		b := w.Browser()
		w.Web().Login(b, ada)
		w.Web().Code(at(b, other).Get(w.Web().Authorize("prompt", "none")))
		at(b, other).Get("/logout?client_id=" + servertest.WebClient)
		if p := b.Get(w.Web().Authorize("prompt", "none")); p.Location == nil || p.Location.Query().Get("error") != "login_required" {
			t.Errorf("%d %v", p.Status, p.Location)
		}
	})
}

// kid names the key that signed a token.
func kid(t *testing.T, raw string) string {
	t.Helper()
	tok, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return tok.Headers[0].KeyID
}

// Keys that one node announced are published by all long before any node signs with them, and all begin together.
func TestKeysOfAnotherNode(t *testing.T) {
	w, _ := servertest.StartExample(t)
	other := servertest.Start(t, servertest.Options{Beside: w})
	p, err := w.Directory.Pool(t.Context(), servertest.PoolID)
	if err != nil {
		t.Fatal(err)
	}
	set := func(w *servertest.Weir) map[string]bool {
		t.Helper()
		all, _, err := w.Keys.JWKS(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		kids := map[string]bool{}
		for _, k := range all.Keys {
			kids[k.KeyID] = true
		}
		return kids
	}
	sign := func(w *servertest.Weir) string {
		t.Helper()
		return kid(t, w.Web().Login(w.Browser(), ada).Text("id_token"))
	}
	old := sign(w)
	if got := sign(other); got != old {
		t.Errorf("the nodes sign with %s and %s", old, got)
	}
	from, err := w.Keys.Rotate(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set(w)); n != 4 {
		t.Errorf("%d keys are published where they were announced, want 4", n)
	}
	w.Clock.Advance(cacheAge)
	announced := set(other)
	if len(announced) != 4 {
		t.Errorf("%d keys are published on the other node after five seconds, want 4", len(announced))
	}
	if w.Clock.Advance(from.Sub(w.Clock.Now()) - time.Second); sign(w) != old || sign(other) != old {
		t.Error("a node signs with new keys before their time")
	}
	w.Clock.Advance(time.Second)
	for name, got := range map[string]string{"the node that announced": sign(w), "the other one": sign(other)} {
		if got == old || !announced[got] {
			t.Errorf("%s signs with %s, which was not announced", name, got)
		}
	}
	if sign(w) != sign(other) {
		t.Error("the nodes sign with different keys")
	}
}

func TestSAMLKeysOfAnotherNode(t *testing.T) {
	w, up := servertest.StartSAML(t)
	other := servertest.Start(t, servertest.Options{Beside: w})
	certificates := func(w *servertest.Weir) int {
		t.Helper()
		sp, err := samltest.FromMetadata([]byte(w.Browser().Get(servertest.MetadataAt(servertest.PoolID, "Corp")).Body))
		if err != nil {
			t.Fatal(err)
		}
		return len(sp.Certificates)
	}
	if a, b := certificates(w), certificates(other); a != 1 || b != 1 {
		t.Fatalf("%d and %d signing certificates", a, b)
	}
	from, err := w.SAMLKeys.Rotate(t.Context(), servertest.PoolID)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(cacheAge)
	if n := certificates(other); n != 2 {
		t.Errorf("the other node shows %d signing certificates after five seconds, want 2", n)
	}
	other.Trust(up, servertest.PoolID, "Corp") // as an identity provider does that looks once a day
	w.Clock.Advance(from.Sub(w.Clock.Now()))
	for _, node := range []*servertest.Weir{w, other} {
		node.Web().Login(node.Browser(), servertest.AsSAML("ada")) // signed by the new key, and encrypted for it or the old one
	}
}

// A sealing key is handed to one node after the other: first as one that opens, then as the one that seals.
func TestSealingKeysThatAreRotated(t *testing.T) {
	oldKey, newKey := secret.GenerateKey(), secret.GenerateKey()
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.SealingKeys = []string{oldKey} })
	both := servertest.Start(t, servertest.Options{Beside: w, SealingKeys: []string{newKey, oldKey}})
	ready := servertest.Start(t, servertest.Options{Beside: w, SealingKeys: []string{oldKey, newKey}})
	b := both.Browser()
	req := b.ToCallback(both.Web().Authorize(), ada)
	page := at(b, ready).Do(req) // opens what the new key sealed, and seals with the old one
	ans := both.Web().Tokens(page)
	if got := ready.Web().Refresh(ans.Text("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
	if got := both.Web().Refresh(ans.Text("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
	early := both.Browser()
	req = early.ToCallback(both.Web().Authorize(), ada)
	if p := at(early, w).Do(req); p.Location != nil && p.Location.Query().Get("code") != "" {
		t.Error("a node that has not been given the key opened what it sealed")
	}
}
