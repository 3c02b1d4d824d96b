package pool

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/secret"
)

// From a Spec to what is to be stored. The file is the desired state: a field that is left out takes the model's
// default, also where the store holds something else. Anything else would make the result of Apply depend on
// what earlier versions of the file said, and a line could never be taken back by deleting it.
// Kept are the ids and client secrets, see desiredClient.

// desiredPool returns the pool of a spec. old is the stored pool, zero where there is none.
func desiredPool(s PoolSpec, old Pool, d *Directory) (Pool, Problems) {
	p := old // what a file cannot say stays as it is
	p.ID, p.Name, p.Domain, p.CustomDomain = cmp.Or(old.ID, s.ID), s.PoolName, s.Domain, s.CustomDomain
	p.SigningAlgorithm, p.SigningKeyDays = s.SigningAlgorithm, s.SigningKeyDays
	var ps Problems
	desiredSettings(&p, s, &ps)
	p = d.withDefaults(p)
	schema, found := schemaFrom(s.Schema)
	p.Schema = schema
	return p, append(append(validatePoolFields(p), ps...), found...)
}

// desiredSettings puts what the file says of accounts, messages and second factors over what is stored. Unlike with everything else, what the file does not
// name stays: these settings are administered through the API as a rule, and a file that is silent about second factors or the deletion of
// a pool must not take them away at the next start. A part that is named is whole: its members that are left out have their defaults.
func desiredSettings(p *Pool, s PoolSpec, ps *Problems) {
	switch s.DeletionProtection {
	case "":
	case "ACTIVE", "INACTIVE":
		p.DeletionProtection = s.DeletionProtection == "ACTIVE"
	default:
		ps.add("DeletionProtection", "must be ACTIVE or INACTIVE")
	}
	if s.UserPoolTags != nil {
		p.Tags = maps.Clone(s.UserPoolTags)
	}
	if s.UsernameAttributes != nil {
		p.UsernameAttributes = slices.Clone(s.UsernameAttributes)
	}
	if s.AliasAttributes != nil {
		p.AliasAttributes = slices.Clone(s.AliasAttributes)
	}
	p.Settings = s.Settings.over(p.Settings)
}

// desiredGroup returns the group of a spec. Who is in it, no file says.
func desiredGroup(s GroupSpec, old Group, poolID string) Group {
	return Group{
		PoolID: poolID, Name: s.GroupName, Description: s.Description, RoleArn: s.RoleArn, Precedence: s.Precedence, GID: old.GID, Created: old.Created,
	}
}

// desiredProvider returns the provider of a spec.
func desiredProvider(s ProviderSpec, old IdentityProvider, poolID string) (ip IdentityProvider, ps Problems) {
	ip = IdentityProvider{
		PoolID: poolID, Name: s.ProviderName, Type: s.ProviderType, Details: maps.Clone(Details(s.ProviderDetails)),
		AttributeMapping: maps.Clone(s.AttributeMapping), Identifiers: slices.Clone(s.IdpIdentifiers),
	}
	for _, k := range slices.Sorted(maps.Keys(ip.Details)) {
		if ip.Details[k] != storedSecret {
			continue
		}
		if old.Details[k].IsZero() {
			ps.add(entry("ProviderDetails", k), notStored)
			delete(ip.Details, k) // and be missed where it is required, which says the same once more
			continue
		}
		ip.Details[k] = old.Details[k]
	}
	return ip, ps
}

// StoredSecret stands in a Spec for a secret that is in the store, whatever it is: {stored: true} in pool.yaml. It is
// known by identity and not by content, so that no secret can be taken for it.
func StoredSecret() secret.Text { return storedSecret }

// The NUL keeps it from ever being stored itself: see storable and clientSecretPattern.
var storedSecret = secret.New("\x00 the secret in the store")

const notStored = "{stored: true} stands for what is in the store, and there is none"

// desiredClient returns the client of a spec and whether its secret was generated just now.
func desiredClient(s ClientSpec, old Client, poolID string) (c Client, generated bool, ps Problems) {
	c = Client{
		ID: cmp.Or(old.ID, s.ClientID), PoolID: poolID, Name: s.ClientName,
		CallbackURLs: slices.Clone(s.CallbackURLs), LogoutURLs: slices.Clone(s.LogoutURLs), DefaultRedirectURI: s.DefaultRedirectURI,
		Flows: slices.Clone(s.AllowedOAuthFlows), Scopes: slices.Clone(s.AllowedOAuthScopes),
		Providers:                  slices.Clone(s.SupportedIdentityProviders),
		ExplicitAuthFlows:          slices.Clone(s.ExplicitAuthFlows),
		PreventUserExistenceErrors: s.PreventUserExistenceErrors,
		PropagateUserContext:       s.PropagateUserContext,
		EnableTokenRevocation:      s.EnableTokenRevocation == nil || *s.EnableTokenRevocation,
		ReadAttributes:             slices.Clone(s.ReadAttributes), WriteAttributes: slices.Clone(s.WriteAttributes),
	}
	if c.ID == "" {
		c.ID = GenerateClientID()
	}
	c.OAuth = len(c.Flows)+len(c.Scopes)+len(c.CallbackURLs) > 0
	if allowed := s.AllowedOAuthFlowsUserPoolClient; allowed != nil {
		c.OAuth = *allowed
	}
	c.Secrets, generated = desiredSecrets(s, old.Secrets, &ps)
	desiredLifetimes(&c, s, &ps)
	return c.withDefaults(), generated, ps
}

// desiredSecrets returns the secrets of a client, and whether the newest was generated just now.
//
// The stored ones are kept where the spec names no other: as in the original, a client that has one does not become a public
// client, least of all by a line that got lost. They are kept as well where the spec names one of them alone: the second one is then
// of a change of secrets that goes on elsewhere, through the API.
func desiredSecrets(s ClientSpec, old []ClientSecret, ps *Problems) (secrets []ClientSecret, generated bool) {
	given, more := s.ClientSecret, s.AdditionalClientSecret
	if s.GenerateSecret && !given.IsZero() {
		ps.add("GenerateSecret", "cannot be true where ClientSecret is given")
	}
	switch {
	case !more.IsZero() && (given.IsZero() || given == storedSecret || more == storedSecret):
		ps.add("AdditionalClientSecret", "needs a ClientSecret beside it, and both in full")
		return old, false
	case given == storedSecret && len(old) == 0:
		ps.add("ClientSecret", notStored)
	case given.IsZero() && len(old) == 0 && s.GenerateSecret:
		return []ClientSecret{{Value: GenerateClientSecret()}}, true
	case given.IsZero(), given == storedSecret:
		return slices.Clone(old), false
	case more.IsZero() && holds(old, given) >= 0:
		return slices.Clone(old), false
	}
	for _, v := range []secret.Text{more, given} { // the newest last
		if v.IsZero() || v == storedSecret {
			continue
		}
		next := ClientSecret{Value: v}
		if i := holds(old, v); i >= 0 {
			next = old[i]
		}
		secrets = append(secrets, next)
	}
	return secrets, false
}

// holds returns the index of a secret among others, -1 where it is not there.
func holds(secrets []ClientSecret, v secret.Text) int {
	return slices.IndexFunc(secrets, func(s ClientSecret) bool { return s.Value.Equal(v.Reveal()) })
}
