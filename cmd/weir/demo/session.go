package demo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	loginLife   = 10 * time.Minute
	sessionLife = 8 * time.Hour
	maxLogins   = 1000 // sign-ins under way at once; more end the oldest
)

// login is a sign-in under way. It is found by its state and works once, in the
// browser that began it.
type login struct {
	browser  string
	nonce    string
	verifier string
	expires  time.Time
}

// session is a signed-in browser. Its mutex makes refreshes take turns, since a
// provider that rotates takes a refresh token once.
type session struct {
	mu       sync.Mutex
	token    *oauth2.Token
	subject  string
	nonce    string
	issuedAt time.Time // of the ID token
	idClaims map[string]any
	userInfo map[string]any
	notice   string
	expires  time.Time
}

// store is the application's memory.
type store struct {
	now      func() time.Time
	mu       sync.Mutex // guards the maps
	logins   map[string]login
	sessions map[string]*session
}

func newStore(now func() time.Time) store {
	return store{now: now, logins: map[string]login{}, sessions: map[string]*session{}}
}

// addLogin keeps l and returns its state.
func (s *store) addLogin(l login) string {
	state, now := randomID(), s.now()
	l.expires = now.Add(loginLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.logins, func(_ string, l login) bool { return now.After(l.expires) })
	for len(s.logins) >= maxLogins {
		oldest := ""
		for k, v := range s.logins {
			if oldest == "" || v.expires.Before(s.logins[oldest].expires) {
				oldest = k
			}
		}
		delete(s.logins, oldest)
	}
	s.logins[state] = l
	return state
}

func (s *store) addSession(sess *session) string {
	id, now := randomID(), s.now()
	sess.expires = now.Add(sessionLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sessions, func(_ string, v *session) bool { return now.After(v.expires) })
	s.sessions[id] = sess
	return id
}

func (s *store) endSession(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, id)
}

func randomID() string { return rand.Text() }

// cookieNames differ per address: cookies ignore ports, and a demonstration runs
// several servers on one host.
type cookieNames struct{ session, browser string }

func newCookieNames(baseURL string) cookieNames {
	sum := sha256.Sum256([]byte(baseURL))
	suffix := hex.EncodeToString(sum[:4])
	return cookieNames{session: "harbour_session_" + suffix, browser: "harbour_browser_" + suffix}
}

func (a *app) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	u, err := url.Parse(a.cfg.BaseURL)
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure on https; a demonstration runs on plain http, too
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: err == nil && u.Scheme == "https",
	})
}

// browser returns the random name of this browser, and gives it one if it has none.
func (a *app) browser(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(a.cookies.browser); err == nil && c.Value != "" {
		return c.Value
	}
	name := randomID()
	a.setCookie(w, a.cookies.browser, name, 0)
	return name
}

// takeLogin ends the sign-in of this state, if this browser began it. Another
// browser's attempt leaves it alone.
func (a *app) takeLogin(r *http.Request, state string) (login, bool) {
	cookie, err := r.Cookie(a.cookies.browser)
	if err != nil {
		return login{}, false
	}
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	l, ok := a.store.logins[state]
	if !ok || a.cfg.Now().After(l.expires) || subtle.ConstantTimeCompare([]byte(l.browser), []byte(cookie.Value)) != 1 {
		return login{}, false
	}
	delete(a.store.logins, state)
	return l, true
}

// session returns the browser's session, or nil.
func (a *app) session(r *http.Request) *session {
	c, err := r.Cookie(a.cookies.session)
	if err != nil {
		return nil
	}
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	s, ok := a.store.sessions[c.Value]
	if !ok || a.cfg.Now().After(s.expires) {
		return nil
	}
	return s
}

// startSession replaces whatever session the browser had by a new one under a new name.
func (a *app) startSession(w http.ResponseWriter, r *http.Request, s *session) {
	if old, err := r.Cookie(a.cookies.session); err == nil {
		a.store.endSession(old.Value)
	}
	a.setCookie(w, a.cookies.session, a.store.addSession(s), 0)
}

func (a *app) dropSession(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(a.cookies.session); err == nil {
		a.store.endSession(c.Value)
		a.setCookie(w, a.cookies.session, "", -1)
	}
}

// signOut ends the session here first, then goes to the provider to end it there.
func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	a.dropSession(w, r)
	target := "/"
	if a.cfg.LogoutURL != "" {
		target = a.cfg.LogoutURL + "?" + url.Values{
			"client_id": {a.cfg.ClientID}, "logout_uri": {a.cfg.BaseURL + "/"},
		}.Encode()
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func (a *app) refresh(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := a.refreshSession(r.Context(), s); err != nil {
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
			a.fail(w, r, http.StatusBadGateway, "The tokens could not be refreshed",
				"You are still signed in with the tokens you had.", err)
			return
		}
		a.dropSession(w, r)
		a.fail(w, r, http.StatusUnauthorized, "Your sign-in has ended",
			"The sign-in service no longer accepts the refresh token. Please sign in again.", err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// refreshSession asks for new tokens now, whether or not the old ones have expired.
func (a *app) refreshSession(ctx context.Context, s *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := a.discover(ctx)
	if err != nil {
		return err
	}
	ctx = a.client(ctx)
	token, err := a.oauth(p).TokenSource(ctx, &oauth2.Token{RefreshToken: s.token.RefreshToken}).Token()
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	s.token = token // kept even if the rest fails: the old refresh token may be spent
	if token.Extra("id_token") == nil {
		s.notice = "The access token is new. The provider sent no new ID token."
		return nil
	}
	idToken, err := a.verify(ctx, p, token)
	if err != nil {
		return err
	}
	// OpenID Connect Core section 12.2.
	if idToken.Subject != s.subject || (idToken.Nonce != "" && idToken.Nonce != s.nonce) {
		return errors.New("the refreshed ID token is not for this sign-in")
	}
	var claims map[string]any
	if err := idToken.Claims(&claims); err != nil {
		return fmt.Errorf("read the ID token: %w", err)
	}
	s.notice = fmt.Sprintf("Tokens refreshed. The ID token was issued at %s; the one before at %s.",
		clock(idToken.IssuedAt), clock(s.issuedAt))
	s.idClaims, s.issuedAt = claims, idToken.IssuedAt
	return nil
}
