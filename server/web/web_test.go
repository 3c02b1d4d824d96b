package web_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

var ada = servertest.As("ada")

func TestCookieAttributes(t *testing.T) {
	for name, tt := range map[string]struct {
		base   string
		prefix string
		secure bool
		site   http.SameSite
	}{
		"https": {servertest.HTTPS, "__Host-", true, http.SameSiteNoneMode},
		"http":  {servertest.HTTP, "", false, http.SameSiteLaxMode},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.BaseURL = tt.base })
			app, b := w.Web(), w.Browser()
			challenge := b.Get(app.Authorize())
			attempt := challenge.Cookies[0]
			check := func(c *http.Cookie, prefix string, site http.SameSite, life time.Duration) {
				t.Helper()
				if !strings.HasPrefix(c.Name, tt.prefix+prefix) || !c.HttpOnly || c.Secure != tt.secure || c.SameSite != site ||
					c.Path != "/" || c.Domain != "" || c.MaxAge != int(life/time.Second) {
					t.Errorf("cookie %v", c)
				}
			}
			check(attempt, "weir_at_", tt.site, federation.AttemptLife)
			if !strings.HasSuffix(attempt.Name, "_"+challenge.Location.Query().Get("state")) {
				t.Errorf("cookie %s for state %s", attempt.Name, challenge.Location.Query().Get("state"))
			}
			req, err := ada(t.Context(), b, challenge)
			if err != nil {
				t.Fatal(err)
			}
			done := b.Do(req)
			app.Code(done)
			if len(done.Cookies) != 2 || done.Cookies[0].Name != attempt.Name || done.Cookies[0].MaxAge >= 0 || done.Cookies[0].Value != "" {
				t.Fatalf("cookies %v", done.Cookies)
			}
			check(done.Cookies[1], "weir_s_"+servertest.PoolID, http.SameSiteLaxMode, time.Hour)
			// A cookie is deleted only by one with the same attributes.
			if d := done.Cookies[0]; d.Secure != tt.secure || d.Path != "/" || d.Domain != "" {
				t.Errorf("deleting cookie %v", d)
			}
			out := b.Get("/logout?client_id=" + app.ClientID)
			if len(out.Cookies) != 1 || out.Cookies[0].MaxAge >= 0 || out.Cookies[0].Name != done.Cookies[1].Name {
				t.Errorf("cookies at sign-out %v", out.Cookies)
			}
		})
	}
}

// A browser holds at most five attempts and 8 KB of them; the oldest goes first.
func TestAttemptsAreBounded(t *testing.T) {
	states := func(b *servertest.Browser) []string {
		var out []string
		for _, c := range b.Cookie("weir_at_") {
			out = append(out, c.Name)
		}
		slices.Sort(out) // names begin with the time
		return out
	}
	t.Run("by number", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		app, b := w.Web(), w.Browser()
		var began []*http.Request
		for range 7 {
			began = append(began, b.ToCallback(app.Authorize("prompt", "login"), ada))
			w.Clock.Advance(time.Second)
		}
		held := states(b)
		if len(held) != 5 {
			t.Fatalf("%d attempts", len(held))
		}
		for i, req := range began {
			p := b.Do(req)
			if ok := p.Location != nil && p.Params().Has("code"); ok != (i >= 2) {
				t.Errorf("attempt %d of 7: %d to %v", i, p.Status, p.Location)
			}
		}
		if len(states(b)) != 0 {
			t.Errorf("left over: %q", states(b))
		}
	})
	t.Run("by size", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		app, b := w.Web(), w.Browser()
		for range 4 {
			b.Get(app.Authorize("state", strings.Repeat("s", 1500)))
			w.Clock.Advance(time.Second)
		}
		size := 0
		for _, c := range b.Cookie("weir_at_") {
			size += len(c.Name) + len(c.Value)
		}
		if n := len(states(b)); n != 3 || size > 8<<10 {
			t.Errorf("%d attempts of %d bytes", n, size)
		}
	})
	t.Run("also against cookies that others planted", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		b := w.Browser()
		at, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		var planted []*http.Cookie
		for _, name := range []string{"weir_at_", "weir_at_x", "weir_at_!_y", "weir_at_zzzzzzzzzzzzzzzzzzzz_z", "weir_at_0_0", "weir_at_-1_a", "weir_at_1_b"} {
			planted = append(planted, &http.Cookie{Name: name, Value: strings.Repeat("v", 1000), Path: "/"})
		}
		b.Jar.SetCookies(at, planted)
		w.Web().Login(b, ada)
		if n := len(states(b)); n > 4 {
			t.Errorf("%d cookies are left", n)
		}
	})
}

// The pool is known by the host; only hosts that configuration or directory name are ever used.
func TestHosts(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	spec := servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up))
	spec.UserPools[1].Domain = "sso.acme.test"
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: spec})
	web, other := w.Web(), w.Other()
	at := func(host, path string) *servertest.Page { return w.Browser().Get("http://" + host + path) }
	query := func(a *servertest.App) string { return "/oauth2/authorize?" + a.Request().Encode() }

	for host, app := range map[string]*servertest.App{"acme.login.test": web, "ACME.Login.Test": web, "sso.acme.test": other, "login.test": web} {
		t.Run("a whole login on "+host, func(t *testing.T) {
			b := w.Browser()
			p := b.SignIn("http://"+host+query(app), ada)
			if got := p.Params(); got.Get("iss") != app.Issuer {
				t.Errorf("iss %q", got.Get("iss"))
			}
			ans := app.Tokens(p)
			if ans.Text("id_token") == "" {
				t.Error("no ID token")
			}
			callback := up.Requests("/authorize")
			if got := callback[len(callback)-1].Params.Get("redirect_uri"); got != "http://"+strings.ToLower(host)+"/oauth2/idpresponse" {
				t.Errorf("redirect_uri upstream %q", got)
			}
			if host != "login.test" && len(b.Cookie("weir_")) != 0 {
				t.Error("a cookie of one host is sent to another")
			}
		})
	}
	t.Run("a client of another pool on a pool's host", func(t *testing.T) {
		for host, app := range map[string]*servertest.App{"acme.login.test": other, "sso.acme.test": web} {
			for _, path := range []string{query(app), "/login?" + app.Request().Encode(), "/logout?client_id=" + app.ClientID} {
				if p := at(host, path); p.Status != http.StatusBadRequest || p.Location != nil || !strings.Contains(p.Body, "client_id") {
					t.Errorf("%s%s: %d to %v", host, path[:10], p.Status, p.Location)
				}
			}
			req := app.NewRequest(http.MethodPost, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {app.ClientID}, "client_secret": {app.Secret}})
			req.Host = host
			if ans := app.Send(req); ans.Text("error") != "invalid_client" {
				t.Errorf("token at %s: %s", host, ans.Body)
			}
		}
	})
	t.Run("an unknown host goes to the base URL, with the request", func(t *testing.T) {
		for _, host := range []string{w.Addr, "evil.example", "nobody.login.test", "a.b.login.test", "login.test.evil.example", "login.test:8080", "acme.login.test:99", "sso.acme.test:99", "sso.acme.test.login.test", "acme"} {
			for _, path := range []string{query(web), "/login?" + web.Request().Encode(), "/logout?client_id=" + web.ClientID} {
				req := web.NewRequest(http.MethodGet, path, nil)
				req.Host = host
				p := w.Browser().Do(req)
				if p.Status != http.StatusFound || p.Header.Get("Location") != w.URL+path || len(p.Cookies) != 1 || p.Cookies[0].MaxAge > 10 {
					t.Errorf("%s: %d to %v", host, p.Status, p.Location)
				}
			}
		}
	})
	t.Run("behind a proxy that rewrites the host nobody goes round for ever", func(t *testing.T) {
		b := w.Browser()
		for i, want := range []int{http.StatusFound, http.StatusOK} {
			req := web.NewRequest(http.MethodGet, "/login?"+web.Request().Encode(), nil)
			req.Host = "upstream.internal:8080"
			if i > 0 {
				req.AddCookie(&http.Cookie{Name: "weir_sent_to_base", Value: "1"})
			}
			if p := b.Do(req); p.Status != want {
				t.Errorf("request %d: %d to %v", i+1, p.Status, p.Location)
			}
		}
	})
	t.Run("the scheme's own port may be named", func(t *testing.T) {
		req := web.NewRequest(http.MethodGet, "/login?"+web.Request().Encode(), nil)
		req.Host = strings.TrimPrefix(w.URL, "http://") + ":80"
		if p := w.Browser().Do(req); p.Status != http.StatusOK {
			t.Errorf("%d to %v", p.Status, p.Location)
		}
	})
	t.Run("a form for an unknown host is refused", func(t *testing.T) {
		for _, path := range []string{"/oauth2/authorize", "/logout"} {
			req := web.NewRequest(http.MethodPost, path, web.Request())
			req.Host = "evil.example"
			if p := w.Browser().Do(req); p.Status != http.StatusBadRequest || !strings.Contains(p.Body, "host name") || strings.Contains(p.Body, "evil") {
				t.Errorf("%s: %d %s", path, p.Status, p.Body)
			}
		}
	})
}

// A document that caches may keep names the hosts and ports that are configured, whatever Host says.
func TestDiscoveryNamesNoForeignPort(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	spec := servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up))
	spec.UserPools[1].Domain = "sso.acme.test"
	for base, hosts := range map[string]map[string]string{
		servertest.HTTP: {
			"sso.acme.test": "http://sso.acme.test", "sso.acme.test:80": "http://sso.acme.test",
			"sso.acme.test:99": servertest.HTTP, "sso.acme.test:x=y": servertest.HTTP,
		},
		"http://login.test:8080": {
			"sso.acme.test:8080": "http://sso.acme.test:8080", "sso.acme.test": "http://sso.acme.test", "sso.acme.test:99": "http://login.test:8080",
		},
	} {
		w := servertest.Start(t, servertest.Options{Clock: clock, Spec: spec, BaseURL: base})
		for host, want := range hosts {
			req := w.Other().NewRequest(http.MethodGet, "/"+servertest.OtherPool+"/.well-known/openid-configuration", nil)
			req.Host = host
			if got := w.Other().Send(req).Text("token_endpoint"); got != want+"/oauth2/token" {
				t.Errorf("%s, asked for %s: %s", base, host, got)
			}
		}
	}
}

// X-Forwarded-Host and X-Forwarded-For are believed from trusted peers only.
func TestTrustedProxies(t *testing.T) {
	send := func(w *servertest.Weir, headers ...string) *servertest.Page {
		req := w.Web().NewRequest(http.MethodGet, "/login?"+w.Web().Request().Encode(), nil)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Add(headers[i], headers[i+1])
		}
		return w.Browser().Do(req)
	}
	remote := func(w *servertest.Weir) any {
		all := w.Log.Records("msg", "request")
		return all[len(all)-1]["remote"]
	}
	t.Run("from anybody: no", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		if p := send(w, "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "203.0.113.7", "X-Real-IP", "203.0.113.7", "Forwarded", "host=evil.example"); p.Status != http.StatusOK {
			t.Errorf("%d to %v", p.Status, p.Location)
		}
		if got := remote(w); got != "127.0.0.1" {
			t.Errorf("remote %v", got)
		}
	})
	t.Run("from a trusted proxy: what it added last", func(t *testing.T) {
		w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.TrustedProxies = prefixes(t, "127.0.0.0/8", "10.0.0.0/8") })
		p := send(w, "X-Forwarded-Host", "evil.example, acme.login.test", "X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.1.2.3")
		if p.Status != http.StatusOK {
			t.Errorf("%d to %v", p.Status, p.Location)
		}
		if got := remote(w); got != "203.0.113.7" {
			t.Errorf("remote %v", got)
		}
		if p = send(w, "X-Forwarded-Host", "acme.login.test", "X-Forwarded-Host", "evil.example"); p.Header.Get("Location") != w.URL+"/login?"+w.Web().Request().Encode() {
			t.Errorf("%d to %v", p.Status, p.Location)
		}
		if p = send(w); p.Status != http.StatusOK {
			t.Errorf("without the header: %d", p.Status)
		}
	})
	t.Run("of another network: no", func(t *testing.T) {
		w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.TrustedProxies = prefixes(t, "10.0.0.0/8") })
		if p := send(w, "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "203.0.113.7"); p.Status != http.StatusOK || remote(w) != "127.0.0.1" {
			t.Errorf("%d, remote %v", p.Status, remote(w))
		}
	})
}

// The sealing keys are replaced while people are signing in: what the old one sealed still opens, what is unknown does not.
func TestSealingKeysAreRotated(t *testing.T) {
	old, current := secret.GenerateKey(), secret.GenerateKey()
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.SealingKeys = []string{old} })
	app, b := w.Web(), w.Browser()
	app.Login(b, ada)
	req := b.ToCallback(app.Authorize("prompt", "login"), ada)
	at, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	held := b.Cookie("weir_")
	restored := func() *servertest.Browser {
		nb := w.Browser()
		nb.Jar.SetCookies(at, held)
		return nb
	}
	w.Broker.Ring = ring(t, current)
	if p := restored().Do(req); p.Status != http.StatusBadRequest || p.Location != nil {
		t.Errorf("with another key alone: %d to %v", p.Status, p.Location)
	}
	if got := restored().Get(app.Authorize("prompt", "none")).Params(); got.Get("error") != "login_required" {
		t.Errorf("the session with another key alone: %v", got)
	}
	w.Broker.Ring = ring(t, current, old)
	app.Code(restored().Get(app.Authorize("prompt", "none")))
	app.Tokens(restored().Do(req))
}

func ring(t *testing.T, keys ...string) *secret.Ring {
	t.Helper()
	r, err := secret.ParseRing(strings.NewReader(strings.Join(keys, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func prefixes(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}
