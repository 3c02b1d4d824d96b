package oauth_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// A code used twice is refused, and what it gave dies with it (RFC 6749 section 4.1.2).
func TestCodeReplay(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, b := w.Web(), w.Browser()
	for name, wait := range map[string]time.Duration{"at once": 0, "after its time": time.Hour / 2} {
		t.Run(name, func(t *testing.T) {
			code := web.Code(b.SignIn(web.Authorize("prompt", "login"), ada))
			first := web.Redeem(code)
			if first.Status != http.StatusOK || web.UserInfo(first.Text("access_token")).Status != http.StatusOK {
				t.Fatalf("first use: %s", first.Body)
			}
			w.Clock.Advance(wait)
			w.Events.Take()
			refused(t, web.Redeem(code), http.StatusBadRequest, "invalid_grant", "not valid")
			refused(t, web.Redeem(code), http.StatusBadRequest, "invalid_grant", "not valid")
			refused(t, web.Refresh(first.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "not valid")
			refused(t, web.UserInfo(first.Text("access_token")), http.StatusUnauthorized, "invalid_token", "revoked")
			if got := web.Post("/oauth2/introspect", url.Values{"token": {first.Text("access_token")}}); got.JSON["active"] != false {
				t.Errorf("introspection says %s", got.Body)
			}
			if names := servertest.Names(w.Events.Take()); len(names) < 3 || names[0] != "token.refused" {
				t.Errorf("events %q", names)
			}
		})
	}
}

func TestCodeRefusals(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		c := &o.Spec.UserPools[0].Clients[0]
		c.CallbackURLs = append(c.CallbackURLs, "https://app.example.com/second")
	})
	web, spa, b := w.Web(), w.SPA(), w.Browser()
	code := func(pairs ...string) string {
		t.Helper()
		return web.Code(b.SignIn(web.Authorize(append(pairs, "prompt", "login")...), ada))
	}
	t.Run("code of another client", func(t *testing.T) {
		c := code()
		refused(t, spa.Redeem(c, "redirect_uri", web.RedirectURI), http.StatusBadRequest, "invalid_grant", "not valid")
		if ans := web.Redeem(c); ans.Status != http.StatusOK {
			t.Errorf("the attempt of a stranger cost the code: %s", ans.Body)
		}
	})
	t.Run("another redirect_uri of the same client", func(t *testing.T) {
		c := code()
		for _, uri := range []string{"https://app.example.com/second", "", web.RedirectURI + "/"} {
			refused(t, web.Redeem(c, "redirect_uri", uri), http.StatusBadRequest, "invalid_grant", "")
		}
	})
	t.Run("wrong PKCE verifier burns the code", func(t *testing.T) {
		for _, verifier := range []string{"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX", "short", servertest.Challenge(servertest.Verifier), ""} {
			c := code()
			refused(t, web.Redeem(c, "code_verifier", verifier), http.StatusBadRequest, "invalid_grant", "")
			refused(t, web.Redeem(c), http.StatusBadRequest, "invalid_grant", "")
		}
	})
	t.Run("a verifier for a code without challenge", func(t *testing.T) {
		none := []string{"code_challenge", "", "code_challenge_method", ""}
		refused(t, web.Redeem(code(none...)), http.StatusBadRequest, "invalid_grant", "")
		if ans := web.Redeem(code(none...), "code_verifier", ""); ans.Status != http.StatusOK {
			t.Errorf("without PKCE at all: %s", ans.Body)
		}
	})
	t.Run("too late", func(t *testing.T) {
		c := code()
		w.Clock.Advance(5*time.Minute - time.Second)
		late := code()
		if ans := web.Redeem(c); ans.Status != http.StatusOK {
			t.Errorf("in time: %s", ans.Body)
		}
		w.Clock.Advance(5 * time.Minute)
		refused(t, web.Redeem(late), http.StatusBadRequest, "invalid_grant", "expired")
	})
	t.Run("not a code", func(t *testing.T) {
		ans := web.Tokens(b.SignIn(web.Authorize("prompt", "login"), ada))
		for _, c := range []string{"x", ans.Text("access_token"), ans.Text("refresh_token"), code() + "A"} {
			refused(t, web.Redeem(c), http.StatusBadRequest, "invalid_grant", "not valid")
		}
		refused(t, web.Redeem(""), http.StatusBadRequest, "invalid_request", "code is required")
	})
	t.Run("the request is not one", func(t *testing.T) {
		refused(t, web.Redeem("x", "grant_type", "password"), http.StatusBadRequest, "unsupported_grant_type", "")
		refused(t, web.Redeem("x", "grant_type", ""), http.StatusBadRequest, "invalid_request", "grant_type")
		req := web.NewRequest(http.MethodPost, "/oauth2/token?grant_type=authorization_code", url.Values{"code": {"x", "y"}})
		refused(t, web.Send(req), http.StatusBadRequest, "invalid_request", "more than once")
		req = web.NewRequest(http.MethodPost, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}})
		req.Header.Set("Content-Type", "application/json")
		refused(t, web.Send(req), http.StatusBadRequest, "invalid_request", "content type")
		if ans := web.Send(web.NewRequest(http.MethodGet, "/oauth2/token?grant_type=authorization_code", nil)); ans.Status != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", ans.Status)
		}
	})
}

func TestClientAuthentication(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, spa := w.Web(), w.SPA()
	refresh := web.Login(w.Browser(), ada).Text("refresh_token")
	spaRefresh := spa.Login(w.Browser(), ada).Text("refresh_token")
	form := func(token string, pairs ...string) url.Values {
		v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	basic := func(user, pass string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
	}
	id, pw := servertest.WebClient, servertest.WebSecret
	escaped := "%65" + id[1:]
	for name, tt := range map[string]struct {
		form      url.Values
		header    string
		status    int
		code      string
		challenge bool
	}{
		"client_secret_basic":                     {form(refresh), basic(id, pw), 200, "", false},
		"client_secret_basic, url-encoded":        {form(refresh), basic(escaped, "%65"+pw[1:]), 200, "", false},
		"client_secret_basic, the scheme in case": {form(refresh), "bAsIc" + basic(id, pw)[5:], 200, "", false},
		"client_secret_basic and client_id":       {form(refresh, "client_id", id), basic(id, pw), 200, "", false},
		"client_secret_post":                      {form(refresh, "client_id", id, "client_secret", pw), "", 200, "", false},
		"public":                                  {form(spaRefresh, "client_id", servertest.SPAClient), "", 200, "", false},
		"public, with empty password":             {form(spaRefresh), basic(servertest.SPAClient, ""), 200, "", false},
		"both ways at once":                       {form(refresh, "client_id", id, "client_secret", pw), basic(id, pw), 400, "invalid_request", false},
		"another client_id in the form":           {form(refresh, "client_id", servertest.SPAClient), basic(id, pw), 400, "invalid_request", false},
		"wrong secret, basic":                     {form(refresh), basic(id, "wrong"), 401, "invalid_client", true},
		"wrong secret, post":                      {form(refresh, "client_id", id, "client_secret", "wrong"), "", 400, "invalid_client", false},
		"a secret's prefix":                       {form(refresh, "client_id", id, "client_secret", pw[:10]), "", 400, "invalid_client", false},
		"no secret":                               {form(refresh, "client_id", id), "", 400, "invalid_client", false},
		"empty secret":                            {form(refresh), basic(id, ""), 401, "invalid_client", true},
		"unknown client, basic":                   {form(refresh), basic("nobody", pw), 401, "invalid_client", true},
		"unknown client, post":                    {form(refresh, "client_id", "nobody", "client_secret", pw), "", 400, "invalid_client", false},
		"no client":                               {form(refresh), "", 400, "invalid_client", false},
		"a public client sends a secret":          {form(spaRefresh, "client_id", servertest.SPAClient, "client_secret", "x"), "", 400, "invalid_client", false},
		"a public client sends another's secret":  {form(spaRefresh, "client_id", servertest.SPAClient, "client_secret", pw), "", 400, "invalid_client", false},
		"another scheme":                          {form(refresh), "Bearer x", 401, "invalid_client", true},
		"not base64":                              {form(refresh), "Basic !", 401, "invalid_client", true},
		"no colon":                                {form(refresh), "Basic eA==", 401, "invalid_client", true},
		"a bad escape":                            {form(refresh), basic(id, "%zz"), 401, "invalid_client", true},
		"huge":                                    {form(refresh, "client_id", string(make([]byte, 20000))), "", 400, "invalid_client", false},
	} {
		t.Run(name, func(t *testing.T) {
			w.Events.Take()
			req := web.NewRequest(http.MethodPost, "/oauth2/token", tt.form)
			if tt.header != "" {
				req.Header.Set("Authorization", tt.header)
			}
			ans := web.Send(req)
			if tt.code == "" {
				if ans.Status != tt.status {
					t.Errorf("answer %d %s", ans.Status, ans.Body)
				}
				return
			}
			refused(t, ans, tt.status, tt.code, "")
			if got := ans.Header.Get("WWW-Authenticate"); tt.challenge != (got == `Basic realm="weir"`) {
				t.Errorf("challenge %q", got)
			}
			checkRefusalEvent(t, w.Events.Take(), tt.code, ans.Header.Get("X-Request-Id"))
		})
	}
	t.Run("empty parameters are none", func(t *testing.T) {
		req := web.NewRequest(http.MethodPost, "/oauth2/token", form(refresh, "client_id", "", "client_secret", "", "scope", "", "code", ""))
		req.Header.Set("Authorization", basic(id, pw))
		if ans := web.Send(req); ans.Status != http.StatusOK {
			t.Errorf("answer %d %s", ans.Status, ans.Body)
		}
	})
	t.Run("an unknown client and a wrong secret look the same", func(t *testing.T) {
		post := func(id string) *servertest.Answer {
			return web.Send(web.NewRequest(http.MethodPost, "/oauth2/token", form(refresh, "client_id", id, "client_secret", "wrong")))
		}
		a, z := post(id), post("nobody")
		strip := func(x *servertest.Answer) string {
			d := x.Text("error_description")
			return d[:len(d)-len(x.Header.Get("X-Request-Id"))-2]
		}
		if a.Status != z.Status || a.Text("error") != z.Text("error") || strip(a) != strip(z) {
			t.Errorf("%s\n%s", a.Body, z.Body)
		}
	})
}

// Secrets are any printable characters. Some clients encode them in HTTP Basic as RFC 6749 section 2.3.1 says, others do
// not, and either way of writing stands for one secret alone.
func TestClientSecretOfAnyCharacters(t *testing.T) {
	for _, pw := range []string{"a+b/c=d", "100%", "%41%2B", "a:b:c", "%zz+", `"\'<>&;,~`, "%", "+"} {
		t.Run(pw, func(t *testing.T) {
			w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.Spec.UserPools[0].Clients[0].ClientSecret = secret.New(pw) })
			app := w.App(servertest.PoolID, servertest.WebClient, pw, servertest.WebURI)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {app.Login(w.Browser(), ada).Text("refresh_token")}}
			send := func(user, pass string) *servertest.Answer {
				req := app.NewRequest(http.MethodPost, "/oauth2/token", form)
				req.SetBasicAuth(user, pass)
				return app.Send(req)
			}
			for _, written := range []string{pw, url.QueryEscape(pw), strings.ReplaceAll(url.QueryEscape(pw), "+", "%20")} {
				if ans := send(app.ClientID, written); ans.Status != http.StatusOK {
					t.Errorf("%q: %d %s", written, ans.Status, ans.Body)
				}
			}
			for _, written := range []string{pw + "%", url.QueryEscape(url.QueryEscape(pw)) + "+", "", "%00" + pw, pw + "%00"} {
				refused(t, send(app.ClientID, written), http.StatusUnauthorized, "invalid_client", "")
			}
			refused(t, send("nobody", pw), http.StatusUnauthorized, "invalid_client", "")
		})
	}
}

func checkRefusalEvent(t *testing.T, events []audit.Event, code, reference string) {
	t.Helper()
	if len(events) != 1 {
		t.Fatalf("events %v", events)
	}
	e, ok := events[0].(audit.TokenRefused)
	if !ok || e.Error != code || e.Reference != reference || e.Reason == "" || len(e.Client) > 140 {
		t.Errorf("event %+v", events[0])
	}
}

func TestRefresh(t *testing.T) {
	t.Run("without rotation the token stays, and nothing is written", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		web := w.Web()
		first := web.Login(w.Browser(), ada)
		w.Engine.Reset()
		w.Clock.Advance(time.Hour)
		second := web.Refresh(first.Text("refresh_token"))
		if second.Status != http.StatusOK || second.JSON["refresh_token"] != nil || second.Text("id_token") == "" {
			t.Errorf("answer %s", second.Body)
		}
		if n := w.Engine.Writes(); n != 0 {
			t.Errorf("written: %s", w.Engine.Written())
		}
		a, z := web.Claims(first.Text("access_token")), web.Claims(second.Text("id_token"))
		if a["sub"] != z["sub"] || a["auth_time"] != z["auth_time"] || a["origin_jti"] != z["origin_jti"] || z["nonce"] != nil {
			t.Errorf("claims %v then %v", a, z)
		}
		w.Clock.Advance(30 * 24 * time.Hour)
		refused(t, web.Refresh(first.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
	})
	t.Run("rotation with grace, and reuse", func(t *testing.T) {
		w, _ := servertest.StartExample(t, func(o *servertest.Options) {
			o.Spec.UserPools[0].Clients[0].RefreshTokenRotation = &pool.RefreshRotation{Feature: "ENABLED", RetryGracePeriodSeconds: 10}
		})
		web := w.Web()
		login := web.Login(w.Browser(), ada)
		one := login.Text("refresh_token")
		w.Engine.Reset()
		two := web.Refresh(one).Text("refresh_token")
		if two == "" || two == one || w.Engine.Writes() != 1 {
			t.Fatalf("second token %q, written %s", two, w.Engine.Written())
		}
		w.Clock.Advance(9 * time.Second)
		if again := web.Refresh(one); again.Text("refresh_token") != two {
			t.Errorf("within the grace: %s", again.Body)
		}
		three := web.Refresh(two)
		if three.Status != http.StatusOK {
			t.Fatal(three.Body)
		}
		refused(t, web.Refresh(one), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.Refresh(three.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.UserInfo(three.Text("access_token")), http.StatusUnauthorized, "invalid_token", "")
	})
	t.Run("scope", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		web := w.Web()
		token := web.Login(w.Browser(), ada, "scope", "openid email").Text("refresh_token")
		ask := func(scope string) *servertest.Answer {
			return web.Post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "scope": {scope}})
		}
		refused(t, ask("openid profile"), http.StatusBadRequest, "invalid_scope", "")
		for _, scope := range []string{"openid", "email openid", "openid offline_access", ""} {
			if ans := ask(scope); ans.Text("scope") != "openid email" {
				t.Errorf("%q: %s", scope, ans.Body)
			}
		}
	})
	t.Run("of another client, and not a token", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		web, spa := w.Web(), w.SPA()
		ans := web.Login(w.Browser(), ada)
		refused(t, spa.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.Refresh(ans.Text("access_token")), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.Refresh("x"), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.Refresh(""), http.StatusBadRequest, "invalid_request", "refresh_token is required")
		if got := web.Refresh(ans.Text("refresh_token")); got.Status != http.StatusOK {
			t.Errorf("the attempt of a stranger cost the token: %s", got.Body)
		}
	})
}

// The store's failure is not the client's: whoever asks is told to come again, and has lost nothing.
func TestWhileTheStoreIsDown(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, b := w.Web(), w.Browser()
	first := web.Login(b, ada)
	token := first.Text("refresh_token")
	code := web.Code(b.Get(web.Authorize()))
	w.Engine.SetDown(true)
	// The directory's cache still knows the application, so that it is told.
	toClient(t, b.Get(web.Authorize()), web.RedirectURI, "temporarily_unavailable", "")
	toClient(t, b.Get(web.Authorize("prompt", "none")), web.RedirectURI, "temporarily_unavailable", "")
	for name, ans := range map[string]*servertest.Answer{"code": web.Redeem(code), "refresh": web.Refresh(token)} {
		refused(t, ans, http.StatusServiceUnavailable, "temporarily_unavailable", "")
		if ans.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
	}
	refused(t, web.UserInfo(first.Text("access_token")), http.StatusServiceUnavailable, "unavailable", "")
	refused(t, web.Post("/oauth2/introspect", url.Values{"token": {token}}), http.StatusServiceUnavailable, "unavailable", "")
	refused(t, web.Post("/oauth2/revoke", url.Values{"token": {token}}), http.StatusServiceUnavailable, "unavailable", "")
	onPage(t, b.Get("/logout?client_id="+web.ClientID), http.StatusServiceUnavailable, "")
	w.Clock.Advance(time.Minute) // and now it knows nothing
	onPage(t, b.Get(web.Authorize()), http.StatusServiceUnavailable, "")
	onPage(t, b.Get("/login?"+web.Request().Encode()), http.StatusServiceUnavailable, "")
	w.Engine.SetDown(false)
	for name, ans := range map[string]*servertest.Answer{"code": web.Redeem(code), "refresh": web.Refresh(token)} {
		if ans.Status != http.StatusOK {
			t.Errorf("%s afterwards: %s", name, ans.Body)
		}
	}
	web.Code(b.Get(web.Authorize("prompt", "none")))
}
