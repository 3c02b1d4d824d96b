// Package social has the providers that consumer applications ask for: the ProviderTypes Google, Facebook, SignInWithApple and
// LoginWithAmazon, and presets of the type OIDC for others that are known beforehand.
//
// Each is a Variant of package oidc in a file of its own: data, and functions only for what data cannot say. The flow itself, with state,
// PKCE, the exchange of the code and the ID token, is the one of package oidc, whose Rules say which of it a variant may change. What
// a provider's claims mean is in package mapping.
//
// To add one: a file with its Variant, one line in a table below, and testdata/<name>/ with answers of the shape that its
// documentation shows. A test fails without them.
package social

import (
	"maps"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// Kinds returns the variants that are a ProviderType of the API model.
func Kinds() map[string]oidc.Variant {
	return map[string]oidc.Variant{
		"Facebook":        facebook(),
		"Google":          google(),
		"LoginWithAmazon": amazon(),
		"SignInWithApple": apple(),
	}
}

// Presets returns the variants of the ProviderType OIDC, by the value of the detail preset.
func Presets() map[string]oidc.Variant {
	return map[string]oidc.Variant{
		"Auth0":    auth0(),
		"EntraID":  entraID(),
		"GitHub":   github(),
		"GitLab":   gitlab(),
		"LinkedIn": linkedin(),
		"Okta":     okta(),
	}
}

// keyPreset is the detail that names a preset.
const keyPreset = "preset"

// OIDC returns the variant of a provider of the type OIDC: its preset, or plain OpenID Connect without one. The faults are those
// of the detail preset.
func OIDC(d pool.Details) (oidc.Variant, []detail.Fault) {
	name := d.Get(keyPreset)
	if name == "" {
		return oidc.Variant{}, nil
	}
	presets := Presets()
	v, ok := presets[name]
	if !ok {
		return v, []detail.Fault{{Key: keyPreset, Problem: "must be one of: " + strings.Join(slices.Sorted(maps.Keys(presets)), ", ")}}
	}
	read := v.Read
	v.Read = func(r *detail.Reader) oidc.Rules {
		_ = r.String(keyPreset)
		if read == nil {
			return oidc.Rules{}
		}
		return read(r)
	}
	return v, nil
}
