package token_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
)

// settled replaces what is random in a decoded token, after a check of it.
func settled(t *testing.T, raw, grantID string) map[string]any {
	t.Helper()
	header, claims := part(t, raw, 0), part(t, raw, 1)
	if header["kid"] == "" {
		t.Error("no kid")
	}
	header["kid"] = "<kid>"
	if _, err := uuid.Parse(claims["jti"].(string)); err != nil {
		t.Errorf("jti: %v", err)
	}
	claims["jti"] = "<uuid>"
	if o, ok := claims["origin_jti"]; ok {
		if o != grantID {
			t.Errorf("origin_jti is %v, want the grant's id", o)
		}
		claims["origin_jti"] = "<grant>"
	}
	if _, ok := claims["at_hash"]; ok {
		claims["at_hash"] = "<at_hash>"
	}
	return map[string]any{"header": header, "claims": claims}
}

func TestTokensHaveExactlyTheirClaims(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*world, *token.Mint)
	}{
		{"answer_to_a_code", func(_ *world, m *token.Mint) { m.Nonce = m.Grant.Nonce }},
		{"answer_to_a_refresh", func(*world, *token.Mint) {}},
		{"groups", func(_ *world, m *token.Mint) { m.Groups = []pool.Group{{Name: "admins"}, {Name: "staff"}} }},
		{"groups_with_roles", func(_ *world, m *token.Mint) {
			m.Groups = []pool.Group{{Name: "admins", Precedence: new(int), RoleArn: "arn:aws:iam::123456789012:role/admin"}, {Name: "staff", RoleArn: "arn:aws:iam::123456789012:role/staff"}}
		}},
		{"email_scope", func(_ *world, m *token.Mint) { m.Grant.Scopes = []string{"openid", "email"} }},
		{"email_phone_profile_scopes", func(_ *world, m *token.Mint) { m.Grant.Scopes = []string{"openid", "email", "phone", "profile"} }},
		{"no_openid_scope", func(_ *world, m *token.Mint) { m.Grant.Scopes = []string{"aws.cognito.signin.user.admin", "api/read"} }},
		{"no_revocation", func(_ *world, m *token.Mint) { m.Client.EnableTokenRevocation = false }},
		{"local_user_some_attributes_readable", func(_ *world, m *token.Mint) {
			m.User.Username, m.User.Identities, m.Grant.Provider = "ada", nil, ""
			m.Client.ReadAttributes = []string{"email", "custom:department"}
		}},
		{"es256", func(_ *world, m *token.Mint) { m.Pool.SigningAlgorithm = "ES256" }},
		{"eddsa", func(_ *world, m *token.Mint) { m.Pool.SigningAlgorithm = "EdDSA" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "RS256")
			g, _ := w.login(t)
			m := token.Mint{Pool: w.pool, Client: w.client, User: w.user, Grant: g}
			c.change(w, &m)
			out, err := w.issuer.Mint(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{"access": settled(t, out.Access, g.ID), "expires_in": out.ExpiresIn.Seconds()}
			if out.ID != "" {
				got["id"] = settled(t, out.ID, g.ID)
			}
			golden(t, c.name+".json", got)
		})
	}
}

// TestTokensVerifyElsewhere checks RS256 by hand with crypto/rsa, and every algorithm with go-jose's jwt and the published JWKS.
func TestTokensVerifyElsewhere(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t, alg)
			g, _ := w.login(t)
			out := w.mint(t, g)
			set := jwks(t, w.keys, w.pool)
			for _, raw := range []string{out.ID, out.Access} {
				tok, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				if err != nil {
					t.Fatal(err)
				}
				var claims jwt.Claims
				if err := tok.Claims(&set, &claims); err != nil {
					t.Fatal(err)
				}
				if err := claims.Validate(jwt.Expected{Issuer: baseURL + "/" + w.pool.ID, Subject: w.user.Sub, Time: w.clock.Now()}); err != nil {
					t.Error(err)
				}
				if key, ok := set.Key(tok.Headers[0].KeyID)[0].Key.(*rsa.PublicKey); ok {
					i := strings.LastIndexByte(raw, '.')
					sum := sha256.Sum256([]byte(raw[:i]))
					sig, err := base64.RawURLEncoding.DecodeString(raw[i+1:])
					if err != nil {
						t.Fatal(err)
					}
					if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig); err != nil {
						t.Error(err)
					}
				}
			}
			sum := sha256.Sum256([]byte(out.Access))
			half := sum[:16]
			if alg == "EdDSA" {
				long := sha512.Sum512([]byte(out.Access))
				half = long[:32]
			}
			if got, want := part(t, out.ID, 1)["at_hash"], base64.RawURLEncoding.EncodeToString(half); got != want {
				t.Errorf("at_hash is %v, want %v", got, want)
			}
		})
	}
}

func TestAttributesCannotOverwriteProtocolClaims(t *testing.T) {
	w := newWorld(t, "ES256")
	g, _ := w.login(t)
	want := slices.Sorted(maps.Keys(part(t, w.mint(t, g).ID, 1)))
	for _, name := range []string{
		"sub", "aud", "iss", "exp", "iat", "nbf", "auth_time", "token_use", "jti", "origin_jti", "event_id", "nonce", "at_hash", "c_hash", "azp", "acr",
		"amr", "sid", "scope", "client_id", "username", "version", "cognito:username", "cognito:groups", "cognito:roles", "cognito:preferred_role",
		"identities", "dev:custom:secret", "", "Email",
	} {
		w.user.Attributes[name] = "forged"
	}
	w.client.EnableTokenRevocation = true
	claims := part(t, w.mint(t, g).ID, 1)
	if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, want) {
		t.Errorf("got claims %q, want %q", got, want)
	}
	for name, v := range claims {
		if v == "forged" {
			t.Errorf("an attribute took the place of the claim %s", name)
		}
	}
}

func TestClaimsFollowScopesAndReadAttributes(t *testing.T) {
	u := pool.User{Sub: "s", Attributes: map[string]string{
		"email": "a@example.com", "phone_number": "+1", "phone_number_verified": "true", "name": "A", "custom:n": "7",
		"address": "Street", "updated_at": "yesterday", "unknown": "x",
	}}
	for _, c := range []struct {
		name   string
		scopes string
		read   []string
		want   map[string]any
	}{
		{"without openid nothing", "profile email", nil, map[string]any{}},
		{"openid alone is everything", "openid", nil, map[string]any{
			"sub": "s", "email": "a@example.com", "email_verified": false, "phone_number": "+1", "phone_number_verified": true,
			"name": "A", "custom:n": "7", "address": map[string]string{"formatted": "Street"}, "updated_at": "yesterday",
		}},
		{"email alone", "openid email", nil, map[string]any{"sub": "s", "email": "a@example.com", "email_verified": false}},
		{"phone alone", "openid phone", nil, map[string]any{"sub": "s", "phone_number": "+1", "phone_number_verified": true}},
		{"profile is everything readable", "openid email profile", []string{"name", "email"}, map[string]any{"sub": "s", "name": "A", "email": "a@example.com"}},
		{"other scopes do not narrow", "openid api/read", []string{"custom:n"}, map[string]any{"sub": "s", "custom:n": "7"}},
		{"a scope does not open what is not readable", "openid email", []string{"name"}, map[string]any{"sub": "s"}},
		{"nothing is readable", "openid", []string{}, map[string]any{"sub": "s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := token.Claims(u, pool.Client{ReadAttributes: c.read}, strings.Fields(c.scopes))
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestMintRefusesWhatDoesNotBelongTogether(t *testing.T) {
	w := newWorld(t, "ES256")
	g, _ := w.login(t)
	for name, change := range map[string]func(*token.Mint){
		"client of another pool":  func(m *token.Mint) { m.Client.PoolID = "local_Other0001" },
		"user of another pool":    func(m *token.Mint) { m.User.PoolID = "local_Other0001" },
		"grant of another pool":   func(m *token.Mint) { m.Grant.PoolID = "local_Other0001" },
		"grant of another client": func(m *token.Mint) { m.Grant.ClientID = "other" },
		"grant of another user":   func(m *token.Mint) { m.Grant.Sub = "other" },
		"life of a week":          func(m *token.Mint) { m.Client.AccessTokenValidity = 7 * 24 * time.Hour },
		"no life":                 func(m *token.Mint) { m.Client.IDTokenValidity = 0 },
		"nothing":                 func(m *token.Mint) { *m = token.Mint{} },
	} {
		m := token.Mint{Pool: w.pool, Client: w.client, User: w.user, Grant: g}
		change(&m)
		if out, err := w.issuer.Mint(t.Context(), m); err == nil || out != (token.Tokens{}) {
			t.Errorf("%s: got tokens, error %v", name, err)
		}
	}
}

func TestMintAsksForTheUsersState(t *testing.T) {
	w := newWorld(t, "ES256")
	g, _ := w.login(t)
	for _, c := range []struct {
		name   string
		change func(*pool.User)
		want   error
	}{
		{"signed out later", func(u *pool.User) { u.SignedOutAt = g.Created.Add(time.Second) }, token.ErrSignedOut},
		{"signed out at the same moment", func(u *pool.User) { u.SignedOutAt = g.Created }, token.ErrSignedOut},
		{"signed out before", func(u *pool.User) { u.SignedOutAt = g.Created.Add(-time.Nanosecond) }, nil},
		{"disabled", func(u *pool.User) { u.Enabled = false }, token.ErrUserDisabled},
	} {
		u := w.user
		c.change(&u)
		_, err := w.issuer.Mint(t.Context(), token.Mint{Pool: w.pool, Client: w.client, User: u, Grant: g})
		wantErr(t, err, c.want)
		if c.want != nil {
			wantErr(t, err, token.ErrInvalidGrant)
		}
	}
}
