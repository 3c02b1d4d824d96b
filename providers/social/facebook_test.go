package social_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

const (
	facebookApp   = "1234567890123456"
	adaAtFacebook = "10158123456789012"
	bobAtFacebook = "10158123456789013" // who gives no address
)

// atFacebook is a Weir with Facebook, and the stand-in.
type atFacebook struct {
	*servertest.Weir
	t    *testing.T
	up   *socialtest.Facebook
	spec pool.ProviderSpec
}

// startFacebook runs a Weir with Facebook; pairs are details over the usual ones.
func startFacebook(t *testing.T, pairs ...string) *atFacebook {
	t.Helper()
	clock := servertest.NewClock()
	picture := map[string]any{"data": map[string]any{"url": "https://pics.example/ada.jpg", "is_silhouette": false}}
	f := &atFacebook{t: t, up: &socialtest.Facebook{
		Server: socialtest.Server{
			Now: clock.Now, ClientID: facebookApp, ClientSecret: clientSecret, RedirectURIs: []string{callback}, Person: adaAtFacebook,
		},
		People: map[string]map[string]any{
			adaAtFacebook: {"name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "picture": picture, "birthday": "12/10/1815"},
			bobAtFacebook: {"name": "Bob", "first_name": "Bob"},
		},
	}}
	f.up.Start(t)
	graph := f.up.URL + "/v25.0"
	f.spec = spec("Facebook", "Facebook", map[string]string{
		"email": "email", "email_verified": "email_verified", "name": "name", "given_name": "first_name", "family_name": "family_name",
		"picture": "picture", "birthdate": "birthday", "username": "id", "nickname": "me/friends?fields=secret", "website": "name,friends",
	}, append([]string{
		"client_id", facebookApp, "client_secret", clientSecret, "authorize_scopes", "public_profile,email", "api_version", "v25.0",
		"authorize_url", graph + "/dialog/oauth", "token_url", graph + "/oauth/access_token", "attributes_url", graph + "/me?fields=",
		"jwks_uri", f.up.URL + "/.well-known/oauth/openid/jwks/", "attributes_url_add_attributes", "true", "token_request_method", "GET",
		"native_client_ids", facebookApp,
	}, pairs...)...)
	f.Weir = start(t, clock, f.spec)
	return f
}

// provider is the pool's provider.
func (f *atFacebook) provider() federation.Provider {
	f.t.Helper()
	idp, err := f.Directory.Provider(f.t.Context(), servertest.PoolID, "Facebook")
	if err != nil {
		f.t.Fatal(err)
	}
	p, err := f.Broker.Providers.Provider(f.t.Context(), idp)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func TestFacebook(t *testing.T) {
	f := startFacebook(t)
	var sub any
	for i := range 2 { // the first and a later sign-in
		claims := signIn(t, f.Weir, "Facebook")
		if i > 0 && claims["sub"] != sub {
			t.Errorf("sub %v, then %v", sub, claims["sub"])
		}
		sub = claims["sub"]
		if claims["cognito:username"] != "Facebook_"+adaAtFacebook || claims["email_verified"] == true {
			t.Errorf("claims %v", claims)
		}
	}
	u := oneUser(t, f.Weir, map[string]string{
		"email": "ada@example.com", "email_verified": "false", "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
		"picture": "https://pics.example/ada.jpg",
	})
	if len(u.Identities) != 1 || u.Identities[0].ProviderType != "Facebook" || u.Identities[0].Subject != adaAtFacebook || u.Status != pool.StatusExternalProvider {
		t.Errorf("status %s, identities %+v", u.Status, u.Identities)
	}
	asked := f.up.Requests("/v25.0/dialog/oauth")[0].Query
	if asked.Get("code_challenge_method") != "S256" || asked.Get("scope") != "public_profile,email" || asked.Has("auth_type") {
		t.Errorf("asked %v", asked)
	}
	// Of what the mapping names, the fields that Facebook has; none that writes a query.
	if got := f.up.Requests("/v25.0/me")[0].Query.Get("fields"); got != "id,name,email,birthday,last_name,first_name,picture" {
		t.Errorf("fields %q", got)
	}
}

func TestFacebookWithoutAddress(t *testing.T) {
	f := startFacebook(t)
	f.up.Change(func(s *socialtest.Server) { s.Person = bobAtFacebook })
	if claims := signIn(t, f.Weir, "Facebook"); claims["email"] != nil || claims["email_verified"] != nil {
		t.Errorf("claims %v", claims)
	}
	oneUser(t, f.Weir, map[string]string{"name": "Bob", "given_name": "Bob"})
}

// A profile that vouches for its address is not believed: nothing that Facebook documents says what it would mean.
func TestFacebookAddressIsNeverVerified(t *testing.T) {
	f := startFacebook(t)
	f.up.Change(func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/v25.0/me": func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Send(w, http.StatusOK, map[string]any{"id": adaAtFacebook, "email": "ada@example.com", "email_verified": true})
		}}
	})
	if claims := signIn(t, f.Weir, "Facebook"); claims["email"] != "ada@example.com" || claims["email_verified"] == true {
		t.Errorf("claims %v", claims)
	}
	raw := f.limited("email", "ada@example.com", "email_verified", true)
	id, _, err := f.provider().(federation.TokenVerifier).VerifyToken(t.Context(), secret.New(raw), "")
	if err != nil || id.Claims["email"] != "ada@example.com" || id.Claims["email_verified"] != nil {
		t.Errorf("claims %v, %v", id.Claims, err)
	}
}

func TestFacebookRefusals(t *testing.T) {
	f := startFacebook(t)
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { socialtest.Send(w, http.StatusOK, v) }
	}
	for name, c := range map[string]struct {
		debug func(data map[string]any)
		me    http.HandlerFunc
		word  string
	}{
		"a token of another app":         {debug: func(d map[string]any) { d["app_id"] = "9999" }, word: "oidc: audience"},
		"of no app":                      {debug: func(d map[string]any) { delete(d, "app_id") }, word: "oidc: audience"},
		"of a page":                      {debug: func(d map[string]any) { d["type"] = "PAGE" }, word: "oidc: token endpoint"},
		"that is not valid":              {debug: func(d map[string]any) { d["is_valid"] = false }, word: "oidc: token endpoint"},
		"of nobody":                      {debug: func(d map[string]any) { delete(d, "user_id") }, word: "oidc: subject"},
		"of a path":                      {debug: func(d map[string]any) { d["user_id"] = "me/friends" }, word: "oidc: subject"},
		"of somebody else":               {debug: func(d map[string]any) { d["user_id"] = bobAtFacebook }, word: "somebody else"},
		"past its end":                   {debug: func(d map[string]any) { d["expires_at"] = f.Clock.Now().Unix() }, word: "oidc: expired"},
		"without an end":                 {debug: func(d map[string]any) { delete(d, "expires_at") }, word: "oidc: expired"},
		"with a broken end":              {debug: func(d map[string]any) { d["expires_at"] = -1 }, word: "oidc: expired"},
		"a profile of somebody else":     {me: answer(map[string]any{"id": bobAtFacebook, "name": "Bob"}), word: "somebody else"},
		"a profile of nobody":            {me: answer(map[string]any{"name": "Bob"}), word: "somebody else"},
		"a profile that is not readable": {me: answer([]string{"x"}), word: "oidc: userinfo"},
	} {
		t.Run(name, func(t *testing.T) {
			f.up.Change(func(s *socialtest.Server) {
				f.up.Debug, s.Override = c.debug, nil
				if c.me != nil {
					s.Override = map[string]http.HandlerFunc{"/v25.0/me": c.me}
				}
			})
			failed(t, f.Weir, "Facebook", "invalid_request", c.word)
		})
	}
	if list := users(t, f.Weir); len(list) != 0 {
		t.Errorf("users %+v", list)
	}
}

// Facebook's numbers are good as text and as numbers, and a token may have no end.
func TestFacebookDebugTokenForms(t *testing.T) {
	f := startFacebook(t)
	f.up.Change(func(*socialtest.Server) {
		f.up.Debug = func(d map[string]any) {
			d["app_id"], d["user_id"], d["expires_at"] = 1234567890123456, 10158123456789012, 0
		}
	})
	signIn(t, f.Weir, "Facebook")
}

func TestFacebookCancelled(t *testing.T) {
	f := startFacebook(t)
	f.up.Change(func(s *socialtest.Server) { s.Cancel = true })
	failed(t, f.Weir, "Facebook", "access_denied", "Permissions error")
}

func TestFacebookPrompt(t *testing.T) {
	f := startFacebook(t)
	back := f.Browser().SignIn(f.Web().Authorize("identity_provider", "Facebook", "prompt", "login", "login_hint", "ada@example.com"), upstream)
	if back.Params().Get("code") == "" {
		t.Fatalf("answer %v\n%s", back.Location, f.Log.Text())
	}
	asked := f.up.Requests("/v25.0/dialog/oauth")
	if len(asked) != 1 || asked[0].Query.Get("auth_type") != "reauthenticate" || asked[0].Query.Has("prompt") || asked[0].Query.Has("login_hint") {
		t.Errorf("asked %v", asked)
	}
	_, err := f.provider().Begin(t.Context(), federation.Attempt{
		ID: "s", PoolID: servertest.PoolID, Provider: "Facebook", Nonce: "n", Verifier: "v", CallbackURL: callback,
		Request: federation.Request{Prompt: []string{"none"}},
	})
	if fault.CodeOf(err) != fault.LoginRequired {
		t.Errorf("prompt=none: %v", err)
	}
}

// What an administrator has to change is in the log.
func TestFacebookAdvice(t *testing.T) {
	f := startFacebook(t)
	f.up.Change(func(s *socialtest.Server) { s.ClientSecret = "another" })
	failed(t, f.Weir, "Facebook", "invalid_request", "invalid_client", "Error validating client secret.", "check that client_id and client_secret are App ID and App secret")
	f.up.Change(func(s *socialtest.Server) {
		s.ClientSecret = clientSecret
		s.Override = map[string]http.HandlerFunc{"/v25.0/oauth/access_token": func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Fail(w, f.up.Refusal(http.StatusBadRequest, "invalid_grant", "redirect_uri"))
		}}
	})
	failed(t, f.Weir, "Facebook", "invalid_request", "Valid OAuth Redirect URIs")
}

// The stand-in refuses what Facebook refuses: it would not show otherwise that the proof is sent and is right.
func TestFacebookStandInIsStrict(t *testing.T) {
	f := startFacebook(t)
	token := f.up.Issue(socialtest.Grant{Person: adaAtFacebook, Query: url.Values{"client_id": {facebookApp}, "scope": {"email,public_profile"}}})
	get := func(method, path, token string) int {
		at, err := url.Parse(f.up.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		q := at.Query()
		q.Set("access_token", token)
		at.RawQuery = q.Encode()
		req, err := http.NewRequestWithContext(t.Context(), method, at.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	if got := get("GET", "/v25.0/debug_token?input_token="+token, facebookApp+"|"+clientSecret); got != http.StatusOK {
		t.Errorf("debug_token %d", got)
	}
	for _, c := range [][3]string{
		{"GET", "/v25.0/debug_token?input_token=" + token, facebookApp + "|wrong"},
		{"GET", "/v25.0/debug_token?input_token=" + token, token},
		{"GET", "/v25.0/me?fields=id", token},
		{"GET", "/v25.0/me?fields=id&appsecret_proof=00", token},
		{"DELETE", "/v25.0/" + adaAtFacebook + "/permissions", token},
	} {
		if got := get(c[0], c[1], c[2]); got != http.StatusBadRequest {
			t.Errorf("%s %s: %d", c[0], c[1], got)
		}
	}
}

// The errors of this stand-in repeat what was sent.
func TestFacebookSecretsAreNotLogged(t *testing.T) {
	f := startFacebook(t)
	signIn(t, f.Weir, "Facebook")
	repeat := func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no: "+r.URL.Query().Get("access_token")+" "+r.URL.String(), http.StatusBadRequest)
	}
	for _, c := range []struct {
		path string
		h    http.HandlerFunc
		word string
	}{
		{"/v25.0/debug_token", repeat, "status 400"},
		{"/v25.0/me", repeat, "status 400"},
		{"/v25.0/debug_token", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "/v25.0/debug_token"}, // the connection breaks
		{"/v25.0/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
			socialtest.Send(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"message": "no: " + r.PostForm.Encode(), "code": 4}})
		}, "status 400"},
	} {
		f.up.Change(func(s *socialtest.Server) { s.Override = map[string]http.HandlerFunc{c.path: c.h} })
		failed(t, f.Weir, "Facebook", "invalid_request", c.word)
	}
	hidden := []string{clientSecret, url.QueryEscape(clientSecret)}
	for _, r := range f.up.Requests("/v25.0/debug_token") {
		hidden = append(hidden, r.Query.Get("input_token"))
	}
	for _, r := range f.up.Requests("/v25.0/me") {
		hidden = append(hidden, r.Query.Get("appsecret_proof"), r.Query.Get("access_token"))
	}
	if len(hidden) < 6 {
		t.Fatalf("hidden %q", hidden)
	}
	notLogged(t, f.Weir, hidden)
}
