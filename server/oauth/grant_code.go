package oauth

import (
	"cmp"
	"context"
	"net/url"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
)

// grantCode is grant_type=authorization_code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
func (s *Service) grantCode(ctx context.Context, c pool.Client, form url.Values) (due, error) {
	if form.Get("code") == "" {
		return due{}, invalid("code is required.")
	}
	// The code is spent before anything else, because two racers must not both get tokens; the refresh token is part of the same write.
	g, refresh, err := s.Grants.Spend(ctx, form.Get("code"), token.Spend{
		// Left out here, as in the authorization request, it is the default one.
		ClientID: c.ID, RedirectURI: cmp.Or(form.Get("redirect_uri"), c.DefaultRedirectURI), Verifier: form.Get("code_verifier"),
		RefreshValidity: c.RefreshTokenValidity,
	})
	if err != nil {
		return due{}, err
	}
	if err := allowed(c, g); err != nil {
		return due{}, err
	}
	u, err := s.subject(ctx, g)
	return due{grant: g, user: u, nonce: g.Nonce, refresh: refresh}, err
}
