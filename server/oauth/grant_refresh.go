package oauth

import (
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
		Admit: func(g token.Grant) error { return granted(g.Scopes, form.Get("scope")) },
	})
	if err != nil {
		return due{}, err
	}
	u, err := s.subject(ctx, g)
	return due{grant: g, user: u, refresh: next}, err
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
