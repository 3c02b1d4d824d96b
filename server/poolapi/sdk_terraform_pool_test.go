package poolapi_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
)

// standard are the attributes that every user pool has and that the provider passes over where they are exactly so.
func standard() map[string]types.SchemaAttributeType {
	all := map[string]types.SchemaAttributeType{}
	attribute := func(name string, kind types.AttributeDataType) types.SchemaAttributeType {
		return types.SchemaAttributeType{
			Name: aws.String(name), AttributeDataType: kind, DeveloperOnlyAttribute: aws.Bool(false), Mutable: aws.Bool(true), Required: aws.Bool(false)}
	}
	for _, name := range []string{"address", "birthdate", "email", "family_name", "gender", "given_name", "locale", "middle_name", "name", "nickname",
		"phone_number", "picture", "preferred_username", "profile", "sub", "website", "zoneinfo"} {
		a := attribute(name, types.AttributeDataTypeString)
		a.StringAttributeConstraints = &types.StringAttributeConstraintsType{MinLength: aws.String("0"), MaxLength: aws.String("2048")}
		switch name {
		case "birthdate":
			a.StringAttributeConstraints = &types.StringAttributeConstraintsType{MinLength: aws.String("10"), MaxLength: aws.String("10")}
		case "sub":
			a.StringAttributeConstraints.MinLength, a.Mutable, a.Required = aws.String("1"), aws.Bool(false), aws.Bool(true)
		}
		all[name] = a
	}
	for _, name := range []string{"email_verified", "phone_number_verified"} {
		all[name] = attribute(name, types.AttributeDataTypeBoolean)
	}
	a := attribute("updated_at", types.AttributeDataTypeNumber)
	a.NumberAttributeConstraints = &types.NumberAttributeConstraintsType{MinValue: aws.String("0")}
	all["updated_at"] = a
	a = attribute("identities", types.AttributeDataTypeString)
	a.StringAttributeConstraints = &types.StringAttributeConstraintsType{}
	all["identities"] = a
	return all
}

// configured are the attributes of a pool that the provider takes for configured ones.
func configured(p *types.UserPoolType) []types.SchemaAttributeType {
	known := standard()
	return slices.DeleteFunc(slices.Clone(p.SchemaAttributes), func(a types.SchemaAttributeType) bool {
		return reflect.DeepEqual(a, known[aws.ToString(a.Name)])
	})
}

// notComputed are the members of a pool that may only be there if they were given. UsernameConfiguration would even make it a new pool.
var notComputed = []string{"AliasAttributes", "AutoVerifiedAttributes", "DeviceConfiguration", "LambdaConfig", "SmsAuthenticationMessage",
	"UserPoolAddOns", "UsernameAttributes", "UsernameConfiguration", "UserPoolTags"}

func TestTerraformsWayWithAPool(t *testing.T) {
	_, c := newSDKRig(t)
	made, err := c.CreateUserPool(t.Context(), &cognito.CreateUserPoolInput{PoolName: aws.String("least")})
	if err != nil {
		t.Fatal(err)
	}
	read := func(id *string) *types.UserPoolType {
		t.Helper()
		out, err := c.DescribeUserPool(t.Context(), &cognito.DescribeUserPoolInput{UserPoolId: id})
		if err != nil {
			t.Fatal(err)
		}
		p := out.UserPool
		if p.CreationDate == nil || p.LastModifiedDate == nil || p.Policies == nil { // followed without a look
			t.Fatalf("read %+v", p)
		}
		return p
	}
	mfa := func(id *string) *cognito.GetUserPoolMfaConfigOutput {
		t.Helper()
		out, err := c.GetUserPoolMfaConfig(t.Context(), &cognito.GetUserPoolMfaConfigInput{UserPoolId: id})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	p := read(made.UserPool.Id)
	wantUnset(t, p, notComputed...)
	if own := configured(p); len(own) > 0 || p.DeletionProtection != types.DeletionProtectionTypeInactive {
		t.Errorf("not given: schema %+v, deletion protection %q", own, p.DeletionProtection)
	}
	if m := mfa(p.Id); m.MfaConfiguration != types.UserPoolMfaTypeOff || m.SoftwareTokenMfaConfiguration != nil || m.WebAuthnConfiguration != nil {
		t.Errorf("not given: %+v", m)
	}

	sent := &cognito.CreateUserPoolInput{
		PoolName:               aws.String("whole"),
		AccountRecoverySetting: &types.AccountRecoverySettingType{RecoveryMechanisms: []types.RecoveryOptionType{{Name: "verified_email", Priority: aws.Int32(1)}}},
		AdminCreateUserConfig: &types.AdminCreateUserConfigType{AllowAdminCreateUserOnly: true, InviteMessageTemplate: &types.MessageTemplateType{
			EmailMessage: aws.String("You are {username}, with {####}."), EmailSubject: aws.String("Welcome"), SMSMessage: aws.String("{username} {####}")}},
		AutoVerifiedAttributes: []types.VerifiedAttributeType{"email"},
		DeletionProtection:     types.DeletionProtectionTypeActive,
		EmailConfiguration:     &types.EmailConfigurationType{EmailSendingAccount: types.EmailSendingAccountTypeCognitoDefault, ReplyToEmailAddress: aws.String("help@example.com")},
		Policies: &types.UserPoolPolicyType{PasswordPolicy: &types.PasswordPolicyType{MinimumLength: aws.Int32(12), RequireLowercase: true, RequireNumbers: true,
			TemporaryPasswordValidityDays: 3}},
		Schema: []types.SchemaAttributeType{
			{Name: aws.String("department"), AttributeDataType: types.AttributeDataTypeString, Mutable: aws.Bool(true), DeveloperOnlyAttribute: aws.Bool(false), Required: aws.Bool(false),
				StringAttributeConstraints: &types.StringAttributeConstraintsType{MinLength: aws.String("1"), MaxLength: aws.String("64")}},
			{Name: aws.String("floor"), AttributeDataType: types.AttributeDataTypeNumber, Mutable: aws.Bool(true), DeveloperOnlyAttribute: aws.Bool(false), Required: aws.Bool(false),
				NumberAttributeConstraints: &types.NumberAttributeConstraintsType{MinValue: aws.String("-2"), MaxValue: aws.String("40")}},
		},
		UserAttributeUpdateSettings: &types.UserAttributeUpdateSettingsType{AttributesRequireVerificationBeforeUpdate: []types.VerifiedAttributeType{"email"}},
		UserPoolTags:                map[string]string{"team": "identity"},
		UsernameAttributes:          []types.UsernameAttributeType{"email"},
		UsernameConfiguration:       &types.UsernameConfigurationType{CaseSensitive: aws.Bool(false)},
		VerificationMessageTemplate: &types.VerificationMessageTemplateType{DefaultEmailOption: types.DefaultEmailOptionTypeConfirmWithCode},
	}
	out, err := c.CreateUserPool(t.Context(), sent)
	if err != nil {
		t.Fatal(err)
	}
	id := out.UserPool.Id
	p = read(id)
	renamed := map[string]string{"PoolName": "Name", "Schema": "", "UserPoolId": ""}
	wantGiven(t, sent, p, renamed)
	wantSchema(t, sent.Schema, configured(p))

	wantUpdated(t, c, id, sent, read, renamed)
	wantTags(t, c, p.Arn)
	// On, changed with the rest of the pool, and off again.
	for _, on := range []bool{true, false} {
		set := &cognito.SetUserPoolMfaConfigInput{UserPoolId: id, MfaConfiguration: types.UserPoolMfaTypeOff}
		if on {
			set.MfaConfiguration, set.SoftwareTokenMfaConfiguration = types.UserPoolMfaTypeOptional, &types.SoftwareTokenMfaConfigType{Enabled: true}
		}
		if _, err := c.SetUserPoolMfaConfig(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		update := resend[cognito.UpdateUserPoolInput](sent)
		update.UserPoolId, update.UserPoolTags, update.MfaConfiguration, update.PoolName = id, nil, set.MfaConfiguration, nil
		if _, err := c.UpdateUserPool(t.Context(), update); err != nil {
			t.Fatal(err)
		}
		if m := mfa(id); m.MfaConfiguration != set.MfaConfiguration || (m.SoftwareTokenMfaConfiguration != nil && m.SoftwareTokenMfaConfiguration.Enabled) != on ||
			!on && m.SoftwareTokenMfaConfiguration != nil || m.WebAuthnConfiguration != nil {
			t.Errorf("sent %+v, read %+v", set, m)
		}
	}

	_, err = c.DeleteUserPool(t.Context(), &cognito.DeleteUserPoolInput{UserPoolId: id})
	if !is[*types.InvalidParameterException](err) {
		t.Errorf("delete a protected pool: %v", err)
	}
	if _, err := c.UpdateUserPool(t.Context(), &cognito.UpdateUserPoolInput{UserPoolId: id, DeletionProtection: types.DeletionProtectionTypeInactive}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteUserPool(t.Context(), &cognito.DeleteUserPoolInput{UserPoolId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeUserPool(t.Context(), &cognito.DescribeUserPoolInput{UserPoolId: id})
	_, again := c.DeleteUserPool(t.Context(), &cognito.DeleteUserPoolInput{UserPoolId: id})
	if !is[*types.ResourceNotFoundException](err) || !is[*types.ResourceNotFoundException](again) {
		t.Errorf("what is gone: %v, %v", err, again)
	}
}

// wantUpdated changes a pool as the provider does: it sends what is configured, without the tags, and custom attributes by their own call.
func wantUpdated(t *testing.T, c *cognito.Client, id *string, sent *cognito.CreateUserPoolInput, read func(*string) *types.UserPoolType, renamed map[string]string) {
	t.Helper()
	update := resend[cognito.UpdateUserPoolInput](sent)
	update.UserPoolId, update.UserPoolTags, update.MfaConfiguration, update.PoolName = id, nil, types.UserPoolMfaTypeOff, nil
	update.Policies = &types.UserPoolPolicyType{PasswordPolicy: &types.PasswordPolicyType{MinimumLength: aws.Int32(16), RequireUppercase: true, TemporaryPasswordValidityDays: 3}}
	update.UserAttributeUpdateSettings = &types.UserAttributeUpdateSettingsType{AttributesRequireVerificationBeforeUpdate: []types.VerifiedAttributeType{}}
	if _, err := c.UpdateUserPool(t.Context(), update); err != nil {
		t.Fatal(err)
	}
	p := read(id)
	update.UserAttributeUpdateSettings = nil
	wantGiven(t, update, p, renamed)
	wantUnset(t, p, "SmsAuthenticationMessage", "DeviceConfiguration", "LambdaConfig", "UserPoolAddOns")
	if s := p.UserAttributeUpdateSettings; s != nil && len(s.AttributesRequireVerificationBeforeUpdate) > 0 || p.Policies.PasswordPolicy.RequireNumbers {
		t.Errorf("still set: %+v", p)
	}
	if !maps.Equal(p.UserPoolTags, sent.UserPoolTags) {
		t.Errorf("an update without tags left %v", p.UserPoolTags)
	}
	wantSchema(t, sent.Schema, configured(p))
	more := types.SchemaAttributeType{Name: aws.String("desk"), AttributeDataType: types.AttributeDataTypeString, Mutable: aws.Bool(true),
		DeveloperOnlyAttribute: aws.Bool(false), Required: aws.Bool(false), StringAttributeConstraints: &types.StringAttributeConstraintsType{MaxLength: aws.String("8")}}
	if _, err := c.AddCustomAttributes(t.Context(), &cognito.AddCustomAttributesInput{UserPoolId: id, CustomAttributes: []types.SchemaAttributeType{more}}); err != nil {
		t.Fatal(err)
	}
	wantSchema(t, append(slices.Clone(sent.Schema), more), configured(read(id)))
}

// wantSchema wants the configured attributes, under the names that they got.
func wantSchema(t *testing.T, sent, read []types.SchemaAttributeType) {
	t.Helper()
	byName := map[string]types.SchemaAttributeType{}
	for _, a := range read {
		byName[aws.ToString(a.Name)] = a
	}
	for _, a := range sent {
		got, ok := byName["custom:"+aws.ToString(a.Name)]
		got.Name = a.Name
		if !ok || !reflect.DeepEqual(got, a) {
			t.Errorf("attribute %s: sent %+v, read %+v", aws.ToString(a.Name), a, got)
		}
	}
	if len(read) != len(sent) {
		t.Errorf("%d attributes sent, read %v", len(sent), slices.Sorted(maps.Keys(byName)))
	}
}

func wantTags(t *testing.T, c *cognito.Client, arn *string) {
	t.Helper()
	if _, err := c.UntagResource(t.Context(), &cognito.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"stage": "test"}
	if _, err := c.TagResource(t.Context(), &cognito.TagResourceInput{ResourceArn: arn, Tags: want}); err != nil {
		t.Fatal(err)
	}
	out, err := c.ListTagsForResource(t.Context(), &cognito.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil || !maps.Equal(out.Tags, want) {
		t.Errorf("tags %v, %v", out, err)
	}
}
