package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// What nobody vouches for is never redirected to: wrong clients and redirect URIs end on a page.
func TestAuthorizeRedirectURIMismatch(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	for name, uri := range map[string]string{
		"another host":             "https://evil.example/callback",
		"another path":             servertest.WebURI + "/x",
		"a prefix":                 strings.TrimSuffix(servertest.WebURI, "k"),
		"a query added":            servertest.WebURI + "?x=1",
		"a fragment added":         servertest.WebURI + "#x",
		"another case":             strings.Replace(servertest.WebURI, "app", "APP", 1),
		"another scheme":           strings.Replace(servertest.WebURI, "https", "http", 1),
		"a port added":             strings.Replace(servertest.WebURI, ".com", ".com:443", 1),
		"a user name":              strings.Replace(servertest.WebURI, "https://", "https://app.example.com@", 1),
		"dot segments":             "https://app.example.com/x/../callback",
		"percent-encoded":          "https://app.example.com/c%61llback",
		"a trailing space":         servertest.WebURI + " ",
		"a trailing NUL":           servertest.WebURI + "\x00",
		"a line break":             servertest.WebURI + "\r\nSet-Cookie: x=1",
		"a script":                 "javascript:alert(1)",
		"no host":                  "/callback",
		"another client's":         servertest.SPAURI,
		"the logout URI":           servertest.LogoutURI,
		"none, and no default one": "",
	} {
		t.Run(name, func(t *testing.T) {
			onPage(t, b.Get(app.Authorize("redirect_uri", uri)), http.StatusBadRequest, "redirect_uri")
			onPage(t, b.Post("/oauth2/authorize", app.Request("redirect_uri", uri)), http.StatusBadRequest, "redirect_uri")
			onPage(t, b.Get("/login?"+app.Request("redirect_uri", uri).Encode()), http.StatusBadRequest, "redirect_uri")
		})
	}
	t.Run("twice", func(t *testing.T) {
		onPage(t, b.Get(app.Authorize()+"&redirect_uri=https://evil.example/"), http.StatusBadRequest, "more than once")
		onPage(t, b.Get(app.Authorize()+"&client_id="+servertest.SPAClient), http.StatusBadRequest, "more than once")
	})
	t.Run("unknown client", func(t *testing.T) {
		for _, id := range []string{"nobody", "", strings.Repeat("x", 5000), "a\x00b", "'; --", servertest.WebClient + " "} {
			onPage(t, b.Get(app.Authorize("client_id", id)), http.StatusBadRequest, "client_id")
		}
	})
	t.Run("a body that is no form", func(t *testing.T) {
		req := app.NewRequest(http.MethodPost, "/oauth2/authorize", app.Request())
		req.Header.Set("Content-Type", "application/json")
		onPage(t, b.Do(req), http.StatusBadRequest, "content type")
	})
	if got := b.Cookie(""); len(got) != 0 {
		t.Errorf("cookies after refusals: %v", got)
	}
}

// After the check of client and redirect URI the application hears of every fault, with its own state.
func TestAuthorizeRefusalsGoToTheClient(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		o.Spec.UserPools[0].Clients[0].AllowedOAuthScopes = []string{"openid", "email"}
	})
	web, spa, b := w.Web(), w.SPA(), w.Browser()
	scope := []string{"scope", "openid email"}
	for name, tt := range map[string]struct {
		app        *servertest.App
		pairs      []string
		code, part string
	}{
		"no response_type":           {web, []string{"response_type", ""}, "invalid_request", "response_type"},
		"response_type token":        {web, []string{"response_type", "token"}, "unsupported_response_type", "code"},
		"response_type id_token":     {web, []string{"response_type", "id_token"}, "unsupported_response_type", "code"},
		"response_type none":         {web, []string{"response_type", "none"}, "unsupported_response_type", "code"},
		"response_type hybrid":       {web, []string{"response_type", "code id_token"}, "unsupported_response_type", "code"},
		"a request object":           {web, []string{"request", "e30.e30."}, "request_not_supported", ""},
		"a request_uri":              {web, []string{"request_uri", "http://127.0.0.1:1/"}, "request_uri_not_supported", ""},
		"registration":               {web, []string{"registration", "{}"}, "registration_not_supported", ""},
		"response_mode fragment":     {web, []string{"response_mode", "fragment"}, "invalid_request", "response_mode"},
		"response_mode web_message":  {web, []string{"response_mode", "web_message"}, "invalid_request", "response_mode"},
		"an unknown scope":           {web, []string{"scope", "openid admin"}, "invalid_scope", ""},
		"a scope of others":          {web, []string{"scope", "openid profile"}, "invalid_scope", ""},
		"offline_access alone":       {web, []string{"scope", "offline_access offline_access"}, "invalid_scope", ""},
		"PKCE plain":                 {web, []string{"code_challenge_method", "plain"}, "invalid_request", "S256"},
		"PKCE without method":        {web, []string{"code_challenge_method", ""}, "invalid_request", "S256"},
		"method without challenge":   {web, []string{"code_challenge", ""}, "invalid_request", "code_challenge"},
		"a short challenge":          {web, []string{"code_challenge", "short"}, "invalid_request", "43"},
		"a challenge with padding":   {web, []string{"code_challenge", strings.Repeat("A", 42) + "="}, "invalid_request", "43"},
		"public client without PKCE": {spa, []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request", "PKCE"},
		"an unknown prompt":          {web, []string{"prompt", "create"}, "invalid_request", "prompt"},
		"prompt none and login":      {web, []string{"prompt", "none login"}, "invalid_request", "prompt"},
		"max_age no number":          {web, []string{"max_age", "soon"}, "invalid_request", "max_age"},
		"max_age negative":           {web, []string{"max_age", "-1"}, "invalid_request", "max_age"},
		"max_age overflowing":        {web, []string{"max_age", "9999999999999999999"}, "invalid_request", "max_age"},
		"a long nonce":               {web, []string{"nonce", strings.Repeat("n", 1025)}, "invalid_request", "nonce"},
		"an unknown provider":        {web, []string{"identity_provider", "Nobody"}, "invalid_request", "identity provider"},
		"an unknown identifier":      {web, []string{"idp_identifier", "nobody.example"}, "invalid_request", "idp_identifier"},
		"prompt none, no session":    {web, []string{"prompt", "none"}, "login_required", ""},
		"not UTF-8":                  {web, []string{"login_hint", "\xff"}, "invalid_request", "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := tt.pairs
			if tt.app == web {
				pairs = append(scope[:2:2], pairs...)
			}
			got := toClient(t, b.Get(tt.app.Authorize(pairs...)), tt.app.RedirectURI, tt.code, tt.part)
			if got.Get("state") != "af0ifjsldkj" {
				t.Errorf("state %q", got.Get("state"))
			}
			posted := b.Post("/oauth2/authorize", tt.app.Request(pairs...))
			if tt.code == "login_required" { // by GET there may be a session
				toClient(t, b.Get(posted.Location.String()), tt.app.RedirectURI, tt.code, tt.part)
			} else {
				toClient(t, posted, tt.app.RedirectURI, tt.code, tt.part)
			}
			if posted.Status != http.StatusSeeOther {
				t.Errorf("a form is answered with %d, which would send it on", posted.Status)
			}
		})
	}
	t.Run("a parameter twice", func(t *testing.T) {
		for _, name := range []string{"scope", "nonce", "code_challenge", "response_type", "prompt", "x"} {
			toClient(t, b.Get(web.Authorize("scope", "openid", "prompt", "login", "x", "1")+"&"+name+"=openid"), web.RedirectURI, "invalid_request", "more than once")
		}
	})
	t.Run("state twice is given back by none", func(t *testing.T) {
		got := toClient(t, b.Get(web.Authorize()+"&state=second"), web.RedirectURI, "invalid_request", "more than once")
		if got.Has("state") {
			t.Errorf("state %q", got["state"])
		}
	})
	if got := b.Cookie(""); len(got) != 0 {
		t.Errorf("cookies after refusals: %v", got)
	}
}

func TestAuthorizeAsks(t *testing.T) {
	w, up := servertest.StartExample(t, func(o *servertest.Options) {
		c := &o.Spec.UserPools[0].Clients[0]
		c.CallbackURLs = append(c.CallbackURLs, "https://app.example.com/cb?keep=%2f%2F&x", "com.example.app://", "com.example.app:/cb")
		c.DefaultRedirectURI = servertest.WebURI
	})
	app := w.Web()
	t.Run("the provider, with hints", func(t *testing.T) {
		got := toProvider(t, w.Browser().Get(app.Authorize("login_hint", "ada@elsewhere.example", "prompt", "login consent", "max_age", "60", "lang", "de fr", "acr_values", "gold")))
		for name, want := range map[string]string{
			"login_hint": "ada@elsewhere.example", "prompt": "login consent", "max_age": "60", "ui_locales": "de fr", "acr_values": "gold",
		} {
			if got.Get(name) != want {
				t.Errorf("%s = %q, want %q", name, got.Get(name), want)
			}
		}
		if got.Get("state") == "af0ifjsldkj" || got.Get("nonce") == "n-0S6_WzA2Mj" || got.Get("code_challenge") == servertest.Challenge(servertest.Verifier) {
			t.Error("the application's secrets went upstream")
		}
	})
	t.Run("by identifier, by e-mail domain, by name", func(t *testing.T) {
		for _, pairs := range [][]string{{"idp_identifier", "CORP.example"}, {"login_hint", "x@Corp.Example"}, {"identity_provider", "Corp"}, nil} {
			toProvider(t, w.Browser().Get(app.Authorize(pairs...)))
		}
	})
	t.Run("by POST", func(t *testing.T) {
		p := w.Browser().Post("/oauth2/authorize", app.Request("claims", strings.Repeat("c", 5000))) // too long for an address
		toProvider(t, p)
		if p.Status != http.StatusSeeOther {
			t.Errorf("status %d", p.Status)
		}
	})
	t.Run("by POST of another site, which brings no session: once more by GET", func(t *testing.T) {
		b := w.Browser()
		app.Login(b, ada)
		p := w.Browser().Post("/oauth2/authorize", app.Request("prompt", "none"))
		if p.Status != http.StatusSeeOther || p.Location.String() != app.Authorize("prompt", "none") {
			t.Fatalf("answer %d to %v", p.Status, p.Location)
		}
		app.Tokens(b.Get(p.Location.String()))
	})
	t.Run("offline_access is always granted, no scope is all scopes", func(t *testing.T) {
		for asked, want := range map[string]string{"openid offline_access openid": "openid offline_access", "": "openid email phone profile", " ": "openid email phone profile"} {
			ans := app.Login(w.Browser(), ada, "scope", asked)
			if ans.Text("scope") != want || ans.Text("refresh_token") == "" {
				t.Errorf("%q gives %q", asked, ans.Text("scope"))
			}
		}
	})
	t.Run("without openid there is no ID token and no userInfo", func(t *testing.T) {
		ans := app.Login(w.Browser(), ada, "scope", "email")
		if ans.JSON["id_token"] != nil || ans.Text("access_token") == "" {
			t.Errorf("answer %s", ans.Body)
		}
		refused(t, app.UserInfo(ans.Text("access_token")), http.StatusForbidden, "insufficient_scope", "openid")
	})
	t.Run("state comes back as it was", func(t *testing.T) {
		for _, state := range []string{"a b+c&d=e%20", "{\"é\":\"<script>\"}", "\u2028" + strings.Repeat("s", 1000), "\n\t"} {
			if got := w.Browser().SignIn(app.Authorize("state", state), ada).Params().Get("state"); got != state {
				t.Errorf("state %q, want %q", got, state)
			}
		}
	})
	t.Run("the registered URI is kept byte for byte", func(t *testing.T) {
		for uri, want := range map[string]string{
			"https://app.example.com/cb?keep=%2f%2F&x": "https://app.example.com/cb?keep=%2f%2F&x&code=",
			"com.example.app://":                       "com.example.app://?code=",
			"com.example.app:/cb":                      "com.example.app:/cb?code=",
		} {
			if got := w.Browser().SignIn(app.Authorize("redirect_uri", uri), ada).Header.Get("Location"); !strings.HasPrefix(got, want) {
				t.Errorf("goes to %q, want %q…", got, want)
			}
		}
	})
	t.Run("without redirect_uri it is the default one, at both endpoints", func(t *testing.T) {
		code := app.Code(w.Browser().SignIn(app.Authorize("redirect_uri", ""), ada))
		if ans := app.Redeem(code, "redirect_uri", ""); ans.Status != http.StatusOK {
			t.Errorf("answer %s", ans.Body)
		}
	})
	t.Run("form_post", func(t *testing.T) {
		p := w.Browser().SignIn(app.Authorize("response_mode", "form_post", "state", `"><script>`), ada)
		action, fields := p.Form()
		if p.Status != http.StatusOK || action != app.RedirectURI || fields.Get("state") != `"><script>` || fields.Get("iss") != app.Issuer {
			t.Fatalf("page %d posts %v to %q", p.Status, fields, action)
		}
		if ans := app.Redeem(fields.Get("code")); ans.Status != http.StatusOK {
			t.Errorf("answer %s", ans.Body)
		}
		p = w.Browser().Get(app.Authorize("response_mode", "form_post", "prompt", "none"))
		if action, fields = p.Form(); action != app.RedirectURI || fields.Get("error") != "login_required" {
			t.Errorf("page posts %v to %q", fields, action)
		}
	})
	t.Run("form_post to an app's own scheme", func(t *testing.T) {
		p := w.Browser().Get(app.Authorize("response_mode", "form_post", "redirect_uri", "com.example.app:/cb"))
		toClient(t, p, "com.example.app:/cb", "invalid_request", "form_post")
	})
	if n := len(up.Requests("/authorize")); n == 0 {
		t.Error("nothing reached the provider")
	}
}

// A state that does not fit the cookie is the client's fault, and the client hears of it.
func TestAuthorizeOversizedInput(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	t.Run("a state too long for the cookie", func(t *testing.T) {
		for _, n := range []int{3000, 20000} {
			state := strings.Repeat("s", n)
			got := toClient(t, b.Get(app.Authorize("state", state)), app.RedirectURI, "invalid_request", "too long")
			if got.Get("state") != state {
				t.Error("the state did not come back")
			}
		}
	})
	t.Run("the longest state fits a browser's cookie", func(t *testing.T) {
		lo, hi := 100, 3000
		for lo+1 < hi {
			mid := (lo + hi) / 2
			p := w.Browser().Get(app.Authorize("state", strings.Repeat("s", mid)))
			if p.Location != nil && p.Location.Path == "/authorize" {
				lo = mid
				if n := len(p.Header.Get("Set-Cookie")); n > 4096 {
					t.Fatalf("a cookie of %d bytes", n)
				}
			} else {
				hi = mid
			}
		}
		if lo < 1500 {
			t.Errorf("only %d characters of state fit", lo)
		}
		if got := w.Browser().SignIn(app.Authorize("state", strings.Repeat("s", lo)), ada).Params(); got.Get("code") == "" {
			t.Errorf("a state of %d characters fails: %v", lo, got)
		}
	})
	t.Run("a huge query", func(t *testing.T) {
		p := b.Get(app.Authorize("x", strings.Repeat("x", 100_000)))
		if p.Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", p.Status)
		}
	})
	t.Run("a huge cookie header", func(t *testing.T) {
		req := app.NewRequest(http.MethodGet, "/oauth2/authorize?"+app.Request().Encode(), nil)
		req.Header.Set("Cookie", "a="+strings.Repeat("x", 100_000))
		if p := b.Do(req); p.Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", p.Status)
		}
		req = app.NewRequest(http.MethodGet, "/oauth2/authorize?"+app.Request().Encode(), nil)
		req.Header.Set("Cookie", strings.Repeat("weir_at_0_=x; ", 4000))
		toProvider(t, w.Browser().Do(req))
	})
	huge := url.Values{"state": {strings.Repeat("x", 100_000)}}
	t.Run("a huge form", func(t *testing.T) {
		onPage(t, b.Post("/oauth2/authorize", huge), http.StatusRequestEntityTooLarge, "too large")
		refused(t, app.Post("/oauth2/token", url.Values{"code": huge["state"]}), http.StatusRequestEntityTooLarge, "too_large", "too large")
	})
	t.Run("a huge form of unknown length", func(t *testing.T) {
		req := app.NewRequest(http.MethodPost, "/oauth2/authorize", huge)
		req.ContentLength = -1
		onPage(t, b.Do(req), http.StatusRequestEntityTooLarge, "too large")
		req = app.NewRequest(http.MethodPost, "/oauth2/token", huge)
		req.ContentLength = -1
		refused(t, app.Send(req), http.StatusRequestEntityTooLarge, "invalid_request", "too large")
	})
	t.Run("10,000 parameters", func(t *testing.T) {
		onPage(t, b.Post("/oauth2/authorize", url.Values{"x": make([]string, 10_000)}), http.StatusBadRequest, "")
		onPage(t, b.Get(app.Authorize()+strings.Repeat("&a=", 10_000)), http.StatusBadRequest, "not well-formed")
		toClient(t, b.Get(app.Authorize()+strings.Repeat("&a=", 9_000)), app.RedirectURI, "invalid_request", "more than once")
	})
}

func TestAuthorizeWithoutTheCodeFlow(t *testing.T) {
	w, _ := servertest.StartExample(t)
	c, err := w.Directory.Client(t.Context(), servertest.WebClient)
	if err != nil {
		t.Fatal(err)
	}
	c.OAuth, c.Flows, c.Scopes, c.CallbackURLs = false, nil, nil, nil
	if _, err := w.Directory.UpdateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	onPage(t, w.Browser().Get(w.Web().Authorize()), http.StatusBadRequest, "redirect_uri")
}

// A client that offers two providers, and the choice between them.
func TestAuthorizeChoice(t *testing.T) {
	clock := servertest.NewClock()
	one, two := servertest.OIDC(t, clock), servertest.OIDC(t, clock)
	spec := servertest.Example(servertest.Provider("Corp", one, "corp.example"), servertest.Provider("Guests", two, "guests.example"))
	spec.UserPools[0].Clients[1].SupportedIdentityProviders = []string{"Corp"}
	w := servertest.Start(t, servertest.Options{Spec: spec, Clock: clock})
	app := w.Web()
	t.Run("is the person's", func(t *testing.T) {
		b := w.Browser()
		p := b.Get(app.Authorize())
		if p.Location == nil || p.Location.Path != "/login" {
			t.Fatalf("goes to %v", p.Location)
		}
		p = b.Get(p.Location.String())
		links := p.Links()
		if p.Status != http.StatusOK || len(links) != 2 || len(b.Cookie("")) != 0 {
			t.Fatalf("page %d with links %q", p.Status, links)
		}
		for i, up := range []string{one.Issuer(), two.Issuer()} {
			if back := b.Get(links[i]); !strings.HasPrefix(back.Location.String(), up) {
				t.Errorf("link %d goes to %v", i, back.Location)
			}
		}
		if got := app.Tokens(b.SignIn(links[1], ada)); got.Text("id_token") == "" {
			t.Error("no ID token")
		}
	})
	t.Run("is the request's", func(t *testing.T) {
		p := w.Browser().Get(app.Authorize("identity_provider", "Guests"))
		if toProvider(t, p); !strings.HasPrefix(p.Location.String(), two.Issuer()) {
			t.Errorf("goes to %v", p.Location)
		}
	})
	t.Run("a client does not offer every provider", func(t *testing.T) {
		toClient(t, w.Browser().Get(w.SPA().Authorize("identity_provider", "Guests")), servertest.SPAURI, "invalid_request", "does not offer")
		toClient(t, w.Browser().Get(w.SPA().Authorize("idp_identifier", "guests.example")), servertest.SPAURI, "invalid_request", "does not offer")
		p := w.Browser().Get(w.SPA().Authorize("login_hint", "x@guests.example"))
		if toProvider(t, p); !strings.HasPrefix(p.Location.String(), one.Issuer()) {
			t.Errorf("goes to %v", p.Location)
		}
	})
	t.Run("COGNITO, which Amplify sends where the application names no provider, leaves the choice", func(t *testing.T) {
		toProvider(t, w.Browser().Get(w.SPA().Authorize("identity_provider", "COGNITO")))
		b := w.Browser()
		p := b.Get(app.Authorize("identity_provider", "COGNITO"))
		if p.Location == nil || p.Location.Path != "/login" || len(b.Get(p.Location.String()).Links()) != 2 {
			t.Errorf("goes to %v", p.Location)
		}
	})
	t.Run("a session of a provider that the client does not offer will not do", func(t *testing.T) {
		b := w.Browser()
		app.Login(b, ada, "identity_provider", "Guests")
		toProvider(t, b.Get(w.SPA().Authorize()))
		toClient(t, b.Get(w.SPA().Authorize("prompt", "none")), servertest.SPAURI, "login_required", "")
	})
	t.Run("a session of another provider than the request names will not do", func(t *testing.T) {
		b := w.Browser()
		app.Login(b, ada, "identity_provider", "Guests")
		p := b.Get(app.Authorize("identity_provider", "Corp"))
		if toProvider(t, p); !strings.HasPrefix(p.Location.String(), one.Issuer()) {
			t.Errorf("goes to %v", p.Location)
		}
		app.Code(b.Get(app.Authorize("identity_provider", "Guests")))
		app.Code(b.Get(app.Authorize()))
	})
	t.Run("the provider is gone", func(t *testing.T) {
		if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Guests"); err != nil {
			t.Fatal(err)
		}
		toClient(t, w.Browser().Get(app.Authorize("identity_provider", "Guests")), servertest.WebURI, "invalid_request", "does not offer")
	})
}
