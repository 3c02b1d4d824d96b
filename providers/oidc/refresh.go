package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/detail"
)

// Bounds of one call about tokens that are kept, by the wall clock.
const (
	refreshTimeout = 10 * time.Second
	revokeTimeout  = 5 * time.Second
)

var (
	_ federation.Refresher = (*Provider)(nil)
	_ federation.Revoker   = (*Provider)(nil)
)

// Refresh implements federation.Refresher by RFC 6749 section 6, or by Rules.Refresh. An ID token that comes with the answer is left aside:
// nothing here would verify it, and the one of the sign-in was verified.
func (p *Provider) Refresh(ctx context.Context, t federation.UpstreamTokens) (federation.UpstreamTokens, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	if p.s.rules.Refresh == nil && t.Refresh.IsZero() {
		return federation.UpstreamTokens{}, federation.ErrNoRefresh
	}
	md, err := p.describe(ctx)
	if err != nil {
		return federation.UpstreamTokens{}, err
	}
	var fresh federation.UpstreamTokens
	if p.s.rules.Refresh != nil {
		fresh, err = p.s.rules.Refresh(ctx, &API{p: p, md: md}, t)
	} else {
		fresh, err = p.refresh(ctx, md, t)
	}
	if err != nil {
		return federation.UpstreamTokens{}, err
	}
	if fresh.Access.IsZero() {
		return fresh, badAnswer(ErrToken, errors.New("no access token in the answer to a refresh"))
	}
	fresh.ID = t.ID
	if fresh.Refresh.IsZero() { // the same goes on
		fresh.Refresh = t.Refresh
	}
	if fresh.Scope == "" { // as before
		fresh.Scope = t.Scope
	}
	return fresh, nil
}

func (p *Provider) refresh(ctx context.Context, md *metadata, t federation.UpstreamTokens) (federation.UpstreamTokens, error) {
	by, err := p.prove(md)
	if err != nil {
		return federation.UpstreamTokens{}, err
	}
	client := p.oauth(md, federation.Attempt{})
	client.Endpoint.AuthStyle, client.ClientSecret = by.style, by.secret.Reveal()
	caller := *p.http
	if len(by.params) > 0 {
		caller.Transport = adding{next: p.http.Transport, params: by.params}
	}
	token, err := client.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, &caller), &oauth2.Token{RefreshToken: t.Refresh.Reveal()}).Token()
	if err != nil {
		f := p.tokenFault(err, p.sent(by, t.Refresh.Reveal()))
		if f.Code == fault.Expired { // invalid_grant
			f = fault.New(fault.LoginRequired, "The identity provider no longer renews this access. Please sign in again.",
				fmt.Errorf("%w: %w", federation.ErrRefreshRefused, f))
		}
		return federation.UpstreamTokens{}, f
	}
	if err := bearerAlone(token); err != nil {
		return federation.UpstreamTokens{}, err
	}
	return p.tokens(token), nil
}

// adding puts further parameters into the form of a request: package oauth2 has no other way to prove the client by an assertion where
// it refreshes.
type adding struct {
	next   http.RoundTripper
	params url.Values
}

// RoundTrip implements http.RoundTripper.
func (a adding) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(req.Body)
	if err := errors.Join(err, req.Body.Close()); err != nil {
		return nil, err
	}
	body := string(form) + "&" + a.params.Encode()
	changed := req.Clone(req.Context())
	changed.Body, changed.ContentLength, changed.GetBody = io.NopCloser(strings.NewReader(body)), int64(len(body)), nil
	return a.next.RoundTrip(changed)
}

// Revoke implements federation.Revoker by RFC 7009, or by Rules.Revoke. The refresh token is the one to end where there is one: most
// providers end with it the access tokens that came from it (section 2.1).
func (p *Provider) Revoke(ctx context.Context, t federation.UpstreamTokens, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	md, err := p.describe(ctx)
	if err != nil {
		return err
	}
	if p.s.rules.Revoke != nil {
		return p.s.rules.Revoke(ctx, &API{p: p, md: md}, t, subject)
	}
	if md.revokeURL == "" {
		return federation.ErrNoRevocation
	}
	if problem := detail.CheckURL(md.revokeURL, p.open); problem != "" {
		return misconfigured("revocation_endpoint %s", problem)
	}
	by, err := p.prove(md)
	if err != nil {
		return err
	}
	token, hint := t.Refresh, "refresh_token"
	if token.IsZero() {
		token, hint = t.Access, "access_token"
	}
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	return p.post(ctx, md.revokeURL, form, by, p.sent(by, token.Reveal()))
}

// post sends a form with the client's proof and wants an answer of status 200.
func (p *Provider) post(ctx context.Context, to string, form url.Values, by proof, secrets []string) error {
	for name, values := range by.params {
		form[name] = values
	}
	if by.style == oauth2.AuthStyleInParams {
		form.Set("client_id", p.s.clientID)
		if !by.secret.IsZero() {
			form.Set("client_secret", by.secret.Reveal())
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return misconfigured("%s", quote(err.Error(), secrets...))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if by.style == oauth2.AuthStyleInHeader { // RFC 6749 section 2.3.1
		req.SetBasicAuth(url.QueryEscape(p.s.clientID), url.QueryEscape(by.secret.Reveal()))
	}
	r, err := roundTrip(p.http, req)
	if err != nil {
		return asFault(ErrRevoke, err)
	}
	if r.status != http.StatusOK {
		return badAnswer(ErrRevoke, fmt.Errorf("status %d: %s", r.status, quote(string(r.body), secrets...)))
	}
	return nil
}
