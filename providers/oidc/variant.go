package oidc

import (
	"context"
	"net/url"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
)

// Variant is a kind of provider that differs from what the specifications say, or whose settings are known beforehand. The zero value is
// plain OpenID Connect. Variants are data where they can be; package providers/social has them.
type Variant struct {
	// Defaults are details that count where the administrator gives none: endpoints, scopes, methods.
	Defaults map[string]string
	// Shown are details that the original shows of every provider of the kind, where they were not given, and that are true here. Clients of
	// the API know them by these very values.
	Shown map[string]string
	// Read reads the variant's own details, which no other key may be, and returns the rules of this configuration; nil is no rules. It
	// may lay down further defaults and note faults. It does no I/O.
	Read func(r *detail.Reader) Rules
}

// Rules are what a variant changes about a login. Every field is optional. They are called from many goroutines at once, and what they
// are handed is theirs to change. No rule can take away a check of the code or of the signature, and one alone can take away PKCE.
type Rules struct {
	// Secret makes the client secret of one request to the provider, in place of the detail client_secret.
	Secret func(now time.Time) (secret.Text, error)
	// Discovery is where the discovery document is, without the well-known part, if it is not at the issuer.
	Discovery string
	// NoPKCE leaves out PKCE, for providers that refuse a client with a secret which sends it. What is left against a code that was stolen on
	// its way back is the state, the client's authentication and, where the provider repeats it, the nonce (RFC 9700 section 2.1.1).
	NoPKCE bool
	// OwnAttributes says that the detail attributes_url is an interface which More asks, and not the userinfo endpoint.
	OwnAttributes bool
	// Authorize changes the parameters of the authorization request.
	Authorize func(v url.Values, a federation.Attempt)
	// AlwaysAsks: the provider has no way to sign a person in without asking, so that prompt=none is answered here.
	AlwaysAsks bool
	// Advice is what to look at after a refusal of the token endpoint, for the log, by OAuth error code.
	Advice map[string]string
	// Code returns the OAuth error code and the description in an error body of the token endpoint which does not have the form of RFC 6749
	// section 5.2, or has codes of the provider's own in it; "" where it does not know better than the body.
	Code func(status int, body []byte) (code, description string)

	// Profile makes the variant one of plain OAuth 2.0, without an ID token: it asks the provider who the access token belongs to, having checked that
	// it was issued to this very client, and returns the claims. Errors are faults (see API) or refusals (see Refuse).
	Profile func(ctx context.Context, api *API, t federation.UpstreamTokens) (mapping.Claims, error)
	// Subject is the claim of Profile that is the subject. Required with it.
	Subject string

	// Aliases are other names that ID tokens may have for the configured issuer. The identity has the configured one.
	Aliases []string
	// Issuer returns the issuer that an ID token with these claims has to name, for providers whose issuer depends on the token. Nil is
	// the configured one.
	Issuer func(claims mapping.Claims) string
	// NonceOptional reports whether an ID token with these claims may be without a nonce. One that is there has to be right.
	NonceOptional func(claims mapping.Claims) bool
	// More returns further claims from the provider's own interface, for a person whom an ID token has proven.
	More func(ctx context.Context, api *API, t federation.UpstreamTokens, claims mapping.Claims) (mapping.Claims, error)
	// Claims gives the claims the form that mappings expect. r is the provider's answer as the browser brought it.
	Claims func(claims mapping.Claims, r federation.Response)
	// OnceParam is the parameter of the answer that the provider sends at a person's first sign-in and never again: see federation.Challenge. Once
	// returns the claims that a value of it has for the person with the proven claims; carried is one of an earlier answer, of which nothing says
	// whom it is about. None of them replaces a claim that there is.
	OnceParam string
	Once      func(value string, carried bool, claims mapping.Claims) mapping.Claims
	// Check refuses people: an error is a reason for the log, and the person is told that this account may not be used.
	Check func(claims mapping.Claims) error

	// Refresh gets new tokens for those that were kept, in place of RFC 6749 section 6: for providers that have no refresh tokens. What it
	// leaves empty stays as it was. Where the person has to sign in again its error has federation.ErrRefreshRefused in its chain.
	Refresh func(ctx context.Context, api *API, t federation.UpstreamTokens) (federation.UpstreamTokens, error)
	// Revoke ends what the provider gave for one person, in place of RFC 7009.
	Revoke func(ctx context.Context, api *API, t federation.UpstreamTokens, subject string) error

	// Notice verifies and reads a message that the provider sent to one of its doors: see federation.NoticeReader.
	Notice func(ctx context.Context, api *API, door string, r federation.Response) (federation.Notice, error)
}

// plain reports whether there is no ID token.
func (r *Rules) plain() bool { return r.Profile != nil }

var _ federation.NoticeReader = (*Provider)(nil)

// ReadNotice implements federation.NoticeReader by Rules.Notice.
func (p *Provider) ReadNotice(ctx context.Context, door string, r federation.Response) (federation.Notice, error) {
	if p.s.rules.Notice == nil {
		return federation.Notice{}, federation.ErrNoNotices
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	md, err := p.describe(ctx)
	if err != nil {
		return federation.Notice{}, err
	}
	return p.s.rules.Notice(ctx, &API{p: p, md: md}, door, r)
}

// read returns the rules of one configuration.
func (v Variant) read(r *detail.Reader) Rules {
	for key, value := range v.Defaults {
		r.Default(key, value)
	}
	if v.Read == nil {
		return Rules{}
	}
	return v.Read(r)
}
