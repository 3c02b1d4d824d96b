// Package demo is the sample application of "weir demo": Harbour Books, a shop that
// has no passwords of its own. It owns its pages, its sessions and nothing else.
//
// It is an ordinary relying party on go-oidc and x/oauth2, written as any application
// would be: discovery, the code flow with state, nonce and PKCE S256, userinfo,
// refresh, logout. It imports no package of this project, so that what works here
// works for anybody. Wiring it to a broker belongs to the caller.
//
// Sessions live in memory; it is an example to read, not a shop to run.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// AppConfig describes the application to its OpenID provider.
type AppConfig struct {
	// Issuer is the provider's issuer identifier. Discovery waits for the first
	// sign-in, so the provider may start later.
	Issuer       string
	ClientID     string
	ClientSecret string
	// BaseURL is the application's own address, without trailing slash. The redirect
	// URI is BaseURL + CallbackPath; the address after logout is BaseURL + "/".
	BaseURL string
	// Scopes are asked for. Empty means openid, profile, email.
	Scopes []string
	// LogoutURL is the provider's logout endpoint, which takes client_id and
	// logout_uri. Empty signs out of the application alone.
	LogoutURL string
	// HTTPClient reaches the provider; nil means one with a timeout of 10 seconds.
	HTTPClient *http.Client
	// Now is the clock. Required.
	Now func() time.Time
	// Log gets the causes of failed sign-ins; nil drops them.
	Log *slog.Logger
}

// CallbackPath is where the provider sends the browser back to.
const CallbackPath = "/callback"

type app struct {
	cfg     AppConfig
	cookies cookieNames
	store   store

	mu       sync.Mutex // guards provider
	provider *oidc.Provider
}

// NewApp returns the application's handler, or every fault of its configuration.
func NewApp(cfg AppConfig) (http.Handler, error) {
	var faults []error
	if u, err := url.Parse(cfg.Issuer); err != nil || u.Host == "" {
		faults = append(faults, errors.New("issuer: an absolute URL is required"))
	}
	if u, err := url.Parse(cfg.BaseURL); err != nil || u.Host == "" || strings.HasSuffix(cfg.BaseURL, "/") {
		faults = append(faults, errors.New("base URL: an absolute URL without trailing slash is required"))
	}
	if cfg.ClientID == "" {
		faults = append(faults, errors.New("client ID: required"))
	}
	if cfg.Now == nil {
		faults = append(faults, errors.New("now: a clock is required"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("demo app: %w", errors.Join(faults...))
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &app{cfg: cfg, cookies: newCookieNames(cfg.BaseURL), store: newStore(cfg.Now)}
	return a.handler(), nil
}

// handler guards every POST against other sites by Sec-Fetch-Site and Origin; the
// cookies are SameSite=Lax besides.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("GET "+CallbackPath, a.callback)
	mux.HandleFunc("POST /refresh", a.refresh)
	mux.HandleFunc("POST /sign-out", a.signOut)
	mux.HandleFunc("GET /style.css", styleSheet)
	return http.NewCrossOriginProtection().Handler(secureHeaders(mux))
}

// client makes go-oidc and x/oauth2 use the configured HTTP client.
func (a *app) client(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, a.cfg.HTTPClient)
}

// discover asks the provider's discovery document once, and again after a failure.
func (a *app) discover(ctx context.Context) (*oidc.Provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.provider != nil {
		return a.provider, nil
	}
	p, err := oidc.NewProvider(a.client(ctx), a.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	a.provider = p
	return p, nil
}

func (a *app) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: a.cfg.ClientID, ClientSecret: a.cfg.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: a.cfg.BaseURL + CallbackPath, Scopes: a.cfg.Scopes,
	}
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s == nil {
		a.render(w, http.StatusOK, "welcome.html", "Harbour Books", nil)
		return
	}
	a.render(w, http.StatusOK, "account.html", "Your account", s.view())
}

// signIn sends the browser to the provider with fresh state, nonce and PKCE verifier,
// which are kept here and bound to this browser by a cookie.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	p, err := a.discover(r.Context())
	if err != nil {
		a.fail(w, r, http.StatusBadGateway, "The sign-in service cannot be reached",
			"Please try again in a moment.", err)
		return
	}
	l := login{browser: a.browser(w, r), nonce: randomID(), verifier: oauth2.GenerateVerifier()}
	state := a.store.addLogin(l)
	http.Redirect(w, r, a.oauth(p).AuthCodeURL(state, oidc.Nonce(l.nonce), oauth2.S256ChallengeOption(l.verifier)), http.StatusSeeOther)
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l, ok := a.takeLogin(r, q.Get("state"))
	if !ok {
		a.fail(w, r, http.StatusBadRequest, "This sign-in is no longer valid",
			"It was started in another browser, used before, or too long ago.", errors.New("no login for this state and browser"))
		return
	}
	if code := q.Get("error"); code != "" {
		a.refused(w, r, code, q.Get("error_description"))
		return
	}
	s, err := a.finish(r.Context(), l, q)
	if err != nil {
		a.fail(w, r, http.StatusBadGateway, "The sign-in did not work",
			"The answer of the sign-in service was not as it should be. Nobody was signed in.", err)
		return
	}
	a.startSession(w, r, s)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// refused shows the provider's error. Its texts come through the browser: they are
// shown as quoted words, never trusted.
func (a *app) refused(w http.ResponseWriter, r *http.Request, code, description string) {
	title, text := "The sign-in service said no", "You are not signed in. You can try again."
	if code == "access_denied" {
		title, text = "You are not signed in", "The sign-in was cancelled or refused. Nothing has changed; you can try again."
	}
	a.cfg.Log.InfoContext(r.Context(), "sign-in refused", slog.String("error", code))
	a.render(w, http.StatusForbidden, "problem.html", title, problem{Text: text, Code: clip(code), Description: clip(description)})
}

// finish turns the authorization response into a session.
func (a *app) finish(ctx context.Context, l login, q url.Values) (*session, error) {
	p, err := a.discover(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.checkIssuer(p, q); err != nil {
		return nil, err
	}
	ctx = a.client(ctx)
	token, err := a.oauth(p).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(l.verifier))
	if err != nil {
		return nil, fmt.Errorf("exchange the code: %w", err)
	}
	idToken, err := a.verify(ctx, p, token)
	if err != nil {
		return nil, err
	}
	if idToken.Nonce != l.nonce {
		return nil, errors.New("the ID token's nonce is another sign-in's")
	}
	return a.newSession(ctx, p, token, idToken)
}

// checkIssuer is RFC 9207 section 2.4: an answer of another issuer is a mix-up, and so
// is one without iss from a provider that promises it.
func (a *app) checkIssuer(p *oidc.Provider, q url.Values) error {
	var metadata struct {
		Promised bool `json:"authorization_response_iss_parameter_supported"`
	}
	if err := p.Claims(&metadata); err != nil {
		return fmt.Errorf("read the discovery document: %w", err)
	}
	if (q.Has("iss") || metadata.Promised) && q.Get("iss") != a.cfg.Issuer {
		return errors.New("the answer's iss is not the provider's")
	}
	return nil
}

// verify checks the ID token of a token response, and that the access token belongs
// to it where the provider says so with at_hash.
func (a *app) verify(ctx context.Context, p *oidc.Provider, token *oauth2.Token) (*oidc.IDToken, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("the token response has no ID token")
	}
	idToken, err := p.Verifier(&oidc.Config{ClientID: a.cfg.ClientID, Now: a.cfg.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("verify the ID token: %w", err)
	}
	if idToken.AccessTokenHash != "" {
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, fmt.Errorf("verify at_hash: %w", err)
		}
	}
	return idToken, nil
}

// newSession adds the userinfo answer. Its sub must be the ID token's, or it speaks of
// somebody else (OpenID Connect Core section 5.3.2).
func (a *app) newSession(ctx context.Context, p *oidc.Provider, token *oauth2.Token, idToken *oidc.IDToken) (*session, error) {
	s := &session{token: token, subject: idToken.Subject, nonce: idToken.Nonce, issuedAt: idToken.IssuedAt}
	if err := idToken.Claims(&s.idClaims); err != nil {
		return nil, fmt.Errorf("read the ID token: %w", err)
	}
	if p.UserInfoEndpoint() == "" {
		return s, nil
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	if info.Subject != idToken.Subject {
		return nil, errors.New("userinfo speaks of another subject than the ID token")
	}
	if err := info.Claims(&s.userInfo); err != nil {
		return nil, fmt.Errorf("read userinfo: %w", err)
	}
	return s, nil
}
