package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/oauth2"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/mapping"
)

// maxCode bounds the authorization code that is sent on, in bytes.
const maxCode = 8 << 10

// Finish implements federation.Provider: it exchanges the code, verifies the ID token and asks userinfo.
func (p *Provider) Finish(ctx context.Context, a federation.Attempt, r federation.Response) (federation.Identity, error) {
	id, err := p.finish(ctx, a, r)
	p.noteFailed(ctx, err)
	return id, err
}

func (p *Provider) finish(ctx context.Context, a federation.Attempt, r federation.Response) (federation.Identity, error) {
	if err := p.usable(a); err != nil {
		return federation.Identity{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	answer, err := readAnswer(r.Values(), a)
	if err != nil {
		return federation.Identity{}, err
	}
	l := trace.From(ctx)
	l.Pass(stepState)
	md, err := p.describe(ctx)
	if err != nil {
		return federation.Identity{}, err
	}
	code, err := p.accept(md, answer)
	if err != nil {
		if answer.err != "" {
			p.noteFailed(ctx, err, "error", errorCode(answer.err))
		}
		return federation.Identity{}, err
	}
	l.Pass(stepResponse, "iss", strings.Clone(answer.iss))
	redeemed, err := p.exchange(ctx, md, a, code)
	if err != nil {
		return federation.Identity{}, err
	}
	l.Pass(stepToken, "client_authentication", md.method)
	t := p.tokens(redeemed)
	id, err := p.person(ctx, md, a, t)
	if err != nil {
		return federation.Identity{}, err
	}
	if answer.iss != "" && p.s.rules.Issuer != nil && answer.iss != id.claims["iss"] {
		return federation.Identity{}, fault.New(fault.Invalid, publicForeign,
			fmt.Errorf("%w: response is of %s, the ID token is not", ErrIssuer, quote(answer.iss)))
	}
	who, err := p.identity(id, t, r)
	if err == nil && p.s.rules.Check != nil {
		l.Pass(stepAccount)
	}
	return who, err
}

// tokens are what the token endpoint gave.
func (p *Provider) tokens(token *oauth2.Token) federation.UpstreamTokens {
	raw, _ := token.Extra("id_token").(string)
	granted, _ := token.Extra("scope").(string)
	return federation.UpstreamTokens{
		Access:  secret.New(token.AccessToken),
		Refresh: secret.New(token.RefreshToken),
		ID:      secret.New(raw),
		Scope:   granted,
		Expires: p.expiry(token.ExpiresIn),
	}
}

// person returns who signed in, with all claims that the provider has to give.
func (p *Provider) person(ctx context.Context, md *metadata, a federation.Attempt, t federation.UpstreamTokens) (idToken, error) {
	rules, api := &p.s.rules, &API{p: p, md: md}
	if rules.plain() {
		claims, err := rules.Profile(ctx, api, t)
		if err != nil {
			return idToken{}, asUnverified(err)
		}
		id := idToken{claims: claims, subject: textOf(claims[rules.Subject])}
		if !goodSubject(id.subject) {
			return idToken{}, unverified(fmt.Errorf("%w: %s of %d bytes", ErrSubject, rules.Subject, len(id.subject)))
		}
		trace.From(ctx).Pass(stepProfile)
		return id, nil
	}
	id, err := p.verifyIDToken(ctx, md, p.solicited(a), t.ID.Reveal())
	if err != nil {
		return idToken{}, err
	}
	l := trace.From(ctx)
	if err := id.checkAccess(t.Access); err != nil {
		return idToken{}, err
	}
	if id.claims["at_hash"] != nil {
		l.Pass(stepAtHash)
	}
	if md.userInfoURL != "" {
		info, err := p.fetchUserInfo(ctx, md, t.Access.Reveal(), id.subject)
		if err != nil {
			return idToken{}, err
		}
		id.claims = merge(id.claims, info)
		l.Pass(stepUserInfo)
	}
	if rules.More != nil {
		id.claims = withoutOrphans(id.claims) // none of them is to vouch for an address that comes now
		more, err := rules.More(ctx, api, t, maps.Clone(id.claims))
		if err != nil {
			return idToken{}, asUnverified(err)
		}
		l.Note(stepMore, "claims", strconv.Itoa(len(more)))
		for name, value := range more { // none replaces what the ID token or userinfo says
			if id.claims[name] == nil && !slices.Contains(protected, name) {
				id.claims[name] = value
			}
		}
	}
	return id, nil
}

// identity is the person as the rules give it form, if they let it in.
func (p *Provider) identity(id idToken, t federation.UpstreamTokens, r federation.Response) (federation.Identity, error) {
	rules, issuer := &p.s.rules, p.s.issuer
	if rules.Issuer != nil {
		issuer = textOf(id.claims["iss"]) // proven
	}
	if rules.Claims != nil {
		rules.Claims(id.claims, r)
	}
	said := p.saidOnce(id.claims, r)
	if rules.Check != nil {
		if err := rules.Check(maps.Clone(id.claims)); err != nil {
			return federation.Identity{}, fault.New(fault.Denied, "This account may not be used to sign in here.", fmt.Errorf("%w: %w", ErrRestricted, brief{err}))
		}
	}
	return federation.Identity{
		Provider:     p.cfg.Name,
		ProviderType: p.cfg.Type,
		Issuer:       issuer,
		Subject:      id.subject,
		Claims:       withoutOrphans(id.claims),
		AuthTime:     id.authTime,
		SessionIndex: id.session,
		Tokens:       t,
		Once:         said,
	}, nil
}

// saidOnce adds to the claims what the provider says only once, and returns what it added: nil if it says nothing of the kind. What comes
// with this very answer counts before what the browser carried from an earlier one.
func (p *Provider) saidOnce(claims mapping.Claims, r federation.Response) mapping.Claims {
	rules := &p.s.rules
	if rules.OnceParam == "" {
		return nil
	}
	said := mapping.Claims{}
	for i, value := range []string{r.Values().Get(rules.OnceParam), r.Carried.Get(rules.OnceParam)} {
		if value == "" || len(said) > 0 {
			continue
		}
		for name, v := range rules.Once(value, i == 1, maps.Clone(claims)) {
			if claims[name] == nil && !slices.Contains(protected, name) {
				said[name] = v
			}
		}
	}
	maps.Copy(claims, said)
	return said
}

// textOf is an identifier: a string, or a whole number as it was written.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return v.String()
		}
	}
	return ""
}

// answer is an authorization response (RFC 6749 section 4.1.2, RFC 9207).
type answer struct{ code, iss, err, description string }

// readAnswer reads the response and checks that it is to this attempt. The broker has found the attempt by
// this very state; the check here keeps the promise where there is another caller.
func readAnswer(v url.Values, a federation.Attempt) (answer, error) {
	one := func(name string) string {
		if len(v[name]) == 0 {
			return ""
		}
		return v[name][0]
	}
	if subtle.ConstantTimeCompare([]byte(one("state")), []byte(a.ID)) != 1 {
		return answer{}, fault.New(fault.Invalid, publicForeign, ErrState)
	}
	for _, name := range []string{"state", "code", "iss", "error", "error_description"} {
		if len(v[name]) > 1 { // RFC 6749 section 3.1
			return answer{}, fault.New(fault.Invalid, publicForeign, fmt.Errorf("%w: %s more than once", ErrResponse, name))
		}
	}
	return answer{code: one("code"), iss: one("iss"), err: one("error"), description: one("error_description")}, nil
}

// accept returns the code of a good answer. The issuer comes first: until it is right, nothing says that the answer
// is this provider's (RFC 9207 section 2.4). An error without iss is reported as what it is: it gives nothing away.
func (p *Provider) accept(md *metadata, r answer) (string, error) {
	missing := r.iss == "" && md.responseIss && r.err == ""
	other := r.iss != "" && r.iss != p.s.issuer && p.s.rules.Issuer == nil // where it depends on the token, see Finish
	if missing || other {
		return "", fault.New(fault.Invalid, publicForeign,
			fmt.Errorf("%w: response is of %s, the provider is %q", ErrIssuer, quote(r.iss), p.s.issuer))
	}
	if r.err != "" {
		return "", refusal(r)
	}
	if r.code == "" || len(r.code) > maxCode {
		return "", fault.New(fault.Invalid, publicForeign, fmt.Errorf("%w: code of %d bytes", ErrResponse, len(r.code)))
	}
	return r.code, nil
}

// refusal is the fault of an error response: RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, and what
// providers send where the person pressed cancel.
func refusal(r answer) *fault.Error {
	cause := fmt.Errorf("%w: %s: %s", ErrAnswer, quote(r.err), quote(r.description))
	switch r.err {
	case "access_denied", "user_denied", "user_cancelled", "user_cancelled_login", "user_cancelled_authorize", "unmet_authentication_requirements":
		return fault.New(fault.Denied, "The sign-in was cancelled or refused at the identity provider.", cause)
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return fault.New(fault.LoginRequired, "The identity provider needs you to sign in.", cause)
	case "unauthorized_client", "invalid_client", "invalid_scope", "unsupported_response_type", "invalid_redirect_uri":
		return fault.New(fault.Config, publicMisconfig, cause)
	case "temporarily_unavailable", "server_error":
		return fault.New(fault.Upstream, "The identity provider is not available right now. Please try again later.", cause)
	default:
		return fault.New(fault.Upstream, "The identity provider could not complete the sign-in.", cause)
	}
}
