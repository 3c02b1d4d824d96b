package poolapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/token"
)

func tokenOperations() []operation {
	return []operation{
		op("InitiateAuth", public, (*Service).initiateAuth),
		op("GetTokensFromRefreshToken", public, (*Service).getTokensFromRefreshToken),
		op("RevokeToken", public, (*Service).revokeToken),
		later("RespondToAuthChallenge", public),
		later("AdminInitiateAuth", admin),
		later("AdminRespondToAuthChallenge", admin),
	}
}

// initiateAuth has the flow for refresh tokens. Signing in with a password comes with local accounts.
func (s *Service) initiateAuth(ctx context.Context, _ Caller, in *api.InitiateAuthRequest) (*api.InitiateAuthResponse, error) {
	if in.AuthFlow != "REFRESH_TOKEN_AUTH" && in.AuthFlow != "REFRESH_TOKEN" {
		return nil, refuse("NotImplementedException", "This release has the flow REFRESH_TOKEN_AUTH alone: passwords and challenges come with local accounts.", nil)
	}
	c, err := s.client(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	refresh := in.AuthParameters["REFRESH_TOKEN"]
	if refresh.IsZero() {
		return nil, refuse("InvalidParameterException", "Missing required parameter REFRESH_TOKEN", nil)
	}
	if c.RotateRefreshTokens {
		return nil, refuse("InvalidParameterException",
			"The client replaces its refresh tokens at every use (RefreshTokenRotation): call GetTokensFromRefreshToken.", nil)
	}
	if !slices.Contains(c.AuthFlows(), "ALLOW_REFRESH_TOKEN_AUTH") {
		return nil, refuse("InvalidParameterException", "Auth flow not enabled for this client: ALLOW_REFRESH_TOKEN_AUTH is not among its ExplicitAuthFlows.", nil)
	}
	if c.Confidential() {
		if err := s.secretHash(ctx, c, refresh.Reveal(), in.AuthParameters["SECRET_HASH"]); err != nil {
			return nil, err
		}
	}
	result, err := s.refreshed(ctx, c, refresh)
	return &api.InitiateAuthResponse{AuthenticationResult: result, ChallengeParameters: map[string]string{}}, err
}

// secretHash checks the proof of a client with a secret: the HMAC of user name and client id (SecretHashType). The user is the token's. Clients
// that know them by e-mail address have only the sub to compute it with, so both are taken.
func (s *Service) secretHash(ctx context.Context, c pool.Client, refresh string, given api.Secret) error {
	if given.IsZero() {
		return refuse("NotAuthorizedException", "Client "+c.ID+" is configured with secret but SECRET_HASH was not received", nil)
	}
	u, err := s.OAuth.Holder(ctx, c, refresh)
	if err != nil {
		return refreshRefused(err)
	}
	got, _ := base64.StdEncoding.DecodeString(given.Reveal())
	good := false
	for _, key := range c.Secrets {
		for _, name := range []string{u.Username, u.Sub} {
			mac := hmac.New(sha256.New, []byte(key.Value.Reveal()))
			mac.Write([]byte(name + c.ID))
			good = hmac.Equal(mac.Sum(nil), got) || good
		}
	}
	if !good {
		return refuse("NotAuthorizedException", "SecretHash does not match for the client: "+c.ID, nil)
	}
	return nil
}

func (s *Service) getTokensFromRefreshToken(
	ctx context.Context, _ Caller, in *api.GetTokensFromRefreshTokenRequest,
) (*api.GetTokensFromRefreshTokenResponse, error) {
	c, err := s.client(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	if err := clientProven(c, in.ClientSecret, "NotAuthorizedException"); err != nil {
		return nil, err
	}
	result, err := s.refreshed(ctx, c, in.RefreshToken)
	return &api.GetTokensFromRefreshTokenResponse{AuthenticationResult: result}, err
}

// clientProven compares the secret of a client that has one.
func clientProven(c pool.Client, given api.Secret, kind string) error {
	switch {
	case !c.Confidential() && given.IsZero():
		return nil
	case c.Confidential() && given.IsZero():
		return refuse(kind, "Client "+c.ID+" is configured with secret but CLIENT_SECRET was not received", nil)
	case !c.SecretMatches(given.Reveal()):
		return refuse(kind, "Invalid client secret", nil)
	}
	return nil
}

func (s *Service) refreshed(ctx context.Context, c pool.Client, refresh api.Secret) (*api.AuthenticationResultType, error) {
	t, err := s.OAuth.Refresh(ctx, c, refresh.Reveal())
	if err != nil {
		return nil, refreshRefused(err)
	}
	return &api.AuthenticationResultType{
		AccessToken: api.NewSecret(t.Access), IdToken: api.NewSecret(t.ID), RefreshToken: api.NewSecret(t.Refresh),
		ExpiresIn: new(int(t.ExpiresIn / time.Second)), TokenType: "Bearer",
	}, nil
}

// refreshRefused gives the reasons of a refused refresh token the original's names.
func refreshRefused(err error) error {
	switch {
	case errors.Is(err, token.ErrRefreshExpired):
		return refuse("NotAuthorizedException", "Refresh Token has expired", err)
	case errors.Is(err, token.ErrRefreshReused):
		return refuse("RefreshTokenReuseException", "Refresh Token has been used before: it was replaced, and what came of it is revoked", err)
	case errors.Is(err, token.ErrUserDisabled):
		return refuse("NotAuthorizedException", "User is disabled.", err)
	case errors.Is(err, token.ErrRevoked), errors.Is(err, token.ErrSignedOut):
		return refuse("NotAuthorizedException", "Refresh Token has been revoked", err)
	case errors.Is(err, token.ErrInvalidGrant):
		return refuse("NotAuthorizedException", "Invalid Refresh Token", err)
	}
	return err
}

// client finds the client that a public operation names, and with it the pool.
func (s *Service) client(ctx context.Context, id string) (pool.Client, error) {
	c, err := s.Directory.Client(ctx, id)
	if fault.CodeOf(err) == fault.NotFound {
		return c, refuse("ResourceNotFoundException", "User pool client "+id+" does not exist.", err)
	}
	return c, err
}

// revokeToken ends what a refresh token gave. One that is unknown or revoked already is no error.
func (s *Service) revokeToken(ctx context.Context, _ Caller, in *api.RevokeTokenRequest) (*api.RevokeTokenResponse, error) {
	c, err := s.Directory.Client(ctx, in.ClientID)
	if fault.CodeOf(err) == fault.NotFound {
		return nil, refuse("UnauthorizedException", "User pool client "+in.ClientID+" does not exist.", err)
	}
	if err != nil {
		return nil, err
	}
	if err := clientProven(c, in.ClientSecret, "UnauthorizedException"); err != nil {
		return nil, err
	}
	switch {
	case !c.EnableTokenRevocation:
		return nil, refuse("UnsupportedOperationException", "The client has token revocation switched off (EnableTokenRevocation).", nil)
	case strings.Count(in.Token.Reveal(), ".") == 2:
		return nil, refuse("UnsupportedTokenTypeException", "Only refresh tokens can be revoked.", nil)
	}
	ended, err := s.Grants.Revoke(ctx, in.Token.Reveal(), c.ID)
	if errors.Is(err, token.ErrInvalidGrant) {
		return nil, refuse("UnauthorizedException", "The token was issued to another client.", err)
	}
	if err != nil {
		return nil, fmt.Errorf("revoke: %w", err)
	}
	if ended {
		s.Audit.Record(ctx, audit.TokenRevoked{Pool: c.PoolID, Client: c.ID})
	}
	return &api.RevokeTokenResponse{}, nil
}
