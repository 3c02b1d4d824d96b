package samltest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"net/http"
	"time"

	"github.com/weir-id/weir/saml/binding"
)

// state is everything the provider remembers. Provider.mu guards it.
type state struct {
	interactions map[string]interaction // by the form's token
	sessions     map[string]*session    // by cookie value
	logouts      map[string]*logoutRun  // by the ID of the request that waits for its answer
}

// interaction is a form that waits for its answer, bound to the browser it was shown to: a sign-in form, or the
// question whether to sign out.
type interaction struct {
	request authRequest // of a sign-in
	signOut bool
	sid     string // of the session the form offers to continue; empty: none
	browser string
	expires time.Time
}

type session struct {
	person   Person
	id       string
	authTime time.Time
	expires  time.Time
	// trusts are those that got an assertion, in order.
	trusts []participation
}

// participation is what a trust knows of a session.
type participation struct {
	entityID string
	nameID   binding.NameID
	index    string
}

func newState() state {
	return state{interactions: map[string]interaction{}, sessions: map[string]*session{}, logouts: map[string]*logoutRun{}}
}

// sweep forgets what has expired, so that a demonstration may run for days.
func (s *state) sweep(now time.Time) {
	maps.DeleteFunc(s.interactions, func(_ string, v interaction) bool { return now.After(v.expires) })
	maps.DeleteFunc(s.sessions, func(_ string, v *session) bool { return now.After(v.expires) })
	maps.DeleteFunc(s.logouts, func(_ string, v *logoutRun) bool { return now.After(v.expires) })
}

func randomID() string { return rand.Text() }

// cookieNames differ per provider: cookies ignore ports, and several may run on one loopback address.
type cookieNames struct{ session, browser string }

func newCookieNames(baseURL string) cookieNames {
	sum := sha256.Sum256([]byte(baseURL))
	suffix := hex.EncodeToString(sum[:4])
	return cookieNames{session: "idp_session_" + suffix, browser: "idp_browser_" + suffix}
}

// currentSession returns a copy of the session of the browser's cookie.
func (p *Provider) currentSession(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(p.cookies.session)
	if err != nil {
		return session{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sess := p.state.sessions[cookie.Value]
	if sess == nil || p.cfg.Now().After(sess.expires) {
		return session{}, false
	}
	return *sess, true
}

func (p *Provider) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	// A request over the POST binding is a cross-site POST, which Lax keeps the session from; None needs https.
	same := http.SameSiteLaxMode
	if p.secure {
		same = http.SameSiteNoneMode
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure on https; tests and the demonstration run on plain http
		Name: name, Value: value, Path: p.path + "/", MaxAge: maxAge,
		HttpOnly: true, Secure: p.secure, SameSite: same,
	})
}

// browser returns the random name of this browser, and gives it one if it has none. Forms are bound to it, so another
// site can neither read nor guess a form's token, and one of the attacker's own browser is worth nothing.
func (p *Provider) browser(w http.ResponseWriter, r *http.Request) string {
	if cookie, err := r.Cookie(p.cookies.browser); err == nil && cookie.Value != "" {
		return cookie.Value
	}
	name := randomID()
	p.setCookie(w, p.cookies.browser, name, 0)
	return name
}

// ask remembers a form for this browser and returns the token to put into it.
func (p *Provider) ask(w http.ResponseWriter, r *http.Request, form interaction) string {
	now, id := p.cfg.Now(), randomID()
	form.browser, form.expires = p.browser(w, r), now.Add(interactionLife)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.sweep(now)
	p.state.interactions[id] = form
	return id
}

// takeInteraction returns the form that this browser was shown. done decides, under the lock, whether this answer
// is the form's last: of two submissions one wins.
func (p *Provider) takeInteraction(r *http.Request, done func(interaction) bool) (interaction, bool) {
	cookie, err := r.Cookie(p.cookies.browser)
	if err != nil {
		return interaction{}, false
	}
	id := r.PostForm.Get("interaction")
	p.mu.Lock()
	defer p.mu.Unlock()
	form, ok := p.state.interactions[id]
	if !ok || p.cfg.Now().After(form.expires) || subtle.ConstantTimeCompare([]byte(form.browser), []byte(cookie.Value)) != 1 {
		return interaction{}, false
	}
	if done(form) {
		delete(p.state.interactions, id)
	}
	return form, true
}

// startSession gives the browser a new session under a new name, so that nobody can plant one, and ends the one it had.
func (p *Provider) startSession(w http.ResponseWriter, r *http.Request, person Person) session {
	now, value := p.cfg.Now(), randomID()
	sess := &session{person: person, id: randomID(), authTime: now, expires: now.Add(sessionLife)}
	p.mu.Lock()
	if old, err := r.Cookie(p.cookies.session); err == nil {
		// Signed in anew in the same browser: the trusts of before still take part.
		if before := p.state.sessions[old.Value]; before != nil && before.person.Username == person.Username {
			sess.trusts = before.trusts
		}
		delete(p.state.sessions, old.Value)
	}
	p.state.sessions[value] = sess
	p.mu.Unlock()
	p.setCookie(w, p.cookies.session, value, 0)
	return *sess
}

// joined notes that a trust got an assertion in a session.
func (p *Provider) joined(sid string, part participation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sess := range p.state.sessions {
		if sess.id == sid {
			sess.trusts = append(sess.trusts, part)
		}
	}
}
