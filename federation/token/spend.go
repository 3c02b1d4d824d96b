package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/store"
)

// verifierForm is code_verifier of RFC 7636 section 4.1; challengeForm is 32 bytes in base64url, section 4.2.
var (
	verifierForm  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// ValidChallenge reports whether a code_challenge can be one of the method S256 (RFC 7636 section 4.2).
func ValidChallenge(challenge string) bool { return challengeForm.MatchString(challenge) }

// Spend is what comes with a code. The client has authenticated already, if it has a secret.
type Spend struct {
	ClientID        string
	RedirectURI     string
	Verifier        string        // code_verifier; empty if none was sent
	RefreshValidity time.Duration // of the refresh token and all that replace it; 30 days if zero
}

// Spend exchanges the code for the grant and its first refresh token. The code is marked as spent and the refresh
// token's hash stored in one compare-and-swap, before anything is minted: of any number of callers at most one succeeds.
//
// A refusal is a fault with ErrInvalidGrant in its chain, and one of the ErrCode errors, ErrPKCE, ErrRevoked or ErrSessionEnded. A wrong
// verifier, a missing one, and one for a grant without challenge (RFC 9700 section 2.1.1) burn the
// code. A code that was spent before, at any time, revokes all that it gave (RFC 6749 section 4.1.2), even
// if the other user of it is served at this moment.
func (g *Grants) Spend(ctx context.Context, code string, s Spend) (Grant, string, error) {
	id, sum, ok := parseCode(code)
	if !ok {
		return Grant{}, "", refuse(publicCode, ErrCodeUnknown)
	}
	var first handle
	var effective error // a refusal that is written down
	e, err := g.kind().Update(ctx, id, func(r *record) error {
		now := g.Now().UTC()
		effective = nil
		switch {
		case !same(r.Code, sum):
			return ErrCodeUnknown
		case r.ClientID != s.ClientID:
			return ErrCodeClient
		case r.RedirectURI != s.RedirectURI:
			return ErrCodeRedirect
		case !r.Spent.IsZero() && !r.Revoked.IsZero():
			return ErrCodeReused
		case !r.Spent.IsZero():
			r.revoke(now, "code used twice")
			effective = ErrCodeReused
			return nil
		case !r.Revoked.IsZero():
			return ErrRevoked
		case !now.Before(r.CodeExpires):
			return ErrCodeExpired
		}
		if err := g.stands(ctx, r); err != nil {
			return err
		}
		r.Spent = now
		if !verifies(r.CodeChallenge, s.Verifier) {
			effective = ErrPKCE
			return nil
		}
		first = newRefresh(uuid.MustParse(r.ID))
		r.admit(first, now, s.RefreshValidity)
		return nil
	})
	if err := outcome("spend code", err, effective, publicCode, ErrCodeUnknown); err != nil {
		return Grant{}, "", err
	}
	return e.Value.Grant, first.token(), nil
}

// stands refuses a grant that was made in a session of before, if that was ended. EndSession finds the grants that were there
// when it looked; one that was just being written comes to the end of its session here.
func (g *Grants) stands(ctx context.Context, r *record) error {
	if r.SessionID == r.ID {
		return nil
	}
	began, err := g.get(ctx, r.SessionID)
	if err != nil {
		return err
	}
	if began != nil && began.SessionExpires.IsZero() { // not there: it ran out, which ends no grant
		return ErrSessionEnded
	}
	return nil
}

// verifies compares a verifier with the challenge of the authorization request (RFC 7636 section 4.6). Without a challenge there
// must be no verifier: otherwise stripping the challenge from the request would go unseen.
func verifies(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if !verifierForm.MatchString(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// outcome makes one error of an Update's: err is the store's or a refusal without effect, effective a
// refusal that was written down, unknown the refusal for a document that is not there.
func outcome(operation string, err, effective error, public string, unknown error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(public, unknown)
	case errors.Is(err, ErrInvalidGrant):
		return refuse(public, err)
	case err != nil:
		return fmt.Errorf("%s: %w", operation, err)
	case effective != nil:
		return refuse(public, effective)
	}
	return nil
}
