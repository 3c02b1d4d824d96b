package pool_test

import (
	"testing"

	"github.com/weir-id/weir/federation/pool"
)

// A sign-in whose address is another local user's alias goes on, and takes no name away.
func TestASignInTakesNobodysAlias(t *testing.T) {
	f := newFixture(t)
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "aliases", AliasAttributes: []string{"email"}})
	if err != nil {
		t.Fatal(err)
	}
	corp, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: p.ID, Name: "Corp", Type: "OIDC",
		AttributeMapping: map[string]string{"email": "email", "email_verified": "email_verified"}})
	if err != nil {
		t.Fatal(err)
	}
	jane := create(t, f, p, "jane", attrs{"email": "jane@example.com", "email_verified": "true"})
	joe := create(t, f, p, "joe", attrs{"email": "joe@example.com", "email_verified": "true"})
	if err := link(t, f, p, "joe", "Corp", pool.SubjectAttribute, "A1"); err != nil {
		t.Fatal(err)
	}
	r, err := arrive(t, f, p, corp, "A1", attrs{"email": "jane@example.com", "email_verified": "true"})
	if err != nil || r.User.Sub != joe.Sub || r.User.Attributes["email"] != "jane@example.com" {
		t.Fatalf("%+v, %v", r, err)
	}
	if leads(t, f, p, "jane@example.com") != jane.Sub || leads(t, f, p, "joe@example.com") != "" {
		t.Error("the alias has moved, or one stayed behind")
	}
	if r, err = arrive(t, f, p, corp, "A1", attrs{"email": "joe@new.example", "email_verified": "true"}); err != nil || leads(t, f, p, "joe@new.example") != joe.Sub {
		t.Errorf("an address that is nobody's: %+v, %v", r, err)
	}
	// Users of providers have no names but their own.
	r, err = arrive(t, f, p, corp, "A2", attrs{"email": "eve@example.com", "email_verified": "true"})
	if err != nil || leads(t, f, p, "eve@example.com") != "" || leads(t, f, p, "corp_a2") != r.User.Sub {
		t.Errorf("%+v, %v", r, err)
	}
}

// What a provider says without vouching for it is no name to sign in with, also where people sign up with their addresses.
func TestASignInClaimsNoUnverifiedName(t *testing.T) {
	f := newFixture(t)
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "addresses", UsernameAttributes: []string{"email"}})
	if err != nil {
		t.Fatal(err)
	}
	corp, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: p.ID, Name: "Corp", Type: "OIDC",
		AttributeMapping: map[string]string{"email": "email", "email_verified": "email_verified"}})
	if err != nil {
		t.Fatal(err)
	}
	jane := create(t, f, p, "jane@example.com", nil)
	if err := link(t, f, p, "jane@example.com", "Corp", pool.SubjectAttribute, "A1"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		says  attrs
		leads string
	}{
		{attrs{"email": "JANE@example.com", "email_verified": "false"}, jane.Sub}, // the name that she has
		{attrs{"email": "victim@example.com", "email_verified": "false"}, ""},
		{attrs{"email": "victim@example.com"}, ""},
		{attrs{"email": "jane@new.example", "email_verified": "true"}, jane.Sub},
		{attrs{"email": "jane@new.example", "email_verified": "false"}, jane.Sub},
	} {
		r, err := arrive(t, f, p, corp, "A1", tt.says)
		if err != nil || r.User.Sub != jane.Sub {
			t.Fatalf("%v: %+v, %v", tt.says, r, err)
		}
		if got := leads(t, f, p, tt.says["email"]); got != tt.leads {
			t.Errorf("%v leads to %q", tt.says, got)
		}
	}
}
