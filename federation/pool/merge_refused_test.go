package pool_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// TestWhoIsNotMerged: what would lose something, let somebody in who was kept out, or make a chain or a circle is refused with a sentence that says what to do,
// and nothing is written.
func TestWhoIsNotMerged(t *testing.T) {
	for name, tt := range map[string]struct {
		before      func(t *testing.T, m *merging)
		into, other string
		code        fault.Code
		is          error
		says        string
	}{
		"nobody":               {nil, "Corp_ada", "Other_nobody", fault.NotFound, pool.ErrNoUser, "User does not exist"},
		"into nobody":          {nil, "Corp_nobody", "Other_ada-2", fault.NotFound, pool.ErrNoUser, "User does not exist"},
		"itself":               {nil, "Corp_ada", "Corp_ada", fault.Invalid, pool.ErrNotMergeable, "into itself"},
		"itself, by its alias": {func(t *testing.T, m *merging) { m.merge(t, "Corp_ada", "Other_ada-2") }, "Other_ada-2", "Corp_ada", fault.Invalid, pool.ErrNotMergeable, "into itself"},
		"a chain": {func(t *testing.T, m *merging) { m.merge(t, "Other_ada-2", "Corp_third") }, "Corp_ada", "Other_ada-2",
			fault.Invalid, pool.ErrNotMergeable, "Merge the other way round, or undo those first"},
		"one who is merged elsewhere": {func(t *testing.T, m *merging) { m.merge(t, "Other_ada-2", "Corp_third") }, "Corp_ada", "Corp_third",
			fault.Invalid, pool.ErrNotMergeable, "merged into another user before"},
		"a local account": {func(t *testing.T, m *merging) { create(t, m.fixture, m.p, "jane", nil) }, "Corp_ada", "jane",
			fault.Invalid, pool.ErrNotMergeable, "with a password"},
		"with links that wait": {func(t *testing.T, m *merging) {
			if _, _, err := m.LinkProvider(t.Context(), m.p.ID, "Other_ada-2", pool.Source{Provider: "Corp", Attribute: "email", Value: "x@x.example"}); err != nil {
				t.Fatal(err)
			}
		}, "Corp_ada", "Other_ada-2", fault.Invalid, pool.ErrNotMergeable, "links away first"},
		"into somebody who is disabled": {func(t *testing.T, m *merging) { m.disable(t, m.a.Sub) }, "Corp_ada", "Other_ada-2", fault.Invalid, pool.ErrNotMergeable, "destination is disabled"},
		"somebody who is disabled":      {func(t *testing.T, m *merging) { m.disable(t, m.b.Sub) }, "Corp_ada", "Other_ada-2", fault.Invalid, pool.ErrNotMergeable, "user is disabled"},
		"too many identities": {func(t *testing.T, m *merging) {
			for i := range 4 {
				if _, _, err := m.LinkProvider(t.Context(), m.p.ID, "Corp_ada", pool.Source{Provider: "Other", Attribute: pool.SubjectAttribute, Value: fmt.Sprint(i)}); err != nil {
					t.Fatal(err)
				}
			}
		}, "Corp_ada", "Other_ada-2", fault.TooLarge, pool.ErrLimit, "5"},
		"too many merges": {func(t *testing.T, m *merging) {
			for i := range 4 {
				m.arrive(t, m.other, fmt.Sprint("more", i), nil)
				m.merge(t, "Corp_ada", fmt.Sprint("Other_more", i))
			}
		}, "Corp_ada", "Other_ada-2", fault.TooLarge, pool.ErrLimit, "5"},
		"too many groups": {func(t *testing.T, m *merging) {
			for i := range 101 {
				name, sub := fmt.Sprint("g", i), m.a.Sub
				if _, err := m.CreateGroup(t.Context(), pool.Group{PoolID: m.p.ID, Name: name}); err != nil {
					t.Fatal(err)
				}
				if i > 60 {
					sub = m.b.Sub
				}
				if err := m.AddToGroup(t.Context(), m.p.ID, sub, name); err != nil {
					t.Fatal(err)
				}
			}
		}, "Corp_ada", "Other_ada-2", fault.TooLarge, pool.ErrLimit, "100"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMerging(t)
			m.arrive(t, m.corp, "third", nil)
			if tt.before != nil {
				tt.before(t, m)
			}
			for _, dry := range []bool{true, false} {
				var err error
				if n := m.writes(func() { _, err = m.MergeUsers(t.Context(), m.p.ID, tt.into, tt.other, operator, dry) }); n != 0 {
					t.Errorf("%d writes", n)
				}
				if wantCode(t, err, tt.code); !errors.Is(err, tt.is) || !strings.Contains(fault.PublicOf(err), tt.says) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

func (m *merging) disable(t *testing.T, sub string) {
	t.Helper()
	if _, err := m.EnableUser(t.Context(), m.p.ID, sub, false); err != nil {
		t.Fatal(err)
	}
}

// A merged user into whom an identity more came stays within the limit, and the limit counts what came by merges.
func TestAMergedUserHasNoRoomForASixthIdentity(t *testing.T) {
	m := newMerging(t)
	m.merge(t, "Corp_ada", "Other_ada-2")
	for i := range 4 {
		_, _, err := m.LinkProvider(t.Context(), m.p.ID, "Other_ada-2", pool.Source{Provider: "Other", Attribute: pool.SubjectAttribute, Value: fmt.Sprint(i)})
		if i < 3 && err != nil || i == 3 && !errors.Is(err, pool.ErrLimit) {
			t.Errorf("link %d: %v", i, err)
		}
	}
	if u := m.user(t, m.a.Sub); len(u.AllIdentities()) != 5 {
		t.Errorf("%+v", u)
	}
	for _, subject := range []string{"ada-2", "1"} {
		_, _, err := m.LinkProvider(t.Context(), m.p.ID, "Corp_ada", pool.Source{Provider: "Other", Attribute: pool.SubjectAttribute, Value: subject})
		if !errors.Is(err, pool.ErrLinked) {
			t.Errorf("linked twice: %v", err)
		}
	}
}

// A local account is a destination: the person keeps its name and sub, and what the provider vouches for becomes a name as it would at a sign-in.
func TestMergingIntoALocalAccount(t *testing.T) {
	m := &merging{fixture: newFixture(t)}
	var err error
	if m.p, err = m.CreatePool(t.Context(), pool.Pool{Name: "aliases", AliasAttributes: []string{"email"}}); err != nil {
		t.Fatal(err)
	}
	p := m.p
	if m.other, err = m.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: p.ID, Name: "Other", Type: "OIDC"}); err != nil {
		t.Fatal(err)
	}
	m.arrive(t, m.other, "ada-2", attrs{"email": "ada@other.example", "email_verified": "true"})
	jane := create(t, m.fixture, p, "jane", nil)
	m.merge(t, "jane", "Other_ada-2")
	if u := m.user(t, "ada@other.example"); u.Sub != jane.Sub || u.Status != pool.StatusForceChange {
		t.Errorf("%+v", u)
	}
	if r := m.arrive(t, m.other, "ada-2", nil); r.User.Sub != jane.Sub {
		t.Errorf("%+v", r)
	}
	m.unmerge(t, "Other_ada-2")
	if _, err := m.FindUser(t.Context(), p.ID, "ada@other.example"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the address still leads somewhere: %v", err)
	}
	if u := m.user(t, "jane"); len(u.Attributes) != 0 || len(u.AllIdentities()) != 0 {
		t.Errorf("%+v", u)
	}
}

// Whoever was kept out as the destination is kept out afterwards as well.
func TestUndoingDoesNotLetSomebodyIn(t *testing.T) {
	m := newMerging(t)
	m.merge(t, m.a.Sub, m.b.Sub)
	m.disable(t, m.b.Sub) // leads to the destination
	if u := m.user(t, m.a.Sub); u.Enabled {
		t.Fatal("the destination is not disabled")
	}
	if out, err := m.UnmergeUser(t.Context(), m.p.ID, m.b.Sub, true); err != nil || out.OtherAfter.Enabled {
		t.Errorf("the dry run: %+v, %v", out.OtherAfter, err)
	}
	m.unmerge(t, m.b.Sub)
	for _, name := range []string{m.a.Sub, m.b.Sub} {
		if u := m.user(t, name); u.Enabled {
			t.Errorf("%s is enabled", name)
		}
	}
	_, err := m.SignIn(t.Context(), m.p, m.signIn(m.other, "ada-2", nil))
	wantCode(t, err, fault.Denied)
}

// Whoever writes to a merged user writes to the destination; nothing gets into a document that is not looked at.
func TestWritersFollowAMerge(t *testing.T) {
	m := newMerging(t)
	if _, err := m.CreateGroup(t.Context(), pool.Group{PoolID: m.p.ID, Name: "staff"}); err != nil {
		t.Fatal(err)
	}
	m.merge(t, m.a.Sub, m.b.Sub)
	ctx, id, sub := t.Context(), m.p.ID, m.b.Sub
	for name, do := range map[string]func() error{
		"UpdateAttributes": func() error { return second(m.UpdateAttributes(ctx, id, sub, attrs{"nickname": "A"})) },
		"UpdateUser": func() error {
			return second(m.UpdateUser(ctx, id, sub, func(u *pool.User) error { u.Attributes["locale"] = "de"; u.Merged, u.MergedInto = nil, nil; return nil }))
		},
		"AddToGroup":       func() error { return m.AddToGroup(ctx, id, sub, "staff") },
		"SetEmailVerified": func() error { return second(m.SetEmailVerified(ctx, id, sub, "Other", "ada@other.example", false)) },
		"SignOutUser":      func() error { return second(m.SignOutUser(ctx, id, sub)) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	u := m.user(t, m.a.Username)
	if u.Sub != m.a.Sub || u.Attributes["nickname"] != "A" || u.Attributes["locale"] != "de" || len(u.Groups) != 1 || u.Attributes["email_verified"] != "false" || u.SignedOutAt.IsZero() {
		t.Errorf("%+v", u)
	}
	if err := m.RemoveFromGroup(ctx, id, sub, "staff"); err != nil {
		t.Error(err)
	}
	m.unmerge(t, sub)
	if b := m.user(t, sub); b.Attributes["nickname"] != "" || b.Attributes["email_verified"] != "true" || len(b.Groups) != 0 {
		t.Errorf("%+v", b)
	}
	if a := m.user(t, m.a.Sub); a.Attributes["nickname"] != "A" || len(a.Groups) != 0 {
		t.Errorf("%+v", a)
	}
}

// TestUnlinkingWhatCameByAMerge: the identity that the other one was made from can only go with it; another one is nobody's afterwards.
func TestUnlinkingWhatCameByAMerge(t *testing.T) {
	m := newMerging(t)
	ctx, id := t.Context(), m.p.ID
	linked := pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: "linked"}
	if _, _, err := m.LinkProvider(ctx, id, m.b.Sub, linked); err != nil {
		t.Fatal(err)
	}
	m.merge(t, m.a.Sub, m.b.Sub)
	if r := m.arrive(t, m.corp, "linked", nil); r.User.Sub != m.a.Sub {
		t.Fatalf("%+v", r)
	}
	out, err := m.UnlinkProvider(ctx, id, pool.Source{Provider: "Other", Attribute: pool.SubjectAttribute, Value: "ada-2"})
	if err != nil || out.Merged != m.b.Sub || out.User.Sub != m.a.Sub || out.Own {
		t.Fatalf("%+v, %v", out, err)
	}
	m.isMergedStill(t)
	if out, err = m.UnlinkProvider(ctx, id, linked); err != nil || out.Merged != "" || out.Own || out.User.Sub != m.a.Sub || out.User.HasIdentity("Corp", "linked") {
		t.Fatalf("%+v, %v", out, err)
	}
	m.isMergedStill(t)
	if r := m.arrive(t, m.corp, "linked", nil); !r.Created {
		t.Errorf("an identity that was unlinked is %+v", r.User)
	}
	m.unmerge(t, m.b.Sub)
	if b := m.user(t, m.b.Sub); b.HasIdentity("Corp", "linked") || !b.HasIdentity("Other", "ada-2") {
		t.Errorf("%+v", b)
	}
}

func (m *merging) isMergedStill(t *testing.T) {
	t.Helper()
	if r := m.arrive(t, m.other, "ada-2", nil); r.User.Sub != m.a.Sub {
		t.Errorf("signs in as %+v", r.User)
	}
}

// TestDeletingMergedUsers: all of a person goes, whichever of the names was named, and everything is free.
func TestDeletingMergedUsers(t *testing.T) {
	for name, by := range map[string]func(m *merging) string{
		"the destination": func(m *merging) string { return m.a.Sub }, "the other one": func(m *merging) string { return m.b.Sub },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMerging(t)
			m.merge(t, m.a.Sub, m.b.Sub)
			if err := m.DeleteUser(t.Context(), m.p.ID, by(m)); err != nil {
				t.Fatal(err)
			}
			for _, n := range []string{m.a.Sub, m.a.Username, m.b.Sub, m.b.Username} {
				if _, err := m.FindUser(t.Context(), m.p.ID, n); fault.CodeOf(err) != fault.NotFound {
					t.Errorf("%s: %v", n, err)
				}
			}
			if left := m.documents(t); len(left) != 0 {
				t.Errorf("left: %+v", left)
			}
			for _, r := range []pool.SignInResult{m.arrive(t, m.corp, "ada", nil), m.arrive(t, m.other, "ada-2", nil)} {
				if !r.Created || r.User.Sub == m.a.Sub || r.User.Sub == m.b.Sub {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// A pool's deletion finds those who are in no list.
func TestDeletingAPoolWithMergedUsers(t *testing.T) {
	m := newMerging(t)
	m.merge(t, m.a.Sub, m.b.Sub)
	if err := m.DeletePool(t.Context(), m.p.ID); err != nil {
		t.Fatal(err)
	}
	if left := m.documents(t); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}
