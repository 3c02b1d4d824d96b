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
	by, err := p.prove(md)
	if err != nil {
		return nil, err
	}
	client.Endpoint.AuthStyle, client.ClientSecret = by.style, by.secret.Reveal()
	var opts []oauth2.AuthCodeOption
	if !p.s.rules.NoPKCE {
		opts = append(opts, oauth2.VerifierOption(a.Verifier))
	}
	for name := range by.params {
		opts = append(opts, oauth2.SetAuthURLParam(name, by.params.Get(name)))
	}
	token, err := client.Exchange(context.WithValue(ctx, oauth2.HTTPClient, p.http), code, opts...)
	if err != nil {
		return nil, p.tokenFault(err, p.sent(by, code, a.Verifier))
	}
	return token, bearerAlone(token)
}

// bearerAlone refuses a token that is not to be sent as RFC 6750 has it (OpenID Connect Core section 3.1.3.3).
func bearerAlone(token *oauth2.Token) error {
	if !strings.EqualFold(token.Type(), "Bearer") {
		return badAnswer(ErrToken, fmt.Errorf("token_type %s", quote(token.TokenType)))
	}
	return nil
}

// proof is how the client proves itself in one request to the provider (RFC 6749 section 2.3, OpenID Connect Core section 9).
type proof struct {
	style  oauth2.AuthStyle
	secret secret.Text // zero where there is none to send
	params url.Values  // of the form, beside client_id and client_secret
}

// prove makes the proof of one request. Its errors are faults.
func (p *Provider) prove(md *metadata) (proof, error) {
	key, err := p.secret()
	if err != nil {
		return proof{}, err
	}
	switch md.method {
	case methodBasic:
		return proof{style: oauth2.AuthStyleInHeader, secret: key}, nil
	case methodPost:
		return proof{style: oauth2.AuthStyleInParams, secret: key}, nil
	case methodJWT:
		assertion, err := p.assertion(md)
		if err != nil {
			return proof{}, fault.New(fault.Config, publicMisconfig, fmt.Errorf("%w: sign client assertion: %w", ErrToken, err))
		}
		return proof{style: oauth2.AuthStyleInParams, params: url.Values{
			"client_assertion_type": {assertionType}, "client_assertion": {assertion},
		}}, nil
	default: // none: the client_id alone
		return proof{style: oauth2.AuthStyleInParams}, nil
	}
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
func (p *Provider) tokenFault(err error, secrets []string) *fault.Error {
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

// sent are the secrets of a request in the forms in which they go out: see quote for those of a form.
func (p *Provider) sent(by proof, more ...string) []string {
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.s.clientID) + ":" + url.QueryEscape(by.secret.Reveal())))
	return append([]string{basic, by.secret.Reveal(), by.params.Get("client_assertion")}, more...)
}

// expiry returns when an access token with this lifetime in seconds ends; zero if the provider did not say.
func (p *Provider) expiry(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return p.now().Add(time.Duration(min(seconds, int64(maxLifetime/time.Second))) * time.Second)
}
