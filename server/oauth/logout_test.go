package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/server/servertest"
)

func TestLogout(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		c := &o.Spec.UserPools[0].Clients[0]
		c.LogoutURLs = append(c.LogoutURLs, "https://app.example.com/bye?keep=1")
	})
	web, spa := w.Web(), w.SPA()
	at := func(pairs ...string) string {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return "/logout?" + v.Encode()
	}
	id := servertest.WebClient
	t.Run("ends the session and every grant of it, then goes to logout_uri", func(t *testing.T) {
		b := w.Browser()
		one, two := web.Login(b, ada), spa.Tokens(b.Get(spa.Authorize()))
		elsewhere := web.Login(w.Browser(), ada)
		w.Events.Take()
		p := b.Get(at("client_id", id, "logout_uri", servertest.LogoutURI))
		if p.Status != http.StatusFound || p.Header.Get("Location") != servertest.LogoutURI || len(b.Cookie("")) != 0 {
			t.Fatalf("answer %d to %v, cookies %v", p.Status, p.Location, b.Cookie(""))
		}
		refused(t, web.Refresh(one.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
		refused(t, spa.Refresh(two.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
		refused(t, web.UserInfo(one.Text("access_token")), http.StatusUnauthorized, "invalid_token", "")
		if got := web.Refresh(elsewhere.Text("refresh_token")); got.Status != http.StatusOK {
			t.Errorf("another browser's session ended too: %s", got.Body)
		}
		if e, ok := w.Events.Take()[0].(audit.SessionEnded); !ok || e.Grants != 2 || e.Client != id {
			t.Errorf("event %+v", e)
		}
		toClient(t, b.Get(web.Authorize("prompt", "none")), web.RedirectURI, "login_required", "")
	})
	t.Run("a copied session cookie is worth nothing afterwards", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		copied := b.Cookie("weir_s_")[0]
		b.Get(at("client_id", id))
		req := web.NewRequest(http.MethodGet, "/oauth2/authorize?"+web.Request("prompt", "none").Encode(), nil)
		req.AddCookie(copied)
		toClient(t, w.Browser().Do(req), web.RedirectURI, "login_required", "")
	})
	t.Run("post_logout_redirect_uri with state, by client_id or id_token_hint", func(t *testing.T) {
		hint := web.Login(w.Browser(), ada).Text("id_token")
		for _, who := range [][]string{{"client_id", id}, {"id_token_hint", hint}, {"client_id", id, "id_token_hint", hint}} {
			for uri, want := range map[string]string{
				servertest.LogoutURI:                 servertest.LogoutURI + "?state=a+b%26c",
				"https://app.example.com/bye?keep=1": "https://app.example.com/bye?keep=1&state=a+b%26c",
			} {
				p := w.Browser().Get(at(append(who, "post_logout_redirect_uri", uri, "state", "a b&c")...))
				if p.Header.Get("Location") != want {
					t.Errorf("%q: goes to %q", who[0], p.Header.Get("Location"))
				}
			}
		}
		p := w.Browser().Get(at("client_id", id, "post_logout_redirect_uri", servertest.LogoutURI))
		if p.Header.Get("Location") != servertest.LogoutURI {
			t.Errorf("without state: %q", p.Header.Get("Location"))
		}
	})
	t.Run("by POST", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		p := b.Post("/logout", url.Values{"client_id": {id}, "logout_uri": {servertest.LogoutURI}})
		if p.Status != http.StatusSeeOther || p.Header.Get("Location") != servertest.LogoutURI || len(b.Cookie("")) != 0 {
			t.Errorf("answer %d to %v", p.Status, p.Location)
		}
	})
	t.Run("by POST of another site, which brings no session: once more by GET, without the hint", func(t *testing.T) {
		b := w.Browser()
		ans := web.Login(b, ada)
		p := w.Browser().Post("/logout", url.Values{"id_token_hint": {ans.Text("id_token")}, "post_logout_redirect_uri": {servertest.LogoutURI}, "state": {"s"}})
		want := "http://login.test" + at("client_id", id, "post_logout_redirect_uri", servertest.LogoutURI, "state", "s")
		if p.Status != http.StatusSeeOther || p.Header.Get("Location") != want {
			t.Fatalf("answer %d to %v", p.Status, p.Location)
		}
		if p = b.Get(p.Location.String()); p.Header.Get("Location") != servertest.LogoutURI+"?state=s" || len(b.Cookie("")) != 0 {
			t.Errorf("answer %d to %v, cookies %v", p.Status, p.Location, b.Cookie(""))
		}
		refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
	})
	t.Run("of nobody in particular ends what the browser has", func(t *testing.T) {
		for _, query := range []string{"", "?state=s", "?client_id=&post_logout_redirect_uri="} {
			b := w.Browser()
			ans := web.Login(b, ada)
			p := b.Get("/logout" + query)
			if p.Status != http.StatusOK || p.Location != nil || !strings.Contains(p.Body, "signed out") || len(b.Cookie("")) != 0 {
				t.Errorf("%q: answer %d %s, cookies %v", query, p.Status, p.Body, b.Cookie(""))
			}
			refused(t, web.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
			toClient(t, b.Get(web.Authorize("prompt", "none")), web.RedirectURI, "login_required", "")
		}
		if p := w.Browser().Post("/logout", url.Values{}); p.Status != http.StatusSeeOther || p.Header.Get("Location") != "http://login.test/logout" {
			t.Errorf("POST: %d to %v", p.Status, p.Location)
		}
	})
	t.Run("redirect_uri leads to a new sign-in", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		p := b.Get("/logout?" + web.Request().Encode())
		if p.Location == nil || p.Location.Path != "/login" || p.Location.Host != "login.test" {
			t.Fatalf("goes to %v", p.Location)
		}
		links := b.Get(p.Location.String()).Links()
		if len(links) != 1 {
			t.Fatalf("links %q", links)
		}
		web.Tokens(b.SignIn(links[0], bob))
	})
	t.Run("without a target there is a page", func(t *testing.T) {
		p := w.Browser().Get(at("client_id", id))
		if p.Status != http.StatusOK || p.Location != nil || !strings.Contains(p.Body, "signed out") {
			t.Errorf("answer %d %s", p.Status, p.Body)
		}
	})
	t.Run("open redirect", func(t *testing.T) {
		b := w.Browser()
		web.Login(b, ada)
		hint := spa.Login(w.Browser(), ada).Text("id_token")
		evil := "https://evil.example/"
		for name, pairs := range map[string][]string{
			"logout_uri":                        {"client_id", id, "logout_uri", evil},
			"post_logout_redirect_uri":          {"client_id", id, "post_logout_redirect_uri", evil},
			"redirect_uri":                      {"client_id", id, "redirect_uri", evil, "response_type", "code"},
			"a callback URL":                    {"client_id", id, "logout_uri", servertest.WebURI},
			"a prefix":                          {"client_id", id, "logout_uri", servertest.LogoutURI + "/../x"},
			"without client":                    {"logout_uri", servertest.LogoutURI},
			"unknown client":                    {"client_id", "nobody", "logout_uri", servertest.LogoutURI},
			"a hint of another client":          {"client_id", id, "id_token_hint", hint, "post_logout_redirect_uri", servertest.LogoutURI},
			"a hint that is none":               {"client_id", id, "id_token_hint", "x.y.z", "post_logout_redirect_uri", servertest.LogoutURI},
			"an unsigned hint":                  {"id_token_hint", unsigned(hint), "post_logout_redirect_uri", servertest.LogoutURI},
			"an unregistered one beside a good": {"client_id", id, "logout_uri", evil, "post_logout_redirect_uri", servertest.LogoutURI},
		} {
			t.Run(name, func(t *testing.T) { onPage(t, b.Get(at(pairs...)), http.StatusBadRequest, "") })
		}
		onPage(t, b.Get(at("client_id", id, "logout_uri", servertest.LogoutURI)+"&logout_uri="+evil), http.StatusBadRequest, "more than once")
		web.Code(b.Get(web.Authorize("prompt", "none"))) // a refused sign-out has no effect
	})
}
