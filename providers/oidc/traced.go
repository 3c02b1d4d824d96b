package oidc

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/mapping"
)

// The checks of a sign-in by the names that its trace has for them, in about the order in which they are made. The names are stable.
const (
	stepState     = "oidc.state"     // the answer is to this attempt
	stepDiscovery = "oidc.discovery" // what is known of the provider
	stepResponse  = "oidc.response"  // the form of the answer, and its iss (RFC 9207)
	stepAnswer    = "oidc.answer"    // the provider answered with a code, and not with an error
	stepToken     = "oidc.token"     // the token endpoint took the code
	stepIDToken   = "oidc.id_token"  //nolint:gosec // a name: the form
	stepKeys      = "oidc.keys"      // the provider's keys can be had
	stepSignature = "oidc.signature"
	stepIssuer    = "oidc.issuer"
	stepAudience  = "oidc.audience"
	stepParty     = "oidc.authorized_party" // azp
	stepTimes     = "oidc.times"            // exp, nbf, iat
	stepNonce     = "oidc.nonce"
	stepAuthTime  = "oidc.auth_time"
	stepSubject   = "oidc.subject"
	stepAtHash    = "oidc.at_hash"
	stepUserInfo  = "oidc.userinfo"
	stepProfile   = "oidc.profile" // the provider's own interface, where there is no ID token
	stepMore      = "oidc.more"    // further claims from it
	stepAccount   = "oidc.account" // the settings admit this account
)

// failures are the checks by what they fail with. The first that is in the chain counts.
var failures = []struct {
	err   error
	check string
}{
	{ErrUserInfoSubject, stepUserInfo}, {ErrUserInfo, stepUserInfo}, {ErrRestricted, stepAccount}, {ErrDiscovery, stepDiscovery}, {ErrKeys, stepKeys},
	{ErrState, stepState}, {ErrResponse, stepResponse}, {ErrAnswer, stepAnswer}, {ErrToken, stepToken}, {ErrIDToken, stepIDToken},
	{ErrSignature, stepSignature}, {ErrIssuer, stepIssuer}, {ErrAudience, stepAudience}, {ErrParty, stepParty}, {ErrNonce, stepNonce},
	{ErrExpired, stepTimes}, {ErrNotYet, stepTimes}, {ErrIssuedAt, stepTimes}, {ErrAuthTime, stepAuthTime}, {ErrSubject, stepSubject}, {ErrAtHash, stepAtHash},
}

// noteFailed adds the check that err says was failed, with what was sent where that helps: of claims only those by which the
// token speaks of itself.
func (p *Provider) noteFailed(ctx context.Context, err error, facts ...string) {
	l := trace.From(ctx)
	if l == nil || err == nil {
		return
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			l.Fail(f.check, append(facts, "expected_issuer", p.s.issuer, "client_id", p.s.clientID)...)
			return
		}
	}
}

// noteSignature adds that the ID token is signed, with what its header names.
func noteSignature(l *trace.Login, jws *jose.JSONWebSignature) {
	if l == nil || jws == nil || len(jws.Signatures) == 0 {
		return
	}
	h := jws.Signatures[0].Protected
	l.Pass(stepSignature, "alg", h.Algorithm, "kid", h.KeyID)
}

// selfClaims are the claims by which a signed token speaks of itself, for the trace of a check that it failed.
func selfClaims(claims mapping.Claims) []string {
	out := []string{"iss", textOf(claims["iss"]), "aud", strings.Join(stringsOf(claims["aud"]), " "), "azp", textOf(claims["azp"])}
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		if at, ok := timeOf(claims[name]); ok {
			out = append(out, name, at.UTC().Format(time.RFC3339))
		}
	}
	return out
}

// errorCode is a code of an error response as RFC 6749 section 4.1.2.1 has them, "" where it is anything else: that is in the cause.
func errorCode(s string) string {
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
		return ""
	}
	return strings.Clone(s)
}
