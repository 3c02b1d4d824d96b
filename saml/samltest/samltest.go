// Package samltest is a SAML 2.0 identity provider in one process, shaped like AD FS. It serves tests, where it is as
// strict as a real one until a test tells it to misbehave, and the demonstration, where people sign in at its
// form. Both run the same code.
//
// What to call: Start in a test, New elsewhere; SignIn, Cancel and Visit to go through its pages without a browser;
// Provider.Set for misbehaviour; Provider.Requests to see what a service provider sent; AnnounceKey, SwitchKey and DropKey for a rollover.
//
// Like AD FS it answers at /adfs/ls/ over Redirect and POST, has its metadata at /FederationMetadata/2007-06/FederationMetadata.xml,
// signs the assertion only, puts it into the default namespace, gives a bearer confirmation five minutes and the assertion an hour,
// encrypts once a service provider offers a key, issues the NameID by a rule, refuses a NameIDPolicy that the rule does
// not meet, and wants logout requests signed and with the NameID exactly as it issued it.
//
// It is not for production: people, passwords and sessions live in memory and no attempt is throttled.
package samltest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

// Claim types of AD FS.
const (
	ClaimEmail      = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	ClaimGivenName  = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"
	ClaimSurname    = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"
	ClaimName       = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	ClaimUPN        = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
	ClaimNameID     = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	ClaimGroup      = "http://schemas.xmlsoap.org/claims/Group"
	ClaimRole       = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
	ClaimWindowsAcc = "http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname"
)

// Formats of a NameID.
const (
	FormatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	FormatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	FormatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	FormatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// Sign says what of an answer is signed.
type Sign uint8

// What is signed. AD FS signs the assertion unless it is told otherwise.
const (
	SignAssertion Sign = iota
	SignResponse
	SignBoth
	SignNothing
)

// Config describes a provider. It is read once, by New.
type Config struct {
	// BaseURL is where the provider is reached: an absolute http or https URL without trailing slash, query or fragment.
	BaseURL string
	// EntityID is <BaseURL>/adfs/services/trust if empty.
	EntityID string
	// Name is shown on the pages. Empty means "Example Federation Service".
	Name string
	// ServiceProviders are the relying-party trusts; PutServiceProvider adds others later.
	ServiceProviders []ServiceProvider
	// People may sign in.
	People []Person
	// Now is the clock. Required.
	Now func() time.Time
	// Signer is the first token-signing key; nil makes one. Giving it lets many providers share the cost.
	Signer *xmlsig.Signer
	// WantSignedRequests refuses AuthnRequests without a signature, from anybody, and says so in the metadata.
	WantSignedRequests bool
	// ConfirmSession shows the form even to a browser that is signed in, with a button to continue; otherwise
	// the answer is immediate.
	ConfirmSession bool
	// ShowPeople prints usernames and passwords under the sign-in form.
	ShowPeople bool
	// Record keeps every request for Requests, secrets included. Start turns it on.
	Record bool
}

// ServiceProvider is a relying-party trust. See FromMetadata.
type ServiceProvider struct {
	EntityID string
	Name     string // shown on the sign-in page; empty means EntityID
	// ACS match as exact strings; the first is used where a request names none.
	ACS []string
	// Logout takes logout messages over LogoutBinding (binding.HTTPRedirect if empty); "" leaves it out of single logout.
	Logout        string
	LogoutBinding string
	// Certificates verify the trust's signatures. With any, a request that is signed must be signed by one of them.
	Certificates []*x509.Certificate
	// RequireSigned refuses this trust's AuthnRequests without a signature.
	RequireSigned bool
	// Encryption has assertions encrypted for it; nil leaves them in the clear.
	Encryption *x509.Certificate
	// GCM encrypts with AES-256-GCM; otherwise with AES-256-CBC as AD FS does.
	GCM bool
	// Sign says what is signed.
	Sign Sign
	// NameID is the rule for the NameID.
	NameID NameIDRule
}

// NameIDRule is a claim rule that issues the NameID.
type NameIDRule struct {
	// Claim is the claim whose first value becomes the NameID; "" is ClaimUPN. A person without it gets no NameID, as
	// with AD FS.
	Claim string
	// Format is FormatUnspecified if empty.
	Format string
	// NameQualifier and SPNameQualifier are added where they are set.
	NameQualifier, SPNameQualifier string
	// None issues no NameID at all: AD FS without a rule.
	None bool
}

// Person can sign in.
type Person struct {
	Username string
	Password string
	// Claims are released to every trust, by claim type: string or []string.
	Claims map[string]any
}

// Endpoint names one of the provider's endpoints, for Faults and Requests.
type Endpoint string

// The endpoints. EndpointSignIn is what the sign-in form posts to.
const (
	EndpointMetadata Endpoint = "/FederationMetadata/2007-06/FederationMetadata.xml"
	EndpointSAML     Endpoint = "/adfs/ls/"
	EndpointSignIn   Endpoint = "/adfs/ls/sign-in"
	EndpointInitiate Endpoint = "/adfs/ls/IdpInitiatedSignOn"
	EndpointSignOut  Endpoint = "/adfs/ls/sign-out"
)

// Lifetimes of what the provider gives out.
const (
	confirmationLife = 5 * time.Minute
	assertionLife    = time.Hour
	sessionLife      = 8 * time.Hour
	interactionLife  = 10 * time.Minute
)

const maxForm = 256 << 10 // bytes of a request body

// Provider is an http.Handler. Its methods may be called from any goroutine.
type Provider struct {
	cfg     Config
	path    string // the base URL's path
	secure  bool   // cookies are Secure
	cookies cookieNames
	mux     *http.ServeMux

	mu       sync.Mutex // guards what follows
	trusts   map[string]ServiceProvider
	keys     []xmlsig.Signer // those in the metadata, in its order
	signing  int             // index of the one that signs
	faults   Faults
	requests []Request
	state    state
}

// New returns a provider, or every fault of its configuration at once.
func New(cfg Config) (*Provider, error) {
	var faults []error
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(cfg.BaseURL, "/") {
		faults = append(faults, errors.New("baseURL: an http or https URL without trailing slash, query or fragment is required"))
		u = &url.URL{}
	}
	if cfg.Now == nil {
		faults = append(faults, errors.New("now: a clock is required"))
	}
	if cfg.Name == "" {
		cfg.Name = "Example Federation Service"
	}
	if cfg.EntityID == "" {
		cfg.EntityID = cfg.BaseURL + "/adfs/services/trust"
	}
	p := &Provider{
		cfg: cfg, path: u.Path, secure: u.Scheme == "https",
		cookies: newCookieNames(cfg.BaseURL), trusts: map[string]ServiceProvider{}, state: newState(),
	}
	for i, sp := range cfg.ServiceProviders {
		if err := p.PutServiceProvider(sp); err != nil {
			faults = append(faults, fmt.Errorf("serviceProviders[%d].%w", i, err))
		}
	}
	for i, person := range cfg.People {
		if person.Username == "" || person.Password == "" {
			faults = append(faults, fmt.Errorf("people[%d]: username and password are required", i))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("samltest: %w", errors.Join(faults...))
	}
	first := cfg.Signer
	if first == nil {
		made, err := newSigner(cfg.BaseURL, cfg.Now())
		if err != nil {
			return nil, fmt.Errorf("samltest: %w", err)
		}
		first = &made
	}
	p.keys = []xmlsig.Signer{*first}
	p.routes()
	return p, nil
}

// EntityID returns the provider's entity id.
func (p *Provider) EntityID() string { return p.cfg.EntityID }

// MetadataURL returns where the metadata is.
func (p *Provider) MetadataURL() string { return p.at(EndpointMetadata) }

// InitiateURL returns where an IdP-initiated sign-in to a trust begins.
func (p *Provider) InitiateURL(entityID, relayState string) string {
	return p.at(EndpointInitiate) + "?" + url.Values{"loginToRp": {entityID}, "RelayState": {relayState}}.Encode()
}

// SignOutURL returns where a person signs out of the provider and so of every trust.
func (p *Provider) SignOutURL() string { return p.at(EndpointSignOut) }

func (p *Provider) at(e Endpoint) string { return p.cfg.BaseURL + string(e) }

// PutServiceProvider adds a trust, or replaces the one with its entity id.
func (p *Provider) PutServiceProvider(sp ServiceProvider) error {
	if sp.Name == "" {
		sp.Name = sp.EntityID
	}
	if sp.LogoutBinding == "" {
		sp.LogoutBinding = binding.HTTPRedirect
	}
	if sp.NameID.Claim == "" {
		sp.NameID.Claim = ClaimUPN
	}
	if sp.NameID.Format == "" {
		sp.NameID.Format = FormatUnspecified
	}
	switch {
	case sp.EntityID == "":
		return errors.New("entityID: required")
	case len(sp.ACS) == 0:
		return errors.New("acs: at least one is required")
	case sp.RequireSigned && len(sp.Certificates) == 0:
		return errors.New("certificates: required to verify signed requests")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trusts[sp.EntityID] = sp
	return nil
}

func (p *Provider) trust(entityID string) (ServiceProvider, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sp, ok := p.trusts[entityID]
	return sp, ok
}

func (p *Provider) person(username string) (Person, bool) {
	i := slices.IndexFunc(p.cfg.People, func(person Person) bool { return person.Username == username })
	if i < 0 {
		return Person{}, false
	}
	return p.cfg.People[i], true
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	p.mux.ServeHTTP(w, r)
}

func (p *Provider) routes() {
	p.mux = http.NewServeMux()
	p.handle("GET "+string(EndpointMetadata), EndpointMetadata, p.metadata)
	p.handle("GET "+string(EndpointSAML)+"{$}", EndpointSAML, p.message)
	p.handle("POST "+string(EndpointSAML)+"{$}", EndpointSAML, p.message)
	p.handle("POST "+string(EndpointSignIn), EndpointSignIn, p.signIn)
	p.handle("GET "+string(EndpointInitiate), EndpointInitiate, p.initiate)
	p.handle("GET "+string(EndpointSignOut), EndpointSignOut, p.askSignOut)
	p.handle("POST "+string(EndpointSignOut), EndpointSignOut, p.signOut)
	p.mux.HandleFunc("GET "+p.path+"/style.css", asset("style.css", "text/css; charset=utf-8"))
	p.mux.HandleFunc("GET "+p.path+"/submit.js", asset("submit.js", "text/javascript; charset=utf-8"))
	p.mux.HandleFunc("GET "+p.path+"/{$}", p.index)
}

// handle registers an endpoint behind the record and the faults that are set when a request arrives.
func (p *Provider) handle(pattern string, at Endpoint, h http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	p.mux.HandleFunc(method+" "+p.path+path, func(w http.ResponseWriter, r *http.Request) {
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
}
