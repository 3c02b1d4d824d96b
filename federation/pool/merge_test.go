package pool_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// merging is a pool with two providers and two people of them, who are one: ada of Corp, with a name, and ada of Other, with a verified address.
type merging struct {
	*fixture
	p           pool.Pool
	corp, other pool.IdentityProvider
	a, b        pool.User
}

const operator = "an administrator"

func newMerging(t *testing.T) *merging {
	t.Helper()
	m := &merging{fixture: newFixture(t)}
	m.p, m.corp = m.withPool(t, pool.SchemaSpec{Name: "employee"}, pool.SchemaSpec{Name: "level"})
	var err error
	if m.other, err = m.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: m.p.ID, Name: "Other", Type: "OIDC", AttributeMapping: map[string]string{"email": "email"}}); err != nil {
		t.Fatal(err)
	}
	m.a = m.arrive(t, m.corp, "ada", attrs{"name": "Ada"}).User
	m.b = m.arrive(t, m.other, "ada-2", attrs{"name": "Countess", "email": "ada@other.example", "email_verified": "true", "custom:employee": "E-8"}).User
	return m
}

func (m *merging) signIn(ip pool.IdentityProvider, subject string, attributes attrs) pool.SignIn {
	return pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: subject, Attributes: attributes}
}

func (m *merging) arrive(t *testing.T, ip pool.IdentityProvider, subject string, attributes attrs) pool.SignInResult {
	t.Helper()
	r, err := m.SignIn(t.Context(), m.p, m.signIn(ip, subject, attributes))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (m *merging) merge(t *testing.T, into, other string) pool.Merge {
	t.Helper()
	out, err := m.MergeUsers(t.Context(), m.p.ID, into, other, operator, false)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (m *merging) unmerge(t *testing.T, other string) pool.Merge {
	t.Helper()
	out, err := m.UnmergeUser(t.Context(), m.p.ID, other, false)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (m *merging) user(t *testing.T, name string) pool.User {
	t.Helper()
	u, err := m.FindUser(t.Context(), m.p.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// same compares users but for when they were written.
func same(a, b pool.User) bool {
	a.Modified, b.Modified, a.SignedOutAt, b.SignedOutAt = a.Created, b.Created, a.Created, b.Created
	if len(a.Sources) == 0 {
		a.Sources = nil
	}
	if len(b.Sources) == 0 {
		b.Sources = nil
	}
	return reflect.DeepEqual(a, b)
}

// TestTwoUsersBecomeOne follows a merge through everything that shows a user, and back.
func TestTwoUsersBecomeOne(t *testing.T) {
	m := newMerging(t)
	for _, name := range []string{"staff", "both"} {
		if _, err := m.CreateGroup(t.Context(), pool.Group{PoolID: m.p.ID, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, add := range [][2]string{{m.a.Sub, "both"}, {m.b.Sub, "both"}, {m.b.Sub, "staff"}} {
		if err := m.AddToGroup(t.Context(), m.p.ID, add[0], add[1]); err != nil {
			t.Fatal(err)
		}
	}
	a, b := m.user(t, m.a.Sub), m.user(t, m.b.Sub)

	var dry pool.Merge
	var err error
	if n := m.writes(func() { dry, err = m.MergeUsers(t.Context(), m.p.ID, m.a.Username, m.b.Username, operator, true) }); err != nil || n != 0 {
		t.Fatalf("a dry run: %d writes, %v", n, err)
	}
	if got := m.user(t, b.Sub); !same(got, b) {
		t.Errorf("a dry run left %+v", got)
	}
	done := m.merge(t, m.a.Username, m.b.Username)
	if !slices.Equal(done.Changes(), dry.Changes()) || !slices.Equal(done.GroupIDs(), dry.GroupIDs()) || len(done.Identities()) != 1 || len(dry.Identities()) != 1 {
		t.Errorf("the dry run said %+v, and it was %+v", dry, done)
	}
	want := []pool.AttributeChange{{"custom:employee", "", "E-8"}, {"email", "", "ada@other.example"}, {"email_verified", "", "true"}}
	if !slices.Equal(done.Changes(), want) || done.Already || len(done.GroupIDs()) != 1 {
		t.Errorf("changes %+v, groups %v", done.Changes(), done.GroupIDs())
	}
	m.isOne(t)
	if again := m.merge(t, m.a.Sub, m.b.Sub); !again.Already {
		t.Error("merged twice")
	}
	var drier pool.Merge
	if n := m.writes(func() { drier, err = m.UnmergeUser(t.Context(), m.p.ID, m.b.Username, true) }); err != nil || n != 0 {
		t.Fatalf("a dry run: %d writes, %v", n, err)
	}
	undone := m.unmerge(t, m.b.Username)
	if !slices.Equal(undone.Changes(), drier.Changes()) || len(undone.Changes()) != 3 || len(undone.GroupIDs()) != 1 || len(undone.Identities()) != 1 {
		t.Errorf("the dry run said %+v, and it was %+v", drier, undone)
	}
	if got := m.user(t, a.Sub); !same(got, a) {
		t.Errorf("the destination was\n%+v, and is\n%+v", a, got)
	}
	if got := m.user(t, b.Username); !same(got, b) || !got.SignedOutAt.Equal(m.clock.Now()) {
		t.Errorf("the other one was\n%+v, and is\n%+v", b, got)
	}
	if r := m.arrive(t, m.other, "ada-2", nil); r.User.Sub != b.Sub || r.Created {
		t.Errorf("the identity signs in as %+v", r)
	}
	if _, err := m.UnmergeUser(t.Context(), m.p.ID, b.Sub, false); !errors.Is(err, pool.ErrNotMerged) || fault.CodeOf(err) != fault.Invalid {
		t.Errorf("undone twice: %v", err)
	}
}

// isOne checks that b is merged into a, wherever users are looked for.
func (m *merging) isOne(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{m.a.Sub, m.a.Username, m.b.Sub, m.b.Username, strings.ToUpper(m.b.Username)} {
		if u := m.user(t, name); u.Sub != m.a.Sub || u.Username != m.a.Username || u.Attributes["name"] != "Ada" || u.Attributes["custom:employee"] != "E-8" {
			t.Errorf("%s leads to %+v", name, u)
		}
	}
	if u, err := m.UserByUsername(ctx, m.p.ID, m.b.Username); err != nil || u.Sub != m.a.Sub {
		t.Errorf("by name: %s, %v", u.Sub, err)
	}
	for _, ip := range []struct {
		pool.IdentityProvider
		subject string
	}{{m.corp, "ada"}, {m.other, "ada-2"}} {
		if u, err := m.UserByIdentity(ctx, m.p.ID, ip.Name, ip.subject); err != nil || u.Sub != m.a.Sub || !u.HasIdentity(ip.Name, ip.subject) {
			t.Errorf("%s: %+v, %v", ip.Name, u, err)
		}
		if r := m.arrive(t, ip.IdentityProvider, ip.subject, nil); r.User.Sub != m.a.Sub || r.Created || len(r.Changed) != 0 {
			t.Errorf("%s signs in as %+v", ip.Name, r)
		}
	}
	u := m.user(t, m.b.Sub)
	if all := u.AllIdentities(); len(all) != 2 || !all[0].Primary || all[1].Primary || all[1].Subject != "ada-2" || all[1].Via != m.b.Sub {
		t.Errorf("identities %+v", all)
	}
	if u.Sources["email"].Provider != "Other" || u.Sources["name"].Provider != "Corp" {
		t.Errorf("sources %+v", u.Sources)
	}
	for _, index := range []string{"", "email=ada", "name=", "sub=", "status=enabled"} {
		if users, next, err := m.Users(ctx, m.p.ID, index, "", 10); err != nil || next != "" || len(users) != 1 || users[0].Sub != m.a.Sub {
			t.Errorf("list %q: %+v, %v", index, users, err)
		}
	}
	for _, group := range []string{"staff", "both"} {
		if users, _, err := m.UsersInGroup(ctx, m.p.ID, group, "", 10); err != nil || len(users) != 1 || users[0].Sub != m.a.Sub {
			t.Errorf("group %s: %+v, %v", group, users, err)
		}
	}
	if n, err := m.EstimateUsers(ctx, m.p.ID); err != nil || n != 1 {
		t.Errorf("%d users, %v", n, err)
	}
	if _, err := m.CreateUser(ctx, m.p.ID, pool.NewUser{Username: m.b.Username}); !errors.Is(err, pool.ErrUsernameExists) {
		t.Errorf("the name of the other one can be had: %v", err)
	}
}

// Pages are full and have everybody once, whoever was merged.
func TestPagesWithMergedUsers(t *testing.T) {
	m := newMerging(t)
	for i := range 9 {
		m.arrive(t, m.corp, fmt.Sprint("person", i), attrs{"name": "Someone"})
	}
	for _, n := range []int{0, 3, 8} {
		m.merge(t, m.a.Sub, m.user(t, fmt.Sprint("Corp_person", n)).Sub)
	}
	var names []string
	for after := ""; ; {
		page, next, err := m.Users(t.Context(), m.p.ID, "", after, 2)
		if err != nil || next != "" && len(page) != 2 {
			t.Fatalf("a page of %d, %v", len(page), err)
		}
		for _, u := range page {
			names = append(names, u.Username)
		}
		if after = next; after == "" {
			break
		}
	}
	want := "[Corp_ada Corp_person1 Corp_person2 Corp_person4 Corp_person5 Corp_person6 Corp_person7 Other_ada-2]"
	if fmt.Sprint(names) != want {
		t.Errorf("%v", names)
	}
}

// TestWhatASignInCosts: one read more for the identity of a merged user, and nothing more for everybody else.
func TestWhatASignInOfAMergedUserCosts(t *testing.T) {
	m := newMerging(t)
	m.merge(t, m.a.Sub, m.b.Sub)
	for name, tt := range map[string]struct {
		ip      pool.IdentityProvider
		subject string
		reads   int64
	}{"own": {m.corp, "ada", 1}, "merged": {m.other, "ada-2", 2}} {
		before := m.engine.reads.Load()
		if n := m.writes(func() { m.arrive(t, tt.ip, tt.subject, nil) }); n != 0 {
			t.Errorf("%s: %d writes", name, n)
		}
		if n := m.engine.reads.Load() - before; n != tt.reads {
			t.Errorf("%s: %d reads, want %d", name, n, tt.reads)
		}
	}
}

// TestAttributesOfAMerge: a value of the destination stays, one that it has not is the other one's, and what is verified is an address, not a person.
func TestAttributesOfAMerge(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b, want attrs
		removed    string // by an administrator, from a
	}{
		"nothing":                             {attrs{}, attrs{}, attrs{}, ""},
		"both have it":                        {attrs{"name": "Ada"}, attrs{"name": "Countess"}, attrs{"name": "Ada"}, ""},
		"the other one alone":                 {attrs{}, attrs{"name": "Countess"}, attrs{"name": "Countess"}, ""},
		"a verified address":                  {attrs{}, attrs{"email": "b@b.example", "email_verified": "true"}, attrs{"email": "b@b.example", "email_verified": "true"}, ""},
		"an address that is not":              {attrs{}, attrs{"email": "b@b.example"}, attrs{"email": "b@b.example", "email_verified": "false"}, ""},
		"another address":                     {attrs{"email": "a@a.example"}, attrs{"email": "b@b.example", "email_verified": "true"}, attrs{"email": "a@a.example", "email_verified": "false"}, ""},
		"the same address, not verified here": {attrs{"email": "a@a.example"}, attrs{"email": "a@a.example", "email_verified": "true"}, attrs{"email": "a@a.example", "email_verified": "false"}, ""},
		"the same address, verified here":     {attrs{"email": "a@a.example", "email_verified": "true"}, attrs{"email": "a@a.example"}, attrs{"email": "a@a.example", "email_verified": "true"}, ""},
		"an address and a number": {attrs{"email": "a@a.example", "email_verified": "true"}, attrs{"phone_number": "+4930123456", "phone_number_verified": "true", "email": "b@b.example"},
			attrs{"email": "a@a.example", "email_verified": "true", "phone_number": "+4930123456", "phone_number_verified": "true"}, ""},
		"one that an administrator took away": {attrs{"name": "Ada"}, attrs{"name": "Countess"}, attrs{}, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMerging(t)
			a, b := m.arrive(t, m.corp, "a", tt.a).User, m.arrive(t, m.other, "b", tt.b).User
			if tt.removed != "" {
				if _, err := m.DeleteAttributes(t.Context(), m.p.ID, a.Sub, []string{tt.removed}); err != nil {
					t.Fatal(err)
				}
			}
			a = m.user(t, a.Sub)
			m.merge(t, a.Sub, b.Sub)
			if got := m.user(t, b.Sub); !reflect.DeepEqual(attrs(got.Attributes), tt.want) {
				t.Errorf("%v, want %v", got.Attributes, tt.want)
			}
			m.unmerge(t, b.Sub)
			if got := m.user(t, a.Sub); !same(got, a) {
				t.Errorf("undone: %+v, want %+v", got, a)
			}
			if got := m.user(t, b.Sub); !same(got, b) {
				t.Errorf("undone: %+v, want %+v", got, b)
			}
		})
	}
}

// TestUndoingTakesBackWhatSignInsWrote: the address of somebody who was merged by mistake does not stay with the destination, and what was written by others does.
func TestUndoingTakesBackWhatSignInsWrote(t *testing.T) {
	mine, theirs := attrs{"email": "a@a.example", "email_verified": "true"}, attrs{"email": "b2@b.example", "email_verified": "true"}
	for name, tt := range map[string]struct {
		first attrs // of the destination
		then  func(t *testing.T, m *merging)
		want  attrs
	}{
		"an address over the destination's": {mine, func(t *testing.T, m *merging) { m.arrive(t, m.other, "b", theirs) }, mine},
		"twice": {mine, func(t *testing.T, m *merging) {
			m.arrive(t, m.other, "b", attrs{"email": "b3@b.example"})
			m.arrive(t, m.other, "b", theirs)
		}, mine},
		"over what the merge brought":             {attrs{}, func(t *testing.T, m *merging) { m.arrive(t, m.other, "b", theirs) }, attrs{}},
		"and over that the destination's sign-in": {attrs{}, func(t *testing.T, m *merging) { m.arrive(t, m.other, "b", theirs); m.arrive(t, m.corp, "a", mine) }, mine},
		"and over that an administrator": {attrs{}, func(t *testing.T, m *merging) {
			m.arrive(t, m.other, "b", theirs)
			if _, err := m.UpdateAttributes(t.Context(), m.p.ID, m.user(t, "Corp_a").Sub, attrs{"email": "admin@a.example"}); err != nil {
				t.Fatal(err)
			}
		}, attrs{"email": "admin@a.example", "email_verified": "false"}},
		"the flag alone": {attrs{"email": "a@a.example"}, func(t *testing.T, m *merging) {
			m.arrive(t, m.other, "b", attrs{"email": "a@a.example", "email_verified": "true"})
		}, attrs{"email": "a@a.example", "email_verified": "false"}},
		"an address without a flag over a verified one": {mine, func(t *testing.T, m *merging) { m.arrive(t, m.other, "b", attrs{"email": "b4@b.example"}) }, mine},
		"verified by an administrator since": {attrs{"email": "a@a.example"}, func(t *testing.T, m *merging) {
			m.arrive(t, m.other, "b", attrs{"email": "b4@b.example"})
			if _, err := m.UpdateAttributes(t.Context(), m.p.ID, m.user(t, "Corp_a").Sub, attrs{"email_verified": "true"}); err != nil {
				t.Fatal(err)
			}
		}, attrs{"email": "a@a.example", "email_verified": "false"}},
		"by a third one who was merged as well": {mine, func(t *testing.T, m *merging) {
			m.arrive(t, m.other, "b", theirs)
			m.merge(t, "Corp_a", "Other_c")
			m.arrive(t, m.other, "c", attrs{"email": "c@c.example", "email_verified": "true"})
			m.unmerge(t, "Other_b")
			m.unmerge(t, "Other_c")
		}, mine},
		"by a third one whose merge is undone last": {mine, func(t *testing.T, m *merging) {
			m.merge(t, "Corp_a", "Other_c")
			m.arrive(t, m.other, "c", attrs{"email": "c@c.example", "email_verified": "true"})
			m.arrive(t, m.other, "b", theirs)
			m.unmerge(t, "Other_c")
			if u := m.user(t, "Corp_a"); u.Attributes["email"] != "b2@b.example" {
				t.Errorf("%v", u.Attributes)
			}
		}, mine},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMerging(t)
			m.arrive(t, m.corp, "a", tt.first)
			m.arrive(t, m.other, "b", attrs{"email": "b@b.example", "email_verified": "true"})
			m.arrive(t, m.other, "c", nil)
			m.merge(t, "Corp_a", "Other_b")
			tt.then(t, m)
			if _, err := m.UnmergeUser(t.Context(), m.p.ID, "Other_b", false); err != nil && !errors.Is(err, pool.ErrNotMerged) {
				t.Fatal(err)
			}
			got := m.user(t, "Corp_a")
			if !reflect.DeepEqual(attrs(got.Attributes), tt.want) {
				t.Errorf("%v, want %v", got.Attributes, tt.want)
			}
			if got.Merged != nil {
				t.Errorf("still merged: %+v", got.Merged)
			}
		})
	}
}

// TestGroupsThatProvidersGiveToMergedUsers: what a provider gives stands with the identity that it is given to, so it comes with it, changes with its sign-ins and goes
// with it; what an administrator gave to either stays apart from that.
func TestGroupsThatProvidersGiveToMergedUsers(t *testing.T) {
	m := newMerging(t)
	ctx := t.Context()
	for _, name := range []string{"given", "later", "granted", "both"} {
		if _, err := m.CreateGroup(ctx, pool.Group{PoolID: m.p.ID, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	gives := func(ip pool.IdentityProvider, subject string, names ...string) {
		t.Helper()
		in := m.signIn(ip, subject, nil)
		in.Groups = &mapping.GroupResult{}
		for _, name := range names {
			in.Groups.Given = append(in.Groups.Given, mapping.GroupGiven{Group: name, Rule: "rule"})
		}
		if _, err := m.SignIn(ctx, m.p, in); err != nil {
			t.Fatal(err)
		}
	}
	groups := func(name string) string {
		t.Helper()
		all, err := m.GroupsOf(ctx, m.user(t, name))
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, len(all))
		for i, g := range all {
			names[i] = g.Name
		}
		return strings.Join(names, " ")
	}
	gives(m.other, "ada-2", "given", "both")
	for _, add := range [][2]string{{m.b.Sub, "granted"}, {m.a.Sub, "both"}} {
		if err := m.AddToGroup(ctx, m.p.ID, add[0], add[1]); err != nil {
			t.Fatal(err)
		}
	}
	a, b := m.user(t, m.a.Sub), m.user(t, m.b.Sub)
	m.merge(t, m.a.Sub, m.b.Sub)
	if got := groups(m.a.Sub); got != "both given granted" {
		t.Errorf("merged: %s", got)
	}
	m.unmerge(t, m.b.Sub)
	if got := m.user(t, m.a.Sub); !same(got, a) {
		t.Errorf("undone: %+v, want %+v", got, a)
	}
	if got := m.user(t, m.b.Sub); !same(got, b) {
		t.Errorf("undone: %+v, want %+v", got, b)
	}
	m.merge(t, m.a.Sub, m.b.Sub)
	gives(m.other, "ada-2", "later")
	if got := groups(m.a.Sub); got != "both granted later" {
		t.Errorf("after a sign-in: %s", got)
	}
	gives(m.corp, "ada", "later")
	m.unmerge(t, m.b.Sub)
	if got := groups(m.a.Sub); got != "both later" { // later by the destination's own identity
		t.Errorf("undone: %s", got)
	}
	if got := groups(m.b.Sub); got != "both given granted" {
		t.Errorf("the other one: %s", got)
	}
}
