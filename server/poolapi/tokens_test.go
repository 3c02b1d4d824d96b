package poolapi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

// secretHash is SECRET_HASH as clients compute it.
func secretHash(username, clientID, clientSecret string) string {
	mac := hmac.New(sha256.New, []byte(clientSecret))
	mac.Write([]byte(username + clientID))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func tokenContracts() map[string]contract {
	return map[string]contract{
		"InitiateAuth":              initiateAuthContract(),
		"GetTokensFromRefreshToken": getTokensContract(),
		"RevokeToken":               revokeTokenContract(),
	}
}

func initiateAuthContract() contract {
	return contract{
		in: func(r *rig) body {
			return body{"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": servertest.SPAClient,
				"AuthParameters": body{"REFRESH_TOKEN": r.signIn("ada").Text("refresh_token")}}
		},
		check: func(r *rig, _, out body) {
			result := out["AuthenticationResult"].(body)
			r.wantTokens(r.SPA(), result)
			if result["RefreshToken"] != nil {
				r.Errorf("another refresh token without rotation: %v", result)
			}
		},
		refusals: []refused{
			{"unknown client", "ResourceNotFoundException", "does not exist", func(_ *rig, in body) { in["ClientId"] = "unknown" }},
			{"no token", "InvalidParameterException", "REFRESH_TOKEN", func(_ *rig, in body) { in["AuthParameters"] = body{} }},
			{"not a token", "NotAuthorizedException", "Invalid Refresh Token", func(_ *rig, in body) { in["AuthParameters"] = body{"REFRESH_TOKEN": "x"} }},
			{"a password", "NotImplementedException", "REFRESH_TOKEN_AUTH", func(_ *rig, in body) { in["AuthFlow"] = "USER_PASSWORD_AUTH" }},
			{"another client's token", "NotAuthorizedException", "Invalid Refresh Token", func(r *rig, in body) {
				a := r.Web().Login(r.Browser(), servertest.As("bob"))
				in["AuthParameters"] = body{"REFRESH_TOKEN": a.Text("refresh_token")}
			}},
			{"no secret hash", "NotAuthorizedException", "SECRET_HASH was not received", func(r *rig, in body) {
				a := r.Web().Login(r.Browser(), servertest.As("bob"))
				in["ClientId"], in["AuthParameters"] = servertest.WebClient, body{"REFRESH_TOKEN": a.Text("refresh_token")}
			}},
			{"wrong secret hash", "NotAuthorizedException", "SecretHash does not match", func(r *rig, in body) {
				a := r.Web().Login(r.Browser(), servertest.As("bob"))
				in["ClientId"], in["AuthParameters"] = servertest.WebClient,
					body{"REFRESH_TOKEN": a.Text("refresh_token"), "SECRET_HASH": secretHash("Corp_eve-0001", servertest.WebClient, servertest.WebSecret)}
			}},
			{"revoked", "NotAuthorizedException", "revoked", func(r *rig, in body) {
				r.must("RevokeToken", body{"ClientId": servertest.SPAClient, "Token": in["AuthParameters"].(body)["REFRESH_TOKEN"]})
			}},
			{"disabled user", "NotAuthorizedException", "", func(r *rig, _ body) { r.disable("ada") }},
		},
	}
}

// wantTokens wants an access and an ID token that the published keys verify.
func (r *rig) wantTokens(app *servertest.App, result body) {
	r.Helper()
	for _, name := range []string{"AccessToken", "IdToken"} {
		raw, _ := result[name].(string)
		if _, err := app.Verify(raw); err != nil {
			r.Errorf("%s: %v", name, err)
		}
	}
	if result["TokenType"] != "Bearer" || result["ExpiresIn"] != float64(3600) {
		r.Errorf("result %v", result)
	}
}

// disable disables somebody who has signed in.
func (r *rig) disable(who string) {
	r.Helper()
	u, err := r.Directory.UserByUsername(r.T.Context(), servertest.PoolID, "Corp_"+who+"-0001")
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.Broker.SetEnabled(r.T.Context(), servertest.PoolID, u.Sub, false, "test"); err != nil {
		r.Fatal(err)
	}
}

func getTokensContract() contract {
	return contract{
		in: func(r *rig) body {
			return body{"ClientId": servertest.SPAClient, "RefreshToken": r.signIn("ada").Text("refresh_token")}
		},
		check: func(r *rig, in, out body) {
			r.wantTokens(r.SPA(), out["AuthenticationResult"].(body))
			web := r.Web().Login(r.Browser(), servertest.As("bob")).Text("refresh_token")
			again := r.must("GetTokensFromRefreshToken", body{"ClientId": servertest.WebClient, "ClientSecret": servertest.WebSecret, "RefreshToken": web})
			r.wantTokens(r.Web(), again["AuthenticationResult"].(body))
		},
		refusals: []refused{
			{"unknown client", "ResourceNotFoundException", "does not exist", func(_ *rig, in body) { in["ClientId"] = "unknown" }},
			{"not a token", "NotAuthorizedException", "Invalid Refresh Token", func(_ *rig, in body) { in["RefreshToken"] = "x" }},
			{"a secret of a client without", "NotAuthorizedException", "secret", func(_ *rig, in body) { in["ClientSecret"] = strings.Repeat("s", 24) }},
			{"no secret of a client with one", "NotAuthorizedException", "CLIENT_SECRET", func(_ *rig, in body) { in["ClientId"] = servertest.WebClient }},
			{"wrong secret", "NotAuthorizedException", "Invalid client secret", func(_ *rig, in body) {
				in["ClientId"], in["ClientSecret"] = servertest.WebClient, strings.Repeat("s", 24)
			}},
			{"expired", "NotAuthorizedException", "", func(r *rig, _ body) { r.Clock.Advance(31 * 24 * time.Hour) }},
		},
	}
}

func revokeTokenContract() contract {
	return contract{
		in: func(r *rig) body {
			return body{"ClientId": servertest.SPAClient, "Token": r.signIn("ada").Text("refresh_token")}
		},
		check: func(r *rig, in, _ body) {
			ans := r.call("GetTokensFromRefreshToken", body{"ClientId": servertest.SPAClient, "RefreshToken": in["Token"]})
			wantRefusal(r.T, "GetTokensFromRefreshToken", ans, "NotAuthorizedException", "Refresh Token has been revoked")
			r.must("RevokeToken", in) // once more is no error
		},
		refusals: []refused{
			{"unknown client", "UnauthorizedException", "does not exist", func(_ *rig, in body) { in["ClientId"] = "unknown" }},
			{"wrong secret", "UnauthorizedException", "Invalid client secret", func(_ *rig, in body) {
				in["ClientId"], in["ClientSecret"] = servertest.WebClient, strings.Repeat("s", 24)
			}},
			{"another client's token", "UnauthorizedException", "another client", func(_ *rig, in body) {
				in["ClientId"], in["ClientSecret"] = servertest.WebClient, servertest.WebSecret
			}},
			{"an access token", "UnsupportedTokenTypeException", "refresh tokens", func(r *rig, in body) { in["Token"] = r.signIn("ada").Text("access_token") }},
		},
	}
}
