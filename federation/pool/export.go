package pool

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Export returns the spec of what is stored: planning it against the same store finds nothing to do, and what is at its default is left out. ids are
// those of the pools, none is all of them. With secrets, applying the spec to an empty store makes the same pools; without,
// StoredSecret stands for each. Users are not in it, nor who is in which group. omitted is what a pool file has no word for, and what would
// not be the same in another store. Errors: fault.NotFound.
func (d *Directory) Export(ctx context.Context, ids []string, secrets bool) (s Spec, omitted []Problem, err error) {
	pools, err := d.exported(ctx, ids)
	if err != nil {
		return s, nil, err
	}
	for _, p := range pools {
		ps := specOfPool(p)
		if err := d.exportParts(ctx, &ps, secrets); err != nil {
			return s, nil, err
		}
		s.UserPools = append(s.UserPools, ps)
		made, _ := desiredPool(ps, Pool{}, d)
		for _, f := range diff(poolFields(made), poolFields(p)) {
			omitted = append(omitted, Problem{Path: entry("UserPools", p.Name) + "." + f.Name, Message: "has no place in a pool file"})
		}
	}
	return s, omitted, nil
}

// exportParts fills in what is in a pool.
func (d *Directory) exportParts(ctx context.Context, ps *PoolSpec, secrets bool) error {
	providers, err1 := list(ctx, d.providers(), ps.ID, "export identity providers")
	servers, err2 := list(ctx, d.servers(), ps.ID, "export resource servers")
	clients, err3 := list(ctx, d.clients(), ps.ID, "export app clients")
	groups, err4 := list(ctx, d.groups(), ps.ID, "export groups")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	for _, ip := range providers {
		ps.IdentityProviders = append(ps.IdentityProviders, specOfProvider(ip, secrets))
	}
	for _, s := range servers {
		ps.ResourceServers = append(ps.ResourceServers, specOfServer(s))
	}
	for _, g := range groups {
		ps.Groups = append(ps.Groups, GroupSpec{GroupName: g.Name, Description: g.Description, RoleArn: g.RoleArn, Precedence: g.Precedence})
	}
	for _, c := range clients {
		// Of a provider that is gone the name may be left over from an earlier release, and no file may say it.
		c.Providers = slices.DeleteFunc(c.Providers, func(name string) bool {
			return name != LocalProvider && !slices.Contains(providerNames(providers), name)
		})
		ps.Clients = append(ps.Clients, specOfClient(c, secrets))
	}
	return nil
}

// specOfServer is the reverse of desiredServer.
func specOfServer(s ResourceServer) ServerSpec {
	out := ServerSpec{Identifier: s.Identifier, Name: otherThan(s.Name, s.Identifier)}
	for _, c := range s.Scopes {
		out.Scopes = append(out.Scopes, ScopeSpec{ScopeName: c.Name, ScopeDescription: otherThan(c.Description, c.Name)})
	}
	return out
}

// otherThan is a value, "" where it is the default.
func otherThan(v, def string) string {
	if v == def {
		return ""
	}
	return v
}

// exported returns the pools of those ids, past the cache, or all.
func (d *Directory) exported(ctx context.Context, ids []string) ([]Pool, error) {
	var out []Pool
	for _, id := range ids {
		e, err := d.storedPool(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	for after := ""; len(ids) == 0; {
		page, next, err := d.Pools(ctx, after, store.MaxList)
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); next == "" {
			break
		}
		after = next
	}
	return out, nil
}

// specOfPool is the reverse of desiredPool.
func specOfPool(p Pool) PoolSpec {
	s := PoolSpec{
		PoolName: p.Name, ID: p.ID, Domain: p.Domain, CustomDomain: p.CustomDomain,
		SigningAlgorithm: otherThan(p.SigningAlgorithm, Algorithms()[0]), SigningKeyDays: p.SigningKeyDays,
		DeletionProtection: otherThan(protection(p.DeletionProtection), protection(false)), UserPoolTags: p.Tags,
		UsernameAttributes: p.UsernameAttributes, AliasAttributes: p.AliasAttributes, Settings: p.Settings.besideDefaults(),
	}
	standard := StandardSchema()
	for _, a := range p.Schema {
		if i := slices.IndexFunc(standard, func(b SchemaAttribute) bool { return b.Name == a.Name }); i >= 0 {
			if describe(a) != describe(standard[i]) {
				s.Schema = append(s.Schema, specOfAttribute(a, standard[i]))
			}
			continue
		}
		s.Schema = append(s.Schema, specOfAttribute(a, SchemaAttribute{Mutable: true}))
	}
	return s
}

// specOfAttribute is what an attribute says beside base.
func specOfAttribute(a, base SchemaAttribute) SchemaSpec {
	s := SchemaSpec{Name: a.Name, AttributeDataType: a.DataType, DeveloperOnlyAttribute: a.DeveloperOnly, Required: a.Required}
	if base.Name != "" {
		s.AttributeDataType = ""
	}
	if a.Mutable != base.Mutable {
		s.Mutable = &a.Mutable
	}
	if c := a.String; c != nil && describe(SchemaAttribute{String: c}) != describe(SchemaAttribute{String: base.String}) {
		s.StringAttributeConstraints = &StringConstraint{MinLength: text(c.Min, strconv.Itoa), MaxLength: text(c.Max, strconv.Itoa)}
	}
	if c := a.Number; c != nil && describe(SchemaAttribute{Number: c}) != describe(SchemaAttribute{Number: base.Number}) {
		s.NumberAttributeConstraints = &NumberConstraint{MinValue: text(c.Min, decimal), MaxValue: text(c.Max, decimal)}
	}
	return s
}

func text[T any](v *T, format func(T) string) string {
	if v == nil {
		return ""
	}
	return format(*v)
}

// specOfProvider is the reverse of desiredProvider.
func specOfProvider(ip IdentityProvider, secrets bool) ProviderSpec {
	s := ProviderSpec{
		ProviderName: ip.Name, ProviderType: ip.Type, ProviderDetails: maps.Clone(ip.Details),
		AttributeMapping: filled(maps.Clone(ip.AttributeMapping)), IdpIdentifiers: listOrNil(ip.Identifiers),
	}
	for k, v := range s.ProviderDetails {
		switch {
		case v.IsZero(): // as good as absent
			delete(s.ProviderDetails, k)
		case !secrets && !exportable(k, v.Reveal()):
			s.ProviderDetails[k] = storedSecret
		}
	}
	return s
}

// documentDetails are the ProviderDetails that are known to hold no secret, beside those that a difference shows: a file without them would be of no use.
// The addresses among them are shown unless they carry anything that could be one.
var (
	documentDetails = []string{
		"MetadataFile", "IDPEntityID", "SPEntityID", "RequestBinding", "NameIDFormat", "SubjectAttribute", "ForceAuthn", "RequestedAuthnContext",
		"AuthnContextComparison", "ClockSkewSeconds", "AllowSHA1", "MaxElements", "MetadataSigningCertificate", "DefaultClientId", "DefaultRedirectURI",
		"ActiveEncryptionCertificate", "attributes_url_add_attributes", "token_request_method", "token_endpoint_auth_method", "private_key_id",
		"client_assertion_audience", "id_token_signed_response_alg", "clock_skew_seconds", "native_client_ids", "keep_tokens", "token_clients", "userinfo",
		"on_data_deletion", "preset", "hd", "domain", "tenant", "allowed_tenants", "authorization_server", "app_ids", "token_check", "group_overage",
	}
	addressDetails = []string{
		"MetadataURL", "SSORedirectBindingURI", "SLORedirectBindingURI", "authorize_url", "token_url", "attributes_url", "jwks_uri", "revocation_url",
		"graph_url", "token_info_url", "api_url", "authority_host",
	}
)

// exportable reports whether a detail can stand in a file that is to hold no secrets. What nobody has listed cannot.
func exportable(key, value string) bool {
	if slices.Contains(openDetails, key) || slices.Contains(documentDetails, key) {
		return true
	}
	u, err := url.Parse(value)
	return slices.Contains(addressDetails, key) && err == nil && u.User == nil && u.RawQuery == ""
}

// specOfClient is the reverse of desiredClient.
func specOfClient(c Client, secrets bool) ClientSpec {
	s := ClientSpec{
		ClientName: c.Name, ClientID: c.ID, CallbackURLs: listOrNil(c.CallbackURLs), LogoutURLs: listOrNil(c.LogoutURLs), DefaultRedirectURI: c.DefaultRedirectURI,
		AllowedOAuthFlows: listOrNil(c.Flows), AllowedOAuthScopes: listOrNil(c.Scopes), SupportedIdentityProviders: listOrNil(c.Providers),
		ExplicitAuthFlows: listOrNil(c.ExplicitAuthFlows), PreventUserExistenceErrors: c.PreventUserExistenceErrors, PropagateUserContext: c.PropagateUserContext,
		ReadAttributes: c.ReadAttributes, WriteAttributes: c.WriteAttributes, // an empty list is no attribute, and none is every one
	}
	switch {
	case secrets:
		s.ClientSecret, s.AdditionalClientSecret = c.Secret(), c.older()
	case c.Confidential():
		s.ClientSecret = storedSecret
	}
	if implied := len(c.Flows)+len(c.Scopes)+len(c.CallbackURLs) > 0; c.OAuth != implied {
		s.AllowedOAuthFlowsUserPoolClient = &c.OAuth
	}
	s.IDTokenValidity, s.AccessTokenValidity, s.RefreshTokenValidity, s.TokenValidityUnits = c.Lifetimes()
	if c.RefreshTokenValidity == defaultRefreshValidity {
		s.RefreshTokenValidity = 0
	}
	if c.AuthSessionValidity != defaultAuthSession {
		s.AuthSessionValidity = int(c.AuthSessionValidity / time.Minute)
	}
	switch grace := int(c.RotationGrace / time.Second); {
	case c.RotateRefreshTokens:
		s.RefreshTokenRotation = &RefreshRotation{Feature: "ENABLED", RetryGracePeriodSeconds: grace}
	case c.RotationDisabled || grace > 0:
		s.RefreshTokenRotation = &RefreshRotation{Feature: "DISABLED", RetryGracePeriodSeconds: grace}
	}
	if !c.EnableTokenRevocation {
		s.EnableTokenRevocation = &c.EnableTokenRevocation
	}
	return s
}

// listOrNil is a list that is none where it has no entry.
func listOrNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func filled(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}
