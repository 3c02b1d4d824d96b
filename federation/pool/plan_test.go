package pool_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// wholeSpec uses every field of a Spec that the store keeps.
func wholeSpec() pool.Spec {
	return pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", Domain: "Example", SigningAlgorithm: "ES256", SigningKeyDays: 90,
		Schema: []pool.SchemaSpec{
			{Name: "email", Required: true},
			{Name: "department", AttributeDataType: "String", StringAttributeConstraints: &pool.StringConstraint{MinLength: "1", MaxLength: "40"}},
			{Name: "custom:level", AttributeDataType: "Number", Mutable: ptr(true), NumberAttributeConstraints: &pool.NumberConstraint{MinValue: "0", MaxValue: "9.5"}},
			{Name: "note", AttributeDataType: "String", DeveloperOnlyAttribute: true},
		},
		IdentityProviders: []pool.ProviderSpec{{
			ProviderName: "Corp", ProviderType: "OIDC",
			ProviderDetails:  map[string]secret.Text{"client_id": secret.New("weir"), "client_secret": secret.New("s3cret")},
			AttributeMapping: map[string]string{"email": "email", "custom:department": "dept"},
			IdpIdentifiers:   []string{"example.com"},
		}},
		Clients: []pool.ClientSpec{
			{
				ClientName: "web", GenerateSecret: true, CallbackURLs: []string{"https://app.example.com/callback"},
				LogoutURLs: []string{"https://app.example.com/"}, DefaultRedirectURI: "https://app.example.com/callback",
				AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email"}, SupportedIdentityProviders: []string{"Corp"},
				IDTokenValidity: 30, AccessTokenValidity: 2, RefreshTokenValidity: 7, AuthSessionValidity: 5,
				TokenValidityUnits:   pool.TokenValidityUnits{IDToken: "minutes"},
				RefreshTokenRotation: &pool.RefreshRotation{Feature: "ENABLED", RetryGracePeriodSeconds: 10},
				ReadAttributes:       []string{"email"},
				ExplicitAuthFlows:    []string{"ALLOW_USER_SRP_AUTH"}, PreventUserExistenceErrors: "ENABLED", PropagateUserContext: true,
			},
			{ClientName: "spa", ClientID: "spa"},
		},
	}}}
}

func apply(t *testing.T, f *fixture, s pool.Spec) *pool.Plan {
	t.Helper()
	plan, err := f.Plan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

// summary is one line per change.
func summary(p *pool.Plan) string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, string(c.Action)+" "+c.Path)
		for _, f := range c.Fields {
			if c.Action == pool.ActionUpdate {
				out = append(out, fmt.Sprintf("  %s: %q -> %q", f.Name, f.Old, f.New))
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestApplyCreatesWhatTheFileSays(t *testing.T) {
	f := newFixture(t)
	var plan *pool.Plan
	if n := f.writes(func() { plan = apply(t, f, wholeSpec()) }); n != 4 {
		t.Errorf("%d writes", n)
	}
	want := "create UserPools[example]\ncreate UserPools[example].IdentityProviders[Corp]\n" +
		"create UserPools[example].Clients[web]\ncreate UserPools[example].Clients[spa]"
	if got := summary(plan); got != want || plan.Pending() != 4 {
		t.Errorf("%d pending:\n%s", plan.Pending(), got)
	}
	p, err := f.PoolByDomain(t.Context(), "example")
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != plan.Changes[0].ID || p.SigningAlgorithm != "ES256" || p.SigningKeyDays != 90 {
		t.Errorf("pool %+v", p)
	}
	department, _ := p.Attribute("custom:department")
	level, _ := p.Attribute("custom:level")
	note, _ := p.Attribute("dev:custom:note")
	email, _ := p.Attribute("email")
	if !department.Mutable || *department.String.Max != 40 || *level.Number.Max != 9.5 || !note.DeveloperOnly || !email.Required {
		t.Errorf("schema %+v %+v %+v %+v", department, level, note, email)
	}
	web, err := f.Client(t.Context(), plan.Changes[2].ID)
	if err != nil {
		t.Fatal(err)
	}
	if s := plan.Changes[2].GeneratedSecret; len(s.Reveal()) != 52 || !web.SecretMatches(s.Reveal()) {
		t.Error("the generated secret is not the stored one")
	}
	if web.IDTokenValidity != 30*time.Minute || web.AccessTokenValidity != 2*time.Hour || web.RefreshTokenValidity != 7*24*time.Hour ||
		web.AuthSessionValidity != 5*time.Minute || !web.RotateRefreshTokens || web.RotationGrace != 10*time.Second || !web.EnableTokenRevocation {
		t.Errorf("client %+v", web)
	}
	spa, err := f.Client(t.Context(), "spa")
	if err != nil || spa.Confidential() || spa.ReadAttributes != nil {
		t.Errorf("client %+v, error %v", spa, err)
	}
	ip, err := f.Provider(t.Context(), p.ID, "Corp")
	if err != nil || ip.Details.Get("client_secret") != "s3cret" {
		t.Errorf("provider details, error %v", err)
	}
}

func TestApplyTwiceWritesNothing(t *testing.T) {
	f := newFixture(t)
	apply(t, f, wholeSpec())
	var plan *pool.Plan
	if n := f.writes(func() { plan = apply(t, f, wholeSpec()) }); n != 0 {
		t.Errorf("%d writes the second time:\n%s", n, summary(plan))
	}
	for _, c := range plan.Changes {
		if c.Action != pool.ActionUnchanged || len(c.Fields) != 0 || !c.GeneratedSecret.IsZero() || c.ID == "" {
			t.Errorf("%+v", c)
		}
	}
	if plan.Pending() != 0 || len(plan.Warnings) != 0 {
		t.Errorf("%d pending, warnings %v", plan.Pending(), plan.Warnings)
	}
}

func TestPlanWritesNothingAndShowsNoSecret(t *testing.T) {
	f := newFixture(t)
	s := wholeSpec()
	apply(t, f, s)
	p := &s.UserPools[0]
	p.PoolName, p.ID = "renamed", mustPool(t, f, "example").ID
	p.SigningKeyDays = 0
	p.Schema = append(p.Schema, pool.SchemaSpec{Name: "badge", AttributeDataType: "String", Mutable: ptr(false)})
	p.IdentityProviders[0].ProviderDetails = map[string]secret.Text{
		"client_id": secret.New("weir2"), "client_secret": secret.New("another"), "oidc_issuer": secret.New("https://idp.example.com"),
	}
	p.IdentityProviders[0].AttributeMapping = map[string]string{"email": "mail"}
	p.Clients[0].ClientSecret, p.Clients[0].GenerateSecret = secret.New(strings.Repeat("x", 24)), false
	p.Clients[0].IDTokenValidity = 0
	p.Clients[1].ClientSecret = secret.New(strings.Repeat("y", 24))
	var plan *pool.Plan
	if n := f.writes(func() {
		var err error
		if plan, err = f.Plan(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%d writes", n)
	}
	want := `update UserPools[renamed]
  PoolName: "example" -> "renamed"
  SigningKeyDays: "90" -> "0"
  Schema[custom:badge]: "" -> "String immutable"
update UserPools[renamed].IdentityProviders[Corp]
  ProviderDetails[client_id]: "weir" -> "weir2"
  ProviderDetails[client_secret]: "[secret]" -> "changed"
  ProviderDetails[oidc_issuer]: "" -> "https://idp.example.com"
  AttributeMapping[email]: "email" -> "mail"
  AttributeMapping[custom:department]: "dept" -> ""
update UserPools[renamed].Clients[web]
  ClientSecret: "[secret]" -> "changed"
  IdTokenValidity: "30m0s" -> "1h0m0s (default)"
update UserPools[renamed].Clients[spa]
  ClientSecret: "" -> "[secret]"`
	if got := summary(plan); got != want {
		t.Errorf("plan\n%s\nwant\n%s", got, want)
	}
	if got := lines(plan.Warnings); !strings.HasPrefix(got, "UserPools[0].IdentityProviders[0].ProviderDetails[oidc_issuer]: changes") {
		t.Errorf("warnings %s", got)
	}
	if err := f.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if again, err := f.Plan(t.Context(), s); err != nil || again.Pending() != 0 {
		t.Errorf("pending after it, error %v:\n%s", err, summary(again))
	}
}

func mustPool(t *testing.T, f *fixture, domain string) pool.Pool {
	t.Helper()
	p, err := f.PoolByDomain(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSecretsAreKeptWhenTheFileNamesNone(t *testing.T) {
	f := newFixture(t)
	s := wholeSpec()
	first := apply(t, f, s).Changes[2]
	s.UserPools[0].Clients[0].GenerateSecret = false
	if again := apply(t, f, s); again.Pending() != 0 {
		t.Errorf("pending:\n%s", summary(again))
	}
	c, err := f.Client(t.Context(), first.ID)
	if err != nil || !c.SecretMatches(first.GeneratedSecret.Reveal()) {
		t.Errorf("the secret was not kept, error %v", err)
	}
}

func TestWhatTheFileDoesNotNameIsLeftAlone(t *testing.T) {
	f := newFixture(t)
	s := wholeSpec()
	apply(t, f, s)
	id := mustPool(t, f, "example").ID
	other, err := f.CreatePool(t.Context(), pool.Pool{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	s.UserPools[0].Clients = []pool.ClientSpec{{
		ClientName: "spa", ClientID: "spa", SupportedIdentityProviders: []string{"Corp"}, // a provider that only the store has
	}}
	s.UserPools[0].IdentityProviders = nil
	apply(t, f, s)
	clients, err1 := f.Clients(t.Context(), id)
	providers, err2 := f.Providers(t.Context(), id)
	_, err3 := f.Pool(t.Context(), other.ID)
	if err := errors.Join(err1, err2, err3); err != nil || len(clients) != 2 || len(providers) != 1 {
		t.Errorf("%d clients, %d providers, error %v", len(clients), len(providers), err)
	}
}

func TestEveryProblemOfTheFileIsReportedAtOnce(t *testing.T) {
	f := newFixture(t)
	apply(t, f, wholeSpec())
	if _, err := f.CreatePool(t.Context(), pool.Pool{Name: "holder", Domain: "held"}); err != nil {
		t.Fatal(err)
	}
	s := wholeSpec()
	p := &s.UserPools[0]
	p.Domain = "held"
	p.Schema = []pool.SchemaSpec{
		{Name: "custom:level", AttributeDataType: "String"},
		{Name: "sub", Required: true},
		{Name: "badge", AttributeDataType: "Text", Required: true},
		{Name: "badge", AttributeDataType: "String", StringAttributeConstraints: &pool.StringConstraint{MinLength: "few"}},
	}
	p.IdentityProviders = append(p.IdentityProviders, pool.ProviderSpec{
		ProviderName: "corp", ProviderType: "OIDC", IdpIdentifiers: []string{"Example.COM"},
	})
	p.Clients[0].CallbackURLs = []string{"callback"}
	p.Clients[0].DefaultRedirectURI = ""
	p.Clients[1].AllowedOAuthFlows = []string{"implicit"}
	p.Clients[1].AllowedOAuthScopes = []string{"openid"}
	p.Clients[1].TokenValidityUnits.AccessToken = "weeks"
	p.Clients[1].RefreshTokenValidity = 1 << 40
	p.Clients[1].RefreshTokenRotation = &pool.RefreshRotation{Feature: "ON"}
	p.Clients[1].GenerateSecret, p.Clients[1].ClientSecret = true, secret.New(strings.Repeat("x", 24))
	p.Clients = append(p.Clients, pool.ClientSpec{ClientName: "web"})
	s.UserPools = append(s.UserPools, pool.PoolSpec{PoolName: "example"}, pool.PoolSpec{ID: "nonsense", Domain: "held"})
	_, err := f.Plan(t.Context(), s)
	want := []string{
		"UserPools[0].Schema[1].Name: the directory sets this attribute itself",
		"UserPools[0].Schema[2].AttributeDataType: must be String",
		"UserPools[0].Schema[2].Required: a custom attribute cannot be required",
		"UserPools[0].Schema[3].StringAttributeConstraints.MinLength: must be a whole number",
		"UserPools[0].Schema[3].Name: the attribute is declared twice",
		"UserPools[0].Schema: the custom attribute custom:department exists and cannot be removed",
		"UserPools[0].Schema[custom:level].AttributeDataType: the type cannot be changed from Number",
		"UserPools[0].Schema: the custom attribute dev:custom:note exists and cannot be removed",
		"UserPools[1].Schema: the custom attribute custom:department exists",
		"UserPools[1].Schema: the custom attribute custom:level exists",
		"UserPools[1].Schema: the custom attribute dev:custom:note exists",
		"UserPools[2].PoolName: must have",
		"UserPools[2].Id: must be like",
		"UserPools[0].Domain: belongs to another user pool",
		"UserPools[1]: stands for the same user pool as an earlier entry",
		"UserPools[2].Domain: is wanted by an earlier entry",
		"UserPools[2].Domain: belongs to another user pool",
		"UserPools[0].IdentityProviders[0].AttributeMapping[custom:department]: the attribute is not in the schema",
		"UserPools[0].IdentityProviders[1].ProviderName: another identity provider",
		"UserPools[0].IdentityProviders[1].IdpIdentifiers[0]: another identity provider",
		"UserPools[0].Clients[0].CallbackURLs[0]: must be an absolute https URL",
		"UserPools[0].Clients[1].GenerateSecret: cannot be true where ClientSecret is given",
		"UserPools[0].Clients[1].TokenValidityUnits.AccessToken: must be seconds",
		"UserPools[0].Clients[1].RefreshTokenRotation.Feature: must be ENABLED",
		"UserPools[0].Clients[1].AllowedOAuthFlows[0]: implicit is not supported yet",
		"UserPools[0].Clients[1].RefreshTokenValidity: must be from 1 hour to 10 years",
		"UserPools[0].Clients[2]: stands for the same client as an earlier entry",
	}
	got := strings.Split(problemsOf(t, err), "\n")
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("unexpected: %s", got[i])
		case !strings.HasPrefix(got[i], want[i]):
			t.Errorf("problem %d: %s, want %s", i, got[i], want[i])
		}
	}
	if strings.Count(fault.PublicOf(err), ";") > 20 {
		t.Errorf("public text %q", fault.PublicOf(err))
	}
}

func TestAmbiguousNamesAreRefused(t *testing.T) {
	f := newFixture(t)
	var ids []string
	for range 2 {
		p, err := f.CreatePool(t.Context(), pool.Pool{Name: "example"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
		for range 2 {
			if _, err := f.CreateClient(t.Context(), pool.Client{PoolID: p.ID, Name: "web"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example"}}})
	if got := problemsOf(t, err); got != "UserPools[0].PoolName: several user pools have this name: give the Id of one" {
		t.Errorf("problems %s", got)
	}
	_, err = f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example", ID: ids[0], Clients: []pool.ClientSpec{{ClientName: "web"}}}}})
	if got := problemsOf(t, err); got != "UserPools[0].Clients[0].ClientName: several clients of the user pool have this name: give the ClientId of one" {
		t.Errorf("problems %s", got)
	}
	clients, err := f.Clients(t.Context(), ids[1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", ID: ids[0], Clients: []pool.ClientSpec{{ClientName: "web", ClientID: clients[0].ID}},
	}}})
	if got := problemsOf(t, err); got != "UserPools[0].Clients[0].ClientId: belongs to a client of another user pool" {
		t.Errorf("problems %s", got)
	}
}

func TestClientsThatGetNoTokensOfAProviderAreWarnedOf(t *testing.T) {
	f, off := newFixture(t), false
	s := wholeSpec()
	web := &s.UserPools[0].Clients[0]
	web.ClientID, web.GenerateSecret, web.ClientSecret = "web", false, secret.New("a-secret-of-24-characters-or-more")
	details := s.UserPools[0].IdentityProviders[0].ProviderDetails
	details["keep_tokens"], details["token_clients"] = secret.New("true"), secret.New("web spa other")
	const at = "UserPools[0].IdentityProviders[0].ProviderDetails[token_clients]: names a client which "
	if got, want := lines(apply(t, f, s).Warnings), at+"has no secret and gets no tokens\n"+at+"the user pool does not have"; strings.TrimSpace(got) != want {
		t.Errorf("warnings %s\nwant %s", got, want)
	}
	// Of clients that the file leaves alone, what is stored counts.
	web.EnableTokenRevocation = &off
	apply(t, f, s)
	s.UserPools[0].Clients = nil
	details["token_clients"] = secret.New("web")
	plan, err := f.Plan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines(plan.Warnings), at+"has revocation switched off and gets no tokens"; strings.TrimSpace(got) != want {
		t.Errorf("warnings %s\nwant %s", got, want)
	}
}
