package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// Hint is what one of our ID tokens says when an application sends it back (id_token_hint).
type Hint struct {
	PoolID   string
	ClientID string
	Sub      string
}

// VerifyIDHint verifies that raw is an ID token of ours, by a key that is still published. Its time may
// be over (OpenID Connect Core section 3.1.2.1): a hint says whom the application means, and proves nobody's presence. A
// refusal is fault.Unauthenticated with the errors of VerifyAccess in its chain; other errors are the store's.
func (i *Issuer) VerifyIDHint(ctx context.Context, raw string) (Hint, error) {
	refuse := func(reason error) (Hint, error) {
		return Hint{}, fault.New(fault.Unauthenticated, "The ID token hint is not valid.", reason)
	}
	if len(raw) > maxAccessToken {
		return refuse(ErrMalformed)
	}
	sig, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return refuse(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	var c struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Sub      string `json:"sub"`
		TokenUse string `json:"token_use"`
	}
	if err := json.Unmarshal(sig.UnsafePayloadWithoutVerification(), &c); err != nil {
		return refuse(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	id, ok := strings.CutPrefix(c.Issuer, i.BaseURL+"/")
	if !ok || len(id) > maxPoolID || !poolID.MatchString(id) {
		return refuse(ErrIssuer)
	}
	keys, err := i.Keys.read(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return refuse(ErrIssuer)
	}
	if err != nil {
		return Hint{}, fmt.Errorf("verify ID token hint: %w", err)
	}
	if err := keys.verify(sig, i.Now(), false); err != nil {
		return refuse(err)
	}
	if c.TokenUse != useID {
		return refuse(ErrTokenUse)
	}
	return Hint{PoolID: id, ClientID: c.Audience, Sub: c.Sub}, nil
}
