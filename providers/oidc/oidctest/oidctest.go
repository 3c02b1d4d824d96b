// Package oidctest is an OpenID provider in one process. It serves tests, where
// it is as strict as a real provider until a test tells it to misbehave, and the
// demonstration, where people sign in at its form. Both run the same code.
//
// What to call: Start in a test, New elsewhere; SignIn and Cancel to go through the
// form without a browser; Provider.Set for misbehaviour; Provider.Requests to see
// what a relying party sent.
//
// It speaks the code flow of OpenID Connect Core 1.0 with PKCE S256 (RFC 7636),
// issuer identification (RFC 9207), form_post, refresh tokens with rotation,
// userinfo, revocation (RFC 7009) and RP-initiated logout. It knows nothing of the
// packages it helps to test.
//
// It is not for production: people, passwords and every grant live in memory, no
// attempt is throttled, and consent is taken for granted.
package oidctest

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Config describes a provider. It is read once, by New.
type Config struct {
	// Issuer is the issuer identifier: an absolute http or https URL without
	// trailing slash, query or fragment. It may have a path.
	Issuer string
	// Name is shown on the pages. Empty means "Example Provider".
	Name string
	// Clients are the relying parties; PutClient adds others later.
	Clients []Client
	// People may sign in.
	People []Person
	// Now is the clock. Required.
	Now func() time.Time
	// Algorithm signs ID tokens: RS256 (the default), PS256, ES256 or EdDSA.
	Algorithm jose.SignatureAlgorithm
	// Key is the first signing key; nil generates one. Giving it lets many
	// providers share the cost of one RSA key.
	Key crypto.Signer
	// ConfirmSession shows the form even to a browser that is signed in, with a button
	// to continue as that person; otherwise the answer is immediate. prompt=none never
	// sees a form.
	ConfirmSession bool
	// ShowPeople prints usernames and passwords under the sign-in form.
	ShowPeople bool
	// Record keeps every request for Requests, secrets included. Start turns it on.
	Record bool
}

// AuthMethod is how a client proves itself at the token and revocation endpoints
// (OpenID Connect Core section 9). A client that uses another one than its own is refused.
type AuthMethod string

// The methods of client authentication.
const (
	SecretBasic   AuthMethod = "client_secret_basic"
	SecretPost    AuthMethod = "client_secret_post"
	PrivateKeyJWT AuthMethod = "private_key_jwt"
	NoAuth        AuthMethod = "none"
)

// Client is a relying party. Its zero value is the strict one.
type Client struct {
	ID     string
	Name   string // shown on the sign-in page; empty means ID
	Secret string
	// Auth is the only method accepted. Empty means SecretBasic.
	Auth AuthMethod
	// PublicKey verifies the assertions of PrivateKeyJWT: a *rsa.PublicKey,
	// *ecdsa.PublicKey or ed25519.PublicKey.
	PublicKey crypto.PublicKey
	// RedirectURIs and PostLogoutRedirectURIs match as exact strings.
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	// PKCEOptional accepts authorization requests without a code_challenge.
	PKCEOptional bool
	// AlwaysRefresh gives a refresh token with every code; otherwise only the
	// scope offline_access does.
	AlwaysRefresh bool
	// JWTAccessToken makes access tokens readable (RFC 9068); otherwise opaque.
	JWTAccessToken bool
	// SignedUserInfo answers userinfo as a signed JWT (OpenID Connect Core section 5.3.2).
	SignedUserInfo bool
	// LeanIDToken leaves the person's claims to userinfo.
	LeanIDToken bool
}

// Person can sign in.
type Person struct {
	Username string
	Password string
	Subject  string
	// Claims are released by the requested scopes as in OpenID Connect Core section
	// 5.4; a claim that no standard scope covers is always released.
	Claims map[string]any
}

// Endpoint names one of the provider's endpoints, for Faults and Requests.
type Endpoint string

// The endpoints. EndpointSignIn is what the sign-in form posts to.
const (
	EndpointDiscovery  Endpoint = "/.well-known/openid-configuration"
	EndpointJWKS       Endpoint = "/jwks"
	EndpointAuthorize  Endpoint = "/authorize"
	EndpointSignIn     Endpoint = "/sign-in"
	EndpointToken      Endpoint = "/token"
	EndpointUserInfo   Endpoint = "/userinfo"
	EndpointRevocation Endpoint = "/revoke"
	EndpointEndSession Endpoint = "/end-session"
)

// Lifetimes of what the provider gives out.
const (
	codeLife        = time.Minute
	tokenLife       = time.Hour
	refreshLife     = 30 * 24 * time.Hour
	sessionLife     = 8 * time.Hour
	interactionLife = 10 * time.Minute
)

const maxForm = 64 << 10 // bytes of a request body

// Provider is an http.Handler. Its methods may be called from any goroutine.
type Provider struct {
	cfg     Config
	origin  string // scheme and host of the issuer
	path    string // the issuer's path, without trailing slash
	secure  bool   // cookies are Secure
	cookies cookieNames
	mux     *http.ServeMux

	mu       sync.Mutex // guards what follows
	clients  map[string]Client
	keys     []jose.JSONWebKey // the newest first; all but the first only verify
	faults   Faults
	requests []Request
	state    state
}

// New returns a provider, or every fault of its configuration at once.
func New(cfg Config) (*Provider, error) {
	var faults []error
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") ||
		u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(cfg.Issuer, "/") {
		faults = append(faults, errors.New("issuer: an http or https URL without trailing slash, query or fragment is required"))
		u = &url.URL{}
	}
	if cfg.Now == nil {
		faults = append(faults, errors.New("now: a clock is required"))
	}
	if cfg.Name == "" {
		cfg.Name = "Example Provider"
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = jose.RS256
	}
	p := &Provider{
		cfg: cfg, origin: u.Scheme + "://" + u.Host, path: u.Path, secure: u.Scheme == "https",
		cookies: newCookieNames(cfg.Issuer), clients: map[string]Client{}, state: newState(),
	}
	for i, c := range cfg.Clients {
		if err := p.PutClient(c); err != nil {
			faults = append(faults, fmt.Errorf("clients[%d].%w", i, err))
		}
	}
	for i, person := range cfg.People {
		if person.Username == "" || person.Password == "" || person.Subject == "" {
			faults = append(faults, fmt.Errorf("people[%d]: username, password and subject are required", i))
		}
	}
	key, err := newKey(cfg.Algorithm, cfg.Key)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("oidctest: %w", errors.Join(faults...))
	}
	p.keys = []jose.JSONWebKey{key}
	p.routes()
	return p, nil
}

// Issuer returns the issuer identifier.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// PutClient adds a client, or replaces the one with its ID.
func (p *Provider) PutClient(c Client) error {
	if c.Auth == "" {
		c.Auth = SecretBasic
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	switch {
	case c.ID == "":
		return errors.New("id: required")
	case len(c.RedirectURIs) == 0:
		return errors.New("redirectURIs: at least one is required")
	case !slices.Contains(authMethods, c.Auth):
		return fmt.Errorf("auth: %q is not a method", c.Auth)
	case c.Secret == "" && (c.Auth == SecretBasic || c.Auth == SecretPost):
		return fmt.Errorf("secret: required for %s", c.Auth)
	case c.PublicKey == nil && c.Auth == PrivateKeyJWT:
		return fmt.Errorf("publicKey: required for %s", c.Auth)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[c.ID] = c
	return nil
}

func (p *Provider) client(id string) (Client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[id]
	return c, ok
}

func (p *Provider) person(username string) (Person, bool) {
	for _, person := range p.cfg.People {
		if person.Username == username {
			return person, true
		}
	}
	return Person{}, false
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	p.mux.ServeHTTP(w, r)
}

func (p *Provider) routes() {
	p.mux = http.NewServeMux()
	p.handle("GET", EndpointDiscovery, p.discovery)
	p.handle("GET", EndpointJWKS, p.jwks)
	p.handle("GET,POST", EndpointAuthorize, p.authorize)
	p.handle("POST", EndpointSignIn, p.signIn)
	p.handle("POST", EndpointToken, p.token)
	p.handle("GET,POST", EndpointUserInfo, p.userInfo)
	p.handle("POST", EndpointRevocation, p.revoke)
	p.handle("GET,POST", EndpointEndSession, p.endSession)
	p.mux.HandleFunc("POST "+p.path+signOutPath, p.signOut)
	p.mux.HandleFunc("GET "+p.path+"/style.css", asset("style.css", "text/css; charset=utf-8"))
	p.mux.HandleFunc("GET "+p.path+"/submit.js", asset("submit.js", "text/javascript; charset=utf-8"))
	p.mux.HandleFunc("GET "+p.path+"/{$}", p.index)
}

// handle registers an endpoint behind the record and the faults that are set when
// a request arrives.
func (p *Provider) handle(methods string, at Endpoint, h http.HandlerFunc) {
	served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "The request body is not a form, or too large.", http.StatusBadRequest)
			return
		}
		p.record(at, r)
		if wrap := p.currentFaults().Endpoints[at]; wrap != nil {
			wrap(h).ServeHTTP(w, r)
			return
		}
		h(w, r)
	})
	for method := range strings.SplitSeq(methods, ",") {
		p.mux.Handle(method+" "+p.path+string(at), served)
	}
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	at := func(e Endpoint) string { return p.cfg.Issuer + string(e) }
	doc := map[string]any{
		"issuer":                                           p.cfg.Issuer,
		"authorization_endpoint":                           at(EndpointAuthorize),
		"token_endpoint":                                   at(EndpointToken),
		"userinfo_endpoint":                                at(EndpointUserInfo),
		"revocation_endpoint":                              at(EndpointRevocation),
		"end_session_endpoint":                             at(EndpointEndSession),
		"jwks_uri":                                         at(EndpointJWKS),
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query", "form_post"},
		"grant_types_supported":                            []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                          []string{"public"},
		"scopes_supported":                                 []string{"openid", "profile", "email", "address", "phone", "offline_access"},
		"id_token_signing_alg_values_supported":            []jose.SignatureAlgorithm{p.cfg.Algorithm},
		"userinfo_signing_alg_values_supported":            []jose.SignatureAlgorithm{p.cfg.Algorithm},
		"token_endpoint_auth_methods_supported":            authMethods,
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgorithms,
		"revocation_endpoint_auth_methods_supported":       authMethods,
		"code_challenge_methods_supported":                 []string{"S256"},
		"prompt_values_supported":                          []string{"none", "login", "consent", "select_account"},
		"claims_parameter_supported":                       false,
		"request_parameter_supported":                      false,
		"request_uri_parameter_supported":                  false,
		"authorization_response_iss_parameter_supported":   true,
	}
	if alter := p.currentFaults().Discovery; alter != nil {
		alter(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}
