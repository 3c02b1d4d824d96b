package social_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// recorded reads an answer of testdata. Numbers are json.Number.
func recorded[T any](t *testing.T, name string) T {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(f)
	dec.UseNumber()
	var v T
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return v
}

// unverified adds what the directory says of an address that nobody vouches for.
func unverified(attributes map[string]string) map[string]string {
	attributes["email_verified"] = "false"
	return attributes
}

// attributes are those that the mapping of want.json makes of the recorded answers.
func attributes(t *testing.T, folder string) map[string]string {
	t.Helper()
	return recorded[want](t, folder+"/want.json").Attributes
}

// answered is what a further endpoint answers, by its path.
func answered[T any](t *testing.T, folder, path string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(bytes.NewReader(recorded[map[string]json.RawMessage](t, folder+"/answers.json")[path]))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %s: %v", folder, path, err)
	}
	return v
}

// refuses answers with the first recorded refusal of the token endpoint that becomes this fault.
func refuses(t *testing.T, folder, fault string) http.HandlerFunc {
	t.Helper()
	for _, r := range recorded[[]refusal](t, folder+"/token-error.json") {
		if r.Fault == fault {
			return func(w http.ResponseWriter, _ *http.Request) { socialtest.Send(w, r.Status, r.Body) }
		}
	}
	t.Fatalf("%s: no refusal becomes %s", folder, fault)
	return nil
}

// replies answers with a document of testdata.
func replies(t *testing.T, status int, name string) http.HandlerFunc {
	t.Helper()
	body := recorded[map[string]any](t, name)
	return func(w http.ResponseWriter, _ *http.Request) { socialtest.Send(w, status, body) }
}

// deniedAs makes a stand-in cancel with the recorded answer; the state is that of the attempt.
func deniedAs(t *testing.T, name string) url.Values {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	query, _, _ := strings.Cut(string(raw), " ") // the first line is the person's no
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// failed signs in and expects an error for the application, with these words in the log.
func failed(t *testing.T, w *servertest.Weir, provider, code string, words ...string) {
	t.Helper()
	before := len(w.Log.Text())
	back := w.Browser().SignIn(w.Web().Authorize("identity_provider", provider), upstream)
	if got := back.Params().Get("error"); got != code {
		t.Errorf("error %q, want %q: %d to %v", got, code, back.Status, back.Location)
	}
	for _, word := range words {
		if !strings.Contains(w.Log.Text()[before:], word) {
			t.Errorf("the log does not say %q:\n%s", word, w.Log.Text()[before:])
		}
	}
}

const amazonClient = "amzn1.application-oa2-client.weir"

// startAmazon runs a Weir with Login with Amazon; pairs are details over the usual ones.
func startAmazon(t *testing.T, pairs ...string) (*servertest.Weir, *socialtest.Amazon) {
	t.Helper()
	clock := servertest.NewClock()
	ada := recorded[map[string]any](t, "loginwithamazon/claims.json")
	user := ada["user_id"].(string)
	up := &socialtest.Amazon{
		Server: socialtest.Server{Now: clock.Now, ClientID: amazonClient, ClientSecret: clientSecret, RedirectURIs: []string{callback}, Person: user},
		People: map[string]map[string]any{user: ada, "amzn1.account.BOB": {"user_id": "amzn1.account.BOB"}},
	}
	up.Start(t)
	s := spec("LoginWithAmazon", "LoginWithAmazon", map[string]string{
		"email": "email", "email_verified": "email_verified", "name": "name", "custom:postal_code": "postal_code", "username": "user_id",
	}, append([]string{
		"client_id", amazonClient, "client_secret", clientSecret, "authorize_scopes", "profile postal_code",
		"authorize_url", up.URL + "/ap/oa", "token_url", up.URL + "/auth/o2/token", "attributes_url", up.URL + "/user/profile",
		"attributes_url_add_attributes", "false", "token_request_method", "POST",
	}, pairs...)...)
	example := servertest.Example(s)
	example.UserPools[0].Schema = append(example.UserPools[0].Schema, pool.SchemaSpec{Name: "postal_code", AttributeDataType: "String"})
	return servertest.Start(t, servertest.Options{Clock: clock, Spec: example}), up
}

func TestAmazon(t *testing.T) {
	w, up := startAmazon(t)
	var sub any
	for i := range 2 { // the first and a later sign-in
		claims := signIn(t, w, "LoginWithAmazon")
		if i > 0 && claims["sub"] != sub {
			t.Errorf("sub %v, then %v", sub, claims["sub"])
		}
		sub = claims["sub"]
		if claims["cognito:username"] != "LoginWithAmazon_amzn1.account.K2LI23KL2LK2" || claims["email_verified"] == true {
			t.Errorf("claims %v", claims)
		}
	}
	u := oneUser(t, w, unverified(attributes(t, "loginwithamazon")))
	if len(u.Identities) != 1 || u.Identities[0].ProviderType != "LoginWithAmazon" || u.Identities[0].Subject != "amzn1.account.K2LI23KL2LK2" {
		t.Errorf("identities %+v", u.Identities)
	}
	asked := up.Requests("/ap/oa")[0].Query
	if asked.Get("code_challenge_method") != "S256" || asked.Has("nonce") || asked.Get("scope") != "profile postal_code" {
		t.Errorf("asked %v", asked)
	}
}

// A profile that vouches for its address is not believed: nothing that Amazon documents says what it would mean.
func TestAmazonAddressIsNeverVerified(t *testing.T) {
	w, up := startAmazon(t)
	up.People["amzn1.account.K2LI23KL2LK2"]["email_verified"] = true
	up.Change(func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/user/profile": func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Send(w, http.StatusOK, up.People["amzn1.account.K2LI23KL2LK2"])
		}}
	})
	if claims := signIn(t, w, "LoginWithAmazon"); claims["email"] != "ada@example.com" || claims["email_verified"] == true {
		t.Errorf("claims %v", claims)
	}
	oneUser(t, w, unverified(attributes(t, "loginwithamazon")))
}

func TestAmazonWithoutAddress(t *testing.T) {
	w, up := startAmazon(t)
	up.Change(func(s *socialtest.Server) { s.Person = "amzn1.account.BOB" })
	if claims := signIn(t, w, "LoginWithAmazon"); claims["email"] != nil {
		t.Errorf("claims %v", claims)
	}
	oneUser(t, w, map[string]string{})
}

func TestAmazonRefusals(t *testing.T) {
	w, up := startAmazon(t)
	token := up.Issue(socialtest.Grant{Person: "amzn1.account.BOB", Scopes: []string{"profile"}, Query: url.Values{"client_id": {"amzn1.application-oa2-client.other"}}})
	for name, c := range map[string]struct {
		override map[string]http.HandlerFunc
		info     func(info map[string]any)
		word     string
	}{
		"a token of another client": {override: map[string]http.HandlerFunc{"/auth/o2/token": func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Send(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 3600})
		}}, word: "oidc: audience"},
		"a token of no client":      {info: func(info map[string]any) { delete(info, "aud") }, word: "oidc: audience"},
		"a token of another issuer": {info: func(info map[string]any) { info["iss"] = "https://www.amazon.example" }, word: "oidc: issuer"},
		"a token that has run out":  {info: func(info map[string]any) { info["exp"] = 0 }, word: "oidc: expired"},
		"a token without an end":    {info: func(info map[string]any) { delete(info, "exp") }, word: "oidc: expired"},
		"a token of somebody else":  {info: func(info map[string]any) { info["user_id"] = "amzn1.account.BOB" }, word: "somebody else"},
		"a profile without a person": {override: map[string]http.HandlerFunc{"/user/profile": func(w http.ResponseWriter, _ *http.Request) {
			socialtest.Send(w, http.StatusOK, map[string]any{"email": "a@b.c"})
		}}, word: "somebody else"},
		"a code that was used":      {override: map[string]http.HandlerFunc{"/auth/o2/token": refuses(t, "loginwithamazon", "expired")}, word: "invalid_grant"},
		"tokeninfo that is no JSON": {override: map[string]http.HandlerFunc{"/auth/o2/tokeninfo": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }}, word: "oidc: userinfo"},
	} {
		t.Run(name, func(t *testing.T) {
			up.Change(func(s *socialtest.Server) { s.Override, up.Info = c.override, c.info })
			failed(t, w, "LoginWithAmazon", "invalid_request", c.word)
		})
	}
	if list := users(t, w); len(list) != 0 {
		t.Errorf("users %+v", list)
	}
}

func TestAmazonTokenInfoAsDocumented(t *testing.T) {
	w, up := startAmazon(t)
	up.Change(func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/auth/o2/tokeninfo": replies(t, http.StatusOK, "loginwithamazon/token-info.json")}
	})
	signIn(t, w, "LoginWithAmazon")
}

func TestAmazonCancelled(t *testing.T) {
	w, up := startAmazon(t)
	up.Change(func(s *socialtest.Server) {
		s.Cancel, s.Cancelled = true, deniedAs(t, "loginwithamazon/authorize-error.txt")
	})
	failed(t, w, "LoginWithAmazon", "access_denied")
}

// Amazon's tokeninfo takes the token in its address, and the errors of this stand-in repeat it.
func TestAmazonSecretsAreNotLogged(t *testing.T) {
	w, up := startAmazon(t)
	signIn(t, w, "LoginWithAmazon")
	repeat := func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no: "+r.URL.String()+" "+r.Header.Get("Authorization"), http.StatusBadRequest)
	}
	for _, c := range []struct {
		path string
		h    http.HandlerFunc
		word string
	}{
		{"/auth/o2/tokeninfo", repeat, "status 400"},
		{"/user/profile", repeat, "status 400"},
		{"/auth/o2/tokeninfo", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "/auth/o2/tokeninfo"}, // the connection breaks
	} {
		up.Change(func(s *socialtest.Server) { s.Override = map[string]http.HandlerFunc{c.path: c.h} })
		failed(t, w, "LoginWithAmazon", "invalid_request", c.word)
	}
	hidden := []string{clientSecret, url.QueryEscape(clientSecret)}
	for _, r := range up.Requests("/auth/o2/tokeninfo") {
		hidden = append(hidden, r.Query.Get("access_token"))
	}
	if len(hidden) < 6 {
		t.Fatalf("tokens %q", hidden[2:])
	}
	notLogged(t, w, hidden)
}

// notLogged looks for what nobody may read in the log.
func notLogged(t *testing.T, w *servertest.Weir, hidden []string) {
	t.Helper()
	for _, text := range hidden {
		if text == "" || strings.Contains(w.Log.Text(), text) {
			t.Errorf("the log shows %q", text)
		}
	}
}
