package oauth

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// grantRefresh is grant_type=refresh_token (RFC 6749 section 6). Without rotation it writes nothing.
func (s *Service) grantRefresh(ctx context.Context, c pool.Client, form url.Values) (due, error) {
	if form.Get("refresh_token") == "" {
		return due{}, invalid("refresh_token is required.")
	}
	g, next, err := s.Grants.Refresh(ctx, form.Get("refresh_token"), token.Refresh{
		ClientID: c.ID, Rotate: c.RotateRefreshTokens, Grace: c.RotationGrace,
		Admit: func(g token.Grant) error {
			return cmp.Or(allowed(c, g), granted(g.Scopes, form.Get("scope")))
		},
	})
	if err != nil {
		return due{}, err
	}
	u, err := s.subject(ctx, g)
	return due{grant: g, user: u, refresh: next}, err
}

// allowed: what an admin has taken from a client, its grants do not give any more. They are refused and not narrowed, because fewer scopes
// could show more attributes (see token.Mint); a new authorization gets what the client may have now. offline_access
// is every client's.
func allowed(c pool.Client, g token.Grant) error {
	if c.PoolID != g.PoolID { // the id of a client that was deleted can be given again, in any pool
		return fault.New(fault.Invalid, "This client may no longer have what was granted. Authorize anew.",
			fmt.Errorf("%w: client %s is of user pool %s now", token.ErrInvalidGrant, c.ID, c.PoolID))
	}
	for _, scope := range g.Scopes {
		if scope != offlineAccess && !slices.Contains(c.Scopes, scope) {
			return fault.New(fault.Invalid, "This client may no longer have what was granted. Authorize anew.",
				fmt.Errorf("%w: client %s has lost the scope %.100q", token.ErrInvalidGrant, c.ID, scope))
		}
	}
	return nil
}

// granted: a refresh may not ask for a scope that was not granted (RFC 6749 section 6). Asking for fewer
// changes nothing (see token.Mint); the answer's scope says so.
func granted(have []string, asked string) error {
	for scope := range strings.FieldsSeq(asked) {
		if scope != offlineAccess && !slices.Contains(have, scope) {
			return &web.OAuthError{Code: "invalid_scope",
				Err: fault.New(fault.Invalid, "A scope was not granted before.", fmt.Errorf("scope %.100q", scope))}
		}
	}
	return nil
}
