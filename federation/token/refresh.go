package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Refresh is what comes with a refresh token and what its client's settings say. The client has authenticated already,
// if it has a secret.
type Refresh struct {
	ClientID string
	Rotate   bool          // Client.RotateRefreshTokens
	Grace    time.Duration // Client.RotationGrace, 0 to 60 s
	// Admit may refuse the grant before anything is written, so that a request that is refused for another
	// reason does not cost the token. Its error is returned under the operation's name. Nil admits.
	Admit func(Grant) error
	// Look asks only whether the token would be accepted: nothing is written, nothing replaced, nothing revoked.
	Look bool
}

// Refresh exchanges a refresh token for the grant and, with rotation, the token's successor; newRefresh is empty if the
// token stays in use. Without rotation nothing is written; with it, one compare-and-swap.
//
// Within the grace the token that was replaced last is answered with the same successor again, without a
// write: a client that lost the answer, or two tabs that refresh at once, end up with one token, and the
// family never forks. A token that was replaced earlier, or after the grace, revokes the family (RFC 9700 section 4.14.2).
//
// A refusal is a fault with ErrInvalidGrant in its chain, and one of the ErrRefresh errors or ErrRevoked. The user's state is not
// seen here; Issuer.Mint checks it.
func (g *Grants) Refresh(ctx context.Context, refresh string, in Refresh) (out Grant, newRefresh string, err error) {
	h, ok := parseRefresh(refresh)
	if !ok {
		return Grant{}, "", refuse(publicRefresh, ErrRefreshUnknown)
	}
	var next handle
	var effective error // a refusal that is written down
	e, err := g.kind().Update(ctx, h.id(), func(r *record) error {
		now := g.Now().UTC()
		next, effective = nil, nil
		if err := r.admits(h, in.ClientID); err != nil {
			return err
		}
		sum := h.sum()
		switch {
		case !r.Revoked.IsZero():
			return ErrRevoked
		case !now.Before(r.RefreshExpires):
			return ErrRefreshExpired
		}
		current, before := same(r.Current, sum), same(r.Previous, sum) && now.Before(r.GraceUntil)
		if (current || before) && in.Admit != nil {
			if err := in.Admit(r.Grant); err != nil {
				return err
			}
		}
		switch {
		case in.Look && !current && !before:
			return ErrRefreshReused
		case in.Look, current && !in.Rotate:
			return store.ErrUnchanged
		case current:
			salt := newSalt()
			next = h.next(salt)
			r.Previous, r.Current = r.Current, next.sum()
			r.Salt, r.GraceUntil = g.Ring.Seal(salt, r.saltContext()), now.Add(in.Grace)
			return nil
		case before:
			salt, err := g.Ring.Open(r.Salt, r.saltContext())
			if err != nil {
				return fmt.Errorf("open salt: %w", err)
			}
			next = h.next(salt)
			return store.ErrUnchanged
		}
		r.revoke(now, "replaced refresh token used again")
		effective = ErrRefreshReused
		return nil
	})
	if err := outcome("refresh", err, effective, publicRefresh, ErrRefreshUnknown); err != nil {
		return Grant{}, "", err
	}
	if next != nil {
		newRefresh = next.token()
	}
	return e.Value.Grant, newRefresh, nil
}

// Revoke ends what the refresh token's grant gave, whichever token of the family it is (RFC 7009). A token
// that is unknown, expired or revoked already is no error (section 2.2) and ends nothing. ErrRefreshClient: it is another client's.
func (g *Grants) Revoke(ctx context.Context, refresh, clientID string) (ended bool, err error) {
	h, ok := parseRefresh(refresh)
	if !ok {
		return false, nil
	}
	_, err = g.kind().Update(ctx, h.id(), func(r *record) error {
		if err := r.admits(h, clientID); err != nil {
			return err
		}
		if ended = r.Revoked.IsZero(); !ended {
			return store.ErrUnchanged
		}
		r.revoke(g.Now().UTC(), "revoked by the client")
		return nil
	})
	err = outcome("revoke", err, nil, publicRefresh, ErrRefreshUnknown)
	if errors.Is(err, ErrRefreshUnknown) {
		return false, nil
	}
	return ended && err == nil, err
}

// admits reports whether h is a token of this grant, valid or not, in the hands of its client.
func (r *record) admits(h handle, clientID string) error {
	if !same(r.Family, h.family()) {
		return ErrRefreshUnknown
	}
	if r.ClientID != clientID {
		return ErrRefreshClient
	}
	return nil
}

func (r *record) saltContext() string { return "grant salt\x00" + r.ID }
