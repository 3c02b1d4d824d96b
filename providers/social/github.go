package social

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// github is GitHub and GitHub Enterprise Server, which speak OAuth 2.0 without ID tokens. Beside the keys of package oidc it has
//
//	api_url      the REST API; default https://api.github.com, on one's own server https://HOST/api/v3
//	token_check  always (default): GitHub is asked whether the access token is this client's; or never
//
// The address of a profile is what the person chose to show. It is not taken: the claim email is the primary address of /user/emails,
// and email_verified what GitHub says of that very address.
func github() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{ //nolint:gosec // addresses and names, no credentials
			"authorize_scopes":           "read:user user:email",
			"authorize_url":              "https://github.com/login/oauth/authorize",
			"token_url":                  "https://github.com/login/oauth/access_token",
			"api_url":                    "https://api.github.com",
			"token_endpoint_auth_method": "client_secret_post",
		},
		Read: func(r *detail.Reader) oidc.Rules {
			r.Default("oidc_issuer", strings.TrimSuffix(r.URL("authorize_url"), "/authorize")) // by RFC 8414 and 9207, https://github.com/login/oauth
			g := githubRules{
				api:    strings.TrimSuffix(r.URL("api_url"), "/"),
				emails: showsEmails(strings.Fields(r.String("authorize_scopes"))),
				check:  r.OneOf("token_check", "always", "never") == "always",
			}
			return oidc.Rules{Profile: g.profile, Subject: "id", Code: githubCode, Revoke: g.revoke}
		},
	}
}

type githubRules struct {
	api           string
	emails, check bool
}

// call is one to the REST API, which answers 403 without a User-Agent.
func (g githubRules) call(path string) oidc.Call {
	return oidc.Call{URL: g.api + path, Header: http.Header{
		"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}, "User-Agent": {"weir"},
	}}
}

func (g githubRules) profile(ctx context.Context, api *oidc.API, t federation.UpstreamTokens) (mapping.Claims, error) {
	call := g.call("/user")
	call.Bearer = t.Access
	claims, err := api.Object(ctx, call)
	if err != nil {
		return nil, err
	}
	if g.check {
		if err := g.owned(ctx, api, t.Access, claims["id"]); err != nil {
			return nil, err
		}
	}
	delete(claims, "email")
	delete(claims, "email_verified")
	// What OpenID Connect calls them (Core section 5.1).
	for name, own := range map[string]string{"preferred_username": "login", "picture": "avatar_url", "profile": "html_url"} {
		if claims[own] != nil {
			claims[name] = claims[own]
		}
	}
	// GitHub separates the scopes that were granted by commas; an app with permissions in place of scopes has none to name.
	granted := strings.FieldsFunc(t.Scope, func(r rune) bool { return r == ',' || r == ' ' })
	if !g.emails || len(granted) > 0 && !showsEmails(granted) {
		return claims, nil
	}
	return claims, g.addEmail(ctx, api, t.Access, claims)
}

func showsEmails(scopes []string) bool {
	return slices.Contains(scopes, "user:email") || slices.Contains(scopes, "user")
}

// owned checks that the access token was issued to this client, and for this person.
//
// The token comes from GitHub's own token endpoint, for a code, the client's secret and the PKCE verifier, so that no other client's can get here
// while token_url is GitHub's. It is asked all the same: Rules.Profile has to know, whatever token_url is. GitHub limits calls with the client's
// secret per client and not per person, so that whoever signs in very many people an hour can turn token_check off.
func (g githubRules) owned(ctx context.Context, api *oidc.API, token secret.Text, user any) error {
	call, err := g.aboutToken(api, token)
	if err != nil {
		return err
	}
	var found struct {
		App struct {
			ClientID string `json:"client_id"`
		} `json:"app"`
		User struct {
			ID json.Number `json:"id"`
		} `json:"user"`
	}
	if err := api.Decode(ctx, call, &found); err != nil {
		return err
	}
	switch {
	case found.App.ClientID != api.ClientID():
		return oidc.Refuse(oidc.ErrAudience, "the access token is of client %q", found.App.ClientID)
	case found.User.ID == "" || found.User.ID != user:
		return oidc.Refuse(oidc.ErrUserInfoSubject, "the access token is of user %q", found.User.ID)
	}
	return nil
}

// aboutToken is a call of the client about a token of its own (GitHub REST API, Endpoints for OAuth authorizations).
func (g githubRules) aboutToken(api *oidc.API, token secret.Text) (oidc.Call, error) {
	key, err := api.Secret()
	if err != nil {
		return oidc.Call{}, err
	}
	basic := base64.StdEncoding.EncodeToString([]byte(api.ClientID() + ":" + key.Reveal()))
	call := g.call("/applications/" + url.PathEscape(api.ClientID()) + "/token")
	call.JSON = map[string]string{"access_token": token.Reveal()}
	call.Header.Set("Authorization", "Basic "+basic)
	call.Secrets = []string{token.Reveal(), key.Reveal(), basic}
	return call, nil
}

// revoke ends the access token ("Delete an app token"). The person's consent stays, so that the next sign-in asks nothing.
func (g githubRules) revoke(ctx context.Context, api *oidc.API, t federation.UpstreamTokens, _ string) error {
	if t.Access.IsZero() {
		return federation.ErrNoRevocation
	}
	call, err := g.aboutToken(api, t.Access)
	if err != nil {
		return err
	}
	call.Method = http.MethodDelete
	_, err = api.Do(ctx, call)
	return err
}

// addEmail takes the primary address of the person, and no other: people add addresses as they like, and remove them.
func (g githubRules) addEmail(ctx context.Context, api *oidc.API, token secret.Text, claims mapping.Claims) error {
	var list []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	call := g.call("/user/emails")
	call.Bearer = token
	if err := api.Decode(ctx, call, &list); err != nil {
		return err
	}
	for _, e := range list {
		if e.Primary && e.Email != "" {
			claims["email"], claims["email_verified"] = e.Email, e.Verified
			return nil
		}
	}
	return nil
}

// githubCode translates the codes of GitHub's token endpoint, which come with the status 200.
func githubCode(_ int, body []byte) (code, description string) {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
	code = map[string]string{
		"bad_verification_code":        "invalid_grant",
		"bad_refresh_token":            "invalid_grant",
		"incorrect_client_credentials": "invalid_client",
		"redirect_uri_mismatch":        "unauthorized_client", // an administrator's to put right
	}[answer.Error]
	if code == "" {
		return answer.Error, answer.Description
	}
	return code, fmt.Sprintf("%s: %s", answer.Error, answer.Description)
}
