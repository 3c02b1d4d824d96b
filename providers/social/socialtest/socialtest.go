// Package socialtest has stand-ins for the providers of package social, in one process and as strict as the real ones: a wrong redirect
// URI, a code that was used, a wrong PKCE verifier or client authentication is refused.
//
// Server is what they share, an authorization server for one client (RFC 6749 section 4.1, RFC 7636). A stand-in gives it
// what is the provider's own: addresses, forms of answers, further endpoints. Whoever visits the authorization endpoint is
// signed in at once as Server.Person, or cancels.
//
// It is for tests only.
package socialtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const codeLife = 5 * time.Minute

// Failure is an answer that says no, in the provider's own form.
type Failure struct {
	Status int
	Body   any // JSON
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("status %d: %v", f.Status, f.Body) }

// Refuse is a failure of the form of RFC 6749 section 5.2.
func Refuse(status int, code, description string) *Failure {
	return &Failure{status, map[string]string{"error": code, "error_description": description}}
}

// Grant is what a code or an access token stands for.
type Grant struct {
	Person    string // Server.Person at the time
	Scopes    []string
	Nonce     string
	Query     url.Values // of the authorization request
	challenge string
	redirect  string
	ends      time.Time
}

// Server is an authorization server for one client. Its fields are set before Start; those under "may change" with Change.
type Server struct {
	Now           func() time.Time
	ClientID      string
	ClientSecret  string // what Authenticate compares with, where that is nil
	RedirectURIs  []string
	AuthorizePath string
	TokenPath     string
	// PKCEOptional takes authorization requests without a challenge; one that has it is held to it.
	PKCEOptional bool
	// Authenticate proves the client at the token endpoint; nil takes client_secret in the body or HTTP Basic.
	Authenticate func(r *http.Request) error
	// Authorize makes further demands on an authorization request.
	Authorize func(v url.Values) error
	// Answer changes the parameters of the answer before they are sent; g is nil where the person cancelled.
	Answer func(v url.Values, g *Grant)
	// Token makes the answer of the token endpoint, to which the access token was added.
	Token func(g Grant, body map[string]any) error
	// Refusal gives a refusal of the token endpoint the provider's own form; nil is RFC 6749's.
	Refusal func(status int, code, description string) *Failure
	// Cancelled are the parameters of the answer where the person cancels; nil is access_denied.
	Cancelled url.Values

	// May change.
	Person   string
	Cancel   bool
	Override map[string]http.HandlerFunc // answers in place of those at a path

	URL string // set by Start

	mu       sync.Mutex
	mux      *http.ServeMux
	codes    map[string]Grant // deleted when redeemed
	access   map[string]Grant
	refresh  map[string]Grant
	requests []Request
}

// Request is one that was made to the server.
type Request struct {
	Path   string
	Query  url.Values
	Form   url.Values
	Header http.Header
}

// Start serves until the test ends. routes adds the provider's own endpoints.
func (s *Server) Start(t testing.TB, routes func(mux *http.ServeMux)) {
	t.Helper()
	s.codes, s.access, s.refresh = map[string]Grant{}, map[string]Grant{}, map[string]Grant{}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET "+s.AuthorizePath, s.authorize)
	s.mux.HandleFunc("POST "+s.TokenPath, s.token)
	if routes != nil {
		routes(s.mux)
	}
	s.URL = listen(t, s.serve)
}

// listen serves h on the loopback interface until the test ends, and returns where.
func listen(t testing.TB, h http.HandlerFunc) (url string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("socialtest: %v", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("socialtest: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("socialtest: serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

// Change alters what may change.
func (s *Server) Change(f func(s *Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// Requests returns those that were made to a path, the first first.
func (s *Server) Requests(path string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return r.Path != path })
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		Send(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.URL.Path, r.URL.Query(), r.PostForm, r.Header})
	h := s.Override[r.URL.Path]
	s.mu.Unlock()
	if h == nil {
		h = s.mux.ServeHTTP
	}
	h(w, r)
}

// Send writes JSON.
func Send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever went away needs no answer
}

// Fail writes an error, which is a *Failure or a defect of the stand-in.
func Fail(w http.ResponseWriter, err error) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{http.StatusInternalServerError, map[string]string{"error": err.Error()}}
	}
	Send(w, f.Status, f.Body)
}

// authorize answers with a page where the redirect URI cannot be trusted (RFC 6749 section 4.1.2.1).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	if err := s.checkAuthorize(v); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	person, cancel := s.Person, s.Cancel
	s.mu.Unlock()
	answer := url.Values{}
	var g *Grant
	if cancel {
		answer.Set("error", "access_denied")
		if s.Cancelled != nil {
			answer = cloned(s.Cancelled)
		}
	} else {
		code := rand.Text()
		g = &Grant{
			Person: person, Scopes: strings.Fields(v.Get("scope")), Nonce: v.Get("nonce"), Query: v,
			challenge: v.Get("code_challenge"), redirect: v.Get("redirect_uri"), ends: s.Now().Add(codeLife),
		}
		s.mu.Lock()
		s.codes[code] = *g
		s.mu.Unlock()
		answer.Set("code", code)
	}
	answer.Set("state", v.Get("state"))
	if s.Answer != nil {
		s.Answer(answer, g)
	}
	if v.Get("response_mode") == "form_post" {
		formPost(w, v.Get("redirect_uri"), answer)
		return
	}
	http.Redirect(w, r, v.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound) //nolint:gosec // registered: see checkAuthorize
}

func cloned(v url.Values) url.Values {
	out := url.Values{}
	for name, values := range v {
		out[name] = slices.Clone(values)
	}
	return out
}

func formPost(w http.ResponseWriter, action string, answer url.Values) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<form method="post" action="%s">`, html.EscapeString(action))
	for name := range answer {
		_, _ = fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(answer.Get(name)))
	}
	_, _ = fmt.Fprint(w, `</form>`)
}

func (s *Server) checkAuthorize(v url.Values) error {
	for name, values := range v {
		if len(values) > 1 {
			return errors.New(name + " was sent more than once")
		}
	}
	switch {
	case v.Get("client_id") != s.ClientID:
		return errors.New("the client_id is not registered")
	case !slices.Contains(s.RedirectURIs, v.Get("redirect_uri")):
		return errors.New("the redirect_uri is not registered: " + v.Get("redirect_uri"))
	case !slices.Contains(strings.Fields(v.Get("response_type")), "code"):
		return errors.New("the response_type has no code")
	case v.Get("state") == "":
		return errors.New("no state")
	case v.Get("code_challenge") == "" && !s.PKCEOptional:
		return errors.New("no code_challenge")
	case v.Get("code_challenge") != "" && v.Get("code_challenge_method") != "S256":
		return errors.New("the code_challenge_method is not S256")
	}
	if s.Authorize != nil {
		return s.Authorize(v)
	}
	return nil
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	body, err := s.redeem(r)
	if err != nil {
		Fail(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	Send(w, http.StatusOK, body)
}

func (s *Server) redeem(r *http.Request) (map[string]any, error) {
	refuse := Refuse
	if s.Refusal != nil {
		refuse = s.Refusal
	}
	if err := s.authenticated(r); err != nil {
		return nil, err
	}
	f := r.PostForm
	var g Grant
	var ok bool
	switch f.Get("grant_type") {
	case "authorization_code":
		s.mu.Lock()
		g, ok = s.codes[f.Get("code")]
		delete(s.codes, f.Get("code")) // once, also where it is refused
		s.mu.Unlock()
		switch {
		case !ok || s.Now().After(g.ends):
			return nil, refuse(http.StatusBadRequest, "invalid_grant", "the code is unknown, was used or has expired")
		case f.Get("redirect_uri") != g.redirect:
			return nil, refuse(http.StatusBadRequest, "invalid_grant", "the redirect_uri is another one than that of the request")
		case g.challenge != "" && challenge(f.Get("code_verifier")) != g.challenge:
			return nil, refuse(http.StatusBadRequest, "invalid_grant", "the code_verifier is not right")
		}
	case "refresh_token":
		s.mu.Lock()
		g, ok = s.refresh[f.Get("refresh_token")]
		s.mu.Unlock()
		if !ok {
			return nil, refuse(http.StatusBadRequest, "invalid_grant", "the refresh token is unknown or was revoked")
		}
	default:
		return nil, refuse(http.StatusBadRequest, "unsupported_grant_type", f.Get("grant_type"))
	}
	token := rand.Text()
	s.mu.Lock()
	s.access[token] = g
	s.mu.Unlock()
	body := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600}
	if s.Token != nil {
		if err := s.Token(g, body); err != nil {
			return nil, err
		}
	}
	if refresh, ok := body["refresh_token"].(string); ok {
		s.mu.Lock()
		s.refresh[refresh] = g
		s.mu.Unlock()
	}
	return body, nil
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *Server) authenticated(r *http.Request) error {
	if s.Authenticate != nil {
		return s.Authenticate(r)
	}
	id, key, basic := r.BasicAuth()
	if basic {
		id, _ = url.QueryUnescape(id)
		key, _ = url.QueryUnescape(key)
	} else {
		id, key = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if id == s.ClientID && key == s.ClientSecret && key != "" {
		return nil
	}
	refuse := Refuse
	if s.Refusal != nil {
		refuse = s.Refusal
	}
	return refuse(http.StatusUnauthorized, "invalid_client", "the client is unknown or its secret is not right")
}

// Access returns what an access token stands for.
func (s *Server) Access(token string) (Grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.access[token]
	return g, ok && token != ""
}

// Issue makes an access token that no code was redeemed for: one of another client, of another person.
func (s *Server) Issue(g Grant) string {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access[token] = g
	return token
}

// Forget makes an access or refresh token unknown, as revoking it does.
func (s *Server) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.access, token)
	delete(s.refresh, token)
}

// SignIn goes from an authorization URL to the request that brings the answer to the relying party, as a browser would. An answer that is no
// redirect and no form is an error with its text.
func SignIn(ctx context.Context, client *http.Client, authorizeURL string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizeURL, nil)
	if err != nil {
		return nil, err
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	if at := res.Header.Get("Location"); at != "" {
		return http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	}
	action, form, err := readForm(string(body))
	if err != nil {
		return nil, fmt.Errorf("socialtest: %w: %d %s", err, res.StatusCode, body)
	}
	back, err := http.NewRequestWithContext(ctx, http.MethodPost, action, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	back.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return back, nil
}
