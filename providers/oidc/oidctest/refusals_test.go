package oidctest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func wantOAuthError(t *testing.T, err error, code string) {
	t.Helper()
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) || re.ErrorCode != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
}

// post sends a form, with HTTP basic credentials "id:secret" unless they are empty.
func post(t *testing.T, target, basic string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id, secret, ok := strings.Cut(basic, ":"); ok {
		req.SetBasicAuth(id, secret)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, map[string]any) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, answer
}

func TestUntrustedRedirectsEndOnAPage(t *testing.T) {
	p := start(t, confidential())
	tests := map[string]url.Values{
		"unknown client":          {"client_id": {"other"}, "redirect_uri": {redirectURI}},
		"no redirect_uri":         {"client_id": {"shop"}},
		"redirect_uri of another": {"client_id": {"shop"}, "redirect_uri": {"http://evil.example/"}},
		"redirect_uri prefix":     {"client_id": {"shop"}, "redirect_uri": {redirectURI + "x"}},
		"redirect_uri twice":      {"client_id": {"shop"}, "redirect_uri": {redirectURI, "http://evil.example/"}},
	}
	for name, params := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := oidctest.SignIn(t.Context(), http.DefaultClient, p.Issuer()+"/authorize?"+params.Encode(), "ada", "river-otter")
			if !errors.Is(err, oidctest.ErrPage) || !strings.Contains(err.Error(), "status 400") {
				t.Fatalf("err = %v", err)
			}
		})
	}
}

func TestAuthorizationRequestsRefused(t *testing.T) {
	client := confidential()
	rp := newRelyingParty(t, start(t, client), client)
	tests := map[string]struct {
		change string // name=value replaces a parameter of the request
		again  string // is sent besides it
		want   string
	}{
		"no PKCE":                 {change: "code_challenge=", want: "invalid_request"},
		"plain PKCE":              {change: "code_challenge_method=plain", want: "invalid_request"},
		"short challenge":         {change: "code_challenge=short", want: "invalid_request"},
		"implicit flow":           {change: "response_type=id_token", want: "unsupported_response_type"},
		"fragment response":       {change: "response_mode=fragment", want: "invalid_request"},
		"no openid scope":         {change: "scope=email", want: "invalid_scope"},
		"none with another":       {change: "prompt=none login", want: "invalid_request"},
		"max_age no number":       {change: "max_age=-1", want: "invalid_request"},
		"request object":          {change: "request=e30.e30.", want: "request_not_supported"},
		"request object by URI":   {change: "request_uri=https://a.example", want: "request_uri_not_supported"},
		"parameter in duplicates": {again: "&nonce=nonce-2", want: "invalid_request"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var opts []oauth2.AuthCodeOption
			if key, value, ok := strings.Cut(tt.change, "="); ok {
				opts = append(opts, oauth2.SetAuthURLParam(key, value))
			}
			target := rp.authorizeURL(opts...) + tt.again
			callback, err := oidctest.SignIn(t.Context(), rp.browser, target, "ada", "river-otter")
			if err != nil {
				t.Fatal(err)
			}
			got := callback.Params()
			if got.Get("error") != tt.want || got.Get("code") != "" || got.Get("state") != "state-1" || got.Get("iss") == "" {
				t.Fatalf("callback = %v", got)
			}
		})
	}
}

func TestTokenRequestsRefused(t *testing.T) {
	client, other, public := confidential(), confidential(), confidential()
	other.ID = "other"
	public.ID, public.Auth, public.Secret = "public", oidctest.NoAuth, ""
	good := func(code, verifier string) url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
		}
	}
	tests := map[string]struct {
		basic  string
		change url.Values
		status int
		want   string
	}{
		"wrong secret":           {"shop:guess", nil, 401, "invalid_client"},
		"no secret":              {"", url.Values{"client_id": {"shop"}}, 401, "invalid_client"},
		"unknown client":         {"nobody:s3cret", nil, 401, "invalid_client"},
		"unregistered method":    {"", url.Values{"client_id": {"shop"}, "client_secret": {"s3cret"}}, 401, "invalid_client"},
		"secret of a public one": {"public:", nil, 401, "invalid_client"},
		"two methods":            {"shop:s3cret", url.Values{"client_secret": {"s3cret"}}, 400, "invalid_request"},
		"two clients":            {"shop:s3cret", url.Values{"client_id": {"other"}}, 400, "invalid_request"},
		"code of another client": {"other:s3cret", nil, 400, "invalid_grant"},
		"unknown code":           {"shop:s3cret", url.Values{"code": {"x"}}, 400, "invalid_grant"},
		"other redirect_uri":     {"shop:s3cret", url.Values{"redirect_uri": {"http://rp.example/callback"}}, 400, "invalid_grant"},
		"no verifier":            {"shop:s3cret", url.Values{"code_verifier": nil}, 400, "invalid_grant"},
		"wrong verifier":         {"shop:s3cret", url.Values{"code_verifier": {strings.Repeat("a", 43)}}, 400, "invalid_grant"},
		"code twice in one":      {"shop:s3cret", url.Values{"code": {"x", "y"}}, 400, "invalid_request"},
		"password grant":         {"shop:s3cret", url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type"},
		"no grant_type":          {"shop:s3cret", url.Values{"grant_type": nil}, 400, "invalid_request"},
		"unknown refresh token":  {"shop:s3cret", url.Values{"grant_type": {"refresh_token"}}, 400, "invalid_grant"},
	}
	p := start(t, client, other, public)
	rp := newRelyingParty(t, p, client)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			form := good(rp.signIn().Get("code"), rp.verifier)
			for k, v := range tt.change {
				form[k] = v
			}
			status, answer := post(t, p.Issuer()+"/token", tt.basic, form)
			if status != tt.status || answer["error"] != tt.want {
				t.Fatalf("%d %v, want %d %s", status, answer, tt.status, tt.want)
			}
		})
	}
}

func TestCodeWorksOnceAndForAMinute(t *testing.T) {
	now := time.Now()
	client := confidential()
	p := oidctest.Start(t, oidctest.Config{
		Clients: []oidctest.Client{client}, People: []oidctest.Person{ada}, Algorithm: jose.ES256,
		Now: func() time.Time { return now },
	})
	rp := newRelyingParty(t, p, client)
	code := rp.signIn().Get("code")
	token, _ := rp.finish(code)
	_, err := rp.exchange(code)
	wantOAuthError(t, err, "invalid_grant")
	if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
		t.Fatal("a code used twice left its access token alive")
	}

	code = rp.signIn().Get("code")
	now = now.Add(time.Minute)
	_, err = rp.exchange(code)
	wantOAuthError(t, err, "invalid_grant")
}

func TestOneOfManyRedeemersWins(t *testing.T) {
	client := confidential()
	rp := newRelyingParty(t, start(t, client), client)
	code := rp.signIn().Get("code")
	const racers = 16
	results := make(chan error, racers)
	for range racers {
		go func() {
			_, err := rp.exchange(code)
			results <- err
		}()
	}
	won := 0
	for range racers {
		if err := <-results; err == nil {
			won++
		} else {
			wantOAuthError(t, err, "invalid_grant")
		}
	}
	if won != 1 {
		t.Fatalf("%d winners", won)
	}
}

func TestVerifierWithoutChallengeIsADowngrade(t *testing.T) {
	client := confidential()
	client.PKCEOptional = true
	rp := newRelyingParty(t, start(t, client), client)
	none := []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("code_challenge", ""), oauth2.SetAuthURLParam("code_challenge_method", ""),
	}
	_, err := rp.exchange(rp.signIn(none...).Get("code"))
	wantOAuthError(t, err, "invalid_grant")
	rp.verifier = ""
	rp.finish(rp.signIn(none...).Get("code"), oauth2.SetAuthURLParam("code_verifier", ""))
}

func TestRefreshScopesOnlyNarrow(t *testing.T) {
	client, other := confidential(), confidential()
	other.ID = "other"
	p := start(t, client, other)
	rp := newRelyingParty(t, p, client)
	token, _ := rp.finish(rp.signIn().Get("code"))
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}}
	if status, answer := post(t, p.Issuer()+"/token", "other:s3cret", form); status != 400 || answer["error"] != "invalid_grant" {
		t.Fatalf("another client's refresh token: %d %v", status, answer)
	}
	form.Set("scope", "openid email")
	status, answer := post(t, p.Issuer()+"/token", "shop:s3cret", form)
	if status != http.StatusOK || answer["scope"] != "openid email" {
		t.Fatalf("narrower: %d %v", status, answer)
	}
	next, _ := answer["refresh_token"].(string)
	form.Set("refresh_token", next)
	form.Set("scope", "openid phone")
	if status, answer := post(t, p.Issuer()+"/token", "shop:s3cret", form); status != 400 || answer["error"] != "invalid_scope" {
		t.Fatalf("wider: %d %v", status, answer)
	}
}

func TestAssertionNamesItsClient(t *testing.T) {
	key := ecKey(t)
	client := oidctest.Client{ID: "shop", Auth: oidctest.PrivateKeyJWT, PublicKey: key.Public(), RedirectURIs: []string{redirectURI}}
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	status, answer := post(t, p.Issuer()+"/token", "", url.Values{ // no client_id: RFC 7521 section 4.2
		"grant_type": {"authorization_code"}, "code": {rp.signIn().Get("code")}, "redirect_uri": {redirectURI}, "code_verifier": {rp.verifier},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion(t, key, assertionClaims(p, client.ID))},
	})
	if status != http.StatusOK || answer["id_token"] == nil {
		t.Fatalf("%d %v", status, answer)
	}
}

func TestAssertionsRefused(t *testing.T) {
	key := ecKey(t)
	client := oidctest.Client{ID: "shop", Auth: oidctest.PrivateKeyJWT, PublicKey: key.Public(), RedirectURIs: []string{redirectURI}}
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	tests := map[string]func(*jwt.Claims){
		"other issuer":   func(c *jwt.Claims) { c.Issuer = "other" },
		"other subject":  func(c *jwt.Claims) { c.Subject = "other" },
		"other audience": func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://other.example"} },
		"expired":        func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Now().Add(-time.Second)) },
		"for ever":       func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Now().Add(48 * time.Hour)) },
		"without exp":    func(c *jwt.Claims) { c.Expiry = nil },
		"without jti":    func(c *jwt.Claims) { c.ID = "" },
		"not yet valid":  func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(time.Now().Add(time.Minute)) },
	}
	for name, alter := range tests {
		t.Run(name, func(t *testing.T) {
			claims := assertionClaims(p, client.ID)
			alter(&claims)
			_, err := rp.exchange(rp.signIn().Get("code"), assertionOptions(assertion(t, key, claims))...)
			wantOAuthError(t, err, "invalid_client")
		})
	}
	t.Run("other key", func(t *testing.T) {
		_, err := rp.exchange(rp.signIn().Get("code"), assertionOptions(assertion(t, ecKey(t), assertionClaims(p, client.ID)))...)
		wantOAuthError(t, err, "invalid_client")
	})
	t.Run("replayed", func(t *testing.T) {
		opts := assertionOptions(assertion(t, key, assertionClaims(p, client.ID)))
		rp.finish(rp.signIn().Get("code"), opts...)
		_, err := rp.exchange(rp.signIn().Get("code"), opts...)
		wantOAuthError(t, err, "invalid_client")
	})
}

func TestUserInfoRefusesWithoutToken(t *testing.T) {
	p := start(t, confidential())
	for _, header := range []string{"", "Bearer guess", "Basic c2hvcDpzM2NyZXQ="} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer()+"/userinfo?access_token=x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		if status, _ := do(t, req); status != http.StatusUnauthorized {
			t.Fatalf("%q: status %d", header, status)
		}
	}
}

func TestRevocation(t *testing.T) {
	client, other := confidential(), confidential()
	other.ID = "other"
	p := start(t, client, other)
	rp := newRelyingParty(t, p, client)
	token, _ := rp.finish(rp.signIn().Get("code"))
	endpoint, form := p.Issuer()+"/revoke", url.Values{"token": {token.RefreshToken}}
	if status, answer := post(t, endpoint, "other:s3cret", form); status != 400 || answer["error"] != "invalid_grant" {
		t.Fatalf("another client's revocation: %d %v", status, answer)
	}
	for range 2 {
		if status, _ := post(t, endpoint, "shop:s3cret", form); status != http.StatusOK {
			t.Fatalf("revocation: %d", status)
		}
	}
	_, err := rp.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	wantOAuthError(t, err, "invalid_grant")
	if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
		t.Fatal("revocation left the access token alive")
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := oidctest.New(oidctest.Config{
		Issuer: "http://op.example/", Algorithm: "HS256", People: []oidctest.Person{{Username: "x"}},
		Clients: []oidctest.Client{{ID: "a"}, {ID: "b", RedirectURIs: []string{"x"}}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"issuer:", "now:", "clients[0].redirectURIs:", "clients[1].secret:", "people[0]:", "algorithm:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}
