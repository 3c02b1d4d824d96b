package social_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// google is a stand-in for Google: an OpenID provider with people whose Workspace domain is in hd.
func google(t *testing.T, clock *servertest.Clock) *oidctest.Provider {
	t.Helper()
	return oidctest.Start(t, oidctest.Config{
		Algorithm: jose.RS256, Now: clock.Now,
		Clients: []oidctest.Client{{ID: clientID, Secret: clientSecret, RedirectURIs: []string{callback}}},
		People: []oidctest.Person{
			{Username: "ada", Password: "ada", Subject: "110248495921238986420", Claims: map[string]any{
				"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "picture": "https://lh3.googleusercontent.com/a/ada=s96-c",
				"email": "ada@example.com", "email_verified": true, "hd": "example.com", "locale": "en-GB",
			}},
			{Username: "bob", Password: "bob", Subject: "110248495921238986421", Claims: map[string]any{"email": "bob@gmail.com", "email_verified": true}},
		},
	})
}

func googleSpec(up *oidctest.Provider, pairs ...string) pool.ProviderSpec {
	return spec("Google", "Google", map[string]string{"email": "email", "email_verified": "email_verified", "name": "name", "picture": "picture"},
		append([]string{"client_id", clientID, "client_secret", clientSecret, "oidc_issuer", up.Issuer()}, pairs...)...)
}

func TestGoogle(t *testing.T) {
	clock := servertest.NewClock()
	up := google(t, clock)
	w := start(t, clock, googleSpec(up, "hd", "example.com"))
	app := w.Web()
	for range 2 { // the first and a later sign-in
		claims := app.Claims(app.Tokens(w.Browser().SignIn(app.Authorize(), servertest.As("ada"))).Text("id_token"))
		if claims["cognito:username"] != "Google_110248495921238986420" || claims["email_verified"] != true {
			t.Errorf("claims %v", claims)
		}
	}
	u := oneUser(t, w, map[string]string{
		"email": "ada@example.com", "email_verified": "true", "name": "Ada Lovelace", "picture": "https://lh3.googleusercontent.com/a/ada=s96-c",
	})
	if u.Status != pool.StatusExternalProvider || len(u.Identities) != 1 || u.Identities[0].ProviderType != "Google" {
		t.Errorf("user %+v", u)
	}
}

func TestGoogleAdmitsItsDomainAlone(t *testing.T) {
	clock := servertest.NewClock()
	w := start(t, clock, googleSpec(google(t, clock), "hd", "example.com"))
	back := w.Browser().SignIn(w.Web().Authorize(), servertest.As("bob"))
	if got := back.Params().Get("error"); got != "access_denied" {
		t.Errorf("answer %d to %v: error %q", back.Status, back.Location, got)
	}
	if list := users(t, w); len(list) != 0 {
		t.Errorf("users %+v", list)
	}
}
