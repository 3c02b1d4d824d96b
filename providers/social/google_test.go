package social_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/providers/social"
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
	tests := map[string]struct {
		configured string
		claim      any // nil: absent
		admitted   bool
	}{
		"the domain":                       {"example.com", "example.com", true},
		"the domain in other case":         {"Example.com", "EXAMPLE.com", true},
		"another domain":                   {"example.com", "example.org", false},
		"a domain below it":                {"example.com", "evil.example.com", false},
		"a domain that ends like it":       {"example.com", "notexample.com", false},
		"a private account":                {"example.com", nil, false},
		"a claim that is no text":          {"example.com", []string{"example.com"}, false},
		"any domain, of a domain":          {"*", "example.org", true},
		"any domain, of a private account": {"*", nil, false},
		"any domain, of the empty one":     {"*", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := servertest.NewClock()
			up := google(t, clock)
			up.Set(oidctest.Faults{IDToken: func(claims map[string]any) {
				delete(claims, "hd")
				if test.claim != nil {
					claims["hd"] = test.claim
				}
			}})
			w := start(t, clock, googleSpec(up, "hd", test.configured))
			back := w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada"))
			if sent := up.Requests(oidctest.EndpointAuthorize)[0].Params.Get("hd"); sent != test.configured {
				t.Errorf("hd %q was sent", sent)
			}
			if test.admitted {
				w.Web().Code(back)
			} else if got := back.Params().Get("error"); got != "access_denied" || len(users(t, w)) != 0 {
				t.Errorf("answer %d to %v: error %q", back.Status, back.Location, got)
			}
		})
	}
}

func TestGoogleIssuer(t *testing.T) {
	for name, issuer := range map[string]string{
		"of a name that begins alike": "accounts.google.com.evil.example",
		"of another provider":         "https://evil.example",
		"without a name":              "",
	} {
		t.Run(name, func(t *testing.T) {
			clock := servertest.NewClock()
			up := google(t, clock)
			up.Set(oidctest.Faults{IDToken: func(claims map[string]any) { claims["iss"] = issuer }})
			w := start(t, clock, googleSpec(up))
			wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada")), "oidc: issuer")
		})
	}
	t.Run("of the answer is checked all the same", func(t *testing.T) {
		clock := servertest.NewClock()
		up := google(t, clock)
		up.Set(oidctest.Faults{Authorization: func(v url.Values) { v.Set("iss", "https://evil.example") }})
		w := start(t, clock, googleSpec(up))
		wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada")), "oidc: issuer")
	})
}

func TestGoogleAuthorizationRequest(t *testing.T) {
	clock := servertest.NewClock()
	up := google(t, clock)
	tests := map[string]struct {
		details []string
		request []string // of the application
		want    url.Values
	}{
		"as it is":             {nil, nil, url.Values{"scope": {"openid email profile"}, "prompt": {""}, "access_type": {""}, "hd": {""}}},
		"scopes":               {[]string{"authorize_scopes", "email"}, nil, url.Values{"scope": {"openid email"}}},
		"tokens that are kept": {[]string{"keep_tokens", "true"}, nil, url.Values{"access_type": {"offline"}}},
		"tokens that are not":  {[]string{"keep_tokens", "false"}, nil, url.Values{"access_type": {""}}},
		"login":                {nil, []string{"prompt", "login"}, url.Values{"prompt": {"select_account"}}},
		"login and consent":    {nil, []string{"prompt", "login consent"}, url.Values{"prompt": {"consent select_account"}}},
		"consent":              {nil, []string{"prompt", "consent"}, url.Values{"prompt": {"consent"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := start(t, clock, googleSpec(up, test.details...))
			challenge := w.Browser().Get(w.Web().Authorize(append(test.request, "identity_provider", "Google")...))
			if challenge.Location == nil || !strings.HasPrefix(challenge.Location.String(), up.Issuer()) {
				t.Fatalf("answer %d to %v: %s", challenge.Status, challenge.Location, challenge.Body)
			}
			for name, value := range test.want {
				if got := challenge.Location.Query().Get(name); got != value[0] {
					t.Errorf("%s is %q, want %q", name, got, value[0])
				}
			}
		})
	}
}

func TestGoogleDetails(t *testing.T) {
	tests := map[string]struct {
		details []string
		want    string // "": none
	}{
		"as the original describes them": {[]string{
			"authorize_scopes", "email profile openid", "attributes_url", "https://people.googleapis.com/v1/people/me?personFields=",
			"attributes_url_add_attributes", "true", "authorize_url", "https://accounts.google.com/o/oauth2/v2/auth",
			"oidc_issuer", "https://accounts.google.com", "token_request_method", "POST", "token_url", "https://www.googleapis.com/oauth2/v4/token",
		}, ""},
		"the least":                 {nil, ""},
		"a field that is not there": {[]string{"attributes_url", "https://people.googleapis.com/v1/people/me?personFields=birthdays,metadata"}, "attributes_url: personFields may contain "},
		"a domain with a scheme":    {[]string{"hd", "https://example.com"}, "hd: must be one domain"},
		"two domains":               {[]string{"hd", "example.com example.org"}, "hd: must be one domain"},
		"userinfo beside hd":        {[]string{"hd", "example.com", "userinfo", "auto"}, "userinfo: must be never with hd"},
		"userinfo without hd":       {[]string{"userinfo", "auto"}, ""},
		"a key of another type":     {[]string{"api_version", "v19.0"}, "api_version: unknown key"},
		"a preset":                  {[]string{"preset", "GitLab"}, "preset: unknown key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ps := spec("Google", "Google", nil, append([]string{"client_id", clientID, "client_secret", clientSecret}, test.details...)...)
			faults := social.Kinds()["Google"].Validate(ps.ProviderDetails, false)
			if test.want == "" && len(faults) == 0 {
				return
			}
			if len(faults) != 1 || test.want == "" || !strings.HasPrefix(faults[0].Error(), test.want) {
				t.Errorf("faults %v, want %q", faults, test.want)
			}
		})
	}
}
