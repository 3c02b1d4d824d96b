package demo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// claim is one row of a table.
type claim struct{ Name, Value, Meaning string }

// account is what the signed-in page shows.
type account struct {
	Name       string
	Email      string
	Initial    string
	Notice     string
	CanRefresh bool
	IDToken    []claim
	Access     []claim // empty where the access token is opaque
	UserInfo   []claim
}

// view shows the session, and its notice once.
func (s *session) view() account {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := account{
		Email: s.text("email"), Notice: s.notice, CanRefresh: s.token.RefreshToken != "",
		IDToken: rows(s.idClaims), Access: rows(readable(s.token.AccessToken)), UserInfo: rows(s.userInfo),
	}
	s.notice = ""
	v.Name = cmp.Or(s.text("name"), s.text("given_name"), s.text("preferred_username"), s.text("cognito:username"), v.Email, s.subject, "reader")
	v.Initial = strings.ToUpper(string([]rune(v.Name)[:1]))
	return v
}

// text looks a claim up in the ID token, then in userinfo.
func (s *session) text(name string) string {
	for _, claims := range []map[string]any{s.idClaims, s.userInfo} {
		if text, ok := claims[name].(string); ok && text != "" {
			return text
		}
	}
	return ""
}

// readable returns the claims of an access token that happens to be a JWT. They are
// for the page alone and decide nothing: an access token is for the API that it is
// sent to, and only that API checks it.
func readable(accessToken string) map[string]any {
	jws, err := jose.ParseSignedCompact(accessToken, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA,
	})
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims) != nil {
		return nil
	}
	return claims
}

// meanings are in the order of the tables.
var meanings = []struct{ name, text string }{
	{"sub", "Subject: the person's stable id. Key your records by it, never by the e-mail address."},
	{"name", "Full name."},
	{"given_name", "First name."},
	{"family_name", "Last name."},
	{"nickname", "What friends say."},
	{"preferred_username", "The name the person likes to be called by. It may change."},
	{"email", "E-mail address."},
	{"email_verified", "Whether the address is proven to be the person's."},
	{"phone_number", "Telephone number."},
	{"phone_number_verified", "Whether the number is proven to be the person's."},
	{"picture", "Address of a portrait."},
	{"locale", "Preferred language and region."},
	{"zoneinfo", "Time zone."},
	{"cognito:username", "Username in the pool. Federated ones begin with the provider's name."},
	{"username", "Username in the pool."},
	{"cognito:groups", "Groups of the pool that the person is in."},
	{"identities", "Which provider the person came through, and the id there."},
	{"iss", "Issuer: who made and signed this token."},
	{"aud", "Audience: the application the token is for."},
	{"azp", "Authorized party: the client that asked for the token."},
	{"client_id", "The application that asked for the token."},
	{"scope", "What the token allows."},
	{"token_use", "Whether this is an ID or an access token."},
	{"auth_time", "When the person last proved who they are."},
	{"iat", "When the token was issued."},
	{"nbf", "The token counts from this moment on."},
	{"exp", "When the token expires."},
	{"nonce", "Ties the token to the sign-in that this application began."},
	{"at_hash", "Ties the access token to this ID token."},
	{"amr", "How the person proved who they are."},
	{"acr", "How strong that proof was."},
	{"sid", "The session at the provider."},
	{"jti", "The token's own id."},
	{"origin_jti", "Id of the sign-in that this token descends from."},
	{"event_id", "Id of the sign-in event, for the logs."},
	{"version", "Version of the token's format."},
}

// rows puts claims into the order of meanings, unknown ones last by name.
func rows(claims map[string]any) []claim {
	var out []claim
	known := map[string]bool{}
	for _, m := range meanings {
		known[m.name] = true
		if v, ok := claims[m.name]; ok {
			out = append(out, claim{m.name, show(m.name, v), m.text})
		}
	}
	var rest []claim
	for name, v := range claims {
		if known[name] {
			continue
		}
		meaning := "An attribute of this provider."
		if strings.HasPrefix(name, "custom:") {
			meaning = "An attribute that the pool's admin has defined."
		}
		rest = append(rest, claim{name, show(name, v), meaning})
	}
	slices.SortFunc(rest, func(a, b claim) int { return strings.Compare(a.Name, b.Name) })
	return append(out, rest...)
}

var timeClaims = []string{"auth_time", "iat", "nbf", "exp", "updated_at"}

// show is a claim's value for people: moments as dates, lists and objects as JSON.
func show(name string, v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if slices.Contains(timeClaims, name) && v > 0 && v < math.MaxInt32*2 {
			return fmt.Sprintf("%d (%s)", int64(v), clock(time.Unix(int64(v), 0)))
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func clock(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }
