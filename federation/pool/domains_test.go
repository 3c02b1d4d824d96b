package pool_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/a"

func TestAPoolHasAPrefixAndACustomDomain(t *testing.T) {
	f := newFixture(t)
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "example"})
	if err != nil {
		t.Fatal(err)
	}
	custom := pool.DomainSettings{ManagedLoginVersion: 2, CertificateArn: certificate}
	if p, err = f.CreateDomain(t.Context(), p.ID, "login.example.com", custom); err != nil || p.Domain != "login.example.com" {
		t.Fatalf("domain %q, error %v", p.Domain, err)
	}
	if p, err = f.CreateDomain(t.Context(), p.ID, "example", pool.DomainSettings{}); err != nil || p.Domain != "example" || p.CustomDomain != "login.example.com" {
		t.Fatalf("domains %q and %q, error %v", p.Domain, p.CustomDomain, err)
	}
	if p.Domains["login.example.com"] != custom {
		t.Errorf("settings %+v", p.Domains)
	}
	for _, domain := range []string{"example", "LOGIN.example.com"} {
		if got, err := f.node().PoolByDomain(t.Context(), domain); err != nil || got.ID != p.ID {
			t.Errorf("%s: %q, error %v", domain, got.ID, err)
		}
	}
	other, err := f.CreatePool(t.Context(), pool.Pool{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"a prefix of another pool": second(f.CreateDomain(t.Context(), other.ID, "example", pool.DomainSettings{})),
		"a domain of another pool": second(f.CreateDomain(t.Context(), other.ID, "login.example.com", custom)),
		"a second prefix":          second(f.CreateDomain(t.Context(), p.ID, "more", pool.DomainSettings{})),
		"a second custom domain":   second(f.CreateDomain(t.Context(), p.ID, "more.example.com", custom)),
	} {
		if !errors.Is(err, pool.ErrTaken) || fault.CodeOf(err) != fault.Conflict {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if p, err = f.UpdateDomain(t.Context(), p.ID, "example", pool.DomainSettings{ManagedLoginVersion: 2}); err != nil || p.Domains["example"].ManagedLoginVersion != 2 {
		t.Errorf("updated %+v, error %v", p.Domains, err)
	}
	if p, err = f.UpdateDomain(t.Context(), p.ID, "login.example.com", pool.DomainSettings{ManagedLoginVersion: 1}); err != nil ||
		p.Domains["login.example.com"] != (pool.DomainSettings{ManagedLoginVersion: 1, CertificateArn: certificate}) {
		t.Errorf("what is left out stays: %+v, error %v", p.Domains, err)
	}
	if _, err = f.UpdateDomain(t.Context(), p.ID, "login.example.com", custom); err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]pool.DomainSettings{"version": {ManagedLoginVersion: 3}, "certificate": {CertificateArn: certificate}} {
		if _, err = f.UpdateDomain(t.Context(), p.ID, "example", s); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if err := f.DeleteDomain(t.Context(), p.ID, "example"); err != nil {
		t.Fatal(err)
	}
	p, err = f.Pool(t.Context(), p.ID)
	if err != nil || p.Domain != "login.example.com" || p.CustomDomain != "" || !maps.Equal(p.Domains, map[string]pool.DomainSettings{"login.example.com": custom}) {
		t.Errorf("domains %q, %q, %+v, error %v", p.Domain, p.CustomDomain, p.Domains, err)
	}
	if _, err := f.CreateDomain(t.Context(), other.ID, "example", pool.DomainSettings{}); err != nil {
		t.Errorf("a domain that was given up: %v", err)
	}
	for what, err := range map[string]error{
		"delete": f.DeleteDomain(t.Context(), p.ID, "example"),
		"update": second(f.UpdateDomain(t.Context(), p.ID, "example", pool.DomainSettings{})),
	} {
		if !errors.Is(err, pool.ErrNoDomain) {
			t.Errorf("%s of another's: error %v", what, err)
		}
	}
}

func TestDomainsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "example"})
	if err != nil {
		t.Fatal(err)
	}
	for domain, c := range map[string]struct{ certificate, want string }{
		"my-aws-login":      {"", "Domain cannot contain reserved word: aws"},
		"amazonia":          {"", "Domain cannot contain reserved word: amazon"},
		"newcognito":        {"", "Domain cannot contain reserved word: cognito"},
		"login.example.com": {"", "invalid character"},
		"-login":            {"", "invalid character"},
		"":                  {"", "invalid character"},
		"login":             {certificate, "must be a full domain name"},
		"127.0.0.1":         {certificate, "must be a full domain name"},
		"a..example.com":    {certificate, "must be a full domain name"},
	} {
		_, err := f.CreateDomain(t.Context(), p.ID, domain, pool.DomainSettings{CertificateArn: c.certificate})
		if got := problemsOf(t, err); !strings.Contains(got, c.want) {
			t.Errorf("%q: problems %s", domain, got)
		}
	}
	_, err = f.CreateDomain(t.Context(), "local_Nowhere01", "x", pool.DomainSettings{})
	wantCode(t, err, fault.NotFound)
}

func TestAFileSaysBothDomains(t *testing.T) {
	f := newFixture(t)
	spec := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example", Domain: "login.example.com"}}}
	apply(t, f, spec)
	spec.UserPools[0].Domain, spec.UserPools[0].CustomDomain = "example", "login.example.com"
	apply(t, f, spec)
	p, err := f.PoolByDomain(t.Context(), "login.example.com")
	if prefix, custom := p.PrefixAndCustom(); err != nil || prefix != "example" || custom != "login.example.com" {
		t.Errorf("prefix %q, custom domain %q, error %v", prefix, custom, err)
	}
	if again := apply(t, f, spec); again.Pending() != 0 {
		t.Errorf("not the same again: %s", summary(again))
	}
	spec.UserPools = append(spec.UserPools, pool.PoolSpec{PoolName: "other", Domain: "login.example.com"})
	_, err = f.Plan(t.Context(), spec)
	if got := problemsOf(t, err); got != "UserPools[1].Domain: is wanted by an earlier entry" {
		t.Errorf("problems %s", got)
	}
	_, err = f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "other", Domain: "other", CustomDomain: "login.example.com"}}})
	if got := problemsOf(t, err); got != "UserPools[0].CustomDomain: belongs to another user pool" {
		t.Errorf("problems %s", got)
	}
}
