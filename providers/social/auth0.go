package social

import (
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// auth0 is an Auth0 tenant. Beside the keys of package oidc it has
//
//	domain  required, unless oidc_issuer is given: example.eu.auth0.com, or the tenant's own domain
//
// Its issuer ends in a slash.
func auth0() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{"authorize_scopes": "openid email profile"},
		Read: func(r *detail.Reader) oidc.Rules {
			r.Default("oidc_issuer", "https://"+readDomain(r)+"/")
			return oidc.Rules{}
		},
	}
}
