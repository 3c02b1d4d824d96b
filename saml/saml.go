// Package saml is the SAML 2.0 service provider behind federation.Provider: sign-in, IdP-initiated sign-in, logout in both
// directions, and our own metadata.
//
// It puts together what its subpackages decide: saml/response whether a response proves a sign-in, saml/binding how
// requests and logout messages travel, saml/metadata what is known of an identity provider. It owns the provider's settings (ProviderDetails) and
// what becomes of an assertion: subject, claims, logout data. Key pairs, the replay cache and the
// last good metadata are kept by federation/samlsp.
package saml

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/response"
	"github.com/weir-id/weir/saml/xmlsig"
)

// Sentences that a person may see. What exactly was wrong is in the cause.
const (
	publicRefused = "The answer of the identity provider could not be accepted."
	publicConfig  = "The connection to the identity provider is not set up correctly. An administrator has to change it."
	publicOff     = "This identity provider may not start a sign-in. Start at the application."
)

// Options are what every provider gets. All fields but AllowPrivate are required.
type Options struct {
	HTTP         *http.Client // of federation/outgoing
	AllowPrivate bool         // outgoing.Options.AllowPrivate
	Now          func() time.Time
	Keys         *samlsp.Keys
	Replays      *replay.Messages
	// Copies keep the last good metadata of providers with a MetadataURL.
	Copies *samlsp.Copies
	// Audit hears of metadata that changed, or could not be renewed.
	Audit audit.Recorder
}

// Provider is one SAML identity provider of a pool. It is safe for concurrent use.
type Provider struct {
	cfg    pool.IdentityProvider
	s      settings
	o      Options
	source *metadata.Source
}

var (
	_ federation.Provider       = (*Provider)(nil)
	_ federation.Unsolicited    = (*Provider)(nil)
	_ federation.LogoutProvider = (*Provider)(nil)
	_ federation.LogoutListener = (*Provider)(nil)
	_ federation.Described      = (*Provider)(nil)
	_ federation.Sender         = (*Provider)(nil)
)

// New makes a provider. It does no I/O. The error is about cfg.Details.
func New(cfg pool.IdentityProvider, o Options) (*Provider, error) {
	s, faults := parse(cfg.Details, o.AllowPrivate)
	if len(faults) > 0 {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = f
		}
		return nil, errors.Join(errs...)
	}
	if s.spEntityID == "" {
		s.spEntityID = metadata.SPEntityID(cfg.PoolID)
	}
	p := &Provider{cfg: cfg, s: s, o: o}
	p.source = &metadata.Source{File: s.file, URL: s.url, Client: o.HTTP, Options: s.metadata, Now: o.Now, Report: p.report}
	if s.url != "" {
		p.source.Keeper = metadata.StoreKeeper{Copies: o.Copies, PoolID: cfg.PoolID, Provider: cfg.Name}
	}
	return p, nil
}

// report is metadata.Source.Report.
func (p *Provider) report(ctx context.Context, r metadata.Report) {
	for _, c := range r.Changes {
		p.o.Audit.Record(ctx, audit.MetadataChanged{Pool: p.cfg.PoolID, Provider: p.cfg.Name, Change: c.String()})
	}
	if r.Err != nil {
		p.o.Audit.Record(ctx, audit.MetadataChanged{Pool: p.cfg.PoolID, Provider: p.cfg.Name, Error: r.Err.Error()})
	}
}

// Maintain renews the provider's metadata where that is due. It is for one node at a time.
func (p *Provider) Maintain(ctx context.Context) error { return p.source.Maintain(ctx) }

// Adopt takes over the metadata that another node renewed. It is for every node.
func (p *Provider) Adopt(ctx context.Context) error { return p.source.Adopt(ctx) }

// CertificateEnd returns when the last of the provider's signing certificates ends. Signatures go on to be accepted after it, since
// certificates are pinned keys; but a provider whose last one ends has a rollover before it, or an outage.
func (p *Provider) CertificateEnd(ctx context.Context) (time.Time, error) {
	md, err := p.source.Get(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var end time.Time
	for _, k := range md.SigningKeys {
		if k.NotAfter.After(end) {
			end = k.NotAfter
		}
	}
	return end, nil
}

// EntityID implements federation.Sender.
func (p *Provider) EntityID(ctx context.Context) (string, error) {
	md, err := p.known(ctx)
	if err != nil {
		return "", err
	}
	return md.EntityID, nil
}

// SenderOf implements federation.Sender.
func (p *Provider) SenderOf(r federation.Response) (string, error) {
	if r.Form.Has("SAMLResponse") { // which may be much larger than any other message
		return response.Sender(r.Form.Get("SAMLResponse"))
	}
	h, err := binding.Peek(incoming(r))
	return h.Issuer, err
}

// DefaultClient implements federation.Unsolicited.
func (p *Provider) DefaultClient() (clientID, redirectURI string) {
	return p.s.defaultClient, p.s.defaultRedirect
}

// known returns the provider's metadata as a fault where there is none.
func (p *Provider) known(ctx context.Context) (*metadata.Metadata, error) {
	md, err := p.source.Get(ctx)
	switch {
	case err == nil:
		return md, nil
	case errors.Is(err, metadata.ErrFetch):
		return nil, fault.New(fault.Upstream, "The identity provider is not available right now. Please try again later.", err)
	}
	return nil, fault.New(fault.Config, publicConfig, err)
}

// private is the provider's part of an attempt.
type private struct {
	RequestID string    `json:"i"`
	At        time.Time `json:"t"`
	Force     bool      `json:"f,omitempty"`
	// Contexts are those of the settings that were asked for with the comparison exact. Where the settings have none, those of the
	// application were, which are in the attempt already: FromApp.
	Contexts []string `json:"c,omitempty"`
	FromApp  bool     `json:"a,omitempty"`
}

// exactly returns the class references one of which the answer has to name.
func (s private) exactly(acrValues string) []string {
	if s.FromApp {
		return contextsOf(acrValues)
	}
	return s.Contexts
}

// Begin implements federation.Provider with a signed AuthnRequest (SAML profiles section 4.1.3). The RelayState is the attempt's id.
func (p *Provider) Begin(ctx context.Context, a federation.Attempt) (federation.Challenge, error) {
	md, err := p.known(ctx)
	if err != nil {
		return federation.Challenge{}, err
	}
	to, ok := md.SignOn(p.s.binding)
	if !ok {
		return federation.Challenge{}, fault.New(fault.Config, publicConfig,
			fmt.Errorf("the metadata of %s has no single sign-on address for the binding %s: remove %s or choose the other one", md.EntityID, p.s.binding, keyBinding))
	}
	now := p.o.Now()
	asked := a.Request
	// SAML knows no max_age. How old the session there is shows only in the answer, when it would be too late to ask again.
	force := p.s.forceAuthn || slices.Contains(asked.Prompt, "login") || asked.MaxAge != nil
	state := private{RequestID: binding.NewID(), At: now, Force: force}
	contexts, fromApp := p.contexts(asked.ACRValues)
	switch exact := p.s.comparison == binding.ComparisonExact; {
	case exact && fromApp:
		state.FromApp = true
	case exact:
		state.Contexts = contexts
	}
	request := binding.AuthnRequest{
		ID: state.RequestID, IssueInstant: now, Destination: to.Location, Issuer: p.s.spEntityID, ACSURL: a.CallbackURL,
		NameIDFormat: p.s.nameIDFormat, ForceAuthn: state.Force, IsPassive: slices.Contains(asked.Prompt, "none"),
		AuthnContext: contexts, AuthnComparison: p.s.comparison,
	}
	ch, err := p.send(ctx, request, to.Binding, a.ID)
	if err != nil {
		return federation.Challenge{}, err
	}
	ch.Private, err = json.Marshal(state)
	return ch, err
}

// contexts returns the authentication contexts to ask for, and whether they are the application's alone. acr_values are a wish (OpenID Connect
// Core section 3.1.2.1) in an address that whoever sits at the browser can write: where the settings name contexts, they can choose among
// these and not leave them.
func (p *Provider) contexts(acrValues string) (contexts []string, fromApp bool) {
	wished := contextsOf(acrValues)
	if len(p.s.authnContext) == 0 {
		return wished, len(wished) > 0
	}
	among := slices.DeleteFunc(wished, func(c string) bool { return !slices.Contains(p.s.authnContext, c) })
	if len(among) > 0 {
		return among, false
	}
	return p.s.authnContext, false
}

// send signs a message of ours and returns where the browser takes it.
func (p *Provider) send(ctx context.Context, m binding.Message, over, relayState string) (federation.Challenge, error) {
	signer, err := p.signer(ctx)
	if err != nil {
		return federation.Challenge{}, err
	}
	out, err := binding.Send(m, over, relayState, signer)
	if err != nil {
		return federation.Challenge{}, fault.New(fault.Config, publicConfig, err)
	}
	return federation.Challenge{URL: out.URL, Form: out.Form}, nil
}

func (p *Provider) signer(ctx context.Context) (*xmlsig.Signer, error) {
	pair, err := p.o.Keys.Signing(ctx, p.cfg.PoolID)
	if err != nil {
		return nil, fmt.Errorf("saml signing key: %w", err)
	}
	return &xmlsig.Signer{Key: pair.Key(), Certificate: pair.Certificate}, nil
}

// decryptionKeys are those that somebody may still encrypt for, the one in use first.
func (p *Provider) decryptionKeys(ctx context.Context) ([]*rsa.PrivateKey, error) {
	pairs, err := p.o.Keys.Decryption(ctx, p.cfg.PoolID)
	if err != nil {
		return nil, fmt.Errorf("saml decryption keys: %w", err)
	}
	out := make([]*rsa.PrivateKey, len(pairs))
	for i, pair := range pairs {
		out[i] = pair.Key()
	}
	return out, nil
}

// Finish implements federation.Provider.
func (p *Provider) Finish(ctx context.Context, a federation.Attempt, r federation.Response) (federation.Identity, error) {
	var state private
	if err := json.Unmarshal(a.Private, &state); err != nil { // begun while the provider was of another kind
		return federation.Identity{}, fault.New(fault.Upstream, publicRefused, fmt.Errorf("the attempt holds no SAML request: %w", err))
	}
	as, err := p.validate(ctx, r, a.CallbackURL, response.Validate, func(e *response.Expect) {
		e.RequestID, e.ForceAuthn, e.RequestTime = state.RequestID, state.Force, state.At
		e.AuthnContexts = state.exactly(a.Request.ACRValues)
	})
	if err != nil {
		return federation.Identity{}, err
	}
	return p.identity(as)
}

// FinishUnsolicited implements federation.Unsolicited.
func (p *Provider) FinishUnsolicited(ctx context.Context, callback string, r federation.Response) (federation.Identity, error) {
	if !p.s.idpInit {
		return federation.Identity{}, fault.New(fault.Denied, publicOff,
			fmt.Errorf("provider %s sent a response that nobody asked for, and %s is not true", p.cfg.Name, keyIDPInit))
	}
	as, err := p.validate(ctx, r, callback, response.ValidateUnsolicited, func(*response.Expect) {})
	if err != nil {
		return federation.Identity{}, err
	}
	return p.identity(as)
}

// validate checks a response with the keys that are known, and once more where the provider has announced others meanwhile. An assertion
// is good once.
func (p *Provider) validate(ctx context.Context, r federation.Response, acs string,
	check func(string, response.Expect) (*response.Assertion, error), more func(*response.Expect),
) (*response.Assertion, error) {
	e, err := p.expect(ctx, acs)
	if err != nil {
		return nil, err
	}
	more(&e)
	seen := newNotes(ctx)
	e.Observe = seen.observer()
	form := r.Form.Get("SAMLResponse")
	as, err := check(form, e)
	if response.CheckOf(err) == response.CheckSigningKey {
		if md, fresh, ferr := p.source.Refetch(ctx); ferr == nil && fresh {
			seen.again()
			e.SigningKeys = md.PublicKeys()
			as, err = check(form, e)
		}
	}
	seen.tell(e.IDPEntityID, e.SPEntityID, err)
	if err != nil {
		return nil, refused(err)
	}
	if err := p.o.Replays.Once(ctx, as.Issuer, as.ID, as.ReplayUntil); errors.Is(err, replay.ErrReplayed) {
		trace.From(ctx).Fail(stepReplay, "assertion_id", strings.Clone(as.ID))
		return nil, fault.New(fault.Upstream, publicRefused, fmt.Errorf("assertion %s of %s: %w", as.ID, as.Issuer, err))
	} else if err != nil {
		return nil, fmt.Errorf("saml replay cache: %w", err)
	}
	trace.From(ctx).Pass(stepReplay, "assertion_id", strings.Clone(as.ID))
	trace.From(ctx).Received(attributesOf(as))
	return as, nil
}

// expect is what a response has to be that was sent to the address acs, whichever request it answers.
func (p *Provider) expect(ctx context.Context, acs string) (response.Expect, error) {
	md, err := p.known(ctx)
	if err != nil {
		return response.Expect{}, err
	}
	keys, err := p.decryptionKeys(ctx)
	return response.Expect{
		IDPEntityID: md.EntityID, SPEntityID: p.s.spEntityID, ACSURL: acs, SigningKeys: md.PublicKeys(), DecryptionKeys: keys,
		Now: p.o.Now(), Skew: p.s.skew, AllowSHA1: p.s.allowSHA1, RequireEncrypted: p.s.encrypted,
		NameIDOptional: p.s.subject != "", MaxElements: p.s.maxElements,
		MaxBytes: max(response.DefaultMaxBytes, response.DefaultMaxBytes/response.DefaultMaxElements*p.s.maxElements),
	}, err
}

// Status codes by which a provider says that the person, and not the trust, is the reason (SAML core section 3.2.2.2).
var (
	declined = []string{"urn:oasis:names:tc:SAML:2.0:status:AuthnFailed", "urn:oasis:names:tc:SAML:2.0:status:RequestDenied"}
	passive  = "urn:oasis:names:tc:SAML:2.0:status:NoPassive" //nolint:gosec // a status code
)

// refused gives a refusal its code. The public sentence is the same for whatever an attacker could have sent.
func refused(err error) error {
	var r *response.Refusal
	if !errors.As(err, &r) {
		return fault.New(fault.Upstream, publicRefused, err)
	}
	switch {
	case r.Check == response.CheckStatus && r.Status != nil && slices.Contains(r.Status.Codes, passive):
		return fault.New(fault.LoginRequired, "The identity provider needs you to sign in.", err)
	case r.Check == response.CheckStatus && r.Status != nil && slices.ContainsFunc(r.Status.Codes, func(c string) bool { return slices.Contains(declined, c) }):
		return fault.New(fault.Denied, "The sign-in was cancelled or refused at the identity provider.", err)
	case r.Check == response.CheckExpect:
		return fault.New(fault.Config, publicConfig, err)
	case r.Check == response.CheckDefect:
		return fault.New(fault.Internal, "", err)
	}
	return fault.New(fault.Upstream, publicRefused, err)
}
