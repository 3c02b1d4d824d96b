package oidctest

import (
	"net/http"
	"net/url"
	"slices"
)

// signOutPath takes the answer of the page that asks whether to sign out.
const signOutPath = "/sign-out"

// logoutTarget is where a browser goes after it signed out; empty is a page here.
type logoutTarget struct{ uri, state string }

// endSession is OpenID Connect RP-Initiated Logout 1.0. With an ID token of this
// provider it signs out at once; without one it asks first (section 2), or any page on
// the web could sign people out.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	target, hinted, problem := p.logoutRequest(r.Form)
	if problem != "" {
		p.problemPage(w, http.StatusBadRequest, problem)
		return
	}
	sess, signedIn := p.currentSession(r)
	if !signedIn || (hinted != "" && hinted == sess.person.Subject) {
		p.endBrowserSession(w, r, target)
		return
	}
	p.signOutPage(w, p.ask(w, r, interaction{logout: &target}), sess.person)
}

// logoutRequest decides whether the target may be followed: only a URI registered for
// the client that the hint or client_id names. hinted is the subject of the hint.
func (p *Provider) logoutRequest(form url.Values) (target logoutTarget, hinted, problem string) {
	id := form.Get("client_id")
	if hint := form.Get("id_token_hint"); hint != "" {
		claims, ok := p.ownClaims(hint)
		aud, _ := claims["aud"].(string)
		if !ok || (id != "" && id != aud) {
			return target, "", "The id_token_hint is not an ID token of this provider for this application."
		}
		id = aud
		hinted, _ = claims["sub"].(string)
	}
	uri := form.Get("post_logout_redirect_uri")
	if uri == "" {
		return target, hinted, ""
	}
	client, ok := p.client(id)
	if !ok || !slices.Contains(client.PostLogoutRedirectURIs, uri) {
		return target, "", "The post_logout_redirect_uri is not registered for this application."
	}
	return logoutTarget{uri: uri, state: form.Get("state")}, hinted, ""
}

func (p *Provider) signOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The request body is not a form, or too large.", http.StatusBadRequest)
		return
	}
	form, ok := p.takeInteraction(r, func(f interaction) bool { return f.logout != nil })
	if !ok || form.logout == nil {
		p.problemPage(w, http.StatusBadRequest, "This sign-out form is no longer valid.")
		return
	}
	p.endBrowserSession(w, r, *form.logout)
}

func (p *Provider) endBrowserSession(w http.ResponseWriter, r *http.Request, target logoutTarget) {
	if cookie, err := r.Cookie(p.cookies.session); err == nil {
		p.mu.Lock()
		delete(p.state.sessions, cookie.Value)
		p.mu.Unlock()
		p.setCookie(w, p.cookies.session, "", -1)
	}
	if target.uri == "" {
		p.messagePage(w, http.StatusOK, "You are signed out", "You can close this window.")
		return
	}
	params := url.Values{}
	if target.state != "" {
		params.Set("state", target.state)
	}
	redirectWith(w, r, target.uri, params)
}
