package social_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// theEntra is the stand-in for Entra ID of stands.
func theEntra(t *testing.T) stand {
	t.Helper()
	for _, s := range stands() {
		if s.name == "EntraID" {
			return s
		}
	}
	t.Fatal("no stand-in for Entra ID")
	return stand{}
}

func TestEntraIDAdmitsItsTenantsAlone(t *testing.T) {
	tests := map[string]struct {
		allowed string
		tenant  string
		want    string // the error that the application gets; "" is a sign-in
	}{
		"a tenant of the list":     {fabrikam + " " + contoso, contoso, ""},
		"a list in capitals":       {strings.ToUpper(contoso), contoso, ""},
		"another tenant":           {contoso, fabrikam, "access_denied"},
		"everybody":                {"*", fabrikam, ""},
		"everybody, but no tenant": {"*", "common", "invalid_request"},
		"a tenant with a path":     {"*", contoso + "/../" + fabrikam, "invalid_request"},
		"the placeholder":          {"*", "{tenantid}", "invalid_request"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock, s := servertest.NewClock(), theEntra(t)
			s.faults = func(up *oidctest.Provider) oidctest.Faults { return entra(up, test.tenant, nil) }
			s.details = func(up *oidctest.Provider) []string { return entraDetails(up, test.allowed) }
			w := start(t, clock, s.spec(s.start(t, clock)))
			back := w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada"))
			if got := back.Params().Get("error"); got != test.want || (len(users(t, w)) == 1) != (test.want == "") {
				t.Errorf("answer %d to %v: error %q, want %q\n%s", back.Status, back.Location, got, test.want, w.Log.Text())
			}
		})
	}
}

// The claim tid chooses the issuer that the token has to have, and no more: a token cannot be of one tenant by tid and of another by iss.
func TestEntraIDTokenIsOfTheTenantThatItNames(t *testing.T) {
	for name, tid := range map[string]any{"another": contoso, "none": nil, "no text": []string{fabrikam}} {
		t.Run(name, func(t *testing.T) {
			clock, s := servertest.NewClock(), theEntra(t)
			s.faults = func(up *oidctest.Provider) oidctest.Faults {
				f := entra(up, fabrikam, true)
				made := f.IDToken
				f.IDToken = func(claims map[string]any) {
					made(claims)
					if claims["tid"] = tid; tid == nil {
						delete(claims, "tid")
					}
				}
				return f
			}
			w := start(t, clock, s.spec(s.start(t, clock)))
			wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada")), "oidc: issuer")
		})
	}
}

func TestEntraIDOfOneTenant(t *testing.T) {
	for name, test := range map[string]struct {
		tenant string
		ok     bool
	}{"its own people": {contoso, true}, "people of another": {fabrikam, false}} {
		t.Run(name, func(t *testing.T) {
			clock, s := servertest.NewClock(), theEntra(t)
			s.path = "/" + contoso + "/v2.0"
			s.faults = func(up *oidctest.Provider) oidctest.Faults {
				host := strings.TrimSuffix(up.Issuer(), s.path)
				return oidctest.Faults{IDToken: func(claims map[string]any) { claims["iss"], claims["tid"] = host+"/"+test.tenant+"/v2.0", test.tenant }}
			}
			s.details = func(up *oidctest.Provider) []string {
				return []string{"tenant", strings.ToUpper(contoso), "authority_host", strings.TrimSuffix(up.Issuer(), s.path)}
			}
			w := start(t, clock, s.spec(s.start(t, clock)))
			back := w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada"))
			if !test.ok {
				wantRefused(t, w, back, "oidc: issuer")
				return
			}
			w.Web().Code(back)
			if list := users(t, w); len(list) != 1 || !strings.HasSuffix(list[0].Identities[0].Issuer, "/"+contoso+"/v2.0") {
				t.Errorf("users %+v", list)
			}
		})
	}
}

func TestEntraIDVouchesByXmsEdovAlone(t *testing.T) {
	for name, test := range map[string]struct {
		edov any
		want string
	}{
		"absent":     {nil, "false"},
		"true":       {true, "true"},
		"text true":  {"true", "true"},
		"number":     {1, "true"},
		"text one":   {"1", "true"},
		"false":      {false, "false"},
		"zero":       {0, "false"},
		"text zero":  {"0", "false"},
		"True":       {"True", "false"},
		"a list":     {[]any{true}, "false"},
		"an object":  {map[string]any{"1": true}, "false"},
		"empty text": {"", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			clock, s := servertest.NewClock(), theEntra(t)
			s.faults = func(up *oidctest.Provider) oidctest.Faults { return entra(up, contoso, test.edov) }
			up := s.start(t, clock)
			w := start(t, clock, s.spec(up))
			signInAs(t, w, s.name, "ada")
			want := map[string]string{"email": "ada@example.com", "email_verified": test.want, "name": "Ada Lovelace"}
			if list := users(t, w); len(list) != 1 || !maps.Equal(list[0].Attributes, want) {
				t.Errorf("users %+v, want %v", list, want)
			}
			if n := len(up.Requests(oidctest.EndpointUserInfo)); n != 0 {
				t.Errorf("userinfo was asked %d times", n)
			}
		})
	}
}
