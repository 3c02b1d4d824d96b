package poolapi

import (
	"context"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func mergeOperations() []operation {
	return []operation{
		op("AdminMergeUsers", admin, (*Service).adminMergeUsers),
		op("AdminUnmergeUser", admin, (*Service).adminUnmergeUser),
	}
}

// adminMergeUsers merges the user SourceUsername into the user Username. AdminLinkProviderForUser stays as it is and refuses an identity that has signed in: whoever calls
// it does not ask for a merge.
func (s *Service) adminMergeUsers(ctx context.Context, by Caller, in *api.AdminMergeUsersRequest) (*api.AdminMergeUsersResponse, error) {
	m, err := s.Broker.MergeUsers(ctx, in.UserPoolID, in.Username, in.SourceUsername, by.By(), said(in.DryRun))
	noteMerge(by, m)
	if err != nil {
		return nil, linkRefused(err)
	}
	changes, err := s.mergeChanges(ctx, m)
	return &api.AdminMergeUsersResponse{Changes: changes, AlreadyMerged: new(m.Already)}, err
}

func (s *Service) adminUnmergeUser(ctx context.Context, by Caller, in *api.AdminUnmergeUserRequest) (*api.AdminUnmergeUserResponse, error) {
	m, err := s.Broker.UnmergeUser(ctx, in.UserPoolID, in.SourceUsername, by.By(), said(in.DryRun))
	noteMerge(by, m)
	if err != nil {
		return nil, linkRefused(err)
	}
	changes, err := s.mergeChanges(ctx, m)
	return &api.AdminUnmergeUserResponse{Changes: changes, SourceEnabled: new(m.OtherAfter.Enabled)}, err
}

func said(flag *bool) bool { return flag != nil && *flag }

func noteMerge(by Caller, m federation.UserMerge) {
	for name, sub := range map[string]string{"sub": m.Into.Sub, "source": m.Other.Sub} {
		if sub != "" {
			by.Note(name, sub)
		}
	}
}

// mergeChanges shows what changed, or would.
func (s *Service) mergeChanges(ctx context.Context, m federation.UserMerge) (*api.MergeChangesType, error) {
	out := &api.MergeChangesType{
		UserSub: m.Into.Sub, Username: m.Into.Username, SourceSub: m.Other.Sub, SourceUsername: m.Other.Username, EndedGrants: new(m.Grants),
	}
	for _, c := range m.Changes() {
		out.Attributes = append(out.Attributes, api.MergeAttributeType{Name: c.Name, Before: c.Before, After: c.After})
	}
	for _, id := range m.Identities() {
		out.Identities = append(out.Identities, api.MergeIdentityType{ProviderName: id.Provider, ProviderType: id.ProviderType, UserID: id.Subject})
	}
	groups, err := s.Directory.GroupsOf(ctx, pool.User{PoolID: m.Other.PoolID, Groups: m.GroupIDs()})
	for _, g := range groups {
		out.Groups = append(out.Groups, g.Name)
	}
	return out, err
}
