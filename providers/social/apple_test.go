package social_test

import (
	"crypto/elliptic"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/social"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

const (
	adaAtApple = "001234.5f3a9c1e7b2d4860a1c3e5f708192a3b.1200"
	bobAtApple = "001234.0b1c2d3e4f5061728394a5b6c7d8e9fa.1201"
	eveAtApple = "001234.ffeeddccbbaa99887766554433221100.1202"
)

// atApple is a Weir with a pool whose people sign in with Apple.
type atApple struct {
	*servertest.Weir
	up   *socialtest.Apple
	spec pool.Spec
	t    *testing.T
}

func appleMapping() map[string]string {
	return map[string]string{"email": "email", "email_verified": "email_verified", "name": "name", "given_name": "firstName", "family_name": "lastName"}
}

// startApple starts one. change alters the options, of which Spec has the provider first in the first pool.
func startApple(t *testing.T, change ...func(*servertest.Options)) *atApple {
	t.Helper()
	o := servertest.Options{Clock: servertest.NewClock(), BaseURL: servertest.HTTP}
	for _, c := range change {
		c(&o)
	}
	up := socialtest.StartApple(t, o.Clock.Now, o.BaseURL+"/oauth2/idpresponse", map[string]socialtest.ApplePerson{
		"ada": {Subject: adaAtApple, First: "Ada", Last: "Lovelace", Email: "ada@example.com"},
		"bob": {Subject: bobAtApple, First: "Bob", Last: "Builder", Email: "bob@example.com"},
		"eve": {Subject: eveAtApple, First: "Eve", Last: "Sdropper", Email: "x1y2z3@privaterelay.appleid.com", Relay: true},
	})
	up.Person = "ada"
	a := &atApple{up: up, t: t, spec: servertest.Example(appleSpec(up))}
	o.Spec = a.spec
	for _, c := range change {
		c(&o)
	}
	a.spec = o.Spec
	a.Weir = servertest.Start(t, o)
	return a
}

func appleSpec(up *socialtest.Apple, pairs ...string) pool.ProviderSpec {
	details := up.Details()
	for pair := range slices.Chunk(pairs, 2) {
		details[pair[0]] = pair[1]
	}
	var flat []string
	for k, v := range details {
		flat = append(flat, k, v)
	}
	return spec("SignInWithApple", "SignInWithApple", appleMapping(), flat...)
}

// as makes the next sign-ins those of that person.
func (a *atApple) as(person string) *atApple {
	a.up.Change(func(s *socialtest.Server) { s.Person = person })
	return a
}

// toCallback is the POST that brings Apple's answer.
func (a *atApple) toCallback(b *servertest.Browser, pairs ...string) *http.Request {
	a.t.Helper()
	req := b.ToCallback(a.Web().Authorize(pairs...), upstream)
	if req.Method != http.MethodPost {
		a.t.Fatalf("Apple answered by %s", req.Method)
	}
	return req
}

// deliver sends a cross-site POST as browsers do: on plain http they hold our cookies back, and a page of ours posts once more.
func (a *atApple) deliver(b *servertest.Browser, req *http.Request) *servertest.Page {
	a.t.Helper()
	if strings.HasPrefix(a.URL, "https:") {
		return b.Do(req)
	}
	action, fields := a.Browser().Do(req).Form()
	return b.Post(action, fields)
}

func (a *atApple) signIn(b *servertest.Browser, pairs ...string) *servertest.Page {
	a.t.Helper()
	return a.deliver(b, a.toCallback(b, pairs...))
}

// user is the user of that subject.
func (a *atApple) user(subject string) pool.User {
	a.t.Helper()
	for _, u := range users(a.t, a.Weir) {
		if u.Username == "SignInWithApple_"+subject {
			return u
		}
	}
	a.t.Fatalf("no user of the subject %s\n%s", subject, a.Log.Text())
	return pool.User{}
}

// refused checks an error at the application, and what the log says.
func (a *atApple) refused(p *servertest.Page, code string, reasons ...string) {
	a.t.Helper()
	if got := p.Params().Get("error"); got != code || p.Params().Has("code") {
		a.t.Errorf("answer %d to %v: error %q, want %q", p.Status, p.Location, got, code)
	}
	failed := a.Log.Records("msg", "login.failed")
	for _, reason := range reasons {
		if len(failed) == 0 || !strings.Contains(failed[len(failed)-1]["reason"].(string), reason) {
			a.t.Errorf("log %v, want %q", failed, reason)
		}
	}
}

// form reads the form of a callback and lets change alter it.
func form(t *testing.T, req *http.Request, change func(url.Values)) *http.Request {
	t.Helper()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		t.Fatal(err)
	}
	change(v)
	out, err := http.NewRequestWithContext(t.Context(), http.MethodPost, req.URL.String(), strings.NewReader(v.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return out
}

var adaWithName = map[string]string{
	"email": "ada@example.com", "email_verified": "true", "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
}

func TestAppleSignIn(t *testing.T) {
	for name, base := range map[string]string{"http": servertest.HTTP, "https": servertest.HTTPS} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t, func(o *servertest.Options) { o.BaseURL = base })
			app := a.Web()
			for i, said := range []bool{true, false} { // the first and a later sign-in
				b := a.Browser()
				req := form(t, a.toCallback(b, "login_hint", "x", "ui_locales", "de"), func(v url.Values) {
					if v.Has("user") != said {
						t.Errorf("sign-in %d: user %q", i, v.Get("user"))
					}
				})
				a.Engine.Reset()
				claims := app.Claims(app.Tokens(a.deliver(b, req)).Text("id_token"))
				if claims["cognito:username"] != "SignInWithApple_"+adaAtApple || claims["email_verified"] != true || claims["name"] != "Ada Lovelace" {
					t.Errorf("claims %v", claims)
				}
				if want := []string{"grant 2, user 1", "grant 2"}[i]; i == 1 && a.Engine.Written() != want {
					t.Errorf("sign-in %d wrote %s, want %s", i, a.Engine.Written(), want)
				}
			}
			u := oneUser(t, a.Weir, adaWithName)
			if u.Status != pool.StatusExternalProvider || len(u.Identities) != 1 || u.Identities[0].ProviderType != "SignInWithApple" ||
				u.Identities[0].Subject != adaAtApple || u.Identities[0].Issuer != a.up.URL {
				t.Errorf("user %+v", u)
			}
			sent := a.up.Requests("/auth/authorize")[0].Query
			if sent.Get("response_mode") != "form_post" || sent.Get("scope") != "email name" || sent.Get("response_type") != "code" ||
				sent.Get("nonce") == "" || sent.Get("code_challenge_method") != "S256" {
				t.Errorf("request %v", sent)
			}
		})
	}
}

// Apple's dialogue in Safari knows a space as %20 only.
func TestAppleScopesHaveNoPlus(t *testing.T) {
	a := startApple(t)
	at := a.Browser().Get(a.Web().Authorize()).Location.RawQuery
	if !strings.Contains(at, "scope=email%20name&") || strings.Contains(at, "+") {
		t.Errorf("request %s", at)
	}
}

// The answers of the fixtures, name and all, through the whole of a sign-in.
func TestAppleFixtures(t *testing.T) {
	a := startApple(t)
	fixed := fixture[map[string]any](t, "claims.json")
	a.up.Change(func(*socialtest.Server) {
		a.up.Claims = func(claims map[string]any) {
			for name, v := range fixed {
				if !slices.Contains([]string{"iss", "aud", "nonce", "at_hash"}, name) {
					claims[name] = v
				}
			}
		}
	})
	b := a.Browser()
	user := string(file(t, "user.json"))
	a.Web().Code(a.deliver(b, form(t, a.toCallback(b), func(v url.Values) { v.Set("user", user) })))
	want := maps.Clone(adaWithName)
	want["email"] = fixed["email"].(string)
	if got := a.user(fixed["sub"].(string)).Attributes; !maps.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "signinwithapple", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func fixture[T any](t *testing.T, name string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(file(t, name), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAppleCancelled(t *testing.T) {
	a := startApple(t)
	query, _, _ := strings.Cut(string(file(t, "authorize-error.txt")), " ")
	want, err := url.ParseQuery(query + "&state=x")
	if err != nil {
		t.Fatal(err)
	}
	a.up.Change(func(s *socialtest.Server) { s.Cancel = true })
	b := a.Browser()
	req := form(t, a.toCallback(b), func(v url.Values) {
		if v.Get("error") != want.Get("error") || len(v) != len(want) {
			t.Errorf("answer %v", v)
		}
	})
	a.refused(a.deliver(b, req), "access_denied", "user_cancelled_authorize")
	if got := b.Cookie("weir_on_"); len(got) != 0 {
		t.Errorf("carries %v", got)
	}
}

func TestAppleAlwaysAsks(t *testing.T) {
	a := startApple(t)
	if got := a.Browser().Get(a.Web().Authorize("prompt", "none")).Params().Get("error"); got != "login_required" {
		t.Errorf("error %q", got)
	}
}

func TestAppleNonce(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(claims map[string]any)
		ok     bool
	}{
		"there":                                  {func(map[string]any) {}, true},
		"absent, and not supported":              {func(c map[string]any) { delete(c, "nonce"); c["nonce_supported"] = false }, true},
		"absent, and not supported, as a string": {func(c map[string]any) { delete(c, "nonce"); c["nonce_supported"] = "false" }, true},
		"absent, though supported":               {func(c map[string]any) { delete(c, "nonce") }, false},
		"absent, and nothing is said":            {func(c map[string]any) { delete(c, "nonce"); delete(c, "nonce_supported") }, false},
		"another one, and not supported":         {func(c map[string]any) { c["nonce"] = "x"; c["nonce_supported"] = false }, false},
		"empty, and not supported":               {func(c map[string]any) { c["nonce"] = ""; c["nonce_supported"] = false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t)
			a.up.Claims = tt.change
			p := a.signIn(a.Browser())
			if tt.ok {
				a.Web().Code(p)
				return
			}
			a.refused(p, "invalid_request", "oidc: nonce")
			if len(users(t, a.Weir)) != 0 {
				t.Error("a user was made")
			}
		})
	}
}

func TestAppleBooleansMayBeText(t *testing.T) {
	mutable := true
	for name, tt := range map[string]struct{ verified, private, wantVerified, wantPrivate any }{
		"text":         {"true", "true", "true", "true"},
		"booleans":     {true, true, "true", "true"},
		"false text":   {"false", "false", "false", "false"},
		"false":        {false, false, "false", "false"},
		"another word": {"TRUE", "yes", "false", "false"},
		"a number":     {1, 1, "false", "false"},
		"not said":     {nil, nil, "false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t, func(o *servertest.Options) {
				if len(o.Spec.UserPools) == 0 {
					return
				}
				p := &o.Spec.UserPools[0]
				p.Schema = append(p.Schema, pool.SchemaSpec{Name: "relay", Mutable: &mutable})
				p.IdentityProviders[0].AttributeMapping["custom:relay"] = "is_private_email"
			})
			a.up.Claims = func(c map[string]any) {
				for name, v := range map[string]any{"email_verified": tt.verified, "is_private_email": tt.private} {
					if c[name] = v; v == nil {
						delete(c, name)
					}
				}
			}
			a.Web().Code(a.as("eve").signIn(a.Browser()))
			got := a.user(eveAtApple).Attributes
			if got["email"] != "x1y2z3@privaterelay.appleid.com" || got["email_verified"] != tt.wantVerified || got["custom:relay"] != tt.wantPrivate {
				t.Errorf("attributes %v", got)
			}
		})
	}
}

func TestAppleDetails(t *testing.T) {
	up := socialtest.StartApple(t, time.Now, callback, nil)
	key := up.Key()
	lines := strings.Split(strings.TrimSpace(key), "\n")
	base64 := strings.Join(lines[1:len(lines)-1], "")
	for name, tt := range map[string]struct {
		pairs []string
		fault string // key
		part  string
	}{
		"what is needed":                   {nil, "", ""},
		"what the original describes":      {[]string{"attributes_url_add_attributes", "false", "token_request_method", "POST"}, "", ""},
		"the key's base64":                 {[]string{"private_key", base64}, "", ""},
		"the key's base64 in lines":        {[]string{"private_key", strings.Join(lines[1:len(lines)-1], "\r\n") + "\n"}, "", ""},
		"the key on one line":              {[]string{"private_key", strings.ReplaceAll(key, "\n", "")}, "", ""},
		"the key with escaped ends":        {[]string{"private_key", strings.ReplaceAll(key, "\n", `\n`)}, "", ""},
		"openid too":                       {[]string{"authorize_scopes", "openid email"}, "", ""},
		"a callback of its own":            {[]string{"callback", "own"}, "", ""},
		"no client_id":                     {[]string{"client_id", ""}, "client_id", "required"},
		"no team":                          {[]string{"team_id", ""}, "team_id", "required"},
		"a short team":                     {[]string{"team_id", "TEAM"}, "team_id", "10 characters"},
		"no key id":                        {[]string{"key_id", ""}, "key_id", "required"},
		"a key id in small letters":        {[]string{"key_id", "key1234567"}, "key_id", "capital"},
		"no key":                           {[]string{"private_key", ""}, "private_key", "required"},
		"another curve":                    {[]string{"private_key", keyOn(t, elliptic.P384())}, "private_key", "P-256"},
		"no key at all":                    {[]string{"private_key", "AuthKey_KEY1234567.p8"}, "private_key", ".p8 file"},
		"a key of another form":            {[]string{"private_key", strings.ReplaceAll(key, "PRIVATE", "EC PRIVATE")}, "private_key", ".p8 file"},
		"a public key":                     {[]string{"private_key", strings.ReplaceAll(key, "PRIVATE", "PUBLIC")}, "private_key", ".p8 file"},
		"half a key":                       {[]string{"private_key", key[:len(key)-40]}, "private_key", ".p8 file"},
		"a client_secret":                  {[]string{"client_secret", "eyJhbGciOi"}, "client_secret", "made of private_key"},
		"a scope of others":                {[]string{"authorize_scopes", "email profile"}, "authorize_scopes", "email, name and openid"},
		"an address for attributes":        {[]string{"attributes_url", "https://appleid.apple.com/x"}, "attributes_url", "no such"},
		"another way to authenticate":      {[]string{"token_endpoint_auth_method", "private_key_jwt"}, "token_endpoint_auth_method", "client_secret_post"},
		"userinfo":                         {[]string{"userinfo", "always"}, "userinfo", "never"},
		"the key's id under the OIDC name": {[]string{"private_key_id", "KEY1234567"}, "private_key_id", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			d := pool.Details{}
			for k, v := range appleSpec(up, tt.pairs...).ProviderDetails {
				d[k] = v
			}
			faults := social.Kinds()["SignInWithApple"].Validate(d, true)
			if tt.fault == "" {
				if len(faults) != 0 {
					t.Errorf("faults %v", faults)
				}
				return
			}
			if len(faults) != 1 || faults[0].Key != tt.fault || !strings.Contains(faults[0].Problem, tt.part) {
				t.Errorf("faults %v, want one of %s with %q", faults, tt.fault, tt.part)
			}
		})
	}
}

// Apple's own addresses are the defaults.
func TestAppleDefaults(t *testing.T) {
	up := socialtest.StartApple(t, time.Now, callback, nil)
	d := pool.Details{}
	for _, key := range []string{"client_id", "team_id", "key_id", "private_key"} {
		d[key] = secret.New(up.Details()[key])
	}
	if faults := social.Kinds()["SignInWithApple"].Validate(d, false); len(faults) != 0 {
		t.Errorf("faults %v", faults)
	}
	w := start(t, servertest.NewClock(), pool.ProviderSpec{ProviderName: "SignInWithApple", ProviderType: "SignInWithApple", ProviderDetails: d})
	to := w.Browser().Get(w.Web().Authorize()).Location
	if to == nil || !strings.HasPrefix(to.String(), "https://appleid.apple.com/auth/authorize?") {
		t.Errorf("sent to %v", to)
	}
}
