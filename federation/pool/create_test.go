package pool_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// withNames is a pool with those settings, without a provider.
func withNames(t testing.TB, f *fixture, usernames, aliases []string) pool.Pool {
	t.Helper()
	schema := append(pool.StandardSchema(),
		pool.SchemaAttribute{Name: "custom:born", DataType: "String"},
		pool.SchemaAttribute{Name: "custom:dept", DataType: "String", Mutable: true},
		pool.SchemaAttribute{Name: "dev:custom:level", DataType: "Number", Mutable: true, DeveloperOnly: true})
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "names", UsernameAttributes: usernames, AliasAttributes: aliases, Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func create(t testing.TB, f *fixture, p pool.Pool, name string, a attrs) pool.User {
	t.Helper()
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: name, Attributes: a})
	if err != nil {
		t.Fatal(err)
	}
	return made.User
}

// leads are the subs that a name leads to, "" for nobody.
func leads(t testing.TB, f *fixture, p pool.Pool, name string) string {
	t.Helper()
	u, err := f.FindUser(t.Context(), p.ID, name)
	if err != nil && !errors.Is(err, pool.ErrNoUser) {
		t.Fatal(err)
	}
	return u.Sub
}

func TestCreateUser(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "Jane", Attributes: attrs{
		"email": "jane@example.com", "email_verified": "true", "phone_number": "+4915005550100", "custom:born": "1990", "dev:custom:level": "7", "name": "",
	}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := f.User(t.Context(), p.ID, made.User.Sub)
	want := attrs{"email": "jane@example.com", "email_verified": "true", "phone_number": "+4915005550100", "custom:born": "1990", "dev:custom:level": "7"}
	if err != nil || u.Username != "Jane" || u.Status != pool.StatusForceChange || !u.Enabled || !maps.Equal(u.Attributes, want) || len(u.Identities) > 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if err := (pool.PasswordPolicy{}).Check(made.Password); err != nil {
		t.Error(err)
	}
	kept, until, err := f.TemporaryPassword(t.Context(), p.ID, u.Sub)
	if err != nil || !kept.Equal(made.Password.Reveal()) || !until.Equal(f.clock.Now().Add(7*24*time.Hour)) || !until.Equal(made.Expires) {
		t.Errorf("temporary password until %v, %v", until, err)
	}
	f.clock.Add(7*24*time.Hour + time.Millisecond)
	_, _, err = f.TemporaryPassword(t.Context(), p.ID, u.Sub)
	wantCode(t, err, fault.NotFound)
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "JANE"})
	wantCode(t, err, fault.Conflict)
	if !errors.Is(err, pool.ErrUsernameExists) {
		t.Errorf("%v", err)
	}
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: u.Sub})
	if !errors.Is(err, pool.ErrUsernameExists) {
		t.Errorf("a user name that is somebody's sub: %v", err)
	}
	_, err = f.CreateUser(t.Context(), "local_Nowhere", pool.NewUser{Username: "x"})
	wantCode(t, err, fault.NotFound)
	if errors.Is(err, pool.ErrNoUser) {
		t.Error("no pool, and it says no user")
	}
}

func TestUsersThatAreRefused(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, []string{"email", "phone_number"})
	by := withNames(t, f, []string{"email", "phone_number"}, nil)
	phone, email := withNames(t, f, []string{"phone_number"}, nil), withNames(t, f, []string{"email"}, nil)
	for name, tt := range map[string]struct {
		pool pool.Pool
		in   pool.NewUser
		part string
	}{
		"no name":                  {p, pool.NewUser{}, "1 to 128"},
		"a space":                  {p, pool.NewUser{Username: "a b"}, "1 to 128"},
		"a long name":              {p, pool.NewUser{Username: strings.Repeat("x", 129)}, "1 to 128"},
		"an address for a name":    {p, pool.NewUser{Username: "jane@example.com"}, "email format"},
		"a number for a name":      {p, pool.NewUser{Username: "+4915005550100"}, "phone number format"},
		"no address":               {by, pool.NewUser{Username: "jane"}, "either an email or a phone number"},
		"no number":                {phone, pool.NewUser{Username: "jane@example.com"}, "should be a phone number"},
		"no address either":        {email, pool.NewUser{Username: "+4915005550100"}, "should be an email"},
		"two addresses":            {by, pool.NewUser{Username: "jane@example.com", Attributes: attrs{"email": "joe@example.com"}}, "not the same"},
		"a sub":                    {p, pool.NewUser{Username: "jane", Attributes: attrs{"sub": "x"}}, "set by the user pool itself"},
		"identities":               {p, pool.NewUser{Username: "jane", Attributes: attrs{"identities": "x"}}, "set by the user pool itself"},
		"an unknown attribute":     {p, pool.NewUser{Username: "jane", Attributes: attrs{"custom:none": "x"}}, "not in the schema"},
		"a bad value":              {p, pool.NewUser{Username: "jane", Attributes: attrs{"email": "secret"}}, "e-mail address"},
		"verified nothing":         {p, pool.NewUser{Username: "jane", Attributes: attrs{"email_verified": "true"}}, "needs email"},
		"a weak password":          {p, pool.NewUser{Username: "jane", Password: secret.New("secret")}, "Password not long enough"},
		"a password with a space":  {p, pool.NewUser{Username: "jane", Password: secret.New("secret A1! ")}, "spaces"},
		"a password with no digit": {p, pool.NewUser{Username: "jane", Password: secret.New("secretSecret!")}, "numeric"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			n := f.writes(func() { _, err = f.CreateUser(t.Context(), tt.pool.ID, tt.in) })
			wantCode(t, err, fault.Invalid)
			if got := fault.PublicOf(err); !strings.Contains(got, tt.part) || strings.Contains(got, "secret") || n != 0 {
				t.Errorf("%s, %d writes", got, n)
			}
		})
	}
}

func TestRequiredAttributesOfNewUsers(t *testing.T) {
	f := newFixture(t)
	schema := pool.StandardSchema()
	for i := range schema {
		schema[i].Required = schema[i].Required || schema[i].Name == "name"
	}
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "required", Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jane"})
	wantCode(t, err, fault.Invalid)
	if _, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jane", Incomplete: true}); err != nil {
		t.Error(err)
	}
	u := create(t, f, p, "joe", attrs{"name": "Joe"})
	_, err = f.DeleteAttributes(t.Context(), p.ID, u.Sub, []string{"name"})
	wantCode(t, err, fault.Invalid)
}

func TestUsersOfPoolsWithAddressesAsNames(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, []string{"email"}, nil)
	u := create(t, f, p, "Jane@Example.com", nil)
	if u.Username != u.Sub || u.Attributes["email"] != "Jane@Example.com" || u.Attributes["email_verified"] != "" {
		t.Errorf("%+v", u)
	}
	if leads(t, f, p, "jane@EXAMPLE.com") != u.Sub || leads(t, f, p, u.Sub) != u.Sub {
		t.Error("the address does not lead to its user")
	}
	_, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "JANE@example.com", ForceAlias: true})
	if !errors.Is(err, pool.ErrUsernameExists) || fault.PublicOf(err) != "An account with the given email already exists." {
		t.Errorf("%v", err)
	}
	joe := create(t, f, p, "joe@example.com", nil)
	_, err = f.UpdateAttributes(t.Context(), p.ID, joe.Sub, attrs{"email": "JANE@example.com"})
	wantCode(t, err, fault.Conflict)
	if !errors.Is(err, pool.ErrAliasExists) {
		t.Errorf("%v", err)
	}
	if _, err := f.UpdateAttributes(t.Context(), p.ID, u.Sub, attrs{"email": "jane@new.example", "email_verified": "true"}); err != nil {
		t.Fatal(err)
	}
	if leads(t, f, p, "jane@example.com") != "" || leads(t, f, p, "jane@new.example") != u.Sub {
		t.Error("the name did not go with the attribute")
	}
	if _, err := f.UpdateAttributes(t.Context(), p.ID, joe.Sub, attrs{"email": "jane@example.com"}); err != nil {
		t.Errorf("a name that is free again: %v", err)
	}
	_, err = f.DeleteAttributes(t.Context(), p.ID, joe.Sub, []string{"email"})
	wantCode(t, err, fault.Invalid)
	if got := fault.PublicOf(err); !strings.Contains(got, "signs in with") {
		t.Error(got)
	}
	if err := f.DeleteUser(t.Context(), p.ID, joe.Sub); err != nil {
		t.Fatal(err)
	}
	create(t, f, p, "jane@example.com", nil)
}

func TestAliases(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, []string{"email", "phone_number", "preferred_username"})
	jane := create(t, f, p, "jane", attrs{"email": "shared@example.com", "email_verified": "true", "preferred_username": "JD"})
	joe := create(t, f, p, "joe", attrs{"email": "shared@example.com"}) // not verified: no alias
	for name, want := range map[string]string{"JANE": jane.Sub, "Shared@Example.com": jane.Sub, "jd": jane.Sub, "joe": joe.Sub, "nobody": "", "a b": ""} {
		if got := leads(t, f, p, name); got != want {
			t.Errorf("%s leads to %s", name, got)
		}
	}
	taken := func(err error, sentinel error) {
		t.Helper()
		wantCode(t, err, fault.Conflict)
		if !errors.Is(err, sentinel) {
			t.Errorf("%v", err)
		}
	}
	_, err := f.UpdateAttributes(t.Context(), p.ID, joe.Sub, attrs{"email_verified": "true"})
	taken(err, pool.ErrAliasExists)
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jim", Attributes: attrs{"email": "SHARED@example.com", "email_verified": "true"}})
	taken(err, pool.ErrAliasExists)
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jim", Attributes: attrs{"preferred_username": "jd"}, ForceAlias: true})
	taken(err, pool.ErrAliasExists)
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jd"}) // would hide the one who is called so
	taken(err, pool.ErrUsernameExists)
	_, err = f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jim", Attributes: attrs{"preferred_username": "Joe"}})
	taken(err, pool.ErrAliasExists)
	_, err = f.UpdateAttributes(t.Context(), p.ID, jane.Sub, attrs{"preferred_username": "Joe"})
	taken(err, pool.ErrAliasExists)
	if leads(t, f, p, "jim") != "" {
		t.Error("a refused user is there")
	}
	// With force a verified address moves, and its former holder is left with the attribute.
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jim", ForceAlias: true, Attributes: attrs{"email": "shared@example.com", "email_verified": "true"}})
	if err != nil || leads(t, f, p, "shared@example.com") != made.User.Sub {
		t.Fatalf("%+v, %v", made.User, err)
	}
	before, err := f.User(t.Context(), p.ID, jane.Sub)
	if err != nil || before.Attributes["email"] != "shared@example.com" || before.Attributes["email_verified"] != "false" || leads(t, f, p, "jd") != jane.Sub {
		t.Errorf("%+v, %v", before, err)
	}
	// Somebody whose address another one has can change everything else.
	if _, err := f.UpdateAttributes(t.Context(), p.ID, jane.Sub, attrs{"name": "Jane"}); err != nil {
		t.Error(err)
	}
	// An address that changes is no alias before it is verified.
	if _, err := f.UpdateAttributes(t.Context(), p.ID, made.User.Sub, attrs{"email": "jim@example.com"}); err != nil {
		t.Fatal(err)
	}
	if leads(t, f, p, "jim@example.com") != "" || leads(t, f, p, "shared@example.com") != "" {
		t.Error("an address that nobody verified leads to a user")
	}
	if changed, err := f.SetEmailVerified(t.Context(), p.ID, made.User.Sub, "Corp", "jim@example.com", true); err != nil || !changed || leads(t, f, p, "jim@example.com") != made.User.Sub {
		t.Errorf("verified: %t, %v", changed, err)
	}
	if changed, err := f.SetEmailVerified(t.Context(), p.ID, made.User.Sub, "Corp", "jim@example.com", false); err != nil || !changed || leads(t, f, p, "jim@example.com") != "" {
		t.Errorf("not any more: %t, %v", changed, err)
	}
}

// Of any number of users at the same time one gets the name.
func TestOneAliasOneUser(t *testing.T) {
	f := newFixture(t)
	for what, p := range map[string]pool.Pool{
		"alias": withNames(t, f, nil, []string{"email"}), "user name": withNames(t, f, []string{"email"}, nil),
	} {
		var wg sync.WaitGroup
		won := make(chan string, 32)
		for i := range 32 {
			wg.Go(func() {
				in := pool.NewUser{Username: fmt.Sprintf("user%d", i), Attributes: attrs{"email": "one@example.com", "email_verified": "true"}}
				if what == "user name" {
					in.Username = "one@example.com"
				}
				made, err := f.CreateUser(t.Context(), p.ID, in)
				switch {
				case err == nil:
					won <- made.User.Sub
				case !errors.Is(err, pool.ErrAliasExists) && !errors.Is(err, pool.ErrUsernameExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || leads(t, f, p, "one@example.com") != <-won {
			t.Errorf("%s: not exactly one", what)
		}
	}
	docs, err := f.engine.List(t.Context(), "temporary_password", "", "", 100)
	if err != nil || len(docs) != 2 {
		t.Errorf("%d temporary passwords, %v", len(docs), err)
	}
}

func TestEditingAttributes(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	u := create(t, f, p, "jane", attrs{"email": "jane@example.com", "email_verified": "true", "custom:born": "1990", "name": "Jane"})
	set := func(a attrs) (pool.User, error) { return f.UpdateAttributes(t.Context(), p.ID, u.Sub, a) }
	for _, tt := range []struct {
		set, want attrs
	}{
		{attrs{"name": "Jane"}, attrs{"name": "Jane", "email_verified": "true"}},
		{attrs{"name": "", "custom:dept": "Sales", "custom:born": "1990"}, attrs{"name": "", "custom:dept": "Sales", "custom:born": "1990", "email_verified": "true"}},
		{attrs{"email": "JANE@example.com"}, attrs{"email": "JANE@example.com", "email_verified": "true"}},
		{attrs{"email": "j@example.com"}, attrs{"email": "j@example.com", "email_verified": "false"}},
		{attrs{"email": "k@example.com", "email_verified": "true"}, attrs{"email": "k@example.com", "email_verified": "true"}},
		{attrs{"email_verified": "false"}, attrs{"email_verified": "false"}},
		{attrs{"email": ""}, attrs{"email": "", "email_verified": ""}},
		{attrs{"dev:custom:level": "3"}, attrs{"dev:custom:level": "3"}},
	} {
		got, err := set(tt.set)
		if err != nil {
			t.Errorf("%v: %v", tt.set, err)
		}
		for name, want := range tt.want {
			if got.Attributes[name] != want {
				t.Errorf("%v: %s is %q", tt.set, name, got.Attributes[name])
			}
		}
	}
	if n := f.writes(func() {
		if _, err := set(attrs{"dev:custom:level": "3"}); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%d writes of nothing new", n)
	}
	for part, a := range map[string]attrs{
		"user.custom:born: Attribute cannot be updated.": {"custom:born": "1991"},
		"set by the user pool itself":                    {"sub": "x"},
		"itself":                                         {"identities": ""},
		"not in the schema":                              {"custom:none": "x"},
		"schema":                                         {"custom:none": ""},
		"decimal number":                                 {"dev:custom:level": "secret"},
		"needs phone_number":                             {"phone_number_verified": "true"},
	} {
		_, err := set(a)
		wantCode(t, err, fault.Invalid)
		if got := fault.PublicOf(err); !strings.Contains(got, part) || strings.Contains(got, "secret") {
			t.Error(got)
		}
	}
	_, err := f.DeleteAttributes(t.Context(), p.ID, u.Sub, []string{"custom:born"})
	wantCode(t, err, fault.Invalid)
	got, err := f.DeleteAttributes(t.Context(), p.ID, u.Sub, []string{"custom:dept", "nickname"})
	if _, has := got.Attributes["custom:dept"]; err != nil || has {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.UpdateAttributes(t.Context(), p.ID, "nobody", nil)
	wantCode(t, err, fault.NotFound)
}

func TestWhatPeopleMayWriteThemselves(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	u := create(t, f, p, "jane", attrs{"email": "jane@example.com", "email_verified": "true"})
	some, all := pool.Client{PoolID: p.ID, WriteAttributes: []string{"name", "custom:born", "email_verified"}}, pool.Client{PoolID: p.ID}
	for name, tt := range map[string]struct {
		client pool.Client
		set    attrs
		want   fault.Code
	}{
		"another attribute":           {some, attrs{"email": "x@example.com"}, fault.Denied},
		"that it is verified":         {some, attrs{"email_verified": "true"}, fault.Denied},
		"that it is verified, by all": {all, attrs{"email_verified": "true"}, fault.Denied},
		"what is developer-only":      {all, attrs{"dev:custom:level": "9"}, fault.Denied},
		"what is immutable":           {all, attrs{"custom:born": "1"}, fault.Denied},
		"the sub":                     {all, attrs{"sub": "1"}, fault.Denied},
		"what is immutable, named":    {some, attrs{"custom:born": "1"}, fault.Invalid},
		"what is unknown":             {all, attrs{"custom:none": "1"}, fault.Invalid},
		"one of two":                  {some, attrs{"name": "Jane", "email": ""}, fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.UpdateOwnAttributes(t.Context(), tt.client, u.Sub, tt.set)
			wantCode(t, err, tt.want)
			if (tt.want == fault.Denied) != errors.Is(err, pool.ErrNotWritable) {
				t.Errorf("%v", err)
			}
		})
	}
	got, err := f.UpdateOwnAttributes(t.Context(), all, u.Sub, attrs{"name": "Jane", "email": "new@example.com"})
	if err != nil || got.Attributes["name"] != "Jane" || got.Attributes["email_verified"] != "false" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := f.DeleteOwnAttributes(t.Context(), some, u.Sub, []string{"name"}); err != nil {
		t.Error(err)
	}
	_, err = f.DeleteOwnAttributes(t.Context(), some, u.Sub, []string{"email"})
	wantCode(t, err, fault.Denied)
}
