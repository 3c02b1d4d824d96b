package poolapi_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/weir-id/weir/server/servertest"
)

// The calls that Terraform's AWS provider makes for its resources of user pools, in its order, with what it needs of the answers (source:
// github.com/hashicorp/terraform-provider-aws, internal/service/cognitoidp). Terraform compares what it reads with the configuration:
// a member that comes back otherwise, or that is there though nobody gave it and that the provider does not declare as computed, is
// a change in every plan from then on. Members that it follows without looking have to be there.

// wantGiven wants every member of what was sent in what was read, by its name or by the one in names.
func wantGiven(t *testing.T, sent, read any, names map[string]string) {
	t.Helper()
	for _, difference := range differences("", reflect.ValueOf(sent), reflect.ValueOf(read), names) {
		t.Error(difference)
	}
}

func differences(path string, sent, read reflect.Value, names map[string]string) []string {
	differs := func() []string {
		return []string{fmt.Sprintf("%s: sent %+v, read %+v", path, value(sent), value(read))}
	}
	switch {
	case sent.Kind() == reflect.Pointer && sent.Type().Elem().Kind() == reflect.Struct:
		if read.IsNil() {
			return differs()
		}
		return differences(path, sent.Elem(), read.Elem(), names)
	case sent.Kind() == reflect.Struct:
		var all []string
		for i := range sent.NumField() {
			f := sent.Type().Field(i)
			if !f.IsExported() || sent.Field(i).IsZero() {
				continue
			}
			name := f.Name
			if other, ok := names[name]; ok {
				name = other
			}
			if name != "" {
				all = append(all, differences(path+"."+f.Name, sent.Field(i), read.FieldByName(name), names)...)
			}
		}
		return all
	case sent.Kind() == reflect.Slice && sent.Type().Elem().Kind() == reflect.Struct:
		if sent.Len() != read.Len() {
			return differs()
		}
		var all []string
		for i := range sent.Len() {
			all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), sent.Index(i), read.Index(i), names)...)
		}
		return all
	case !reflect.DeepEqual(value(sent), value(read)):
		return differs()
	}
	return nil
}

func value(v reflect.Value) any {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.Interface()
}

// wantUnset wants members to be empty that nobody gave and that Terraform would otherwise take away again.
func wantUnset(t *testing.T, read any, members ...string) {
	t.Helper()
	v := reflect.ValueOf(read).Elem()
	for _, name := range members {
		if !empty(v.FieldByName(name)) {
			t.Errorf("%s is %+v without having been given", name, value(v.FieldByName(name)))
		}
	}
}

// empty reports whether the provider reads nothing out of a value: parts without a member count as none.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil() || v.Elem().Kind() == reflect.Struct && v.Elem().IsZero()
	}
	return v.IsZero()
}

// resend is an input of the members of what was read, as the provider sends all of a resource in an update.
func resend[T any](read any) *T {
	in := new(T)
	to, from := reflect.ValueOf(in).Elem(), reflect.ValueOf(read).Elem()
	for i := range to.NumField() {
		f := to.Type().Field(i)
		if v := from.FieldByName(f.Name); f.IsExported() && v.IsValid() && v.Type() == f.Type {
			to.Field(i).Set(v)
		}
	}
	return in
}

func TestTerraformsWayWithAClient(t *testing.T) {
	_, c := newSDKRig(t)
	pool := aws.String(servertest.PoolID)
	read := func(id *string) *types.UserPoolClientType {
		t.Helper()
		out, err := c.DescribeUserPoolClient(t.Context(), &cognito.DescribeUserPoolClientInput{UserPoolId: pool, ClientId: id})
		if err != nil {
			t.Fatal(err)
		}
		return out.UserPoolClient
	}
	least, err := c.CreateUserPoolClient(t.Context(), &cognito.CreateUserPoolClientInput{UserPoolId: pool, ClientName: aws.String("least")})
	if err != nil {
		t.Fatal(err)
	}
	// Blocks and what is not computed.
	wantUnset(t, least.UserPoolClient, "TokenValidityUnits", "AnalyticsConfiguration", "RefreshTokenRotation", "ClientSecret")
	if again := read(least.UserPoolClient.ClientId); !reflect.DeepEqual(again, least.UserPoolClient) {
		t.Errorf("created %+v, read %+v", least.UserPoolClient, again)
	}

	sent := &cognito.CreateUserPoolClientInput{
		UserPoolId: pool, ClientName: aws.String("whole"), GenerateSecret: true,
		AllowedOAuthFlows: []types.OAuthFlowType{types.OAuthFlowTypeCode}, AllowedOAuthFlowsUserPoolClient: true, AllowedOAuthScopes: []string{"email", "openid"},
		CallbackURLs: []string{"https://app.example.com/callback", "https://app.example.com/other"}, DefaultRedirectURI: aws.String("https://app.example.com/callback"),
		LogoutURLs: []string{"https://app.example.com/bye"}, SupportedIdentityProviders: []string{"Corp"},
		AccessTokenValidity: aws.Int32(30), IdTokenValidity: aws.Int32(1), RefreshTokenValidity: 7,
		TokenValidityUnits: &types.TokenValidityUnitsType{
			AccessToken: types.TimeUnitsTypeMinutes, IdToken: types.TimeUnitsTypeHours, RefreshToken: types.TimeUnitsTypeDays},
		EnableTokenRevocation: aws.Bool(true), PreventUserExistenceErrors: types.PreventUserExistenceErrorTypesEnabled, AuthSessionValidity: aws.Int32(5),
		ExplicitAuthFlows: []types.ExplicitAuthFlowsType{types.ExplicitAuthFlowsTypeAllowRefreshTokenAuth}, ReadAttributes: []string{"email", "name"}, WriteAttributes: []string{"name"},
		RefreshTokenRotation: &types.RefreshTokenRotationType{Feature: types.FeatureTypeDisabled},
	}
	made, err := c.CreateUserPoolClient(t.Context(), sent)
	if err != nil {
		t.Fatal(err)
	}
	id := made.UserPoolClient.ClientId
	wantGiven(t, sent, made.UserPoolClient, map[string]string{"GenerateSecret": ""})
	if again := read(id); !reflect.DeepEqual(again, made.UserPoolClient) || len(aws.ToString(again.ClientSecret)) < 40 {
		t.Errorf("created %+v, read %+v", made.UserPoolClient, again)
	}

	update := resend[cognito.UpdateUserPoolClientInput](made.UserPoolClient)
	update.CallbackURLs, update.TokenValidityUnits = sent.CallbackURLs[:1], &types.TokenValidityUnitsType{
		AccessToken: types.TimeUnitsTypeMinutes, IdToken: types.TimeUnitsTypeHours, RefreshToken: types.TimeUnitsTypeHours}
	changed, err := c.UpdateUserPoolClient(t.Context(), update)
	if err != nil {
		t.Fatal(err)
	}
	wantGiven(t, update, changed.UserPoolClient, nil)
	if again := read(id); !reflect.DeepEqual(again, changed.UserPoolClient) || !reflect.DeepEqual(again.ClientSecret, made.UserPoolClient.ClientSecret) {
		t.Errorf("updated %+v, read %+v", changed.UserPoolClient, again)
	}
	// What is read of the least client can be sent back as it is.
	update = resend[cognito.UpdateUserPoolClientInput](least.UserPoolClient)
	if _, err := c.UpdateUserPoolClient(t.Context(), update); err != nil {
		t.Errorf("send back what was read: %v", err)
	}
	if _, err := c.DeleteUserPoolClient(t.Context(), &cognito.DeleteUserPoolClientInput{UserPoolId: pool, ClientId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeUserPoolClient(t.Context(), &cognito.DescribeUserPoolClientInput{UserPoolId: pool, ClientId: id})
	_, again := c.DeleteUserPoolClient(t.Context(), &cognito.DeleteUserPoolClientInput{UserPoolId: pool, ClientId: id})
	if !is[*types.ResourceNotFoundException](err) || !is[*types.ResourceNotFoundException](again) {
		t.Errorf("what is gone: %v, %v", err, again)
	}
}

func TestTerraformsWayWithAGroup(t *testing.T) {
	_, c := newSDKRig(t)
	pool, name := aws.String(servertest.PoolID), aws.String("staff")
	read := func() *types.GroupType {
		t.Helper()
		out, err := c.GetGroup(t.Context(), &cognito.GetGroupInput{UserPoolId: pool, GroupName: name})
		if err != nil {
			t.Fatal(err)
		}
		return out.Group
	}
	sent := &cognito.CreateGroupInput{UserPoolId: pool, GroupName: name}
	if _, err := c.CreateGroup(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	wantGiven(t, sent, read(), nil)
	wantUnset(t, read(), "Description", "Precedence", "RoleArn")
	for _, update := range []*cognito.UpdateGroupInput{
		{Description: aws.String("All of us"), Precedence: aws.Int32(3), RoleArn: aws.String("arn:aws:iam::000000000000:role/staff")},
		{Precedence: aws.Int32(0)}, // taken out of the configuration
		{Description: aws.String("")},
	} {
		update.UserPoolId, update.GroupName = pool, name
		if _, err := c.UpdateGroup(t.Context(), update); err != nil {
			t.Fatal(err)
		}
		if g := read(); update.Precedence != nil && !reflect.DeepEqual(g.Precedence, update.Precedence) ||
			update.Description != nil && aws.ToString(g.Description) != *update.Description {
			t.Errorf("sent %+v, read %+v", update, g)
		}
	}
	gone := &cognito.DeleteGroupInput{UserPoolId: pool, GroupName: name}
	if _, err := c.DeleteGroup(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	_, err := c.GetGroup(t.Context(), &cognito.GetGroupInput{UserPoolId: pool, GroupName: name})
	_, again := c.DeleteGroup(t.Context(), gone)
	if !is[*types.ResourceNotFoundException](err) || !is[*types.ResourceNotFoundException](again) {
		t.Errorf("what is gone: %v, %v", err, again)
	}
}
