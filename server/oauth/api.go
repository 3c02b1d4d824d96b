package oauth

import (
	"context"
	"net/url"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
)

// What the JSON API shares with the endpoints here, so that a token counts in both or in neither.

// Tokens are what a client gets for a refresh token.
type Tokens struct {
	ID, Access string
	Refresh    string // "" leaves the client with the one that it has
	ExpiresIn  time.Duration
}

// Refresh is the grant refresh_token of a client that has proven itself, with its audit events. Errors: *web.OAuthError whose cause says more.
func (s *Service) Refresh(ctx context.Context, c pool.Client, refresh string) (Tokens, error) {
	const kind = "refresh_token"
	a, err := s.exchange(ctx, c, kind, url.Values{"refresh_token": {refresh}})
	if err != nil {
		return Tokens{}, s.refused(ctx, c, kind, err)
	}
	return Tokens{ID: a.IDToken, Access: a.AccessToken, Refresh: a.RefreshToken, ExpiresIn: time.Duration(a.ExpiresIn) * time.Second}, nil
}

// Holder returns whom a client's refresh token speaks for and changes nothing. Errors: fault.Invalid and fault.Expired with token.ErrInvalidGrant in the chain.
func (s *Service) Holder(ctx context.Context, c pool.Client, refresh string) (pool.User, error) {
	g, _, err := s.Grants.Refresh(ctx, refresh, token.Refresh{ClientID: c.ID, Look: true, Admit: func(g token.Grant) error { return allowed(c, g) }})
	if err != nil {
		return pool.User{}, err
	}
	return s.subject(ctx, g)
}

// Access verifies an access token and loads whom it speaks for. It counts until its grant, its user or its client is gone. Errors:
// fault.Unauthenticated for a token that does not count, with its reason in the chain.
func (s *Service) Access(ctx context.Context, raw string) (token.Access, pool.User, pool.Client, error) {
	a, err := s.Issuer.VerifyAccess(ctx, raw)
	if err != nil {
		return a, pool.User{}, pool.Client{}, err
	}
	u, c, err := s.bearerUser(ctx, a)
	return a, u, c, err
}
