package poolapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/weir-id/weir/server/servertest"
)

// walk collects the names of all pages of a list, which have at most size of them each.
func walk[P any](t *testing.T, size int, more func() bool, next func() (P, error), names func(P) []string) []string {
	t.Helper()
	var all []string
	for more() {
		page, err := next()
		if err != nil {
			t.Fatal(err)
		}
		got := names(page)
		if len(got) > size {
			t.Fatalf("%d on a page of %d", len(got), size)
		}
		all = append(all, got...)
	}
	slices.Sort(all)
	return all
}

func namesOf[T any](list []T, name func(T) *string) []string {
	var out []string
	for _, v := range list {
		out = append(out, aws.ToString(name(v)))
	}
	return out
}

func numbered(what string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s-%d", what, i))
	}
	return out
}

// The SDK's paginators follow the tokens of our lists to their ends: all of it, and nothing twice.
func TestSDKsPaginators(t *testing.T) {
	_, c := newSDKRig(t)
	ctx, pool := t.Context(), aws.String(servertest.PoolID)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	users, groups, clients := numbered("user", 7), numbered("group", 7), numbered("client", 7)
	pools, providers, servers := numbered("pool", 7), numbered("provider", 7), numbered("server", 7)
	for i := range users {
		_, err := c.AdminCreateUser(ctx, &cognito.AdminCreateUserInput{UserPoolId: pool, Username: &users[i], MessageAction: types.MessageActionTypeSuppress})
		must(err)
		_, err = c.CreateGroup(ctx, &cognito.CreateGroupInput{UserPoolId: pool, GroupName: &groups[i]})
		must(err)
		_, err = c.CreateUserPoolClient(ctx, &cognito.CreateUserPoolClientInput{UserPoolId: pool, ClientName: &clients[i]})
		must(err)
		_, err = c.CreateUserPool(ctx, &cognito.CreateUserPoolInput{PoolName: &pools[i]})
		must(err)
		_, err = c.CreateIdentityProvider(ctx, &cognito.CreateIdentityProviderInput{UserPoolId: pool, ProviderName: &providers[i],
			ProviderType: types.IdentityProviderTypeTypeGoogle, ProviderDetails: map[string]string{"client_id": "weir", "client_secret": "a secret of weir"}})
		must(err)
		_, err = c.CreateResourceServer(ctx, &cognito.CreateResourceServerInput{UserPoolId: pool, Identifier: &servers[i], Name: &servers[i]})
		must(err)
		_, err = c.AdminAddUserToGroup(ctx, &cognito.AdminAddUserToGroupInput{UserPoolId: pool, Username: &users[0], GroupName: &groups[i]})
		must(err)
		_, err = c.AdminAddUserToGroup(ctx, &cognito.AdminAddUserToGroupInput{UserPoolId: pool, Username: &users[i], GroupName: &groups[0]})
		must(err)
	}
	const size = 3
	limit := aws.Int32(size)
	list := cognito.NewListUsersPaginator(c, &cognito.ListUsersInput{UserPoolId: pool, Limit: limit})
	user := func(u types.UserType) *string { return u.Username }
	group := func(g types.GroupType) *string { return g.GroupName }
	inGroup := cognito.NewListUsersInGroupPaginator(c, &cognito.ListUsersInGroupInput{UserPoolId: pool, GroupName: &groups[0], Limit: limit})
	all := cognito.NewListGroupsPaginator(c, &cognito.ListGroupsInput{UserPoolId: pool, Limit: limit})
	ofUser := cognito.NewAdminListGroupsForUserPaginator(c, &cognito.AdminListGroupsForUserInput{UserPoolId: pool, Username: &users[0], Limit: limit})
	apps := cognito.NewListUserPoolClientsPaginator(c, &cognito.ListUserPoolClientsInput{UserPoolId: pool, MaxResults: limit})
	every := cognito.NewListUserPoolsPaginator(c, &cognito.ListUserPoolsInput{MaxResults: limit})
	idps := cognito.NewListIdentityProvidersPaginator(c, &cognito.ListIdentityProvidersInput{UserPoolId: pool, MaxResults: limit})
	apis := cognito.NewListResourceServersPaginator(c, &cognito.ListResourceServersInput{UserPoolId: pool, MaxResults: limit})
	for what, got := range map[string][2][]string{
		"pools": {append([]string{"example"}, pools...), walk(t, size, every.HasMorePages, func() (*cognito.ListUserPoolsOutput, error) { return every.NextPage(ctx) },
			func(p *cognito.ListUserPoolsOutput) []string {
				return namesOf(p.UserPools, func(u types.UserPoolDescriptionType) *string { return u.Name })
			})},
		"providers": {append([]string{"Corp"}, providers...), walk(t, size, idps.HasMorePages, func() (*cognito.ListIdentityProvidersOutput, error) { return idps.NextPage(ctx) },
			func(p *cognito.ListIdentityProvidersOutput) []string {
				return namesOf(p.Providers, func(d types.ProviderDescription) *string { return d.ProviderName })
			})},
		"resource servers": {servers, walk(t, size, apis.HasMorePages, func() (*cognito.ListResourceServersOutput, error) { return apis.NextPage(ctx) },
			func(p *cognito.ListResourceServersOutput) []string {
				return namesOf(p.ResourceServers, func(s types.ResourceServerType) *string { return s.Identifier })
			})},
		"users": {users, walk(t, size, list.HasMorePages, func() (*cognito.ListUsersOutput, error) { return list.NextPage(ctx) },
			func(p *cognito.ListUsersOutput) []string { return namesOf(p.Users, user) })},
		"users in a group": {users, walk(t, size, inGroup.HasMorePages, func() (*cognito.ListUsersInGroupOutput, error) { return inGroup.NextPage(ctx) },
			func(p *cognito.ListUsersInGroupOutput) []string { return namesOf(p.Users, user) })},
		"groups": {groups, walk(t, size, all.HasMorePages, func() (*cognito.ListGroupsOutput, error) { return all.NextPage(ctx) },
			func(p *cognito.ListGroupsOutput) []string { return namesOf(p.Groups, group) })},
		"groups of a user": {groups, walk(t, size, ofUser.HasMorePages, func() (*cognito.AdminListGroupsForUserOutput, error) { return ofUser.NextPage(ctx) },
			func(p *cognito.AdminListGroupsForUserOutput) []string { return namesOf(p.Groups, group) })},
		"clients": {append(clients, "spa", "web"), walk(t, size, apps.HasMorePages, func() (*cognito.ListUserPoolClientsOutput, error) { return apps.NextPage(ctx) },
			func(p *cognito.ListUserPoolClientsOutput) []string {
				return namesOf(p.UserPoolClients, func(u types.UserPoolClientDescription) *string { return u.ClientName })
			})},
	} {
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("%s: %s, want %s", what, strings.Join(got[1], " "), strings.Join(got[0], " "))
		}
	}
}
