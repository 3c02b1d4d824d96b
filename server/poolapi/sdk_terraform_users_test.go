package poolapi_test

import (
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/weir-id/weir/server/servertest"
)

func TestTerraformsWayWithAUserInAGroup(t *testing.T) {
	_, c := newSDKRig(t)
	pool, name, group := aws.String(servertest.PoolID), aws.String("lin"), aws.String("staff")
	if _, err := c.CreateGroup(t.Context(), &cognito.CreateGroupInput{UserPoolId: pool, GroupName: group}); err != nil {
		t.Fatal(err)
	}
	sent := map[string]string{"email": "lin@example.com", "email_verified": "true", "name": "Lin"}
	in := &cognito.AdminCreateUserInput{UserPoolId: pool, Username: name, MessageAction: types.MessageActionTypeSuppress}
	for k, v := range sent {
		in.UserAttributes = append(in.UserAttributes, types.AttributeType{Name: aws.String(k), Value: aws.String(v)})
	}
	if _, err := c.AdminCreateUser(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	read := func() (map[string]string, bool) {
		t.Helper()
		u, err := c.AdminGetUser(t.Context(), &cognito.AdminGetUserInput{UserPoolId: pool, Username: name})
		if err != nil || u.UserCreateDate == nil || u.UserLastModifiedDate == nil {
			t.Fatalf("%+v %v", u, err)
		}
		got := map[string]string{}
		for _, a := range u.UserAttributes {
			got[aws.ToString(a.Name)] = aws.ToString(a.Value)
		}
		if got["sub"] == "" {
			t.Error("no sub")
		}
		delete(got, "sub") // which the provider passes over
		return got, u.Enabled
	}
	if got, enabled := read(); !maps.Equal(got, sent) || !enabled {
		t.Errorf("sent %v, read %v, enabled %v", sent, got, enabled)
	}
	if _, err := c.AdminUpdateUserAttributes(t.Context(), &cognito.AdminUpdateUserAttributesInput{UserPoolId: pool, Username: name,
		UserAttributes: []types.AttributeType{{Name: aws.String("email_verified"), Value: aws.String("false")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AdminDeleteUserAttributes(t.Context(), &cognito.AdminDeleteUserAttributesInput{UserPoolId: pool, Username: name, UserAttributeNames: []string{"name"}}); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(); !maps.Equal(got, map[string]string{"email": "lin@example.com", "email_verified": "false"}) {
		t.Errorf("changed: %v", got)
	}
	// The configuration says no more of the address than what it is.
	if _, err := c.AdminDeleteUserAttributes(t.Context(), &cognito.AdminDeleteUserAttributesInput{UserPoolId: pool, Username: name, UserAttributeNames: []string{"email_verified"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AdminDisableUser(t.Context(), &cognito.AdminDisableUserInput{UserPoolId: pool, Username: name}); err != nil {
		t.Fatal(err)
	}
	if got, enabled := read(); !maps.Equal(got, map[string]string{"email": "lin@example.com"}) || enabled {
		t.Errorf("changed: %v, enabled %v", got, enabled)
	}

	member := &cognito.AdminAddUserToGroupInput{UserPoolId: pool, Username: name, GroupName: group}
	for range 2 { // once more is no error
		if _, err := c.AdminAddUserToGroup(t.Context(), member); err != nil {
			t.Fatal(err)
		}
	}
	groupsOf := &cognito.AdminListGroupsForUserInput{UserPoolId: pool, Username: name}
	if out, err := c.AdminListGroupsForUser(t.Context(), groupsOf); err != nil || len(out.Groups) != 1 || aws.ToString(out.Groups[0].GroupName) != *group {
		t.Errorf("groups: %+v %v", out, err)
	}
	for range 2 {
		if _, err := c.AdminRemoveUserFromGroup(t.Context(), &cognito.AdminRemoveUserFromGroupInput{UserPoolId: pool, Username: name, GroupName: group}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := c.AdminListGroupsForUser(t.Context(), groupsOf); err != nil || len(out.Groups) != 0 {
		t.Errorf("groups: %+v %v", out, err)
	}
	gone := &cognito.AdminDeleteUserInput{UserPoolId: pool, Username: name}
	if _, err := c.AdminDeleteUser(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	_, err := c.AdminGetUser(t.Context(), &cognito.AdminGetUserInput{UserPoolId: pool, Username: name})
	_, again := c.AdminDeleteUser(t.Context(), gone)
	_, groups := c.AdminListGroupsForUser(t.Context(), groupsOf)
	for _, err := range []error{err, again, groups} {
		if !is[*types.UserNotFoundException](err) {
			t.Errorf("who is gone: %v", err)
		}
	}
}
