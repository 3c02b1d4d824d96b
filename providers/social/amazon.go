package social

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// amazon is Login with Amazon, which is OAuth 2.0 without ID tokens. Beside the keys of package oidc it has
//
//	token_info_url  where a token says whom it was issued to; default token_url with tokeninfo in place of token
//
// Accounts of Europe and of the Far East are reached at the same addresses; applications that have to keep to a region set the
// addresses of the region.
//
// Amazon's documentation does not say that the e-mail address of a profile was verified, so that it never counts as verified.
func amazon() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{ //nolint:gosec // addresses and names, no credentials
			"oidc_issuer":                "https://www.amazon.com", // in what tokeninfo says
			"authorize_scopes":           "profile",
			"authorize_url":              "https://www.amazon.com/ap/oa",
			"token_url":                  "https://api.amazon.com/auth/o2/token",
			"attributes_url":             "https://api.amazon.com/user/profile",
			"token_endpoint_auth_method": "client_secret_post",
		},
		Read: func(r *detail.Reader) oidc.Rules {
			if at, ok := strings.CutSuffix(r.String("token_url"), "/token"); ok { // of the same region
				r.Default("token_info_url", at+"/tokeninfo")
			}
			r.Require("token_info_url")
			a := amazonRules{info: r.URL("token_info_url"), issuer: r.String("oidc_issuer")}
			return oidc.Rules{Profile: a.profile, Subject: "user_id"}
		},
	}
}

type amazonRules struct{ info, issuer string }

// profile asks first whom the token was issued to, as Amazon's documentation obliges every client to: any application's token opens the
// profile. The parameter access_token is the only way in which tokeninfo takes the token, so that it is kept out of what a failure quotes.
func (a amazonRules) profile(ctx context.Context, api *oidc.API, t federation.UpstreamTokens) (mapping.Claims, error) {
	var info struct {
		Issuer   *string     `json:"iss"`
		User     string      `json:"user_id"`
		Audience string      `json:"aud"`
		Left     json.Number `json:"exp"` // seconds, not a time
	}
	token := t.Access.Reveal()
	if err := api.Decode(ctx, oidc.Call{URL: a.info, Query: url.Values{"access_token": {token}}, Secrets: []string{token}}, &info); err != nil {
		return nil, err
	}
	left, err := info.Left.Float64()
	switch {
	case info.Audience != api.ClientID():
		return nil, oidc.Refuse(oidc.ErrAudience, "the access token is of client %q", info.Audience)
	case info.Issuer != nil && *info.Issuer != a.issuer:
		return nil, oidc.Refuse(oidc.ErrIssuer, "the access token is of %q", *info.Issuer)
	case err != nil || left <= 0:
		return nil, oidc.Refuse(oidc.ErrExpired, "exp of the access token is %q", info.Left)
	}
	answer, err := api.Object(ctx, oidc.Call{URL: api.UserInfoURL(), Bearer: t.Access})
	if err != nil {
		return nil, err
	}
	if user, _ := answer["user_id"].(string); user == "" || user != info.User {
		return nil, oidc.Refuse(oidc.ErrUserInfoSubject, "the profile is not of the token's user")
	}
	claims := mapping.Claims{}
	for _, name := range []string{"user_id", "email", "name", "postal_code"} {
		if answer[name] != nil {
			claims[name] = answer[name]
		}
	}
	return claims, nil
}
