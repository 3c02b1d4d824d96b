// Package token owns what a user pool hands out and the keys behind it: signing
// keys and their rotation (Keys), ID and access tokens (Issuer), and grants, the
// record of one authorization with its session, its one-time code and its
// refresh tokens (Grants).
//
// It does not own who a person is (federation/pool), how a person proves it
// (federation), or what a request and an answer look like on the wire (server/oauth).
//
// A login calls Grants.Start when the person is known, Grants.Spend when the
// application brings the code, and Issuer.Mint after that. A refresh calls Grants.Refresh, then
// Issuer.Mint. What accepts an access token calls Issuer.VerifyAccess, then
// Grants.Live with the token's grant, then Grant.Check with the user.
//
// The token formats follow RFC 7519 and OpenID Connect Core 1.0 with the claims of the API that
// this project is compatible with; codes follow RFC 6749 and RFC 7636, refresh tokens RFC 9700 section 4.14.
package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/fault"
)

// MaxTokenLife is the longest life of an ID or access token. A retired key stays published at
// least this long.
const MaxTokenLife = 24 * time.Hour

// skew is how far the clocks of two nodes, or of a node and a client, may lie apart.
const skew = 5 * time.Minute

// ErrInvalidGrant is in the chain of every refusal of a code or a refresh token: the answer on
// the wire is invalid_grant (RFC 6749 section 5.2).
var ErrInvalidGrant = errors.New("invalid grant")

// Why a code was refused. ErrCodeUnknown, ErrCodeExpired, ErrCodeClient and ErrCodeRedirect are without
// effect on the grant; ErrPKCE has burnt the code; ErrCodeReused has revoked all that the code gave.
var (
	ErrCodeUnknown  = fmt.Errorf("%w: no such code", ErrInvalidGrant)
	ErrCodeExpired  = fmt.Errorf("%w: the code has expired", ErrInvalidGrant)
	ErrCodeClient   = fmt.Errorf("%w: the code was issued to another client", ErrInvalidGrant)
	ErrCodeRedirect = fmt.Errorf("%w: the code was issued for another redirect_uri", ErrInvalidGrant)
	ErrPKCE         = fmt.Errorf("%w: the code verifier does not belong to the code challenge", ErrInvalidGrant)
	ErrCodeReused   = fmt.Errorf("%w: the code was used before", ErrInvalidGrant)
)

// Why a refresh token was refused. ErrRefreshReused has revoked its family; the others are without effect.
var (
	ErrRefreshUnknown = fmt.Errorf("%w: no such refresh token", ErrInvalidGrant)
	ErrRefreshExpired = fmt.Errorf("%w: the refresh token has expired", ErrInvalidGrant)
	ErrRefreshClient  = fmt.Errorf("%w: the refresh token was issued to another client", ErrInvalidGrant)
	ErrRefreshReused  = fmt.Errorf("%w: a replaced refresh token was used again", ErrInvalidGrant)
)

// Why a grant no longer stands, whichever token named it.
var (
	ErrRevoked      = fmt.Errorf("%w: the grant was revoked or is gone", ErrInvalidGrant)
	ErrSessionEnded = fmt.Errorf("%w: the session has ended", ErrInvalidGrant)
	ErrSignedOut    = fmt.Errorf("%w: the user has signed out everywhere since", ErrInvalidGrant)
	ErrUnlinked     = fmt.Errorf("%w: the user no longer has the identity that it began with", ErrInvalidGrant)
	ErrMerged       = fmt.Errorf("%w: the user was merged into another one since", ErrInvalidGrant)
	ErrUserDisabled = fmt.Errorf("%w: the user is disabled", ErrInvalidGrant)
)

// Why an access token was refused.
var (
	ErrMalformed = errors.New("not a signed token")
	ErrAlgorithm = errors.New("the token's algorithm is not allowed")
	ErrIssuer    = errors.New("the token is from another issuer")
	ErrKey       = errors.New("the token's key is not one of the pool's")
	ErrSignature = errors.New("the token's signature is wrong")
	ErrTokenUse  = errors.New("the token is of another use")
	ErrExpired   = errors.New("the token has expired")
)

// refuse is the fault of a code or refresh token. One sentence serves all reasons, so that it tells a
// prober nothing; the reason is in the cause.
func refuse(public string, reason error) error {
	code := fault.Invalid
	if errors.Is(reason, ErrCodeExpired) || errors.Is(reason, ErrRefreshExpired) || errors.Is(reason, ErrSessionEnded) {
		code = fault.Expired
	}
	return fault.New(code, public, reason)
}
