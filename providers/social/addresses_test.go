package social_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/social"
)

// discoveryAt answers for one discovery document alone.
type discoveryAt struct{ address, issuer string }

func (d discoveryAt) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.String() != d.address {
		return reply(req, http.StatusNotFound, map[string]any{"asked": req.URL.String()})
	}
	return reply(req, http.StatusOK, map[string]any{
		"issuer": d.issuer, "authorization_endpoint": "https://idp.example.com/authorize", "token_endpoint": "https://idp.example.com/token",
		"jwks_uri": "https://idp.example.com/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func TestDetailsLeadToTheIssuer(t *testing.T) {
	const document = "/.well-known/openid-configuration"
	tests := map[string]struct {
		preset    string
		details   []string
		discovery string // without the well-known part; "" is the issuer
		issuer    string
		refused   bool // the document's issuer is not the one that follows from the details
	}{
		"Entra ID, one tenant":        {"EntraID", []string{"tenant", contoso}, "", "https://login.microsoftonline.com/" + contoso + "/v2.0", false},
		"Entra ID, personal accounts": {"EntraID", []string{"tenant", "consumers"}, "https://login.microsoftonline.com/consumers/v2.0", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", false},
		"Entra ID, common": {"EntraID", []string{"tenant", "common", "allowed_tenants", "*"}, "https://login.microsoftonline.com/common/v2.0",
			"https://login.microsoftonline.com/{tenantid}/v2.0", false},
		"Entra ID, another cloud": {"EntraID", []string{"tenant", "organizations", "allowed_tenants", contoso, "authority_host", "https://login.microsoftonline.us"},
			"https://login.microsoftonline.us/organizations/v2.0", "https://login.microsoftonline.us/{tenantid}/v2.0", false},
		"Entra ID, a document of one tenant for several": {"EntraID", []string{"tenant", "common", "allowed_tenants", "*"}, "https://login.microsoftonline.com/common/v2.0",
			"https://login.microsoftonline.com/" + contoso + "/v2.0", true},
		"Entra ID, a document of another tenant": {"EntraID", []string{"tenant", contoso}, "https://login.microsoftonline.com/" + contoso + "/v2.0",
			"https://login.microsoftonline.com/" + fabrikam + "/v2.0", true},
		"Okta, a document of another issuer": {"Okta", []string{"domain", "example.okta.com"}, "https://example.okta.com/oauth2/default", "https://example.okta.com", true},
		"GitLab":                             {"GitLab", nil, "", "https://gitlab.com", false},
		"GitLab of one's own":                {"GitLab", []string{"oidc_issuer", "https://git.example.com/gitlab"}, "", "https://git.example.com/gitlab", false},
		"LinkedIn":                           {"LinkedIn", nil, "", "https://www.linkedin.com/oauth", false},
		"Okta":                               {"Okta", []string{"domain", "example.okta.com"}, "", "https://example.okta.com/oauth2/default", false},
		"Okta, another server":               {"Okta", []string{"domain", "id.example.com", "authorization_server", "aus1"}, "", "https://id.example.com/oauth2/aus1", false},
		"Okta, the organization's":           {"Okta", []string{"domain", "example.okta.com", "authorization_server", "org"}, "", "https://example.okta.com", false},
		"Auth0, with a slash at the end":     {"Auth0", []string{"domain", "example.eu.auth0.com"}, "https://example.eu.auth0.com", "https://example.eu.auth0.com/", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := pool.Details{"client_id": secret.New(clientID), "client_secret": secret.New(clientSecret), "preset": secret.New(test.preset)}
			for pair := range slices.Chunk(test.details, 2) {
				d[pair[0]] = secret.New(pair[1])
			}
			v, faults := social.OIDC(d)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			address := test.discovery
			if address == "" {
				address = test.issuer
			}
			p, err := v.New(pool.IdentityProvider{PoolID: "local_Example01", Name: "Corp", Type: "OIDC", Details: d}, oidc.Options{
				HTTP: &http.Client{Transport: discoveryAt{address + document, test.issuer}}, Now: func() time.Time { return noon },
			})
			if err != nil {
				t.Fatal(err)
			}
			ch, err := p.Begin(t.Context(), federation.Attempt{
				ID: "s", PoolID: "local_Example01", Provider: "Corp", Started: noon, Nonce: "n", Verifier: "v", CallbackURL: callback,
			})
			if test.refused {
				if !errors.Is(err, oidc.ErrIssuer) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil || !strings.HasPrefix(ch.URL, "https://idp.example.com/authorize?") {
				t.Errorf("%s, %v", ch.URL, err)
			}
		})
	}
}
