package poolapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/server/servertest"
)

// withNames is a rig whose pool has those names and settings, with mallory, a local user of that name who signs in as eve.
func withNames(t *testing.T, names pool.Pool, mallory string) (r *rig, token string) {
	t.Helper()
	var spec pool.Spec
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { spec, o.Spec = o.Spec, pool.Spec{} })
	p := spec.UserPools[0]
	names.ID, names.Name, names.Domain, names.SigningAlgorithm = p.ID, p.PoolName, p.Domain, p.SigningAlgorithm
	if _, err := w.Directory.CreatePool(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	for i := range p.Clients {
		p.Clients[i].AllowedOAuthScopes = append(p.Clients[i].AllowedOAuthScopes, "aws.cognito.signin.user.admin")
	}
	w.Apply(spec)
	r = &rig{Weir: w, T: t, admin: w.Admin(), nobody: w.Anybody()}
	made := r.must("AdminCreateUser", inPool(body{"Username": mallory, "MessageAction": "SUPPRESS"}))["User"].(body)
	r.must("AdminLinkProviderForUser", inPool(body{
		"DestinationUser": body{"ProviderName": "Cognito", "ProviderAttributeValue": made["Username"]}, "SourceUser": identifier("Corp", "Cognito_Subject", "eve-0001"),
	}))
	return r, r.signIn("eve").Text("access_token")
}

// subOf is the sub of the user that a name leads to.
func (r *rig) subOf(name string) string {
	r.Helper()
	u, err := r.Directory.FindUser(r.T.Context(), servertest.PoolID, name)
	if err != nil && !errors.Is(err, pool.ErrNoUser) {
		r.Fatal(err)
	}
	return u.Sub
}

// What people call themselves may not lead an administrator to them who means somebody else: an administrator's group or rights would go astray.
func TestNobodyIsFoundUnderWhatNamesSomebodyElse(t *testing.T) {
	r, token := withNames(t, pool.Pool{AliasAttributes: []string{"email", "phone_number", "preferred_username"}}, "mallory")
	r.signIn("ada")
	ada := r.subOf("Corp_ada-0001")
	for why, name := range map[string]string{
		"her sub": ada, "her sub in another case": strings.ToUpper(ada), "her user name": "Corp_ada-0001", "her user name in another case": "CORP_ADA-0001",
		"her address": "ada@corp.example", "an address": "boss@corp.example", "a number": "+4915005550100",
	} {
		before := r.subOf(name)
		ans := r.nobody.Call("UpdateUserAttributes", body{"AccessToken": token, "UserAttributes": []any{body{"Name": "preferred_username", "Value": name}}})
		if ans.Status == http.StatusOK {
			t.Errorf("%s as a preferred_username: %s", why, ans.Body)
		}
		if after := r.subOf(name); after != before {
			t.Errorf("%s led to %q and leads to %q", why, before, after)
		}
	}
	r.must("UpdateUserAttributes", body{"AccessToken": token, "UserAttributes": []any{body{"Name": "preferred_username", "Value": "mal"}}})
	if r.subOf("MAL") != r.subOf("mallory") {
		t.Error("a preferred_username that is nobody's leads nowhere")
	}
}

// A user name that a provider's user is going to have keeps that person out until an administrator has looked, and lets nobody in.
func TestAUserNameThatIsWaitedForGivesNobodyAnAccount(t *testing.T) {
	r := newRig(t)
	r.must("AdminCreateUser", inPool(body{"Username": "corp_ADA-0001", "MessageAction": "SUPPRESS"}))
	squatter := r.subOf("Corp_ada-0001")
	if p := r.Browser().SignIn(r.SPA().Authorize(), servertest.As("ada")); p.Params().Get("code") != "" || p.Params().Get("error") == "" {
		t.Errorf("signed in: %v", p.Params())
	}
	u, err := r.Directory.User(t.Context(), servertest.PoolID, squatter)
	if err != nil || len(u.Identities) != 0 {
		t.Errorf("the other account %+v, %v", u, err)
	}
	r.must("AdminDeleteUser", inPool(body{"Username": "Corp_ada-0001"}))
	r.wantUsername("ada", "Corp_ada-0001")
}

// An address that nobody has verified is nobody's name, and is not taken where the settings say that it has to be verified first.
func TestPeopleDoNotTakeAnAddressThatIsNotVerified(t *testing.T) {
	first := pool.Settings{UserAttributeUpdateSettings: &api.UserAttributeUpdateSettingsType{AttributesRequireVerificationBeforeUpdate: []string{"email"}},
		AutoVerifiedAttributes: []string{"email"}}
	for name, c := range map[string]struct {
		pool    pool.Pool
		mallory string
	}{
		"what people sign in with": {pool.Pool{UsernameAttributes: []string{"email"}}, "eve@other.example"},
		"what the settings name":   {pool.Pool{Settings: first}, "mallory"},
	} {
		t.Run(name, func(t *testing.T) {
			r, token := withNames(t, c.pool, c.mallory)
			set := func(name, value string) *servertest.Answer {
				return r.nobody.Call("UpdateUserAttributes", body{"AccessToken": token, "UserAttributes": []any{body{"Name": name, "Value": value}}})
			}
			wantRefusal(t, "UpdateUserAttributes", set("email", "boss@corp.example"), "CodeDeliveryFailureException", "an administrator can change it")
			if sub := r.subOf("boss@corp.example"); sub != "" {
				t.Errorf("the address leads to %s", sub)
			}
			for name, value := range map[string]string{"email": "EVE@other.example", "nickname": "mal"} {
				if ans := set(name, value); ans.Status != http.StatusOK {
					t.Errorf("%s: %d %s", name, ans.Status, ans.Body)
				}
			}
		})
	}
}

// Another process may have made an attribute that this one does not know of yet, and may have made it for the administrator's eyes alone.
func TestAnAttributeThatIsNotKnownYetIsNotShown(t *testing.T) {
	r := newRig(t)
	in := body{"AccessToken": r.signIn("ada").Text("access_token")}
	here := servertest.Start(t, servertest.Options{Beside: r.Weir})
	shown := here.Anybody().Call("GetUser", in)
	r.must("AddCustomAttributes", inPool(body{"CustomAttributes": []any{body{"Name": "score", "AttributeDataType": "String", "DeveloperOnlyAttribute": true, "Mutable": true}}}))
	r.must("AdminUpdateUserAttributes", inPool(body{"Username": "Corp_ada-0001", "UserAttributes": []any{body{"Name": "dev:custom:score", "Value": "low"}}}))
	if ans := here.Anybody().Call("GetUser", in); ans.Status != http.StatusOK || ans.Body != shown.Body {
		t.Errorf("%d %s", ans.Status, ans.Body)
	}
}

// Names of the greatest length, in characters of four bytes and in those that are escaped in keys: a key of the store takes 1,024 bytes.
func TestTheLongestNames(t *testing.T) {
	r := newRig(t)
	letters := func(n int) string { return strings.Repeat("\U0001D400", n) }
	wide, escaped := letters(128), strings.Repeat("%", 20)
	for _, c := range []struct {
		op string
		in body
	}{
		{"CreateGroup", body{"GroupName": wide}},
		{"GetGroup", body{"GroupName": wide}},
		{"ListGroups", body{"Limit": 0}},
		{"AdminCreateUser", body{"Username": wide, "MessageAction": "SUPPRESS"}},
		{"AdminGetUser", body{"Username": wide}},
		{"AdminAddUserToGroup", body{"Username": wide, "GroupName": wide}},
		{"ListUsersInGroup", body{"GroupName": wide, "Limit": 1}},
		{"AdminListGroupsForUser", body{"Username": wide}},
		{"AddCustomAttributes", body{"CustomAttributes": []any{body{"Name": escaped, "AttributeDataType": "String", "Mutable": true}}}},
		{"AddCustomAttributes", body{"CustomAttributes": []any{body{"Name": letters(20), "AttributeDataType": "String", "Mutable": true}}}},
		{"AdminUpdateUserAttributes", body{"Username": wide, "UserAttributes": []any{
			body{"Name": "custom:" + escaped, "Value": letters(2048)},
			body{"Name": "custom:" + letters(20), "Value": letters(2048)},
			body{"Name": "email", "Value": strings.Repeat("a", 2000) + "@b.example"},
			body{"Name": "name", "Value": letters(2048)}}}},
		{"ListUsers", body{"Filter": "custom:" + escaped + ` ^= "` + letters(100) + `"`}},
		{"CreateResourceServer", body{"Identifier": strings.Repeat("/", 256), "Name": "a"}},
		{"ListResourceServers", body{"MaxResults": 1}},
		{"CreateIdentityProvider", body{"ProviderName": letters(32), "ProviderType": "OIDC", "ProviderDetails": explicit(), "IdpIdentifiers": []any{strings.Repeat("a", 40)}}},
		{"DescribeIdentityProvider", body{"ProviderName": letters(32)}},
		{"AdminLinkProviderForUser", body{"DestinationUser": body{"ProviderName": "Cognito", "ProviderAttributeValue": wide},
			"SourceUser": identifier(letters(32), "Cognito_Subject", letters(512))}},
		{"AdminDeleteUser", body{"Username": wide}},
		{"DeleteGroup", body{"GroupName": wide}},
	} {
		c.in["UserPoolId"] = servertest.PoolID
		if ans := r.call(c.op, c.in); ans.Status != http.StatusOK {
			t.Errorf("%s: %d %.500s", c.op, ans.Status, ans.Body)
		}
	}
}
