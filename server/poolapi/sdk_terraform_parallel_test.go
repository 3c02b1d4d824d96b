package poolapi_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
)

// atOnce does all of it at the same time and wants none to fail.
func atOnce(t *testing.T, what string, all []func() error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, f := range all {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Terraform makes, changes and deletes what does not depend on each other ten at a time, and takes a conflict for a failure. Different things
// of one pool must not be in each other's way.
func TestTerraformWorksOnManyThingsAtOnce(t *testing.T) {
	_, c := newSDKRig(t)
	ctx := t.Context()
	made, err := c.CreateUserPool(ctx, &cognito.CreateUserPoolInput{PoolName: aws.String("busy")})
	if err != nil {
		t.Fatal(err)
	}
	pool, arn := made.UserPool.Id, made.UserPool.Arn
	google := map[string]string{"client_id": "weir", "client_secret": "a secret of weir"}
	const each = 5
	var create, change, remove []func() error
	add := func(to *[]func() error, f func() error) { *to = append(*to, f) }
	clients := make([]*string, each)
	for i := range each {
		name := aws.String(fmt.Sprintf("thing-%d", i))
		add(&create, func() error {
			_, err := c.CreateGroup(ctx, &cognito.CreateGroupInput{UserPoolId: pool, GroupName: name})
			return err
		})
		add(&create, func() error {
			out, err := c.CreateUserPoolClient(ctx, &cognito.CreateUserPoolClientInput{UserPoolId: pool, ClientName: name})
			if err == nil {
				clients[i] = out.UserPoolClient.ClientId
			}
			return err
		})
		add(&create, func() error {
			_, err := c.CreateIdentityProvider(ctx, &cognito.CreateIdentityProviderInput{
				UserPoolId: pool, ProviderName: name, ProviderType: types.IdentityProviderTypeTypeGoogle, ProviderDetails: google})
			return err
		})
		add(&create, func() error {
			_, err := c.CreateResourceServer(ctx, &cognito.CreateResourceServerInput{UserPoolId: pool, Identifier: name, Name: name})
			return err
		})
		add(&create, func() error {
			_, err := c.AdminCreateUser(ctx, &cognito.AdminCreateUserInput{UserPoolId: pool, Username: name, MessageAction: types.MessageActionTypeSuppress})
			return err
		})
		add(&change, func() error {
			_, err := c.UpdateUserPoolClient(ctx, &cognito.UpdateUserPoolClientInput{UserPoolId: pool, ClientId: clients[i], ClientName: aws.String("other"),
				SupportedIdentityProviders: []string{*name}})
			return err
		})
		add(&change, func() error {
			_, err := c.UpdateIdentityProvider(ctx, &cognito.UpdateIdentityProviderInput{UserPoolId: pool, ProviderName: name, IdpIdentifiers: []string{*name + ".example"}})
			return err
		})
		add(&change, func() error {
			_, err := c.UpdateGroup(ctx, &cognito.UpdateGroupInput{UserPoolId: pool, GroupName: name, Description: name})
			return err
		})
		add(&change, func() error {
			_, err := c.UpdateResourceServer(ctx, &cognito.UpdateResourceServerInput{UserPoolId: pool, Identifier: name, Name: aws.String("other")})
			return err
		})
		for j := range each { // a user in five groups, a group of five users
			add(&change, func() error {
				_, err := c.AdminAddUserToGroup(ctx, &cognito.AdminAddUserToGroupInput{UserPoolId: pool, Username: name, GroupName: aws.String(fmt.Sprintf("thing-%d", j))})
				return err
			})
			add(&remove, func() error {
				_, err := c.AdminRemoveUserFromGroup(ctx, &cognito.AdminRemoveUserFromGroupInput{UserPoolId: pool, Username: name, GroupName: aws.String(fmt.Sprintf("thing-%d", j))})
				return err
			})
		}
		add(&remove, func() error {
			_, err := c.DeleteResourceServer(ctx, &cognito.DeleteResourceServerInput{UserPoolId: pool, Identifier: name})
			return err
		})
		add(&remove, func() error {
			_, err := c.DeleteUserPoolClient(ctx, &cognito.DeleteUserPoolClientInput{UserPoolId: pool, ClientId: clients[i]})
			return err
		})
	}
	add(&create, func() error {
		_, err := c.CreateUserPoolDomain(ctx, &cognito.CreateUserPoolDomainInput{UserPoolId: pool, Domain: aws.String("busy")})
		return err
	})
	add(&remove, func() error {
		_, err := c.DeleteUserPoolDomain(ctx, &cognito.DeleteUserPoolDomainInput{UserPoolId: pool, Domain: aws.String("busy")})
		return err
	})
	add(&change, func() error {
		_, err := c.UpdateUserPool(ctx, &cognito.UpdateUserPoolInput{UserPoolId: pool, MfaConfiguration: types.UserPoolMfaTypeOff})
		return err
	})
	add(&change, func() error {
		_, err := c.TagResource(ctx, &cognito.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"team": "identity"}})
		return err
	})
	atOnce(t, "create", create)
	atOnce(t, "change", change)
	atOnce(t, "delete", remove)
	if _, err := c.DeleteUserPool(ctx, &cognito.DeleteUserPoolInput{UserPoolId: pool}); err != nil {
		t.Error(err)
	}
}
