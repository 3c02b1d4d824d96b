package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// The reasons for which an application is given no token of a provider.
var (
	ErrTokenClient = errors.New("the provider's token_clients does not name the client, or there is no such provider")
	ErrPublic      = errors.New("the client has no secret")
	ErrNoGrant     = errors.New("the access token is of a client without revocation")
)

// upstreamAnswer is what an application gets of a provider's tokens: what it needs to call the provider for an hour. The refresh token would
// outlast every sign-out here, and the ID token was made for us.
type upstreamAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in,omitempty"` // absent where the provider did not say
	Scope       string `json:"scope,omitempty"`
	Provider    string `json:"identity_provider"`
}

// UpstreamToken serves GET /oauth2/upstreamToken: a provider's own access token of the user whose access token of ours the request
// carries (RFC 6750), refreshed if need be.
//
// A token of ours says what somebody may do here; one of a provider may open a mailbox. So it takes more than userInfo: a client that the
// provider's configuration names and that has a secret, since what a browser holds can be taken from it, and a token that can be revoked. For
// the same reason scripts of other origins are not let in: the route has no CORS.
func (s *Service) UpstreamToken(c echo.Context) error {
	ctx := c.Request().Context()
	access, u, client, err := s.bearerAccess(c)
	if fault.CodeOf(err) == fault.Unavailable {
		return upstreamRefusal(err)
	}
	if err != nil {
		return err
	}
	params, err := web.Params(c)
	if err != nil {
		return &web.OAuthError{Code: "invalid_request", Challenge: "Bearer", Err: err}
	}
	provider := params.Get("identity_provider")
	if provider == "" {
		return &web.OAuthError{Code: "invalid_request", Challenge: "Bearer", Err: invalid("identity_provider is required.")}
	}
	refused := func(err error) error {
		oe := upstreamRefusal(err)
		s.Audit.Record(ctx, audit.UpstreamTokenRefused{Pool: access.PoolID, Client: client.ID, Sub: u.Sub, Provider: web.Clip(provider),
			Error: oe.Code, Reason: err.Error(), Reference: web.RequestID(ctx)})
		return oe
	}
	if err := s.mayHave(ctx, client, access, provider); err != nil {
		return refused(err)
	}
	kept, refreshed, err := s.Broker.UpstreamToken(ctx, access.PoolID, u.Sub, provider)
	if err != nil {
		return refused(err)
	}
	s.Audit.Record(ctx, audit.UpstreamToken{Pool: access.PoolID, Client: client.ID, Sub: u.Sub, Provider: provider, Refreshed: refreshed})
	answer := upstreamAnswer{AccessToken: kept.Tokens.Access.Reveal(), TokenType: "Bearer", Scope: kept.Tokens.Scope, Provider: provider}
	if end := kept.Tokens.Expires; !end.IsZero() {
		answer.ExpiresIn = int64(end.Sub(s.Broker.Now()) / time.Second)
	}
	c.Response().Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1; Cache-Control is there already
	return c.JSON(http.StatusOK, answer)
}

// mayHave refuses a client that the configuration does not let have the provider's tokens. A provider that is not there looks the same as one that
// does not name the client.
func (s *Service) mayHave(ctx context.Context, client pool.Client, access token.Access, provider string) error {
	deny := func(cause error) error {
		return fault.New(fault.Denied, "This application may not have access to that identity provider.", fmt.Errorf("client %s: %w", client.ID, cause))
	}
	switch {
	case !client.Confidential():
		return deny(ErrPublic)
	case access.GrantID == "":
		return deny(ErrNoGrant)
	}
	idp, err := s.Directory.Provider(ctx, access.PoolID, provider)
	switch {
	case fault.CodeOf(err) == fault.NotFound, err == nil && !idp.GivesTokensTo(client.ID):
		return deny(ErrTokenClient)
	}
	return err
}

// upstreamRefusal gives an error its code: what the application has to do about it.
func upstreamRefusal(err error) *web.OAuthError {
	oe := &web.OAuthError{Code: "server_error", Status: http.StatusInternalServerError, Err: err}
	switch fault.CodeOf(err) {
	case fault.Denied:
		oe.Code, oe.Status = "unauthorized_client", http.StatusForbidden
	case fault.LoginRequired:
		oe.Code, oe.Status = "login_required", http.StatusForbidden
	case fault.Upstream:
		oe.Code, oe.Status = "temporarily_unavailable", http.StatusBadGateway
	case fault.UpstreamTimeout:
		oe.Code, oe.Status = "temporarily_unavailable", http.StatusGatewayTimeout
	case fault.Unavailable, fault.Throttled:
		oe.Code, oe.Status = "temporarily_unavailable", http.StatusServiceUnavailable
	}
	return oe
}
