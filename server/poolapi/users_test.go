package poolapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/notify"
	"github.com/weir-id/weir/server/servertest"
)

// wantAttributes compares a list of attributes: those that are named, and sub and identities besides.
func (r *rig) wantAttributes(list any, want body) {
	r.Helper()
	got := body{}
	for _, a := range list.([]any) {
		name := a.(body)["Name"].(string)
		if _, twice := got[name]; twice {
			r.Errorf("the attribute %s is there twice", name)
		}
		got[name] = a.(body)["Value"]
	}
	if sub, _ := got["sub"].(string); len(sub) != 36 {
		r.Errorf("sub %q", sub)
	}
	delete(got, "sub")
	delete(got, "identities")
	if !maps.Equal(got, want) {
		r.Errorf("attributes %v, want %v", got, want)
	}
}

// attributesOf is what an administrator sees of a user.
func (r *rig) attributesOf(in body) any {
	r.Helper()
	return r.must("AdminGetUser", inPool(body{"Username": in["Username"]}))["UserAttributes"]
}

func userContracts() map[string]contract {
	ada := func(r *rig) body { return r.person("ada") }
	return map[string]contract{
		"AdminCreateUser": createUserContract(),
		"AdminGetUser": {
			in: ada,
			check: func(r *rig, _, out body) {
				r.want(out, body{"Username": "Corp_ada-0001", "Enabled": true, "UserStatus": "EXTERNAL_PROVIDER"})
				r.wantAttributes(out["UserAttributes"], body{"email": "ada@corp.example", "email_verified": "true", "name": "The ada"})
				for _, a := range out["UserAttributes"].([]any) {
					if a.(body)["Name"] != "identities" {
						continue
					}
					var ids []body
					if err := json.Unmarshal([]byte(a.(body)["Value"].(string)), &ids); err != nil || len(ids) != 1 {
						r.Fatalf("identities %v, %v", a, err)
					}
					r.want(ids[0], body{"userId": "ada-0001", "providerName": "Corp", "providerType": "OIDC", "primary": true})
				}
			},
			refusals: []refused{noUser},
		},
		"AdminDeleteUser": {
			in: ada,
			check: func(r *rig, in, _ body) {
				wantRefusal(r.T, "AdminGetUser", r.call("AdminGetUser", in), "UserNotFoundException", "User does not exist.")
			},
			refusals: []refused{noUser},
		},
		"AdminDisableUser": {
			in: ada,
			check: func(r *rig, in, _ body) {
				r.want(r.must("AdminGetUser", in), body{"Enabled": false})
				if p := r.Browser().SignIn(r.SPA().Authorize(), servertest.As("ada")); p.Params().Get("code") != "" {
					r.Error("a disabled user signs in")
				}
			},
			refusals: []refused{noUser},
		},
		"AdminEnableUser": {
			in: func(r *rig) body {
				in := r.person("ada")
				r.must("AdminDisableUser", in)
				return in
			},
			check: func(r *rig, in, _ body) {
				r.want(r.must("AdminGetUser", in), body{"Enabled": true})
				r.Clock.Advance(time.Second)
				r.signIn("ada")
			},
			refusals: []refused{noUser},
		},
		"AdminUserGlobalSignOut": {
			in: ada,
			check: func(r *rig, in, _ body) {
				r.Clock.Advance(time.Second)
				a := r.signIn("ada")
				r.must("AdminUserGlobalSignOut", in)
				ans := r.call("GetTokensFromRefreshToken", body{"ClientId": servertest.SPAClient, "RefreshToken": a.Text("refresh_token")})
				wantRefusal(r.T, "GetTokensFromRefreshToken", ans, "NotAuthorizedException", "revoked")
			},
			refusals: []refused{noUser},
		},
		"ListUsers": listUsersContract(),
	}
}

func listUsersContract() contract {
	return contract{
		in: func(r *rig) body {
			r.signIn("ada")
			r.signIn("bob")
			return inPool(nil)
		},
		check: func(r *rig, in, out body) {
			r.want(out["Users"].([]any)[0], body{"Username": "Corp_ada-0001", "Enabled": true, "UserStatus": "EXTERNAL_PROVIDER"})
			r.wantPages("ListUsers", in, "Users", "PaginationToken", "Username", "Corp_ada-0001", "Corp_bob-0001")
			for filter, want := range map[string][]string{
				`email = "BOB@corp.example"`:     {"Corp_bob-0001"},
				`email ^= "ada"`:                 {"Corp_ada-0001"},
				`name^="the "`:                   {"Corp_ada-0001", "Corp_bob-0001"},
				`status = "Enabled"`:             {"Corp_ada-0001", "Corp_bob-0001"},
				`status = "Disabled"`:            nil,
				`username = "corp_ADA-0001"`:     {"Corp_ada-0001"},
				`cognito:user_status ^= "EXTER"`: {"Corp_ada-0001", "Corp_bob-0001"},
				`email = "ada@corp"`:             nil,
			} {
				in["Filter"] = filter
				got := r.pages("ListUsers", in, "Users", "PaginationToken", "Username", len(want))
				if slices.Sort(got); !slices.Equal(got, want) { // of equal values the order is the keys'
					r.Errorf("%s: %q, want %q", filter, got, want)
				}
			}
			out = r.must("ListUsers", inPool(body{"AttributesToGet": []string{"email"}, "Limit": 1}))
			attrs := out["Users"].([]any)[0].(body)["Attributes"].([]any)
			if len(attrs) != 1 || attrs[0].(body)["Value"] != "ada@corp.example" {
				r.Errorf("attributes %v", attrs)
			}
		},
		refusals: []refused{
			badToken("PaginationToken"),
			{"an attribute that is not searched", "InvalidParameterException", "cannot be listed by this attribute", func(_ *rig, in body) { in["Filter"] = `locale = "x"` }},
			{"a filter without quotes", "InvalidParameterException", "filter is not valid", func(_ *rig, in body) { in["Filter"] = `email = x` }},
			{"two conditions", "InvalidParameterException", "filter is not valid", func(_ *rig, in body) { in["Filter"] = `email = "x" and name = "y"` }},
			{"an unknown attribute", "InvalidParameterException", "do not exist", func(_ *rig, in body) { in["AttributesToGet"] = []string{"shoe"} }},
			{"a token of another filter", "InvalidParameterException", "pagination token", func(r *rig, in body) {
				in["PaginationToken"] = r.must("ListUsers", inPool(body{"Limit": 1}))["PaginationToken"]
				in["Filter"] = `name ^= "The"`
			}},
		},
	}
}

func attributeContracts() map[string]contract {
	self := selfContract(nil)
	notWritable := refused{"whether it is verified", "NotAuthorizedException", "unauthorized attribute", func(_ *rig, in body) {
		in["UserAttributes"] = []body{{"Name": "email_verified", "Value": "true"}}
	}}
	unknown := refused{"an attribute that is not in the schema", "InvalidParameterException", "not in the schema", func(_ *rig, in body) {
		in["UserAttributes"] = []body{{"Name": "custom:shoe", "Value": "9"}}
	}}
	twice := refused{"an attribute twice", "InvalidParameterException", "twice", func(_ *rig, in body) {
		in["UserAttributes"] = []body{{"Name": "nickname", "Value": "a"}, {"Name": "nickname", "Value": "b"}}
	}}
	sub := refused{"the sub", "InvalidParameterException", "sub", func(_ *rig, in body) {
		in["UserAttributes"] = []body{{"Name": "sub", "Value": "a"}}
	}}
	set := []body{{"Name": "nickname", "Value": "addie"}, {"Name": "name", "Value": ""}, {"Name": "email", "Value": "new@corp.example"}}
	after := body{"email": "new@corp.example", "email_verified": "false", "nickname": "addie"}
	return map[string]contract{
		"AdminUpdateUserAttributes": {
			in: func(r *rig) body {
				in := r.person("ada")
				in["UserAttributes"] = set
				return in
			},
			check:    func(r *rig, in, _ body) { r.wantAttributes(r.attributesOf(in), after) },
			refusals: []refused{noUser, unknown, twice, sub},
		},
		"AdminDeleteUserAttributes": {
			in: func(r *rig) body {
				in := r.person("ada")
				in["UserAttributeNames"] = []string{"name"}
				return in
			},
			check: func(r *rig, in, _ body) {
				r.wantAttributes(r.attributesOf(in), body{"email": "ada@corp.example", "email_verified": "true"})
			},
			refusals: []refused{noUser, {"the sub", "InvalidParameterException", "sub", func(_ *rig, in body) { in["UserAttributeNames"] = []string{"sub"} }}},
		},
		"UpdateUserAttributes": {
			in: func(r *rig) body {
				in := self.in(r)
				in["UserAttributes"] = set
				return in
			},
			check:    func(r *rig, _, _ body) { r.wantAttributes(r.attributesOf(body{"Username": "Corp_ada-0001"}), after) },
			refusals: append([]refused{notWritable, unknown, twice}, self.refusals...),
		},
		"DeleteUserAttributes": {
			in: func(r *rig) body {
				in := self.in(r)
				in["UserAttributeNames"] = []string{"name"}
				return in
			},
			check: func(r *rig, _, _ body) {
				r.wantAttributes(r.attributesOf(body{"Username": "Corp_ada-0001"}), body{"email": "ada@corp.example", "email_verified": "true"})
			},
			refusals: self.refusals,
		},
	}
}

// Who changed what is in the audit stream, by the administrator's name and the user's sub, and without user names and values.
func TestChangesOfAdministratorsAreAudited(t *testing.T) {
	r := newRig(t)
	in := r.person("ada")
	in["UserAttributes"] = []body{{"Name": "nickname", "Value": "addie"}}
	r.Events.Take()
	r.must("AdminUpdateUserAttributes", in)
	r.must("AdminGetUser", inPool(body{"Username": in["Username"]}))
	events := r.Events.Take()
	if len(events) != 1 {
		t.Fatalf("%d events: %v", len(events), servertest.Names(events))
	}
	e, ok := events[0].(audit.AdminChange)
	u, err := r.Directory.UserByUsername(t.Context(), servertest.PoolID, "Corp_ada-0001")
	if err != nil || !ok || e.Operation != "AdminUpdateUserAttributes" || e.By != "key ada" || e.Pool != servertest.PoolID ||
		len(e.Notes) != 1 || e.Notes[0] != [2]string{"sub", u.Sub} {
		t.Errorf("event %+v, %v", events[0], err)
	}
	for _, rec := range r.Log.Records("msg", "admin.change") {
		if text, _ := json.Marshal(rec); strings.Contains(string(text), "addie") || strings.Contains(string(text), "Corp_ada") {
			t.Errorf("log: %s", text)
		}
	}
}

func createUserContract() contract {
	full := []body{{"Name": "email", "Value": "grace@corp.example"}, {"Name": "email_verified", "Value": "true"}, {"Name": "name", "Value": "Grace"}}
	return contract{
		in: func(*rig) body {
			return inPool(body{"Username": "grace", "UserAttributes": full, "TemporaryPassword": "Once-0nly", "MessageAction": "SUPPRESS"})
		},
		check: func(r *rig, in, out body) {
			r.want(out["User"], body{"Username": "grace", "Enabled": true, "UserStatus": "FORCE_CHANGE_PASSWORD"})
			r.wantAttributes(out["User"].(body)["Attributes"], body{"email": "grace@corp.example", "email_verified": "true", "name": "Grace"})
			got := r.must("AdminGetUser", inPool(body{"Username": "GRACE"}))
			r.want(got, body{"Username": "grace", "UserStatus": "FORCE_CHANGE_PASSWORD"})
			u, err := r.Directory.FindUser(r.T.Context(), servertest.PoolID, "grace")
			if err != nil {
				r.Fatal(err)
			}
			password, _, err := r.Directory.TemporaryPassword(r.T.Context(), servertest.PoolID, u.Sub)
			if err != nil || !password.Equal("Once-0nly") {
				r.Errorf("the temporary password is not the one that was given: %v", err)
			}
		},
		refusals: []refused{
			{"the name is taken", "UsernameExistsException", "User account already exists", func(r *rig, in body) {
				r.must("AdminCreateUser", in)
				in["Username"] = "GRACE"
			}},
			{"a weak password", "InvalidPasswordException", "Password did not conform with policy", func(_ *rig, in body) { in["TemporaryPassword"] = "short1" }},
			{"nobody to send the invitation", "CodeDeliveryFailureException", "sends no messages", func(_ *rig, in body) { delete(in, "MessageAction") }},
			{"an unknown attribute", "InvalidParameterException", "not in the schema", func(_ *rig, in body) { in["UserAttributes"] = []body{{"Name": "custom:shoe", "Value": "9"}} }},
			{"an attribute twice", "InvalidParameterException", "twice", func(_ *rig, in body) { in["UserAttributes"] = append(full, full...) }},
			{"again, for nobody", "UserNotFoundException", "User does not exist.", func(r *rig, in body) {
				r.withOutbox()
				in["MessageAction"] = "RESEND"
			}},
			{"again, for somebody who needs none", "UnsupportedUserStateException", "FORCE_CHANGE_PASSWORD", func(r *rig, in body) {
				r.withOutbox()
				in["Username"], in["MessageAction"] = r.person("ada")["Username"], "RESEND"
			}},
		},
	}
}

// withOutbox writes messages to the log.
func (r *rig) withOutbox() { r.Broker.Outbox = notify.Log{Logger: r.Server.Logger} }

func TestInvitations(t *testing.T) {
	r := newRig(t)
	r.withOutbox()
	in := inPool(body{"Username": "grace", "UserAttributes": []body{{"Name": "email", "Value": "grace@corp.example"}}, "DesiredDeliveryMediums": []string{"EMAIL"}})
	r.must("AdminCreateUser", in)
	in["MessageAction"] = "RESEND"
	r.must("AdminCreateUser", in)
	sent := r.Log.Records("to", "grace@corp.example")
	if len(sent) != 2 {
		t.Fatalf("%d messages", len(sent))
	}
	first, second := sent[0]["body"].(string), sent[1]["body"].(string)
	if !strings.Contains(first, "grace") || first == second {
		t.Errorf("invitations:\n%s\n%s", first, second)
	}
	// Nobody learns the password but who is written to.
	if text, _ := json.Marshal(r.must("AdminGetUser", inPool(body{"Username": "grace"}))); strings.Contains(string(text), "assword\":") {
		t.Errorf("answer %s", text)
	}
}
