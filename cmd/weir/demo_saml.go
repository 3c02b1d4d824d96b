package main

import (
	"context"
	"net/http"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/samltest"
)

const shipyardPath = "/shipyard"

// demoSAMLProvider is the pool's side of the trust with the demonstration's AD FS look-alike.
func demoSAMLProvider(base string) pool.ProviderSpec {
	return pool.ProviderSpec{
		ProviderName: "Shipyard", ProviderType: "SAML",
		ProviderDetails: map[string]secret.Text{
			"MetadataURL": secret.New(base + string(samltest.EndpointMetadata)), "IDPSignout": secret.New("true"),
		},
		AttributeMapping: map[string]string{
			"email": "email", "name": "name", "given_name": "given_name", "family_name": "family_name", "custom:groups": "groups",
		},
		IdpIdentifiers: []string{"shipyard.example"},
	}
}

// demoFederationService is a SAML identity provider shaped like AD FS, with one person in it. It trusts the broker by the
// certificates that the broker's metadata shows, and encrypts for it.
func (n *node) demoFederationService(ctx context.Context, base string) (http.Handler, error) {
	ours, err := n.samlKeys.Published(ctx, demoPool)
	if err != nil {
		return nil, err
	}
	return samltest.New(samltest.Config{
		BaseURL: base, Name: "Shipyard Federation Service", Now: time.Now, ShowPeople: true, ConfirmSession: true,
		ServiceProviders: []samltest.ServiceProvider{{
			EntityID: metadata.SPEntityID(demoPool), Name: "Weir",
			ACS: []string{n.cfg.BaseURL + "/saml2/idpresponse"}, Logout: n.cfg.BaseURL + "/saml2/logout",
			Certificates: ours.Signing, RequireSigned: true, Encryption: ours.Encryption,
		}},
		People: []samltest.Person{{Username: "dave", Password: "dave", Claims: map[string]any{
			samltest.ClaimUPN: "dave@shipyard.example", samltest.ClaimEmail: "dave@shipyard.example", samltest.ClaimName: "Dave Kowalski",
			samltest.ClaimGivenName: "Dave", samltest.ClaimSurname: "Kowalski", samltest.ClaimGroup: []string{"Domain Users", "Welders"},
		}}},
	})
}
