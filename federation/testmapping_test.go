package federation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/lab"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// try tests rules on what is kept of Corp, and checks that nothing is written.
func try(t *testing.T, w *servertest.Weir, rules map[string]string) api.TestAttributeMappingResponse {
	t.Helper()
	w.Engine.Reset()
	r, err := w.Broker.TestMapping(t.Context(), federation.MappingTest{PoolID: servertest.PoolID, Provider: "Corp", Rules: rules})
	if err != nil || w.Engine.Writes() != 0 {
		t.Fatalf("%v; written: %s", err, w.Engine.Written())
	}
	return r
}

func lines(r api.TestAttributeMappingResponse) string { return strings.Join(r.Summary.Lines, "\n") }

// The summary says who gains, who loses and who is kept out, and of one person the newest assertion counts.
func TestAMappingIsTriedOnEverybody(t *testing.T) {
	w, up := servertest.StartExample(t, keepsAssertions("10"))
	web := w.Web()
	for _, who := range []string{"ada", "bob", "eve", "ada"} {
		web.Login(w.Browser(), servertest.As(who))
	}
	live := map[string]string{"email": "email", "email_verified": "email_verified", "name": "name"}
	if got := lines(try(t, w, nil)); got != "no change for 4" {
		t.Errorf("live:\n%s", got)
	}
	if got := lines(try(t, w, live)); got != "no change for 4" {
		t.Errorf("the same:\n%s", got)
	}
	got := lines(try(t, w, map[string]string{"email": `[cel, absent=clear] claims.email_verified ? claims.email : ""`, "email_verified": "email_verified", "name": "[list=first] name", "nickname": "name"}))
	if want := "1 user loses attribute email\n1 user loses attribute email_verified\n3 users gain attribute nickname"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r := try(t, w, map[string]string{"email": `[cel] claims.email.endsWith("@corp.example") ? claims.email : "none"`, "name": "name"})
	if got := lines(r); got != "1 sign-in that works would fail: attribute email: The value must be an e-mail address.\nno change for 3" ||
		*r.Summary.Broken != 1 || *r.Summary.People != 3 {
		t.Errorf("got\n%s", got)
	}
	// What the live rules stand in the way of, others may let through.
	up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["email"] = "ada(at)corp.example" }, UserInfo: func(c map[string]any) { c["email"] = "ada(at)corp.example" }})
	if p := w.Browser().SignIn(web.Authorize(), ada); p.Params().Get("code") != "" {
		t.Fatal("signed in")
	}
	repaired := map[string]string{"email": `[cel] claims.email.replace("(at)", "@")`, "email_verified": "email_verified", "name": "name"}
	if r := try(t, w, repaired); r.Assertions[0].Result != lab.Repaired || lines(r) != "1 sign-in that failed would work\nno change for 4" {
		t.Errorf("repaired: %+v\n%s", r.Assertions[0], lines(r))
	}
	if r := try(t, w, nil); r.Assertions[0].Result != lab.Failing || *r.Summary.Broken != 0 {
		t.Errorf("failing: %+v", r.Assertions[0])
	}
}

// A value that is not kept makes nobody fail and nothing change: it cannot be told.
func TestWhatIsRedactedCannotBeTold(t *testing.T) {
	w, _ := servertest.StartExample(t, keepsAssertions("10", pool.DetailRedactAssertions, "email name"))
	w.Web().Login(w.Browser(), ada)
	change := func(r api.TestAttributeMappingResponse) map[string]string {
		out := map[string]string{}
		for _, a := range r.Assertions[0].Attributes {
			out[a.Name] = a.Change
		}
		return out
	}
	live := map[string]string{"email": "email", "email_verified": "email_verified", "name": "name"}
	for name, tt := range map[string]struct {
		rules  map[string]string
		result string
		want   map[string]string
	}{
		"live rules, on what is stored":              {nil, lab.Unknown, map[string]string{"email": "UNKNOWN", "name": "UNKNOWN"}},
		"the same rules":                             {live, lab.Unchanged, map[string]string{"email": "NONE", "name": "NONE", "email_verified": "NONE"}},
		"another redacted claim":                     {map[string]string{"email": "email", "email_verified": "email_verified", "name": "email"}, lab.Changed, map[string]string{"name": "CHANGED", "email": "NONE"}},
		"a claim that is kept":                       {map[string]string{"email": "email", "email_verified": "email_verified", "name": "sub"}, lab.Unknown, map[string]string{"name": "UNKNOWN"}},
		"a value that fails, made of a redacted one": {map[string]string{"email": "name"}, lab.Unknown, map[string]string{}},
		"one that fails of what is kept":             {map[string]string{"email": "sub"}, lab.Broken, map[string]string{}},
	} {
		r := try(t, w, tt.rules)
		if r.Assertions[0].Result != tt.result {
			t.Errorf("%s: %s\n%+v", name, r.Assertions[0].Result, r.Assertions[0])
		}
		got := change(r)
		for attribute, want := range tt.want {
			if got[attribute] != want {
				t.Errorf("%s: %s is %s, want %s", name, attribute, got[attribute], want)
			}
		}
	}
}

// Group rules are tried as those of attributes are, and what is lost is said first.
func TestGroupRulesAreTried(t *testing.T) {
	const rules = "admins <- exact \"Admins\"\nstaff <- prefix \"Staff\"\n"
	start := func(t *testing.T, redact string) *servertest.Weir {
		w, up := servertest.StartExample(t, keepsAssertions("10", "group_claim", "groups", "group_rules", rules, pool.DetailRedactAssertions, redact), func(o *servertest.Options) {
			o.Spec.UserPools[0].Groups = []pool.GroupSpec{{GroupName: "admins"}, {GroupName: "staff"}, {GroupName: "guests"}}
		})
		up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["groups"] = []any{"Admins", "Staff of " + c["sub"].(string)} }})
		for _, who := range []string{"ada", "bob", "eve"} {
			w.Web().Login(w.Browser(), servertest.As(who))
		}
		return w
	}
	test := func(w *servertest.Weir, details pool.Details) api.TestAttributeMappingResponse {
		t.Helper()
		w.Engine.Reset()
		r, err := w.Broker.TestMapping(t.Context(), federation.MappingTest{PoolID: servertest.PoolID, Provider: "Corp", Details: details})
		if err != nil || w.Engine.Writes() != 0 {
			t.Fatalf("%v; written: %s", err, w.Engine.Written())
		}
		return r
	}
	other := pool.Details{"group_claim": secret.New("groups"), "group_rules": secret.New("guests <- exact \"Admins\"\nstaff <- prefix \"Staff\"\nnowhere <- exact \"Admins\"\n")}
	w := start(t, "")
	if got := lines(test(w, nil)); got != "no change for 3" {
		t.Errorf("live:\n%s", got)
	}
	r := test(w, other)
	if got := lines(r); got != "3 users gain group guests\n3 users lose group admins" {
		t.Errorf("other rules:\n%s", got)
	}
	groups := map[string]api.TestedGroupType{}
	for _, g := range r.Assertions[0].Groups {
		groups[g.GroupName] = g
	}
	if g := groups["guests"]; g.Change != lab.Added || !strings.Contains(g.Rule, "guests <- exact") || !strings.Contains(g.Why, "for Admins") {
		t.Errorf("%+v", g)
	}
	if g := groups["nowhere"]; g.Change != lab.None || !strings.Contains(g.Why, "no group of this name") {
		t.Errorf("%+v", g)
	}
	if got := lines(test(w, pool.Details{})); got != "3 users lose group admins\n3 users lose group staff" {
		t.Errorf("no rules:\n%s", got)
	}
	if _, err := w.Broker.TestMapping(t.Context(), federation.MappingTest{PoolID: servertest.PoolID, Provider: "Corp", Details: pool.Details{"group_rules": secret.New("nonsense")}}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("faulty rules: %v", err)
	}
	if got := lines(test(start(t, "groups"), other)); got != "3 sign-ins cannot be told: a value is not kept" {
		t.Errorf("redacted:\n%s", got)
	}
}

func TestGivenClaims(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web := w.Web()
	web.Login(w.Browser(), ada)
	test := func(claims mapping.Claims, subject string) api.TestedAssertionType {
		t.Helper()
		r, err := w.Broker.TestMapping(t.Context(), federation.MappingTest{PoolID: servertest.PoolID, Provider: "Corp", Given: federation.GivenClaims(claims, subject)})
		if err != nil {
			t.Fatal(err)
		}
		return r.Assertions[0]
	}
	if a := test(mapping.Claims{"sub": "ada-0001", "email": "ada@corp.example", "email_verified": true, "name": "The ada"}, ""); a.Result != lab.Unchanged || a.Finds != "USER" || a.Number != nil {
		t.Errorf("%+v", a)
	}
	if a := test(mapping.Claims{"email": "x@corp.example"}, ""); a.Result != lab.Changed || a.Finds != "NOBODY" || a.Subject != "" {
		t.Errorf("%+v", a)
	}
	if a := test(mapping.Claims{"sub": "ada-0001", "email": "none"}, "ada-0001"); a.Result != lab.Failing || a.FaultAfter == nil {
		t.Errorf("%+v", a)
	}
	for name, test := range map[string]federation.MappingTest{
		"no such pool":     {PoolID: "local_Nowhere01", Provider: "Corp"},
		"no such provider": {PoolID: servertest.PoolID, Provider: "Nobodys"},
		"nothing is kept":  {PoolID: servertest.PoolID, Provider: "Corp"},
	} {
		if _, err := w.Broker.TestMapping(t.Context(), test); fault.CodeOf(err) != fault.NotFound || errors.Is(err, federation.ErrNotKept) != (name == "nothing is kept") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.Broker.TestMapping(t.Context(), federation.MappingTest{PoolID: servertest.PoolID, Provider: "Corp", Rules: map[string]string{"email": "[cel] x", "custom:y": "z"}})
	var ps pool.Problems
	if !errors.As(err, &ps) || len(ps) != 2 || !slices.ContainsFunc(ps, func(p pool.Problem) bool { return p.Path == "AttributeMapping[email]" }) {
		t.Errorf("faulty rules: %v", err)
	}
}

func TestReadClaims(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":12345678901234567890}`: "12345678901234567890", " {\"a\":\"x\"}\n": "x", "e30.eyJhIjoieSJ9.c2ln": "y",
		"": "", "{}{}": "", "[]": "", "null": "", `"x"`: "", "a.b.c": "", "e30.W10.x": "", "{": "",
	} {
		claims, checks, err := federation.ReadClaims([]byte(text))
		if want == "" {
			if text != "{}" && fault.CodeOf(err) != fault.Invalid {
				t.Errorf("%q: %v, %v", text, claims, err)
			}
			continue
		}
		if err != nil || federationText(claims["a"]) != want || (len(checks) == 1) != strings.HasPrefix(text, "e30") {
			t.Errorf("%q: %v, %v, %v", text, claims, checks, err)
		}
	}
}

func federationText(v any) string {
	if s, ok := v.(interface{ String() string }); ok {
		return s.String()
	}
	s, _ := v.(string)
	return s
}
