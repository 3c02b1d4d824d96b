package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

// twoPools stores two pools with a provider each and the same people in both.
func twoPools(t *testing.T, f *fixture, people int) (a, b pool.Pool) {
	t.Helper()
	a, ipA := f.withPool(t)
	b, err := f.CreatePool(t.Context(), pool.Pool{ID: "local_Example02", Name: "second"})
	if err != nil {
		t.Fatal(err)
	}
	ipB, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: b.ID, Name: "Corp", Type: "OIDC"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range people {
		in := pool.SignIn{Subject: fmt.Sprintf("S%02d", i), Attributes: attrs{
			"email": fmt.Sprintf("Person%02d@example.com", i), "family_name": []string{"Doe", "doe", "Roe"}[i%3],
		}}
		in.Provider = ipA
		_, err1 := f.SignIn(t.Context(), a, in)
		in.Provider = ipB
		_, err2 := f.SignIn(t.Context(), b, in)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// names pages through an index with the given limit.
func names(t *testing.T, f *fixture, poolID, index string, limit int) string {
	t.Helper()
	var out []string
	for after := ""; ; {
		page, next, err := f.Users(t.Context(), poolID, index, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > limit {
			t.Fatalf("a page of %d, limit %d", len(page), limit)
		}
		for _, u := range page {
			if u.PoolID != poolID {
				t.Fatalf("a user of pool %s", u.PoolID)
			}
			out = append(out, strings.TrimPrefix(u.Username, "Corp_"))
		}
		if next == "" {
			return strings.Join(out, " ")
		}
		after = next
	}
}

func TestUsersAreListedByIndex(t *testing.T) {
	f := newFixture(t)
	a, b := twoPools(t, f, 7)
	one, err := f.UserByUsername(t.Context(), a.ID, "CORP_s03")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.UpdateUser(t.Context(), a.ID, one.Sub, func(u *pool.User) error { u.Enabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	for index, want := range map[string]string{
		"":                                  "S00 S01 S02 S03 S04 S05 S06",
		"username=corp_s0":                  "S00 S01 S02 S03 S04 S05 S06",
		"username=Corp_S05":                 "S05",
		"email=person":                      "S00 S01 S02 S03 S04 S05 S06",
		"email=PERSON04@EXAMPLE":            "S04",
		"family_name=roe":                   "S02 S05",
		"sub=" + one.Sub:                    "S03",
		"status=Disabled":                   "S03",
		"cognito:user_status=exte":          "S00 S01 S02 S03 S04 S05 S06",
		"phone_number=+":                    "",
		"email=" + strings.Repeat("x", 300): "",
	} {
		got := names(t, f, a.ID, index, 3)
		if strings.HasPrefix(index, "cognito:") { // equal values come in the order of subs
			if len(got) != len(want) {
				t.Errorf("%s: %s", index, got)
			}
			continue
		}
		if index == "family_name=roe" {
			if got != want && got != "S05 S02" {
				t.Errorf("%s: %s", index, got)
			}
			continue
		}
		if got != want {
			t.Errorf("%q: %s, want %s", index, got, want)
		}
	}
	if got := names(t, f, b.ID, "status=Disabled", 3); got != "" {
		t.Errorf("disabled in the other pool: %s", got)
	}
	_, _, err = f.Users(t.Context(), a.ID, "custom:x=y", "", 3)
	wantCode(t, err, fault.Invalid)
	_, _, err = f.Users(t.Context(), a.ID, "", "", 0)
	wantCode(t, err, fault.Invalid)
}

func TestCursorsWorkOnlyWhereTheyCameFrom(t *testing.T) {
	f := newFixture(t)
	a, b := twoPools(t, f, 4)
	_, cursor, err := f.Users(t.Context(), a.ID, "email=", "", 2)
	if err != nil || cursor == "" {
		t.Fatalf("cursor %q, error %v", cursor, err)
	}
	if strings.Contains(cursor, "erson") || strings.ContainsAny(cursor, " \n") {
		t.Errorf("cursor %q", cursor)
	}
	for name, try := range map[string]func() error{
		"another pool":  func() error { _, _, err := f.Users(t.Context(), b.ID, "email=", cursor, 2); return err },
		"another index": func() error { _, _, err := f.Users(t.Context(), a.ID, "", cursor, 2); return err },
		"pools":         func() error { _, _, err := f.Pools(t.Context(), cursor, 2); return err },
		"damaged": func() error {
			_, _, err := f.Users(t.Context(), a.ID, "email=", cursor+"AAAA", 2)
			return err
		},
		"made up": func() error { _, _, err := f.Users(t.Context(), a.ID, "email=", "email:"+b.ID+"/a", 2); return err },
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, try(), fault.Invalid) })
	}
	page, next, err := f.Pools(t.Context(), "", 1)
	if err != nil || len(page) != 1 || page[0].ID != a.ID {
		t.Fatalf("pools %v, error %v", page, err)
	}
	if page, _, err = f.Pools(t.Context(), next, 1); err != nil || len(page) != 1 || page[0].ID != b.ID {
		t.Errorf("pools %v, error %v", page, err)
	}
}

func TestUpdateUserKeepsWhatIdentifiesTheUser(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	u := signIn(t, f, p, ip, attrs{"name": "Jane"}).User
	got, err := f.UpdateUser(t.Context(), p.ID, u.Sub, func(u *pool.User) error {
		u.Sub, u.PoolID, u.Username, u.Identities = "x", "y", "z", nil
		u.SignedOutAt = f.clock.Now()
		return nil
	})
	if err != nil || got.Sub != u.Sub || got.PoolID != p.ID || got.Username != u.Username || len(got.Identities) != 1 || got.SignedOutAt.IsZero() {
		t.Errorf("%+v, error %v", got, err)
	}
	_, err = f.UpdateUser(t.Context(), p.ID, u.Sub, func(u *pool.User) error {
		u.Attributes["email"] = "nonsense"
		return nil
	})
	wantCode(t, err, fault.Invalid)
	if n := f.writes(func() {
		if _, err := f.UpdateUser(t.Context(), p.ID, u.Sub, func(*pool.User) error { return store.ErrUnchanged }); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%d writes", n)
	}
	if err := f.DeleteUser(t.Context(), p.ID, u.Sub); err != nil {
		t.Fatal(err)
	}
	if again := signIn(t, f, p, ip, nil); !again.Created || again.User.Sub == u.Sub {
		t.Error("a deleted user's sub came back")
	}
}

// TestAccessOfAUser: what keeps a user out depends neither on the schema nor on a clock that is rounded.
func TestAccessOfAUser(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	u := signIn(t, f, p, ip, attrs{"name": "Jane"}).User
	// An attribute that does not fit the schema any more, as an older release may have left it.
	docs, err := f.engine.List(t.Context(), "user", "", "", 10)
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d users, %v", len(docs), err)
	}
	docs[0].Body = bytes.Replace(docs[0].Body, []byte(`"name":"Jane"`), []byte(`"custom:gone":"x"`), 1)
	if _, err := f.engine.Put(t.Context(), "user", docs[0]); err != nil {
		t.Fatal(err)
	}
	f.clock.Add(1234567 * time.Nanosecond)
	got, err := f.SignOutUser(t.Context(), p.ID, u.Sub)
	if err != nil || !got.SignedOutAt.Equal(f.clock.Now()) || !got.Enabled || got.Attributes["custom:gone"] != "x" {
		t.Errorf("signed out: %+v, %v", got, err)
	}
	f.clock.Add(1234567 * time.Nanosecond)
	got, err = f.EnableUser(t.Context(), p.ID, u.Sub, false)
	if err != nil || got.Enabled || !got.SignedOutAt.Equal(f.clock.Now()) {
		t.Errorf("disabled: %+v, %v", got, err)
	}
	before := got.SignedOutAt
	f.clock.Add(time.Second)
	got, err = f.EnableUser(t.Context(), p.ID, u.Sub, true)
	if err != nil || !got.Enabled || !got.SignedOutAt.Equal(before) || !got.Modified.After(before) {
		t.Errorf("enabled again: %+v, %v", got, err)
	}
	_, err = f.SignOutUser(t.Context(), p.ID, "nobody")
	wantCode(t, err, fault.NotFound)
	_, err = f.EnableUser(t.Context(), p.ID, "nobody", true)
	wantCode(t, err, fault.NotFound)
}

func TestSetEmailVerified(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	u := signIn(t, f, p, ip, attrs{"email": "Jane@Example.com", "email_verified": "true"}).User
	other, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: "2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sub, email        string
		verified, changed bool
	}{
		{u.Sub, "other@example.com", false, false},
		{u.Sub, "", false, false},
		{u.Sub, "jane@EXAMPLE.com", true, false}, // it is so already
		{u.Sub, "jane@EXAMPLE.com", false, true},
		{u.Sub, "jane@EXAMPLE.com", false, false},
		{u.Sub, "Jane@Example.com", true, true},
		{other.User.Sub, "", true, false}, // who has no address
	} {
		changed := false
		n := f.writes(func() {
			var err error
			if changed, err = f.SetEmailVerified(t.Context(), p.ID, c.sub, "Corp", c.email, c.verified); err != nil {
				t.Error(err)
			}
		})
		if changed != c.changed || n > 0 != c.changed {
			t.Errorf("%+v: changed %t with %d writes", c, changed, n)
		}
	}
	got, err := f.User(t.Context(), p.ID, u.Sub)
	if err != nil || got.Attributes["email"] != "Jane@Example.com" || got.Attributes["email_verified"] != "true" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.SetEmailVerified(t.Context(), p.ID, "6e3a2f0c-5a27-4c8e-9d53-0f6d1a6c7b11", "Corp", "jane@example.com", true)
	wantCode(t, err, fault.NotFound)
}
