package pool_test

import (
	"errors"
	"fmt"
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
