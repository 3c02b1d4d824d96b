package social_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/providers/social"
	"github.com/weir-id/weir/server/servertest"
)

// The tenants of the stand-in for Entra ID.
const (
	contoso  = "72f988bf-0000-4000-8000-2d7cd011db47"
	fabrikam = "11111111-2222-4333-8444-555555555555"
)

// stand is a stand-in for a provider whose sign-in is OpenID Connect, and how it differs from one that is by the book.
type stand struct {
	name    string // of the preset, or Google
	path    string // of the issuer
	client  oidctest.Client
	faults  func(up *oidctest.Provider) oidctest.Faults
	details func(up *oidctest.Provider) []string
	word    string // what the pool keeps as email_verified of an address that the provider's claim email_verified vouches for
}

func issuerDetail(up *oidctest.Provider) []string { return []string{"oidc_issuer", up.Issuer()} }

// issued makes the provider speak of itself under another issuer.
func issued(issuer string, more func(claims map[string]any)) oidctest.Faults {
	return oidctest.Faults{
		Discovery: func(doc map[string]any) { doc["issuer"] = issuer },
		Authorization: func(v url.Values) {
			if v.Has("iss") {
				v.Set("iss", issuer)
			}
		},
		IDToken:  func(claims map[string]any) { claims["iss"] = issuer; more(claims) },
		UserInfo: func(map[string]any) {},
	}
}

// entra is Entra ID with a person of that tenant. Nothing is in its answers that the real ones do not have, but for a claim
// email_verified, which must not count.
func entra(up *oidctest.Provider, tenant string, edov any) oidctest.Faults {
	host, _, _ := strings.Cut(up.Issuer(), "/organizations")
	return oidctest.Faults{
		Discovery: func(doc map[string]any) {
			doc["issuer"] = host + "/{tenantid}/v2.0"
			delete(doc, "authorization_response_iss_parameter_supported")
		},
		Authorization: func(v url.Values) { v.Del("iss") },
		IDToken: func(claims map[string]any) {
			claims["iss"], claims["tid"], claims["oid"] = host+"/"+tenant+"/v2.0", tenant, "00000000-0000-0000-66f3-3332eca7ea81"
			if edov != nil {
				claims["xms_edov"] = edov
			}
		},
	}
}

func entraDetails(up *oidctest.Provider, allowed string) []string {
	host, _, _ := strings.Cut(up.Issuer(), "/organizations")
	return []string{"tenant", "organizations", "authority_host", host, "allowed_tenants", allowed}
}

func stands() []stand {
	honest := func(*oidctest.Provider) oidctest.Faults { return oidctest.Faults{} }
	return []stand{
		{name: "Auth0", faults: func(up *oidctest.Provider) oidctest.Faults { return issued(up.Issuer()+"/", func(map[string]any) {}) }, word: "true",
			details: func(up *oidctest.Provider) []string {
				return []string{"domain", "example.eu.auth0.com", "oidc_issuer", up.Issuer() + "/"}
			}},
		{name: "EntraID", path: "/organizations/v2.0", word: "", // without xms_edov nothing vouches
			faults:  func(up *oidctest.Provider) oidctest.Faults { return entra(up, contoso, nil) },
			details: func(up *oidctest.Provider) []string { return entraDetails(up, contoso) }},
		{name: "GitLab", faults: honest, details: issuerDetail, word: "true"},
		{name: "Google", details: issuerDetail, word: "true", faults: func(up *oidctest.Provider) oidctest.Faults {
			return oidctest.Faults{IDToken: func(claims map[string]any) { claims["iss"] = strings.TrimPrefix(up.Issuer(), "http://") }}
		}},
		{name: "LinkedIn", path: "/oauth", client: oidctest.Client{Auth: oidctest.SecretPost, PKCEOptional: true}, details: issuerDetail, word: "true",
			faults: func(*oidctest.Provider) oidctest.Faults {
				return oidctest.Faults{IDToken: func(claims map[string]any) { delete(claims, "nonce"); claims["email_verified"] = "true" }}
			}},
		{name: "Okta", path: "/oauth2/default", faults: honest, word: "true", details: func(up *oidctest.Provider) []string {
			return []string{"domain", "example.okta.com", "oidc_issuer", up.Issuer()}
		}},
	}
}

// start runs the stand-in, with ada, whose address the provider vouches for.
func (s stand) start(t *testing.T, clock *servertest.Clock, people ...oidctest.Person) *oidctest.Provider {
	t.Helper()
	c := s.client
	c.ID, c.Secret, c.RedirectURIs = clientID, clientSecret, append(c.RedirectURIs, callback)
	people = append(people, oidctest.Person{Username: "ada", Password: "ada", Subject: "ada-0001", Claims: map[string]any{
		"name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true,
	}})
	up := oidctest.Start(t, oidctest.Config{Issuer: s.path, Algorithm: jose.ES256, Now: clock.Now, Clients: []oidctest.Client{c}, People: people})
	up.Set(s.faults(up))
	return up
}

// spec is the pool's side.
func (s stand) spec(up *oidctest.Provider, pairs ...string) pool.ProviderSpec {
	kind, details := s.name, []string{"client_id", clientID, "client_secret", clientSecret}
	if _, ok := social.Presets()[s.name]; ok {
		kind, details = "OIDC", append(details, "preset", s.name)
	}
	details = append(append(details, s.details(up)...), pairs...)
	return spec(s.name, kind, map[string]string{"email": "email", "email_verified": "email_verified", "name": "name"}, details...)
}

func TestSignInThroughEachProvider(t *testing.T) {
	for _, s := range stands() {
		t.Run(s.name, func(t *testing.T) {
			clock := servertest.NewClock()
			up := s.start(t, clock)
			w := start(t, clock, s.spec(up))
			app := w.Web()
			for range 2 { // the first and a later sign-in
				claims := app.Claims(app.Login(w.Browser(), servertest.As("ada"), "identity_provider", s.name).Text("id_token"))
				if claims["cognito:username"] != s.name+"_ada-0001" || claims["email_verified"] != (s.word == "true") {
					t.Errorf("claims %v", claims)
				}
			}
			attributes := map[string]string{"email": "ada@example.com", "name": "Ada Lovelace"}
			if s.word != "" {
				attributes["email_verified"] = s.word
			} else {
				attributes["email_verified"] = "false" // the pool's word for a new address that nobody vouched for
			}
			u := oneUser(t, w, attributes)
			kind := s.spec(up).ProviderType
			if u.Status != pool.StatusExternalProvider || len(u.Identities) != 1 || u.Identities[0].Provider != s.name || u.Identities[0].ProviderType != kind {
				t.Errorf("user %+v", u)
			}
			withPKCE := up.Requests(oidctest.EndpointAuthorize)[0].Params.Has("code_challenge")
			if withPKCE == s.client.PKCEOptional {
				t.Errorf("code_challenge sent: %t", withPKCE)
			}
		})
	}
}

func TestCancelAtEachProvider(t *testing.T) {
	for _, s := range stands() {
		t.Run(s.name, func(t *testing.T) {
			clock := servertest.NewClock()
			w := start(t, clock, s.spec(s.start(t, clock)))
			back := w.Browser().SignIn(w.Web().Authorize("identity_provider", s.name), servertest.Cancel)
			if got := back.Params().Get("error"); got != "access_denied" || len(users(t, w)) != 0 {
				t.Errorf("answer %d to %v: error %q", back.Status, back.Location, got)
			}
		})
	}
}

// TestEachProviderIsStrict shows that the stand-ins refuse what the real ones do, so that a sign-in through them proves something.
func TestEachProviderIsStrict(t *testing.T) {
	for _, s := range stands() {
		t.Run(s.name+" refuses a wrong secret", func(t *testing.T) {
			clock := servertest.NewClock()
			w := start(t, clock, s.spec(s.start(t, clock), "client_secret", "another"))
			wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize("identity_provider", s.name), servertest.As("ada")), "invalid_client")
		})
		t.Run(s.name+" refuses a code that was used", func(t *testing.T) {
			clock := servertest.NewClock()
			w := start(t, clock, s.spec(s.start(t, clock)))
			first, second := w.Browser(), w.Browser()
			used := first.ToCallback(w.Web().Authorize("identity_provider", s.name), servertest.As("ada"))
			w.Web().Code(first.Do(used))
			req := second.ToCallback(w.Web().Authorize("identity_provider", s.name), servertest.As("ada"))
			req.URL.RawQuery = with(req.URL.Query(), "code", used.URL.Query().Get("code"))
			wantRefused(t, w, second.Do(req), "invalid_grant")
		})
		t.Run(s.name+" refuses another redirect URI", func(t *testing.T) {
			clock := servertest.NewClock()
			up := s.start(t, clock)
			c := s.client
			c.ID, c.Secret, c.RedirectURIs = clientID, clientSecret, []string{callback + "/"}
			if err := up.PutClient(c); err != nil {
				t.Fatal(err)
			}
			w := start(t, clock, s.spec(up))
			b := w.Browser()
			challenge := b.Get(w.Web().Authorize("identity_provider", s.name))
			if _, err := servertest.As("ada")(t.Context(), b, challenge); err == nil || !strings.Contains(err.Error(), "redirect_uri") {
				t.Errorf("err = %v", err)
			}
		})
		// One that takes no PKCE refuses a verifier; the others refuse a request without a challenge.
		t.Run(s.name+" refuses the wrong kind of PKCE", func(t *testing.T) {
			clock := servertest.NewClock()
			w := start(t, clock, s.spec(s.start(t, clock)))
			b := w.Browser()
			challenge := b.Get(w.Web().Authorize("identity_provider", s.name))
			value, log := "", "invalid_request"
			if s.client.PKCEOptional {
				value, log = servertest.Challenge(servertest.Verifier), "invalid_grant"
				challenge.Location.RawQuery = with(challenge.Location.Query(), "code_challenge_method", "S256")
			}
			challenge.Location.RawQuery = with(challenge.Location.Query(), "code_challenge", value)
			req, err := servertest.As("ada")(t.Context(), b, challenge)
			if err != nil {
				t.Fatal(err)
			}
			wantRefused(t, w, b.Do(req), log)
		})
	}
}

// with is a query with another value; "" takes it away.
func with(q url.Values, name, value string) string {
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	return q.Encode()
}

// wantRefused is the end of a sign-in that failed, for a reason that is in the log, and made no user.
func wantRefused(t *testing.T, w *servertest.Weir, back *servertest.Page, log string) {
	t.Helper()
	if back.Params().Get("error") == "" || back.Params().Get("code") != "" || !strings.Contains(w.Log.Text(), log) {
		t.Errorf("answer %d to %v: %s\nlog without %q: %s", back.Status, back.Location, back.Body, log, w.Log.Text())
	}
}

func TestApplyNamesTheFaultyDetail(t *testing.T) {
	w := start(t, servertest.NewClock())
	_, err := w.Directory.Plan(t.Context(), servertest.Example(spec("Entra", "OIDC", nil, "client_id", clientID, "client_secret", clientSecret, "preset", "EntraID")))
	if err == nil || !strings.Contains(err.Error(), "ProviderDetails.tenant: required") {
		t.Errorf("err = %v", err)
	}
}

func TestPresetsNameTheFaultyDetail(t *testing.T) {
	tests := map[string]struct {
		preset  string
		details []string
		want    []string // "key: problem" begins so
	}{
		"Entra ID without a tenant":       {"EntraID", nil, []string{"tenant: required"}},
		"a tenant by its domain":          {"EntraID", []string{"tenant", "contoso.onmicrosoft.com"}, []string{"tenant: must be a tenant's id"}},
		"any tenant without a list":       {"EntraID", []string{"tenant", "organizations"}, []string{"allowed_tenants: required"}},
		"common without a list":           {"EntraID", []string{"tenant", "common"}, []string{"allowed_tenants: required"}},
		"a list that is no list of ids":   {"EntraID", []string{"tenant", "common", "allowed_tenants", contoso + " contoso.com"}, []string{"allowed_tenants: must be ids"}},
		"a list with everybody among it":  {"EntraID", []string{"tenant", "common", "allowed_tenants", contoso + " *"}, []string{"allowed_tenants: must be ids"}},
		"a list for one tenant":           {"EntraID", []string{"tenant", contoso, "allowed_tenants", contoso}, []string{"allowed_tenants: is for"}},
		"an issuer beside the tenant":     {"EntraID", []string{"tenant", contoso, "oidc_issuer", "https://sts.example.com"}, []string{"oidc_issuer: follows from"}},
		"userinfo of Entra ID":            {"EntraID", []string{"tenant", contoso, "userinfo", "auto"}, []string{"userinfo: must be never"}},
		"a host with a path":              {"EntraID", []string{"tenant", contoso, "authority_host", "https://login.microsoftonline.us/"}, []string{"authority_host: must have no path"}},
		"a host on http":                  {"EntraID", []string{"tenant", contoso, "authority_host", "http://login.microsoftonline.us"}, []string{"authority_host: must begin with https://"}},
		"several faults":                  {"EntraID", []string{"tenant", "x", "domain", "y"}, []string{"domain: unknown key", "tenant: must be"}},
		"Okta without a domain":           {"Okta", nil, []string{"domain: required"}},
		"a domain with a scheme":          {"Okta", []string{"domain", "https://example.okta.com"}, []string{"domain: must be a host name"}},
		"a domain with a path":            {"Auth0", []string{"domain", "example.auth0.com/"}, []string{"domain: must be a host name"}},
		"a domain with a name before":     {"Auth0", []string{"domain", "example.auth0.com@evil.example"}, []string{"domain: must be a host name"}},
		"a server with a path":            {"Okta", []string{"domain", "example.okta.com", "authorization_server", "../x"}, []string{"authorization_server: must be the id"}},
		"Auth0 without a domain":          {"Auth0", nil, []string{"domain: required"}},
		"Okta by its issuer":              {"Okta", []string{"oidc_issuer", "https://example.okta.com/oauth2/aus1"}, nil},
		"Auth0 by its issuer":             {"Auth0", []string{"oidc_issuer", "https://example.auth0.com/"}, nil},
		"a detail of another preset":      {"GitLab", []string{"tenant", contoso}, []string{"tenant: unknown key"}},
		"a preset that is not there":      {"Entra", []string{"tenant", contoso}, []string{"preset: must be one of: "}},
		"one tenant":                      {"EntraID", []string{"tenant", strings.ToUpper(contoso)}, nil},
		"personal accounts":               {"EntraID", []string{"tenant", "consumers"}, nil},
		"everybody, said so":              {"EntraID", []string{"tenant", "common", "allowed_tenants", "*"}, nil},
		"another cloud":                   {"EntraID", []string{"tenant", contoso, "authority_host", "https://login.partner.microsoftonline.cn"}, nil},
		"Okta's own authorization server": {"Okta", []string{"domain", "example.okta.com", "authorization_server", "org"}, nil},
		"GitLab of one's own":             {"GitLab", []string{"oidc_issuer", "https://gitlab.example.com"}, nil},
		"LinkedIn":                        {"LinkedIn", nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := pool.Details{"client_id": secret.New(clientID), "client_secret": secret.New(clientSecret), "preset": secret.New(test.preset)}
			for pair := range slices.Chunk(test.details, 2) {
				d[pair[0]] = secret.New(pair[1])
			}
			v, faults := social.OIDC(d)
			if len(faults) == 0 {
				faults = v.Validate(d, false)
			}
			ok := len(faults) == len(test.want)
			for i := 0; ok && i < len(faults); i++ {
				ok = strings.HasPrefix(faults[i].Error(), test.want[i])
			}
			if !ok {
				t.Errorf("faults %v, want %q", faults, test.want)
			}
		})
	}
}
