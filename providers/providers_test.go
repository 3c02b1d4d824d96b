package providers_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers"
	"github.com/weir-id/weir/providers/detail"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func config() pool.IdentityProvider {
	return pool.IdentityProvider{PoolID: "local_Example01", Name: "Corp", Type: "OIDC", Modified: noon, Details: pool.Details{
		"client_id": secret.New("weir"), "client_secret": secret.New("s3cret"), "oidc_issuer": secret.New("https://idp.example.com"),
	}}
}

func newSet() *providers.Set {
	return providers.NewSet(providers.Options{HTTP: &http.Client{}, Now: func() time.Time { return noon }})
}

func provider(t *testing.T, s *providers.Set, cfg pool.IdentityProvider) federation.Provider {
	t.Helper()
	p, err := s.Provider(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSet(t *testing.T) {
	t.Run("keeps a provider until it is modified", func(t *testing.T) {
		s, cfg := newSet(), config()
		first := provider(t, s, cfg)
		cfg.Modified = noon.In(time.FixedZone("elsewhere", 3600)) // the same instant
		if provider(t, s, cfg) != first {
			t.Error("a new provider for the same configuration")
		}
		cfg.Modified = noon.Add(time.Nanosecond)
		if provider(t, s, cfg) == first {
			t.Error("the old provider for a new configuration")
		}
	})
	t.Run("sees every other configuration, at the same time too", func(t *testing.T) {
		for what, change := range map[string]func(*pool.IdentityProvider){
			"type":       func(c *pool.IdentityProvider) { c.Type = "Google" },
			"secret":     func(c *pool.IdentityProvider) { c.Details["client_secret"] = secret.New("another secret") },
			"detail":     func(c *pool.IdentityProvider) { delete(c.Details, "client_secret") },
			"mapping":    func(c *pool.IdentityProvider) { c.AttributeMapping = map[string]string{"name": "nickname"} },
			"identifier": func(c *pool.IdentityProvider) { c.Identifiers = []string{"other.example"} },
		} {
			s, cfg := newSet(), config()
			first := provider(t, s, cfg)
			change(&cfg)
			if p, err := s.Provider(t.Context(), cfg); err == nil && p == first {
				t.Errorf("the old provider for another %s", what)
			}
		}
	})
	t.Run("keeps pools and names apart", func(t *testing.T) {
		s, a, b, c := newSet(), config(), config(), config()
		b.PoolID, c.Name = "local_Example02", "Other"
		pa, pb, pc := provider(t, s, a), provider(t, s, b), provider(t, s, c)
		if pa == pb || pa == pc || pb == pc {
			t.Error("two configurations share a provider")
		}
	})
	t.Run("makes one provider for many callers", func(t *testing.T) {
		s, cfg := newSet(), config()
		got := make([]federation.Provider, 32)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i], _ = s.Provider(t.Context(), cfg) })
		}
		wg.Wait()
		for _, p := range got {
			if p == nil || p != got[0] {
				t.Fatalf("providers %v", got)
			}
		}
	})
	t.Run("refuses an unknown type", func(t *testing.T) {
		cfg := config()
		cfg.Type = "LDAP"
		p, err := newSet().Provider(t.Context(), cfg)
		if p != nil || fault.CodeOf(err) != fault.Config || !errors.Is(err, providers.ErrType) {
			t.Errorf("%v, %v", p, err)
		}
	})
	t.Run("refuses faulty details, all at once and without values", func(t *testing.T) {
		cfg := config()
		cfg.Details = pool.Details{"client_secret": secret.New("s3cret"), "oidc_isuer": secret.New("s3cret")}
		p, err := newSet().Provider(t.Context(), cfg)
		if p != nil || fault.CodeOf(err) != fault.Config {
			t.Fatalf("%v, %v", p, err)
		}
		for _, want := range []string{"client_id: required", "oidc_issuer: required", "oidc_isuer: unknown key", "Corp"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: without %q", err, want)
			}
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v: shows a secret", err)
		}
	})
}

func TestValidate(t *testing.T) {
	if f := validate(config(), false); f != nil {
		t.Errorf("faults in a good configuration: %v", f)
	}
	cfg := config()
	cfg.Type = "oidc"
	if f := validate(cfg, false); len(f) != 1 || !strings.HasPrefix(f[0].Error(), "ProviderType: must be one of: ") || !strings.Contains(f[0].Error(), "OIDC") {
		t.Errorf("unknown type: %v", f)
	}
	cfg = config()
	cfg.Details["preset"] = secret.New("gitlab")
	if f := validate(cfg, false); len(f) != 1 || f[0].Key != "preset" || !strings.Contains(f[0].Problem, "GitLab") {
		t.Errorf("unknown preset: %v", f)
	}
	if _, err := newSet().Provider(t.Context(), cfg); fault.CodeOf(err) != fault.Config {
		t.Errorf("unknown preset: %v", err)
	}
	cfg = config()
	cfg.Details["oidc_issuer"] = secret.New("http://127.0.0.1:9000")
	if f := validate(cfg, false); len(f) != 1 || f[0].Key != "oidc_issuer" {
		t.Errorf("loopback issuer: %v", f)
	}
	if f := validate(cfg, true); f != nil {
		t.Errorf("loopback issuer, allowed: %v", f)
	}
}

func validate(cfg pool.IdentityProvider, allowPrivate bool) []detail.Fault {
	return providers.NewSet(providers.Options{HTTP: &http.Client{}, AllowPrivate: allowPrivate, Now: func() time.Time { return noon }}).Validate(cfg)
}

// The details that the directory reads are known to every type, and checked by none.
func TestCommonDetailsAreKnownToEveryType(t *testing.T) {
	for _, kind := range pool.ProviderTypes() {
		if kind == "SAML" {
			continue // of package saml
		}
		for _, key := range pool.CommonDetails() {
			for _, f := range newSet().Validate(pool.IdentityProvider{Type: kind, Details: pool.Details{key: secret.New("  x\n ")}}) {
				if f.Key == key {
					t.Errorf("%s: %v", kind, f)
				}
			}
		}
	}
}
