package pool

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FieldChange is one field that differs between what is stored and what is wanted. Old is "" where there was nothing. Secrets show as
// [secret], and as "changed" where another one takes their place.
type FieldChange struct {
	Name, Old, New string
}

// field is one comparable part of a pool, client or provider under its name in the API model.
type field struct {
	name, value string
	secret      bool
}

// What a secret shows as.
const (
	secretShown   = "[secret]"
	secretChanged = "changed"
)

// diff returns the fields that differ, in the order of after, then those that after has no more.
func diff(before, after []field) []FieldChange {
	old := make(map[string]field, len(before))
	for _, f := range before {
		old[f.name] = f
	}
	var out []FieldChange
	for _, f := range after {
		b := old[f.name]
		delete(old, f.name)
		if b.value != f.value {
			out = append(out, change(b, f))
		}
	}
	for _, b := range before {
		if _, gone := old[b.name]; gone && b.value != "" {
			out = append(out, change(b, field{name: b.name, secret: b.secret}))
		}
	}
	return out
}

func change(b, a field) FieldChange {
	c := FieldChange{Name: a.name, Old: b.value, New: a.value}
	if !a.secret {
		return c
	}
	switch {
	case b.value == "":
		c.New = secretShown
	case a.value == "":
		c.Old = secretShown
	default:
		c.Old, c.New = secretShown, secretChanged
	}
	return c
}

// The fields of each entity. A field that is missing here would never be updated by Apply: a
// test changes every field of the types and looks for it.

func poolFields(p Pool) []field {
	fields := []field{
		{name: "PoolName", value: p.Name},
		{name: "Domain", value: p.Domain},
		{name: "CustomDomain", value: p.CustomDomain},
		{name: "DeletionProtection", value: protection(p.DeletionProtection)},
		{name: "SigningAlgorithm", value: p.SigningAlgorithm},
		{name: "SigningKeyDays", value: strconv.Itoa(p.SigningKeyDays)},
		listField("UsernameAttributes", p.UsernameAttributes), listField("AliasAttributes", p.AliasAttributes),
	}
	for _, domain := range slices.Sorted(maps.Keys(p.Domains)) {
		fields = append(fields, field{name: entry("Domains", domain), value: p.Domains[domain].String()})
	}
	fields = append(fields, tagFields(p.Tags)...)
	return append(fields, detailFields(p)...)
}

// detailFields are those of which a new pool has many, and most of them as every pool.
func detailFields(p Pool) []field {
	fields := settingsFields(p.Settings)
	for _, a := range p.Schema {
		fields = append(fields, field{name: entry("Schema", a.Name), value: describe(a)})
	}
	return fields
}

// protection is DeletionProtectionType.
func protection(on bool) string {
	if on {
		return "ACTIVE"
	}
	return "INACTIVE"
}

// describe is a whole attribute in one line.
func describe(a SchemaAttribute) string {
	parts := []string{a.DataType}
	if !a.Mutable {
		parts = append(parts, "immutable")
	}
	if a.Required {
		parts = append(parts, "required")
	}
	if a.DeveloperOnly {
		parts = append(parts, "developer-only")
	}
	if c := a.String; c != nil {
		parts = append(parts, bound("MinLength", c.Min, strconv.Itoa)...)
		parts = append(parts, bound("MaxLength", c.Max, strconv.Itoa)...)
	}
	if c := a.Number; c != nil {
		parts = append(parts, bound("MinValue", c.Min, decimal)...)
		parts = append(parts, bound("MaxValue", c.Max, decimal)...)
	}
	return strings.Join(parts, " ")
}

func bound[T any](name string, v *T, format func(T) string) []string {
	if v == nil {
		return nil
	}
	return []string{name + "=" + format(*v)}
}

func clientFields(c Client) []field {
	rotation := ""
	switch {
	case c.RotateRefreshTokens:
		rotation = "ENABLED"
	case c.RotationDisabled:
		rotation = "DISABLED"
	}
	return []field{
		{name: "ClientName", value: c.Name},
		{name: "ClientSecret", value: c.Secret().Reveal(), secret: true},
		{name: "AdditionalClientSecret", value: c.older().Reveal(), secret: true},
		listField("CallbackURLs", c.CallbackURLs),
		listField("LogoutURLs", c.LogoutURLs),
		{name: "DefaultRedirectURI", value: c.DefaultRedirectURI},
		listField("AllowedOAuthFlows", c.Flows),
		listField("AllowedOAuthScopes", c.Scopes),
		{name: "AllowedOAuthFlowsUserPoolClient", value: strconv.FormatBool(c.OAuth)},
		listField("ExplicitAuthFlows", c.ExplicitAuthFlows),
		{name: "PreventUserExistenceErrors", value: c.PreventUserExistenceErrors},
		{name: "EnablePropagateAdditionalUserContextData", value: strconv.FormatBool(c.PropagateUserContext)},
		listField("SupportedIdentityProviders", c.Providers),
		lifetimeField("IdTokenValidity", c.IDTokenValidity, c.Form.IDTokenDefault),
		lifetimeField("AccessTokenValidity", c.AccessTokenValidity, c.Form.AccessTokenDefault),
		durationField("RefreshTokenValidity", c.RefreshTokenValidity),
		{name: "TokenValidityUnits", value: c.Form.describeUnits()},
		durationField("AuthSessionValidity", c.AuthSessionValidity),
		{name: "RefreshTokenRotation.Feature", value: rotation},
		durationField("RefreshTokenRotation.RetryGracePeriodSeconds", c.RotationGrace),
		{name: "EnableTokenRevocation", value: strconv.FormatBool(c.EnableTokenRevocation)},
		permissionField("ReadAttributes", c.ReadAttributes),
		permissionField("WriteAttributes", c.WriteAttributes),
	}
}

func lifetimeField(name string, d time.Duration, def bool) field {
	f := durationField(name, d)
	if def {
		f.value += " (default)"
	}
	return f
}

func durationField(name string, d time.Duration) field {
	return field{name: name, value: d.String()}
}

// listField is a list in its order, which shows on the sign-in page. Names and URLs have no spaces of their own but
// provider names from another release; quoting keeps different lists different.
func listField(name string, list []string) field {
	if len(list) == 0 {
		return field{name: name}
	}
	shown := make([]string, len(list))
	for i, s := range list {
		if shown[i] = s; strings.ContainsAny(s, " \"") || s == "" {
			shown[i] = strconv.Quote(s)
		}
	}
	return field{name: name, value: strings.Join(shown, " ")}
}

// permissionField tells every attribute (nil) from none.
func permissionField(name string, list []string) field {
	if list == nil {
		return field{name: name, value: "all"}
	}
	f := listField(name, list)
	f.value = "[" + f.value + "]"
	return f
}

// openDetails are the ProviderDetails that a difference shows. Every other value is taken for a secret: URLs
// can carry credentials, and new kinds bring details nobody listed here.
var openDetails = []string{
	"client_id", "authorize_scopes", "oidc_issuer", "attributes_request_method", "callback", "api_version", "team_id", "key_id",
	"IDPInit", "IDPSignout", "EncryptedResponses", "RequestSigningAlgorithm", detailGroupClaim, detailGroupRules, detailGroupAbsent,
	detailLinkUsers, detailTrustedDomains, detailLinkSources, DetailKeepAssertions, DetailKeepAssertionsDays, DetailRedactAssertions,
}

func providerFields(p IdentityProvider) []field {
	fields := []field{{name: "ProviderType", value: p.Type}}
	for _, k := range slices.Sorted(maps.Keys(p.Details)) {
		fields = append(fields, field{
			name: entry("ProviderDetails", k), value: p.Details.Get(k), secret: !slices.Contains(openDetails, k),
		})
	}
	for _, k := range slices.Sorted(maps.Keys(p.AttributeMapping)) {
		fields = append(fields, field{name: entry("AttributeMapping", k), value: p.AttributeMapping[k]})
	}
	return append(fields, listField("IdpIdentifiers", p.Identifiers))
}
