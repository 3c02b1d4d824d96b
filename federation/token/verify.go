package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// maxAccessToken bounds the size of a token that is looked at, in bytes.
const maxAccessToken = 16 * 1024

// poolID is the form of a pool id in the API model, at most maxPoolID bytes.
var poolID = regexp.MustCompile(`^[\w-]+_[0-9a-zA-Z]+$`)

const maxPoolID = 55

// Access is what a verified access token says.
type Access struct {
	PoolID   string
	ClientID string
	Sub      string
	Username string
	Scopes   []string
	Groups   []string
	// GrantID is empty if the client does without revocation; otherwise give it to Grants.Live.
	GrantID  string
	JTI      string
	EventID  string
	AuthTime time.Time
	IssuedAt time.Time
	Expires  time.Time
}

// VerifyAccess verifies one of our own access tokens: its pool is the one its issuer names, its key one of that
// pool's for access tokens, its algorithm that key's, its signature right, its time not over. It
// does not see revocation: ask Grants.Live for the grant, and Grant.Check for the user.
//
// A refusal is fault.Unauthenticated with ErrMalformed, ErrAlgorithm, ErrIssuer, ErrKey, ErrSignature,
// ErrTokenUse or ErrExpired in its chain; other errors are the store's.
func (i *Issuer) VerifyAccess(ctx context.Context, raw string) (Access, error) {
	a, reason, err := i.verifyAccess(ctx, raw)
	if err != nil {
		return Access{}, fmt.Errorf("verify access token: %w", err)
	}
	if reason != nil {
		return Access{}, fault.New(fault.Unauthenticated, "The access token is not valid or has expired.", reason)
	}
	return a, nil
}

// verifyAccess returns the reason of a refusal apart from the error of a store that could not be asked.
func (i *Issuer) verifyAccess(ctx context.Context, raw string) (a Access, reason, err error) {
	if len(raw) > maxAccessToken {
		return a, ErrMalformed, nil
	}
	sig, err := jose.ParseSignedCompact(raw, algorithms)
	if alg := (*jose.ErrUnexpectedSignatureAlgorithm)(nil); errors.As(err, &alg) {
		return a, ErrAlgorithm, nil
	}
	if err != nil {
		return a, ErrMalformed, nil //nolint:nilerr // the library's words add nothing to the reason
	}
	// Nothing of c is believed before the signature is verified; its issuer only says whose keys to take.
	var c accessClaims
	if err := json.Unmarshal(sig.UnsafePayloadWithoutVerification(), &c); err != nil {
		return a, ErrMalformed, nil //nolint:nilerr // as above
	}
	id, ok := strings.CutPrefix(c.Issuer, i.BaseURL+"/")
	if !ok || len(id) > maxPoolID || !poolID.MatchString(id) {
		return a, ErrIssuer, nil
	}
	keys, err := i.Keys.read(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return a, ErrIssuer, nil
	}
	if err != nil {
		return a, nil, err
	}
	if reason := keys.verify(sig, i.Now(), true); reason != nil {
		return a, reason, nil
	}
	if c.TokenUse != useAccess {
		return a, ErrTokenUse, nil
	}
	if i.Now().Unix() >= c.Expires {
		return a, ErrExpired, nil
	}
	return Access{
		PoolID: id, ClientID: c.ClientID, Sub: c.Sub, Username: c.Username,
		Scopes: strings.Fields(c.Scope), Groups: c.Groups, GrantID: c.OriginJTI, JTI: c.JTI, EventID: c.EventID,
		AuthTime: time.Unix(c.AuthTime, 0).UTC(), IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), Expires: time.Unix(c.Expires, 0).UTC(),
	}, nil, nil
}

// verify checks a signature against the published key it names, which must be of the use: access or ID tokens.
func (r *ring) verify(sig *jose.JSONWebSignature, now time.Time, access bool) error {
	header := sig.Signatures[0].Header
	key := r.byKID[header.KeyID]
	found := false
	for _, g := range r.published(now) {
		found = found || key != nil && (key == g.id || key == g.access)
	}
	switch {
	case !found:
		return ErrKey
	case header.Algorithm != key.public.Algorithm:
		return ErrAlgorithm
	case key.access != access:
		return ErrTokenUse
	}
	if _, err := sig.Verify(key.public.Key); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
