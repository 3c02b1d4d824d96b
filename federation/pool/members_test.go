package pool_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

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

func TestPagesOfAUsersGroups(t *testing.T) {
	f := newFixture(t)
	a, _ := twoPools(t, f, 2)
	sub, other := subOf(t, f, a.ID, "Corp_S00"), subOf(t, f, a.ID, "Corp_S01")
	for i, name := range []string{"e", "d", "c", "b", "a"} {
		g := pool.Group{PoolID: a.ID, Name: name}
		if i < 3 {
			g.Precedence = ptr(i * 100 % 150)
		}
		if _, err := f.CreateGroup(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		if err := f.AddToGroup(t.Context(), a.ID, sub, name); err != nil {
			t.Fatal(err)
		}
	}
	u, err := f.User(t.Context(), a.ID, sub)
	if err != nil {
		t.Fatal(err)
	}
	someone, err := f.User(t.Context(), a.ID, other)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 2, 3, 5, 60} {
		got, after := "", ""
		for {
			page, next, err := f.UserGroups(t.Context(), u, after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d groups, %v", len(page), err)
			}
			for _, g := range page {
				got += g.Name
			}
			if after = next; next == "" {
				break
			}
			_, _, err = f.UserGroups(t.Context(), someone, next, limit)
			wantCode(t, err, fault.Invalid)
		}
		if got != "ecdab" {
			t.Errorf("by %d: %s", limit, got)
		}
	}
	if page, next, err := f.UserGroups(t.Context(), someone, "", 60); err != nil || len(page) > 0 || next != "" {
		t.Errorf("%v, %v", page, err)
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
