package pool_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

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

func TestFieldsLeftOutTakeTheDefaultsOfTheModel(t *testing.T) {
	f := newFixture(t)
	s := pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", ID: "local_Example01",
		Clients: []pool.ClientSpec{{
			ClientName: "web", ClientID: "exampleclient0000000000001", GenerateSecret: true,
			CallbackURLs:      []string{"https://app.example.com/callback"},
			AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid"},
			IDTokenValidity: 2, EnableTokenRevocation: ptr(false),
		}},
	}}}
	apply(t, f, s)
	s.UserPools[0].Clients[0].IDTokenValidity, s.UserPools[0].Clients[0].EnableTokenRevocation = 0, nil
	apply(t, f, s)
	c, err := f.Client(t.Context(), "exampleclient0000000000001")
	if err != nil || c.PoolID != "local_Example01" || !c.Confidential() || !c.EnableTokenRevocation || c.RotateRefreshTokens ||
		c.IDTokenValidity != time.Hour || c.AccessTokenValidity != time.Hour || c.RefreshTokenValidity != 30*24*time.Hour {
		t.Errorf("client %+v, error %v", c, err)
	}
	if p, err := f.Pool(t.Context(), "local_Example01"); err != nil || p.SigningAlgorithm != "RS256" || len(p.Schema) != len(pool.StandardSchema()) {
		t.Errorf("pool %+v, error %v", p, err)
	}
}
