package samltest

import (
	"net/http"
	"slices"
	"time"

	"github.com/weir-id/weir/saml/binding"
)

// logoutRun is a single logout on its way from trust to trust, through the browser.
type logoutRun struct {
	pending []asked
	now     asked // who is asked at present
	partial bool  // somebody did not log out
	expires time.Time
	// initiator began it; an empty EntityID is the person, at this provider.
	initiator ServiceProvider
	requestID string
	relay     string
}

// asked is a trust that has to be asked to end a person's sessions.
type asked struct {
	sp      ServiceProvider
	nameID  binding.NameID
	indexes []string
}

func (p *Provider) receiver(sp ServiceProvider) binding.Receiver {
	return binding.Receiver{Issuer: sp.EntityID, Destinations: []string{p.at(EndpointSAML)}, Keys: publicKeys(sp), Now: p.cfg.Now}
}

// logoutRequest ends the browser's session for a trust that names it exactly, and tells the other trusts.
func (p *Provider) logoutRequest(w http.ResponseWriter, r *http.Request, in binding.Incoming, header binding.Header) {
	sp, ok := p.trust(header.Issuer)
	if !ok || sp.Logout == "" {
		p.problemPage(w, http.StatusBadRequest, "The application is not known here, or has no address for logout answers.")
		return
	}
	req, receipt, err := p.receiver(sp).LogoutRequest(in)
	if err != nil {
		p.problemPage(w, http.StatusBadRequest, "MSIS7084: "+err.Error())
		return
	}
	run := &logoutRun{initiator: sp, requestID: req.ID, relay: receipt.RelayState}
	sess, signedIn := p.currentSession(r)
	match := slices.ContainsFunc(sess.trusts, func(part participation) bool {
		return part.entityID == sp.EntityID && part.nameID == req.NameID &&
			(len(req.SessionIndexes) == 0 || slices.Contains(req.SessionIndexes, part.index))
	})
	if signedIn && !match {
		p.answerLogout(w, r, run, binding.StatusRequester, "", "The NameID or the SessionIndex is not the one that was issued.")
		return
	}
	if signedIn {
		run.pending = p.others(sess, sp.EntityID)
		p.endSession(w, r)
	}
	p.proceed(w, r, run)
}

// logoutResponse takes a trust's answer and goes on with the next one.
func (p *Provider) logoutResponse(w http.ResponseWriter, r *http.Request, in binding.Incoming, header binding.Header) {
	p.mu.Lock()
	run := p.state.logouts[header.InResponseTo]
	delete(p.state.logouts, header.InResponseTo)
	p.mu.Unlock()
	if run == nil {
		p.problemPage(w, http.StatusBadRequest, "Nobody asked for this logout answer.")
		return
	}
	answer, _, err := p.receiver(run.now.sp).LogoutResponse(in, header.InResponseTo)
	if err != nil || answer.Status != binding.StatusSuccess {
		run.partial = true
	}
	p.proceed(w, r, run)
}

// others returns the trusts with an address for logouts that take part in a session, except one.
func (p *Provider) others(sess session, except string) []asked {
	var out []asked
	for _, part := range sess.trusts {
		sp, ok := p.trust(part.entityID)
		if !ok || sp.Logout == "" || part.entityID == except || part.nameID.Value == "" {
			continue
		}
		i := slices.IndexFunc(out, func(a asked) bool { return a.sp.EntityID == part.entityID && a.nameID == part.nameID })
		if i < 0 {
			i = len(out)
			out = append(out, asked{sp: sp, nameID: part.nameID})
		}
		out[i].indexes = append(out[i].indexes, part.index)
	}
	return out
}

// proceed asks the next trust, or ends the run.
func (p *Provider) proceed(w http.ResponseWriter, r *http.Request, run *logoutRun) {
	if len(run.pending) == 0 {
		sub := ""
		if run.partial {
			sub = binding.StatusPartialLogout
		}
		p.answerLogout(w, r, run, binding.StatusSuccess, sub, "")
		return
	}
	now := p.cfg.Now()
	run.now, run.pending, run.expires = run.pending[0], run.pending[1:], now.Add(interactionLife)
	req := binding.LogoutRequest{
		ID: binding.NewID(), IssueInstant: now, NotOnOrAfter: now.Add(confirmationLife), Destination: run.now.sp.Logout,
		Issuer: p.cfg.EntityID, NameID: run.now.nameID, SessionIndexes: run.now.indexes,
	}
	if alter := p.currentFaults().LogoutRequest; alter != nil {
		alter(&req)
	}
	p.mu.Lock()
	p.state.sweep(now)
	p.state.logouts[req.ID] = run
	p.mu.Unlock()
	p.send(w, r, req, run.now.sp.LogoutBinding, "")
}

// answerLogout tells whoever began the run how it ended.
func (p *Provider) answerLogout(w http.ResponseWriter, r *http.Request, run *logoutRun, code, sub, message string) {
	if run.initiator.EntityID == "" {
		text := "You can close this window."
		if run.partial {
			text = "Some applications did not answer. Close all windows of your browser."
		}
		p.messagePage(w, http.StatusOK, "You are signed out", text)
		return
	}
	answer := binding.LogoutResponse{
		ID: binding.NewID(), InResponseTo: run.requestID, IssueInstant: p.cfg.Now(), Destination: run.initiator.Logout,
		Issuer: p.cfg.EntityID, Status: code, SubStatus: sub, Message: message,
	}
	if alter := p.currentFaults().LogoutResponse; alter != nil {
		alter(&answer)
	}
	p.send(w, r, answer, run.initiator.LogoutBinding, run.relay)
}

// send signs a message and has the browser take it along.
func (p *Provider) send(w http.ResponseWriter, r *http.Request, m binding.Message, over, relay string) {
	signer := p.signer()
	if s := p.currentFaults().Signer; s != nil {
		signer = *s
	}
	out, err := binding.Send(m, over, relay, &signer)
	if err != nil {
		p.problemPage(w, http.StatusInternalServerError, err.Error())
		return
	}
	if out.Form != nil {
		p.postPage(w, out.URL, out.Form)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, out.URL, http.StatusSeeOther)
}

func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(p.cookies.session); err == nil {
		p.mu.Lock()
		delete(p.state.sessions, cookie.Value)
		p.mu.Unlock()
		p.setCookie(w, p.cookies.session, "", -1)
	}
}

// askSignOut asks before it signs out, or any page on the web could sign people out.
func (p *Provider) askSignOut(w http.ResponseWriter, r *http.Request) {
	sess, signedIn := p.currentSession(r)
	if !signedIn {
		p.messagePage(w, http.StatusOK, "You are signed out", "You can close this window.")
		return
	}
	p.signOutPage(w, p.ask(w, r, interaction{signOut: true}), sess.person)
}

func (p *Provider) signOut(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.takeInteraction(r, func(f interaction) bool { return f.signOut }); !ok {
		p.problemPage(w, http.StatusBadRequest, "This sign-out form is no longer valid.")
		return
	}
	sess, _ := p.currentSession(r)
	run := &logoutRun{pending: p.others(sess, "")}
	p.endSession(w, r)
	p.proceed(w, r, run)
}
