package servertest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// App is an application as any other: it knows Weir by its HTTP endpoints only.
type App struct {
	ClientID    string
	Secret      string // empty: a public client
	RedirectURI string
	Issuer      string
	Weir        *Weir
	HTTP        *http.Client
}

// Verifier is the PKCE verifier of every App, and Challenge what follows from it.
const Verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// Challenge is the S256 code_challenge of a verifier (RFC 7636 section 4.2).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// App is an application of a pool.
func (w *Weir) App(poolID, clientID, clientSecret, redirectURI string) *App {
	return &App{ClientID: clientID, Secret: clientSecret, RedirectURI: redirectURI, Issuer: w.URL + "/" + poolID, Weir: w, HTTP: w.Client()}
}

// Request is the app's usual authorization request with PKCE. pairs are parameters over it; an empty value takes one away.
func (a *App) Request(pairs ...string) url.Values {
	v := url.Values{
		"client_id": {a.ClientID}, "redirect_uri": {a.RedirectURI}, "response_type": {"code"}, "scope": {"openid email profile"},
		"state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"}, "code_challenge": {Challenge(Verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// Authorize is the address of Request.
func (a *App) Authorize(pairs ...string) string {
	return a.Weir.URL + "/oauth2/authorize?" + a.Request(pairs...).Encode()
}

// Answer is what a JSON endpoint answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any // nil where the body is no JSON object
}

// Text returns a member that is a string, "" otherwise.
func (a *Answer) Text(name string) string {
	s, _ := a.JSON[name].(string)
	return s
}

// Send sends a request, which may carry the authentication that the test wants.
func (a *App) Send(req *http.Request) *Answer {
	a.Weir.t.Helper()
	res, err := a.HTTP.Do(req)
	a.Weir.must(err)
	body, err := io.ReadAll(res.Body)
	a.Weir.must(err)
	a.Weir.must(res.Body.Close())
	ans := &Answer{Status: res.StatusCode, Header: res.Header, Body: string(body)}
	if json.Unmarshal(body, &ans.JSON) != nil {
		ans.JSON = nil
	}
	return ans
}

// NewRequest makes a request to a path of Weir; form may be nil.
func (a *App) NewRequest(method, path string, form url.Values) *http.Request {
	a.Weir.t.Helper()
	req, err := request(a.Weir.t.Context(), method, a.Weir.URL+path, form)
	a.Weir.must(err)
	return req
}

// Post posts a form with the app's own authentication: client_secret_basic, or client_id alone.
func (a *App) Post(path string, form url.Values) *Answer {
	a.Weir.t.Helper()
	if a.Secret == "" {
		form.Set("client_id", a.ClientID)
	}
	req := a.NewRequest(http.MethodPost, path, form)
	if a.Secret != "" {
		req.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(a.Secret))
	}
	return a.Send(req)
}

// Redeem is the usual token request for a code; pairs are as in Request.
func (a *App) Redeem(code string, pairs ...string) *Answer {
	a.Weir.t.Helper()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.RedirectURI}, "code_verifier": {Verifier}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return a.Post("/oauth2/token", v)
}

// Refresh is the usual token request with a refresh token.
func (a *App) Refresh(token string) *Answer {
	a.Weir.t.Helper()
	return a.Post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// UserInfo asks with an access token in the header.
func (a *App) UserInfo(access string) *Answer {
	a.Weir.t.Helper()
	req := a.NewRequest(http.MethodGet, "/oauth2/userInfo", nil)
	req.Header.Set("Authorization", "Bearer "+access)
	return a.Send(req)
}

// Login is a whole sign-in that has to succeed, up to the tokens.
func (a *App) Login(b *Browser, up Upstream, pairs ...string) *Answer {
	a.Weir.t.Helper()
	return a.Tokens(b.SignIn(a.Authorize(pairs...), up))
}

// Tokens redeems the code of an answer that has to bring one.
func (a *App) Tokens(p *Page) *Answer {
	a.Weir.t.Helper()
	ans := a.Redeem(a.Code(p))
	if ans.Status != http.StatusOK {
		a.Weir.t.Fatalf("token request: %d %s", ans.Status, ans.Body)
	}
	return ans
}

// Code is the code of an answer that has to bring one, to this app.
func (a *App) Code(p *Page) string {
	a.Weir.t.Helper()
	if p.Location == nil || !strings.HasPrefix(p.Location.String(), a.RedirectURI+"?") || p.Location.Query().Get("code") == "" {
		a.Weir.t.Fatalf("no code for the application: %d %v %s", p.Status, p.Location, p.Body)
	}
	return p.Location.Query().Get("code")
}

// Verify checks a token's signature with the published keys, by go-jose alone, and returns its claims. The issuer, the
// audience of an ID token and the times are checked too.
func (a *App) Verify(raw string) (map[string]any, error) {
	tok, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return nil, err
	}
	set, err := a.keys(a.Weir.t.Context())
	if err != nil {
		return nil, err
	}
	found := set.Key(tok.Headers[0].KeyID)
	if len(found) != 1 {
		return nil, fmt.Errorf("%d keys have the id %q", len(found), tok.Headers[0].KeyID)
	}
	var std jwt.Claims
	claims := map[string]any{}
	if err := tok.Claims(found[0], &std, &claims); err != nil {
		return nil, err
	}
	want := jwt.Expected{Issuer: a.Issuer, Time: a.Weir.Clock.Now()}
	if claims["token_use"] == "id" {
		want.AnyAudience = jwt.Audience{a.ClientID}
	}
	return claims, std.ValidateWithLeeway(want, 0)
}

func (a *App) keys(ctx context.Context) (*jose.JSONWebKeySet, error) {
	req, err := request(ctx, http.MethodGet, a.Issuer+"/.well-known/jwks.json", nil)
	if err != nil {
		return nil, err
	}
	res, err := a.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		return nil, err
	}
	return &set, res.Body.Close()
}

// Claims is Verify for a token that has to be good.
func (a *App) Claims(raw string) map[string]any {
	a.Weir.t.Helper()
	claims, err := a.Verify(raw)
	if err != nil {
		a.Weir.t.Fatalf("verify token: %v", err)
	}
	return claims
}
