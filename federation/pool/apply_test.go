package pool_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

func TestInterruptedApplyIsCompletedByTheNext(t *testing.T) {
	for puts := range int64(4) {
		t.Run(fmt.Sprintf("after %d writes", puts), func(t *testing.T) {
			f := newFixture(t)
			plan, err := f.Plan(t.Context(), wholeSpec())
			if err != nil {
				t.Fatal(err)
			}
			f.engine.failAfter.Store(puts)
			if err := f.Apply(t.Context(), plan); !errors.Is(err, errPulled) {
				t.Fatalf("error %v", err)
			}
			f.engine.failAfter.Store(-1)
			if n := f.writes(func() { apply(t, f, wholeSpec()) }); n != 4-puts {
				t.Errorf("%d writes to complete", n)
			}
			p := mustPool(t, f, "example")
			clients, err1 := f.Clients(t.Context(), p.ID)
			pools, _, err2 := f.Pools(t.Context(), "", 10)
			if err := errors.Join(err1, err2); err != nil || len(clients) != 2 || len(pools) != 1 {
				t.Errorf("%d clients, %d pools, error %v", len(clients), len(pools), err)
			}
		})
	}
}

func TestStalePlanIsRefused(t *testing.T) {
	f := newFixture(t)
	apply(t, f, wholeSpec())
	s := wholeSpec()
	s.UserPools[0].SigningKeyDays = 30
	plan, err := f.Plan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	p := mustPool(t, f, "example")
	p.SigningKeyDays = 60
	if _, err := f.UpdatePool(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.Apply(t.Context(), plan), fault.Conflict)
	if p := mustPool(t, f, "example"); p.SigningKeyDays != 60 {
		t.Errorf("overwritten: %d days", p.SigningKeyDays)
	}
}

func TestIdentifiersAndDomainsMoveWithinOneApply(t *testing.T) {
	f := newFixture(t)
	spec := func(domainA, domainB string, identA, identB []string) pool.Spec {
		return pool.Spec{UserPools: []pool.PoolSpec{
			{PoolName: "a", Domain: domainA, IdentityProviders: []pool.ProviderSpec{
				{ProviderName: "One", ProviderType: "OIDC", IdpIdentifiers: identA},
				{ProviderName: "Two", ProviderType: "OIDC", IdpIdentifiers: identB},
			}},
			{PoolName: "b", Domain: domainB},
		}}
	}
	apply(t, f, spec("", "sso", nil, []string{"example.com"}))
	apply(t, f, spec("sso", "", []string{"example.com"}, nil))
	p := mustPool(t, f, "sso")
	ip, err := f.ProviderByIdentifier(t.Context(), p.ID, "example.com")
	if err != nil || p.Name != "a" || ip.Name != "One" {
		t.Errorf("pool %s, provider %s, error %v", p.Name, ip.Name, err)
	}
}
