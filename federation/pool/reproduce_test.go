package pool_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
)

// everything fills a store with all that a pool file has words for, by the file and by the API.
func everything(t *testing.T, f *fixture) {
	t.Helper()
	s := wholeSpec()
	s.UserPools[0].Schema = append(s.UserPools[0].Schema, pool.SchemaSpec{Name: "badge", AttributeDataType: "String", Mutable: ptr(false)})
	s.UserPools[0].ResourceServers = []pool.ServerSpec{
		{Identifier: "api.example.com", Scopes: []pool.ScopeSpec{{ScopeName: "read"}, {ScopeName: "write", ScopeDescription: "Change things"}}},
		{Identifier: "other", Name: "Another one"},
	}
	s.UserPools[0].IdentityProviders = append(s.UserPools[0].IdentityProviders, pool.ProviderSpec{
		ProviderName: "SAML", ProviderType: "SAML", ProviderDetails: map[string]secret.Text{
			"MetadataURL": secret.New("https://idp.example/metadata"), "IDPSignout": secret.New("true"), "Unlisted": secret.New("who knows"),
		}, AttributeMapping: map[string]string{"email": "mail"},
	}, pool.ProviderSpec{
		ProviderName: "Key", ProviderType: "OIDC", ProviderDetails: map[string]secret.Text{
			"MetadataURL": secret.New("https://idp.example/metadata?token=abc"), "private_key": secret.New("-----BEGIN\nPRIVATE\n"),
		}, AttributeMapping: map[string]string{"email": "email"},
	})
	s.UserPools = append(s.UserPools, pool.PoolSpec{PoolName: "plain", CustomDomain: "login.plain.example", Domain: "plain"}, pool.PoolSpec{
		PoolName: "accounts", Domain: "accounts", DeletionProtection: "ACTIVE", UserPoolTags: map[string]string{"team": "blue", "empty": ""}, AliasAttributes: []string{"email"},
		Settings: fullSettings(), Groups: []pool.GroupSpec{
			{GroupName: "editors", Description: "who may edit", RoleArn: "arn:aws:iam::123456789012:role/editors", Precedence: ptr(0)}, {GroupName: "plain"},
		},
	}, pool.PoolSpec{PoolName: "addresses", UsernameAttributes: []string{"email", "phone_number"}})
	apply(t, f, s)
	id := mustPool(t, f, "example").ID
	for _, c := range []pool.Client{
		{Name: "minutes", IDTokenValidity: 90 * time.Minute, RefreshTokenValidity: 36 * time.Hour, EnableTokenRevocation: true},
		{Name: "grace", RotationGrace: 10 * time.Second, RotationDisabled: true, ReadAttributes: []string{}, WriteAttributes: []string{"email"}},
		{Name: "waiting", CallbackURLs: []string{"https://a.example/"}},
		{Name: "sameName", Providers: []string{"Corp", "COGNITO"}, AuthSessionValidity: 15 * time.Minute},
		{Name: "sameName"},
		{Name: "two", Secrets: []pool.ClientSecret{{Value: secret.New(strings.Repeat("o", 30))}, {Value: secret.New(strings.Repeat("n", 30))}}},
	} {
		c.PoolID = id
		if _, err := f.CreateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []pool.ClientSpec{
		{ClientName: "units", TokenValidityUnits: pool.TokenValidityUnits{IDToken: "days", AccessToken: "minutes", RefreshToken: "seconds"}, AccessTokenValidity: 60},
		{ClientName: "explicit", IDTokenValidity: 1, AccessTokenValidity: 1, RefreshTokenValidity: 30, AllowedOAuthFlowsUserPoolClient: ptr(false)},
		{ClientName: "off", RefreshTokenRotation: &pool.RefreshRotation{Feature: "DISABLED"}, EnableTokenRevocation: ptr(false), ExplicitAuthFlows: []string{"ALLOW_USER_AUTH"}},
		{ClientName: "scoped", AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"api.example.com/write"}, CallbackURLs: []string{"app.a:/cb"}, DefaultRedirectURI: "app.a:/cb"},
	} {
		if _, err := f.CreateClientFrom(t.Context(), id, c); err != nil {
			t.Fatal(err)
		}
	}
}

func exported(t *testing.T, f *fixture, secrets bool, ids ...string) pool.Spec {
	t.Helper()
	s, omitted, err := f.Export(t.Context(), ids, secrets)
	if err != nil || len(omitted) != 0 {
		t.Fatalf("omitted %v, error %v", omitted, err)
	}
	return s
}

func TestAnExportAppliedToItsStoreChangesNothing(t *testing.T) {
	f := newFixture(t)
	everything(t, f)
	for _, secrets := range []bool{true, false} {
		plan, err := f.Plan(t.Context(), exported(t, f, secrets))
		if err != nil {
			t.Fatal(err)
		}
		if plan.Pending() != 0 {
			t.Errorf("with secrets %v:\n%s", secrets, summary(plan))
		}
	}
}

func TestAnExportWithSecretsMakesTheSamePools(t *testing.T) {
	f, g := newFixture(t), newFixture(t)
	everything(t, f)
	s := exported(t, f, true)
	apply(t, g, s)
	again := exported(t, g, true)
	if a, b := revealed(s), revealed(again); !reflect.DeepEqual(a, b) {
		t.Errorf("exported\n%v\nfrom the copy\n%v", a, b)
	}
	// Old and new secrets are both taken, the new one first.
	for _, c := range again.UserPools[0].Clients {
		if c.ClientName == "two" && (!c.ClientSecret.Equal(strings.Repeat("n", 30)) || !c.AdditionalClientSecret.Equal(strings.Repeat("o", 30))) {
			t.Error("the two secrets are not those")
		}
	}
}

// revealed is a spec in which secrets compare by what they hold.
func revealed(s pool.Spec) any {
	var plain func(v reflect.Value) any
	plain = func(v reflect.Value) any {
		if v.Type() == reflect.TypeFor[secret.Text]() {
			return v.Interface().(secret.Text).Reveal()
		}
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				return nil
			}
			return plain(v.Elem())
		case reflect.Struct:
			out := map[string]any{}
			for i := range v.NumField() {
				out[v.Type().Field(i).Name] = plain(v.Field(i))
			}
			return out
		case reflect.Slice:
			if v.IsNil() {
				return nil
			}
			out := []any{}
			for i := range v.Len() {
				out = append(out, plain(v.Index(i)))
			}
			return out
		case reflect.Map:
			out := map[string]any{}
			for k, e := range v.Seq2() {
				out[k.String()] = plain(e)
			}
			return out
		}
		return v.Interface()
	}
	return plain(reflect.ValueOf(s))
}

func TestAnExportWithoutSecretsHasNone(t *testing.T) {
	f, g := newFixture(t), newFixture(t)
	everything(t, f)
	s := exported(t, f, false)
	stored := 0
	for _, p := range s.UserPools {
		for _, c := range p.Clients {
			if c.ClientSecret == pool.StoredSecret() {
				stored++
			} else if !c.ClientSecret.IsZero() || !c.AdditionalClientSecret.IsZero() {
				t.Errorf("client %s shows a secret", c.ClientName)
			}
		}
		for _, ip := range p.IdentityProviders {
			for k, v := range ip.ProviderDetails {
				open := map[string]bool{"client_id": true, "IDPSignout": true, "MetadataURL": ip.ProviderName == "SAML"}[k]
				if open == (v == pool.StoredSecret()) {
					t.Errorf("%s of %s: stored %v", k, ip.ProviderName, !open)
				}
			}
		}
	}
	if stored != 2 { // web and two
		t.Errorf("%d stored secrets", stored)
	}
	_, err := g.Plan(t.Context(), s)
	if got := problemsOf(t, err); !strings.Contains(got, "ClientSecret: {stored: true} stands for what is in the store, and there is none") {
		t.Errorf("into an empty store: %s", got)
	}
}

func TestWhatAnExportLeavesOut(t *testing.T) {
	f := newFixture(t)
	everything(t, f)
	id := mustPool(t, f, "plain").ID
	s := exported(t, f, false, id)
	want := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "plain", ID: id, Domain: "plain", CustomDomain: "login.plain.example"}}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	if all := exported(t, f, false); len(all.UserPools) != 4 {
		t.Errorf("%d pools", len(all.UserPools))
	}
	_, _, err := f.Export(t.Context(), []string{"local_Missing00"}, false)
	wantCode(t, err, fault.NotFound)
	p := mustPool(t, f, "plain")
	p.Domains = map[string]pool.DomainSettings{"plain": {ManagedLoginVersion: 2}}
	if _, err := f.UpdatePool(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	_, omitted, err := f.Export(t.Context(), []string{id}, false)
	if got := lines(omitted); err != nil || !strings.Contains(got, "UserPools[plain].Domains[plain]: has no place in a pool file") {
		t.Errorf("omitted\n%s\nerror %v", got, err)
	}
}

// What a file does not say of accounts, messages and second factors is not taken away by it; what it says is whole.
func TestSilenceKeepsSettings(t *testing.T) {
	f := newFixture(t)
	everything(t, f)
	before := mustPool(t, f, "accounts")
	apply(t, f, pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "accounts", Domain: "accounts"}}})
	after := mustPool(t, f, "accounts")
	if !reflect.DeepEqual(after.Settings, before.Settings) || !after.DeletionProtection || len(after.Tags) != 2 || len(after.AliasAttributes) != 1 {
		t.Errorf("settings of the pool\n%+v\nafter a silent file\n%+v", before, after)
	}
	apply(t, f, pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "accounts", Domain: "accounts", DeletionProtection: "INACTIVE", UserPoolTags: map[string]string{}, Groups: []pool.GroupSpec{{GroupName: "editors"}},
		Settings: pool.Settings{
			MfaConfiguration: "ON", EmailVerificationMessage: "code {####}",
			Policies: &api.UserPoolPolicyType{PasswordPolicy: &api.PasswordPolicyType{MinimumLength: ptr(10)}},
		},
	}}})
	after = mustPool(t, f, "accounts")
	password := after.Settings.Policies.PasswordPolicy
	if after.DeletionProtection || len(after.Tags) != 0 || after.Settings.MfaConfiguration != "ON" || after.Settings.SmsMfa || !*after.Settings.SoftwareTokenMfa.Enabled ||
		*password.MinimumLength != 10 || *password.RequireLowercase || *password.TemporaryPasswordValidityDays != 7 ||
		after.Settings.VerificationMessageTemplate.EmailMessage != "code {####}" || after.Settings.SmsVerificationMessage != "" {
		t.Errorf("after a file that says something: %+v, password %+v", after.Settings, password)
	}
	g, err := f.Group(t.Context(), after.ID, "editors")
	if err != nil || g.Description != "" || g.Precedence != nil || g.RoleArn != "" {
		t.Errorf("group %+v, %v", g, err)
	}
	if _, err := f.Group(t.Context(), after.ID, "plain"); err != nil {
		t.Errorf("a group that the file does not name: %v", err)
	}
	_, err = f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "accounts", DeletionProtection: "on", UsernameAttributes: []string{"email"}, AliasAttributes: []string{},
		Groups: []pool.GroupSpec{{GroupName: "a b"}, {GroupName: "x"}, {GroupName: "x"}},
	}}})
	for _, want := range []string{
		"DeletionProtection: must be ACTIVE or INACTIVE", "UsernameAttributes: cannot be changed", "Groups[0].GroupName: must have", "Groups[2].GroupName: is that of an earlier entry",
	} {
		if got := problemsOf(t, err); !strings.Contains(got, want) {
			t.Errorf("problems\n%s\nwant %s", got, want)
		}
	}
}

// A field that Export forgets would be lost by everybody who moves, so that each has to be seen once.
func TestEveryFieldIsExported(t *testing.T) {
	f := newFixture(t)
	everything(t, f)
	seen := map[string]bool{
		"ClientSpec.GenerateSecret":         true, // which is no state
		"Settings.SmsVerificationMessage":   true, // the template says the same
		"Settings.EmailVerificationMessage": true, "Settings.EmailVerificationSubject": true,
		"Settings.LambdaConfig": true, // refused
		// SMS is sent through one service or the other.
		"SmsConfigurationType.EumsSms": true,
		// Refused, too.
		"KeyConfigurationType.KmsKeyArn": true, "UserPoolAddOnsType.AdvancedSecurityAdditionalFlows": true,
	}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Name() + "." + v.Type().Field(i).Name
				if seen[name] = seen[name] || !v.Field(i).IsZero(); v.Type() != reflect.TypeFor[secret.Text]() {
					walk(v.Field(i))
				}
			}
		}
	}
	walk(reflect.ValueOf(exported(t, f, true)))
	for name, there := range seen {
		if !there {
			t.Errorf("%s is in no export: export it, and have everything use it", name)
		}
	}
}
