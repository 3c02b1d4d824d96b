package pool

import (
	"cmp"
	"maps"
	"slices"
	"time"
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
	p = d.withDefaults(p)
	var ps Problems
	p.Schema, ps = schemaFrom(s.Schema)
	return p, append(validatePoolFields(p), ps...)
}

// desiredProvider returns the provider of a spec.
func desiredProvider(s ProviderSpec, poolID string) IdentityProvider {
	return IdentityProvider{
		PoolID: poolID, Name: s.ProviderName, Type: s.ProviderType, Details: maps.Clone(Details(s.ProviderDetails)),
		AttributeMapping: maps.Clone(s.AttributeMapping), Identifiers: slices.Clone(s.IdpIdentifiers),
	}
}

// desiredClient returns the client of a spec and whether its secret was generated just now.
//
// A stored secret is kept where the file names no other: as in the original, a client that has one does not become a public
// client, least of all by a line that got lost.
func desiredClient(s ClientSpec, old Client, poolID string) (c Client, generated bool, ps Problems) {
	c = Client{
		ID: cmp.Or(old.ID, s.ClientID), PoolID: poolID, Name: s.ClientName, Secret: s.ClientSecret,
		CallbackURLs: slices.Clone(s.CallbackURLs), LogoutURLs: slices.Clone(s.LogoutURLs), DefaultRedirectURI: s.DefaultRedirectURI,
		Flows: slices.Clone(s.AllowedOAuthFlows), Scopes: slices.Clone(s.AllowedOAuthScopes),
		Providers:             slices.Clone(s.SupportedIdentityProviders),
		EnableTokenRevocation: s.EnableTokenRevocation == nil || *s.EnableTokenRevocation,
		ReadAttributes:        slices.Clone(s.ReadAttributes), WriteAttributes: slices.Clone(s.WriteAttributes),
	}
	if c.ID == "" {
		c.ID = GenerateClientID()
	}
	if s.GenerateSecret && !s.ClientSecret.IsZero() {
		ps.add("GenerateSecret", "cannot be true where ClientSecret is given")
	}
	if c.Secret.IsZero() {
		c.Secret = old.Secret
	}
	if c.Secret.IsZero() && s.GenerateSecret {
		c.Secret, generated = GenerateClientSecret(), true
	}
	oauth := len(s.AllowedOAuthFlows)+len(s.AllowedOAuthScopes)+len(s.CallbackURLs)+len(s.LogoutURLs) > 0
	if allowed := s.AllowedOAuthFlowsUserPoolClient; allowed != nil && !*allowed && oauth {
		ps.add("AllowedOAuthFlowsUserPoolClient", "must not be false where flows, scopes, callback or logout URLs are given")
	}
	desiredLifetimes(&c, s, &ps)
	return c.withDefaults(), generated, ps
}

func desiredLifetimes(c *Client, s ClientSpec, ps *Problems) {
	u := s.TokenValidityUnits
	c.IDTokenValidity = validity(s.IDTokenValidity, u.IDToken, time.Hour, "TokenValidityUnits.IdToken", ps)
	c.AccessTokenValidity = validity(s.AccessTokenValidity, u.AccessToken, time.Hour, "TokenValidityUnits.AccessToken", ps)
	c.RefreshTokenValidity = validity(s.RefreshTokenValidity, u.RefreshToken, 24*time.Hour, "TokenValidityUnits.RefreshToken", ps)
	c.AuthSessionValidity = times(s.AuthSessionValidity, time.Minute)
	if r := s.RefreshTokenRotation; r != nil {
		switch r.Feature {
		case "ENABLED":
			c.RotateRefreshTokens = true
		case "DISABLED":
		default:
			ps.add("RefreshTokenRotation.Feature", "must be ENABLED or DISABLED")
		}
		c.RotationGrace = times(r.RetryGracePeriodSeconds, time.Second)
	}
}

// units are those of TimeUnitsType.
var units = map[string]time.Duration{"seconds": time.Second, "minutes": time.Minute, "hours": time.Hour, "days": 24 * time.Hour}

func validity(n int, unit string, def time.Duration, path string, ps *Problems) time.Duration {
	d := def
	if unit != "" {
		var known bool
		if d, known = units[unit]; !known {
			ps.add(path, "must be seconds, minutes, hours or days")
			return 0
		}
	}
	return times(n, d)
}

// times multiplies without overflow: what is out of every range stays out of it.
func times(n int, unit time.Duration) time.Duration {
	if most := int(maxRefreshValidity/unit) + 1; n > most {
		n = most
	}
	return time.Duration(max(n, -1)) * unit
}
