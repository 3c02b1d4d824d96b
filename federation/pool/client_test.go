package pool_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

func TestAuthFlowsHaveTheDefaultsOfTheModel(t *testing.T) {
	for name, c := range map[string]struct {
		given  []string
		rotate bool
		want   []string
	}{
		"none":              {nil, false, []string{"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"}},
		"none, rotating":    {nil, true, []string{"ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"}},
		"as given":          {[]string{"ALLOW_USER_AUTH"}, false, []string{"ALLOW_USER_AUTH"}},
		"older":             {[]string{"ADMIN_NO_SRP_AUTH"}, false, []string{"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"}},
		"older, for custom": {[]string{"CUSTOM_AUTH_FLOW_ONLY"}, false, []string{"ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := pool.Client{ExplicitAuthFlows: c.given, RotateRefreshTokens: c.rotate}
			before := slices.Clone(c.given)
			if got := client.AuthFlows(); !slices.Equal(got, c.want) || !slices.Equal(before, client.ExplicitAuthFlows) {
				t.Errorf("got %v, want %v; given %v", got, c.want, client.ExplicitAuthFlows)
			}
		})
	}
}

// What a client of the API has sent is what it has to see again, or it would change it for ever.
func TestLifetimesAreShownAsTheyWereGiven(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	type numbers struct {
		id, access, refresh int
		units               pool.TokenValidityUnits
	}
	minutes := pool.TokenValidityUnits{IDToken: "minutes", AccessToken: "minutes", RefreshToken: "minutes"}
	for name, c := range map[string]struct {
		given, want     numbers
		access, refresh time.Duration
	}{
		"nothing":             {numbers{}, numbers{refresh: 30}, time.Hour, 30 * 24 * time.Hour},
		"numbers alone":       {numbers{id: 1, access: 2, refresh: 60}, numbers{id: 1, access: 2, refresh: 60}, 2 * time.Hour, 60 * 24 * time.Hour},
		"the same in minutes": {numbers{id: 60, access: 60, refresh: 60, units: minutes}, numbers{id: 60, access: 60, refresh: 60, units: minutes}, time.Hour, time.Hour},
		"units alone":         {numbers{units: minutes}, numbers{refresh: 43200, units: minutes}, time.Hour, 30 * 24 * time.Hour},
		"days for everything": {
			numbers{units: pool.TokenValidityUnits{IDToken: "days", AccessToken: "days", RefreshToken: "days"}},
			numbers{refresh: 30, units: pool.TokenValidityUnits{IDToken: "days", AccessToken: "days", RefreshToken: "days"}}, time.Hour, 30 * 24 * time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := pool.ClientSpec{
				ClientName: "web", IDTokenValidity: c.given.id, AccessTokenValidity: c.given.access, RefreshTokenValidity: c.given.refresh, TokenValidityUnits: c.given.units,
			}
			made, err := f.CreateClientFrom(t.Context(), p.ID, s)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.ClientOf(t.Context(), p.ID, made.ID)
			if err != nil {
				t.Fatal(err)
			}
			var n numbers
			if n.id, n.access, n.refresh, n.units = got.Lifetimes(); n != c.want || got.AccessTokenValidity != c.access || got.RefreshTokenValidity != c.refresh {
				t.Errorf("got %+v, want %+v; %s, %s", n, c.want, got.AccessTokenValidity, got.RefreshTokenValidity)
			}
			s.IDTokenValidity, s.AccessTokenValidity, s.RefreshTokenValidity, s.TokenValidityUnits = n.id, n.access, n.refresh, n.units
			if w := f.writes(func() { _, err = f.UpdateClientFrom(t.Context(), p.ID, made.ID, s) }); w != 0 || err != nil {
				t.Errorf("%d writes for what was shown, error %v", w, err)
			}
		})
	}
}

func TestLifetimesGetAUnitThatFits(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c, err := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, Name: "web", IDTokenValidity: 90 * time.Minute, RefreshTokenValidity: 36 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	id, access, refresh, u := c.Lifetimes()
	if id != 90 || access != 0 || refresh != 36 || u != (pool.TokenValidityUnits{IDToken: "minutes", RefreshToken: "hours"}) {
		t.Errorf("%d %d %d %+v", id, access, refresh, u)
	}
}

func TestAnUpdatePutsDefaultsForWhatItLeavesOutAndKeepsTheSecrets(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	made, err := f.CreateClientFrom(t.Context(), p.ID, pool.ClientSpec{
		ClientName: "web", GenerateSecret: true, ExplicitAuthFlows: []string{"ALLOW_USER_AUTH"}, PreventUserExistenceErrors: "ENABLED",
		CallbackURLs: []string{"https://a.example/"}, AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid"}, AuthSessionValidity: 10,
	})
	if err != nil || !made.Confidential() || !made.MayUse("code") || made.MayUse("implicit") {
		t.Fatalf("%+v, error %v", made, err)
	}
	f.clock.Add(time.Minute)
	got, err := f.UpdateClientFrom(t.Context(), p.ID, made.ID, pool.ClientSpec{ClientName: "renamed", ClientSecret: secret.New("not for an update")})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "renamed" || got.OAuth || got.Flows != nil || got.ExplicitAuthFlows != nil || got.PreventUserExistenceErrors != "" ||
		got.AuthSessionValidity != 3*time.Minute || !got.SecretMatches(made.Secret().Reveal()) || len(got.Secrets) != 1 ||
		!got.Created.Equal(made.Created) || !got.Modified.After(made.Modified) {
		t.Errorf("%+v", got)
	}
	_, err = f.UpdateClientFrom(t.Context(), "local_Missing00", made.ID, pool.ClientSpec{ClientName: "web"})
	wantCode(t, err, fault.NotFound)
	if _, err := f.ClientOf(t.Context(), "local_Missing00", made.ID); fault.PublicOf(err) != "The user pool does not exist." {
		t.Errorf("error %v", err)
	}
}

func TestAClientWithoutOAuthKeepsItsSettings(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	s := pool.ClientSpec{
		ClientName: "web", CallbackURLs: []string{"https://a.example/"}, AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid"},
		AllowedOAuthFlowsUserPoolClient: ptr(false),
	}
	made, err := f.CreateClientFrom(t.Context(), p.ID, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Client(t.Context(), made.ID)
	if err != nil || got.OAuth || got.MayUse("code") || len(got.Flows) != 1 {
		t.Errorf("%+v, error %v", got, err)
	}
	plan, err := f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: p.Name, ID: p.ID, Domain: p.Domain, Clients: []pool.ClientSpec{s}}}})
	if err != nil || !strings.Contains(lines(plan.Warnings), "AllowedOAuthFlowsUserPoolClient: is false: ") {
		t.Errorf("warnings %v, error %v", plan.Warnings, err)
	}
}

func TestTwoSecretsAtATime(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c, err := f.CreateClientFrom(t.Context(), p.ID, pool.ClientSpec{ClientName: "web", GenerateSecret: true})
	if err != nil {
		t.Fatal(err)
	}
	first := c.Secret().Reveal()
	added, err := f.AddClientSecret(t.Context(), p.ID, c.ID, secret.Text{})
	if err != nil || len(added.Value.Reveal()) != 52 || !strings.HasPrefix(added.ID, c.ID+"--") || added.ID == c.Secrets[0].ID {
		t.Fatalf("%+v, error %v", added, err)
	}
	_, err = f.AddClientSecret(t.Context(), p.ID, c.ID, secret.Text{})
	wantCode(t, err, fault.TooLarge)
	got, err := f.Client(t.Context(), c.ID)
	if err != nil || !got.SecretMatches(first) || !got.SecretMatches(added.Value.Reveal()) || got.SecretMatches("") || got.SecretMatches(first+"x") {
		t.Errorf("the secrets do not match as they should, error %v", err)
	}
	listed, err := f.ClientSecrets(t.Context(), p.ID, c.ID)
	if err != nil || len(listed) != 2 || !listed[0].Value.IsZero() || !listed[1].Value.IsZero() || listed[1].ID != added.ID || listed[0].Created.IsZero() {
		t.Errorf("%+v, error %v", listed, err)
	}
	wantCode(t, f.DeleteClientSecret(t.Context(), p.ID, c.ID, "another"), fault.NotFound)
	if err := f.DeleteClientSecret(t.Context(), p.ID, c.ID, listed[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Client(t.Context(), c.ID); err != nil || got.SecretMatches(first) || !got.SecretMatches(added.Value.Reveal()) {
		t.Errorf("after the old one was deleted: %+v, error %v", got, err)
	}
	if err := f.DeleteClientSecret(t.Context(), p.ID, c.ID, added.ID); !errors.Is(err, pool.ErrLastSecret) {
		t.Errorf("the last one: %v", err)
	}
	_, err = f.AddClientSecret(t.Context(), p.ID, c.ID, added.Value)
	wantCode(t, err, fault.Invalid)
	_, err = f.AddClientSecret(t.Context(), p.ID, c.ID, secret.New("two words"))
	wantCode(t, err, fault.Invalid)
}

func TestAPublicClientStaysPublic(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c, err := f.CreateClientFrom(t.Context(), p.ID, pool.ClientSpec{ClientName: "spa"})
	if err != nil || c.Confidential() || c.SecretMatches("") || !c.Secret().IsZero() {
		t.Fatalf("%+v, error %v", c, err)
	}
	if _, err := f.AddClientSecret(t.Context(), p.ID, c.ID, secret.Text{}); !errors.Is(err, pool.ErrPublicClient) {
		t.Errorf("error %v", err)
	}
	_, err = f.AddClientSecret(t.Context(), "local_Missing00", c.ID, secret.Text{})
	wantCode(t, err, fault.NotFound)
}

func TestSecretsOfAFileAndOfTheStore(t *testing.T) {
	a, b, other := secret.New(strings.Repeat("a", 24)), secret.New(strings.Repeat("b", 24)), secret.New(strings.Repeat("c", 24))
	for name, c := range map[string]struct {
		file pool.ClientSpec
		want []secret.Text
		ids  []int // those of the store that stay, by index
	}{
		"none named":            {pool.ClientSpec{}, []secret.Text{a, b}, []int{0, 1}},
		"generate":              {pool.ClientSpec{GenerateSecret: true}, []secret.Text{a, b}, []int{0, 1}},
		"stored":                {pool.ClientSpec{ClientSecret: pool.StoredSecret()}, []secret.Text{a, b}, []int{0, 1}},
		"the old one":           {pool.ClientSpec{ClientSecret: a}, []secret.Text{a, b}, []int{0, 1}},
		"another":               {pool.ClientSpec{ClientSecret: other}, []secret.Text{other}, []int{-1}},
		"another and a new one": {pool.ClientSpec{ClientSecret: other, AdditionalClientSecret: b}, []secret.Text{b, other}, []int{1, -1}},
		"turned round":          {pool.ClientSpec{ClientSecret: a, AdditionalClientSecret: b}, []secret.Text{b, a}, []int{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			p, _ := f.withPool(t)
			stored, err := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, ID: "web", Name: "web", Secrets: []pool.ClientSecret{{Value: a}, {Value: b}}})
			if err != nil {
				t.Fatal(err)
			}
			c.file.ClientName, c.file.ClientID = "web", "web"
			apply(t, f, pool.Spec{UserPools: []pool.PoolSpec{{PoolName: p.Name, ID: p.ID, Domain: p.Domain, Clients: []pool.ClientSpec{c.file}}}})
			got, err := f.Client(t.Context(), "web")
			if err != nil || len(got.Secrets) != len(c.want) {
				t.Fatalf("%d secrets, error %v", len(got.Secrets), err)
			}
			for i, s := range got.Secrets {
				if !s.Value.Equal(c.want[i].Reveal()) || (c.ids[i] >= 0 && s.ID != stored.Secrets[c.ids[i]].ID) || s.ID == "" || s.Created.IsZero() {
					t.Errorf("secret %d: %s of %s", i, s.ID, s.Created)
				}
			}
		})
	}
}

func TestAStoredSecretHasToBeThere(t *testing.T) {
	f := newFixture(t)
	_, err := f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example",
		IdentityProviders: []pool.ProviderSpec{{ProviderName: "Corp", ProviderType: "OIDC",
			ProviderDetails: map[string]secret.Text{"client_id": secret.New("weir"), "client_secret": pool.StoredSecret()}}},
		Clients: []pool.ClientSpec{
			{ClientName: "web", ClientSecret: pool.StoredSecret()},
			{ClientName: "two", AdditionalClientSecret: secret.New(strings.Repeat("x", 24))},
		},
	}}})
	want := `UserPools[0].IdentityProviders[0].ProviderDetails[client_secret]: {stored: true} stands for what is in the store, and there is none
UserPools[0].Clients[0].ClientSecret: {stored: true} stands for what is in the store, and there is none
UserPools[0].Clients[1].AdditionalClientSecret: needs a ClientSecret beside it, and both in full`
	if got := problemsOf(t, err); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

func TestPagesOfClients(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	for _, id := range []string{"a", "b", "c"} {
		if _, err := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, ID: id, Name: "web"}); err != nil {
			t.Fatal(err)
		}
	}
	first, next, err := f.ClientPage(t.Context(), p.ID, "", 2)
	if err != nil || len(first) != 2 || next == "" {
		t.Fatalf("%d clients, next %q, error %v", len(first), next, err)
	}
	rest, end, err := f.ClientPage(t.Context(), p.ID, next, 2)
	if err != nil || len(rest) != 1 || rest[0].ID != "c" || end != "" {
		t.Errorf("%v, next %q, error %v", rest, end, err)
	}
	_, _, err = f.ClientPage(t.Context(), "local_Missing00", "", 2)
	wantCode(t, err, fault.NotFound)
	_, _, err = f.ClientPage(t.Context(), p.ID, "AAAA", 2)
	wantCode(t, err, fault.Invalid)
}
