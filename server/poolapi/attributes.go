package poolapi

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func attributeOperations() []operation {
	return []operation{
		op("AdminUpdateUserAttributes", admin, (*Service).adminUpdateUserAttributes),
		op("AdminDeleteUserAttributes", admin, (*Service).adminDeleteUserAttributes),
		op("UpdateUserAttributes", accessToken, (*Service).updateUserAttributes),
		op("DeleteUserAttributes", accessToken, (*Service).deleteUserAttributes),
	}
}

// attributeMap is a list of attributes as a map. A name twice is refused: it would be chance which value counts.
func attributeMap(list []api.AttributeType) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, a := range list {
		if _, twice := out[a.Name]; twice {
			return nil, refuse("InvalidParameterException", "An attribute is named twice.", nil)
		}
		out[a.Name] = a.Value
	}
	return out, nil
}

// attributeRefused gives the refusals of attributes the names of the model.
func attributeRefused(err error) error {
	switch {
	case errors.Is(err, pool.ErrAliasExists):
		return refuse("AliasExistsException", fault.PublicOf(err), err)
	case errors.Is(err, pool.ErrNotWritable):
		return refuse("NotAuthorizedException", fault.PublicOf(err), err)
	case errors.Is(err, pool.ErrUnverified):
		return refuse("CodeDeliveryFailureException", fault.PublicOf(err), err)
	}
	return err
}

func (s *Service) adminUpdateUserAttributes(
	ctx context.Context, by Caller, in *api.AdminUpdateUserAttributesRequest,
) (*api.AdminUpdateUserAttributesResponse, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	set, err := attributeMap(in.UserAttributes)
	if err != nil {
		return nil, err
	}
	_, err = s.Directory.UpdateAttributes(ctx, u.PoolID, u.Sub, set)
	return &api.AdminUpdateUserAttributesResponse{}, attributeRefused(err)
}

func (s *Service) adminDeleteUserAttributes(
	ctx context.Context, by Caller, in *api.AdminDeleteUserAttributesRequest,
) (*api.AdminDeleteUserAttributesResponse, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	_, err = s.Directory.DeleteAttributes(ctx, u.PoolID, u.Sub, in.UserAttributeNames)
	return &api.AdminDeleteUserAttributesResponse{}, attributeRefused(err)
}

// updateUserAttributes sends no code to a new address yet: it counts as not verified until an administrator or a provider vouches for it.
func (s *Service) updateUserAttributes(ctx context.Context, by Caller, in *api.UpdateUserAttributesRequest) (*api.UpdateUserAttributesResponse, error) {
	set, err := attributeMap(in.UserAttributes)
	if err != nil {
		return nil, err
	}
	_, err = s.Directory.UpdateOwnAttributes(ctx, by.Client, by.User.Sub, set)
	return &api.UpdateUserAttributesResponse{CodeDeliveryDetailsList: []api.CodeDeliveryDetailsType{}}, attributeRefused(err)
}

func (s *Service) deleteUserAttributes(ctx context.Context, by Caller, in *api.DeleteUserAttributesRequest) (*api.DeleteUserAttributesResponse, error) {
	_, err := s.Directory.DeleteOwnAttributes(ctx, by.Client, by.User.Sub, in.UserAttributeNames)
	return &api.DeleteUserAttributesResponse{}, attributeRefused(err)
}
