package social

import "github.com/weir-id/weir/providers/oidc"

// gitlab is GitLab's OpenID Connect, of gitlab.com unless oidc_issuer names a server of one's own. It follows the specifications; its claims
// email and email_verified are of the person's primary address, groups_direct are the groups.
func gitlab() oidc.Variant {
	return oidc.Variant{Defaults: map[string]string{
		"oidc_issuer":      "https://gitlab.com",
		"authorize_scopes": "openid email profile",
	}}
}
