package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// grouped gives the example groups, and its provider details about them.
func grouped(pairs ...string) func(*servertest.Options) {
	return func(o *servertest.Options) {
		p := &o.Spec.UserPools[0]
		p.Groups = append(p.Groups, pool.GroupSpec{GroupName: "admins", Precedence: new(0), RoleArn: "arn:aws:iam::123456789012:role/admin"},
			pool.GroupSpec{GroupName: "staff", Precedence: new(5), RoleArn: "arn:aws:iam::123456789012:role/staff"}, pool.GroupSpec{GroupName: "app-wiki"})
		for pair := range slices.Chunk(pairs, 2) {
			p.IdentityProviders[0].ProviderDetails[pair[0]] = secret.New(pair[1])
		}
	}
}

const exampleGroups = `
# Who may do what.
admins  <- exact fold "corp\domain admins"
staff   <- cn "Weir-Staff" under "OU=Groups,DC=corp,DC=example"
app-$1  <- regex "^APP_([a-z]+)$"
`

// memberOf is what tokens say of groups.
func memberOf(c map[string]any) string {
	return fmt.Sprintf("%v %v %v", c["cognito:groups"], c["cognito:roles"], c["cognito:preferred_role"])
}

// Groups come with a sign-in, change and go, in the tokens of that very sign-in.
func TestGroupsFollowTheProvider(t *testing.T) {
	w, up := servertest.StartExample(t, grouped("group_claim", "groups", "group_rules", exampleGroups))
	app := w.Web()
	const role = "arn:aws:iam::123456789012:role/"
	sub := ""
	for _, step := range []struct {
		what             string
		sent             any
		id, joined, left string
	}{
		{"two groups come", []any{`CORP\Domain Admins`, "CN=Weir-Staff,OU=Groups,DC=corp,DC=example", "everyone"}, "[admins staff] [" + role + "admin " + role + "staff] " + role + "admin", "admins staff", ""},
		{"nothing changes", []any{`CORP\Domain Admins`, "CN=Weir-Staff,OU=Groups,DC=corp,DC=example"}, "[admins staff] [" + role + "admin " + role + "staff] " + role + "admin", "", ""},
		{"one goes", []any{"CN=Weir-Staff,OU=Groups,DC=corp,DC=example", "APP_nobody"}, "[staff] [" + role + "staff] " + role + "staff", "", "admins"},
		{"another comes", []any{"APP_wiki", "CN=Weir-Staff,OU=Other,DC=corp,DC=example"}, "[app-wiki] <nil> <nil>", "app-wiki", "staff"},
		{"one text", "APP_wiki", "[app-wiki] <nil> <nil>", "", ""},
		{"the claim is absent", nil, "<nil> <nil> <nil>", "", "app-wiki"},
	} {
		up.Set(oidctest.Faults{IDToken: func(c map[string]any) {
			if c["groups"] = step.sent; step.sent == nil {
				delete(c, "groups")
			}
		}})
		w.Events.Take()
		w.Engine.Reset()
		tokens := app.Tokens(w.Browser().SignIn(app.Authorize(), ada))
		id, access := app.Claims(tokens.Text("id_token")), app.Claims(tokens.Text("access_token"))
		if got := memberOf(id); got != step.id || fmt.Sprint(id["cognito:groups"]) != fmt.Sprint(access["cognito:groups"]) {
			t.Errorf("%s: %s and %v in the access token, want %s", step.what, got, access["cognito:groups"], step.id)
		}
		if again := app.Claims(app.Refresh(tokens.Text("refresh_token")).Text("id_token")); memberOf(again) != step.id {
			t.Errorf("%s: %s after a refresh", step.what, memberOf(again))
		}
		sub, _ = id["sub"].(string)
		want := audit.Event(audit.GroupsChanged{Pool: servertest.PoolID, Sub: sub, Provider: "Corp", Joined: step.joined, Left: step.left})
		if got := w.Events.Take(); slices.Contains(got, want) != (step.joined+step.left != "") {
			t.Errorf("%s: events %+v", step.what, got)
		}
		if written := w.Engine.Written(); strings.Contains(written, "user") != (step.joined+step.left != "") {
			t.Errorf("%s: written %s", step.what, written)
		}
	}
}

// Where the provider has too many groups to list, nobody is signed in with all of them or with none.
func TestGroupOverageWithoutGraph(t *testing.T) {
	for name, test := range map[string]struct {
		details []string
		ok      bool
	}{
		"is refused": {nil, false}, "keeps where the administrator says so": {[]string{"group_absent", "keep"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := servertest.StartExample(t, grouped(append(test.details, "group_claim", "groups", "group_rules", exampleGroups)...))
			app := w.Web()
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["groups"] = []any{"APP_wiki"} }})
			app.Login(w.Browser(), ada)
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) {
				c["_claim_names"] = map[string]any{"groups": "src1"}
				c["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://graph.windows.net/t/users/u/getMemberObjects"}}
			}})
			page := w.Browser().SignIn(app.Authorize(), ada)
			if !test.ok {
				if page.Params().Get("code") != "" || page.Status == http.StatusOK && page.Location == nil && !strings.Contains(page.Body, "too many groups") {
					t.Errorf("status %d to %v: %s", page.Status, page.Location, page.Body)
				}
				if !strings.Contains(w.Log.Text(), "too many groups to list") || !strings.Contains(w.Log.Text(), "group_overage: graph") {
					t.Errorf("log\n%s", w.Log.Text())
				}
				return
			}
			if got := memberOf(app.Claims(app.Tokens(page).Text("id_token"))); got != "[app-wiki] <nil> <nil>" {
				t.Errorf("groups %s", got)
			}
		})
	}
}

// The same keys are there for SAML, where an attribute is a text or a list.
func TestGroupsFromSAML(t *testing.T) {
	w, _ := servertest.StartSAML(t, grouped("group_claim", "http://schemas.xmlsoap.org/claims/Group", "group_rules", "staff <- exact 'CORP\\Engineers'\nadmins <- exact 'A &amp; B'\napp-wiki <- exact 'A & B'"))
	app := w.Web()
	claims := app.Claims(app.Tokens(w.Browser().SignIn(app.Authorize(), servertest.AsSAML("ada"))).Text("id_token"))
	if got := fmt.Sprint(claims["cognito:groups"]); got != "[staff app-wiki]" {
		t.Errorf("groups %s", got)
	}
}

// An app's ID token goes the same way, and so does the word that there are too many groups.
func TestGroupsInANativeSignIn(t *testing.T) {
	w, up := servertest.StartExample(t, grouped("native_client_ids", "phone", "group_claim", "groups", "group_rules", exampleGroups))
	app := w.SPA()
	for i, test := range []struct {
		name string
		sent any
		want string
	}{
		{"groups", []any{"APP_wiki"}, "[app-wiki]"}, {"other", "x", "<nil>"}, {"hasgroups", true, ""},
	} {
		now := w.Clock.Now().Unix()
		raw, err := up.Token(map[string]any{"iss": up.Issuer(), "sub": "ada-0001", "aud": "phone", "iat": now, "exp": now + 600, "jti": i,
			"name": "The ada", "email": "ada@corp.example", test.name: test.sent}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ans := app.Post("/oauth2/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {raw},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "identity_provider": {"Corp"}, "scope": {"openid email profile"}})
		if (ans.Status == http.StatusOK) != (test.want != "") {
			t.Fatalf("%s: %d %s", test.name, ans.Status, ans.Body)
		}
		if test.want == "" {
			continue
		}
		if got := fmt.Sprint(app.Claims(ans.Text("id_token"))["cognito:groups"]); got != test.want {
			t.Errorf("%s: groups %s, want %s", test.name, got, test.want)
		}
	}
}
