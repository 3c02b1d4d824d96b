package social

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// facebookVersion is that of the Graph API where none is set. Facebook serves a version for two years and answers as the next one afterwards.
const facebookVersion = "v25.0"

// facebook is Facebook Login, which is OAuth 2.0 without ID tokens but for Limited Login in apps. Beside the keys of package oidc it has
//
//	api_version  of the Graph API; default facebookVersion
//	graph_url    the Graph API, for debug_token and permissions; default attributes_url without /me
//
// authorize_scopes may be separated by commas too. With attributes_url_add_attributes, the default, the profile is asked for the
// fields that the attribute mapping names, beside those in attributes_url; without it, for these alone.
//
// Facebook's documentation does not say that an address was verified, so that it never counts as verified. Sources: developers.facebook.com,
// Manually Build a Login Flow; Graph API (debug_token, User, Permissions); Securing Requests; OIDC Token for Limited Login.
func facebook() oidc.Variant {
	defaults := facebookEndpoints(facebookVersion)
	maps.Copy(defaults, map[string]string{
		"api_version":                   facebookVersion,
		"oidc_issuer":                   "https://www.facebook.com", // of Limited Login
		"jwks_uri":                      "https://limited.facebook.com/.well-known/oauth/openid/jwks/",
		"authorize_scopes":              "public_profile,email",
		"attributes_url_add_attributes": "true",
		"token_endpoint_auth_method":    "client_secret_post",
	})
	return oidc.Variant{Defaults: defaults, Read: readFacebook}
}

func facebookEndpoints(version string) map[string]string {
	graph := "https://graph.facebook.com/" + version
	return map[string]string{
		"authorize_url":  "https://www.facebook.com/" + version + "/dialog/oauth",
		"token_url":      graph + "/oauth/access_token",
		"attributes_url": graph + "/me?fields=",
		"graph_url":      graph,
	}
}

// facebookAdvice is what to look at, by the codes that facebookCode makes.
var facebookAdvice = map[string]string{
	"invalid_client":  "check that client_id and client_secret are App ID and App secret of the same app, that the secret was not reset, and that the app is not disabled",
	"invalid_request": "check that our callback is among the Valid OAuth Redirect URIs of the app, to the letter",
}

var (
	facebookVersions = regexp.MustCompile(`^v[1-9][0-9]{0,2}\.0$`)
	facebookScope    = regexp.MustCompile(`^[a-z0-9_]+$`)
	facebookField    = regexp.MustCompile(`^([a-z_]+)(?:\.(?:width|height|type)\([a-z0-9]+\))*$`) // picture.width(200)
	facebookID       = regexp.MustCompile(`^[0-9]{1,32}$`)
)

// facebookFields are the public fields of a person (Graph API, User) that a mapping may ask for: those alone, so that it cannot write a query.
var facebookFields = []string{
	"about", "age_range", "birthday", "email", "first_name", "gender", "hometown", "id", "languages", "last_name", "link", "locale", "location",
	"middle_name", "name", "name_format", "picture", "quotes", "short_name", "significant_other", "timezone", "updated_time", "website",
}

// facebookIssuers are other names that Facebook has given itself in tokens of Limited Login.
var facebookIssuers = []string{"https://facebook.com", "https://limited.facebook.com"}

// facebookNames are the names that web and Limited Login have for the same: the latter's are those of OpenID Connect Core section 5.1.
var facebookNames = map[string]string{"given_name": "first_name", "family_name": "last_name"}

// readFacebook reads Facebook's own details.
func readFacebook(r *detail.Reader) oidc.Rules {
	if version := r.String("api_version"); !facebookVersions.MatchString(version) {
		r.Fail("api_version", "must be v, a number and .0, such as "+facebookVersion)
	} else {
		for key, value := range facebookEndpoints(version) {
			r.Default(key, value)
		}
	}
	// Whoever sets another address of the profile means another Graph API: a token of that one must not be shown to Facebook.
	if u, err := url.Parse(r.String("attributes_url")); err == nil {
		if base, ok := strings.CutSuffix(u.Path, "/me"); ok && u.Host != "" {
			r.Default("graph_url", u.Scheme+"://"+u.Host+base)
		}
	}
	// The secret is the key of proofs and of notices: without one, anybody could make them.
	r.Require("client_secret")
	if r.String("token_endpoint_auth_method") != "client_secret_post" {
		r.Fail("token_endpoint_auth_method", "must be client_secret_post at Facebook")
	}
	f := facebookRules{
		graph:  strings.TrimSuffix(r.URL("graph_url"), "/"),
		scopes: strings.FieldsFunc(r.String("authorize_scopes"), func(c rune) bool { return c == ',' || c == ' ' }),
		mapped: r.OneOf("attributes_url_add_attributes", "false", "true") == "true",
	}
	if slices.ContainsFunc(f.scopes, func(s string) bool { return !facebookScope.MatchString(s) }) {
		r.Fail("authorize_scopes", "may contain names of permissions, separated by commas or spaces")
	}
	if u, err := url.Parse(r.URL("attributes_url")); err == nil {
		q := u.Query()
		f.fields = strings.FieldsFunc(q.Get("fields"), func(c rune) bool { return c == ',' })
		q.Del("fields")
		u.RawQuery = q.Encode()
		f.me = u.String()
	}
	if slices.ContainsFunc(f.fields, func(s string) bool { return !facebookField.MatchString(s) }) {
		r.Fail("attributes_url", "fields may contain names of fields, separated by commas")
	}
	return oidc.Rules{
		Authorize: f.authorize, Advice: facebookAdvice, Code: facebookCode,
		Profile: f.profile, Subject: "id", Claims: facebookClaims, Aliases: facebookIssuers,
		Revoke: f.revoke, Notice: facebookNotice,
	}
}

type facebookRules struct {
	graph, me string
	scopes    []string
	fields    []string // of attributes_url
	mapped    bool     // and those that the mapping names
}

// authorize keeps the parameters that Facebook documents, and PKCE. Its dialogue asks for the password again where auth_type says so.
func (f facebookRules) authorize(v url.Values, a federation.Attempt) {
	for _, name := range []string{"login_hint", "prompt", "acr_values", "ui_locales"} {
		v.Del(name)
	}
	if slices.Contains(a.Request.Prompt, "login") {
		v.Set("auth_type", "reauthenticate")
	}
	v.Set("scope", strings.Join(f.scopes, ","))
}

// graphID is an id, which Facebook writes as a string or as a number.
type graphID string

// UnmarshalJSON implements json.Unmarshaler.
func (id *graphID) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	*id = graphID(text)
	return nil
}

// profile asks first whom the token was issued to: any app's token opens the profile, under the ids of that app.
func (f facebookRules) profile(ctx context.Context, api *oidc.API, t federation.UpstreamTokens) (mapping.Claims, error) {
	key, err := api.Secret()
	if err != nil {
		return nil, err
	}
	user, err := f.owner(ctx, api, key, t.Access)
	if err != nil {
		return nil, err
	}
	call := f.proven(key, t.Access)
	call.URL = f.me
	call.Query.Set("fields", strings.Join(f.ask(api.Mapped()), ","))
	answer, err := api.Object(ctx, call)
	if err != nil {
		return nil, err
	}
	if answer["id"] != user {
		return nil, oidc.Refuse(oidc.ErrUserInfoSubject, "the profile is not of the token's user")
	}
	claims := mapping.Claims{}
	for name, value := range answer {
		if slices.Contains(facebookFields, name) || slices.Contains(f.fields, name) {
			claims[name] = value
		}
	}
	return claims, nil
}

// owner returns the person whom the access token was issued for, to this very app. The app token is a parameter, which is the one form that
// Facebook's documentation of debug_token shows.
func (f facebookRules) owner(ctx context.Context, api *oidc.API, key, token secret.Text) (string, error) {
	var answer struct {
		Data struct {
			App     graphID      `json:"app_id"`
			Kind    string       `json:"type"`
			Valid   bool         `json:"is_valid"`
			User    graphID      `json:"user_id"`
			Expires *json.Number `json:"expires_at"` // 0: it does not
		} `json:"data"`
	}
	err := api.Decode(ctx, oidc.Call{
		URL: f.graph + "/debug_token", Query: url.Values{"input_token": {token.Reveal()}, "access_token": {api.ClientID() + "|" + key.Reveal()}},
		Secrets: []string{token.Reveal(), key.Reveal()},
	}, &answer)
	d := answer.Data
	switch {
	case err != nil:
		return "", err
	case !d.Valid:
		return "", oidc.Refuse(oidc.ErrToken, "the access token is not valid")
	case string(d.App) != api.ClientID():
		return "", oidc.Refuse(oidc.ErrAudience, "the access token is of app %q", d.App)
	case d.Kind != "USER":
		return "", oidc.Refuse(oidc.ErrToken, "the access token is of type %q", d.Kind)
	case !facebookID.MatchString(string(d.User)):
		return "", oidc.Refuse(oidc.ErrSubject, "the access token is of user %q", d.User)
	case d.Expires == nil:
		return "", oidc.Refuse(oidc.ErrExpired, "the access token has no expires_at")
	}
	if at, err := d.Expires.Int64(); err != nil || at < 0 || at > 0 && !api.Now().Before(time.Unix(at, 0)) {
		return "", oidc.Refuse(oidc.ErrExpired, "expires_at of the access token is %q", *d.Expires)
	}
	return string(d.User), nil
}

// proven is a call with a person's token and the proof that it is the app which makes it (Graph API, Securing Requests).
func (f facebookRules) proven(key, token secret.Text) oidc.Call {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(token.Reveal()))
	proof := hex.EncodeToString(mac.Sum(nil))
	return oidc.Call{
		Query:   url.Values{"access_token": {token.Reveal()}, "appsecret_proof": {proof}},
		Secrets: []string{token.Reveal(), proof, key.Reveal()},
	}
}

// ask returns the fields to ask for. Facebook leaves out what the person did not permit, and refuses a field twice.
func (f facebookRules) ask(mapped []string) []string {
	fields := slices.Clone(f.fields)
	add := func(name string) {
		if !slices.ContainsFunc(fields, func(s string) bool { return facebookField.FindStringSubmatch(s)[1] == name }) {
			fields = append(fields, name)
		}
	}
	add("id")
	if !f.mapped {
		return fields
	}
	add("name")
	if slices.Contains(f.scopes, "email") {
		add("email")
	}
	for _, name := range mapped {
		if own := facebookNames[name]; own != "" {
			name = own
		}
		if slices.Contains(facebookFields, name) {
			add(name)
		}
	}
	return fields
}

// facebookClaims gives the profile and the ID token of Limited Login one form, so that a mapping does for both. Nobody vouches for an address.
func facebookClaims(claims mapping.Claims, _ federation.Response) {
	delete(claims, "email_verified")
	if picture, ok := claims["picture"].(map[string]any); ok {
		delete(claims, "picture")
		data, _ := picture["data"].(map[string]any)
		if at, _ := data["url"].(string); at != "" {
			claims["picture"] = at
		}
	}
	for web, native := range facebookNames {
		for _, pair := range [][2]string{{web, native}, {native, web}} {
			if claims[pair[0]] == nil && claims[pair[1]] != nil {
				claims[pair[0]] = claims[pair[1]]
			}
		}
	}
}

// revoke takes all that the person permitted the app: Facebook ends no single token.
func (f facebookRules) revoke(ctx context.Context, api *oidc.API, t federation.UpstreamTokens, subject string) error {
	key, err := api.Secret()
	if err != nil {
		return err
	}
	if t.Access.IsZero() || !facebookID.MatchString(subject) {
		return federation.ErrNoRevocation
	}
	call := f.proven(key, t.Access)
	call.Method, call.URL = http.MethodDelete, f.graph+"/"+subject+"/permissions"
	var answer struct {
		Success bool `json:"success"`
	}
	if err := api.Decode(ctx, call, &answer); err != nil {
		return err
	}
	if !answer.Success {
		return oidc.Refuse(oidc.ErrRevoke, "no success in the answer")
	}
	return nil
}

// facebookCode translates the Graph API's errors. Numbers alone do not tell: 100 and 1 stand for many things.
func facebookCode(_ int, body []byte) (code, description string) {
	var answer struct {
		Error struct {
			Message string `json:"message"`
			Kind    string `json:"type"`
			Code    int    `json:"code"`
			Subcode int    `json:"error_subcode"`
			Trace   string `json:"fbtrace_id"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error.Kind == "" && answer.Error.Code == 0 {
		return "", ""
	}
	e := answer.Error
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(e.Message), w) })
	}
	switch {
	case e.Code == 191, e.Code == 100 && (e.Subcode == 36008 || says("redirect_uri")):
		code = "invalid_request"
	case e.Code == 100 && (e.Subcode == 36007 || e.Subcode == 36009 || says("verification code", "authorization code")):
		code = "invalid_grant"
	case e.Code == 101, e.Code == 1 && says("client secret", "client_secret", "application"), e.Code == 100 && says("client_id", "client_secret"):
		code = "invalid_client"
	default:
		code = fmt.Sprintf("%s %d", e.Kind, e.Code)
	}
	return code, fmt.Sprintf("%s (code %d, subcode %d, fbtrace_id %s)", e.Message, e.Code, e.Subcode, e.Trace)
}
