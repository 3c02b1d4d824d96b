package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// keeping makes Corp keep tokens, which it gives to the web client. pairs are details over that; an empty value takes one away.
func keeping(pairs ...string) func(*servertest.Options) {
	return func(o *servertest.Options) {
		d := o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails
		pairs = append([]string{"keep_tokens", "true", "token_clients", servertest.WebClient, "authorize_scopes", "openid email profile offline_access"}, pairs...)
		for i := 0; i < len(pairs); i += 2 {
			d[pairs[i]] = secret.New(pairs[i+1])
			if pairs[i+1] == "" {
				delete(d, pairs[i])
			}
		}
	}
}

// upstreamToken asks for the token of a provider.
func upstreamToken(app *servertest.App, access, provider string) *servertest.Answer {
	path := "/oauth2/upstreamToken"
	if provider != "" {
		path += "?" + url.Values{"identity_provider": {provider}}.Encode()
	}
	req := app.NewRequest(http.MethodGet, path, nil)
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	return app.Send(req)
}

// works reports whether a token is good at the provider.
func works(t *testing.T, app *servertest.App, up *oidctest.Provider, access string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, up.Issuer()+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	return app.Send(req).Status == http.StatusOK
}

func subOf(app *servertest.App, ans *servertest.Answer) string {
	sub, _ := app.Claims(ans.Text("access_token"))["sub"].(string)
	return sub
}

func TestUpstreamToken(t *testing.T) {
	w, up := servertest.StartExample(t, keeping())
	web := w.Web()
	ans := web.Login(w.Browser(), ada)
	w.Events.Take()
	got := upstreamToken(web, ans.Text("access_token"), "Corp")
	if got.Status != http.StatusOK || got.Text("token_type") != "Bearer" || got.JSON["expires_in"] != 3600.0 || got.Text("identity_provider") != "Corp" ||
		got.Text("scope") != "openid email profile offline_access" || len(got.JSON) != 5 {
		t.Fatalf("answer %d %s", got.Status, got.Body)
	}
	if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", got.Header)
	}
	first := got.Text("access_token")
	if !works(t, web, up, first) {
		t.Error("the token is of no use at the provider")
	}
	event := audit.UpstreamToken{Pool: servertest.PoolID, Client: web.ClientID, Sub: subOf(web, ans), Provider: "Corp"}
	if ev := w.Events.Take(); len(ev) != 1 || ev[0] != event {
		t.Errorf("events %v", ev)
	}

	t.Run("refreshed on demand", func(t *testing.T) {
		w.Clock.Advance(59*time.Minute + time.Second)
		got := upstreamToken(web, ans.Text("access_token"), "Corp")
		if got.Status != http.StatusOK || got.Text("access_token") == first || got.JSON["expires_in"] != 3600.0 || !works(t, web, up, got.Text("access_token")) {
			t.Fatalf("answer %d %s", got.Status, got.Body)
		}
		event.Refreshed = true
		if ev := w.Events.Take(); len(ev) != 1 || ev[0] != event {
			t.Errorf("events %v", ev)
		}
	})
	t.Run("by many at once, also after the provider replaced the refresh token", func(t *testing.T) {
		w.Clock.Advance(time.Hour)
		later := web.Refresh(ans.Text("refresh_token")).Text("access_token")
		up.Forget()
		tokens := make([]string, 32)
		var wg sync.WaitGroup
		for i := range tokens {
			wg.Go(func() { tokens[i] = upstreamToken(web, later, "Corp").Text("access_token") })
		}
		wg.Wait()
		for _, token := range tokens {
			if token == "" || token != tokens[0] {
				t.Fatalf("tokens %q", tokens)
			}
		}
		if n := len(up.Requests(oidctest.EndpointToken)); n != 1 {
			t.Errorf("%d refreshes at the provider", n)
		}
		if !works(t, web, up, tokens[0]) {
			t.Error("the token is of no use at the provider")
		}
	})
}

func TestUpstreamTokenRefusals(t *testing.T) {
	w, _ := servertest.StartExample(t, keeping(), func(o *servertest.Options) {
		o.Spec = servertest.WithOther(o.Spec, o.Spec.UserPools[0].IdentityProviders[0])
	})
	web, spa := w.Web(), w.SPA()
	ans, spaAns := web.Login(w.Browser(), ada), spa.Login(w.Browser(), ada)
	otherAns := w.Other().Login(w.Browser(), ada)
	access := ans.Text("access_token")
	for name, tt := range map[string]struct {
		access, provider string
		status           int
		code             string
	}{
		"no token":                         {"", "Corp", 401, ""},
		"no JWT":                           {"x", "Corp", 401, "invalid_token"},
		"an ID token":                      {ans.Text("id_token"), "Corp", 401, "invalid_token"},
		"a refresh token":                  {ans.Text("refresh_token"), "Corp", 401, "invalid_token"},
		"a client that is not named":       {spaAns.Text("access_token"), "Corp", 403, "unauthorized_client"},
		"a client of another pool":         {otherAns.Text("access_token"), "Corp", 403, "unauthorized_client"},
		"no provider":                      {access, "", 400, "invalid_request"},
		"an unknown provider":              {access, "Nobody", 403, "unauthorized_client"},
		"a provider in another case":       {access, "corp", 403, "unauthorized_client"},
		"the pool's own accounts":          {access, "COGNITO", 403, "unauthorized_client"},
		"the same in order, which is good": {access, "Corp", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := upstreamToken(web, tt.access, tt.provider)
			if got.Status != tt.status || got.Text("error") != tt.code {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		})
	}
	t.Run("by POST, or with the token in the address", func(t *testing.T) {
		if got := web.Post("/oauth2/upstreamToken", url.Values{"identity_provider": {"Corp"}, "access_token": {access}}); got.Status == http.StatusOK {
			t.Errorf("answer %s", got.Body)
		}
		got := web.Send(web.NewRequest(http.MethodGet, "/oauth2/upstreamToken?identity_provider=Corp&access_token="+access, nil))
		if got.Status != http.StatusUnauthorized {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	})
	t.Run("a token of another pool at this pool's host", func(t *testing.T) {
		req := web.NewRequest(http.MethodGet, "/oauth2/upstreamToken?identity_provider=Corp", nil)
		req.Host = "other.login.test"
		req.Header.Set("Authorization", "Bearer "+access)
		if got := web.Send(req); got.Status != http.StatusUnauthorized || got.Text("error") != "invalid_token" {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	})
	t.Run("a revoked grant", func(t *testing.T) {
		if got := web.Post("/oauth2/revoke", url.Values{"token": {ans.Text("refresh_token")}}); got.Status != http.StatusOK {
			t.Fatal(got.Body)
		}
		if got := upstreamToken(web, access, "Corp"); got.Status != http.StatusUnauthorized || got.Text("error") != "invalid_token" {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	})
	t.Run("a session that ended", func(t *testing.T) {
		b := w.Browser()
		access := web.Login(b, ada).Text("access_token")
		b.Get("/logout?client_id=" + web.ClientID)
		if got := upstreamToken(web, access, "Corp"); got.Status != http.StatusUnauthorized || got.Text("error") != "invalid_token" {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	})
}

// TestUpstreamTokenIsForClientsThatCanKeepIt: a public client, and one whose tokens cannot be revoked, get none though they are named.
func TestUpstreamTokenIsForClientsThatCanKeepIt(t *testing.T) {
	off := false
	w, _ := servertest.StartExample(t, keeping("token_clients", servertest.WebClient+" "+servertest.SPAClient), func(o *servertest.Options) {
		o.Spec.UserPools[0].Clients[0].EnableTokenRevocation = &off
	})
	for _, app := range []*servertest.App{w.Web(), w.SPA()} {
		got := upstreamToken(app, app.Login(w.Browser(), ada).Text("access_token"), "Corp")
		if got.Status != http.StatusForbidden || got.Text("error") != "unauthorized_client" {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	}
	if ev := w.Log.Records("msg", "upstream.token_refused"); len(ev) != 2 {
		t.Errorf("events %v", ev)
	}
}

// TestUpstreamTokensAreNotKeptUnlessAsked, and what the configuration takes back cannot be had any more.
func TestUpstreamTokensAreNotKeptUnlessAsked(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web := w.Web()
	ans := web.Login(w.Browser(), ada)
	kept, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, subOf(web, ans))
	if err != nil || len(kept) != 0 {
		t.Errorf("%d kept, %v", len(kept), err)
	}
	if got := upstreamToken(web, ans.Text("access_token"), "Corp"); got.Status != http.StatusForbidden {
		t.Errorf("answer %d %s", got.Status, got.Body)
	}
}

func TestNothingKeptAsksForASignIn(t *testing.T) {
	w, up := servertest.StartExample(t, keeping())
	web := w.Web()
	ans := web.Login(w.Browser(), ada)
	sub := subOf(web, ans)
	access := func() string { return web.Refresh(ans.Text("refresh_token")).Text("access_token") }
	t.Run("the provider is down: later", func(t *testing.T) {
		w.Clock.Advance(time.Hour)
		up.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointToken: oidctest.Drop}})
		if got := upstreamToken(web, access(), "Corp"); got.Status != http.StatusBadGateway || got.Text("error") != "temporarily_unavailable" {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
		up.Set(oidctest.Faults{})
		if got := upstreamToken(web, access(), "Corp"); got.Status != http.StatusOK {
			t.Errorf("up again: %d %s", got.Status, got.Body)
		}
	})
	t.Run("the provider refuses: the person has to come, and nothing is kept", func(t *testing.T) {
		w.Clock.Advance(time.Hour)
		up.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
			oidctest.EndpointToken: oidctest.Reply(400, "application/json", `{"error":"invalid_grant"}`)}})
		for range 2 {
			if got := upstreamToken(web, access(), "Corp"); got.Status != http.StatusForbidden || got.Text("error") != "login_required" {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		}
		if n := len(up.Requests(oidctest.EndpointToken)); n != 4 { // the code, down, up again, refused
			t.Errorf("%d requests at the provider: a refused token was tried again", n)
		}
		kept, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub)
		if err != nil || len(kept) != 0 {
			t.Errorf("%d kept, %v", len(kept), err)
		}
	})
	t.Run("a sign-in mends it", func(t *testing.T) {
		up.Set(oidctest.Faults{})
		web.Login(w.Browser(), ada)
		if got := upstreamToken(web, access(), "Corp"); got.Status != http.StatusOK {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	})
}

// TestUpstreamTokensStayInTheStore: what is kept is in no file in the clear, and in no log.
func TestUpstreamTokensStayInTheStore(t *testing.T) {
	w, up := servertest.StartExample(t, keeping())
	web := w.Web()
	ans := web.Login(w.Browser(), ada)
	sub := subOf(web, ans)
	first := upstreamToken(web, ans.Text("access_token"), "Corp").Text("access_token")
	w.Clock.Advance(time.Hour)
	later := web.Refresh(ans.Text("refresh_token")).Text("access_token")
	second := upstreamToken(web, later, "Corp").Text("access_token")
	kept, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub)
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d kept, %v", len(kept), err)
	}
	sent := up.Requests(oidctest.EndpointToken)
	secrets := []string{first, second, kept[0].Tokens.Refresh.Reveal(), kept[0].Tokens.ID.Reveal(), sent[len(sent)-1].Params.Get("refresh_token")}
	copied := filepath.Join(t.TempDir(), "copy")
	db, ok := w.Engine.Engine.(*bolt.DB)
	if !ok {
		t.Fatalf("the store is a %T", w.Engine.Engine)
	}
	if err := db.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range secrets {
		if len(s) < 16 {
			t.Fatalf("secret %d has %d characters", i, len(s))
		}
		if strings.Contains(string(file), s) {
			t.Errorf("secret %d is in the store in the clear", i)
		}
		if strings.Contains(w.Log.Text(), s) {
			t.Errorf("secret %d is in the log", i)
		}
	}
}

// TestSignInGoesOnWithoutKeepingTokens: what cannot be kept is missing later, and keeps nobody out.
func TestSignInGoesOnWithoutKeepingTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*servertest.Weir, *oidctest.Provider)
		reason  string
	}{
		"the store is full": {func(w *servertest.Weir, _ *oidctest.Provider) { w.Engine.SetFull("upstream_tokens") }, "upstream_tokens"},
		"they are too large": {func(_ *servertest.Weir, up *oidctest.Provider) {
			up.Set(oidctest.Faults{TokenResponse: func(b map[string]any) { b["refresh_token"] = strings.Repeat("r", 33<<10) }})
		}, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := servertest.StartExample(t, keeping())
			web := w.Web()
			tt.prepare(w, up)
			ans := web.Login(w.Browser(), ada)
			ev := w.Log.Records("msg", "upstream.not_kept")
			if len(ev) != 1 || ev[0]["sub"] != subOf(web, ans) || !strings.Contains(fmt.Sprint(ev[0]["reason"]), tt.reason) {
				t.Errorf("events %v", ev)
			}
			if got := upstreamToken(web, ans.Text("access_token"), "Corp"); got.Status != http.StatusForbidden || got.Text("error") != "login_required" {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		})
	}
}
