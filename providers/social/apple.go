package social

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// apple is Sign in with Apple for the web. Beside the keys of package oidc it has
//
//	team_id      required; 10 characters
//	key_id       required; 10 characters, the id of private_key
//	private_key  required; the content of the .p8 file, or its base64 alone
//	app_ids      further identifiers that Apple's notifications may be for, separated by spaces
//
// There is no client_secret: it is made of the key, see appleSecret. What Apple says of a person by name comes once: see appleName.
// Sources: developer.apple.com, Sign in with Apple REST API.
func apple() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{ //nolint:gosec // no credentials among them
			"oidc_issuer":                "https://appleid.apple.com",
			"authorize_url":              "https://appleid.apple.com/auth/authorize",
			"token_url":                  "https://appleid.apple.com/auth/token",
			"jwks_uri":                   "https://appleid.apple.com/auth/keys",
			"revocation_url":             "https://appleid.apple.com/auth/revoke",
			"authorize_scopes":           "email name",
			"token_endpoint_auth_method": "client_secret_post",
			"userinfo":                   "never",
		},
		Read: readApple,
	}
}

// appleAdvice is what Apple leaves to be guessed: it refuses a client without saying why.
const appleAdvice = "Apple does not take the client secret: check that private_key is the key named key_id, that the key was made for Sign in with Apple " +
	"in the team team_id and was not revoked, that client_id is the Services ID under the App ID of that key, and that the clock is right"

var (
	appleID     = regexp.MustCompile(`^[A-Z0-9]{10}$`)
	appleScopes = []string{"email", "name", "openid"}
)

// readApple reads Apple's own details.
func readApple(r *detail.Reader) oidc.Rules {
	for _, key := range []string{"team_id", "key_id"} {
		if id := r.Required(key); id != "" && !appleID.MatchString(id) {
			r.Fail(key, "must have 10 characters, capital letters and digits")
		}
	}
	for key, problem := range map[string]string{ //nolint:gosec // no credentials among them
		"client_secret":  "Apple has none: it is made of private_key, key_id and team_id",
		"attributes_url": "Apple has no such address",
	} {
		if r.Has(key) {
			r.Fail(key, problem)
		}
	}
	for key, only := range map[string]string{"token_endpoint_auth_method": "client_secret_post", "userinfo": "never"} {
		if r.String(key) != only {
			r.Fail(key, "must be "+only+" at Apple")
		}
	}
	scopes := strings.Fields(r.String("authorize_scopes"))
	if slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(appleScopes, s) }) {
		r.Fail("authorize_scopes", "may contain email, name and openid, separated by spaces")
	}
	client := &appleSecret{team: r.String("team_id"), client: r.String("client_id"), audience: r.String("oidc_issuer")}
	if text := r.Text("private_key"); text == "" {
		r.Fail("private_key", "required")
	} else if err := client.sign(text, r.String("key_id")); err != nil {
		r.Fail("private_key", err.Error())
	}
	notices := appleNotices{apps: strings.Fields(r.String("app_ids"))}
	return oidc.Rules{
		Secret:        client.at,
		Authorize:     func(v url.Values, _ federation.Attempt) { appleRequest(v, scopes) },
		AlwaysAsks:    true,
		Advice:        map[string]string{"invalid_client": appleAdvice},
		NonceOptional: nonceUnsupported,
		Claims:        func(claims mapping.Claims, _ federation.Response) { appleClaims(claims) },
		OnceParam:     "user",
		Once:          appleName,
		Notice:        notices.read,
	}
}

// appleRequest keeps the parameters that Apple documents, and PKCE, which it honours. With a scope, form_post is required. The hints of the application
// do nothing there; that max_age and prompt=login were honoured is seen from auth_time, as everywhere.
func appleRequest(v url.Values, scopes []string) {
	for _, name := range []string{"login_hint", "prompt", "acr_values", "ui_locales", "max_age"} {
		v.Del(name)
	}
	v.Set("scope", strings.Join(scopes, " "))
	v.Set("response_mode", "form_post")
}

// nonceUnsupported: Apple says that the platform, such as the dialogue of an older Safari, did not pass the nonce on. Where it says nothing the
// nonce is required.
func nonceUnsupported(claims mapping.Claims) bool {
	v := claims["nonce_supported"]
	return v == false || v == "false"
}

// appleClaims makes booleans of claims that are documented as string or boolean. Anything but true is false.
func appleClaims(claims mapping.Claims) {
	for _, name := range []string{"email_verified", "is_private_email", "nonce_supported"} {
		if v, said := claims[name]; said {
			claims[name] = v == true || v == "true"
		}
	}
}

// Bounds of the parameter user, which the browser hands over and anybody can write.
const (
	maxAppleUser = 2 << 10 // bytes
	maxAppleName = 128     // characters of a first or last name
)

// appleName reads the parameter user of a person's first sign-in, {"name":{"firstName":"…","lastName":"…"},"email":"…"}. It is not signed: it says how
// the person wants to be called, and nothing else is taken from it. The address counts as nothing but a mark: what was carried over from
// an earlier answer is for the person alone whose verified address it has.
func appleName(value string, carried bool, claims mapping.Claims) mapping.Claims {
	var user struct {
		Name struct {
			First string `json:"firstName"`
			Last  string `json:"lastName"`
		} `json:"name"`
		Email string `json:"email"`
	}
	if len(value) > maxAppleUser || json.Unmarshal([]byte(value), &user) != nil {
		return nil
	}
	if carried {
		email, _ := claims["email"].(string)
		if email == "" || claims["email_verified"] != true || !strings.EqualFold(email, user.Email) {
			return nil
		}
	}
	first, last := nameOf(user.Name.First), nameOf(user.Name.Last)
	out := mapping.Claims{}
	for name, v := range map[string]string{
		"firstName": first, "given_name": first, "lastName": last, "family_name": last, "name": strings.TrimSpace(first + " " + last),
	} {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// nameOf is a name, or "" where a text is none: too long, or with characters that have no place in one. Apple asks to be careful
// with markup; the joiners are part of names in some scripts.
func nameOf(s string) string {
	s = strings.TrimSpace(s)
	odd := func(r rune) bool {
		joiner := r == '\u200c' || r == '\u200d'
		return strings.ContainsRune("<>\uFFFD", r) || !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) && !joiner
	}
	if len([]rune(s)) > maxAppleName || strings.ContainsFunc(s, odd) {
		return ""
	}
	return s
}
