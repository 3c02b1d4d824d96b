package poolapi

import (
	"cmp"
	"context"
	"errors"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func groupOperations() []operation {
	return []operation{
		op("CreateGroup", admin, (*Service).createGroup),
		op("GetGroup", admin, (*Service).getGroup),
		op("UpdateGroup", admin, (*Service).updateGroup),
		op("DeleteGroup", admin, (*Service).deleteGroup),
		op("ListGroups", admin, (*Service).listGroups),
		op("AdminAddUserToGroup", admin, (*Service).addUserToGroup),
		op("AdminRemoveUserFromGroup", admin, (*Service).removeUserFromGroup),
		op("AdminListGroupsForUser", admin, (*Service).listGroupsForUser),
		op("ListUsersInGroup", admin, (*Service).listUsersInGroup),
	}
}

// pageSize is what the lists of the API return where the caller does not say how many, and the most there is (QueryLimitType).
const pageSize = 60

// limitOf is a page size of an input, which the model has bounded; 0 is as good as none.
func limitOf(n *int) int {
	return cmp.Or(number(n), pageSize)
}

func groupType(g pool.Group) *api.GroupType {
	return &api.GroupType{
		GroupName: g.Name, UserPoolID: g.PoolID, Description: g.Description, RoleArn: g.RoleArn, Precedence: g.Precedence,
		CreationDate: api.TimeOf(g.Created), LastModifiedDate: api.TimeOf(g.Modified),
	}
}

// limited gives a limit that was reached its own name.
func limited(err error) error {
	if errors.Is(err, pool.ErrLimit) {
		return refuse("LimitExceededException", fault.PublicOf(err), err)
	}
	return err
}

func (s *Service) createGroup(ctx context.Context, _ Caller, in *api.CreateGroupRequest) (*api.CreateGroupResponse, error) {
	g, err := s.Directory.CreateGroup(ctx, pool.Group{
		PoolID: in.UserPoolID, Name: in.GroupName, Description: in.Description, RoleArn: in.RoleArn, Precedence: in.Precedence,
	})
	if errors.Is(err, pool.ErrGroupExists) {
		return nil, refuse("GroupExistsException", "A group with the name already exists.", err)
	}
	if err != nil {
		return nil, limited(err)
	}
	return &api.CreateGroupResponse{Group: groupType(g)}, nil
}

func (s *Service) getGroup(ctx context.Context, _ Caller, in *api.GetGroupRequest) (*api.GetGroupResponse, error) {
	g, err := s.Directory.Group(ctx, in.UserPoolID, in.GroupName)
	if err != nil {
		return nil, err
	}
	return &api.GetGroupResponse{Group: groupType(g)}, nil
}

func (s *Service) updateGroup(ctx context.Context, _ Caller, in *api.UpdateGroupRequest) (*api.UpdateGroupResponse, error) {
	g, err := s.Directory.UpdateGroup(ctx, in.UserPoolID, in.GroupName,
		pool.GroupChange{Description: in.Description, RoleArn: in.RoleArn, Precedence: in.Precedence})
	if err != nil {
		return nil, err
	}
	return &api.UpdateGroupResponse{Group: groupType(g)}, nil
}

func (s *Service) deleteGroup(ctx context.Context, _ Caller, in *api.DeleteGroupRequest) (*none, error) {
	return &none{}, s.Directory.DeleteGroup(ctx, in.UserPoolID, in.GroupName)
}

func (s *Service) listGroups(ctx context.Context, _ Caller, in *api.ListGroupsRequest) (*api.ListGroupsResponse, error) {
	page, next, err := s.Directory.Groups(ctx, in.UserPoolID, in.NextToken, limitOf(in.Limit))
	if err != nil {
		return nil, err
	}
	return &api.ListGroupsResponse{Groups: groupTypes(page), NextToken: next}, nil
}

func groupTypes(page []pool.Group) []api.GroupType {
	out := make([]api.GroupType, len(page))
	for i, g := range page {
		out[i] = *groupType(g)
	}
	return out
}

func (s *Service) addUserToGroup(ctx context.Context, by Caller, in *api.AdminAddUserToGroupRequest) (*none, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	return &none{}, limited(s.Directory.AddToGroup(ctx, u.PoolID, u.Sub, in.GroupName))
}

func (s *Service) removeUserFromGroup(ctx context.Context, by Caller, in *api.AdminRemoveUserFromGroupRequest) (*none, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	return &none{}, s.Directory.RemoveFromGroup(ctx, u.PoolID, u.Sub, in.GroupName)
}

func (s *Service) listGroupsForUser(ctx context.Context, by Caller, in *api.AdminListGroupsForUserRequest) (*api.AdminListGroupsForUserResponse, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	page, next, err := s.Directory.UserGroups(ctx, u, in.NextToken, limitOf(in.Limit))
	if err != nil {
		return nil, err
	}
	return &api.AdminListGroupsForUserResponse{Groups: groupTypes(page), NextToken: next}, nil
}

func (s *Service) listUsersInGroup(ctx context.Context, _ Caller, in *api.ListUsersInGroupRequest) (*api.ListUsersInGroupResponse, error) {
	page, next, err := s.Directory.UsersInGroup(ctx, in.UserPoolID, in.GroupName, in.NextToken, limitOf(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &api.ListUsersInGroupResponse{Users: make([]api.UserType, len(page)), NextToken: next}
	for i, u := range page {
		out.Users[i] = userType(u, nil)
	}
	return out, nil
}
