package pool_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// policies is a pool whose providers link people by a policy: Corp by addresses in example.com and bücher.example, HR and Badge by the custom attribute
// employee, Weak not at all.
type policies struct {
	*fixture
	p                     pool.Pool
	corp, hr, badge, weak pool.IdentityProvider
	dns                   *fakeDNS
}

func newPolicies(t *testing.T) *policies {
	t.Helper()
	l := &policies{fixture: newFixture(t), dns: &fakeDNS{}}
	l.Resolver = l.dns
	l.p, _ = l.withPool(t, pool.SchemaSpec{Name: "employee"})
	if err := l.DeleteProvider(t.Context(), l.p.ID, "Corp"); err != nil {
		t.Fatal(err)
	}
	l.corp = l.provider(t, "Corp", attrs{"link_users": "email", "trusted_domains": "example.com bücher.example"})
	l.hr = l.provider(t, "HR", attrs{"link_users": "attribute:custom:employee"})
	l.badge = l.provider(t, "Badge", attrs{"link_users": "attribute:custom:employee"})
	l.weak = l.provider(t, "Weak", nil)
	return l
}

func claims() attrs {
	return attrs{"email": "email", "email_verified": "email_verified", "custom:employee": "employee_id", "name": "name"}
}

func details(d attrs) pool.Details {
	out := pool.Details{}
	for k, v := range d {
		out[k] = secret.New(v)
	}
	return out
}

func (l *policies) provider(t *testing.T, name string, d attrs) pool.IdentityProvider {
	t.Helper()
	ip, err := l.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: l.p.ID, Name: name, Type: "OIDC", Details: details(d), AttributeMapping: claims()})
	if err != nil {
		t.Fatal(err)
	}
	return ip
}

// change replaces the details of a provider.
func (l *policies) change(t *testing.T, ip *pool.IdentityProvider, d attrs) {
	t.Helper()
	changed, err := l.ChangeProvider(t.Context(), l.p.ID, ip.Name, pool.ProviderChange{Details: details(d)})
	if err != nil {
		t.Fatal(err)
	}
	*ip = changed
}

// arrive signs in with claims that are texts.
func (l *policies) arrive(ip pool.IdentityProvider, subject string, said attrs) (pool.SignInResult, error) {
	return l.SignIn(context.Background(), l.p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: subject, Attributes: said, Exact: said})
}

// verified are an address and the provider's word for it.
func verified(email string) attrs { return attrs{"email": email, "email_verified": "true"} }

func (l *policies) must(t *testing.T, ip pool.IdentityProvider, subject string, said attrs) pool.SignInResult {
	t.Helper()
	r, err := l.arrive(ip, subject, said)
	if err != nil {
		t.Fatalf("%s %s: %v", ip.Name, subject, err)
	}
	return r
}

// count is how many users the pool has.
func (l *policies) count(t *testing.T) int {
	t.Helper()
	users, next, err := l.Users(t.Context(), l.p.ID, "", "", 1000)
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	return len(users)
}

// fakeDNS answers with its records, or fails.
type fakeDNS struct {
	mu      sync.Mutex
	records map[string][]string
	err     error
	asked   int
}

func (f *fakeDNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.err != nil {
		return nil, f.err
	}
	if r, ok := f.records[name]; ok {
		return r, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (f *fakeDNS) set(records map[string][]string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records, f.err = records, err
}
