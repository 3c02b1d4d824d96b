package oidc

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/outgoing"
)

// What a login can fail for. Each is found with errors.Is under the *fault.Error that Begin or Finish returns.
var (
	ErrDiscovery = errors.New("oidc: discovery document")              // not to be had, or not usable
	ErrKeys      = errors.New("oidc: key set")                         // not to be had, or without usable keys
	ErrState     = errors.New("oidc: state")                           // the answer is not to this attempt
	ErrResponse  = errors.New("oidc: authorization response")          // malformed: no code, or a parameter twice
	ErrAnswer    = errors.New("oidc: provider answered with error")    // RFC 6749 section 4.1.2.1
	ErrIssuer    = errors.New("oidc: issuer")                          // of discovery, response (RFC 9207), ID token or userinfo
	ErrToken     = errors.New("oidc: token endpoint")                  // RFC 6749 section 5
	ErrIDToken   = errors.New("oidc: id token is absent or malformed") // OpenID Connect Core section 2
	ErrSignature = errors.New("oidc: signature or algorithm")          // of ID token or userinfo
	ErrAudience  = errors.New("oidc: audience")                        // of ID token or userinfo
	ErrParty     = errors.New("oidc: authorized party")                // azp
	ErrNonce     = errors.New("oidc: nonce")                           // the ID token was not made for this attempt
	ErrExpired   = errors.New("oidc: expired")                         // exp
	ErrNotYet    = errors.New("oidc: not valid yet")                   // nbf
	ErrIssuedAt  = errors.New("oidc: issue time")                      // iat is absent, in the future or long ago
	ErrAuthTime  = errors.New("oidc: authentication time")             // older than asked for, or not said
	ErrSubject   = errors.New("oidc: subject")                         // absent, too long or not text
	ErrAtHash    = errors.New("oidc: access token hash")               // at_hash
	ErrRevoke    = errors.New("oidc: revocation endpoint")             // RFC 7009
	ErrUserInfo  = errors.New("oidc: userinfo")                        // not to be had, or malformed

	ErrRestricted = errors.New("oidc: account not admitted") // Rules.Check

	ErrUserInfoSubject = errors.New("oidc: userinfo is about somebody else") // OpenID Connect Core section 5.3.2
)

// The sentences that a person may see. They are fixed, and none tells an attacker which check failed.
const (
	publicUnverified = "The identity provider's answer could not be verified."
	publicForeign    = "This answer does not belong to this sign-in. Please start again."
	publicBadAnswer  = "The identity provider gave an answer that this service does not accept."
	publicMisconfig  = "The connection to the identity provider is not set up correctly. An administrator has to change it."
)

// unverified is the fault of a token or document that failed a check.
func unverified(err error) *fault.Error { return fault.New(fault.Upstream, publicUnverified, err) }

// asFault returns err as a fault under a sentinel. An error that is a fault already keeps its code.
func asFault(sentinel, err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	f = outgoing.Fault(err)
	f.Cause = fmt.Errorf("%w: %w", sentinel, err)
	return f
}

// brief shortens the text of an error that may quote a whole answer; the chain stays as it is.
type brief struct{ err error }

func (b brief) Error() string { return quote(b.err.Error()) }
func (b brief) Unwrap() error { return b.err }

// advised is an error with what an administrator may do about it, for the log and for the trace of the sign-in.
type advised struct {
	err    error
	advice string
}

func (a *advised) Error() string { return a.err.Error() + " (" + a.advice + ")" }
func (a *advised) Unwrap() error { return a.err }

// Diagnosis yields the advice under the name that it has in traces.
func (a *advised) Diagnosis() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) { yield("advice", a.advice) }
}

// maxQuote bounds what is quoted of foreign text in a cause, in bytes.
const maxQuote = 200

// quote returns foreign text for a log: bounded, on one line, printable ASCII, without the given secrets as they are and as forms carry them.
func quote(s string, secrets ...string) string {
	s = s[:min(len(s), 64*maxQuote)] // work no more than that
	for _, secret := range secrets {
		if secret != "" {
			s = strings.NewReplacer(secret, "[secret]", url.QueryEscape(secret), "[secret]").Replace(s)
		}
	}
	if len(s) > maxQuote {
		s = s[:maxQuote] + "…"
	}
	return strconv.QuoteToASCII(s)
}
