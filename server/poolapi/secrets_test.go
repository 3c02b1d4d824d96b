package poolapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// What callers send in confidence is in no answer to a refusal, in no log, audit event or trace, whether it is right, wrong or malformed.
func TestNothingTellsASecret(t *testing.T) {
	r := newRig(t)
	tokens := r.signIn("ada")
	refresh, access := tokens.Text("refresh_token"), tokens.Text("access_token")
	mark := func(s string) string { return "hush-" + s + "-Hush1!" }
	details := func(change body) body {
		return inPool(body{"ProviderName": "Fresh", "ProviderType": "OIDC", "ProviderDetails": merged(explicit(), change)})
	}
	right, wrong := []string{refresh, access, servertest.WebSecret, mark("temporary"), mark("provider")}, map[string]body{
		"AdminCreateUser":           inPool(body{"Username": "grace", "MessageAction": "SUPPRESS", "TemporaryPassword": mark("with a space")}),
		"AddUserPoolClientSecret":   inPool(body{"ClientId": servertest.WebClient, "ClientSecret": mark("short")}),
		"CreateUserPoolClient":      inPool(body{"ClientName": "c", "ClientSecret": mark("short"), "GenerateSecret": true}),
		"CreateIdentityProvider":    details(body{"client_secret": mark("padded") + " ", "oidc_issuer": "https://user:" + mark("issuer") + "@idp.example.com"}),
		"UpdateIdentityProvider":    inPool(body{"ProviderName": "Corp", "ProviderDetails": merged(explicit(), body{"token_url": mark("url"), "unknown": mark("value")})}),
		"InitiateAuth":              {"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": servertest.WebClient, "AuthParameters": body{"REFRESH_TOKEN": mark("refresh"), "SECRET_HASH": mark("hash")}},
		"GetTokensFromRefreshToken": {"ClientId": servertest.WebClient, "ClientSecret": strings.ReplaceAll(mark("client"), "-", "_"), "RefreshToken": refresh},
		"RevokeToken":               {"ClientId": servertest.WebClient, "ClientSecret": servertest.WebSecret, "Token": refresh},
		"GetUser":                   {"AccessToken": strings.ReplaceAll(mark("access"), "!", "")},
		"UpdateUserAttributes":      {"AccessToken": access, "UserAttributes": []any{body{"Name": "email", "Value": mark("address")}}},
		"AdminUpdateUserAttributes": inPool(body{"Username": "Corp_ada-0001", "UserAttributes": []any{body{"Name": "email", "Value": mark("address")}}}),
		"ListUsers":                 inPool(body{"Filter": `email = "` + mark("filter")}),
		"SignUp":                    {"ClientId": servertest.SPAClient, "Username": "grace", "Password": mark("password")},
	}
	r.must("AdminCreateUser", inPool(body{"Username": "hopper", "MessageAction": "SUPPRESS", "TemporaryPassword": mark("temporary")}))
	r.must("CreateIdentityProvider", details(body{"client_secret": mark("provider"), "oidc_issuer": "https://idp.example.com"}))
	for name, in := range wrong {
		ans := r.call(name, in)
		if ans.Status == http.StatusOK {
			t.Errorf("%s is no refusal: %s", name, ans.Body)
		}
		if headers, _ := json.Marshal(ans.Header); strings.Contains(strings.ToLower(ans.Body+string(headers)), "hush") {
			t.Errorf("%s tells: %s %s", name, ans.Body, headers)
		}
	}
	r.Engine.SetDown(true)
	for name, in := range wrong {
		r.call(name, in)
	}
	r.Engine.SetDown(false)
	traces, err := r.Traces.Newest(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(traces)
	if err != nil {
		t.Fatal(err)
	}
	events, err := json.Marshal(r.Events.Take())
	if err != nil || len(events) < 100 {
		t.Fatalf("%s, %v", events, err)
	}
	for where, text := range map[string]string{"the log": r.Log.Text(), "a trace": string(kept), "an event": string(events)} {
		for _, secret := range append(right, "hush", "Hush", "HUSH") {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s tells: %s", where, text[max(0, i-300):min(len(text), i+100)])
			}
		}
	}
}
