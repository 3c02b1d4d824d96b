package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// UserInfo serves GET and POST /oauth2/userInfo (OpenID Connect Core section 5.3).
func (s *Service) UserInfo(c echo.Context) error {
	access, u, client, err := s.bearerAccess(c, "openid")
	if err != nil {
		return err
	}
	claims := token.Claims(u, client, access.Scopes)
	claims["sub"], claims["username"] = u.Sub, u.Username
	return c.JSON(http.StatusOK, claims)
}

// bearerAccess verifies the access token of a request, which has to be of the pool whose host it came to, to have the scopes, and to stand.
// Its refusals are those of RFC 6750 section 3.1.
func (s *Service) bearerAccess(c echo.Context, scopes ...string) (token.Access, pool.User, pool.Client, error) {
	ctx := c.Request().Context()
	fail := func(err error) (token.Access, pool.User, pool.Client, error) {
		if oe := (*web.OAuthError)(nil); !errors.As(err, &oe) && fault.CodeOf(err) == fault.Unauthenticated {
			err = &web.OAuthError{Status: http.StatusUnauthorized, Code: "invalid_token", Challenge: "Bearer", Err: err}
		}
		return token.Access{}, pool.User{}, pool.Client{}, err
	}
	raw, err := bearer(c)
	if err != nil {
		return fail(err)
	}
	access, err := s.Issuer.VerifyAccess(ctx, raw)
	if err != nil {
		return fail(err)
	}
	if origin, err := s.Site.Origin(c); err != nil && !errors.Is(err, web.ErrUnknownHost) {
		return fail(err)
	} else if origin.PoolID != "" && origin.PoolID != access.PoolID {
		return fail(fault.New(fault.Unauthenticated, "The access token is of another user pool.", nil))
	}
	for _, scope := range scopes {
		if !slices.Contains(access.Scopes, scope) {
			return fail(&web.OAuthError{Status: http.StatusForbidden, Code: "insufficient_scope", Challenge: "Bearer",
				Err: fault.New(fault.Denied, "The access token lacks the scope "+scope+".", nil)})
		}
	}
	u, client, err := s.bearerUser(ctx, access)
	if err != nil {
		return fail(err)
	}
	return access, u, client, nil
}

// bearerUser loads whom a verified access token speaks for, and checks that nothing
// has revoked it since: its grant, its user, its client.
func (s *Service) bearerUser(ctx context.Context, access token.Access) (pool.User, pool.Client, error) {
	gone := func(cause error) error {
		return fault.New(fault.Unauthenticated, "The access token has been revoked.", cause)
	}
	client, err := s.Directory.Client(ctx, access.ClientID)
	if fault.CodeOf(err) == fault.NotFound {
		return pool.User{}, client, gone(err)
	}
	if err != nil {
		return pool.User{}, client, err
	}
	if client.PoolID != access.PoolID { // the id of a client that was deleted can be given again, in any pool
		return pool.User{}, client, gone(errors.New("the client is of another user pool now"))
	}
	// A deletion of the pool that was cut short may have left everything else.
	if _, err := s.Directory.Pool(ctx, access.PoolID); fault.CodeOf(err) == fault.NotFound {
		return pool.User{}, client, gone(err)
	} else if err != nil {
		return pool.User{}, client, err
	}
	g := token.Grant{PoolID: access.PoolID, Sub: access.Sub, Created: access.IssuedAt}
	if access.GrantID != "" { // otherwise the client does without revocation
		if g, err = s.Grants.Live(ctx, access.GrantID); errors.Is(err, token.ErrInvalidGrant) {
			return pool.User{}, client, gone(err)
		} else if err != nil {
			return pool.User{}, client, err
		}
	}
	u, err := s.subject(ctx, g)
	if errors.Is(err, token.ErrInvalidGrant) {
		return u, client, gone(err)
	}
	return u, client, err
}

// bearer returns the access token of a request: in the header, or in the form of a POST (RFC 6750
// sections 2.1 and 2.2), never in both and never in the query.
func bearer(c echo.Context) (string, error) {
	header := c.Request().Header.Get(echo.HeaderAuthorization)
	scheme, fromHeader, _ := strings.Cut(header, " ")
	fromHeader = strings.TrimSpace(fromHeader)
	fromForm := ""
	if c.Request().Method == http.MethodPost && strings.HasPrefix(c.Request().Header.Get(echo.HeaderContentType), echo.MIMEApplicationForm) {
		form, err := web.Params(c)
		if err != nil {
			return "", &web.OAuthError{Code: "invalid_request", Challenge: "Bearer", Err: err}
		}
		fromForm = form.Get("access_token")
	}
	switch {
	case header != "" && fromForm != "":
		return "", &web.OAuthError{Code: "invalid_request", Challenge: "Bearer", Err: invalid("Send the access token in one place only.")}
	case fromForm != "":
		return fromForm, nil
	case !strings.EqualFold(scheme, "Bearer"):
		// Without credentials, or with those of another scheme, the challenge names no error (RFC 6750 section 3.1).
		return "", &web.OAuthError{Status: http.StatusUnauthorized, Challenge: "Bearer", Err: fault.New(fault.Unauthenticated, "An access token is required.", nil)}
	case fromHeader == "":
		return "", &web.OAuthError{Code: "invalid_request", Challenge: "Bearer", Err: invalid("The Authorization header must be Bearer and an access token.")}
	}
	return fromHeader, nil
}
