// Package oidc signs people in through an OpenID Connect provider: the kind "OIDC" of federation.Provider.
//
// It owns the relying party's half of OpenID Connect Core 1.0 section 3.1 (authorization code flow): the
// authorization request, always with state, nonce and PKCE (RFC 7636, S256); the answer, with the issuer
// check of RFC 9207; the code exchange and the client's authentication at it; the ID token and userinfo checks;
// and the upkeep of discovery documents and key sets. It does not own the attempt (federation.Broker makes
// state, nonce and verifier), what claims mean (mapping), or which addresses may be called (federation/outgoing).
//
// One Provider serves all logins of one configuration. It fetches nothing until the first login, keeps what
// it fetched for an hour, and lives on the last good copy for a day while the provider's documents
// cannot be had. Every wait is bounded: see finishTimeout.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
)

// Bounds of one login, by the wall clock. They cover every fetch in it, so a provider that is slow
// at each step is not slow five times over.
const (
	beginTimeout  = 10 * time.Second
	finishTimeout = 20 * time.Second
)

// Options are what a Provider needs besides its configuration. All fields but AllowPrivate are required.
type Options struct {
	// HTTP makes every fetch. It must be one of federation/outgoing: this package trusts it to bound
	// time and size, to keep to allowed addresses and never to redirect a POST.
	HTTP *http.Client
	// AllowPrivate is outgoing.Options.AllowPrivate: it admits plain http in URLs.
	AllowPrivate bool
	// Now is the clock that token lifetimes and the ages of cached documents are measured with.
	Now func() time.Time
}

// Provider is one OpenID Connect provider of one pool. It is safe for concurrent use.
type Provider struct {
	cfg    pool.IdentityProvider
	s      settings
	http   *http.Client
	now    func() time.Time
	open   bool // AllowPrivate
	static *metadata
	disco  *remote[*metadata]
	shown  map[string]string // Variant.Shown
	mapped func() []string   // API.Mapped

	mu   sync.Mutex
	keys *keySet // of the jwks_uri in use, so that a refreshed discovery does not lose it
}

var _ federation.Provider = (*Provider)(nil)

// New returns the plain provider of cfg: see Variant.New.
func New(cfg pool.IdentityProvider, o Options) (*Provider, error) { return Variant{}.New(cfg, o) }

// New returns the provider of cfg. It does no I/O. Its error lists every fault of cfg.Details.
func (v Variant) New(cfg pool.IdentityProvider, o Options) (*Provider, error) {
	s, faults := v.parse(cfg.Details, o.AllowPrivate)
	if len(faults) > 0 {
		errs := make([]error, 0, len(faults))
		for _, f := range faults {
			errs = append(errs, f)
		}
		return nil, errors.Join(errs...)
	}
	p := &Provider{cfg: cfg, s: s, http: o.HTTP, now: o.Now, open: o.AllowPrivate, shown: v.Shown}
	p.mapped = sync.OnceValue(func() []string {
		rules, err := mapping.Compile(cfg.AttributeMapping)
		if err != nil { // the sign-in ends for it where the mapping is applied
			return nil
		}
		return rules.Claims()
	})
	if s.complete() {
		md, err := p.metadata(discovered{})
		if err != nil {
			return nil, err
		}
		p.static = md
		return p, nil
	}
	p.disco = newRemote(o.Now, p.discover)
	return p, nil
}

// describe returns the provider's metadata, from the configuration or from its discovery document.
func (p *Provider) describe(ctx context.Context) (*metadata, error) {
	if p.static != nil {
		return p.static, nil
	}
	md, err := p.disco.get(ctx)
	if err != nil {
		return nil, asFault(ErrDiscovery, err)
	}
	return md, nil
}

// Begin implements federation.Provider: it returns the authorization request (OpenID Connect Core
// section 3.1.2.1) as a URL. The attempt must carry ID, Nonce, Verifier and CallbackURL.
func (p *Provider) Begin(ctx context.Context, a federation.Attempt) (federation.Challenge, error) {
	if err := p.usable(a); err != nil {
		return federation.Challenge{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	md, err := p.describe(ctx)
	if err != nil {
		p.noteFailed(ctx, err)
		return federation.Challenge{}, err
	}
	if err := p.possible(a); err != nil {
		return federation.Challenge{}, err
	}
	var pkce []oauth2.AuthCodeOption
	if !p.s.rules.NoPKCE {
		pkce = append(pkce, oauth2.S256ChallengeOption(a.Verifier))
	}
	u, err := url.Parse(p.oauth(md, a).AuthCodeURL(a.ID, pkce...))
	if err != nil {
		return federation.Challenge{}, misconfigured("authorization_endpoint: %s", quote(err.Error()))
	}
	v := u.Query()
	hint := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !p.s.rules.plain() {
		v.Set("nonce", a.Nonce)
	}
	hint("login_hint", a.Request.LoginHint)
	hint("prompt", strings.Join(a.Request.Prompt, " "))
	hint("acr_values", a.Request.ACRValues)
	hint("ui_locales", a.Request.UILocales)
	if a.Request.MaxAge != nil {
		hint("max_age", strconv.Itoa(*a.Request.MaxAge))
	}
	if p.s.rules.Authorize != nil {
		p.s.rules.Authorize(v, a)
	}
	// A space as %20 is a space for everybody, also for those who know + from forms only: Apple's dialogue in Safari loses the name otherwise.
	u.RawQuery = strings.ReplaceAll(v.Encode(), "+", "%20")
	ch := federation.Challenge{URL: u.String()}
	if p.s.rules.OnceParam != "" {
		ch.Once = []string{p.s.rules.OnceParam}
	}
	return ch, nil
}

// possible refuses what a provider cannot do (ask nobody), or without ID tokens cannot show: that nobody was asked, or when the person authenticated.
func (p *Provider) possible(a federation.Attempt) error {
	switch {
	case (p.s.rules.plain() || p.s.rules.AlwaysAsks) && slices.Contains(a.Request.Prompt, "none"):
		return fault.New(fault.LoginRequired, "The identity provider needs you to sign in.", fmt.Errorf("%w: prompt=none at a provider that cannot show it", ErrAuthTime))
	case !p.s.rules.plain():
	case a.Request.MaxAge != nil:
		return unverified(fmt.Errorf("%w: absent, with max_age", ErrAuthTime))
	}
	return nil
}

// secret returns the client secret of one request.
func (p *Provider) secret() (secret.Text, error) {
	if p.s.rules.Secret == nil {
		return p.s.clientSecret, nil
	}
	made, err := p.s.rules.Secret(p.now())
	if err != nil {
		return secret.Text{}, fault.New(fault.Config, publicMisconfig, fmt.Errorf("%w: make client secret: %w", ErrToken, err))
	}
	return made, nil
}

// oauth returns the OAuth client for an attempt. The secret is set where it is used: see exchange.
func (p *Provider) oauth(md *metadata, a federation.Attempt) *oauth2.Config {
	return &oauth2.Config{
		ClientID:    p.s.clientID,
		Endpoint:    oauth2.Endpoint{AuthURL: md.authURL, TokenURL: md.tokenURL},
		RedirectURL: a.CallbackURL,
		Scopes:      p.s.scopes,
	}
}

// usable refuses an attempt that was not made for this provider, or lacks its secrets: an empty nonce would equal an absent one.
func (p *Provider) usable(a federation.Attempt) error {
	switch {
	case a.ID == "" || a.Nonce == "" || a.Verifier == "" || a.CallbackURL == "":
		return fault.New(fault.Internal, "Something went wrong on our side.", fmt.Errorf("%w: attempt without id, nonce, verifier or callback", ErrState))
	case a.PoolID != p.cfg.PoolID || a.Provider != p.cfg.Name:
		return fault.New(fault.Internal, "Something went wrong on our side.", fmt.Errorf("%w: attempt at provider %q of pool %q", ErrState, a.Provider, a.PoolID))
	}
	return nil
}
