package poolapi_test

import (
	"time"

	"github.com/weir-id/weir/server/servertest"
)

func selfContracts() map[string]contract {
	return map[string]contract{
		"GetUser": selfContract(func(r *rig, _, out body) {
			r.want(out, body{"Username": "Corp_ada-0001", "UserStatus": nil, "Enabled": nil})
			r.wantAttributes(out["UserAttributes"], body{"email": "ada@corp.example", "email_verified": "true", "name": "The ada"})
		}),
		"GlobalSignOut": selfContract(func(r *rig, in, _ body) {
			wantRefusal(r.T, "GlobalSignOut", r.call("GlobalSignOut", in), "NotAuthorizedException", "Access Token has been revoked")
		}),
		"DeleteUser": selfContract(func(r *rig, in, _ body) {
			wantRefusal(r.T, "DeleteUser", r.call("DeleteUser", in), "NotAuthorizedException", "Access Token has been revoked")
			if _, err := r.Directory.UserByUsername(r.T.Context(), servertest.PoolID, "Corp_ada-0001"); err == nil {
				r.Error("the user is still there")
			}
		}),
	}
}

// selfContract is the contract of an operation that takes an access token: what all of them refuse, and those that are the operation's own.
func selfContract(check func(r *rig, in, out body), more ...refused) contract {
	return contract{
		in:    func(r *rig) body { return body{"AccessToken": r.signIn("ada").Text("access_token")} },
		check: check,
		refusals: append([]refused{
			{"not a token", "NotAuthorizedException", "Invalid Access Token", func(_ *rig, in body) { in["AccessToken"] = "x" }},
			{"an ID token", "NotAuthorizedException", "Invalid Access Token", func(r *rig, in body) { in["AccessToken"] = r.signIn("ada").Text("id_token") }},
			{"expired", "NotAuthorizedException", "Access Token has expired", func(r *rig, _ body) { r.Clock.Advance(2 * time.Hour) }},
			{"without the scope", "NotAuthorizedException", "Access Token does not have required scopes", func(r *rig, in body) {
				in["AccessToken"] = r.SPA().Login(r.Browser(), servertest.As("ada"), "scope", "openid email").Text("access_token")
			}},
			{"disabled user", "NotAuthorizedException", "", func(r *rig, _ body) { r.disable("ada") }},
			{"signed out everywhere", "NotAuthorizedException", "Access Token has been revoked", func(r *rig, in body) { r.must("GlobalSignOut", in) }},
		}, more...),
	}
}
