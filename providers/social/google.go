package social

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// google is Google's OpenID Connect. Beside the keys of package oidc it has
//
//	hd                             the Google Workspace domain whose accounts alone may sign in; * is any such domain, and no private account
//	attributes_url                 where the People API is; the fields in its personFields are asked for at every sign-in. It is not userinfo
//	attributes_url_add_attributes  true (default) also asks for the fields that the scopes in authorize_scopes open: see people
//
// Google names the domain in the ID token's claim hd, and only for accounts that its organization manages. The parameter hd of the
// request is a hint that anybody can take out of the address, so that the claim decides. Everything that userinfo has is in
// the ID token too, so that it is not asked unless the details say so.
func google() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{
			"oidc_issuer":                   "https://accounts.google.com",
			"authorize_scopes":              "openid email profile",
			"attributes_url":                "https://people.googleapis.com/v1/people/me?personFields=",
			"attributes_url_add_attributes": "true",
			"userinfo":                      "never",
		},
		// Those of the original that hold here: Weir has the token endpoint from the discovery document, which names another one.
		Shown: map[string]string{
			"attributes_url":                "https://people.googleapis.com/v1/people/me?personFields=",
			"attributes_url_add_attributes": "true",
			"authorize_url":                 "https://accounts.google.com/o/oauth2/v2/auth",
			"oidc_issuer":                   "https://accounts.google.com",
			"token_request_method":          "POST",
		},
		Read: readGoogle,
	}
}

func readGoogle(r *detail.Reader) oidc.Rules {
	domain, p := r.String("hd"), readPeople(r)
	if strings.ContainsAny(domain, " ,@/:") {
		r.Fail("hd", "must be one domain, or *")
	}
	if domain != "" && r.String("userinfo") != "never" {
		r.Fail("userinfo", "must be never with hd, which the ID token has to say")
	}
	offline := r.OneOf("keep_tokens", "false", "true") == "true"
	rules := oidc.Rules{
		Aliases:       googleAliases(r.String("oidc_issuer")),
		OwnAttributes: true,
		Authorize: func(v url.Values, a federation.Attempt) {
			if domain != "" {
				v.Set("hd", domain)
			}
			if offline { // a refresh token, which comes with the person's first consent only
				v.Set("access_type", "offline")
			}
			if slices.Contains(a.Request.Prompt, "login") { // which is none of the values that Google documents; this is the nearest
				v.Set("prompt", strings.Join(googlePrompt(a.Request.Prompt), " "))
			}
		},
		More: func(ctx context.Context, api *oidc.API, t federation.UpstreamTokens, claims mapping.Claims) (mapping.Claims, error) {
			return p.ask(ctx, api, t, claims)
		},
	}
	if domain != "" {
		rules.Check = func(claims mapping.Claims) error {
			hd, _ := claims["hd"].(string)
			if hd == "" || domain != "*" && !strings.EqualFold(hd, domain) {
				return fmt.Errorf("hd is %q, the provider is for %q", hd, domain)
			}
			return nil
		}
	}
	return rules
}

// googleAliases are what Google's ID tokens may have as iss beside the issuer: the same without the scheme, as its documentation says.
func googleAliases(issuer string) []string {
	_, host, found := strings.Cut(issuer, "://")
	if !found || host == "" {
		return nil
	}
	return []string{host}
}

func googlePrompt(prompt []string) []string {
	out := slices.DeleteFunc(slices.Clone(prompt), func(s string) bool { return s == "login" })
	if !slices.Contains(out, "select_account") {
		out = append(out, "select_account")
	}
	return out
}
