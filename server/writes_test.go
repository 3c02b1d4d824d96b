package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/servertest"
)

var ada = servertest.As("ada")

// What a login costs in durable writes, counted at the store from authorize to tokens.
func TestDurableWrites(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, spa := w.Web(), w.SPA()
	b := w.Browser()
	web.Login(b, ada) // makes the user and the pool's keys
	for name, tt := range map[string]struct {
		login func()
		want  string
	}{
		"a returning user's login: the grant, and the code spent":                 {func() { web.Login(w.Browser(), ada) }, "grant 2"},
		"the same in a browser with a session that is too old":                    {func() { web.Login(b, ada, "max_age", "0") }, "grant 2"},
		"single sign-on: the same":                                                {func() { spa.Tokens(b.Get(spa.Authorize())) }, "grant 2"},
		"a first login: the user too":                                             {func() { web.Login(w.Browser(), servertest.As("bob")) }, "grant 2, user 1"},
		"a sign-in that is cancelled: its trace, and one write more for every 32": {func() { w.Browser().SignIn(web.Authorize(), servertest.Cancel) }, "trace 1, trace_turn 1"},
		"a sign-in that is never finished":                                        {func() { w.Browser().ToCallback(web.Authorize(), ada) }, ""},
		"a refused request":                                                       {func() { w.Browser().Get(web.Authorize("scope", "x")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.Clock.Advance(time.Second)
			w.Engine.Reset()
			tt.login()
			if got := w.Engine.Written(); got != tt.want {
				t.Errorf("written: %q, want %q", got, tt.want)
			}
		})
	}
}

// Where the provider's tokens are kept, a login costs one write more.
func TestDurableWritesWhereTokensAreKept(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["keep_tokens"] = secret.New("true")
	})
	web, b := w.Web(), w.Browser()
	web.Login(b, ada)
	for name, tt := range map[string]struct {
		login func()
		want  string
	}{
		"a returning user's login":        {func() { web.Login(w.Browser(), ada) }, "grant 2, upstream_tokens 1"},
		"single sign-on asks no provider": {func() { web.Tokens(b.Get(web.Authorize())) }, "grant 2"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Engine.Reset()
			tt.login()
			if got := w.Engine.Written(); got != tt.want {
				t.Errorf("written: %q, want %q", got, tt.want)
			}
		})
	}
}

// Where the provider's assertions are kept, a sign-in there costs one write more, beside the others.
func TestDurableWritesWhereAssertionsAreKept(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["keep_assertions"] = secret.New("2")
	})
	web, b := w.Web(), w.Browser()
	web.Login(b, ada)
	for name, tt := range map[string]struct {
		login func()
		want  string
	}{
		"a returning user's login":        {func() { web.Login(w.Browser(), ada) }, "assertion 1, grant 2"},
		"single sign-on asks no provider": {func() { web.Tokens(b.Get(web.Authorize())) }, "grant 2"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				w.Engine.Reset()
				tt.login()
				if got := w.Engine.Written(); got != tt.want {
					t.Errorf("written: %q, want %q", got, tt.want)
				}
			}
		})
	}
}

// 50 browsers sign the same person in at once, for the first time: one user.
func TestParallelFirstLogins(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app := w.Web()
	const n = 50
	pages, errs := make(chan *servertest.Page, n), make(chan error, n)
	for range n {
		b := w.Browser()
		go func() {
			p, err := b.TrySignIn(t.Context(), app.Authorize(), ada)
			pages <- p
			errs <- err
		}()
	}
	subs, created := map[any]int{}, 0
	for range n {
		p := <-pages
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		subs[app.Claims(app.Tokens(p).Text("id_token"))["sub"]]++
	}
	for _, r := range w.Log.Records("msg", "login.finished") {
		if r["created"] == true {
			created++
		}
	}
	users, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 10)
	if err != nil || len(users) != 1 || len(subs) != 1 || created != 1 {
		t.Errorf("%d users, %d subs, %d times created, %v", len(users), len(subs), created, err)
	}
}

// Many racers with one code: at most one gets tokens, and in the end nobody has any.
func TestParallelRedemptions(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app := w.Web()
	for round := range 5 {
		code := app.Code(w.Browser().SignIn(app.Authorize(), ada))
		const n = 8
		type result struct {
			grant token.Grant
			err   error
		}
		results := make(chan result, n)
		for range n {
			go func() {
				g, _, err := w.Grants.Spend(t.Context(), code, token.Spend{ClientID: app.ClientID, RedirectURI: app.RedirectURI, Verifier: servertest.Verifier})
				results <- result{g, err}
			}()
		}
		won := 0
		for range n {
			if r := <-results; r.err == nil {
				won++
			}
		}
		ans := app.Redeem(code)
		if won != 1 || ans.Status != http.StatusBadRequest || ans.Text("error") != "invalid_grant" {
			t.Errorf("round %d: %d winners, then %s", round, won, ans.Body)
		}
	}
}

func BenchmarkSingleSignOn(b *testing.B) {
	w, _ := servertest.StartExample(b)
	app, browser := w.Web(), w.Browser()
	app.Login(browser, ada)
	for b.Loop() {
		app.Tokens(browser.Get(app.Authorize()))
	}
}
