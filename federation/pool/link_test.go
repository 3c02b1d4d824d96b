package pool_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// linking is a pool with a provider of each type and two local users.
func linking(t *testing.T) (f *fixture, p pool.Pool, corp pool.IdentityProvider, jane, joe pool.User) {
	t.Helper()
	f = newFixture(t)
	p, corp = f.withPool(t, pool.SchemaSpec{Name: "employee"})
	corp.AttributeMapping = map[string]string{"email": "email", "email_verified": "email_verified", "custom:employee": "employee_id", "name": "=Somebody", "username": "sub"}
	corp, err := f.UpdateProvider(t.Context(), corp)
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []pool.IdentityProvider{{Name: "Google", Type: "Google"}, {Name: "Other", Type: "OIDC", AttributeMapping: corp.AttributeMapping}} {
		ip.PoolID = p.ID
		if _, err := f.CreateProvider(t.Context(), ip); err != nil {
			t.Fatal(err)
		}
	}
	return f, p, corp, create(t, f, p, "jane", attrs{"email": "jane@example.com"}), create(t, f, p, "joe", nil)
}

func link(t *testing.T, f *fixture, p pool.Pool, name, provider, attribute, value string) error {
	t.Helper()
	_, _, err := f.LinkProvider(t.Context(), p.ID, name, pool.Source{Provider: provider, Attribute: attribute, Value: value})
	return err
}

// arrive signs in through Corp with claims that are texts; the mapped attributes are the same.
func arrive(t *testing.T, f *fixture, p pool.Pool, ip pool.IdentityProvider, subject string, exact attrs) (pool.SignInResult, error) {
	t.Helper()
	return f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: subject, Attributes: exact, Exact: exact})
}

func TestLinksBySubject(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	if err := link(t, f, p, "JANE", "Corp", pool.SubjectAttribute, "A1"); err != nil {
		t.Fatal(err)
	}
	r, err := arrive(t, f, p, corp, "A1", attrs{"email": "jane@corp.example"})
	if err != nil || r.Created || r.User.Sub != jane.Sub || r.User.Username != "jane" || r.User.Status != pool.StatusForceChange {
		t.Fatalf("%+v, %v", r, err)
	}
	want := pool.LinkedIdentity{Provider: "Corp", ProviderType: "OIDC", Issuer: "https://idp.example", Subject: "A1", Created: f.clock.Now()}
	if len(r.User.Identities) != 1 || !reflect.DeepEqual(r.User.Identities[0], want) {
		t.Errorf("%+v", r.User.Identities)
	}
	if n := f.writes(func() { _, err = arrive(t, f, p, corp, "A1", attrs{"email": "jane@corp.example"}) }); err != nil || n != 0 {
		t.Errorf("a returning user costs %d writes, %v", n, err)
	}
	// Subjects have an exact case: this is somebody else.
	if r, err := arrive(t, f, p, corp, "a1", nil); err == nil && !r.Created {
		t.Error("another subject is the same person")
	}
}

func TestLinksThatAreRefused(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	own, err := arrive(t, f, p, corp, "OWN", attrs{"email": "own@corp.example", "custom:employee": "7"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][2]string{{pool.SubjectAttribute, "A1"}, {"custom:employee", "8"}} {
		if err := link(t, f, p, "jane", "Corp", s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		user, provider, attribute, value string
		code                             fault.Code
		sentinel                         error
	}{
		"again":                       {"jane", "Corp", pool.SubjectAttribute, "A1", fault.Invalid, pool.ErrLinked},
		"again by a claim":            {"jane", "Corp", "custom:employee", "8", fault.Invalid, pool.ErrLinked},
		"again by the claim's name":   {"jane", "Corp", "employee_id", "8", fault.Invalid, pool.ErrLinked},
		"somebody else's":             {"joe", "Corp", pool.SubjectAttribute, "A1", fault.Invalid, pool.ErrSignedUp},
		"somebody else's claim":       {"joe", "Corp", "custom:employee", "8", fault.Conflict, pool.ErrAliasExists},
		"who has signed in":           {"jane", "Corp", pool.SubjectAttribute, "OWN", fault.Invalid, pool.ErrSignedUp},
		"who has signed in, by claim": {"jane", "Corp", "email", "own@corp.example", fault.Invalid, pool.ErrSignedUp},
		"the same, by custom one":     {"jane", "Corp", "custom:employee", "7", fault.Invalid, pool.ErrSignedUp},
		"a social one by claim":       {"jane", "Google", "email", "x@example.com", fault.Invalid, nil},
		"a flag":                      {"jane", "Corp", "email_verified", "true", fault.Invalid, nil},
		"a constant":                  {"jane", "Corp", "name", "Somebody", fault.Invalid, nil},
		"the subject by its claim":    {"jane", "Corp", "username", "A2", fault.Invalid, nil},
		"what is not mapped":          {"jane", "Corp", "family_name", "x", fault.Invalid, nil},
		"no attribute":                {"jane", "Corp", "", "x", fault.Invalid, nil},
		"no value":                    {"jane", "Corp", "email", "", fault.Invalid, nil},
		"no subject":                  {"jane", "Corp", pool.SubjectAttribute, "", fault.Invalid, nil},
		"a local one":                 {"jane", "Cognito", pool.SubjectAttribute, "joe", fault.Invalid, nil},
		"no provider":                 {"jane", "Nobody", pool.SubjectAttribute, "x", fault.NotFound, nil},
		"no user":                     {"nobody", "Corp", pool.SubjectAttribute, "x", fault.NotFound, pool.ErrNoUser},
	} {
		t.Run(name, func(t *testing.T) {
			err := link(t, f, p, tt.user, tt.provider, tt.attribute, tt.value)
			wantCode(t, err, tt.code)
			if tt.sentinel != nil && !errors.Is(err, tt.sentinel) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := link(t, f, p, "jane", "Corp", pool.SubjectAttribute, "OWN"); fault.PublicOf(err) != "Merging is not currently supported, provide a SourceUser that has not been signed up in order to link" {
		t.Error(err)
	}
	for i := range 3 {
		if err := link(t, f, p, "jane", "Google", pool.SubjectAttribute, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range [][2]string{{pool.SubjectAttribute, "A6"}, {"custom:employee", "9"}} {
		if err := link(t, f, p, "jane", "Corp", s[0], s[1]); !errors.Is(err, pool.ErrLimit) {
			t.Errorf("a sixth identity: %v", err)
		}
	}
	u, err := f.UpdateUser(t.Context(), p.ID, jane.Sub, func(u *pool.User) error { u.Links[0].Value, u.Identities = "x", nil; return nil })
	if err != nil || len(u.Links) != 1 || u.Links[0].Value != "8" || len(u.Identities) != 4 {
		t.Errorf("%+v, %v", u, err)
	}
	if again, err := f.User(t.Context(), p.ID, own.User.Sub); err != nil || len(again.Identities) != 1 {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestLinksByAClaim(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	if err := link(t, f, p, "jane", "Corp", "custom:employee", "E-8"); err != nil {
		t.Fatal(err)
	}
	other, err := f.Provider(t.Context(), p.ID, "Other")
	if err != nil {
		t.Fatal(err)
	}
	stranger := func(what string, r pool.SignInResult, err error) {
		t.Helper()
		if err != nil || !r.Created || r.User.Sub == jane.Sub || r.Matched != "" {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	r, err := arrive(t, f, p, other, "1", attrs{"custom:employee": "E-8"})
	stranger("the same value at another provider", r, err)
	r, err = arrive(t, f, p, corp, "1", attrs{"custom:employee": "e-8"})
	stranger("another case", r, err)
	r, err = arrive(t, f, p, corp, "2", attrs{"email": "E-8@example.com", "name": "E-8"})
	stranger("another claim", r, err)
	r, err = f.SignIn(t.Context(), p, pool.SignIn{Provider: corp, Subject: "3", Attributes: attrs{"custom:employee": "E-8"}})
	stranger("a value that was no single text", r, err)
	moved := corp
	moved.AttributeMapping = map[string]string{"custom:employee": "nickname"}
	r, err = arrive(t, f, p, moved, "4", attrs{"custom:employee": "E-8"})
	stranger("another claim in the same attribute", r, err)

	f.clock.Add(1000)
	r, err = arrive(t, f, p, corp, "S-1", attrs{"custom:employee": "E-8", "email": "jane@corp.example"})
	if err != nil || r.Created || r.User.Sub != jane.Sub || r.Matched != "employee_id" || len(r.User.Links) != 0 || r.User.Attributes["email"] != "jane@corp.example" {
		t.Fatalf("%+v, %v", r, err)
	}
	if id := r.User.Identities[0]; id.Subject != "S-1" || id.Primary || id.Issuer != "https://idp.example" {
		t.Errorf("%+v", id)
	}
	// It is the subject's from now on, with whatever claims, and nobody else's with that claim.
	if r, err := arrive(t, f, p, corp, "S-1", attrs{"custom:employee": "E-9"}); err != nil || r.User.Sub != jane.Sub {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = arrive(t, f, p, corp, "S-2", attrs{"custom:employee": "E-8"})
	stranger("a second one with the claim", r, err)
	// A disabled user is not signed in by a link either, and keeps it.
	if err := link(t, f, p, "joe", "Corp", "custom:employee", "E-joe"); err != nil {
		t.Fatal(err)
	}
	joe, err := f.UserByUsername(t.Context(), p.ID, "joe")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.EnableUser(t.Context(), p.ID, joe.Sub, false); err != nil {
		t.Fatal(err)
	}
	_, err = arrive(t, f, p, corp, "S-joe", attrs{"custom:employee": "E-joe"})
	wantCode(t, err, fault.Denied)
}

// An identity that two users wait for by different claims is nobody's until an administrator decides.
func TestTwoUsersWaitForOneIdentity(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	for name, s := range map[string][2]string{"jane": {"custom:employee", "E-8"}, "joe": {"email", "x@corp.example"}} {
		if err := link(t, f, p, name, "Corp", s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	claims := attrs{"custom:employee": "E-8", "email": "x@corp.example"}
	var err error
	n := f.writes(func() { _, err = arrive(t, f, p, corp, "S-1", claims) })
	wantCode(t, err, fault.Conflict)
	if !errors.Is(err, pool.ErrAmbiguous) || n != 0 {
		t.Errorf("%v, %d writes", err, n)
	}
	if _, err := f.UnlinkProvider(t.Context(), p.ID, pool.Source{Provider: "Corp", Attribute: "email", Value: "x@corp.example"}); err != nil {
		t.Fatal(err)
	}
	if r, err := arrive(t, f, p, corp, "S-1", claims); err != nil || r.User.Sub != jane.Sub {
		t.Errorf("%+v, %v", r, err)
	}
}

// Two claims that one user waits with are one identity, and both are used up.
func TestOneUserWaitsWithTwoClaims(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	for _, s := range [][2]string{{"custom:employee", "E-8"}, {"email", "x@corp.example"}} {
		if err := link(t, f, p, "jane", "Corp", s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	r, err := arrive(t, f, p, corp, "S-1", attrs{"custom:employee": "E-8", "email": "x@corp.example"})
	if err != nil || r.User.Sub != jane.Sub || len(r.User.Links) != 0 || len(r.User.Identities) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of any number of identities with the claim one gets the link, and all sign-ins of that one are the user's.
func TestOneIdentityGetsTheLink(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	if err := link(t, f, p, "jane", "Corp", "custom:employee", "E-8"); err != nil {
		t.Fatal(err)
	}
	subs := make([]string, 32)
	var wg sync.WaitGroup
	for i := range subs {
		wg.Go(func() {
			r, err := arrive(t, f, p, corp, fmt.Sprint("S-", i/4), attrs{"custom:employee": "E-8"})
			if err != nil {
				t.Error(err)
			}
			subs[i] = r.User.Sub
		})
	}
	wg.Wait()
	hers := map[int]int{}
	for i, sub := range subs {
		if sub == jane.Sub {
			hers[i/4]++
		}
	}
	if len(hers) != 1 {
		t.Fatalf("%d identities are hers", len(hers))
	}
	for _, n := range hers {
		if n != 4 {
			t.Errorf("%d of 4 sign-ins of that identity were hers", n)
		}
	}
}

// While an identity signs in for the first time and is linked, it ends up with one user.
func TestLinkingBesideTheFirstSignIn(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	for i := range 20 {
		subject := fmt.Sprint("S-", i)
		var wg sync.WaitGroup
		var linked error
		var r pool.SignInResult
		wg.Go(func() { linked = link(t, f, p, "jane", "Corp", pool.SubjectAttribute, subject) })
		wg.Go(func() {
			var err error
			if r, err = arrive(t, f, p, corp, subject, nil); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		switch {
		case linked == nil && r.User.Sub != jane.Sub:
			t.Fatal("linked, and yet a user of its own")
		case linked != nil && (!errors.Is(linked, pool.ErrSignedUp) || r.User.Sub == jane.Sub):
			t.Fatalf("not linked: %v", linked)
		}
		if linked == nil {
			if _, err := f.UnlinkProvider(t.Context(), p.ID, pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: subject}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestUnlinking(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	unlink := func(provider, attribute, value string) (pool.Unlinked, error) {
		return f.UnlinkProvider(t.Context(), p.ID, pool.Source{Provider: provider, Attribute: attribute, Value: value})
	}
	if err := link(t, f, p, "jane", "Corp", pool.SubjectAttribute, "A1"); err != nil {
		t.Fatal(err)
	}
	if err := link(t, f, p, "jane", "Corp", "email", "a@corp.example"); err != nil {
		t.Fatal(err)
	}
	got, err := unlink("Corp", pool.SubjectAttribute, "A1")
	if err != nil || got.Own || got.Subject != "A1" || got.User.Sub != jane.Sub || len(got.User.Identities) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = unlink("Corp", pool.SubjectAttribute, "A1")
	wantCode(t, err, fault.NotFound)
	r, err := arrive(t, f, p, corp, "A1", nil)
	if err != nil || !r.Created || r.User.Sub == jane.Sub {
		t.Fatalf("the next sign-in: %+v, %v", r, err)
	}
	// The identity that a user was made from stays: there would be nobody left, with a name that is taken.
	got, err = unlink("Corp", pool.SubjectAttribute, "A1")
	if u, err2 := f.User(t.Context(), p.ID, r.User.Sub); err != nil || err2 != nil || !got.Own || len(u.Identities) != 1 || got.User.Sub != u.Sub {
		t.Errorf("%+v, %v", got, errors.Join(err, err2))
	}
	got, err = unlink("Cognito", pool.SubjectAttribute, "jane")
	if err != nil || !got.Own || got.User.Sub != jane.Sub {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = unlink("Cognito", "email", "jane@example.com")
	wantCode(t, err, fault.Invalid)
	// A link that waits is found by the attribute while the mapping stands, and by its claim in any case; the provider may be gone.
	_, err = unlink("Corp", "email", "A@corp.example")
	wantCode(t, err, fault.NotFound)
	if err := f.DeleteProvider(t.Context(), p.ID, "Corp"); err != nil {
		t.Fatal(err)
	}
	got, err = unlink("Corp", "email", "a@corp.example")
	if err != nil || got.Claim != "email" || len(got.User.Links) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"", strings.Repeat("x", 5000), "a\x00"} {
		_, err = unlink("Corp", pool.SubjectAttribute, s)
		wantCode(t, err, fault.NotFound)
		_, err = unlink("Corp", "email", s)
		wantCode(t, err, fault.NotFound)
	}
}
