package pool

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	clientIDPattern     = regexp.MustCompile(`^[\w+]{1,128}$`)                    // ClientIdType
	clientSecretPattern = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)              // wider than ClientSecretType, for clients that come with a secret
	scopePattern        = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,256}$`) // ScopeType
)

// Limits of CreateUserPoolClientRequest.
const (
	maxURLs   = 100
	maxScopes = 50
)

// The lifetimes of TokenValidityUnitsType, AuthSessionValidityType and RetryGracePeriodSecondsType: default, least and most.
const (
	defaultTokenValidity   = time.Hour
	minTokenValidity       = 5 * time.Minute
	maxTokenValidity       = 24 * time.Hour
	defaultRefreshValidity = 30 * 24 * time.Hour
	minRefreshValidity     = time.Hour
	maxRefreshValidity     = 315_360_000 * time.Second
	defaultAuthSession     = 3 * time.Minute
	maxAuthSession         = 15 * time.Minute
	maxRotationGrace       = time.Minute
)

// LocalProvider is the name under which clients list the pool's own accounts.
const LocalProvider = "COGNITO"

// standardScopes are the scopes that every pool has; those of resource servers have the form identifier/scope.
var standardScopes = []string{"openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"}

// ValidateClient returns everything that is wrong with a client of the pool p, whose providers have the given names.
func ValidateClient(c Client, p Pool, providers []string) []Problem {
	var ps Problems
	if !poolNamePattern.MatchString(c.Name) {
		ps.add("ClientName", `must have 1 to 128 characters of letters, digits, spaces and _+=,.@-`)
	}
	if !clientIDPattern.MatchString(c.ID) {
		ps.add("ClientId", "must have 1 to 128 characters of letters, digits, _ and +")
	}
	validateSecrets(&ps, c)
	validateURLs(&ps, c)
	validateOAuth(&ps, c)
	validateAuthFlows(&ps, c)
	validateLifetimes(&ps, c)
	validateProviderNames(&ps, c.Providers, providers)
	validatePermissions(&ps, "ReadAttributes", c.ReadAttributes, p)
	validatePermissions(&ps, "WriteAttributes", c.WriteAttributes, p)
	return ps
}

func validateSecrets(ps *Problems, c Client) {
	for i, s := range c.Secrets {
		path := "ClientSecret"
		if i < len(c.Secrets)-1 {
			path = "AdditionalClientSecret"
		}
		if !clientSecretPattern.MatchString(s.Value.Reveal()) {
			ps.add(path, "must have 1 to 128 printable ASCII characters and no space")
		} else if i > 0 && holds(c.Secrets[:i], s.Value) >= 0 {
			ps.add(path, "must differ from the other one")
		}
	}
	if len(c.Secrets) > maxClientSecrets {
		ps.add("ClientSecret", "at most two at a time are possible")
	}
	if c.PropagateUserContext && !c.Confidential() {
		ps.add("EnablePropagateAdditionalUserContextData", "needs a client with a secret")
	}
}

// validateAuthFlows checks the ways of the JSON API to sign in.
func validateAuthFlows(ps *Problems, c Client) {
	const path = "ExplicitAuthFlows"
	older := 0
	for i, f := range c.ExplicitAuthFlows {
		_, legacy := legacyAuthFlows[f]
		switch {
		case legacy:
			older++
		case !slices.Contains(authFlows, f):
			ps.add(at(path, i), "must be one of "+strings.Join(authFlows, ", "))
		case f == allowRefresh && c.RotateRefreshTokens:
			ps.add(at(path, i), allowRefresh+" and RefreshTokenRotation exclude each other: rotated tokens are for GetTokensFromRefreshToken and the token endpoint")
		}
	}
	if older > 0 && older < len(c.ExplicitAuthFlows) {
		ps.add(path, "values that begin with ALLOW_ cannot stand beside older ones")
	}
	noRepeats(ps, path, c.ExplicitAuthFlows)
	if p := c.PreventUserExistenceErrors; p != "" && p != "ENABLED" && p != "LEGACY" {
		ps.add("PreventUserExistenceErrors", "must be ENABLED or LEGACY")
	}
}

func validateURLs(ps *Problems, c Client) {
	urls := func(path string, list []string) {
		if len(list) > maxURLs {
			ps.add(path, "at most 100 are possible")
		}
		for i, u := range list {
			if m := CheckRedirect(u); m != "" {
				ps.add(at(path, i), m)
			}
		}
		noRepeats(ps, path, list)
	}
	urls("CallbackURLs", c.CallbackURLs)
	urls("LogoutURLs", c.LogoutURLs)
	if c.DefaultRedirectURI != "" && !slices.Contains(c.CallbackURLs, c.DefaultRedirectURI) {
		ps.add("DefaultRedirectURI", "must be one of CallbackURLs")
	}
}

// validateOAuth checks flows and scopes. The model has three flows; the others are refused rather than stored,
// so that nobody believes that they work.
func validateOAuth(ps *Problems, c Client) {
	for i, f := range c.Flows {
		switch f {
		case "code":
		case "implicit", "client_credentials":
			ps.add(at("AllowedOAuthFlows", i), f+" is not supported yet: use code")
		default:
			ps.add(at("AllowedOAuthFlows", i), "must be code")
		}
	}
	noRepeats(ps, "AllowedOAuthFlows", c.Flows)
	if len(c.Scopes) > maxScopes {
		ps.add("AllowedOAuthScopes", "at most 50 are possible")
	}
	for i, s := range c.Scopes {
		switch {
		case !scopePattern.MatchString(s):
			ps.add(at("AllowedOAuthScopes", i), `must have 1 to 256 printable ASCII characters without spaces, " and \`)
		case !slices.Contains(standardScopes, s) && !strings.Contains(s, "/"):
			ps.add(at("AllowedOAuthScopes", i), "must be openid, email, phone, profile, aws.cognito.signin.user.admin, or a resource server's identifier/scope")
		}
	}
	noRepeats(ps, "AllowedOAuthScopes", c.Scopes)
	if !c.OAuth {
		return // a client of the JSON API only
	}
	if len(c.Flows) == 0 {
		ps.add("AllowedOAuthFlows", "is required of a client that may use OAuth: [code]")
	}
	if len(c.Scopes) == 0 {
		ps.add("AllowedOAuthScopes", "is required of a client that may use OAuth")
	}
	if slices.Contains(c.Flows, "code") && len(c.CallbackURLs) == 0 {
		ps.add("CallbackURLs", "the flow code needs at least one")
	}
}

func validateLifetimes(ps *Problems, c Client) {
	within := func(path string, d, lo, hi time.Duration, message string) {
		if d < lo || d > hi || d%time.Second != 0 {
			ps.add(path, message)
		}
	}
	within("IdTokenValidity", c.IDTokenValidity, minTokenValidity, maxTokenValidity, "must be from 5 minutes to 1 day")
	within("AccessTokenValidity", c.AccessTokenValidity, minTokenValidity, maxTokenValidity, "must be from 5 minutes to 1 day")
	within("RefreshTokenValidity", c.RefreshTokenValidity, minRefreshValidity, maxRefreshValidity, "must be from 1 hour to 10 years")
	within("AuthSessionValidity", c.AuthSessionValidity, defaultAuthSession, maxAuthSession, "must be from 3 to 15 minutes")
	within("RefreshTokenRotation.RetryGracePeriodSeconds", c.RotationGrace, 0, maxRotationGrace, "must be from 0 to 60 seconds")
}

func validateProviderNames(ps *Problems, names, existing []string) {
	for i, n := range names {
		if n != LocalProvider && !slices.Contains(existing, n) {
			ps.add(at("SupportedIdentityProviders", i), "the user pool has no identity provider of this name")
		}
	}
	noRepeats(ps, "SupportedIdentityProviders", names)
}

func validatePermissions(ps *Problems, path string, names []string, p Pool) {
	for i, n := range names {
		if _, ok := p.Attribute(n); !ok {
			ps.add(at(path, i), "the attribute is not in the schema of the user pool")
		}
	}
	noRepeats(ps, path, names)
}

func noRepeats(ps *Problems, path string, list []string) {
	first := make(map[string]int, len(list))
	for i, s := range list {
		if j, ok := first[s]; ok {
			ps.add(at(path, i), "repeats entry "+strconv.Itoa(j))
			continue
		}
		first[s] = i
	}
}
