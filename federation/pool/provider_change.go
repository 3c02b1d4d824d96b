package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/store"
)

// ErrProviderExists: the user pool has an identity provider of that name, be it in another case.
var ErrProviderExists = errors.New("the identity provider exists")

// ErrLooksAlike: people could take the identity provider for another one of the user pool.
var ErrLooksAlike = errors.New("the identity provider looks like another one")

// hiddenDetails are the ProviderDetails that nobody is shown, each with the detail that says which one it is.
var hiddenDetails = map[string]string{"private_key": "key_id"}

// Shown returns the details without those that nobody is shown. The client's secret is among what is shown, as in the original: whoever
// administers the provider by the API has given it, and compares.
func (p IdentityProvider) Shown() Details {
	shown := maps.Clone(p.Details)
	for hidden := range hiddenDetails {
		delete(shown, hidden)
	}
	return shown
}

// ShownMapping returns the attribute mapping, and where there is none that of the user name, which the original shows then: what the user name is made
// of is fixed.
func (p IdentityProvider) ShownMapping() map[string]string {
	if claim := subjectClaims[p.Type]; len(p.AttributeMapping) == 0 && claim != "" {
		return map[string]string{mapUsername: claim}
	}
	return p.AttributeMapping
}

// ProviderOf returns the provider of that exact name, past the cache. Errors: fault.NotFound.
func (d *Directory) ProviderOf(ctx context.Context, poolID, name string) (IdentityProvider, error) {
	e, err := d.storedProvider(ctx, poolID, name)
	return e.Value, err
}

func (d *Directory) storedProvider(ctx context.Context, poolID, name string) (store.Entry[IdentityProvider], error) {
	if !validPoolID(poolID) || !characters(name, 1, maxProviderName) || !storable(name) {
		return store.Entry[IdentityProvider]{}, absent("identity provider: malformed name", noProvider)
	}
	key := providerKey(poolID, name)
	e, err := d.providers().Get(ctx, key)
	return e, storeFault(fmt.Sprintf("identity provider %q", key), err, noProvider)
}

// ProviderPage returns a page of up to limit (1 to 1,000) providers of a pool in the order of their names, and the cursor of the next page, ""
// at the end. Errors: fault.NotFound for the pool, fault.Invalid for a cursor of something else.
func (d *Directory) ProviderPage(ctx context.Context, poolID, after string, limit int) ([]IdentityProvider, string, error) {
	return pageOf(ctx, d, d.providers(), poolID, "identity providers", after, limit)
}

// ProviderChange is what is to change of a provider. What is nil stays.
type ProviderChange struct {
	Details          Details // replaces all, but for what nobody is shown: see ChangeProvider
	AttributeMapping map[string]string
	Identifiers      []string
}

// ChangeProvider changes a provider in one compare-and-swap, under the rules of UpdateProvider. A private key that the new details leave
// out stays as long as the id of the key does: nobody can send back what nobody is shown.
func (d *Directory) ChangeProvider(ctx context.Context, poolID, name string, c ProviderChange) (IdentityProvider, error) {
	old, err := d.storedProvider(ctx, poolID, name)
	if err != nil {
		return IdentityProvider{}, err
	}
	ip := cloneProvider(old.Value)
	if c.Details != nil {
		ip.Details = maps.Clone(c.Details)
		for hidden, id := range hiddenDetails {
			same := ip.Details.Get(id) == old.Value.Details.Get(id) && ip.Details.Get(hidden+"_id") == old.Value.Details.Get(hidden+"_id")
			if kept := old.Value.Details[hidden]; !kept.IsZero() && ip.Details[hidden].IsZero() && same {
				ip.Details[hidden] = kept
			}
		}
	}
	if c.AttributeMapping != nil {
		ip.AttributeMapping = maps.Clone(c.AttributeMapping)
	}
	if c.Identifiers != nil {
		ip.Identifiers = slices.Clone(c.Identifiers)
	}
	return d.replaceProvider(ctx, ip, old)
}

// unprobed are the ProviderDetails that lead to nothing which could be asked: to replace a secret, the provider need not be up. A detail that
// nobody has listed here leads somewhere.
var unprobed = []string{
	"client_id", "client_secret", "private_key", "private_key_id", "key_id", "team_id", "token_endpoint_auth_method", "client_assertion_audience",
	"authorize_scopes", "attributes_request_method", "attributes_url_add_attributes", "token_request_method", "native_client_ids", "clock_skew_seconds",
	detailCallback, detailDataDeletion, detailKeepTokens, detailTokenClients, detailLinkUsers, detailTrustedDomains, detailLinkSources,
	detailGroupClaim, detailGroupRules, detailGroupAbsent, "group_overage", "graph_url",
	DetailKeepAssertions, DetailKeepAssertionsDays, DetailRedactAssertions,
	"IDPInit", "IDPSignout", "EncryptedResponses", "RequestSigningAlgorithm", "ForceAuthn", "NameIDFormat", "SubjectAttribute", "SPEntityID",
	"RequestedAuthnContext", "AuthnContextComparison", "ClockSkewSeconds", "MaxElements", "DefaultClientId", "DefaultRedirectURI",
	"ActiveEncryptionCertificate", "SSORedirectBindingURI", "SLORedirectBindingURI", // which have no effect
}

// probe asks the provider whether its details hold, where they differ from before.
func (d *Directory) probe(ctx context.Context, ip, before IdentityProvider) error {
	if d.ProbeProvider == nil {
		return nil
	}
	leads := func(p IdentityProvider) map[string]string {
		out := map[string]string{}
		for k := range p.Details {
			if !slices.Contains(unprobed, k) {
				out[k] = p.Details.Get(k)
			}
		}
		return out
	}
	if before.Name != "" && maps.Equal(leads(ip), leads(before)) {
		return nil
	}
	return Problems(d.ProbeProvider(ctx, ip)).fault()
}

// delist takes a provider's name from the clients that list it.
func (d *Directory) delist(ctx context.Context, poolID, name string) error {
	return d.clients().All(ctx, indexPrefix("pool", poolID, ""), func(e store.Entry[Client]) error {
		if !slices.Contains(e.Value.Providers, name) {
			return nil
		}
		_, err := d.clients().Update(ctx, e.Value.ID, func(c *Client) error {
			before := len(c.Providers)
			c.Providers = slices.DeleteFunc(c.Providers, func(s string) bool { return s == name })
			if len(c.Providers) == before {
				return store.ErrUnchanged
			}
			c.Modified = d.now()
			return nil
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil // deleted meanwhile
		}
		return err
	})
}
