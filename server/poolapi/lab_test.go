package poolapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/servertest"
)

// keeps sets Corp to keep assertions, and signs somebody in.
func (r *rig) keeps(who string) body {
	r.Helper()
	details := r.provider("Corp")["ProviderDetails"].(body)
	details["keep_assertions"], details["redact_assertions"] = "3", "name"
	r.must("UpdateIdentityProvider", inPool(body{"ProviderName": "Corp", "ProviderDetails": details}))
	r.signIn(who)
	return inPool(body{"ProviderName": "Corp"})
}

func labContracts() map[string]contract {
	return map[string]contract{
		"ListKeptAssertions": {
			in: func(r *rig) body { return r.keeps("ada") },
			check: func(r *rig, in, out body) {
				all := out["Assertions"].([]any)
				if len(all) != 1 {
					r.Fatalf("%v", out)
				}
				r.want(all[0].(body), body{"Number": 1.0, "Subject": "ada-0001", "UserSub": r.subOf("Corp_ada-0001")})
				if a := all[0].(body); a["Claims"] != nil || a["Date"] == nil || a["ExpirationDate"] == nil {
					r.Errorf("%v", a)
				}
				in["Number"] = 1
				one := r.must("ListKeptAssertions", in)["Assertions"].([]any)[0].(body)
				if claims := one["Claims"].(body); claims["email"] != "ada@corp.example" || claims["name"] != "redacted-1" {
					r.Errorf("%v", one)
				}
			},
			refusals: []refused{noProvider, notKept,
				{"nothing is kept of it", "ResourceNotFoundException", "its detail keep_assertions says how many", func(r *rig, in body) { r.partner(); in["ProviderName"] = "Partner" }}},
		},
		"TestAttributeMapping": {
			in: func(r *rig) body {
				in := r.keeps("ada")
				in["AttributeMapping"] = body{"email": "email", "name": "name", "nickname": "name", "given_name": "email"}
				return in
			},
			check: func(r *rig, in, out body) {
				r.want(out["Summary"].(body), body{"Assertions": 1.0, "People": 1.0, "Changed": 1.0, "Broken": 0.0})
				got := map[string]body{}
				for _, a := range out["Assertions"].([]any)[0].(body)["Attributes"].([]any) {
					got[a.(body)["Name"].(string)] = a.(body)
				}
				r.want(got["given_name"], body{"After": "ada@corp.example", "Change": "ADDED", "Rule": "email", "Outcome": "written"})
				r.want(got["email"], body{"Before": "ada@corp.example", "After": "ada@corp.example", "Change": "NONE"})
				r.want(got["name"], body{"Change": "NONE"})
				r.want(got["nickname"], body{"Change": "UNKNOWN"})
				if u := r.must("AdminGetUser", inPool(body{"Username": "Corp_ada-0001"})); strings.Contains(r.call("AdminGetUser", inPool(body{"Username": "Corp_ada-0001"})).Body, "given_name") {
					r.Errorf("the user was written to: %v", u)
				}
				in["AttributeMapping"] = body{"email": "name"}
				in["Claims"] = body{"sub": "ada-0001", "name": "no address"}
				broken := r.must("TestAttributeMapping", in)
				r.want(broken["Summary"].(body), body{"Broken": 1.0})
				in["Subject"] = "somebody-else"
				r.want(r.must("TestAttributeMapping", in)["Assertions"].([]any)[0].(body), body{"Finds": "NOBODY", "Subject": "somebody-else"})
			},
			refusals: []refused{noProvider, notKept,
				{"a faulty rule", "InvalidParameterException", "undeclared reference", func(_ *rig, in body) { in["AttributeMapping"] = body{"email": "[cel] nothing.email"} }},
				{"an attribute that is not there", "InvalidParameterException", "not in the schema", func(_ *rig, in body) { in["AttributeMapping"] = body{"email": "email", "custom:none": "x"} }},
				{"a detail that is no rule", "InvalidParameterException", "ProviderDetails.client_secret is no part of the rules", func(_ *rig, in body) { in["ProviderDetails"] = body{"client_secret": "x"} }},
				{"a faulty group rule", "InvalidParameterException", "group_rules", func(_ *rig, in body) { in["ProviderDetails"] = body{"group_claim": "groups", "group_rules": "x y z"} }},
				{"claims that are no object", "InvalidParameterException", "one JSON object", func(_ *rig, in body) { in["Claims"] = []any{} }},
				{"claims and a number", "InvalidParameterException", "Give Claims, or the Number", func(_ *rig, in body) { in["Claims"], in["Number"] = body{}, 1 }},
				{"a subject of nothing", "InvalidParameterException", "give both", func(_ *rig, in body) { in["Subject"] = "x" }},
				{"very large claims", "InvalidParameterException", "at most", func(_ *rig, in body) { in["Claims"] = body{"x": strings.Repeat("x", 300_000)} }},
			},
		},
	}
}

var notKept = refused{"no such number", "ResourceNotFoundException", "No assertion of that number is kept", func(_ *rig, in body) { in["Number"] = 99 }}

// What is kept is personal: a key of another pool does not see it, nor one that may only read, nor anybody without a key.
func TestKeptAssertionsAreForTheirPoolsKeys(t *testing.T) {
	keys := map[string]sigv4.Key{}
	for name, k := range map[string]sigv4.Key{
		"another pool's": {Allow: []string{"*"}, Pools: []string{servertest.OtherPool}},
		"one that may describe and list as the original": {Allow: []string{"Describe*", "AdminGet*"}},
		"one that may list": {Allow: []string{"ListKeptAssertions"}},
	} {
		k.ID, k.Secret = "KEY"+strings.ToUpper(strings.Map(letters, name)), secret.New("the secret of the key "+name)
		keys[name] = k
	}
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		for _, k := range keys {
			o.AdminKeys = append(o.AdminKeys, k)
		}
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["keep_assertions"] = secret.New("3")
	})
	w.Web().Login(w.Browser(), servertest.As("ada"))
	in := body{"UserPoolId": servertest.PoolID, "ProviderName": "Corp"}
	for name, k := range keys {
		api := &servertest.API{Weir: w, Key: k, HTTP: w.Client()}
		for _, operation := range []string{"ListKeptAssertions", "TestAttributeMapping"} {
			ans := api.Call(operation, in)
			may := name == "one that may list" && operation == "ListKeptAssertions"
			if (ans.Status == http.StatusOK) != may || !may && strings.Contains(ans.Body, "ada") {
				t.Errorf("%s, %s: %d %s", name, operation, ans.Status, ans.Body)
			}
		}
	}
	for _, operation := range []string{"ListKeptAssertions", "TestAttributeMapping"} {
		if ans := w.Anybody().Call(operation, in); ans.Status == http.StatusOK || strings.Contains(ans.Body, "ada") {
			t.Errorf("nobody's, %s: %d %s", operation, ans.Status, ans.Body)
		}
	}
	refusals := 0
	for _, e := range w.Events.Take() {
		if _, is := e.(audit.APIRefused); is {
			refusals++
		}
	}
	if refusals != 7 {
		t.Errorf("%d refusals are in the audit stream", refusals)
	}
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

// Hostile claims cost nothing but their answer.
func TestHostileClaimsAreOnlyRead(t *testing.T) {
	r := newRig(t)
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	for name, tt := range map[string]struct {
		claims string
		status int
	}{
		"deep":                {`{"sub":"ada-0001","email":` + deep + `}`, http.StatusOK},
		"deeper":              {`{"sub":"ada-0001","email":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, http.StatusBadRequest},
		"terminal escapes":    {`{"sub":"\u001b]0;x\u0007","email":"\u001b[2J\u202e@example.com"}`, http.StatusOK},
		"a long subject":      {`{"sub":"` + strings.Repeat("s", 100_000) + `","email":"a@example.com"}`, http.StatusOK},
		"no text":             {`{"sub":"\u0000","email":"a@example.com"}`, http.StatusOK},
		"a number as the sub": {`{"sub":1e400,"email":"a@example.com"}`, http.StatusOK},
	} {
		r.Engine.Reset()
		ans := r.admin.Call("TestAttributeMapping", `{"UserPoolId":"`+servertest.PoolID+`","ProviderName":"Corp","Claims":`+tt.claims+`}`)
		if ans.Status != tt.status || r.Engine.Writes() != 0 {
			t.Errorf("%s: %d %.300s, %d writes", name, ans.Status, ans.Body, r.Engine.Writes())
		}
	}
	if users := r.must("ListUsers", inPool(body{}))["Users"]; len(users.([]any)) != 0 {
		t.Errorf("there are users: %v", users)
	}
}
