package poolapi

import (
	"context"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

// ownOperations are Weir's own: for what the published model has no words for. own.json of package api describes them in its form, so that everything else,
// from the constraints on inputs to the policies of keys, is the same. On the wire they have a prefix of their own.
func ownOperations() []operation {
	return []operation{
		op("AdminGetUserSources", admin, (*Service).adminGetUserSources),
		op("ListKeptAssertions", admin, (*Service).listKeptAssertions),
		op("TestAttributeMapping", admin, (*Service).testAttributeMapping),
		op("GetLoginTrace", admin, (*Service).getLoginTrace),
		op("ListLoginTraces", admin, (*Service).listLoginTraces),
	}
}

// sourceKinds are the words of the API for who wrote a value.
var sourceKinds = map[pool.SourceKind]string{
	pool.FromProvider: "PROVIDER", pool.FromNotice: "PROVIDER_NOTICE", pool.FromAdmin: "ADMINISTRATOR", pool.FromPerson: "PERSON",
}

// sourceType is a source as the API says it; one that was not recorded is UNKNOWN.
func sourceType(s pool.ValueSource, known bool) *api.SourceType {
	kind := sourceKinds[s.Kind]
	if !known || kind == "" {
		return &api.SourceType{Kind: "UNKNOWN"}
	}
	out := &api.SourceType{Kind: kind, ProviderName: s.Provider, Rule: s.Rule}
	if !s.At.IsZero() {
		out.Date = api.TimeOf(s.At)
	}
	return out
}

func (s *Service) adminGetUserSources(ctx context.Context, by Caller, in *api.AdminGetUserSourcesRequest) (*api.AdminGetUserSourcesResponse, error) {
	u, err := s.user(ctx, by, in.UserPoolID, in.Username)
	if err != nil {
		return nil, err
	}
	out := &api.AdminGetUserSourcesResponse{UserSub: u.Sub, Username: u.Username}
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		src, known := u.Sources[name]
		out.Attributes = append(out.Attributes, api.SourcedAttributeType{Name: name, Value: u.Attributes[name], Source: sourceType(src, known)})
	}
	out.Groups, err = s.sourcedGroups(ctx, u)
	return out, err
}

// sourcedGroups are the groups of a user in the order of precedence, with who gave each.
func (s *Service) sourcedGroups(ctx context.Context, u pool.User) ([]api.SourcedGroupType, error) {
	groups, err := s.Directory.GroupsOf(ctx, u)
	if err != nil {
		return nil, err
	}
	memberships := map[string]pool.Membership{}
	for _, m := range u.Memberships() {
		memberships[m.GID] = m
	}
	var out []api.SourcedGroupType
	for _, g := range groups {
		t := api.SourcedGroupType{GroupName: g.Name}
		for _, src := range memberships[g.GID].Sources {
			t.Sources = append(t.Sources, *sourceType(src, true))
		}
		out = append(out, t)
	}
	return out, nil
}
