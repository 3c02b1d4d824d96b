package poolapi_test

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/servertest"
)

// everySetting is what UpdateUserPool can set, every member of it.
func everySetting() body {
	return body{
		"PoolName": "every setting",
		"Policies": body{
			"PasswordPolicy": body{"MinimumLength": 12, "RequireLowercase": true, "RequireUppercase": false, "RequireNumbers": true, "RequireSymbols": false,
				"PasswordHistorySize": 3, "TemporaryPasswordValidityDays": 2},
			"SignInPolicy": body{"AllowedFirstAuthFactors": []any{"PASSWORD", "EMAIL_OTP"}},
		},
		"AdminCreateUserConfig": body{"AllowAdminCreateUserOnly": true, "UnusedAccountValidityDays": 2,
			"InviteMessageTemplate": body{"EmailSubject": "welcome", "EmailMessage": "{username} {####}", "SMSMessage": "{username} {####}"}},
		"AutoVerifiedAttributes": []any{"email"}, "SmsVerificationMessage": "code {####}",
		"EmailVerificationMessage": "your code {####}", "EmailVerificationSubject": "code", "SmsAuthenticationMessage": "sign in {####}",
		"VerificationMessageTemplate": body{"DefaultEmailOption": "CONFIRM_WITH_LINK", "SmsMessage": "code {####}", "EmailMessage": "your code {####}",
			"EmailSubject": "code", "EmailMessageByLink": "{##here##}", "EmailSubjectByLink": "a link"},
		"UserAttributeUpdateSettings": body{"AttributesRequireVerificationBeforeUpdate": []any{"email"}},
		"DeviceConfiguration":         body{"ChallengeRequiredOnNewDevice": true, "DeviceOnlyRememberedOnUserPrompt": false},
		"EmailConfiguration": body{"EmailSendingAccount": "DEVELOPER", "SourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/example.com",
			"From": "a@example.com", "ReplyToEmailAddress": "b@example.com", "ConfigurationSet": "set"},
		"SmsConfiguration":       body{"SnsCallerArn": "arn:aws:iam::123456789012:role/sms", "ExternalId": "ext", "SnsRegion": "eu-west-1"},
		"AccountRecoverySetting": body{"RecoveryMechanisms": []any{body{"Name": "verified_email", "Priority": 1}}},
		"LambdaConfig":           body{}, "UserPoolAddOns": body{"AdvancedSecurityMode": "OFF"}, "UserPoolTier": "PLUS",
		"KeyConfiguration": body{"KeyType": "AWS_OWNED_KEY"}, "IssuerConfiguration": body{"Type": "ORIGINAL"},
		"MfaConfiguration": "OPTIONAL", "DeletionProtection": "ACTIVE", "UserPoolTags": body{"team": "identity", "empty": ""},
	}
}

// wantMembers wants every member of in to be in out with the same value, under the name in it.
func wantMembers(r *rig, in, out body, but ...string) {
	r.Helper()
	for name, want := range in {
		if got := out[name]; !slices.Contains(but, name) && !reflect.DeepEqual(plain(got), plain(want)) {
			r.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// plain makes numbers comparable.
func plain(v any) any {
	switch v := v.(type) {
	case body:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case int, float64:
		return fmt.Sprint(v)
	}
	return v
}

// newPool creates a pool and returns its id.
func newPool(r *rig, name string) string {
	r.Helper()
	return r.must("CreateUserPool", body{"PoolName": name})["UserPool"].(body)["Id"].(string)
}

func describe(r *rig, id string) body {
	r.Helper()
	return r.must("DescribeUserPool", body{"UserPoolId": id})["UserPool"].(body)
}

func attribute(r *rig, p body, name string) body {
	r.Helper()
	for _, a := range p["SchemaAttributes"].([]any) {
		if a := a.(body); a["Name"] == name {
			return a
		}
	}
	r.Fatalf("no attribute %s", name)
	return nil
}

func poolContracts() map[string]contract {
	return map[string]contract{
		"CreateUserPool":        createPoolContract(),
		"DescribeUserPool":      describePoolContract(),
		"UpdateUserPool":        updatePoolContract(),
		"DeleteUserPool":        deletePoolContract(),
		"ListUserPools":         listPoolsContract(),
		"AddCustomAttributes":   addAttributesContract(),
		"GetSigningCertificate": signingCertificateContract(),
	}
}

func createPoolContract() contract {
	set := func(name string, v any) func(*rig, body) { return func(_ *rig, in body) { in[name] = v } }
	const invalid = "InvalidParameterException"
	return contract{
		in: func(*rig) body {
			in := everySetting()
			maps.Copy(in, body{
				"UsernameAttributes": []any{"email"}, "UsernameConfiguration": body{"CaseSensitive": false},
				"Schema": []any{
					body{"Name": "email", "AttributeDataType": "String", "Required": true, "Mutable": true},
					body{"Name": "level", "AttributeDataType": "Number", "Mutable": true, "NumberAttributeConstraints": body{"MinValue": "1", "MaxValue": "9.5"},
						"StringAttributeConstraints": body{}},
				},
			})
			return in
		},
		check: func(r *rig, in, out body) {
			created := out["UserPool"].(body)
			got := describe(r, created["Id"].(string))
			wantMembers(r, in, got, "PoolName", "Schema")
			wantMembers(r, created, got)
			if got["Name"] != "every setting" || got["Arn"] != "arn:aws:cognito-idp:local:000000000000:userpool/"+got["Id"].(string) || got["CreationDate"] == nil ||
				got["LastModifiedDate"] == nil || fmt.Sprint(got["EstimatedNumberOfUsers"]) != "0" {
				r.Errorf("pool %v", got)
			}
			wantMembers(r, body{"AttributeDataType": "String", "Required": true, "Mutable": true, "DeveloperOnlyAttribute": false,
				"StringAttributeConstraints": body{"MinLength": "0", "MaxLength": "2048"}}, attribute(r, got, "email"))
			wantMembers(r, body{"AttributeDataType": "Number", "Required": false, "NumberAttributeConstraints": body{"MinValue": "1", "MaxValue": "9.5"}},
				attribute(r, got, "custom:level"))
		},
		refusals: []refused{
			{"both kinds of names", invalid, "Only one of the aliasAttributes or usernameAttributes can be set in a user pool", set("AliasAttributes", []any{"email"})},
			{"a trigger", invalid, "triggers are not supported yet", set("LambdaConfig", body{"PreSignUp": "arn:aws:lambda:eu-west-1:123456789012:function:f"})},
			{"threat protection", invalid, "threat protection is not supported", set("UserPoolAddOns", body{"AdvancedSecurityMode": "ENFORCED"})},
			{"case-sensitive names", invalid, "never case-sensitive", set("UsernameConfiguration", body{"CaseSensitive": true})},
			{"a key of a KMS", invalid, "key management service", set("KeyConfiguration", body{"KeyType": "CUSTOMER_MANAGED_KEY"})},
			{"no second factor", invalid, "can't disable all MFAs", func(_ *rig, in body) { delete(in, "SmsConfiguration") }},
			{"two lives of temporary passwords", invalid, "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays",
				set("AdminCreateUserConfig", body{"UnusedAccountValidityDays": 5})},
			{"a required custom attribute", invalid, "a custom attribute cannot be required",
				set("Schema", []any{body{"Name": "x", "AttributeDataType": "String", "Required": true}})},
			{"a name that has signs", invalid, "'poolName' failed to satisfy constraint", set("PoolName", "a/b")},
			{"a tag of AWS", invalid, "must not begin with aws:", set("UserPoolTags", body{"aws:x": "y"})},
		},
	}
}

func describePoolContract() contract {
	return contract{
		in: func(r *rig) body { return body{"UserPoolId": newPool(r, "nothing else")} },
		check: func(r *rig, in, out body) {
			wantMembers(r, body{
				"Id": in["UserPoolId"], "Name": "nothing else", "DeletionProtection": "INACTIVE", "MfaConfiguration": "OFF", "UserPoolTier": "ESSENTIALS",
				"LambdaConfig": body{}, "UserPoolTags": body{}, "EstimatedNumberOfUsers": 0,
				"Policies": body{
					"PasswordPolicy": body{"MinimumLength": 8, "RequireUppercase": true, "RequireLowercase": true, "RequireNumbers": true, "RequireSymbols": true,
						"TemporaryPasswordValidityDays": 7},
					"SignInPolicy": body{"AllowedFirstAuthFactors": []any{"PASSWORD"}},
				},
				"VerificationMessageTemplate": body{"DefaultEmailOption": "CONFIRM_WITH_CODE"}, "EmailConfiguration": body{"EmailSendingAccount": "COGNITO_DEFAULT"},
				"AdminCreateUserConfig": body{"AllowAdminCreateUserOnly": false, "UnusedAccountValidityDays": 7},
			}, out["UserPool"].(body))
			for _, name := range []string{"UsernameConfiguration", "AccountRecoverySetting", "DeviceConfiguration", "Domain", "CustomDomain", "SmsConfiguration"} {
				if v, has := out["UserPool"].(body)[name]; has {
					r.Errorf("%s is %v where nothing was given", name, v)
				}
			}
			r.signIn("ada")
			got := describe(r, servertest.PoolID)
			if fmt.Sprint(got["EstimatedNumberOfUsers"]) != "1" || got["Domain"] != "acme" || len(got["SchemaAttributes"].([]any)) != 21 {
				r.Errorf("the example pool: %v", got)
			}
		},
	}
}

func updatePoolContract() contract {
	return contract{
		in: func(r *rig) body {
			in := everySetting()
			in["UserPoolId"] = newPool(r, "to be changed")
			return in
		},
		check: func(r *rig, in, _ body) {
			id := in["UserPoolId"].(string)
			got := describe(r, id)
			wantMembers(r, in, got, "UserPoolId", "PoolName")
			if got["Name"] != in["PoolName"] {
				r.Errorf("name %v", got["Name"])
			}
			// What can be read can be sent back.
			again := body{"UserPoolId": id}
			for name := range api.TheModel().Shapes["UpdateUserPoolRequest"].Members {
				if v, has := got[name]; has {
					again[name] = v
				}
			}
			r.must("UpdateUserPool", again)
			if after := describe(r, id); !reflect.DeepEqual(got, after) {
				r.Errorf("sent back what was read: %v, before %v", after, got)
			}
			// What is left out goes to its default, but for what is fixed, the name, the tags and the factors of SetUserPoolMfaConfig.
			r.must("SetUserPoolMfaConfig", body{"UserPoolId": id, "MfaConfiguration": "ON", "SoftwareTokenMfaConfiguration": body{"Enabled": true}})
			r.must("UpdateUserPool", body{"UserPoolId": id})
			after := describe(r, id)
			wantMembers(r, body{"Name": in["PoolName"], "UserPoolTags": got["UserPoolTags"], "DeletionProtection": "INACTIVE", "MfaConfiguration": "OFF", "UserPoolTier": "ESSENTIALS",
				"EmailConfiguration": body{"EmailSendingAccount": "COGNITO_DEFAULT"}}, after)
			if after["SmsConfiguration"] != nil || after["DeviceConfiguration"] != nil {
				r.Errorf("left over: %v", after)
			}
			if mfa := r.must("GetUserPoolMfaConfig", body{"UserPoolId": id}); !reflect.DeepEqual(mfa["SoftwareTokenMfaConfiguration"], body{"Enabled": true}) {
				r.Errorf("second factors %v", mfa)
			}
		},
		refusals: []refused{
			{"a trigger", "InvalidParameterException", "LambdaConfig: triggers are not supported yet",
				func(_ *rig, in body) {
					in["LambdaConfig"] = body{"PostConfirmation": "arn:aws:lambda:eu-west-1:123456789012:function:f"}
				}},
			{"a recovery that excludes itself", "InvalidParameterException", "admin_only", func(_ *rig, in body) {
				in["AccountRecoverySetting"] = body{"RecoveryMechanisms": []any{body{"Name": "admin_only", "Priority": 1}, body{"Name": "verified_email", "Priority": 2}}}
			}},
		},
	}
}

func deletePoolContract() contract {
	return contract{
		in: func(r *rig) body { return body{"UserPoolId": newPool(r, "to be deleted")} },
		check: func(r *rig, in, _ body) {
			wantRefusal(r.T, "DescribeUserPool", r.call("DescribeUserPool", in), "ResourceNotFoundException", "")
			wantRefusal(r.T, "DeleteUserPool", r.call("DeleteUserPool", in), "ResourceNotFoundException", "")
		},
		refusals: []refused{
			{"protected", "InvalidParameterException", "The user pool cannot be deleted because deletion protection is activated. " +
				"Deletion protection must be inactivated first.", func(r *rig, in body) {
				r.must("UpdateUserPool", body{"UserPoolId": in["UserPoolId"], "DeletionProtection": "ACTIVE"})
			}},
			{"with a domain", "InvalidParameterException", "User pool cannot be deleted. It has a domain configured that should be deleted first.",
				func(r *rig, in body) {
					r.must("CreateUserPoolDomain", body{"UserPoolId": in["UserPoolId"], "Domain": "kept"})
				}},
		},
	}
}

// Everything that is kept for a pool goes with it, whichever package keeps it, and nothing of another pool.
func TestDeleteUserPoolLeavesNothing(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		p := &o.Spec.UserPools[0]
		p.Domain = ""
		p.IdentityProviders[0].ProviderDetails["keep_tokens"] = secret.New("true")
		p.ResourceServers = []pool.ServerSpec{{Identifier: "orders", Scopes: []pool.ScopeSpec{{ScopeName: "read"}}}}
	})
	r := &rig{Weir: w, T: t, admin: w.Admin(), nobody: w.Anybody()}
	other := newPool(r, "other")
	r.must("GetSigningCertificate", body{"UserPoolId": other})
	ans := r.SPA().Login(r.Browser(), servertest.As("ada"))
	r.must("GetSigningCertificate", body{"UserPoolId": servertest.PoolID})
	r.must("SetUICustomization", body{"UserPoolId": servertest.PoolID, "CSS": ".a{}"})
	r.must("DeleteUserPool", body{"UserPoolId": servertest.PoolID})
	for _, kind := range []string{"client", "provider", "user", "group", "resource_server", "look", "grant", "keyset", "saml_metadata", "upstream_tokens", "said_once"} {
		if docs, err := w.Engine.List(t.Context(), kind, "", "", 10); err != nil || len(docs) != 0 {
			t.Errorf("%s: %d documents are left, error %v", kind, len(docs), err)
		}
	}
	for kind, want := range map[string]string{"pool": other, "saml_keyset": other} {
		if docs, err := w.Engine.List(t.Context(), kind, "", "", 10); err != nil || len(docs) != 1 || docs[0].Key != want {
			t.Errorf("%s: %d documents, error %v", kind, len(docs), err)
		}
	}
	if got := r.SPA().Refresh(ans.Text("refresh_token")); got.Status == http.StatusOK {
		t.Errorf("refresh in a pool that is gone: %s", got.Body)
	}
	if got := r.SPA().UserInfo(ans.Text("access_token")); got.Status == http.StatusOK {
		t.Errorf("userInfo in a pool that is gone: %s", got.Body)
	}
}

func listPoolsContract() contract {
	return contract{
		in: func(*rig) body { return body{"MaxResults": 60} },
		check: func(r *rig, _, out body) {
			first := out["UserPools"].([]any)
			p := first[0].(body)
			if len(first) != 1 || p["Id"] != servertest.PoolID || p["Name"] != "example" || p["CreationDate"] == nil || p["LastModifiedDate"] == nil || p["LambdaConfig"] == nil {
				r.Errorf("listed %v", out)
			}
			want := []string{servertest.PoolID, newPool(r, "two"), newPool(r, "three"), newPool(r, "four"), newPool(r, "five")}
			var got []string
			in := body{"MaxResults": 2}
			for {
				page := r.must("ListUserPools", in)
				for _, p := range page["UserPools"].([]any) {
					got = append(got, p.(body)["Id"].(string))
				}
				if in["NextToken"] = page["NextToken"]; page["NextToken"] == nil {
					break
				}
			}
			slices.Sort(want)
			if slices.Sort(got); !slices.Equal(got, want) {
				r.Errorf("listed %v, want %v", got, want)
			}
		},
		refusals: []refused{
			{"a forged token", "InvalidParameterException", "pagination token", func(_ *rig, in body) { in["NextToken"] = "forged" }},
			{"too many", "InvalidParameterException", "'maxResults'", func(_ *rig, in body) { in["MaxResults"] = 61 }},
		},
	}
}

// A key for some pools sees those and no others, on full pages.
func TestListUserPoolsShowsALimitedKeyItsOwn(t *testing.T) {
	limited := sigv4.Key{ID: "LIMITED", Secret: secret.New("the secret of the limited key"), Allow: []string{"*"}, Pools: []string{"local_Pool5", "local_Pool7"}}
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{limited} })
	for i := range 9 {
		if _, err := w.Directory.CreatePool(t.Context(), pool.Pool{ID: fmt.Sprint("local_Pool", i), Name: "some"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Directory.CreateDomain(t.Context(), "local_Pool5", "five", pool.DomainSettings{}); err != nil {
		t.Fatal(err)
	}
	key := &servertest.API{Weir: w, Key: limited, HTTP: w.Client()}
	ans := key.Call("ListUserPools", body{"MaxResults": 2})
	pools, _ := ans.JSON["UserPools"].([]any)
	if len(pools) != 2 || pools[0].(body)["Id"] != "local_Pool5" || pools[1].(body)["Id"] != "local_Pool7" {
		t.Errorf("listed %s", ans.Body)
	}
	for domain, shown := range map[string]bool{"five": true, "acme": false} {
		ans := key.Call("DescribeUserPoolDomain", body{"Domain": domain})
		if got := strings.Contains(ans.Body, "UserPoolId"); ans.Status != http.StatusOK || got != shown {
			t.Errorf("domain %s: %d %s", domain, ans.Status, ans.Body)
		}
	}
	wantRefusal(t, "CreateUserPool", key.Call("CreateUserPool", body{"PoolName": "x"}), "AccessDeniedException", "")
	wantRefusal(t, "TagResource", key.Call("TagResource", body{"ResourceArn": "arn:aws:cognito-idp:local:000000000000:userpool/local_Pool1", "Tags": body{}}), "AccessDeniedException", "")
}

func addAttributesContract() contract {
	return contract{
		in: func(r *rig) body {
			return body{"UserPoolId": newPool(r, "to be extended"), "CustomAttributes": []any{
				body{"Name": "team", "AttributeDataType": "String", "Mutable": true, "StringAttributeConstraints": body{"MinLength": "1", "MaxLength": "40"}},
				body{"Name": "staff", "AttributeDataType": "Boolean"}, body{"Name": "note", "DeveloperOnlyAttribute": true},
			}}
		},
		check: func(r *rig, in, _ body) {
			got := describe(r, in["UserPoolId"].(string))
			wantMembers(r, body{"AttributeDataType": "String", "Mutable": true, "StringAttributeConstraints": body{"MinLength": "1", "MaxLength": "40"}}, attribute(r, got, "custom:team"))
			wantMembers(r, body{"AttributeDataType": "Boolean"}, attribute(r, got, "custom:staff"))
			wantMembers(r, body{"DeveloperOnlyAttribute": true, "StringAttributeConstraints": body{}}, attribute(r, got, "dev:custom:note"))
			wantRefusal(r.T, "AddCustomAttributes", r.call("AddCustomAttributes", in), "InvalidParameterException",
				"custom:team: Existing attribute already has name custom:team")
		},
		refusals: []refused{
			{"required", "InvalidParameterException", "a custom attribute cannot be required",
				func(_ *rig, in body) { in["CustomAttributes"] = []any{body{"Name": "x", "Required": true}} }},
			{"a length that is none", "InvalidParameterException", "MinLength: must be a whole number", func(_ *rig, in body) {
				in["CustomAttributes"] = []any{body{"Name": "x", "StringAttributeConstraints": body{"MinLength": "one"}}}
			}},
		},
	}
}

func signingCertificateContract() contract {
	return contract{
		in: func(*rig) body { return body{"UserPoolId": servertest.PoolID} },
		check: func(r *rig, _, out body) {
			der, err := base64.StdEncoding.DecodeString(out["Certificate"].(string))
			if err != nil {
				r.Fatal(err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				r.Fatal(err)
			}
			published, err := r.SAMLKeys.Published(r.T.Context(), servertest.PoolID)
			if err != nil || !cert.Equal(published.Signing[0]) {
				r.Errorf("another certificate than in the metadata; error %v", err)
			}
		},
	}
}
