package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// Revoke serves POST /oauth2/revoke (RFC 7009). Refresh tokens can be revoked, and with one every
// access token that came from it; an unknown or already revoked token is a success.
func (s *Service) Revoke(c echo.Context) error {
	form, err := web.Params(c)
	if err != nil {
		return &web.OAuthError{Code: "invalid_request", Err: err}
	}
	client, err := s.authenticate(c, form)
	if err != nil {
		return unauthorized(err)
	}
	raw := form.Get("token")
	switch {
	case raw == "":
		return &web.OAuthError{Code: "invalid_request", Err: invalid("token is required.")}
	case strings.Count(raw, ".") == 2: // a JWT: an ID or access token
		return &web.OAuthError{Code: "unsupported_token_type", Err: invalid("Only refresh tokens can be revoked.")}
	case !client.EnableTokenRevocation:
		return &web.OAuthError{Code: "invalid_request", Err: invalid("This client has token revocation switched off (EnableTokenRevocation).")}
	}
	ended, err := s.Grants.Revoke(c.Request().Context(), raw, client.ID)
	if errors.Is(err, token.ErrInvalidGrant) { // another client's
		return &web.OAuthError{Code: "invalid_request", Err: err}
	}
	if err != nil {
		return err
	}
	if ended {
		s.Audit.Record(c.Request().Context(), audit.TokenRevoked{Pool: client.PoolID, Client: client.ID})
	}
	// The type is for clients that take nothing but JSON from an authorization server, be it empty.
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, nil)
}

// introspection is the answer of RFC 7662 section 2.2.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
}

// Introspect serves POST /oauth2/introspect (RFC 7662). The caller must be a client with a secret and
// learns about tokens of its own pool only; about all others it learns
// that they are not active, and nothing else.
func (s *Service) Introspect(c echo.Context) error {
	form, err := web.Params(c)
	if err != nil {
		return &web.OAuthError{Code: "invalid_request", Err: err}
	}
	client, err := s.authenticate(c, form)
	if err != nil {
		return unauthorized(err)
	}
	if !client.Confidential() {
		return &web.OAuthError{Status: http.StatusUnauthorized, Code: "invalid_client", Challenge: "Basic",
			Err: fault.New(fault.Unauthenticated, "Introspection needs a client with a secret.", nil)}
	}
	if form.Get("token") == "" {
		return &web.OAuthError{Code: "invalid_request", Err: invalid("token is required.")}
	}
	answer, err := s.introspect(c, client, form.Get("token"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answer)
}

// dead are the codes of a token that is not active, as against a failure to find out.
var dead = []fault.Code{fault.Unauthenticated, fault.Expired, fault.Denied, fault.Invalid, fault.NotFound}

func (s *Service) introspect(c echo.Context, client pool.Client, raw string) (introspection, error) {
	ctx := c.Request().Context()
	inactive := func(err error) (introspection, error) {
		if slices.Contains(dead, fault.CodeOf(err)) {
			return introspection{}, nil
		}
		return introspection{}, err
	}
	if strings.Count(raw, ".") == 2 {
		access, err := s.Issuer.VerifyAccess(ctx, raw)
		if err != nil {
			return inactive(err)
		}
		if access.PoolID != client.PoolID {
			return introspection{}, nil
		}
		u, _, err := s.bearerUser(ctx, access)
		if err != nil {
			return inactive(err)
		}
		return introspection{
			Active: true, Scope: strings.Join(access.Scopes, " "), ClientID: access.ClientID, Username: u.Username, TokenType: "Bearer",
			Expires: access.Expires.Unix(), IssuedAt: access.IssuedAt.Unix(), Subject: u.Sub, Issuer: s.Issuer.URL(access.PoolID), ID: access.JTI,
		}, nil
	}
	// A refresh token speaks to its own client only.
	g, _, err := s.Grants.Refresh(ctx, raw, token.Refresh{ClientID: client.ID, Look: true,
		Admit: func(g token.Grant) error { return allowed(client, g) }})
	if err != nil {
		return inactive(err)
	}
	u, err := s.subject(ctx, g)
	if err != nil {
		return inactive(err)
	}
	return introspection{
		Active: true, Scope: strings.Join(g.Scopes, " "), ClientID: g.ClientID, Username: u.Username,
		IssuedAt: g.Created.Unix(), Subject: u.Sub, Issuer: s.Issuer.URL(g.PoolID),
	}, nil
}
