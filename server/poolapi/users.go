package poolapi

import (
	"context"
	"slices"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func userOperations() []operation {
	return []operation{
		op("AdminCreateUser", admin, (*Service).adminCreateUser),
		op("AdminGetUser", admin, (*Service).adminGetUser),
		op("AdminDeleteUser", admin, (*Service).adminDeleteUser),
		op("AdminEnableUser", admin, (*Service).adminEnableUser),
		op("AdminDisableUser", admin, (*Service).adminDisableUser),
		op("AdminUserGlobalSignOut", admin, (*Service).adminUserGlobalSignOut),
		op("ListUsers", admin, (*Service).listUsers),
	}
}

func (s *Service) adminGetUser(ctx context.Context, by Caller, in *api.AdminGetUserRequest) (*api.AdminGetUserResponse, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	return &api.AdminGetUserResponse{
		Username: u.Username, UserAttributes: attributes(u, nil), Enabled: new(u.Enabled), UserStatus: string(u.Status),
		UserCreateDate: api.TimeOf(u.Created), UserLastModifiedDate: api.TimeOf(u.Modified),
	}, nil
}

func (s *Service) adminDeleteUser(ctx context.Context, by Caller, in *api.AdminDeleteUserRequest) (*none, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	_, err = s.Broker.DeleteUser(ctx, u.PoolID, u.Sub, by.By())
	return &none{}, err
}

func (s *Service) adminEnableUser(ctx context.Context, by Caller, in *api.AdminEnableUserRequest) (*api.AdminEnableUserResponse, error) {
	return &api.AdminEnableUserResponse{}, s.setEnabled(ctx, by, in.UserPoolID, in.Username, true)
}

func (s *Service) adminDisableUser(ctx context.Context, by Caller, in *api.AdminDisableUserRequest) (*api.AdminDisableUserResponse, error) {
	return &api.AdminDisableUserResponse{}, s.setEnabled(ctx, by, in.UserPoolID, in.Username, false)
}

func (s *Service) setEnabled(ctx context.Context, by Caller, poolID, name string, enabled bool) error {
	u, err := s.user(ctx, by, poolID, name)
	if err != nil {
		return err
	}
	_, err = s.Broker.SetEnabled(ctx, u.PoolID, u.Sub, enabled, by.By())
	return err
}

func (s *Service) adminUserGlobalSignOut(
	ctx context.Context, by Caller, in *api.AdminUserGlobalSignOutRequest,
) (*api.AdminUserGlobalSignOutResponse, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	_, err = s.Broker.SignOutEverywhere(ctx, u.PoolID, u.Sub, by.By())
	return &api.AdminUserGlobalSignOutResponse{}, err
}

func (s *Service) listUsers(ctx context.Context, by Caller, in *api.ListUsersRequest) (*api.ListUsersResponse, error) {
	for _, name := range in.AttributesToGet {
		if _, known := by.Pool.Attribute(name); !known {
			return nil, refuse("InvalidParameterException", "One or more requested attributes do not exist.", nil)
		}
	}
	f, err := by.Pool.ParseFilter(in.Filter)
	if err != nil {
		return nil, err
	}
	page, next, err := s.Directory.SearchUsers(ctx, in.UserPoolID, f, in.PaginationToken, limitOf(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &api.ListUsersResponse{Users: make([]api.UserType, len(page)), PaginationToken: next}
	for i, u := range page {
		out.Users[i] = userType(u, in.AttributesToGet)
	}
	return out, nil
}

// getUser shows people what their client may read of them.
func (s *Service) getUser(_ context.Context, by Caller, _ *api.GetUserRequest) (*api.GetUserResponse, error) {
	shown := slices.DeleteFunc(attributes(by.User, nil), func(a api.AttributeType) bool { return !mayRead(by.Pool, by.Client, a.Name) })
	return &api.GetUserResponse{Username: by.User.Username, UserAttributes: shown}, nil
}

// mayRead reports whether a client may see an attribute: sub always, those for the administrator's eyes alone never, nor one that the schema does not
// have: the pool is as the cache has it, which may be older than the attribute.
func mayRead(p pool.Pool, c pool.Client, name string) bool {
	if name == "sub" {
		return true
	}
	a, known := p.Attribute(name)
	return known && !a.DeveloperOnly && (c.ReadAttributes == nil || slices.Contains(c.ReadAttributes, name))
}
