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

// Applications ask for errors by the SDK's types.
func TestSDKHasATypeForEachError(t *testing.T) {
	r, c := newSDKRig(t)
	ctx, pool, nowhere := t.Context(), aws.String(servertest.PoolID), aws.String("local_Nowhere01")
	r.signIn("ada")
	group := &cognito.CreateGroupInput{UserPoolId: pool, GroupName: aws.String("staff")}
	person := &cognito.AdminCreateUserInput{UserPoolId: pool, Username: aws.String("lin"), MessageAction: types.MessageActionTypeSuppress}
	if _, err := c.CreateGroup(ctx, group); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AdminCreateUser(ctx, person); err != nil {
		t.Fatal(err)
	}
	for why, f := range map[string]struct {
		is   func(error) bool
		call func() error
	}{
		"no such pool": {is[*types.ResourceNotFoundException], func() error {
			_, err := c.ListUsers(ctx, &cognito.ListUsersInput{UserPoolId: nowhere})
			return err
		}},
		"no such group": {is[*types.ResourceNotFoundException], func() error {
			_, err := c.GetGroup(ctx, &cognito.GetGroupInput{UserPoolId: pool, GroupName: aws.String("nobody")})
			return err
		}},
		"no such user": {is[*types.UserNotFoundException], func() error {
			_, err := c.AdminGetUser(ctx, &cognito.AdminGetUserInput{UserPoolId: pool, Username: aws.String("nobody")})
			return err
		}},
		"no such user for a group": {is[*types.UserNotFoundException], func() error {
			_, err := c.AdminAddUserToGroup(ctx, &cognito.AdminAddUserToGroupInput{UserPoolId: pool, Username: aws.String("nobody"), GroupName: group.GroupName})
			return err
		}},
		"a group that is there": {is[*types.GroupExistsException], func() error {
			_, err := c.CreateGroup(ctx, group)
			return err
		}},
		"a user who is there": {is[*types.UsernameExistsException], func() error {
			_, err := c.AdminCreateUser(ctx, person)
			return err
		}},
		"an attribute that is not in the schema": {is[*types.InvalidParameterException], func() error {
			_, err := c.AdminUpdateUserAttributes(ctx, &cognito.AdminUpdateUserAttributesInput{UserPoolId: pool, Username: person.Username,
				UserAttributes: []types.AttributeType{{Name: aws.String("custom:shoe"), Value: aws.String("44")}}})
			return err
		}},
		"not a filter": {is[*types.InvalidParameterException], func() error {
			_, err := c.ListUsers(ctx, &cognito.ListUsersInput{UserPoolId: pool, Filter: aws.String("email like ada")})
			return err
		}},
		"a token that is none": {is[*types.NotAuthorizedException], func() error {
			_, err := c.GetUser(ctx, &cognito.GetUserInput{AccessToken: aws.String("x")})
			return err
		}},
	} {
		if err := f.call(); !f.is(err) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

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
	for i := range users {
		_, err := c.AdminCreateUser(ctx, &cognito.AdminCreateUserInput{UserPoolId: pool, Username: &users[i], MessageAction: types.MessageActionTypeSuppress})
		must(err)
		_, err = c.CreateGroup(ctx, &cognito.CreateGroupInput{UserPoolId: pool, GroupName: &groups[i]})
		must(err)
		_, err = c.CreateUserPoolClient(ctx, &cognito.CreateUserPoolClientInput{UserPoolId: pool, ClientName: &clients[i]})
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
	for what, got := range map[string][2][]string{
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
