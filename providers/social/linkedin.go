package social

import (
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// linkedin is "Sign In with LinkedIn using OpenID Connect".
//
// It takes the parameter nonce and does not repeat it in the ID token. Its token endpoint answers invalid_client to a client with a secret
// that sends a code_verifier: PKCE is for the native applications that LinkedIn has enabled it for, at another authorization endpoint. The
// nonce is sent all the same, and has to be right should it ever come back.
func linkedin() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{
			"oidc_issuer":                "https://www.linkedin.com/oauth",
			"authorize_scopes":           "openid profile email",
			"token_endpoint_auth_method": "client_secret_post",
		},
		Read: func(*detail.Reader) oidc.Rules {
			return oidc.Rules{NoPKCE: true, NonceOptional: func(mapping.Claims) bool { return true }}
		},
	}
}
