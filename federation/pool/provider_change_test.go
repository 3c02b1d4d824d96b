package pool_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// A provider is asked before it is written, where what leads to it changes, and not for a file.
func TestWhenAProviderIsProbed(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	var asked []string
	answer := []pool.Problem(nil)
	f.ProbeProvider = func(_ context.Context, ip pool.IdentityProvider) []pool.Problem {
		asked = append(asked, ip.Name+" "+ip.Details.Get("oidc_issuer"))
		return answer
	}
	details := pool.Details{"client_id": secret.New("weir"), "client_secret": secret.New("a"), "oidc_issuer": secret.New("https://a.example")}
	with := func(k, v string) pool.Details {
		d := maps.Clone(details)
		d[k] = secret.New(v)
		return d
	}
	wantAsked := func(want ...string) {
		t.Helper()
		if len(asked) != len(want) || (len(want) == 1 && asked[0] != want[0]) {
			t.Errorf("asked %q, want %q", asked, want)
		}
		asked = nil
	}
	if _, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: p.ID, Name: "New", Type: "OIDC", Details: details}); err != nil {
		t.Fatal(err)
	}
	wantAsked("New https://a.example")
	for k, v := range map[string]string{"client_secret": "b", "client_id": "other", "authorize_scopes": "openid"} {
		if _, err := f.ChangeProvider(t.Context(), p.ID, "New", pool.ProviderChange{Details: with(k, v)}); err != nil {
			t.Fatal(err)
		}
	}
	wantAsked()
	answer = []pool.Problem{{Path: "ProviderDetails.oidc_issuer", Message: "b.example did not answer in time"}}
	w := f.writes(func() {
		_, err := f.ChangeProvider(t.Context(), p.ID, "New", pool.ProviderChange{Details: with("oidc_issuer", "https://b.example")})
		if got := problemsOf(t, err); got != "ProviderDetails.oidc_issuer: b.example did not answer in time" {
			t.Errorf("problems %s", got)
		}
	})
	wantAsked("New https://b.example")
	apply(t, f, pool.Spec{UserPools: []pool.PoolSpec{{PoolName: p.Name, ID: p.ID, Domain: p.Domain, IdentityProviders: []pool.ProviderSpec{{
		ProviderName: "FromFile", ProviderType: "OIDC", ProviderDetails: details,
	}}}}})
	wantAsked()
	if w != 0 {
		t.Errorf("%d writes of what was refused", w)
	}
}

func TestChangeOfAProvider(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	got, err := f.ChangeProvider(t.Context(), p.ID, "Corp", pool.ProviderChange{})
	if err != nil || got.AttributeMapping["email"] != "email" || len(got.Identifiers) != 1 || !got.Modified.Equal(ip.Modified) {
		t.Errorf("nothing to change: %+v, error %v", got, err)
	}
	got, err = f.ChangeProvider(t.Context(), p.ID, "Corp", pool.ProviderChange{AttributeMapping: map[string]string{}, Identifiers: []string{}})
	if err != nil || len(got.AttributeMapping) != 0 || len(got.Identifiers) != 0 || got.ShownMapping()["username"] != "sub" {
		t.Errorf("everything taken away: %+v, error %v", got, err)
	}
	_, err = f.ChangeProvider(t.Context(), p.ID, "Nobody", pool.ProviderChange{})
	wantCode(t, err, fault.NotFound)
}

func TestWhoHasTheNameAndWhoTheIdentifier(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	for name, c := range map[string]struct {
		ip            pool.IdentityProvider
		exists, alike bool
	}{
		"the name":              {pool.IdentityProvider{Name: "Corp"}, true, false},
		"the name, by case":     {pool.IdentityProvider{Name: "CORP"}, true, false},
		"a name that looks so":  {pool.IdentityProvider{Name: "Соrр"}, false, true}, // three Cyrillic letters
		"another case of those": {pool.IdentityProvider{Name: "СоRр"}, false, true},
		"with what is not seen": {pool.IdentityProvider{Name: "Corp\ufe0f"}, false, true},
		"an identifier":         {pool.IdentityProvider{Name: "New", Identifiers: []string{"Example.COM"}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.ip.PoolID, c.ip.Type = p.ID, "OIDC"
			if _, err := f.CreateProvider(t.Context(), c.ip); !errors.Is(err, pool.ErrTaken) || errors.Is(err, pool.ErrProviderExists) != c.exists ||
				errors.Is(err, pool.ErrLooksAlike) != c.alike {
				t.Errorf("error %v", err)
			}
		})
	}
}

// What a deletion leaves of a provider's name, no update of a client could be sent back with.
func TestADeletedProviderIsGoneFromTheClients(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	both, err1 := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, Name: "both", Providers: []string{"COGNITO", "Corp"}})
	only, err2 := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, Name: "only", Providers: []string{"Corp"}})
	if err := errors.Join(err1, err2, f.DeleteProvider(t.Context(), p.ID, "Corp")); err != nil {
		t.Fatal(err)
	}
	both, err1 = f.Client(t.Context(), both.ID)
	only, err2 = f.Client(t.Context(), only.ID)
	if err := errors.Join(err1, err2); err != nil || len(both.Providers) != 1 || both.Providers[0] != "COGNITO" || len(only.Providers) != 0 {
		t.Errorf("%v and %v, error %v", both.Providers, only.Providers, err)
	}
	_, err := f.UpdateClient(t.Context(), both)
	if err != nil {
		t.Error(err)
	}
	wantCode(t, f.DeleteProvider(t.Context(), p.ID, "Corp"), fault.NotFound)
}

// Two that look alike, in a pool file and by two administrators at the same moment: one is made.
func TestOneOfTwoThatLookAlike(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	spec := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example", ID: p.ID, Domain: "example", IdentityProviders: []pool.ProviderSpec{
		{ProviderName: "Okta1", ProviderType: "OIDC"}, {ProviderName: "Oktal", ProviderType: "OIDC"}, {ProviderName: "Соrр", ProviderType: "OIDC"},
	}}}}
	_, err := f.Plan(t.Context(), spec)
	for _, want := range []string{
		`IdentityProviders[1].ProviderName: can be taken for the name of another identity provider of the user pool, "Okta1"`,
		`IdentityProviders[2].ProviderName: can be taken for the name of another identity provider of the user pool, "Corp"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	names := []string{"Modern", "Modem", "Mоdern", "MODERN", "Моdеrn"}
	made := make(chan string, len(names))
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			if _, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: p.ID, Name: name, Type: "OIDC"}); err == nil {
				made <- name
			} else if !errors.Is(err, pool.ErrTaken) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	if len(made) != 1 {
		t.Errorf("%d of them were made", len(made))
	}
}
