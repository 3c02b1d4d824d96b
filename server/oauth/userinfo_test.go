package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

func TestUserInfo(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock,
		Spec: servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up))})
	web := w.Web()
	ans := web.Login(w.Browser(), ada)
	access := ans.Text("access_token")
	get := func(header string, path string) *servertest.Answer {
		req := web.NewRequest(http.MethodGet, path, nil)
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		return web.Send(req)
	}
	post := func(header string, form url.Values) *servertest.Answer {
		req := web.NewRequest(http.MethodPost, "/oauth2/userInfo", form)
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		return web.Send(req)
	}
	for name, got := range map[string]*servertest.Answer{
		"GET with a header":  get("Bearer "+access, "/oauth2/userInfo"),
		"the scheme in case": get("bEARER  "+access, "/oauth2/userInfo"),
		"POST with a header": post("Bearer "+access, nil),
		"POST with a form":   post("", url.Values{"access_token": {access}}),
	} {
		t.Run(name, func(t *testing.T) {
			if got.Status != http.StatusOK || got.Text("sub") != web.Claims(access)["sub"] || got.Text("email") != "ada@corp.example" ||
				got.Text("username") != "Corp_ada-0001" || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		})
	}
	for name, tt := range map[string]struct {
		got    *servertest.Answer
		status int
		code   string
	}{
		"no token":                {get("", "/oauth2/userInfo"), 401, ""},
		"a token in the query":    {get("", "/oauth2/userInfo?access_token="+access), 401, ""},
		"POST, query":             {post("", url.Values{"x": {"y"}}), 401, ""},
		"header and form":         {post("Bearer "+access, url.Values{"access_token": {access}}), 400, "invalid_request"},
		"a form token twice":      {post("", url.Values{"access_token": {access, access}}), 400, "invalid_request"},
		"HTTP Basic":              {get("Basic eDp5", "/oauth2/userInfo"), 401, ""},
		"an empty header":         {get("Bearer ", "/oauth2/userInfo"), 400, "invalid_request"},
		"garbage":                 {get("Bearer x", "/oauth2/userInfo"), 401, "invalid_token"},
		"an ID token":             {get("Bearer "+ans.Text("id_token"), "/oauth2/userInfo"), 401, "invalid_token"},
		"a refresh token":         {get("Bearer "+ans.Text("refresh_token"), "/oauth2/userInfo"), 401, "invalid_token"},
		"an unsigned token":       {get("Bearer "+unsigned(access), "/oauth2/userInfo"), 401, "invalid_token"},
		"another signature":       {get("Bearer "+access[:len(access)-20]+strings.Repeat("A", 20), "/oauth2/userInfo"), 401, "invalid_token"},
		"a token of 20,000 bytes": {get("Bearer "+access+strings.Repeat("A", 20000), "/oauth2/userInfo"), 401, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, tt.got, tt.status, tt.code, "")
			challenge := tt.got.Header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, `Bearer realm="weir"`) || strings.Contains(challenge, `error="`+tt.code+`"`) != (tt.code != "") {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
	t.Run("a token of another pool on a pool's host", func(t *testing.T) {
		for host, want := range map[string]int{"acme.login.test": 200, "other.login.test": 401, "login.test": 200} {
			req := web.NewRequest(http.MethodGet, "/oauth2/userInfo", nil)
			req.Host = host
			req.Header.Set("Authorization", "Bearer "+access)
			if got := web.Send(req); got.Status != want {
				t.Errorf("%s: %d %s", host, got.Status, got.Body)
			}
		}
	})
	t.Run("an expired token", func(t *testing.T) {
		w.Clock.Advance(time.Hour - time.Second)
		if got := web.UserInfo(access); got.Status != http.StatusOK {
			t.Errorf("in time: %s", got.Body)
		}
		w.Clock.Advance(time.Second)
		refused(t, web.UserInfo(access), http.StatusUnauthorized, "invalid_token", "expired")
	})
	t.Run("after its client is gone", func(t *testing.T) {
		again := web.Refresh(ans.Text("refresh_token")).Text("access_token")
		if err := w.Directory.DeleteClient(t.Context(), servertest.PoolID, servertest.WebClient); err != nil {
			t.Fatal(err)
		}
		refused(t, web.UserInfo(again), http.StatusUnauthorized, "invalid_token", "revoked")
		refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusUnauthorized, "invalid_client", "")
	})
}

// unsigned is the token with alg none.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	return "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
}

func TestRevoke(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		off := false
		o.Spec.UserPools[0].Clients[1].EnableTokenRevocation = &off
	})
	web, spa := w.Web(), w.SPA()
	revoke := func(app *servertest.App, token string) *servertest.Answer {
		return app.Post("/oauth2/revoke", url.Values{"token": {token}, "token_type_hint": {"refresh_token"}})
	}
	ans := web.Login(w.Browser(), ada)
	others := spa.Login(w.Browser(), ada)
	t.Run("refusals", func(t *testing.T) {
		refused(t, revoke(spa, ans.Text("refresh_token")), http.StatusBadRequest, "invalid_request", "EnableTokenRevocation")
		refused(t, revoke(web, others.Text("refresh_token")), http.StatusBadRequest, "invalid_request", "")
		refused(t, revoke(web, ans.Text("access_token")), http.StatusBadRequest, "unsupported_token_type", "")
		refused(t, revoke(web, ans.Text("id_token")), http.StatusBadRequest, "unsupported_token_type", "")
		refused(t, revoke(web, ""), http.StatusBadRequest, "invalid_request", "token is required")
		nobody := w.App(servertest.PoolID, servertest.WebClient, "wrong_secret_wrong_secret", "")
		got := revoke(nobody, ans.Text("refresh_token"))
		refused(t, got, http.StatusUnauthorized, "invalid_client", "")
		public := w.App(servertest.PoolID, servertest.WebClient, "", "")
		if got = revoke(public, ans.Text("refresh_token")); got.Header.Get("WWW-Authenticate") != `Basic realm="weir"` {
			t.Errorf("challenge %q", got.Header)
		}
		refused(t, got, http.StatusUnauthorized, "invalid_client", "")
		for app, answer := range map[*servertest.App]*servertest.Answer{web: ans, spa: others} {
			if got := app.Refresh(answer.Text("refresh_token")); got.Status != http.StatusOK {
				t.Errorf("a refused revocation had an effect: %s", got.Body)
			}
		}
	})
	t.Run("ends what the token gave, and again is a success", func(t *testing.T) {
		w.Events.Take()
		for range 2 {
			if got := revoke(web, ans.Text("refresh_token")); got.Status != http.StatusOK || got.Body != "" || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		}
		if names := servertest.Names(w.Events.Take()); names[0] != "token.revoked" {
			t.Errorf("events %q", names)
		}
		refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.UserInfo(ans.Text("access_token")), http.StatusUnauthorized, "invalid_token", "revoked")
	})
	t.Run("an unknown token is a success", func(t *testing.T) {
		for _, token := range []string{"x", strings.Repeat("A", 86), ans.Text("refresh_token") + "A"} {
			if got := revoke(web, token); got.Status != http.StatusOK {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		}
	})
	t.Run("a client without revocation has no origin_jti, and its user still counts", func(t *testing.T) {
		if c := spa.Claims(others.Text("access_token")); c["origin_jti"] != nil {
			t.Errorf("claims %v", c)
		}
		if got := spa.UserInfo(others.Text("access_token")); got.Status != http.StatusOK {
			t.Errorf("answer %s", got.Body)
		}
	})
}

func TestIntrospect(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	spec := servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up))
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: spec})
	web, spa := w.Web(), w.SPA()
	ask := func(app *servertest.App, token string) *servertest.Answer {
		return app.Post("/oauth2/introspect", url.Values{"token": {token}})
	}
	ans := spa.Login(w.Browser(), ada)
	mine := web.Login(w.Browser(), ada)
	t.Run("an access token of the pool, of any client", func(t *testing.T) {
		got, c := ask(web, ans.Text("access_token")), spa.Claims(ans.Text("access_token"))
		if got.Status != http.StatusOK || got.JSON["active"] != true {
			t.Fatalf("answer %s", got.Body)
		}
		for _, name := range []string{"sub", "iss", "exp", "iat", "jti", "client_id", "scope", "username"} {
			if got.JSON[name] != c[name] {
				t.Errorf("%s: %v, the token says %v", name, got.JSON[name], c[name])
			}
		}
	})
	t.Run("a refresh token of its own", func(t *testing.T) {
		if got := ask(web, mine.Text("refresh_token")); got.JSON["active"] != true || got.Text("client_id") != servertest.WebClient {
			t.Errorf("answer %s", got.Body)
		}
	})
	t.Run("everything else is not active, and nothing more is said", func(t *testing.T) {
		for name, token := range map[string]string{
			"another pool's": w.Other().Login(w.Browser(), ada).Text("access_token"), "another client's refresh token": ans.Text("refresh_token"),
			"an ID token": mine.Text("id_token"), "garbage": "x", "three parts of it": "x.y.z", "unsigned": unsigned(ans.Text("access_token")),
		} {
			if got := ask(web, token); got.Status != http.StatusOK || strings.TrimSpace(got.Body) != `{"active":false}` {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
		}
	})
	t.Run("needs a client with a secret", func(t *testing.T) {
		refused(t, ask(spa, ans.Text("access_token")), http.StatusUnauthorized, "invalid_client", "secret")
		refused(t, ask(w.App(servertest.PoolID, "nobody", "x", ""), ans.Text("access_token")), http.StatusUnauthorized, "invalid_client", "")
		refused(t, ask(web, ""), http.StatusBadRequest, "invalid_request", "token is required")
	})
	t.Run("has no effect, even on a token that was replaced", func(t *testing.T) {
		c, err := w.Directory.Client(t.Context(), servertest.WebClient)
		if err != nil {
			t.Fatal(err)
		}
		c.RotateRefreshTokens = true
		if _, err := w.Directory.UpdateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		next := web.Refresh(mine.Text("refresh_token")).Text("refresh_token")
		w.Engine.Reset()
		if got := ask(web, mine.Text("refresh_token")); got.JSON["active"] != false {
			t.Errorf("a replaced token: %s", got.Body)
		}
		if got := ask(web, next); got.JSON["active"] != true || w.Engine.Writes() != 0 {
			t.Errorf("the valid token: %s; written %q", got.Body, w.Engine.Written())
		}
	})
	t.Run("an expired token", func(t *testing.T) {
		w.Clock.Advance(2 * time.Hour)
		if got := ask(web, ans.Text("access_token")); got.JSON["active"] != false {
			t.Errorf("answer %s", got.Body)
		}
	})
}
