package oauth_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// conformance is one deployment as the OpenID Foundation's suite meets it: https, RS256, two clients with secrets.
type conformance struct {
	*testing.T
	w   *servertest.Weir
	up  *oidctest.Provider
	app *servertest.App
	b   *servertest.Browser
}

// What the modules of the suite's Basic OP and RP-Initiated Logout plans want and no other test here
// shows by its name. Each has its own browser, in which nobody is signed in.
func TestConformanceModules(t *testing.T) {
	w, up := servertest.StartExample(t, func(o *servertest.Options) {
		o.BaseURL = servertest.HTTPS
		o.Spec.UserPools[0].SigningAlgorithm = "RS256"
	})
	for name, run := range map[string]func(conformance){
		"oidcc-server":                conformance.server,
		"oidcc-response-type-missing": conformance.responseTypeMissing,
		"oidcc-ensure-request-without-nonce-succeeds-for-code-flow": conformance.withoutNonce,
		"oidcc-ensure-other-scope-order-succeeds":                   conformance.scopeOrder,
		"oidcc-scope-email, oidcc-scope-phone, oidcc-scope-profile": conformance.scopes,
		"parameters that change nothing":                            conformance.passedOver,
		"oidcc-prompt-login, oidcc-max-age-1":                       conformance.asksAgain,
		"oidcc-prompt-none-logged-in, oidcc-max-age-10000":          conformance.asksNotAgain,
		"oidcc-unsigned-request-object":                             conformance.requestObject,
		"oidcc-refresh-token":                                       conformance.refresh,
		"oidcc-rp-initiated-logout":                                 conformance.logout,
	} {
		t.Run(name, func(t *testing.T) { run(conformance{t, w, up, w.Web(), w.Browser()}) })
	}
}

// claims are those of the ID token of an answer.
func (c conformance) claims(ans *servertest.Answer) map[string]any {
	c.Helper()
	return c.app.Claims(ans.Text("id_token"))
}

func (c conformance) server() {
	ans := c.app.Login(c.b, ada)
	id := c.claims(ans)
	for name, want := range map[string]any{"iss": c.app.Issuer, "aud": c.app.ClientID, "nonce": "n-0S6_WzA2Mj"} {
		if id[name] != want {
			c.Errorf("%s is %v, want %v", name, id[name], want)
		}
	}
	for _, name := range []string{"exp", "iat", "auth_time"} {
		if _, ok := id[name].(float64); !ok {
			c.Errorf("%s is %v", name, id[name])
		}
	}
	if ans.Text("token_type") != "Bearer" || ans.JSON["expires_in"] != 3600.0 || ans.Header.Get("Content-Type") != "application/json" ||
		ans.Header.Get("Cache-Control") != "no-store" || ans.Header.Get("Pragma") != "no-cache" {
		c.Errorf("answer %s, headers %v", ans.Body, ans.Header)
	}
	if info := c.app.UserInfo(ans.Text("access_token")); info.Text("sub") == "" || info.Text("sub") != id["sub"] {
		c.Errorf("userInfo %s, ID token %v", info.Body, id)
	}
}

func (c conformance) responseTypeMissing() {
	toClient(c.T, c.b.Get(c.app.Authorize("response_type", "")), c.app.RedirectURI, "invalid_request", "response_type")
	toClient(c.T, c.b.Get(c.app.Authorize("response_type", "")+"&response_type="), c.app.RedirectURI, "invalid_request", "response_type")
}

func (c conformance) withoutNonce() {
	for _, query := range []string{"", "&nonce="} {
		if id := c.claims(c.app.Tokens(c.b.SignIn(c.app.Authorize("nonce", "", "prompt", "login")+query, ada))); id["nonce"] != nil {
			c.Errorf("nonce %q", id["nonce"])
		}
	}
}

func (c conformance) scopeOrder() {
	if ans := c.app.Login(c.b, ada, "scope", "email openid"); c.claims(ans)["sub"] == nil || ans.Text("scope") != "email openid" {
		c.Errorf("answer %s", ans.Body)
	}
}

func (c conformance) scopes() {
	for scope, want := range map[string][]string{
		"openid email":               {"email", "email_verified", "identities", "sub", "username"},
		"openid phone":               {"identities", "sub", "username"},
		"openid profile":             {"email", "email_verified", "identities", "name", "sub", "username"},
		"openid profile email phone": {"email", "email_verified", "identities", "name", "sub", "username"},
	} {
		info := c.app.UserInfo(c.app.Login(c.b, ada, "scope", scope, "prompt", "login").Text("access_token"))
		got := map[string]bool{}
		for name := range info.JSON {
			got[name] = true
		}
		for _, name := range want {
			if !got[name] {
				c.Errorf("%s: no %s in %s", scope, name, info.Body)
			}
			delete(got, name)
		}
		if len(got) > 0 {
			c.Errorf("%s: also %v", scope, got)
		}
	}
}

// oidcc-display-page, -popup, -ensure-request-with-unknown-parameter-succeeds, -login-hint, -ui-locales, -claims-locales,
// -ensure-request-with-acr-values-succeeds, -claims-essential, and what stands there without a value (RFC 6749 section 3.1).
func (c conformance) passedOver() {
	for name, value := range map[string]string{
		"display": "popup", "extra": "foobar", "login_hint": "buffy@elsewhere.test", "ui_locales": "se de", "claims_locales": "se",
		"acr_values": "1 2", "claims": `{"userinfo":{"name":{"essential":true}}}`, "resource": "https://api.test",
	} {
		if id := c.claims(c.app.Login(c.b, ada, name, value, "prompt", "login")); id["nonce"] != "n-0S6_WzA2Mj" {
			c.Errorf("%s: %v", name, id)
		}
	}
	empty := "&request=&request_uri=&registration=&response_mode=&max_age=&id_token_hint=&login_hint=&identity_provider=&idp_identifier=&acr_values="
	if ans := c.app.Tokens(c.b.SignIn(c.app.Authorize("prompt", "login")+empty, ada)); ans.Text("id_token") == "" {
		c.Errorf("answer %s", ans.Body)
	}
	toClient(c.T, c.b.Get(c.app.Authorize("login_hint", "")+"&login_hint=&login_hint=x"), c.app.RedirectURI, "invalid_request", "more than once")
	if p := c.b.SignIn(c.app.Authorize("state", "", "prompt", "login")+"&state=", ada); p.Params().Has("state") {
		c.Errorf("state without a value comes back: %v", p.Location)
	}
}

func (c conformance) asksAgain() {
	before := c.claims(c.app.Login(c.b, ada))
	for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "1"}} {
		c.w.Clock.Advance(2 * time.Second)
		asked := len(c.up.Requests("/authorize"))
		after := c.claims(c.app.Login(c.b, ada, pairs...))
		if len(c.up.Requests("/authorize")) != asked+1 || after["auth_time"].(float64) <= before["auth_time"].(float64) || after["sub"] != before["sub"] {
			c.Errorf("%q: before %v, after %v", pairs, before, after)
		}
		before = after
	}
}

func (c conformance) asksNotAgain() {
	first := c.app.Login(c.b, ada)
	before := c.claims(first)
	for _, pairs := range [][]string{{"prompt", "none"}, {"max_age", "10000"}, {"prompt", "none", "id_token_hint", first.Text("id_token")}} {
		c.w.Clock.Advance(2 * time.Second)
		after := c.claims(c.app.Tokens(c.b.Get(c.app.Authorize(pairs...))))
		if after["sub"] != before["sub"] || after["auth_time"] != before["auth_time"] || after["iat"] == before["iat"] {
			c.Errorf("%q: before %v, after %v", pairs[0], before, after)
		}
	}
}

// oidcc-request-uri-unsigned-…, oidcc-unsigned-request-object-… and oidcc-ensure-request-object-with-redirect-uri take a refusal by
// these codes; the discovery document says the same.
func (c conformance) requestObject() {
	v := toClient(c.T, c.b.Get(c.app.Authorize("request", "eyJhbGciOiJub25lIn0.e30.")), c.app.RedirectURI, "request_not_supported", "")
	if v.Get("state") != "af0ifjsldkj" {
		c.Errorf("state %q", v.Get("state"))
	}
	toClient(c.T, c.b.Get(c.app.Authorize("request_uri", "https://rp.test/r")), c.app.RedirectURI, "request_uri_not_supported", "")
}

func (c conformance) refresh() {
	first := c.app.Login(c.b, ada, "scope", "openid email offline_access", "prompt", "consent")
	c.w.Clock.Advance(time.Second)
	second := c.app.Refresh(first.Text("refresh_token"))
	before, after := c.claims(first), c.claims(second)
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "azp"} {
		if !reflect.DeepEqual(before[name], after[name]) {
			c.Errorf("%s was %v and is %v", name, before[name], after[name])
		}
	}
	if after["iat"] == before["iat"] || after["nonce"] != nil || second.Text("access_token") == first.Text("access_token") {
		c.Errorf("before %v, after %v", before, after)
	}
	if got := strings.Fields(second.Text("scope")); !reflect.DeepEqual(got, []string{"openid", "email", "offline_access"}) {
		c.Errorf("scope %q", got)
	}
	refused(c.T, c.w.SPA().Refresh(first.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
}

// oidcc-rp-initiated-logout, and of its variants those that are about a target: -bad-post-logout-redirect-uri, -query-added-to-…,
// -no-id-token-hint, -modified-id-token-hint, -no-post-logout-redirect-uri. The others are in TestLogout.
func (c conformance) logout() {
	to, state := servertest.LogoutURI, strings.Repeat("s", 128)
	for name, tt := range map[string]struct {
		with  func(v url.Values, hint string)
		goes  string
		ended bool
	}{
		"":                              {func(url.Values, string) {}, to + "?state=" + state, true},
		"-no-state":                     {func(v url.Values, _ string) { v.Del("state") }, to, true},
		"-no-post-logout-redirect-uri":  {func(v url.Values, _ string) { v.Del("post_logout_redirect_uri") }, "", true},
		"-bad-post-logout-redirect-uri": {func(v url.Values, _ string) { v.Set("post_logout_redirect_uri", to+"x") }, "", false},
		"-query-added-to-post-logout-redirect-uri": {func(v url.Values, _ string) { v.Set("post_logout_redirect_uri", to+"?foo=bar") }, "", false},
		"-no-id-token-hint":                        {func(v url.Values, _ string) { v.Del("id_token_hint") }, "", false},
		"-modified-id-token-hint":                  {func(v url.Values, hint string) { v.Set("id_token_hint", unsigned(hint)) }, "", false},
		"-bad-id-token-hint":                       {func(v url.Values, _ string) { v.Set("id_token_hint", "bad") }, "", false},
	} {
		b := c.w.Browser()
		hint := c.app.Login(b, ada).Text("id_token")
		v := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {to}, "state": {state}}
		tt.with(v, hint)
		p := b.Get("/logout?" + v.Encode())
		if p.Header.Get("Location") != tt.goes || (p.Status == http.StatusBadRequest) == tt.ended {
			c.Errorf("%s: answer %d to %v", name, p.Status, p.Location)
		}
		if ended := b.Get(c.app.Authorize("prompt", "none")).Params().Get("error") == "login_required"; ended != tt.ended {
			c.Errorf("%s: the session ended: %t", name, ended)
		}
	}
}
