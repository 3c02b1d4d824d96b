package social

import (
	"fmt"
	"net/url"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// google is Google's OpenID Connect. Beside the keys of package oidc it has
//
//	hd  the Google Workspace domain whose accounts alone may sign in; * is any such domain, and no private account
//
// Google names the domain in the ID token's claim hd, and only for accounts that its organization manages. The parameter hd of the
// request is a hint that anybody can take out of the address, so that the claim decides.
func google() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{
			"oidc_issuer":      "https://accounts.google.com",
			"authorize_scopes": "openid email profile",
		},
		Read: func(r *detail.Reader) oidc.Rules {
			domain := r.String("hd")
			if domain == "" {
				return oidc.Rules{}
			}
			return oidc.Rules{
				Authorize: func(v url.Values, _ federation.Attempt) { v.Set("hd", domain) },
				Check: func(claims mapping.Claims) error {
					hd, _ := claims["hd"].(string)
					if hd == "" || domain != "*" && hd != domain {
						return fmt.Errorf("hd is %q, the provider is for %q", hd, domain)
					}
					return nil
				},
			}
		},
	}
}
