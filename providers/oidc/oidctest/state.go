package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"time"
)

// state is everything the provider remembers. Provider.mu guards it.
type state struct {
	interactions map[string]interaction // by the form's token
	sessions     map[string]session     // by cookie value
	codes        map[string]*code
	access       map[string]accessToken
	refresh      map[string]refreshToken
	assertions   map[string]time.Time // "client jti" of private_key_jwt, until they expire
}

// interaction is a form that waits for its answer, bound to the browser it was shown
// to: a sign-in form, or the question whether to sign out.
type interaction struct {
	request authRequest   // of a sign-in
	logout  *logoutTarget // of a sign-out; nil otherwise
	sid     string        // of the session the form offers to continue; empty: none
	browser string
	expires time.Time
}

type session struct {
	person   Person
	id       string // the sid claim
	authTime time.Time
	expires  time.Time
}

// grant is what one authorization gave; ending it ends every token that came from it.
type grant struct {
	client   string
	person   Person
	scopes   []string
	authTime time.Time
	sid      string
	ended    bool
}

type code struct {
	grant   *grant
	request authRequest
	spent   bool
	expires time.Time
}

type accessToken struct {
	grant   *grant
	scopes  []string
	expires time.Time
}

type refreshToken struct {
	grant   *grant
	spent   bool
	expires time.Time
}

func newState() state {
	return state{
		interactions: map[string]interaction{}, sessions: map[string]session{}, codes: map[string]*code{},
		access: map[string]accessToken{}, refresh: map[string]refreshToken{}, assertions: map[string]time.Time{},
	}
}

// sweep forgets what has expired, so that a demonstration may run for days.
func (s *state) sweep(now time.Time) {
	maps.DeleteFunc(s.interactions, func(_ string, v interaction) bool { return now.After(v.expires) })
	maps.DeleteFunc(s.sessions, func(_ string, v session) bool { return now.After(v.expires) })
	maps.DeleteFunc(s.codes, func(_ string, v *code) bool { return now.After(v.expires.Add(tokenLife)) })
	maps.DeleteFunc(s.access, func(_ string, v accessToken) bool { return now.After(v.expires) })
	maps.DeleteFunc(s.refresh, func(_ string, v refreshToken) bool { return now.After(v.expires) })
	maps.DeleteFunc(s.assertions, func(_ string, v time.Time) bool { return now.After(v) })
}

func randomID() string { return rand.Text() }

// cookieNames differ per issuer: cookies ignore ports, and several providers may
// run on one loopback address.
type cookieNames struct{ session, browser string }

func newCookieNames(issuer string) cookieNames {
	sum := sha256.Sum256([]byte(issuer))
	suffix := hex.EncodeToString(sum[:4])
	return cookieNames{session: "op_session_" + suffix, browser: "op_browser_" + suffix}
}
