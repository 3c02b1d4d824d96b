package pool_test

import (
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

func TestBrandOfAProvider(t *testing.T) {
	for name, tc := range map[string]struct{ kind, preset, want string }{
		"Google":                       {"Google", "", "Google"},
		"Facebook":                     {"Facebook", "", "Facebook"},
		"Apple":                        {"SignInWithApple", "", "Apple"},
		"Amazon":                       {"LoginWithAmazon", "", "Amazon"},
		"Entra ID is Microsoft":        {"OIDC", "EntraID", "Microsoft"},
		"GitHub":                       {"OIDC", "GitHub", "GitHub"},
		"GitLab":                       {"OIDC", "GitLab", "GitLab"},
		"LinkedIn":                     {"OIDC", "LinkedIn", "LinkedIn"},
		"Okta":                         {"OIDC", "Okta", "Okta"},
		"Auth0":                        {"OIDC", "Auth0", "Auth0"},
		"no preset":                    {"OIDC", "", ""},
		"an unknown preset":            {"OIDC", "Example", ""},
		"a preset that is no OIDC one": {"OIDC", "Google", ""},
		"a preset in other letters":    {"OIDC", "github", ""},
		"SAML has no preset":           {"SAML", "Okta", ""},
		"the type comes first":         {"Google", "Okta", "Google"},
		"an unknown type":              {"Example", "Okta", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pool.IdentityProvider{Name: "Corp", Type: tc.kind}
			if tc.preset != "" {
				p.Details = pool.Details{"preset": secret.New(tc.preset)}
			}
			if got := p.Brand(); got != tc.want {
				t.Errorf("brand %q, want %q", got, tc.want)
			}
		})
	}
}
