package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

func group(t testing.TB, f *fixture, poolID, name string) pool.Group {
	t.Helper()
	g, err := f.CreateGroup(t.Context(), pool.Group{PoolID: poolID, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// groupsOf are the names of a user's groups, as any node sees them.
func groupsOf(t testing.TB, d *pool.Directory, poolID, sub string) string {
	t.Helper()
	u, err := d.User(t.Context(), poolID, sub)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.GroupsOf(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = g.Name
	}
	return strings.Join(names, " ")
}

// members pages through a group.
func members(t testing.TB, f *fixture, poolID, name string, limit int) string {
	t.Helper()
	var out []string
	for after := ""; ; {
		page, next, err := f.UsersInGroup(t.Context(), poolID, name, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page {
			out = append(out, strings.TrimPrefix(u.Username, "Corp_"))
		}
		if after = next; next == "" {
			return strings.Join(out, " ")
		}
	}
}

func subOf(t testing.TB, f *fixture, poolID, username string) string {
	t.Helper()
	u, err := f.UserByUsername(t.Context(), poolID, username)
	if err != nil {
		t.Fatal(err)
	}
	return u.Sub
}

func TestLifeOfAGroup(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	made, err := f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: "staff", Description: "who works here",
		RoleArn: "arn:aws:iam::123456789012:role/staff", Precedence: ptr(3), GID: "chosen"})
	if err != nil || made.GID == "chosen" || len(made.GID) != 16 || !made.Created.Equal(f.clock.Now()) {
		t.Fatalf("%+v, %v", made, err)
	}
	got, err := f.Group(t.Context(), p.ID, "staff")
	if err != nil || got.Description != "who works here" || *got.Precedence != 3 || got.GID != made.GID {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: "staff"})
	wantCode(t, err, fault.Conflict)
	if !errors.Is(err, pool.ErrGroupExists) {
		t.Errorf("%v", err)
	}
	group(t, f, p.ID, "Staff") // names have an exact case
	f.clock.Add(time.Second)
	got, err = f.UpdateGroup(t.Context(), p.ID, "staff", pool.GroupChange{Description: ptr("")})
	if err != nil || got.Description != "" || got.RoleArn != made.RoleArn || *got.Precedence != 3 || !got.Modified.After(got.Created) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = f.UpdateGroup(t.Context(), p.ID, "staff", pool.GroupChange{Precedence: ptr(0), RoleArn: ptr("")})
	if err != nil || *got.Precedence != 0 || got.RoleArn != "" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.UpdateGroup(t.Context(), p.ID, "staff", pool.GroupChange{Precedence: ptr(-1)})
	wantCode(t, err, fault.Invalid)
	if err := f.DeleteGroup(t.Context(), p.ID, "staff"); err != nil {
		t.Fatal(err)
	}
	_, err = f.Group(t.Context(), p.ID, "staff")
	wantCode(t, err, fault.NotFound)
	wantCode(t, f.DeleteGroup(t.Context(), p.ID, "staff"), fault.NotFound)
	_, err = f.UpdateGroup(t.Context(), p.ID, "staff", pool.GroupChange{})
	wantCode(t, err, fault.NotFound)
	_, err = f.CreateGroup(t.Context(), pool.Group{PoolID: "local_Nowhere", Name: "staff"})
	wantCode(t, err, fault.NotFound)
}

func TestGroupsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	for name, g := range map[string]pool.Group{
		"no name":              {},
		"a long name":          {Name: strings.Repeat("x", 129)},
		"a space":              {Name: "a b"},
		"a line":               {Name: "a\nb"},
		"NUL":                  {Name: "a\x00"},
		"a long description":   {Name: "a", Description: strings.Repeat("x", 2049)},
		"no role":              {Name: "a", RoleArn: "administrator of everything"},
		"a short role":         {Name: "a", RoleArn: "arn:a:b::1:c"},
		"a negative number":    {Name: "a", Precedence: ptr(-1)},
		"a number of 32 bits+": {Name: "a", Precedence: ptr(1 << 31)},
	} {
		t.Run(name, func(t *testing.T) {
			g.PoolID = p.ID
			_, err := f.CreateGroup(t.Context(), g)
			wantCode(t, err, fault.Invalid)
		})
	}
	group(t, f, p.ID, strings.Repeat("ü", 128))
}

func TestGroupsAreListedByName(t *testing.T) {
	f := newFixture(t)
	a, b := twoPools(t, f, 1)
	for _, n := range []string{"c", "a", "e", "b", "d"} {
		group(t, f, a.ID, n)
	}
	group(t, f, b.ID, "other")
	got, after := "", ""
	for {
		page, next, err := f.Groups(t.Context(), a.ID, after, 2)
		if err != nil || len(page) > 2 {
			t.Fatalf("%v, %v", page, err)
		}
		for _, g := range page {
			got += g.Name
		}
		if after = next; next == "" {
			break
		}
		_, _, err = f.Groups(t.Context(), b.ID, next, 2)
		wantCode(t, err, fault.Invalid)
	}
	if got != "abcde" {
		t.Errorf("%s", got)
	}
	_, _, err := f.Groups(t.Context(), "local_Nowhere", "", 2)
	wantCode(t, err, fault.NotFound)
}

func TestMembership(t *testing.T) {
	f := newFixture(t)
	a, b := twoPools(t, f, 5)
	group(t, f, a.ID, "staff")
	group(t, f, b.ID, "staff")
	for _, n := range []int{3, 1, 4, 0, 3} { // one of them twice
		if err := f.AddToGroup(t.Context(), a.ID, subOf(t, f, a.ID, fmt.Sprintf("Corp_S%02d", n)), "staff"); err != nil {
			t.Fatal(err)
		}
	}
	if got := members(t, f, a.ID, "staff", 2); got != "S00 S01 S03 S04" {
		t.Errorf("members %s", got)
	}
	if got := members(t, f, b.ID, "staff", 2); got != "" {
		t.Errorf("members in the other pool %s", got)
	}
	three := subOf(t, f, a.ID, "corp_s03")
	for range 2 { // once more is no error
		if err := f.RemoveFromGroup(t.Context(), a.ID, three, "staff"); err != nil {
			t.Fatal(err)
		}
	}
	if got := members(t, f, a.ID, "staff", 10); got != "S00 S01 S04" || groupsOf(t, f.Directory, a.ID, three) != "" {
		t.Errorf("members %s", got)
	}
	if err := f.DeleteUser(t.Context(), a.ID, subOf(t, f, a.ID, "corp_s01")); err != nil {
		t.Fatal(err)
	}
	if got := members(t, f, a.ID, "staff", 10); got != "S00 S04" {
		t.Errorf("members %s", got)
	}
	_, err := f.UpdateUser(t.Context(), a.ID, subOf(t, f, a.ID, "corp_s00"), func(u *pool.User) error {
		u.Groups[0], u.Groups = "x", append(u.Groups, "y")
		return nil
	})
	if got := members(t, f, a.ID, "staff", 10); err != nil || got != "S00 S04" {
		t.Errorf("members %s, %v", got, err)
	}
	wantCode(t, f.AddToGroup(t.Context(), a.ID, three, "nothing"), fault.NotFound)
	wantCode(t, f.RemoveFromGroup(t.Context(), a.ID, three, "nothing"), fault.NotFound)
	wantCode(t, f.AddToGroup(t.Context(), a.ID, "nobody", "staff"), fault.NotFound)
	wantCode(t, f.RemoveFromGroup(t.Context(), a.ID, "nobody", "staff"), fault.NotFound)
	_, _, err = f.UsersInGroup(t.Context(), a.ID, "nothing", "", 1)
	wantCode(t, err, fault.NotFound)
}

func TestOrderOfGroupsAndRoles(t *testing.T) {
	const roleA, roleB = "arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"
	f := newFixture(t)
	p, ip := f.withPool(t)
	for i, tt := range []struct {
		groups    []pool.Group
		names     string
		roles     string
		preferred string
	}{
		{},
		{[]pool.Group{{Name: "z"}, {Name: "b", Precedence: ptr(1)}, {Name: "a"}, {Name: "c", Precedence: ptr(0)}, {Name: "d", Precedence: ptr(1)}}, "c b d a z", "", ""},
		{[]pool.Group{{Name: "a", RoleArn: roleA}, {Name: "b", RoleArn: roleB, Precedence: ptr(7)}}, "b a", roleB + " " + roleA, roleB},
		{[]pool.Group{{Name: "a", RoleArn: roleA, Precedence: ptr(7)}, {Name: "b", RoleArn: roleB, Precedence: ptr(7)}}, "a b", roleA + " " + roleB, ""},
		{[]pool.Group{{Name: "a", RoleArn: roleA, Precedence: ptr(7)}, {Name: "b", RoleArn: roleA, Precedence: ptr(7)}}, "a b", roleA, roleA},
		{[]pool.Group{{Name: "a", RoleArn: roleA}, {Name: "b", RoleArn: roleB}}, "a b", roleA + " " + roleB, ""},
		{[]pool.Group{{Name: "a", Precedence: ptr(1)}, {Name: "b", RoleArn: roleB, Precedence: ptr(2)}}, "a b", roleB, roleB},
	} {
		r, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range tt.groups {
			g.PoolID = p.ID
			g.Name = fmt.Sprint(i, g.Name)
			if _, err := f.CreateGroup(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			if err := f.AddToGroup(t.Context(), p.ID, r.User.Sub, g.Name); err != nil {
				t.Fatal(err)
			}
		}
		got := strings.ReplaceAll(groupsOf(t, f.Directory, p.ID, r.User.Sub), fmt.Sprint(i), "")
		u, err := f.User(t.Context(), p.ID, r.User.Sub)
		if err != nil {
			t.Fatal(err)
		}
		all, err := f.GroupsOf(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		roles, preferred := pool.Roles(all)
		if got != tt.names || strings.Join(roles, " ") != tt.roles || preferred != tt.preferred {
			t.Errorf("%d: groups %q, roles %q, preferred %q", i, got, roles, preferred)
		}
	}
}

// A group that is made again under a name has none of the members of the one before, whatever an interrupted deletion left.
func TestADeletedGroupsMembersDoNotComeBack(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	sub := signIn(t, f, p, ip, nil).User.Sub
	group(t, f, p.ID, "staff")
	if err := f.AddToGroup(t.Context(), p.ID, sub, "staff"); err != nil {
		t.Fatal(err)
	}
	f.engine.failAfter.Store(0) // no write to a user works any more
	if err := f.DeleteGroup(t.Context(), p.ID, "staff"); err == nil {
		t.Fatal("the deletion went through")
	}
	f.engine.failAfter.Store(-1)
	group(t, f, p.ID, "staff")
	if got := groupsOf(t, f.Directory, p.ID, sub); got != "" || members(t, f, p.ID, "staff", 10) != "" {
		t.Errorf("groups %s", got)
	}
	u, err := f.User(t.Context(), p.ID, sub)
	if err != nil || len(u.Groups) != 1 {
		t.Fatalf("what the interruption left: %v, %v", u.Groups, err)
	}
	if err := f.AddToGroup(t.Context(), p.ID, sub, "staff"); err != nil {
		t.Fatal(err)
	}
	now, err := f.User(t.Context(), p.ID, sub)
	if err != nil || len(now.Groups) != 1 || now.Groups[0] == u.Groups[0] {
		t.Errorf("the remains are still there: %v, %v", now.Groups, err)
	}
	if got := groupsOf(t, f.node(), p.ID, sub); got != "staff" {
		t.Errorf("groups %s", got)
	}
}

// A node whose list is older than a group must not take the membership for a remainder.
func TestAnOldListForgetsNoMembership(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	sub := signIn(t, f, p, ip, nil).User.Sub
	old := f.node()
	group(t, f, p.ID, "a")
	if err := f.AddToGroup(t.Context(), p.ID, sub, "a"); err != nil {
		t.Fatal(err)
	}
	if got := groupsOf(t, old, p.ID, sub); got != "a" { // its list is from now
		t.Fatalf("groups %s", got)
	}
	group(t, f, p.ID, "b")
	group(t, f, p.ID, "c")
	if err := f.AddToGroup(t.Context(), p.ID, sub, "b"); err != nil {
		t.Fatal(err)
	}
	if err := old.AddToGroup(t.Context(), p.ID, sub, "c"); err != nil {
		t.Fatal(err)
	}
	f.clock.Add(6 * time.Second)
	if got := groupsOf(t, old, p.ID, sub); got != "a b c" {
		t.Errorf("groups %s", got)
	}
}

func TestLimitsOfGroups(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	sub := signIn(t, f, p, ip, nil).User.Sub
	for i := range pool.MaxUserGroups {
		name := fmt.Sprintf("g%03d", i)
		group(t, f, p.ID, name)
		if err := f.AddToGroup(t.Context(), p.ID, sub, name); err != nil {
			t.Fatal(err)
		}
	}
	group(t, f, p.ID, "more")
	err := f.AddToGroup(t.Context(), p.ID, sub, "more")
	wantCode(t, err, fault.TooLarge)
	if !errors.Is(err, pool.ErrLimit) {
		t.Errorf("%v", err)
	}
	if err := f.DeleteGroup(t.Context(), p.ID, "g050"); err != nil {
		t.Fatal(err)
	}
	if err := f.AddToGroup(t.Context(), p.ID, sub, "more"); err != nil {
		t.Errorf("after one is gone: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 500 { // beside the 100 that are there
		wg.Go(func() {
			for j := range 20 {
				if n := i*20 + j; n < pool.MaxGroups-100 {
					name := fmt.Sprintf("n%05d", n)
					body := fmt.Sprintf(`{"v":1,"d":{"pool":%q,"name":%q,"gid":%q}}`, p.ID, name, name)
					if _, err := f.engine.Put(t.Context(), "group", store.Doc{Key: p.ID + "/" + name, Index: []string{"pool:" + p.ID + "/"}, Body: []byte(body)}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	_, err = f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: "last"})
	wantCode(t, err, fault.TooLarge)
	if !errors.Is(err, pool.ErrLimit) {
		t.Errorf("%v", err)
	}
}

// Whoever joins while the group is deleted, and made again, is in no group of that name unless they joined the new one.
func TestJoiningADyingGroup(t *testing.T) {
	f := newFixture(t)
	a, _ := twoPools(t, f, 8)
	var subs []string
	for i := range 8 {
		subs = append(subs, subOf(t, f, a.ID, fmt.Sprintf("Corp_S%02d", i)))
	}
	for range 20 {
		group(t, f, a.ID, "staff")
		var wg sync.WaitGroup
		for _, sub := range subs {
			wg.Go(func() {
				if err := f.AddToGroup(t.Context(), a.ID, sub, "staff"); err != nil && fault.CodeOf(err) != fault.NotFound {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := f.DeleteGroup(t.Context(), a.ID, "staff"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for _, sub := range subs {
			u, err := f.User(t.Context(), a.ID, sub)
			if err != nil || len(u.Groups) > 0 || groupsOf(t, f.Directory, a.ID, sub) != "" {
				t.Fatalf("still in %v, %v", u.Groups, err)
			}
		}
		g := group(t, f, a.ID, "staff")
		if got := members(t, f, a.ID, "staff", 10); got != "" {
			t.Fatalf("a new group %s has members: %s", g.GID, got)
		}
		if err := f.DeleteGroup(t.Context(), a.ID, "staff"); err != nil {
			t.Fatal(err)
		}
	}
}

// Membership is changed beside sign-ins and other groups without losing anything.
func TestMembershipLosesNothing(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	sub := signIn(t, f, p, ip, nil).User.Sub
	var want []string
	var wg sync.WaitGroup
	for i := range 12 {
		name := fmt.Sprintf("g%02d", i)
		group(t, f, p.ID, name)
		want = append(want, name)
		wg.Go(func() {
			if err := f.AddToGroup(t.Context(), p.ID, sub, name); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := f.SignIn(context.WithoutCancel(t.Context()), p, pool.SignIn{Provider: ip, Subject: "1", Attributes: attrs{"name": name}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := groupsOf(t, f.Directory, p.ID, sub); !slices.Equal(strings.Fields(got), want) {
		t.Errorf("groups %s", got)
	}
}

func TestNoGroupsNoRead(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	u := signIn(t, f, p, ip, nil).User
	before := f.engine.reads.Load()
	if all, err := f.GroupsOf(t.Context(), u); err != nil || all != nil || f.engine.reads.Load() != before {
		t.Errorf("%v, %v, %d reads", all, err, f.engine.reads.Load()-before)
	}
}

func TestDeletingAPoolTakesItsGroups(t *testing.T) {
	f := newFixture(t)
	a, b := twoPools(t, f, 1)
	group(t, f, a.ID, "staff")
	group(t, f, b.ID, "staff")
	if err := f.DeletePool(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	docs, err := f.engine.List(t.Context(), "group", "", "", 10)
	if err != nil || len(docs) != 1 || !strings.HasPrefix(docs[0].Key, b.ID) {
		t.Errorf("%d groups, %v", len(docs), err)
	}
}
