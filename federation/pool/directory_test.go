package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	long := strings.Repeat("x", 2000)
	for name, get := range map[string]func(ctx context.Context) error{
		"pool":                   func(ctx context.Context) error { _, err := f.Pool(ctx, "local_Missing00"); return err },
		"pool of a long id":      func(ctx context.Context) error { _, err := f.Pool(ctx, "local_"+long); return err },
		"pool with a NUL":        func(ctx context.Context) error { _, err := f.Pool(ctx, "local_a\x00"); return err },
		"domain":                 func(ctx context.Context) error { _, err := f.PoolByDomain(ctx, "missing"); return err },
		"no domain":              func(ctx context.Context) error { _, err := f.PoolByDomain(ctx, ""); return err },
		"malformed domain":       func(ctx context.Context) error { _, err := f.PoolByDomain(ctx, long+"\x00"); return err },
		"client":                 func(ctx context.Context) error { _, err := f.Client(ctx, "missing"); return err },
		"client of a long id":    func(ctx context.Context) error { _, err := f.Client(ctx, long); return err },
		"provider":               func(ctx context.Context) error { _, err := f.Provider(ctx, p.ID, "Missing"); return err },
		"provider in other case": func(ctx context.Context) error { _, err := f.Provider(ctx, p.ID, "corp"); return err },
		"provider of a long name": func(ctx context.Context) error {
			_, err := f.Provider(ctx, p.ID, long)
			return err
		},
		"identifier": func(ctx context.Context) error { _, err := f.ProviderByIdentifier(ctx, p.ID, "b.example"); return err },
		"identifier of another pool": func(ctx context.Context) error {
			_, err := f.ProviderByIdentifier(ctx, "local_Other0001", "example.com")
			return err
		},
		"user":              func(ctx context.Context) error { _, err := f.User(ctx, p.ID, "missing"); return err },
		"user with a NUL":   func(ctx context.Context) error { _, err := f.User(ctx, p.ID, "\x00"); return err },
		"user name":         func(ctx context.Context) error { _, err := f.UserByUsername(ctx, p.ID, "missing"); return err },
		"long user name":    func(ctx context.Context) error { _, err := f.UserByUsername(ctx, p.ID, long); return err },
		"identity":          func(ctx context.Context) error { _, err := f.UserByIdentity(ctx, p.ID, "Corp", "1"); return err },
		"empty identity":    func(ctx context.Context) error { _, err := f.UserByIdentity(ctx, p.ID, "", ""); return err },
		"delete a pool":     func(ctx context.Context) error { return f.DeletePool(ctx, "local_Missing00") },
		"delete a client":   func(ctx context.Context) error { return f.DeleteClient(ctx, p.ID, "missing") },
		"delete a provider": func(ctx context.Context) error { return f.DeleteProvider(ctx, p.ID, "Missing") },
		"delete a user":     func(ctx context.Context) error { return f.DeleteUser(ctx, p.ID, "missing") },
		"update a pool": func(ctx context.Context) error {
			_, err := f.UpdatePool(ctx, pool.Pool{ID: "local_Missing00"})
			return err
		},
		"update a client": func(ctx context.Context) error {
			_, err := f.UpdateClient(ctx, pool.Client{PoolID: p.ID, ID: "x"})
			return err
		},
		"update a provider": func(ctx context.Context) error {
			_, err := f.UpdateProvider(ctx, pool.IdentityProvider{PoolID: p.ID, Name: "Missing"})
			return err
		},
		"client of a missing pool": func(ctx context.Context) error {
			_, err := f.CreateClient(ctx, pool.Client{PoolID: "local_Missing00", Name: "web"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := get(t.Context())
			wantCode(t, err, fault.NotFound)
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v does not wrap store.ErrNotFound", err)
			}
			if strings.Contains(fault.PublicOf(err), "issing") {
				t.Errorf("public text quotes the input: %s", fault.PublicOf(err))
			}
		})
	}
}

func TestPoolsAreFoundByIDAndDomainInAnyCase(t *testing.T) {
	f := newFixture(t)
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "example", Domain: "Auth.Example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.ID, "local_") || p.SigningAlgorithm != "RS256" || len(p.Schema) != len(pool.StandardSchema()) || !p.Created.Equal(f.clock.Now()) {
		t.Errorf("created %+v", p)
	}
	for _, domain := range []string{"auth.example.com", "AUTH.EXAMPLE.COM"} {
		if got, err := f.PoolByDomain(t.Context(), domain); err != nil || got.ID != p.ID {
			t.Errorf("%s: %s, error %v", domain, got.ID, err)
		}
	}
	_, err = f.CreatePool(t.Context(), pool.Pool{Name: "other", Domain: "auth.example.com"})
	wantCode(t, err, fault.Conflict)
	_, err = f.CreatePool(t.Context(), pool.Pool{ID: p.ID, Name: "other"})
	wantCode(t, err, fault.Conflict)
}

func TestCustomAttributesAreAddedButNeverLost(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t, pool.SchemaSpec{Name: "department", AttributeDataType: "String"})
	p.Schema = append(p.Schema, pool.SchemaAttribute{Name: "custom:level", DataType: "Number", Mutable: true})
	p, err := f.UpdatePool(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	p.Schema = append(pool.StandardSchema(), pool.SchemaAttribute{Name: "custom:level", DataType: "String", Mutable: true})
	_, err = f.UpdatePool(t.Context(), p)
	want := "Schema: the custom attribute custom:department exists and cannot be removed\n" +
		"Schema[custom:level].AttributeDataType: the type cannot be changed from Number"
	if got := problemsOf(t, err); got != want {
		t.Errorf("problems\n%s, want\n%s", got, want)
	}
}

func TestCacheHasABoundedAge(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	client := goodClient()
	if _, err := f.CreateClient(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	other := f.node()
	read := func() string {
		p, err1 := f.Pool(t.Context(), p.ID)
		q, err2 := f.PoolByDomain(t.Context(), "example")
		c, err3 := f.Client(t.Context(), client.ID)
		i, err4 := f.Provider(t.Context(), p.ID, "Corp")
		j, err5 := f.ProviderByIdentifier(t.Context(), p.ID, "EXAMPLE.com")
		l, err6 := f.Providers(t.Context(), p.ID)
		if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
			t.Fatal(err)
		}
		return strings.Join([]string{p.Name, q.Name, c.Name, i.AttributeMapping["email"], j.AttributeMapping["email"], l[0].AttributeMapping["email"]}, " ")
	}
	if got := read(); got != "example example web email email email" {
		t.Fatalf("read %q", got)
	}
	p.Name, client.Name, ip.AttributeMapping["email"] = "new", "new", "mail"
	_, err1 := other.UpdatePool(t.Context(), p)
	_, err2 := other.UpdateClient(t.Context(), client)
	_, err3 := other.UpdateProvider(t.Context(), ip)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	f.clock.Add(4 * time.Second)
	reads := f.engine.reads.Load()
	if got := read(); got != "example example web email email email" {
		t.Errorf("after 4 s: %q", got)
	}
	if n := f.engine.reads.Load() - reads; n != 0 {
		t.Errorf("%d reads of the store within the age", n)
	}
	f.clock.Add(time.Second)
	if got := read(); got != "new new new mail mail mail" {
		t.Errorf("after 5 s: %q", got)
	}
}

func TestOwnWritesAreSeenAtOnce(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	_, err := f.Client(t.Context(), goodClient().ID)
	wantCode(t, err, fault.NotFound)
	c, err := f.CreateClient(t.Context(), goodClient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Client(t.Context(), c.ID); err != nil {
		t.Errorf("a created client: %v", err)
	}
	p.Name = "new"
	if _, err := f.UpdatePool(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if p, err := f.Pool(t.Context(), p.ID); err != nil || p.Name != "new" {
		t.Errorf("pool %q, error %v", p.Name, err)
	}
	if err := f.DeleteClient(t.Context(), p.ID, c.ID); err != nil {
		t.Fatal(err)
	}
	_, err = f.Client(t.Context(), c.ID)
	wantCode(t, err, fault.NotFound)
}

func TestNegativeAnswersAreCachedBrieflyAndNotWithoutBound(t *testing.T) {
	f := newFixture(t)
	f.withPool(t)
	count := func(ids ...string) int64 {
		before := f.engine.reads.Load()
		for _, id := range ids {
			_, err := f.Client(t.Context(), id)
			wantCode(t, err, fault.NotFound)
		}
		return f.engine.reads.Load() - before
	}
	if n := count("a", "a", "a"); n != 1 {
		t.Errorf("%d reads for one missing client", n)
	}
	f.clock.Add(time.Second)
	if n := count("a"); n != 1 {
		t.Errorf("%d reads after a second", n)
	}
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("m%d", i)
	}
	if n := count(many...); n != 5000 {
		t.Errorf("%d reads for 5000 missing clients", n)
	}
	// With an unbounded cache the second round would read nothing.
	if n := count(many...); n < 4000 {
		t.Errorf("%d reads for the same 5000: the cache has no bound", n)
	}
}

func TestCallersCannotChangeTheCache(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	c, err := f.CreateClient(t.Context(), goodClient())
	if err != nil {
		t.Fatal(err)
	}
	cached, err := f.Client(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	cached.CallbackURLs[0] = "https://evil.example/"
	p.Schema[1].Mutable = false
	ip.AttributeMapping["email"] = "x"
	c2, err1 := f.Client(t.Context(), c.ID)
	p2, err2 := f.Pool(t.Context(), p.ID)
	ip2, err3 := f.Provider(t.Context(), p.ID, "Corp")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if c2.CallbackURLs[0] != c.CallbackURLs[0] || !p2.Schema[1].Mutable || ip2.AttributeMapping["email"] != "email" {
		t.Error("a caller's change reached the cache")
	}
}

func TestClientsBelongToOnePool(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	other, err := f.CreatePool(t.Context(), pool.Pool{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, Name: "web", Secrets: []pool.ClientSecret{{Value: pool.GenerateClientSecret()}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.ID) != 26 || c.IDTokenValidity != time.Hour || c.AccessTokenValidity != time.Hour ||
		c.RefreshTokenValidity != 30*24*time.Hour || c.AuthSessionValidity != 3*time.Minute {
		t.Errorf("defaults %+v", c)
	}
	wantCode(t, f.DeleteClient(t.Context(), other.ID, c.ID), fault.NotFound)
	moved := c
	moved.PoolID = other.ID
	_, err = f.UpdateClient(t.Context(), moved)
	wantCode(t, err, fault.NotFound)
	_, err = f.CreateClient(t.Context(), pool.Client{ID: c.ID, PoolID: other.ID, Name: "web"})
	wantCode(t, err, fault.Conflict)
	mine, err1 := f.Clients(t.Context(), p.ID)
	theirs, err2 := f.Clients(t.Context(), other.ID)
	if err := errors.Join(err1, err2); err != nil || len(mine) != 1 || len(theirs) != 0 {
		t.Errorf("%d and %d clients, error %v", len(mine), len(theirs), err)
	}
	if mine[0].Secret().Reveal() != c.Secret().Reveal() {
		t.Error("the secret did not survive the store")
	}
}

func TestProviderNamesAndIdentifiersAreUniqueButForCase(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	for name, c := range map[string]pool.IdentityProvider{
		"same name":        {Name: "Corp"},
		"name by case":     {Name: "CORP"},
		"name by width":    {Name: "Ｃorp"},
		"identifier":       {Name: "New", Identifiers: []string{"example.com"}},
		"identifier, case": {Name: "New", Identifiers: []string{"Example.COM"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.PoolID, c.Type = p.ID, "OIDC"
			_, err := f.CreateProvider(t.Context(), c)
			wantCode(t, err, fault.Conflict)
		})
	}
	ip.Type = "SAML"
	_, err := f.UpdateProvider(t.Context(), ip)
	if got := problemsOf(t, err); !strings.HasPrefix(got, "ProviderType: the type of an existing") {
		t.Errorf("problems %s", got)
	}
	if err := f.DeleteProvider(t.Context(), p.ID, "Corp"); err != nil {
		t.Fatal(err)
	}
	_, err = f.ProviderByIdentifier(t.Context(), p.ID, "example.com")
	wantCode(t, err, fault.NotFound)
}

func TestDetailsAreCheckedByKind(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	f.CheckProvider = func(ip pool.IdentityProvider) []pool.Problem {
		if ip.Details.Get("client_id") == "" {
			return []pool.Problem{{Path: "ProviderDetails[client_id]", Message: "is required"}}
		}
		return nil
	}
	_, err := f.UpdateProvider(t.Context(), ip)
	if got := problemsOf(t, err); got != "ProviderDetails[client_id]: is required" {
		t.Errorf("problems %s", got)
	}
	ip.Details = pool.Details{"client_id": secret.New("weir")}
	if _, err := f.UpdateProvider(t.Context(), ip); err != nil {
		t.Error(err)
	}
	if got, err := f.Provider(t.Context(), p.ID, ip.Name); err != nil || got.Details.Get("client_id") != "weir" {
		t.Errorf("details %q, error %v", got.Details.Get("client_id"), err)
	}
}

func TestDeletePoolTakesEverythingAlong(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	c, err := f.CreateClient(t.Context(), goodClient())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := f.CreatePool(t.Context(), pool.Pool{ID: "local_Example01b", Name: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	keptProvider, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: kept.ID, Name: "Corp", Type: "OIDC"})
	if err != nil {
		t.Fatal(err)
	}
	u := signIn(t, f, p, ip, nil).User
	ku := signIn(t, f, kept, keptProvider, nil).User
	if err := f.DeletePool(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	_, err = f.Pool(t.Context(), p.ID)
	wantCode(t, err, fault.NotFound)
	_, err = f.Client(t.Context(), c.ID)
	wantCode(t, err, fault.NotFound)
	_, err = f.Provider(t.Context(), p.ID, ip.Name)
	wantCode(t, err, fault.NotFound)
	_, err = f.User(t.Context(), p.ID, u.Sub)
	wantCode(t, err, fault.NotFound)
	if _, err := f.User(t.Context(), kept.ID, ku.Sub); err != nil {
		t.Errorf("a user of another pool: %v", err)
	}
}

// A request that had to wait for too long is one to try again, which clients do of what is unavailable.
func TestWhatTakesTooLongIsToBeTriedAgain(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err := f.ChangePool(late, p.ID, func(p *pool.Pool) error { p.Name = "other"; return nil })
	wantCode(t, err, fault.Unavailable)
	_, err = f.User(late, p.ID, "somebody")
	wantCode(t, err, fault.Unavailable)
}
