package oidctest

import (
	"crypto/subtle"
	"net/http"
)

// currentSession returns the session of the browser's cookie.
func (p *Provider) currentSession(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(p.cookies.session)
	if err != nil {
		return session{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sess, ok := p.state.sessions[cookie.Value]
	return sess, ok && !p.cfg.Now().After(sess.expires)
}

func (p *Provider) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure on https; tests and the demonstration run on plain http
		Name: name, Value: value, Path: p.path + "/", MaxAge: maxAge,
		HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
	})
}

// browser returns the random name of this browser, and gives it one if it has none.
// Forms are bound to it: another site can neither read nor guess the form's token,
// and a token of the attacker's own browser is worth nothing in the victim's.
func (p *Provider) browser(w http.ResponseWriter, r *http.Request) string {
	if cookie, err := r.Cookie(p.cookies.browser); err == nil && cookie.Value != "" {
		return cookie.Value
	}
	name := randomID()
	p.setCookie(w, p.cookies.browser, name, 0)
	return name
}

// startSignIn shows the form; offered is the session it offers to continue, if any.
func (p *Provider) startSignIn(w http.ResponseWriter, r *http.Request, req authRequest, offered session) {
	id := p.ask(w, r, interaction{request: req, sid: offered.id})
	p.signInPage(w, http.StatusOK, signInData{
		Interaction: id, Client: req.client.Name, Username: req.loginHint, Continue: offered.person.Username,
	})
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

// takeInteraction returns the form that this browser was shown. done decides, under
// the lock, whether this answer is the form's last: of two submissions one wins.
func (p *Provider) takeInteraction(r *http.Request, done func(interaction) bool) (interaction, bool) {
	cookie, err := r.Cookie(p.cookies.browser)
	if err != nil {
		return interaction{}, false
	}
	id := r.PostForm.Get("interaction")
	p.mu.Lock()
	defer p.mu.Unlock()
	form, ok := p.state.interactions[id]
	if !ok || p.cfg.Now().After(form.expires) ||
		subtle.ConstantTimeCompare([]byte(form.browser), []byte(cookie.Value)) != 1 {
		return interaction{}, false
	}
	if done(form) {
		delete(p.state.interactions, id)
	}
	return form, true
}

func (p *Provider) signIn(w http.ResponseWriter, r *http.Request) {
	username, cancel := r.PostForm.Get("username"), r.PostForm.Has("cancel")
	person, known := p.person(username)
	right := subtle.ConstantTimeCompare([]byte(person.Password), []byte(r.PostForm.Get("password"))) == 1
	proven := known && right
	sess, signedIn := p.currentSession(r)
	resume := func(f interaction) bool {
		return r.PostForm.Has("continue") && signedIn && f.sid != "" && f.sid == sess.id
	}

	form, ok := p.takeInteraction(r, func(f interaction) bool {
		return f.logout == nil && (cancel || proven || resume(f))
	})
	switch {
	case !ok || form.logout != nil:
		p.problemPage(w, http.StatusBadRequest, "This sign-in form is no longer valid. Go back to the application and start again.")
	case cancel:
		p.respondError(w, r, form.request, refuse("access_denied", "The person cancelled the sign-in."))
	case resume(form):
		p.grantCode(w, r, form.request, sess)
	case !proven:
		p.signInPage(w, http.StatusUnauthorized, signInData{
			Interaction: r.PostForm.Get("interaction"), Client: form.request.client.Name, Username: username,
			Problem: "The username or the password is not right. Please try again.",
		})
	default:
		p.grantCode(w, r, form.request, p.startSession(w, r, person))
	}
}

// startSession gives the browser a new session under a new name, so that nobody can
// plant one before the sign-in, and ends the one it had.
func (p *Provider) startSession(w http.ResponseWriter, r *http.Request, person Person) session {
	now, value := p.cfg.Now(), randomID()
	sess := session{person: person, id: randomID(), authTime: now, expires: now.Add(sessionLife)}
	p.mu.Lock()
	if old, err := r.Cookie(p.cookies.session); err == nil {
		delete(p.state.sessions, old.Value)
	}
	p.state.sessions[value] = sess
	p.mu.Unlock()
	p.setCookie(w, p.cookies.session, value, 0)
	return sess
}
