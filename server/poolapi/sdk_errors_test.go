package poolapi_test

import (
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
		"a provider that is there": {is[*types.DuplicateProviderException], func() error {
			_, err := c.CreateIdentityProvider(ctx, &cognito.CreateIdentityProviderInput{UserPoolId: pool, ProviderName: aws.String("Corp"),
				ProviderType: types.IdentityProviderTypeTypeGoogle, ProviderDetails: map[string]string{"client_id": "weir", "client_secret": "a secret of weir"}})
			return err
		}},
		"a domain that is there": {is[*types.InvalidParameterException], func() error {
			_, err := c.CreateUserPoolDomain(ctx, &cognito.CreateUserPoolDomainInput{UserPoolId: pool, Domain: aws.String("acme")})
			return err
		}},
		"a scope of no resource server's": {is[*types.ScopeDoesNotExistException], func() error {
			_, err := c.CreateUserPoolClient(ctx, &cognito.CreateUserPoolClientInput{UserPoolId: pool, ClientName: aws.String("app"),
				AllowedOAuthFlowsUserPoolClient: true, AllowedOAuthFlows: []types.OAuthFlowType{"code"}, AllowedOAuthScopes: []string{"https://nowhere.example/read"},
				CallbackURLs: []string{servertest.SPAURI}, SupportedIdentityProviders: []string{"Corp"}})
			return err
		}},
		"a flow that is not OAuth's for a client": {is[*types.InvalidOAuthFlowException], func() error {
			_, err := c.CreateUserPoolClient(ctx, &cognito.CreateUserPoolClientInput{UserPoolId: pool, ClientName: aws.String("app"),
				AllowedOAuthFlowsUserPoolClient: true, AllowedOAuthFlows: []types.OAuthFlowType{"client_credentials", "code"}, AllowedOAuthScopes: []string{"openid"},
				CallbackURLs: []string{servertest.SPAURI}, SupportedIdentityProviders: []string{"Corp"}})
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
