package config_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
)

func none(string) (string, bool) { return "", false }

func TestLoadRules(t *testing.T) {
	const whole = `
UserPools:
- PoolName: other
  Id: local_Other00001
- PoolName: example
  Id: local_Example01
  IdentityProviders:
  - ProviderName: Corp
    ProviderType: OIDC
    ProviderDetails: {client_id: x, client_secret: {env: NOT_SET}}
    AttributeMapping:
      email: email
      name: '[cel] claims.given_name'
  - {ProviderName: Bare, ProviderType: OIDC, ProviderDetails: {client_id: x}}
`
	for name, tt := range map[string]struct {
		text, provider string
		want           map[string]string
		faults         []string
	}{
		"a bare mapping":          {"email: mail\n'custom:x': '= 1'\n", "Corp", map[string]string{"email": "mail", "custom:x": "= 1"}, nil},
		"under its key":           {"AttributeMapping: {email: mail}\n", "Corp", map[string]string{"email": "mail"}, nil},
		"a pool file":             {whole, "Corp", map[string]string{"email": "email", "name": "[cel] claims.given_name"}, nil},
		"a bare one of a pool":    {whole, "Bare", map[string]string{}, nil},
		"no rules at all":         {"AttributeMapping: {}\n", "Corp", map[string]string{}, nil},
		"a provider that is not":  {whole, "Nobodys", nil, []string{":5: UserPools[1]: has no identity provider Nobodys"}},
		"a pool that is not":      {strings.ReplaceAll(whole, "local_Example01", "local_Nowhere01"), "Corp", nil, []string{":3: UserPools: has no user pool with the Id local_Example01"}},
		"faulty rules":            {"email: mail\nname: '[cel] clams.x'\nnickname: '[sometimes] x'\n", "Corp", nil, []string{":2: name: line 1, column 7: undeclared reference", ":3: nickname: "}},
		"a faulty one of a pool":  {strings.Replace(whole, "claims.given_name", "claims.given_name +", 1), "Corp", nil, []string{":13: UserPools[1].IdentityProviders[0].AttributeMapping.name: line 1, column"}},
		"not a mapping":           {"- a\n", "Corp", nil, []string{"want a mapping"}},
		"no text":                 {"email: {a: b}\n", "Corp", nil, []string{":1: email: got a mapping, want text"}},
		"twice":                   {"email: a\nemail: b\n", "Corp", nil, []string{":2: email: stands twice"}},
		"nothing":                 {"", "Corp", nil, []string{"the file is empty"}},
		"no YAML":                 {"a: [", "Corp", nil, []string{"not valid YAML"}},
		"details of another kind": {"AttributeMapping: {email: mail}\nProviderDetails:\n  client_secret: hunter2\n", "Corp", nil, []string{":3: ProviderDetails.client_secret: is no part of the rules"}},
		"faulty group rules":      {"ProviderDetails:\n  group_claim: groups\n  group_rules: staff is Staff\n", "Corp", nil, []string{":3: ProviderDetails.group_rules: line 1, column"}},
		"an unknown key":          {"AttributeMapping: {email: mail}\nAttributeMaping: {}\n", "Corp", nil, []string{":2: AttributeMaping: unknown key; did you mean AttributeMapping?"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.LoadRules(write(t, "new.yaml", tt.text), "local_Example01", tt.provider, none)
			if tt.faults == nil {
				if err != nil || !reflect.DeepEqual(got.AttributeMapping, tt.want) || (got.Details == nil) == strings.Contains(name, "pool") {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) != len(tt.faults) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("%v", err)
			}
			for i, want := range tt.faults {
				if !strings.Contains(faults[i].String(), want) {
					t.Errorf("%s, want %s", faults[i], want)
				}
			}
		})
	}
	var faults config.Faults
	if _, err := config.LoadRules(filepath.Join(t.TempDir(), "none.yaml"), "p", "c", none); !errors.As(err, &faults) || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("no file: %v", err)
	}
}

func TestLoadRulesOfGroups(t *testing.T) {
	const rules = "ProviderDetails:\n  group_claim: groups\n  group_rules: staff <- exact \"Staff\"\n"
	for name, text := range map[string]string{
		"alone": rules,
		"of a pool": "UserPools:\n- Id: local_Example01\n  IdentityProviders:\n  - ProviderName: Corp\n    ProviderDetails: {client_secret: {env: NOT_SET}, group_claim: groups, " +
			"group_rules: staff <- exact \"Staff\"}\n",
	} {
		got, err := config.LoadRules(write(t, "new.yaml", text), "local_Example01", "Corp", none)
		if err != nil || len(got.Details) != 2 || got.Details["group_claim"].Reveal() != "groups" || (got.AttributeMapping == nil) != (name == "alone") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
