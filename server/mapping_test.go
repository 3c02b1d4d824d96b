package server_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// mapped are the attributes of rules, over those of the example.
func mapped(rules map[string]string) func(*servertest.Options) {
	return func(o *servertest.Options) {
		p := &o.Spec.UserPools[0]
		for name, rule := range rules {
			p.IdentityProviders[0].AttributeMapping[name] = rule
			if custom, ok := strings.CutPrefix(name, "custom:"); ok {
				p.Schema = append(p.Schema, pool.SchemaSpec{Name: custom, AttributeDataType: "String", Mutable: new(custom != "fixed")})
			}
		}
	}
}

func TestExpressionsInAWholeSignIn(t *testing.T) {
	w, up := servertest.StartExample(t, mapped(map[string]string{
		"name": `[cel] claims.name.replace("The ", "").upper()`, "nickname": `[write=first] name`, "email": "[cel] claims.email.lowerAscii()",
		"custom:domain": `[cel] claims.email.split("@")[1]`, "custom:origin": `[cel] provider.name + "/" + provider.type`,
		"custom:fixed": `[cel] "id-" + claims.sub`, "custom:visits": `[cel] string(int(user[?"custom:visits"].orValue("0")) + 1)`,
	}))
	app, browser := w.Web(), w.Browser()
	for visit, want := range []string{"1", "2"} {
		if visit > 0 {
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["name"] = "The Countess" }, UserInfo: func(c map[string]any) { c["name"] = "The Countess" }})
			browser = w.Browser()
		}
		claims := app.Claims(app.Tokens(browser.SignIn(app.Authorize(), ada)).Text("id_token"))
		for name, want := range map[string]any{
			"name": []string{"ADA", "COUNTESS"}[visit], "nickname": "The ada", "email": "ada@corp.example", "email_verified": true,
			"custom:domain": "corp.example", "custom:origin": "Corp/OIDC", "custom:fixed": "id-ada-0001", "custom:visits": want,
		} {
			if claims[name] != want {
				t.Errorf("visit %d: %s is %v, want %v", visit, name, claims[name], want)
			}
		}
	}
}

func TestExpressionsInAWholeSignInWithSAML(t *testing.T) {
	w, _ := servertest.StartSAML(t, mapped(map[string]string{
		"custom:groups": `[cel, list=json] list(claims.groups).map(g, regex.replace(g, "^CORP\\\\", ""))`, "custom:first": "[list=first] groups",
		"custom:joined": `[list=" | "] groups`, "nickname": `[cel] claims["` + samltest.ClaimUPN + `"].split("@")[0]`,
		"custom:mails": "[list=json] email", "email_verified": `[cel] claims.email.endsWith("@corp.example")`,
	}))
	app := w.Web()
	claims := app.Claims(app.Tokens(w.Browser().SignIn(app.Authorize(), servertest.AsSAML("ada"))).Text("id_token"))
	for name, want := range map[string]any{
		"custom:groups": `["Engineers","A & B"]`, "custom:first": `CORP\Engineers`, "custom:joined": `CORP\Engineers | A & B`, "nickname": "ada",
		"custom:mails": `["ada@corp.example"]`, "email_verified": true,
	} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	claims = app.Claims(app.Tokens(w.Browser().SignIn(app.Authorize(), servertest.AsSAML("eve"))).Text("id_token"))
	if claims["email_verified"] != false {
		t.Errorf("email_verified of another domain is %v", claims["email_verified"])
	}
}

// A rule that fails ends the sign-in. The person is told nothing of it; the trace under the reference says attribute, rule, place and reason, and no value.
func TestATraceSaysWhichRuleFailed(t *testing.T) {
	const rule = `[cel] claims.name + claims.department`
	w, _ := servertest.StartExample(t, mapped(map[string]string{"nickname": rule}))
	p := w.Browser().SignIn(w.Web().Authorize(), ada)
	if p.Status == http.StatusOK && p.Location == nil {
		t.Fatalf("signed in: %s", p.Body)
	}
	got, err := w.Traces.Get(t.Context(), referenceForm.FindString(shown(p)))
	if err != nil {
		t.Fatal(err)
	}
	want := `attribute "nickname" from "` + rule + `": line 1, column 27: a claim or key is absent`
	if got.Code != "invalid" || !strings.Contains(got.Cause, want) || strings.Contains(got.Cause, "The ada") || strings.Contains(shown(p), "department") {
		t.Errorf("trace %+v, shown %q", got, shown(p))
	}
	users, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 10)
	if err != nil || len(users) != 0 {
		t.Errorf("a sign-in that failed left %d users, error %v", len(users), err)
	}
}

// What is saved through the API is checked like what is in pool.yaml: with the place and the reason.
func TestAFaultyExpressionIsRefusedByTheAPI(t *testing.T) {
	w, _ := servertest.StartExample(t)
	sent := map[string]string{"email": "[write=unedited] email", "name": "[cel]\n  join([claims.?given_name.orValue(\"\"), \"ü\"], ', ')", "username": "sub"}
	var saved struct {
		IdentityProvider struct{ AttributeMapping map[string]string }
	}
	update := map[string]any{"UserPoolId": servertest.PoolID, "ProviderName": "Corp", "AttributeMapping": sent}
	if w.Admin().Must("UpdateIdentityProvider", update, &saved); !maps.Equal(saved.IdentityProvider.AttributeMapping, sent) {
		t.Errorf("sent %q, saved %q", sent, saved.IdentityProvider.AttributeMapping)
	}
	a := w.Admin().Call("UpdateIdentityProvider", map[string]any{
		"UserPoolId": servertest.PoolID, "ProviderName": "Corp", "AttributeMapping": map[string]string{"email": "email", "name": "[cel] claims.a +\n clams.b"},
	})
	if a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "AttributeMapping[name]: line 2, column 2: undeclared reference to 'clams'") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
