package faulty_test

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
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/faulty"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
	"github.com/weir-id/weir/federation/token"
)

const (
	redirect = "https://app.example.com/callback"
	email    = "jane@example.com"
)

// node is one process on a store.
type node struct {
	*pool.Directory
	grants *token.Grants
}

func newNode(e store.Engine, ring *secret.Ring) node {
	return node{&pool.Directory{Engine: e, Ring: ring, Now: now}, &token.Grants{Engine: e, Ring: ring, Now: now}}
}

// TestDirectoryKeepsItsPromisesWhateverFails lets each call of a day in a pool fail in each way: on bolt every one of them, on a
// database every eleventh, since it is slower.
func TestDirectoryKeepsItsPromisesWhateverFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func(*testing.T) store.Engine
		step int
	}{
		{"bolt", newBolt, 1},
		{"MongoDB", newMongo, 11},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
			if err != nil {
				t.Fatal(err)
			}
			db := tt.open(t)
			for _, f := range []faulty.Fault{faulty.Refuse, faulty.Lose, faulty.Repeat} {
				for n := 1; ; n += tt.step {
					d := newDay(t, db, ring, fmt.Sprintf("%s call %d", f, n))
					e := &faulty.Engine{Engine: db, Choose: faulty.Nth(n, f)}
					d.live(t.Context(), newNode(e, ring))
					whole := e.Calls() < n
					if whole {
						d.wentWell(t, e.Calls())
					}
					d.check(t)
					if whole {
						break
					}
				}
			}
		})
	}
}

func newMongo(t *testing.T) store.Engine {
	t.Helper()
	db, err := mongo.Open(t.Context(), mongotest.Database(t, mongotest.Options{}), mongo.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// day is a pool with a provider, and what people do in it.
type day struct {
	name   string
	honest node
	pool   pool.Pool
	corp   pool.IdentityProvider
	both   []pool.IdentityProvider // whose identities are linked by preferred_username
	code   string
	spent  int
}

func newDay(t *testing.T, db store.Engine, ring *secret.Ring, name string) *day {
	t.Helper()
	d := &day{name: name, honest: newNode(db, ring)}
	var err error
	if d.pool, err = d.honest.CreatePool(t.Context(), pool.Pool{Name: "day", AliasAttributes: []string{"email"}}); err != nil {
		t.Fatal(err)
	}
	d.corp, err = d.honest.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: d.pool.ID, Name: "Corp", Type: "OIDC",
		AttributeMapping: map[string]string{"email": "email"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HR", "Badge"} {
		ip, err := d.honest.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: d.pool.ID, Name: name, Type: "OIDC",
			Details:          pool.Details{"link_users": secret.New("attribute:preferred_username")},
			AttributeMapping: map[string]string{"preferred_username": "nick"}})
		if err != nil {
			t.Fatal(err)
		}
		d.both = append(d.both, ip)
	}
	return d
}

// linked signs grace in, who has an identity at each of two providers.
func (d *day) linked(ctx context.Context, n node, i int, nick string) (pool.SignInResult, error) {
	said := map[string]string{"preferred_username": nick}
	return n.SignIn(ctx, d.pool, pool.SignIn{Provider: d.both[i], Subject: "grace", Attributes: said, Exact: said})
}

// live goes on whatever fails, as people do who try another thing.
func (d *day) live(ctx context.Context, n node) {
	_, _ = n.SignIn(ctx, d.pool, d.signIn("ada@example.com"))
	r, err := n.SignIn(ctx, d.pool, d.signIn("ada@new.example"))
	if err == nil {
		d.code, _, _ = n.grants.Start(ctx, token.Grant{PoolID: d.pool.ID, ClientID: "client", Sub: r.User.Sub, AuthTime: epoch,
			RedirectURI: redirect, Scopes: []string{"openid"}}, token.Lifetimes{})
	}
	d.spend(ctx, n)
	_, _ = d.linked(ctx, n, 0, "grace")
	_, _ = d.linked(ctx, n, 1, "grace")
	jane, janes := n.CreateUser(ctx, d.pool.ID, d.local("jane"))
	joe := d.local("joe")
	joe.ForceAlias = true
	_, _ = n.CreateUser(ctx, d.pool.ID, joe)
	if janes == nil {
		_ = n.DeleteUser(ctx, d.pool.ID, jane.User.Sub)
	}
}

func (d *day) signIn(email string) pool.SignIn {
	return pool.SignIn{Provider: d.corp, Issuer: "https://corp.example", Subject: "ada", Attributes: map[string]string{"email": email}}
}

func (d *day) local(name string) pool.NewUser {
	return pool.NewUser{Username: name, Attributes: map[string]string{"email": email, "email_verified": "true"}}
}

func (d *day) spend(ctx context.Context, n node) {
	if _, _, err := n.grants.Spend(ctx, d.code, token.Spend{ClientID: "client", RedirectURI: redirect, RefreshValidity: time.Hour}); err == nil {
		d.spent++
	}
}

// check asks a node whose calls do not fail.
func (d *day) check(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	// The code is good once, whoever heard of it.
	d.spend(ctx, d.honest)
	d.spend(ctx, d.honest)
	if d.spent > 1 {
		t.Errorf("%s: the code was spent %d times", d.name, d.spent)
	}
	// The person can sign in, and is one user.
	first, err := d.honest.SignIn(ctx, d.pool, d.signIn("ada@newer.example"))
	if err != nil {
		t.Fatalf("%s: sign in afterwards: %v", d.name, err)
	}
	// So is she who is linked, and her value can go on to another one.
	for i := range d.both {
		if r, err := d.linked(ctx, d.honest, i, "grace"); err != nil || i == 1 && len(r.User.Identities) != 2 {
			t.Fatalf("%s: a linked sign-in afterwards: %+v, %v", d.name, r.User, err)
		}
	}
	if r, err := d.linked(ctx, d.honest, 1, "grace2"); err != nil || len(r.User.LinkKeys) != 1 || len(r.User.Identities) != 2 {
		t.Errorf("%s: a value that changes: %+v, %v", d.name, r.User, err)
	}
	users := d.users(t)
	if n := len(slices.DeleteFunc(slices.Clone(users), func(u pool.User) bool { return len(u.Identities) == 0 })); n != 2 {
		t.Errorf("%s: %d users have the identities of two", d.name, n)
	}
	if again, err := d.honest.SignIn(ctx, d.pool, d.signIn("ada@newer.example")); err != nil || again.User.Sub != first.User.Sub || again.Created {
		t.Errorf("%s: sign in once more: %+v, %v", d.name, again, err)
	}
	// Every name leads to the user who has it.
	for _, u := range users {
		names := []string{u.Username, u.Sub}
		for _, a := range u.Aliases {
			names = append(names, u.Attributes[a])
		}
		for _, name := range names {
			if got, err := d.honest.FindUser(ctx, d.pool.ID, name); err != nil || got.Sub != u.Sub {
				t.Errorf("%s: %s leads to %s, %v; want %s", d.name, name, got.Sub, err, u.Sub)
			}
		}
	}
	// And one that leads nowhere can be had.
	for _, name := range []string{"jane", "joe", email} {
		_, err := d.honest.FindUser(ctx, d.pool.ID, name)
		if fault.CodeOf(err) == fault.NotFound {
			in := d.local(strings.TrimSuffix(name, "@example.com"))
			in.ForceAlias = true
			if name == email {
				in.Username = "heir"
			}
			_, err = d.honest.CreateUser(ctx, d.pool.ID, in)
		}
		if err != nil {
			t.Errorf("%s: %s leads nowhere and cannot be had: %v", d.name, name, err)
		}
	}
}

// wentWell asserts of a day without a fault that there was something to go wrong.
func (d *day) wentWell(t *testing.T, calls int) {
	t.Helper()
	joe, err := d.honest.FindUser(t.Context(), d.pool.ID, email)
	if calls < 20 || d.spent != 1 || err != nil || joe.Username != "joe" || len(d.users(t)) != 3 {
		t.Errorf("%s: %d calls, %d codes spent, the address leads to %q, %v, %d users", d.name, calls, d.spent, joe.Username, err, len(d.users(t)))
	}
}

func (d *day) users(t *testing.T) []pool.User {
	t.Helper()
	users, next, err := d.honest.Users(t.Context(), d.pool.ID, "", "", 60)
	if err != nil || next != "" {
		t.Fatalf("%s: users: %q, %v", d.name, next, err)
	}
	return users
}

// Two first sign-ins of one person at the same time, through two providers, make one user on each engine.
func TestParallelLinkedFirstSignIns(t *testing.T) {
	for name, open := range map[string]func(*testing.T) store.Engine{"bolt": newBolt, "MongoDB": newMongo} {
		t.Run(name, func(t *testing.T) {
			ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
			if err != nil {
				t.Fatal(err)
			}
			d := newDay(t, open(t), ring, name)
			for round := range 20 {
				said := map[string]string{"preferred_username": fmt.Sprint("p", round)}
				var subs [2]string
				var all sync.WaitGroup
				for i := range subs {
					all.Go(func() {
						r, err := d.honest.SignIn(context.WithoutCancel(t.Context()), d.pool, pool.SignIn{Provider: d.both[i], Subject: said["preferred_username"], Attributes: said, Exact: said})
						if subs[i] = r.User.Sub; err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if subs[0] != subs[1] || subs[0] == "" {
					t.Errorf("round %d: users %v", round, subs)
				}
			}
			if n := len(d.users(t)); n != 20 {
				t.Errorf("%d users", n)
			}
		})
	}
}
