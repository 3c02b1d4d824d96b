package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// Every kind of answer carries the security headers, errors and refusals included.
func TestSecurityHeaders(t *testing.T) {
	for base, hsts := range map[string]string{servertest.HTTPS: "max-age=31536000; includeSubDomains", servertest.HTTP: ""} {
		w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.BaseURL = base })
		app, b := w.Web(), w.Browser()
		challenge := b.Get(app.Authorize())
		done := b.SignIn(app.Authorize("prompt", "login"), ada)
		huge := url.Values{"x": {strings.Repeat("x", 100_000)}}
		foreign := app.NewRequest(http.MethodGet, "/login?"+app.Request().Encode(), nil)
		foreign.Host = "evil.example"
		for name, p := range map[string]*servertest.Page{
			"redirect to the provider":    challenge,
			"redirect to the application": done,
			"redirect with an error":      b.Get(app.Authorize("scope", "x")),
			"redirect to the base URL":    b.Do(foreign),
			"sign-in page":                b.Get("/login?" + app.Request().Encode()),
			"error page":                  b.Get(app.Authorize("redirect_uri", "x")),
			"page that posts":             b.Get(app.Authorize("response_mode", "form_post", "prompt", "login", "scope", "x")),
			"signed-out page":             b.Get("/logout?client_id=" + app.ClientID),
			"discovery":                   b.Get("/" + servertest.PoolID + "/.well-known/openid-configuration"),
			"keys":                        b.Get("/" + servertest.PoolID + "/.well-known/jwks.json"),
			"JSON error":                  b.Post("/oauth2/token", url.Values{}),
			"userInfo error":              b.Get("/oauth2/userInfo"),
			"404":                         b.Get("/nothing/here"),
			"405":                         b.Get("/oauth2/token"),
			"413":                         b.Post("/oauth2/token", huge),
			"413 page":                    b.Post("/oauth2/authorize", huge),
			"preflight":                   b.Do(preflight(app, "/oauth2/token")),
		} {
			h := p.Header
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Strict-Transport-Security") != hsts || h.Get("X-Request-Id") == "" ||
				h.Get("Server") != "" || h.Get("X-Powered-By") != "" {
				t.Errorf("%s %s: %v", base, name, h)
			}
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s %s: CSP %q", base, name, csp)
			}
			if rp := h.Get("Referrer-Policy"); rp != "no-referrer" && rp != "strict-origin" {
				t.Errorf("%s %s: Referrer-Policy %q", base, name, rp)
			}
			stored := strings.HasPrefix(h.Get("Cache-Control"), "public")
			if stored != (name == "discovery" || name == "keys") {
				t.Errorf("%s %s: Cache-Control %q", base, name, h.Get("Cache-Control"))
			}
			if (p.Status >= 300 && p.Status < 400 || len(p.Cookies) > 0) && h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: Cache-Control %q of an answer for one browser", base, name, h.Get("Cache-Control"))
			}
		}
	}
}

func preflight(app *servertest.App, path string) *http.Request {
	req := app.NewRequest(http.MethodOptions, path, nil)
	req.Header.Set("Origin", "https://spa.example.com")
	req.Header.Set("Access-Control-Request-Method", "POST")
	req.Header.Set("Access-Control-Request-Headers", "authorization,content-type,traceparent")
	return req
}

// Scripts of other origins may call what takes no cookie, and nothing else.
func TestCrossOrigin(t *testing.T) {
	w, _ := servertest.StartExample(t)
	spa := w.SPA()
	wellKnown := "/" + servertest.PoolID + "/.well-known/"
	open := map[string]string{
		"/oauth2/token": http.MethodPost, "/oauth2/revoke": http.MethodPost, "/oauth2/userInfo": http.MethodGet,
		wellKnown + "openid-configuration": http.MethodGet, wellKnown + "jwks.json": http.MethodGet,
	}
	for path, method := range open {
		t.Run(path, func(t *testing.T) {
			pre := spa.Send(preflight(spa, path))
			if pre.Status != http.StatusNoContent || pre.Header.Get("Access-Control-Allow-Origin") != "*" ||
				!strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), "authorization,content-type,traceparent") ||
				!strings.Contains(pre.Header.Get("Access-Control-Allow-Methods"), method) {
				t.Errorf("preflight %d %v", pre.Status, pre.Header)
			}
			req := spa.NewRequest(method, path, nil)
			if method == http.MethodPost {
				req = spa.NewRequest(method, path, url.Values{"token": {"x"}})
			}
			req.Header.Set("Origin", "https://spa.example.com")
			ans := spa.Send(req)
			if ans.Header.Get("Access-Control-Allow-Origin") != "*" || ans.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%d %v", ans.Status, ans.Header)
			}
			if exposed := ans.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(strings.ToLower(exposed), "x-request-id") {
				t.Errorf("exposed %q", exposed)
			}
		})
	}
	for _, path := range []string{"/oauth2/authorize", "/login", "/logout", "/oauth2/idpresponse", "/oauth2/introspect", "/saml2/idpresponse"} {
		for _, req := range []*http.Request{preflight(spa, path), spa.NewRequest(http.MethodGet, path, nil)} {
			req.Header.Set("Origin", "https://spa.example.com")
			if ans := spa.Send(req); ans.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s is open: %v", req.Method, path, ans.Header)
			}
		}
	}
}
