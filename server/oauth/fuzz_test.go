package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// Whatever an authorization request says, the browser is only ever sent to a registered URI, to the provider, or to a page of ours.
func FuzzAuthorize(f *testing.F) {
	w, up := servertest.StartExample(f)
	app := w.Web()
	good := app.Request().Encode()
	f.Add(good, "login.test", false)
	f.Add(good, "login.test", true)
	f.Add(app.Request("redirect_uri", "https://evil.example/").Encode(), "login.test", false)
	f.Add(good+"&redirect_uri=https://evil.example/", "login.test", false)
	f.Add(good+"&client_id=x", "acme.login.test", false)
	f.Add(app.Request("prompt", "none", "state", "\r\nLocation: https://evil.example").Encode(), "login.test", false)
	f.Add(app.Request("response_mode", "form_post", "scope", "x").Encode(), "login.test", true)
	f.Add(app.Request("id_token_hint", "a.b.c", "login_hint", "x@corp.example").Encode(), "evil.example", false)
	f.Add("redirect_uri=//evil.example&client_id="+app.ClientID, "login.test@evil.example", false)
	f.Add("%zz;&=&==%00", "", true)
	f.Fuzz(func(t *testing.T, query, host string, post bool) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/oauth2/authorize", nil)
		req.URL.RawQuery = query
		if post {
			req = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth2/authorize", strings.NewReader(query))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		req.Host = host
		rec := httptest.NewRecorder()
		w.Handler.ServeHTTP(rec, req)
		if rec.Code >= http.StatusInternalServerError {
			t.Fatalf("status %d", rec.Code)
		}
		if to := rec.Header().Get("Location"); to != "" && !allowed(to, app.RedirectURI, up.Issuer(), w.URL) {
			t.Fatalf("goes to %q", to)
		}
		if rec.Code == http.StatusOK { // a page that posts
			p := servertest.Page{Body: rec.Body.String(), From: &url.URL{Scheme: "http", Host: "login.test"}}
			if action, _ := p.Form(); action != app.RedirectURI {
				t.Fatalf("posts to %q", action)
			}
		}
	})
}

func allowed(to, redirectURI, issuer, base string) bool {
	for _, prefix := range []string{redirectURI + "?", issuer + "/authorize?", base + "/login?", "http://acme.login.test/login?", base + "/oauth2/authorize"} {
		if strings.HasPrefix(to, prefix) {
			return true
		}
	}
	return false
}
