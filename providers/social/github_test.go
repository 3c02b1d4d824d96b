package social_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

const githubClient = "Ov23liWeirAtGitHub00"

// startGitHub runs a Weir with GitHub; pairs are details over the usual ones.
func startGitHub(t *testing.T, pairs ...string) (*servertest.Weir, *socialtest.GitHub) {
	t.Helper()
	clock := servertest.NewClock()
	up := &socialtest.GitHub{
		Server: socialtest.Server{
			Now: clock.Now, ClientID: githubClient, ClientSecret: clientSecret, RedirectURIs: []string{callback}, Person: "adalovelace",
		},
		People: map[string]socialtest.GitHubUser{
			"adalovelace": {Profile: recorded[map[string]any](t, "github/claims.json"), Emails: answered[[]map[string]any](t, "github", "/user/emails")},
			"bob":         {Profile: map[string]any{"login": "bob", "id": 2, "name": nil, "email": "bob@elsewhere.example"}},
		},
	}
	up.Start(t)
	d := map[string]string{
		"preset": "GitHub", "client_id": githubClient, "client_secret": clientSecret, "api_url": up.URL + "/api/",
		"authorize_url": up.URL + "/login/oauth/authorize", "token_url": up.URL + "/login/oauth/access_token",
	}
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i]] = pairs[i+1]
	}
	var list []string
	for key, value := range d {
		list = append(list, key, value)
	}
	return start(t, clock, spec("GitHub", "OIDC", map[string]string{
		"email": "email", "email_verified": "email_verified", "name": "name", "picture": "picture", "profile": "profile",
		"preferred_username": "preferred_username",
	}, list...)), up
}

func TestGitHub(t *testing.T) {
	w, up := startGitHub(t)
	var sub any
	for i := range 2 { // the first and a later sign-in
		claims := signIn(t, w, "GitHub")
		if i > 0 && claims["sub"] != sub {
			t.Errorf("sub %v, then %v", sub, claims["sub"])
		}
		sub = claims["sub"]
		if claims["cognito:username"] != "GitHub_9007199254740993" || claims["email_verified"] != true {
			t.Errorf("claims %v", claims)
		}
	}
	u := oneUser(t, w, attributes(t, "github"))
	if id := u.Identities[0]; id.Subject != "9007199254740993" || id.Issuer != up.URL+"/login/oauth" {
		t.Errorf("identity %+v", id)
	}
	asked := up.Requests("/login/oauth/authorize")[0].Query
	if asked.Get("scope") != "read:user user:email" || asked.Get("code_challenge_method") != "S256" {
		t.Errorf("asked %v", asked)
	}
}

func TestGitHubAddresses(t *testing.T) {
	address := func(email string, primary, verified bool) map[string]any {
		return map[string]any{"email": email, "primary": primary, "verified": verified, "visibility": nil}
	}
	for name, c := range map[string]struct {
		emails []map[string]any
		pairs  []string
		want   map[string]string
	}{
		"a primary one that is not verified": {emails: []map[string]any{address("a@old.example", false, true), address("a@new.example", true, false)},
			want: map[string]string{"email": "a@new.example", "email_verified": "false"}},
		"none that is primary":     {emails: []map[string]any{address("a@old.example", false, true)}},
		"none at all":              {},
		"the scope user":           {emails: []map[string]any{address("a@b.example", true, true)}, pairs: []string{"authorize_scopes", "user"}, want: map[string]string{"email": "a@b.example", "email_verified": "true"}},
		"without the scope for it": {emails: []map[string]any{address("a@b.example", true, true)}, pairs: []string{"authorize_scopes", "read:user"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := startGitHub(t, c.pairs...)
			p := up.People["adalovelace"]
			p.Emails = append([]map[string]any{}, c.emails...)
			up.People["adalovelace"] = p
			signIn(t, w, "GitHub")
			want := attributes(t, "github")
			delete(want, "email")
			delete(want, "email_verified")
			maps.Copy(want, c.want)
			oneUser(t, w, want)
		})
	}
}

// The person may take a scope away at GitHub, which then says so.
func TestGitHubGrantsLess(t *testing.T) {
	w, up := startGitHub(t)
	up.Change(func(s *socialtest.Server) {
		s.Token = func(_ socialtest.Grant, body map[string]any) error {
			body["token_type"], body["scope"] = "bearer", "read:user"
			return nil
		}
	})
	if claims := signIn(t, w, "GitHub"); claims["email"] != nil {
		t.Errorf("claims %v", claims)
	}
	if n := len(up.Requests("/api/user/emails")); n != 0 {
		t.Errorf("%d requests for addresses", n)
	}
}

// Nothing that the profile says of itself is an address: whoever has none at GitHub has none here.
func TestGitHubPublicAddressIsNotTaken(t *testing.T) {
	w, up := startGitHub(t)
	up.Change(func(s *socialtest.Server) { s.Person = "bob" })
	signIn(t, w, "GitHub")
	oneUser(t, w, map[string]string{"preferred_username": "bob"})
}

func TestGitHubRefusals(t *testing.T) {
	w, up := startGitHub(t)
	foreign := up.Issue(socialtest.Grant{Person: "adalovelace", Scopes: []string{"user:email"}, Query: url.Values{"client_id": {"another"}}})
	check := "/api/applications/" + githubClient + "/token"
	owned := recorded[map[string]any](t, "github/token-info.json")
	of := func(client string, user any) http.HandlerFunc {
		body := maps.Clone(owned)
		body["app"], body["user"] = map[string]any{"client_id": client}, map[string]any{"id": user}
		return func(w http.ResponseWriter, _ *http.Request) { socialtest.Send(w, http.StatusOK, body) }
	}
	for name, c := range map[string]struct {
		path string
		h    http.HandlerFunc
		word string
	}{
		"a token of another client": {"/login/oauth/access_token", func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Send(w, http.StatusOK, map[string]any{"access_token": foreign, "token_type": "bearer", "scope": "user:email"})
		}, "status 404"},
		"a check that names another client": {check, of("another", owned["user"].(map[string]any)["id"]), "oidc: audience"},
		"a check that names somebody else":  {check, of(githubClient, 7), "somebody else"},
		"a check that names nobody":         {check, of(githubClient, nil), "somebody else"},
		"a profile without an id": {"/api/user", func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Send(w, http.StatusOK, map[string]any{"login": "x"})
		}, "somebody else"},
		"addresses that cannot be had": {"/api/user/emails", http.NotFound, "status 404"},
		"a code that was used":         {"/login/oauth/access_token", refuses(t, "github", "expired"), "status 200: \\\"invalid_grant\\\": \\\"bad_verification_code"},
		"a wrong secret":               {"/login/oauth/access_token", refuses(t, "github", "config"), "status 200: \\\"invalid_client\\\": \\\"incorrect_client_credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			up.Change(func(s *socialtest.Server) { s.Override = map[string]http.HandlerFunc{c.path: c.h} })
			failed(t, w, "GitHub", "invalid_request", c.word)
		})
	}
	if list := users(t, w); len(list) != 0 {
		t.Errorf("users %+v", list)
	}
}

func TestGitHubCheckAsDocumented(t *testing.T) {
	w, up := startGitHub(t)
	up.Change(func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/api/applications/" + githubClient + "/token": replies(t, http.StatusOK, "github/token-info.json")}
	})
	signIn(t, w, "GitHub")
}

func TestGitHubWithoutTheCheck(t *testing.T) {
	w, up := startGitHub(t, "token_check", "never")
	signIn(t, w, "GitHub")
	if n := len(up.Requests("/api/applications/" + githubClient + "/token")); n != 0 {
		t.Errorf("%d checks", n)
	}
}

func TestGitHubCancelled(t *testing.T) {
	w, up := startGitHub(t)
	up.Change(func(s *socialtest.Server) { s.Cancel, s.Cancelled = true, deniedAs(t, "github/authorize-error.txt") })
	failed(t, w, "GitHub", "access_denied")
}

// The errors of these endpoints repeat all that they were sent.
func TestGitHubSecretsAreNotLogged(t *testing.T) {
	w, up := startGitHub(t)
	hidden := []string{clientSecret}
	for _, path := range []string{"/api/user", "/api/user/emails", "/api/applications/" + githubClient + "/token"} {
		up.Change(func(s *socialtest.Server) {
			s.Override = map[string]http.HandlerFunc{path: func(w http.ResponseWriter, r *http.Request) {
				_, password, _ := r.BasicAuth()
				http.Error(w, r.Header.Get("Authorization")+" "+password, http.StatusBadRequest)
			}}
		})
		failed(t, w, "GitHub", "invalid_request", "status 400")
		for _, r := range up.Requests(path) {
			_, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			hidden = append(hidden, credential)
		}
	}
	if len(hidden) < 4 {
		t.Fatalf("credentials %q", hidden[1:])
	}
	notLogged(t, w, hidden)
}

// Who is signed out everywhere has nothing of theirs left that GitHub takes.
func TestGitHubTokenEndsWithTheUser(t *testing.T) {
	w, up := startGitHub(t, "keep_tokens", "true")
	signIn(t, w, "GitHub")
	sub := users(t, w)[0].Sub
	kept, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub)
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %d, %v", len(kept), err)
	}
	token := up.Requests("/api/user")[0].Header.Get("Authorization")[len("Bearer "):]
	if _, known := up.Access(token); !known {
		t.Fatal("GitHub does not know the token")
	}
	if _, err := w.Broker.SignOutEverywhere(t.Context(), servertest.PoolID, sub, "test"); err != nil {
		t.Fatal(err)
	}
	if _, known := up.Access(token); known {
		t.Error("GitHub still takes the token")
	}
	if failures := w.Log.Records("msg", "upstream.revoke_failed"); len(failures) != 0 {
		t.Errorf("failures %v", failures)
	}
	if kept, err = w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub); err != nil || len(kept) != 0 {
		t.Errorf("kept %d, %v", len(kept), err)
	}
	notLogged(t, w, []string{token, clientSecret})
}
