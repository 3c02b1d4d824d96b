package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// planProviders compares the providers of a pool and returns those that it will have.
func (pl *planner) planProviders(ctx context.Context, pp poolPlan) ([]IdentityProvider, error) {
	stored, err := entries(ctx, pl.d.providers(), pp)
	if err != nil {
		return nil, err
	}
	final := make([]IdentityProvider, 0, len(stored)+len(pp.spec.IdentityProviders))
	for i, s := range pp.spec.IdentityProviders {
		path := at(pp.path+".IdentityProviders", i)
		var old store.Entry[IdentityProvider]
		if j := slices.IndexFunc(stored, func(e store.Entry[IdentityProvider]) bool { return e.Value.Name == s.ProviderName }); j >= 0 {
			old = stored[j]
			stored = slices.Delete(stored, j, j+1)
		}
		want, missing := desiredProvider(s, old.Value, pp.want.ID)
		pl.problems.under(path, missing)
		problems, warnings := pl.d.validateProvider(want, pp.want)
		pl.problems.under(path, problems)
		if old.Version != 0 {
			if old.Value.Type != want.Type {
				pl.problems.under(path, typeChanged("ProviderType"))
			}
			if old.Value.Details.Get("oidc_issuer") != want.Details.Get("oidc_issuer") {
				warnings.add("ProviderDetails[oidc_issuer]",
					"changes, while users stay linked by their subject: the new issuer must give the same subjects to the same people")
			}
		}
		warnOfProofs(&warnings, want, old.Value)
		(*Problems)(&pl.plan.Warnings).under(path, warnings)
		final = append(final, want)
		want.Created = old.Value.Created
		pl.record(Change{
			Path: entry(pp.name+".IdentityProviders", want.Name), ID: want.Name,
			Fields: diff(oldFields(old, providerFields), providerFields(want)),
		}, old.Version, func(ctx context.Context) error { return pl.d.putProvider(ctx, &want, old) })
	}
	pl.distinctProviders(pp.path, final, values(stored))
	return append(final, values(stored)...), nil
}

// distinctProviders checks names and identifiers of the wanted providers against each other and
// against those that the Spec leaves alone.
func (pl *planner) distinctProviders(path string, wanted, others []IdentityProvider) {
	names, looks, idents := map[string]bool{}, map[string]string{}, map[string]bool{}
	for _, o := range others {
		names[foldName(o.Name)], looks[lookName(o.Name)] = true, o.Name
		for _, s := range o.identifiers() {
			idents[s] = true
		}
	}
	for i, w := range wanted {
		path := at(path+".IdentityProviders", i)
		if names[foldName(w.Name)] {
			pl.problems.add(path+".ProviderName", "another identity provider of the user pool has this name, but for case")
		} else if other := looks[lookName(w.Name)]; other != "" {
			pl.problems.add(path+".ProviderName", fmt.Sprintf("can be taken for the name of another identity provider of the user pool, %+q", other))
		}
		names[foldName(w.Name)], looks[lookName(w.Name)] = true, w.Name
		for j, s := range w.Identifiers {
			if idents[FoldDomain(s)] {
				pl.problems.add(at(path+".IdpIdentifiers", j), "another identity provider of the user pool has this identifier")
			}
		}
		for _, t := range w.trustedDomains() {
			if idents[t.domain] {
				pl.problems.add(path+"."+entry("ProviderDetails", detailTrustedDomains), "another identity provider of the user pool has one of these domains, or has it among its identifiers")
			}
		}
		// Repetitions within one provider are found where it is validated.
		for _, s := range w.identifiers() {
			idents[s] = true
		}
	}
}

// minClientSecret is ClientSecretType's least length. A shorter one is kept, since it may be what an application has, with a warning.
const minClientSecret = 24

// clientWarnings returns what is allowed of a client but probably not meant.
func clientWarnings(s ClientSpec, c Client) []Problem {
	var ps Problems
	if n := len(s.ClientSecret.Reveal()); n > 0 && n < minClientSecret {
		ps.add("ClientSecret", fmt.Sprintf("has %d characters; fewer than %d can be guessed", n, minClientSecret))
	}
	if n := len(s.AdditionalClientSecret.Reveal()); n > 0 && n < minClientSecret {
		ps.add("AdditionalClientSecret", fmt.Sprintf("has %d characters; fewer than %d can be guessed", n, minClientSecret))
	}
	if !c.OAuth && len(c.Flows)+len(c.Scopes)+len(c.CallbackURLs) > 0 {
		ps.add("AllowedOAuthFlowsUserPoolClient", "is false: flows, scopes and callback URLs have no effect")
	}
	return ps
}

// planClients compares the clients of a pool.
func (pl *planner) planClients(ctx context.Context, pp poolPlan, providers []IdentityProvider, servers []ResourceServer) error {
	stored, err := entries(ctx, pl.d.clients(), pp)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	final := map[string]Client{}
	for _, e := range stored {
		final[e.Value.ID] = e.Value
	}
	for i, s := range pp.spec.Clients {
		path := at(pp.path+".Clients", i)
		old, err := pl.findClient(ctx, path, pp, s, stored)
		if err != nil {
			return err
		}
		want, generated, problems := desiredClient(s, old.Value, pp.want.ID)
		pl.problems.under(path, problems)
		pl.problems.under(path, ValidateClient(want, pp.want, providerNames(providers)))
		// Not refused: files could list such scopes before there were resource servers.
		(*Problems)(&pl.plan.Warnings).under(path, append(clientWarnings(s, want), undeclared(want.Scopes, servers)...))
		if seen["id "+want.ID] || (s.ClientID == "" && seen["name "+s.ClientName]) {
			pl.problems.add(path, "stands for the same client as an earlier entry")
		}
		seen["id "+want.ID], seen["name "+s.ClientName] = true, true
		var shown secret.Text
		if generated {
			shown = want.Secret()
		}
		final[want.ID] = want
		want.Created = old.Value.Created
		pl.record(Change{
			Path: entry(pp.name+".Clients", s.ClientName), ID: want.ID, GeneratedSecret: shown,
			Fields: diff(oldFields(old, clientFields), clientFields(want)),
		}, old.Version, func(ctx context.Context) error { return pl.d.putClient(ctx, &want, old) })
	}
	for i := range pp.spec.IdentityProviders {
		pl.warnOfTokenClients(at(pp.path+".IdentityProviders", i), providers[i], final)
	}
	return nil
}

// warnOfTokenClients warns of clients that are to have a provider's tokens and will not get any.
func (pl *planner) warnOfTokenClients(path string, p IdentityProvider, clients map[string]Client) {
	for _, id := range p.tokenClients() {
		c, there := clients[id]
		why := ""
		switch {
		case !there:
			why = "which the user pool does not have"
		case !c.Confidential():
			why = "which has no secret and gets no tokens"
		case !c.EnableTokenRevocation:
			why = "which has revocation switched off and gets no tokens"
		default:
			continue
		}
		(*Problems)(&pl.plan.Warnings).add(path+"."+entry("ProviderDetails", detailTokenClients), "names a client "+why)
	}
}

// findClient returns the stored client of a spec; its Version is 0 where there is none.
func (pl *planner) findClient(
	ctx context.Context, path string, pp poolPlan, s ClientSpec, stored []store.Entry[Client],
) (store.Entry[Client], error) {
	var found store.Entry[Client]
	if s.ClientID != "" {
		if !clientIDPattern.MatchString(s.ClientID) {
			return found, nil // reported where it is validated
		}
		e, err := pl.d.clients().Get(ctx, s.ClientID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return found, nil
		case err != nil:
			return found, storeFault("plan: find app client", err, noClient)
		case e.Value.PoolID != pp.want.ID:
			pl.problems.add(path+".ClientId", "belongs to a client of another user pool")
			return found, nil
		}
		return e, nil
	}
	matches := 0
	for _, e := range stored {
		if e.Value.Name == s.ClientName {
			matches++
			found = e
		}
	}
	if matches > 1 {
		pl.problems.add(path+".ClientName", "several clients of the user pool have this name: give the ClientId of one")
	}
	return found, nil
}

// entries reads everything of a kind in a pool, nothing where the pool does not exist yet.
func entries[T any](ctx context.Context, k *store.Kind[T], pp poolPlan) ([]store.Entry[T], error) {
	if pp.old.Version == 0 {
		return nil, nil
	}
	var out []store.Entry[T]
	err := k.All(ctx, indexPrefix("pool", pp.want.ID, ""), func(e store.Entry[T]) error {
		out = append(out, e)
		return nil
	})
	return out, storeFault("plan: list what the user pool has", err, noPool)
}

// oldFields are the fields of a stored thing, none where it does not exist yet.
func oldFields[T any](old store.Entry[T], fields func(T) []field) []field {
	if old.Version == 0 {
		return nil
	}
	return fields(old.Value)
}
