package pool_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

func orders() pool.ResourceServer {
	return pool.ResourceServer{PoolID: "local_Example01", Identifier: "https://orders.example.com", Name: "Orders", Scopes: []pool.Scope{
		{Name: "read", Description: "look"}, {Name: "write", Description: "change"},
	}}
}

func TestResourceServers(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	s, err := f.CreateResourceServer(t.Context(), orders())
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.CreateResourceServer(t.Context(), orders())
	if !errors.Is(err, pool.ErrTaken) || fault.PublicOf(err) != "https://orders.example.com already exists in user pool local_Example01." {
		t.Errorf("twice: %v", err)
	}
	got, err := f.ResourceServer(t.Context(), p.ID, s.Identifier)
	if err != nil || got.Name != "Orders" || !slices.Equal(got.Scopes, orders().Scopes) {
		t.Errorf("read back %+v, error %v", got, err)
	}
	for i := range 3 {
		if _, err := f.CreateResourceServer(t.Context(), pool.ResourceServer{PoolID: p.ID, Identifier: fmt.Sprint("api", i), Name: "API"}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	for after := ""; ; {
		page, next, err := f.ResourceServers(t.Context(), p.ID, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page {
			seen = append(seen, s.Identifier)
		}
		if after = next; after == "" {
			break
		}
	}
	if want := []string{"api0", "api1", "api2", "https://orders.example.com"}; !slices.Equal(seen, want) {
		t.Errorf("listed %v", seen)
	}
	_, _, err = f.ResourceServers(t.Context(), p.ID, "forged", 3)
	wantCode(t, err, fault.Invalid)
	for what, err := range map[string]error{
		"another":      second(f.ResourceServer(t.Context(), p.ID, "other")),
		"update":       second(f.UpdateResourceServer(t.Context(), pool.ResourceServer{PoolID: p.ID, Identifier: "other", Name: "x"})),
		"delete":       f.DeleteResourceServer(t.Context(), p.ID, "other"),
		"unknown pool": second(f.CreateResourceServer(t.Context(), pool.ResourceServer{PoolID: "local_Nowhere01", Identifier: "x", Name: "x"})),
	} {
		if fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestValidateResourceServer(t *testing.T) {
	for want, change := range map[string]func(*pool.ResourceServer){
		"":                                    func(*pool.ResourceServer) {},
		"Identifier: must have 1 to 256":      func(s *pool.ResourceServer) { s.Identifier = "a b" },
		"Name: must have 1 to 256":            func(s *pool.ResourceServer) { s.Name = "" },
		"Scopes: at most 100":                 func(s *pool.ResourceServer) { s.Scopes = make([]pool.Scope, 101) },
		"Scopes[0].ScopeName: must have":      func(s *pool.ResourceServer) { s.Scopes[0].Name = "a/b" },
		"Scopes[0].ScopeName: is too long":    func(s *pool.ResourceServer) { s.Scopes[0].Name = strings.Repeat("a", 250) },
		"Scopes[1].ScopeDescription: must":    func(s *pool.ResourceServer) { s.Scopes[1].Description = "" },
		"Scopes[1]: repeats entry 0":          func(s *pool.ResourceServer) { s.Scopes[1].Name = "read" },
		"Scopes[1].ScopeName: must have 1 to": func(s *pool.ResourceServer) { s.Scopes[1].Name = "ö" },
	} {
		s := orders()
		change(&s)
		if got := lines(pool.ValidateResourceServer(s)); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("problems %s, want %s", got, want)
		}
	}
}

func TestClientsHaveOnlyScopesThatExist(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c := goodClient()
	c.Scopes = []string{"openid", "https://orders.example.com/read"}
	_, err := f.CreateClient(t.Context(), c)
	if wantCode(t, err, fault.Invalid); !errors.Is(err, pool.ErrNoScope) {
		t.Errorf("error %v", err)
	}
	if _, err := f.CreateResourceServer(t.Context(), orders()); err != nil {
		t.Fatal(err)
	}
	if c, err = f.CreateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Scopes = append(c.Scopes, "https://orders.example.com/write", "https://orders.example.com/admin")
	if _, err := f.UpdateClient(t.Context(), c); !errors.Is(err, pool.ErrNoScope) || fault.PublicOf(err) != "Invalid scope requested: https://orders.example.com/admin" {
		t.Errorf("error %v", err)
	}
	c.Scopes = c.Scopes[:3]
	if c, err = f.UpdateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	less := orders()
	less.Scopes = less.Scopes[:1]
	if _, err := f.UpdateResourceServer(t.Context(), less); err != nil {
		t.Fatal(err)
	}
	scopes := func() []string {
		t.Helper()
		c, err := f.Client(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return c.Scopes
	}
	if got := scopes(); !slices.Equal(got, []string{"openid", "https://orders.example.com/read"}) {
		t.Errorf("scopes after one of the server's went: %v", got)
	}
	if err := f.DeleteResourceServer(t.Context(), p.ID, less.Identifier); err != nil {
		t.Fatal(err)
	}
	if got := scopes(); !slices.Equal(got, []string{"openid"}) {
		t.Errorf("scopes after the server went: %v", got)
	}
}

func TestFilesDeclareResourceServers(t *testing.T) {
	f := newFixture(t)
	spec := pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", ID: "local_Example01",
		ResourceServers: []pool.ServerSpec{{Identifier: "orders", Scopes: []pool.ScopeSpec{{ScopeName: "read"}}}},
		Clients: []pool.ClientSpec{{
			ClientName: "web", CallbackURLs: []string{"https://a.example/cb"}, AllowedOAuthFlows: []string{"code"},
			AllowedOAuthScopes: []string{"openid", "orders/read", "undeclared/read"},
		}},
	}}}
	plan := apply(t, f, spec)
	if w := lines(plan.Warnings); w != "UserPools[0].Clients[0].AllowedOAuthScopes[2]: no resource server of the user pool has this scope" {
		t.Errorf("warnings %s", w)
	}
	s, err := f.ResourceServer(t.Context(), "local_Example01", "orders")
	if err != nil || s.Name != "orders" || s.Scopes[0].Description != "read" {
		t.Errorf("server %+v, error %v", s, err)
	}
	if again := apply(t, f, spec); again.Pending() != 0 {
		t.Errorf("not the same again: %s", summary(again))
	}
	spec.UserPools[0].ResourceServers[0].Scopes[0].ScopeDescription = "look at orders"
	if got := summary(apply(t, f, spec)); !strings.Contains(got, `Scopes[read]: "read" -> "look at orders"`) {
		t.Errorf("changes %s", got)
	}
	spec.UserPools[0].ResourceServers = append(spec.UserPools[0].ResourceServers, pool.ServerSpec{Identifier: "orders", Name: "!"})
	_, err = f.Plan(t.Context(), spec)
	if got := problemsOf(t, err); !strings.Contains(got, "ResourceServers[1].Identifier: is that of an earlier entry") ||
		!strings.Contains(got, "ResourceServers[1].Name: must have") {
		t.Errorf("problems %s", got)
	}
	// A client that a file gave an undeclared scope can still be changed.
	clients, err := f.Clients(t.Context(), "local_Example01")
	if err != nil {
		t.Fatal(err)
	}
	clients[0].Name = "renamed"
	if _, err := f.UpdateClient(t.Context(), clients[0]); err != nil {
		t.Error(err)
	}
}
