package pool_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// ruled signs in as the identity with what its rules make of claims, as the broker does.
func ruled(t *testing.T, f *fixture, p pool.Pool, ip pool.IdentityProvider, claims mapping.Claims) (pool.SignInResult, error) {
	t.Helper()
	rules, err := mapping.Compile(ip.AttributeMapping)
	if err != nil {
		t.Fatal(err)
	}
	return f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Issuer: "https://idp.example.com", Subject: "1", Exact: rules.Texts(claims),
		Map: func(in mapping.Input) (mapping.Result, error) {
			in.Claims, in.Provider = claims, mapping.Provider{Name: ip.Name, Type: ip.Type}
			r := rules.Evaluate(in)
			return r, r.Err()
		}})
}

func TestRulesWriteOntoTheUserThatIsThere(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	ip.AttributeMapping = map[string]string{
		"email": "[write=unedited] email", "email_verified": "email_verified", "name": "[write=unedited] name", "nickname": "[write=first] name", "locale": "[write=empty] locale",
		"zoneinfo": "[absent=clear] zone", "profile": `[cel] "was " + user.?name.orValue("nobody")`,
	}
	step := func(what string, claims mapping.Claims, edited []string, want attrs) pool.SignInResult {
		t.Helper()
		r, err := ruled(t, f, p, ip, claims)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		u, err := f.User(t.Context(), p.ID, r.User.Sub)
		if err != nil || !maps.Equal(u.Attributes, want) || !slices.Equal(u.Edited, edited) || !maps.Equal(r.User.Attributes, want) {
			t.Errorf("%s: attributes\n%v, want\n%v; edited %q, want %q; error %v", what, u.Attributes, want, u.Edited, edited, err)
		}
		return r
	}
	claims := mapping.Claims{"email": "a@example.com", "email_verified": true, "name": "Ada", "locale": "en", "zone": "Europe/London"}
	want := attrs{"email": "a@example.com", "email_verified": "true", "name": "Ada", "nickname": "Ada", "locale": "en", "zoneinfo": "Europe/London", "profile": "was nobody"}
	sub := step("first", claims, nil, want).User.Sub

	claims["name"], claims["locale"] = "Ada L", "de"
	delete(claims, "zone")
	delete(want, "zoneinfo")
	want["name"], want["profile"] = "Ada L", "was Ada"
	step("second", claims, nil, want)
	want["profile"] = "was Ada L"
	step("third", claims, nil, want)
	if r := step("nothing new", claims, nil, want); len(r.Changed) != 0 {
		t.Errorf("an equal value was written: %q", r.Changed)
	}

	if _, err := f.UpdateAttributes(t.Context(), p.ID, sub, attrs{"name": "Admin's", "email": "admin@example.com", "email_verified": "true"}); err != nil {
		t.Fatal(err)
	}
	want["name"], want["email"], want["profile"] = "Admin's", "admin@example.com", "was Admin's"
	// email_verified is the provider's word about a@example.com, and says nothing about the administrator's address.
	claims["email_verified"] = false
	step("after an administrator", claims, []string{"email", "name"}, want)

	if _, err := f.DeleteAttributes(t.Context(), p.ID, sub, []string{"name"}); err != nil {
		t.Fatal(err)
	}
	delete(want, "name")
	want["profile"] = "was nobody"
	step("taken away by an administrator", claims, []string{"email", "name"}, want)

	c, err := f.CreateClientFrom(t.Context(), p.ID, pool.ClientSpec{ClientName: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.UpdateOwnAttributes(t.Context(), c, sub, attrs{"name": "Mine"}); err != nil {
		t.Fatal(err)
	}
	want["name"], want["profile"] = "Ada L", "was Mine"
	step("after the person", claims, []string{"email"}, want)
}

func TestRulesThatFailEndTheSignInAndWriteNothing(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t, pool.SchemaSpec{Name: "level", AttributeDataType: "Number", Mutable: new(true), NumberAttributeConstraints: &pool.NumberConstraint{MaxValue: "9"}})
	ip.AttributeMapping = map[string]string{"email": "email", "name": "name", "custom:level": "[cel] claims.level + 1"}
	r, err := ruled(t, f, p, ip, mapping.Claims{"email": "a@example.com", "name": "Ada", "level": 1.0})
	if err != nil || r.User.Attributes["custom:level"] != "2" {
		t.Fatalf("%v, error %v", r.User.Attributes, err)
	}
	_, err = ruled(t, f, p, ip, mapping.Claims{"email": "b@example.com", "name": "Eve"})
	var failed *mapping.Error
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), `attribute "custom:level" from "[cel] claims.level + 1": line 1, column 13: a claim or key is absent`) {
		t.Errorf("error %v", err)
	}
	_, err = ruled(t, f, p, ip, mapping.Claims{"email": "b@example.com", "name": "Eve", "level": 100.0})
	if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), `attribute "custom:level" from "[cel] claims.level + 1"`) || strings.Contains(fault.PublicOf(err), "claims.level") {
		t.Errorf("error %v", err)
	}
	u, err := f.User(t.Context(), p.ID, r.User.Sub)
	if err != nil || !maps.Equal(u.Attributes, r.User.Attributes) {
		t.Errorf("half a mapping was written: %v, error %v", u.Attributes, err)
	}
}

func TestNobodyIsLinkedByWhatARuleMakesOfClaims(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	ip, err := f.ChangeProvider(t.Context(), p.ID, ip.Name, pool.ProviderChange{AttributeMapping: map[string]string{"email": "email", "name": "[cel] claims.name.lower()", "nickname": "[write=first] nick"}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jane", Attributes: attrs{"email": "jane@example.com"}})
	if err != nil || !slices.Equal(made.User.Edited, []string{"email"}) {
		t.Fatalf("edited %q, error %v", made.User.Edited, err)
	}
	for _, attribute := range []string{"name", "nickname", "[cel] claims.name.lower()", "[write=first] nick"} {
		if _, _, err := f.LinkProvider(t.Context(), p.ID, "jane", pool.Source{Provider: ip.Name, Attribute: attribute, Value: "jane"}); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v", attribute, err)
		}
	}
}
