package oidctest_test

import (
	"crypto"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func TestIndependentRelyingPartyVerifiesEveryAlgorithm(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			client := confidential()
			cfg := oidctest.Config{
				Issuer: "/tenant", Algorithm: alg, Clients: []oidctest.Client{client}, People: []oidctest.Person{ada}, Now: time.Now,
			}
			if alg == jose.RS256 || alg == jose.PS256 {
				cfg.Key = rsaKey(t)
			}
			p := oidctest.Start(t, cfg)
			rp := newRelyingParty(t, p, client)
			answer := rp.signIn()
			if answer.Get("state") != "state-1" || answer.Get("iss") != p.Issuer() || answer.Get("fixed") != "1" {
				t.Fatalf("callback = %v", answer)
			}
			_, idToken := rp.finish(answer.Get("code"))
			var claims struct {
				Email    string   `json:"email"`
				Verified bool     `json:"email_verified"`
				Phone    string   `json:"phone_number"`
				Groups   []string `json:"groups"`
			}
			if err := idToken.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if idToken.Subject != ada.Subject || claims.Email != "ada@riverbank.example" || !claims.Verified ||
				claims.Phone != "" || !slices.Equal(claims.Groups, []string{"staff", "library"}) {
				t.Fatalf("sub %q, claims %+v", idToken.Subject, claims)
			}

			if err := p.RotateKeys(); err != nil {
				t.Fatal(err)
			}
			rp.finish(rp.signIn().Get("code"))
		})
	}
}

func TestEveryClientAuthenticationMethod(t *testing.T) {
	key := ecKey(t)
	tests := map[string]oidctest.Client{
		"client_secret_basic with reserved characters": {Secret: "a:b%c d+é&"},
		"client_secret_post":                           {Auth: oidctest.SecretPost, Secret: "a:b%c d+é&"},
		"private_key_jwt":                              {Auth: oidctest.PrivateKeyJWT, PublicKey: key.Public()},
		"none":                                         {Auth: oidctest.NoAuth},
	}
	for name, client := range tests {
		t.Run(name, func(t *testing.T) {
			client.ID, client.RedirectURIs = "shop:1", []string{redirectURI}
			p := start(t, client)
			rp := newRelyingParty(t, p, client)
			var opts []oauth2.AuthCodeOption
			if client.Auth == oidctest.PrivateKeyJWT {
				opts = assertionOptions(assertion(t, key, assertionClaims(p, client.ID)))
			}
			rp.finish(rp.signIn().Get("code"), opts...)
		})
	}
}

func assertionClaims(p *oidctest.Provider, id string) jwt.Claims {
	return jwt.Claims{
		Issuer: id, Subject: id, Audience: jwt.Audience{p.Issuer() + "/token"}, ID: "jti-1",
		Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}
}

func assertion(t *testing.T, key crypto.Signer, claims jwt.Claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func assertionOptions(token string) []oauth2.AuthCodeOption {
	return []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
		oauth2.SetAuthURLParam("client_assertion", token),
	}
}

func TestFormPostCarriesTheSameAnswer(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	callback, err := oidctest.SignIn(t.Context(), rp.browser, rp.authorizeURL(oauth2.SetAuthURLParam("response_mode", "form_post")), "ada", "river-otter")
	if err != nil {
		t.Fatal(err)
	}
	req, err := callback.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if req.Method != http.MethodPost || req.URL.String() != redirectURI || callback.Form.Get("iss") != p.Issuer() || callback.Form.Get("state") != "state-1" {
		t.Fatalf("%s %s with %v", req.Method, req.URL, callback.Form)
	}
	rp.finish(callback.Form.Get("code"))
}

func TestUserInfo(t *testing.T) {
	tests := map[string]struct{ signed, lean, jwtAccess bool }{
		"JSON":                         {},
		"signed JWT":                   {signed: true},
		"claims in userinfo alone":     {lean: true},
		"with a readable access token": {jwtAccess: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := confidential()
			client.SignedUserInfo, client.LeanIDToken, client.JWTAccessToken = tt.signed, tt.lean, tt.jwtAccess
			rp := newRelyingParty(t, start(t, client), client)
			token, idToken := rp.finish(rp.signIn().Get("code"))
			info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
			if err != nil {
				t.Fatal(err)
			}
			if info.Subject != ada.Subject || info.Email != "ada@riverbank.example" || !info.EmailVerified {
				t.Fatalf("userinfo = %+v", info)
			}
			var claims map[string]any
			if err := idToken.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if _, has := claims["email"]; has == tt.lean {
				t.Fatalf("ID token claims = %v", claims)
			}
			if readable := strings.Count(token.AccessToken, ".") == 2; readable != tt.jwtAccess {
				t.Fatalf("access token = %q", token.AccessToken)
			}
			body := url.Values{"access_token": {token.AccessToken}}
			if status, _ := post(t, rp.provider.UserInfoEndpoint(), "", body); status != http.StatusOK {
				t.Fatalf("userinfo by POST = %d", status)
			}
		})
	}
}

func TestRefreshRotates(t *testing.T) {
	client := confidential()
	rp := newRelyingParty(t, start(t, client), client)
	first, before := rp.finish(rp.signIn().Get("code"))
	second, err := rp.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	if err != nil {
		t.Fatal(err)
	}
	after, err := rp.verify(second)
	if err != nil {
		t.Fatal(err)
	}
	if after.Subject != before.Subject || after.Nonce != "" || second.RefreshToken == "" || second.RefreshToken == first.RefreshToken {
		t.Fatalf("refreshed: sub %q nonce %q, token %q after %q", after.Subject, after.Nonce, second.RefreshToken, first.RefreshToken)
	}

	for _, stolen := range []string{first.RefreshToken, second.RefreshToken} {
		_, err := rp.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: stolen}).Token()
		wantOAuthError(t, err, "invalid_grant")
	}
	if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(second)); err == nil {
		t.Fatal("a reused refresh token left the access token alive")
	}
}

func TestRefreshTokenOnlyForOfflineAccess(t *testing.T) {
	client := confidential()
	client.AlwaysRefresh = false
	rp := newRelyingParty(t, start(t, client), client)
	if token, _ := rp.finish(rp.signIn().Get("code")); token.RefreshToken != "" {
		t.Fatal("refresh token without offline_access")
	}
	rp.config.Scopes = append(rp.config.Scopes, oidc.ScopeOfflineAccess)
	if token, _ := rp.finish(rp.signIn().Get("code")); token.RefreshToken == "" {
		t.Fatal("no refresh token for offline_access")
	}
}

func TestSessionIsRemembered(t *testing.T) {
	client := confidential()
	rp := newRelyingParty(t, start(t, client), client)
	prompt := func(v string) oauth2.AuthCodeOption { return oauth2.SetAuthURLParam("prompt", v) }

	if got := rp.visit(prompt("none")).Get("error"); got != "login_required" {
		t.Fatalf("prompt=none without a session: %q", got)
	}
	rp.signIn()
	if rp.visit(prompt("none")).Get("code") == "" || rp.visit().Get("code") == "" {
		t.Fatal("the session was not used")
	}
	for name, opt := range map[string]oauth2.AuthCodeOption{
		"prompt=login": prompt("login"), "prompt=select_account": prompt("select_account"),
	} {
		if _, err := oidctest.SignIn(t.Context(), rp.browser, rp.authorizeURL(opt), "ada", "wrong"); err == nil {
			t.Fatalf("%s did not ask for the password", name)
		}
	}
}

func TestMaxAgeAsksAgain(t *testing.T) {
	now := time.Now()
	client := confidential()
	p := oidctest.Start(t, oidctest.Config{
		Clients: []oidctest.Client{client}, People: []oidctest.Person{ada}, Algorithm: jose.ES256,
		Now: func() time.Time { return now },
	})
	rp := newRelyingParty(t, p, client)
	opts := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("max_age", "60"), oauth2.SetAuthURLParam("prompt", "none")}
	rp.signIn()
	now = now.Add(time.Minute)
	if rp.visit(opts...).Get("code") == "" {
		t.Fatal("a session of 60 s was refused for max_age=60")
	}
	now = now.Add(time.Second)
	if got := rp.visit(opts...).Get("error"); got != "login_required" {
		t.Fatalf("error = %q", got)
	}
}

// visit sends the browser to the authorization endpoint and expects an answer at once.
func (rp *relyingParty) visit(opts ...oauth2.AuthCodeOption) url.Values {
	rp.t.Helper()
	callback, err := oidctest.SignIn(rp.t.Context(), rp.browser, rp.authorizeURL(opts...), "nobody", "none")
	if err != nil {
		rp.t.Fatal(err)
	}
	return callback.Params()
}
