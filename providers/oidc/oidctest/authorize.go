package oidctest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authRequest is an authorization request whose client and redirect URI are proven.
type authRequest struct {
	client      Client
	redirectURI string
	state       string
	nonce       string
	challenge   string // empty: no PKCE
	formPost    bool
	scopes      []string
	prompt      []string
	maxAge      time.Duration // negative: none asked for
	loginHint   string
}

// oauthError is an error of RFC 6749 section 4.1.2.1 or 5.2, or of OpenID Connect Core
// section 3.1.2.6.
type oauthError struct {
	status      int // at the token endpoint; 0 means 400
	code        string
	description string
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func refuse(code, description string) *oauthError {
	return &oauthError{code: code, description: description}
}

// singleParams are the parameters that an authorization request may carry once (RFC
// 6749 section 3.1).
var singleParams = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt",
	"max_age", "login_hint", "code_challenge", "code_challenge_method",
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	req, problem := p.trustedRedirect(r.Form)
	if problem != "" {
		p.problemPage(w, http.StatusBadRequest, problem)
		return
	}
	if answer := p.currentFaults().AuthorizeError; answer != nil {
		p.respond(w, r, req, cloneValues(answer))
		return
	}
	if err := req.fill(r.Form); err != nil {
		p.respondError(w, r, req, err)
		return
	}
	sess, ok := p.currentSession(r)
	fresh := ok && (req.maxAge < 0 || p.cfg.Now().Sub(sess.authTime) <= req.maxAge)
	ask := slices.Contains(req.prompt, "login") || slices.Contains(req.prompt, "select_account")
	none := slices.Contains(req.prompt, "none")
	switch {
	case fresh && !ask && (none || !p.cfg.ConfirmSession):
		p.grantCode(w, r, req, sess)
	case none:
		p.respondError(w, r, req, refuse("login_required", "Nobody is signed in, or the sign-in is too old."))
	case fresh && !ask:
		p.startSignIn(w, r, req, sess)
	default:
		p.startSignIn(w, r, req, session{})
	}
}

// trustedRedirect decides whether answers may go to the redirect URI at all. Until it
// says yes, problems are shown on a page of the provider's own (RFC 6749 section 4.1.2.1).
func (p *Provider) trustedRedirect(form url.Values) (req authRequest, problem string) {
	if len(form["client_id"]) != 1 || len(form["redirect_uri"]) != 1 {
		return req, "The application must send one client_id and one redirect_uri."
	}
	client, ok := p.client(form.Get("client_id"))
	if !ok {
		return req, "The application is not known here: its client_id is not registered."
	}
	if !slices.Contains(client.RedirectURIs, form.Get("redirect_uri")) {
		return req, "The redirect_uri is not registered for this application."
	}
	return authRequest{
		client: client, redirectURI: form.Get("redirect_uri"), state: form.Get("state"),
		formPost: form.Get("response_mode") == "form_post",
	}, ""
}

// fill checks the rest of the request; its errors go to the redirect URI.
func (req *authRequest) fill(form url.Values) error {
	for _, name := range singleParams {
		if len(form[name]) > 1 {
			return refuse("invalid_request", name+" was sent more than once.")
		}
	}
	for name, code := range map[string]string{
		"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported",
	} {
		if form.Get(name) != "" {
			return refuse(code, "The parameter "+name+" is not supported.")
		}
	}
	req.nonce, req.loginHint = form.Get("nonce"), form.Get("login_hint")
	req.scopes, req.prompt = strings.Fields(form.Get("scope")), strings.Fields(form.Get("prompt"))
	switch mode := form.Get("response_mode"); {
	case form.Get("response_type") != "code":
		return refuse("unsupported_response_type", "The response_type must be code.")
	case mode != "" && mode != "query" && mode != "form_post":
		return refuse("invalid_request", "The response_mode must be query or form_post.")
	case !slices.Contains(req.scopes, "openid"):
		return refuse("invalid_scope", "The scope must contain openid.")
	case slices.Contains(req.prompt, "none") && len(req.prompt) > 1:
		return refuse("invalid_request", "prompt=none stands alone.")
	}
	return errors.Join(req.fillMaxAge(form), req.fillPKCE(form))
}

func (req *authRequest) fillMaxAge(form url.Values) error {
	req.maxAge = -1
	if form.Get("max_age") == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(form.Get("max_age"), 10, 31)
	if err != nil {
		return refuse("invalid_request", "max_age must be a number of seconds.")
	}
	req.maxAge = time.Duration(seconds) * time.Second
	return nil
}

// fillPKCE holds clients to S256: plain gives a code thief the verifier (RFC 7636
// section 7.2).
func (req *authRequest) fillPKCE(form url.Values) error {
	req.challenge = form.Get("code_challenge")
	switch {
	case req.challenge == "" && req.client.PKCEOptional:
		return nil
	case req.challenge == "":
		return refuse("invalid_request", "A code_challenge is required.")
	case form.Get("code_challenge_method") != "S256":
		return refuse("invalid_request", "The code_challenge_method must be S256.")
	case len(req.challenge) != 43:
		return refuse("invalid_request", "The code_challenge is not the base64url text of a SHA-256 hash.")
	}
	return nil
}

// grantCode ends a successful authorization.
func (p *Provider) grantCode(w http.ResponseWriter, r *http.Request, req authRequest, sess session) {
	now, value := p.cfg.Now(), randomID()
	g := &grant{client: req.client.ID, person: sess.person, scopes: req.scopes, authTime: sess.authTime, sid: sess.id}
	p.mu.Lock()
	p.state.sweep(now)
	p.state.codes[value] = &code{grant: g, request: req, expires: now.Add(codeLife)}
	p.mu.Unlock()
	p.respond(w, r, req, url.Values{"code": {value}})
}

func (p *Provider) respondError(w http.ResponseWriter, r *http.Request, req authRequest, err error) {
	var oe *oauthError
	if !errors.As(err, &oe) {
		oe = refuse("server_error", "Something went wrong.")
	}
	p.respond(w, r, req, url.Values{"error": {oe.code}, "error_description": {oe.description}})
}

// respond sends an authorization response with state and iss (RFC 9207), by redirect
// or by form_post.
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, req authRequest, params url.Values) {
	if req.state != "" {
		params.Set("state", req.state)
	}
	params.Set("iss", p.cfg.Issuer)
	if alter := p.currentFaults().Authorization; alter != nil {
		alter(params)
	}
	if req.formPost {
		p.formPostPage(w, req.redirectURI, params)
		return
	}
	redirectWith(w, r, req.redirectURI, params)
}

// redirectWith adds params to the query that a registered URI may have. 303 turns the
// form's POST into a GET and never carries the password on (RFC 9700 section 4.12).
func redirectWith(w http.ResponseWriter, r *http.Request, uri string, params url.Values) {
	u, err := url.Parse(uri)
	if err != nil {
		http.Error(w, "The registered URI is malformed.", http.StatusInternalServerError)
		return
	}
	q := u.Query()
	for name, values := range params {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}
