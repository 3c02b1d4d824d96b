package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
)

const (
	assertionLife = time.Minute
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2
	maxLifetime   = 10 * 365 * 24 * time.Hour
)

// exchange redeems the code (RFC 6749 section 4.1.3) with the attempt's PKCE verifier, unless the request had no challenge: see Rules.NoPKCE.
func (p *Provider) exchange(ctx context.Context, md *metadata, a federation.Attempt, code string) (*oauth2.Token, error) {
	client := p.oauth(md, a)
	key, err := p.secret()
	if err != nil {
		return nil, err
	}
	var opts []oauth2.AuthCodeOption
	if !p.s.rules.NoPKCE {
		opts = append(opts, oauth2.VerifierOption(a.Verifier))
	}
	switch md.method {
	case methodBasic:
		client.Endpoint.AuthStyle, client.ClientSecret = oauth2.AuthStyleInHeader, key.Reveal()
	case methodPost:
		client.Endpoint.AuthStyle, client.ClientSecret = oauth2.AuthStyleInParams, key.Reveal()
	case methodJWT:
		assertion, err := p.assertion(md)
		if err != nil {
			return nil, fault.New(fault.Config, publicMisconfig, fmt.Errorf("%w: sign client assertion: %w", ErrToken, err))
		}
		client.Endpoint.AuthStyle = oauth2.AuthStyleInParams
		opts = append(opts, oauth2.SetAuthURLParam("client_assertion_type", assertionType), oauth2.SetAuthURLParam("client_assertion", assertion))
	default: // none: the client_id alone
		client.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	token, err := client.Exchange(context.WithValue(ctx, oauth2.HTTPClient, p.http), code, opts...)
	if err != nil {
		return nil, p.tokenFault(err, key, code, a.Verifier)
	}
	if !strings.EqualFold(token.Type(), "Bearer") { // OpenID Connect Core section 3.1.3.3
		return nil, badAnswer(ErrToken, fmt.Errorf("token_type %s", quote(token.TokenType)))
	}
	return token, nil
}

// assertion returns a client assertion (RFC 7523 section 3). Its audience is the issuer, one string: with the
// endpoint's address or a list, an assertion made for one server could be used at another
// (FAPI 2.0 Security Profile section 5.3.3.1). A setting returns to the endpoint for servers that know nothing else.
func (p *Provider) assertion(md *metadata) (string, error) {
	audience := md.tokenURL
	if p.s.assertionToIssuer {
		audience = p.s.issuer
	}
	now := p.now()
	payload, err := json.Marshal(map[string]any{
		"iss": p.s.clientID, "sub": p.s.clientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	jws, err := p.s.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// tokenFault is the fault of a failed exchange. The error of package oauth2 holds the provider's answer, which may
// repeat what was sent to it: it is not wrapped, and the parts quoted of it are rid of what is secret.
func (p *Provider) tokenFault(err error, key secret.Text, code, verifier string) *fault.Error {
	secrets := p.sent(key, code, verifier)
	var transport *url.Error
	if errors.As(err, &transport) {
		return asFault(ErrToken, err)
	}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return badAnswer(ErrToken, errors.New(quote(err.Error(), secrets...)))
	}
	say := func(s string) string { return quote(s, secrets...) }
	status, kind, description := refused.Response.StatusCode, refused.ErrorCode, refused.ErrorDescription
	if p.s.rules.Code != nil {
		if code, text := p.s.rules.Code(status, refused.Body); code != "" || kind == "" {
			kind, description = code, text
		}
	}
	cause := fmt.Errorf("%w: status %d: %s: %s", ErrToken, status, say(kind), say(description))
	if advice := p.s.rules.Advice[kind]; advice != "" {
		cause = &advised{cause, advice}
	}
	switch {
	case kind == "invalid_grant":
		return fault.New(fault.Expired, "This sign-in is no longer valid. Please start again.", cause)
	case kind == "invalid_client", kind == "unauthorized_client", kind == "unsupported_grant_type",
		kind == "" && status == http.StatusUnauthorized:
		return fault.New(fault.Config, publicMisconfig, cause)
	default:
		return fault.New(fault.Upstream, "The identity provider could not complete the sign-in.", cause)
	}
}

// sent are the secrets of an exchange in the forms in which they go out: see quote for those of a form.
func (p *Provider) sent(key secret.Text, code, verifier string) []string {
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.s.clientID) + ":" + url.QueryEscape(key.Reveal())))
	return []string{basic, key.Reveal(), code, verifier}
}

// expiry returns when an access token with this lifetime in seconds ends; zero if the provider did not say.
func (p *Provider) expiry(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return p.now().Add(time.Duration(min(seconds, int64(maxLifetime/time.Second))) * time.Second)
}
