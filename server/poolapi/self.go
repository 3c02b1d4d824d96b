package poolapi

import (
	"context"
	"errors"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/token"
)

// What people do to their own account, with an access token.

func selfOperations() []operation {
	return []operation{
		op("GetUser", accessToken, (*Service).getUser),
		op("GlobalSignOut", accessToken, (*Service).globalSignOut),
		op("DeleteUser", accessToken, (*Service).deleteUser),
		later("ChangePassword", accessToken),
		later("GetUserAttributeVerificationCode", accessToken),
		later("VerifyUserAttribute", accessToken),
		later("GetUserAuthFactors", accessToken),
		later("SetUserMFAPreference", accessToken),
		later("SetUserSettings", accessToken),
		later("AssociateSoftwareToken", public),
		later("VerifySoftwareToken", public),
		later("StartWebAuthnRegistration", accessToken),
		later("CompleteWebAuthnRegistration", accessToken),
		later("DeleteWebAuthnCredential", accessToken),
		later("ListWebAuthnCredentials", accessToken),
		later("ConfirmDevice", accessToken),
		later("ForgetDevice", accessToken),
		later("GetDevice", accessToken),
		later("ListDevices", accessToken),
		later("UpdateDeviceStatus", accessToken),
	}
}

// selfScope is what a token has to have for its holder to act on their own account.
const selfScope = "aws.cognito.signin.user.admin"

// signedIn verifies the access token of a call and fills in whom it speaks for.
func (s *Service) signedIn(ctx context.Context, by *Caller, in api.Input) error {
	raw := in.Text("AccessToken")
	if raw == "" { // some inputs have it as an optional member
		return refuse("InvalidParameterException", "AccessToken is required.", nil)
	}
	a, u, c, err := s.OAuth.Access(ctx, raw)
	switch {
	case errors.Is(err, token.ErrExpired):
		return refuse("NotAuthorizedException", "Access Token has expired", err)
	case errors.Is(err, token.ErrUserDisabled):
		return refuse("NotAuthorizedException", "User is disabled.", err)
	case errors.Is(err, token.ErrInvalidGrant):
		return refuse("NotAuthorizedException", "Access Token has been revoked", err)
	case fault.CodeOf(err) == fault.Unauthenticated:
		return refuse("NotAuthorizedException", "Invalid Access Token", err)
	case err != nil:
		return err
	case !slices.Contains(a.Scopes, selfScope):
		return refuse("NotAuthorizedException", "Access Token does not have required scopes", nil)
	}
	by.Access, by.User, by.Client = a, u, c
	return nil
}

func (s *Service) globalSignOut(ctx context.Context, by Caller, _ *api.GlobalSignOutRequest) (*api.GlobalSignOutResponse, error) {
	_, err := s.Broker.SignOutEverywhere(ctx, by.User.PoolID, by.User.Sub, by.By())
	return &api.GlobalSignOutResponse{}, err
}

func (s *Service) deleteUser(ctx context.Context, by Caller, _ *api.DeleteUserRequest) (*none, error) {
	_, err := s.Broker.DeleteUser(ctx, by.User.PoolID, by.User.Sub, by.By())
	return &none{}, err
}
