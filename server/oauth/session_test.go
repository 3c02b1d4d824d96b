package oauth_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

func TestSingleSignOn(t *testing.T) {
	w, up := servertest.StartExample(t)
	web, spa := w.Web(), w.SPA()
	sub := func(a *servertest.Answer, app *servertest.App) any { return app.Claims(a.Text("id_token"))["sub"] }

	t.Run("a second application gets the same person, and the provider is not asked", func(t *testing.T) {
		b := w.Browser()
		first := web.Login(b, ada)
		up.Forget()
		w.Clock.Advance(59 * time.Minute)
		second := spa.Tokens(b.Get(spa.Authorize("prompt", "none")))
		if sub(first, web) != sub(second, spa) || len(up.Requests("/authorize")) != 0 {
			t.Error("another person, or the provider was asked")
		}
		a, z := web.Claims(first.Text("access_token")), spa.Claims(second.Text("access_token"))
		if a["auth_time"] != z["auth_time"] || a["origin_jti"] == z["origin_jti"] {
			t.Errorf("auth_time %v and %v, origin_jti %v and %v", a["auth_time"], z["auth_time"], a["origin_jti"], z["origin_jti"])
		}
		w.Clock.Advance(2 * time.Minute)
		toClient(t, b.Get(spa.Authorize("prompt", "none")), spa.RedirectURI, "login_required", "")
		toProvider(t, b.Get(spa.Authorize()))
	})
	t.Run("prompt and max_age ask again", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		w.Clock.Advance(10 * time.Minute)
		for _, pairs := range [][]string{{"prompt", "login"}, {"prompt", "consent"}, {"prompt", "select_account"}, {"max_age", "0"}, {"max_age", "599"}} {
			if got := toProvider(t, b.Get(web.Authorize(pairs...))); got.Get(pairs[0]) != pairs[1] {
				t.Errorf("%q goes upstream as %q", pairs, got.Get(pairs[0]))
			}
		}
		web.Code(b.Get(web.Authorize("max_age", "600")))
		toClient(t, b.Get(web.Authorize("max_age", "1", "prompt", "none")), web.RedirectURI, "login_required", "")
	})
	t.Run("a session of another browser is no session", func(t *testing.T) {
		web.Login(w.Browser(), ada)
		toClient(t, w.Browser().Get(web.Authorize("prompt", "none")), web.RedirectURI, "login_required", "")
	})
	t.Run("a session cookie that is not ours", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		good := b.Cookie("weir_s_")[0]
		for _, value := range []string{"", "x", good.Value[:20], good.Value[1:], good.Value + "AAAA", "AAAA" + good.Value} {
			req := web.NewRequest(http.MethodGet, "/oauth2/authorize?"+web.Request("prompt", "none").Encode(), nil)
			req.AddCookie(&http.Cookie{Name: good.Name, Value: value})
			toClient(t, w.Browser().Do(req), web.RedirectURI, "login_required", "")
		}
	})
}

func TestSessionOfADisabledUserIsNone(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, b := w.Web(), w.Browser()
	ans := web.Login(b, ada)
	sub, _ := web.Claims(ans.Text("id_token"))["sub"].(string)
	setEnabled := func(on bool) {
		if _, err := w.Directory.UpdateUser(t.Context(), servertest.PoolID, sub, func(u *pool.User) error { u.Enabled = on; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	setEnabled(false)
	toClient(t, b.Get(web.Authorize("prompt", "none")), web.RedirectURI, "login_required", "")
	refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "disabled")
	refused(t, web.UserInfo(ans.Text("access_token")), http.StatusUnauthorized, "invalid_token", "revoked")
	toClient(t, b.SignIn(web.Authorize(), ada), web.RedirectURI, "access_denied", "disabled")
	if got := web.Post("/oauth2/introspect", url.Values{"token": {ans.Text("access_token")}}); got.JSON["active"] != false || len(got.JSON) != 1 {
		t.Errorf("introspection says %s", got.Body)
	}
	setEnabled(true)
	if got := web.Refresh(ans.Text("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("the user is back, but: %s", got.Body)
	}
	// Signed out everywhere: what was granted before is void, also a session.
	w.Clock.Advance(time.Second)
	if _, err := w.Directory.UpdateUser(t.Context(), servertest.PoolID, sub, func(u *pool.User) error { u.SignedOutAt = w.Clock.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "signed out")
	toClient(t, b.Get(web.Authorize("prompt", "none")), web.RedirectURI, "login_required", "")
	if err := w.Directory.DeleteUser(t.Context(), servertest.PoolID, sub); err != nil {
		t.Fatal(err)
	}
	refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "exist")
	refused(t, web.UserInfo(ans.Text("access_token")), http.StatusUnauthorized, "invalid_token", "revoked")
	toClient(t, b.Get(web.Authorize("prompt", "none")), web.RedirectURI, "login_required", "")
}

// A session belongs to its pool: the cookie of one, under the name of another's, is none.
func TestSessionOfAnotherPool(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock,
		Spec: servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up))})
	web, other, b := w.Web(), w.Other(), w.Browser()
	web.Login(b, ada)
	cookies := b.Cookie("weir_s_")
	if len(cookies) != 1 || cookies[0].Name != "weir_s_"+servertest.PoolID {
		t.Fatalf("cookies %v", cookies)
	}
	req := web.NewRequest(http.MethodGet, "/oauth2/authorize?"+other.Request("prompt", "none").Encode(), nil)
	req.AddCookie(&http.Cookie{Name: "weir_s_" + servertest.OtherPool, Value: cookies[0].Value})
	p := b.Do(req)
	if got := p.Params(); got.Get("error") != "login_required" || got.Get("iss") != other.Issuer {
		t.Errorf("answer %d to %v", p.Status, p.Location)
	}
}

func TestIDTokenHint(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock,
		Spec: servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up))})
	web, b := w.Web(), w.Browser()
	bobs := web.Login(w.Browser(), bob).Text("id_token")
	others := w.Other().Login(w.Browser(), ada).Text("id_token")
	login := web.Login(b, ada)
	adas, access := login.Text("id_token"), login.Text("access_token")
	w.Clock.Advance(30 * time.Minute)

	t.Run("of the same person goes on", func(t *testing.T) {
		web.Code(b.Get(web.Authorize("id_token_hint", adas, "prompt", "none")))
	})
	t.Run("of the same person, long expired, goes on", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		w.Clock.Advance(59 * time.Minute)
		web.Code(b.Get(web.Authorize("id_token_hint", adas, "prompt", "none")))
		w.Clock.Advance(-59 * time.Minute)
	})
	for name, hint := range map[string]string{"another person": bobs, "another pool": others, "garbage": "x.y.z", "an access token": access, "unsigned": "eyJhbGciOiJub25lIn0.e30."} {
		t.Run("of "+name+" does without the session", func(t *testing.T) {
			toClient(t, b.Get(web.Authorize("id_token_hint", hint, "prompt", "none")), web.RedirectURI, "login_required", "")
			toProvider(t, b.Get(web.Authorize("id_token_hint", hint)))
		})
	}
	t.Run("somebody else than it says signs in", func(t *testing.T) {
		p := w.Browser().SignIn(web.Authorize("id_token_hint", bobs), ada)
		toClient(t, p, web.RedirectURI, "login_required", "Somebody else")
		web.Code(w.Browser().SignIn(web.Authorize("id_token_hint", bobs), bob))
	})
	t.Run("a hint that says nobody lets anybody sign in", func(t *testing.T) {
		web.Code(w.Browser().SignIn(web.Authorize("id_token_hint", others), ada))
	})
}

// A provider that keeps auth_time to itself cannot meet max_age, and a session that began there cannot either: the person may
// have authenticated days ago.
func TestMaxAgeNeedsAnAuthenticationTime(t *testing.T) {
	for name, c := range map[string]struct {
		faults oidctest.Faults
		fresh  bool
	}{
		"said":     {oidctest.Faults{}, true},
		"not said": {oidctest.Faults{IDToken: func(c map[string]any) { delete(c, "auth_time") }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := servertest.StartExample(t)
			up.Set(c.faults)
			app, b := w.Web(), w.Browser()
			app.Code(b.SignIn(app.Authorize(), ada))
			app.Code(b.Get(app.Authorize())) // single sign-on, and a grant in the same session
			p := b.Get(app.Authorize("max_age", "300"))
			if c.fresh {
				app.Code(p)
				return
			}
			toProvider(t, p)
			toClient(t, b.Get(app.Authorize("max_age", "300", "prompt", "none")), servertest.WebURI, "login_required", "")
		})
	}
}
