package token

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation/pool"
)

// The scopes that decide which attributes an application gets (OpenID Connect Core section 5.4).
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopePhone   = "phone"
)

const customPrefix = "custom:"

// standard are the attributes of OpenID Connect Core section 5.1 that may become claims. Everything else needs the
// prefix custom:, so an attribute cannot take the place of a claim of the protocol, whatever it is called, and
// developer-only attributes (dev:custom:) stay inside.
var standard = map[string]bool{
	"address": true, "birthdate": true, "email": true, "email_verified": true, "family_name": true,
	"gender": true, "given_name": true, "locale": true, "middle_name": true, "name": true, "nickname": true,
	"phone_number": true, "phone_number_verified": true, "picture": true, "preferred_username": true,
	"profile": true, "updated_at": true, "website": true, "zoneinfo": true,
}

// verifiedOf names the attribute that says whether another one is verified.
var verifiedOf = map[string]string{"email": "email_verified", "phone_number": "phone_number_verified"}

// IdentityClaim is an entry of the claim identities. The claim has its flag and its date as strings.
type IdentityClaim struct {
	UserID       string  `json:"userId"`
	ProviderName string  `json:"providerName"`
	ProviderType string  `json:"providerType"`
	Issuer       *string `json:"issuer"`      // null if the provider has none
	Primary      string  `json:"primary"`     // "true" or "false"
	DateCreated  string  `json:"dateCreated"` // milliseconds since 1970
}

// Claims returns what those scopes let the client know of the user: sub, identities (of a federated user) and the
// attributes the client may read. It is the same for the ID token and for userInfo.
//
// Without openid there is nothing, and the map is empty. With openid alone, or with profile, it is every readable attribute; with email or
// phone but without profile only the attributes of those. Values are strings, but for
// email_verified and phone_number_verified (bool; false unless the attribute is "true", and there
// whenever the address or number is), address (an object) and updated_at (a number if it is one).
// Groups and the username are not attributes and not here.
func Claims(u pool.User, c pool.Client, scopes []string) map[string]any {
	out := make(map[string]any, len(u.Attributes)+16)
	if !slices.Contains(scopes, scopeOpenID) {
		return out
	}
	email, phone := slices.Contains(scopes, scopeEmail), slices.Contains(scopes, scopePhone)
	all := slices.Contains(scopes, scopeProfile) || !email && !phone
	readable := func(name string) bool {
		switch {
		case c.ReadAttributes != nil && !slices.Contains(c.ReadAttributes, name):
			return false
		case all:
			return standard[name] || strings.HasPrefix(name, customPrefix)
		case email && (name == "email" || name == "email_verified"):
			return true
		}
		return phone && (name == "phone_number" || name == "phone_number_verified")
	}
	for name, value := range u.Attributes {
		if !readable(name) {
			continue
		}
		out[name] = claimOf(name, value)
		if flag, ok := verifiedOf[name]; ok && readable(flag) {
			out[flag] = u.Attributes[flag] == "true"
		}
	}
	if len(u.AllIdentities()) > 0 {
		out["identities"] = identities(u)
	}
	out["sub"] = u.Sub
	return out
}

func claimOf(name, value string) any {
	switch name {
	case "email_verified", "phone_number_verified":
		return value == "true"
	case "address":
		return map[string]string{"formatted": value}
	case "updated_at":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n
		}
	}
	return value
}

func identities(u pool.User) []IdentityClaim {
	all := u.AllIdentities()
	out := make([]IdentityClaim, 0, len(all))
	for _, id := range all {
		c := IdentityClaim{
			UserID: id.Subject, ProviderName: id.Provider, ProviderType: id.ProviderType,
			Primary:     strconv.FormatBool(id.Primary),
			DateCreated: strconv.FormatInt(id.Created.UnixMilli(), 10),
		}
		if id.Issuer != "" {
			c.Issuer = &id.Issuer
		}
		out = append(out, c)
	}
	return out
}
