package demo_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/cmd/weir/demo"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func TestSignedInPageShowsTheTokens(t *testing.T) {
	f := newFixture(t, nil)
	if page := f.home(); !strings.Contains(page, ">Sign in</button>") || strings.Contains(page, "Sign out") {
		t.Fatalf("signed out: %s", page)
	}
	f.signIn()
	page := f.home()
	if !strings.Contains(page, "Hello, Ada &lt;b&gt;Brook&lt;/b&gt;") {
		t.Errorf("the name is not there, or not escaped: %s", page)
	}
	for _, want := range []struct{ section, name, value string }{
		{"id-token", "sub", "subject-ada"},
		{"id-token", "aud", `harbour`},
		{"id-token", "iss", f.provider.Issuer()},
		{"id-token", "custom:shelf", "B7"},
		{"access-token", "client_id", "harbour"},
		{"access-token", "scope", "openid profile email"},
		{"userinfo", "email", "ada@riverbank.example"},
		{"userinfo", "email_verified", "true"},
	} {
		if got := claim(page, want.section, want.name); got != want.value {
			t.Errorf("%s %s = %q, want %q", want.section, want.name, got, want.value)
		}
	}
	sent := f.provider.Requests(oidctest.EndpointAuthorize)
	if q := sent[0].Params; q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" {
		t.Errorf("authorization request: %v", q)
	}
	token := f.provider.Requests(oidctest.EndpointToken)[0]
	if strings.Contains(page, token.Params.Get("code_verifier")) || strings.Contains(page, "s3cret") {
		t.Error("the page shows a secret")
	}
}

func TestOpaqueAccessTokenIsNamedSo(t *testing.T) {
	f := newFixture(t, func(c *oidctest.Client) { c.JWTAccessToken, c.AlwaysRefresh = false, false })
	f.signIn()
	page := f.home()
	if !strings.Contains(page, "access token is opaque") || strings.Contains(page, "Refresh tokens") {
		t.Fatalf("page: %s", page)
	}
}

func TestRefreshShowsNewTokens(t *testing.T) {
	f := newFixture(t, nil)
	f.signIn()
	before := claim(f.home(), "id-token", "iat")
	for range 2 { // the second uses the rotated refresh token
		f.ahead.Add(60)
		if got := f.do(f.browser, "POST", "/refresh"); got.status != http.StatusSeeOther {
			t.Fatalf("refresh: %d %s", got.status, got.body)
		}
		page := f.home()
		after := claim(page, "id-token", "iat")
		if after == before || after == "" || !strings.Contains(page, "Tokens refreshed.") {
			t.Fatalf("iat %q after %q", after, before)
		}
		before = after
	}
	if strings.Contains(f.home(), "Tokens refreshed.") {
		t.Error("the notice stays")
	}
}

func TestRefreshesOfOneSessionTakeTurns(t *testing.T) {
	f := newFixture(t, nil)
	f.signIn()
	const racers = 8
	statuses := make(chan int, racers)
	for range racers {
		go func() {
			status := 0
			defer func() { statuses <- status }() // also where do gives up
			status = f.do(f.browser, "POST", "/refresh").status
		}()
	}
	for range racers {
		if status := <-statuses; status != http.StatusSeeOther {
			t.Errorf("refresh: %d", status)
		}
	}
	if !f.signedIn() {
		t.Fatal("a refresh token was used twice and ended the session")
	}
}

func TestRefusedRefreshEndsTheSession(t *testing.T) {
	f := newFixture(t, nil)
	f.signIn()
	invalid := func(code string) oidctest.Faults {
		return oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
			oidctest.EndpointToken: oidctest.Reply(400, "application/json", `{"error":"`+code+`"}`),
		}}
	}
	f.provider.Set(invalid("temporarily_unavailable"))
	if got := f.do(f.browser, "POST", "/refresh"); got.status != http.StatusBadGateway || !f.signedIn() {
		t.Fatalf("a passing fault: %d", got.status)
	}
	f.provider.Set(invalid("invalid_grant"))
	if got := f.do(f.browser, "POST", "/refresh"); got.status != http.StatusUnauthorized || f.signedIn() {
		t.Fatalf("a refusal: %d", got.status)
	}
}

func TestSignOutEndsHereFirst(t *testing.T) {
	f := newFixture(t, nil)
	f.signIn()
	target, err := url.Parse(f.app.URL)
	if err != nil {
		t.Fatal(err)
	}
	kept := f.browser.Jar.Cookies(target)
	got := f.do(f.browser, "POST", "/sign-out")
	if want := logoutURL + "?client_id=harbour&logout_uri=" + url.QueryEscape(f.app.URL+"/"); got.location != want {
		t.Errorf("location = %q, want %q", got.location, want)
	}
	f.browser.Jar.SetCookies(target, kept)
	if f.signedIn() {
		t.Error("the old cookie still works")
	}
}

func TestCancelledSignInIsAFriendlyPage(t *testing.T) {
	f := newFixture(t, nil)
	callback, err := oidctest.Cancel(t.Context(), f.browser, f.do(f.browser, "POST", "/sign-in").location)
	if err != nil {
		t.Fatal(err)
	}
	got := f.do(f.browser, "GET", callback.URL.String())
	if got.status != http.StatusForbidden || !strings.Contains(got.body, "You are not signed in") || !strings.Contains(got.body, "access_denied") {
		t.Fatalf("%d %s", got.status, got.body)
	}
}

func TestHostileErrorTextIsQuoted(t *testing.T) {
	f := newFixture(t, nil)
	f.provider.Set(oidctest.Faults{AuthorizeError: url.Values{
		"error": {"<script>x"}, "error_description": {strings.Repeat("<img src=x>", 100)},
	}})
	got := f.do(f.browser, "GET", f.authorize().String())
	if got.status != http.StatusForbidden || strings.Contains(got.body, "<script") || strings.Contains(got.body, "<img") || len(got.body) > 4000 {
		t.Fatalf("%d %s", got.status, got.body)
	}
}

func TestLyingAnswersSignNobodyIn(t *testing.T) {
	idToken := func(name string, value any) oidctest.Faults {
		return oidctest.Faults{IDToken: func(c map[string]any) { c[name] = value }}
	}
	tests := map[string]oidctest.Faults{
		"nonce mismatch":            idToken("nonce", "another"),
		"other audience":            idToken("aud", "another"),
		"other issuer":              idToken("iss", "https://evil.example"),
		"expired":                   idToken("exp", 1),
		"access token of another":   idToken("at_hash", "AAAA"),
		"alg none":                  {SignIDToken: oidctest.SignWithNone},
		"HS256 with the public key": {SignIDToken: oidctest.SignWithPublicKeyAsSecret},
		"other key":                 {SignIDToken: oidctest.SignWithOtherKey},
		"no ID token":               {TokenResponse: func(b map[string]any) { delete(b, "id_token") }},
		"userinfo of another":       {UserInfo: func(c map[string]any) { c["sub"] = "another" }},
		"mix-up":                    {Authorization: func(v url.Values) { v.Set("iss", "https://evil.example") }},
		"iss left out":              {Authorization: func(v url.Values) { v.Del("iss") }},
		"unknown code":              {Authorization: func(v url.Values) { v.Set("code", "x") }},
	}
	f := newFixture(t, nil)
	for name, faults := range tests {
		t.Run(name, func(t *testing.T) {
			f.provider.Set(faults)
			if got := f.do(f.browser, "GET", f.authorize().String()); got.status != http.StatusBadGateway || f.signedIn() {
				t.Fatalf("%d, signed in: %t", got.status, f.signedIn())
			}
		})
	}
}

func TestCallbackBelongsToItsBrowserOnce(t *testing.T) {
	f := newFixture(t, nil)
	callback := f.authorize().String()
	stranger := newBrowser(t)
	f.do(stranger, "POST", "/sign-in") // a browser with a sign-in of its own
	for name, browser := range map[string]*http.Client{"another browser": stranger, "no cookies": newBrowser(t)} {
		if got := f.do(browser, "GET", callback); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := f.do(f.browser, "GET", callback); got.status != http.StatusSeeOther {
		t.Fatalf("the right browser: %d", got.status)
	}
	if got := f.do(f.browser, "GET", callback); got.status != http.StatusBadRequest {
		t.Errorf("replay: %d", got.status)
	}
	stale := f.authorize().String()
	f.ahead.Add(11 * 60)
	if got := f.do(f.browser, "GET", stale); got.status != http.StatusBadRequest {
		t.Errorf("stale: %d", got.status)
	}
}

func TestSignInRenewsTheSessionName(t *testing.T) {
	f := newFixture(t, nil)
	f.signIn()
	target, err := url.Parse(f.app.URL)
	if err != nil {
		t.Fatal(err)
	}
	planted := f.browser.Jar.Cookies(target)
	f.signIn()
	f.browser.Jar.SetCookies(target, planted)
	if f.signedIn() {
		t.Fatal("the session of before the sign-in is alive")
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	f := newFixture(t, nil)
	f.signIn()
	for _, path := range []string{"/sign-out", "/refresh", "/sign-in"} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			if got := f.do(f.browser, "POST", path, header...); got.status != http.StatusForbidden {
				t.Errorf("%s with %v: %d", path, header, got.status)
			}
		}
		if got := f.do(f.browser, "GET", path); got.status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, got.status)
		}
	}
	if !f.signedIn() {
		t.Fatal("signed out")
	}
}

func TestProviderMayStartLater(t *testing.T) {
	f := newFixture(t, nil)
	f.provider.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
		oidctest.EndpointDiscovery: oidctest.Drop,
	}})
	if got := f.do(f.browser, "POST", "/sign-in"); got.status != http.StatusBadGateway || !strings.Contains(got.body, "cannot be reached") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	f.provider.Set(oidctest.Faults{})
	f.signIn()
}

func TestHeadersAndCookiesAreStrict(t *testing.T) {
	f := newFixture(t, nil)
	for _, path := range []string{"/", "/callback", "/style.css"} {
		got := f.do(f.browser, "GET", path)
		csp := got.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if strings.Contains(got.body, "<script") || strings.Contains(got.body, "style=") {
			t.Errorf("%s: inline code", path)
		}
	}
	got := f.do(f.browser, "GET", f.authorize().String())
	if cookie := got.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("cookie = %q", cookie)
	}
}

func TestNewAppReportsEveryFault(t *testing.T) {
	_, err := demo.NewApp(demo.AppConfig{BaseURL: "http://app.example/"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"issuer:", "client ID:", "base URL:", "now:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}
