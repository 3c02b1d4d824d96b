package social_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

const readScope = "https://www.googleapis.com/auth/user."

// peopleAPI is a stand-in for the Google People API: it takes the access tokens of the stand-in for Google and answers about their person.
type peopleAPI struct {
	up  *oidctest.Provider
	url string

	mu       sync.Mutex
	person   map[string]any // fields
	resource string         // "" is that of the token's person
	status   int            // 0 is the honest one
	asked    []string       // personFields
}

func startPeople(t *testing.T, up *oidctest.Provider) *peopleAPI {
	t.Helper()
	p := &peopleAPI{up: up, person: map[string]any{}}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.url = srv.URL + "/v1/people/me?personFields="
	return p
}

func (p *peopleAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fields := strings.Split(r.URL.Query().Get("personFields"), ",")
	p.asked = append(p.asked, r.URL.Query().Get("personFields"))
	info := httptest.NewRecorder() // who the token belongs to, as the provider says
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "/userinfo", nil)
	if err == nil {
		ask.Header.Set("Authorization", r.Header.Get("Authorization"))
		p.up.ServeHTTP(info, ask)
	}
	var who struct{ Sub string }
	switch {
	case err != nil || json.Unmarshal(info.Body.Bytes(), &who) != nil || info.Code != http.StatusOK:
		http.Error(w, `{"error":{"code":401,"status":"UNAUTHENTICATED"}}`, http.StatusUnauthorized)
		return
	case p.status != 0:
		http.Error(w, `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`, p.status)
		return
	}
	answer := map[string]any{"resourceName": "people/" + who.Sub, "etag": "%EgUBLjcPNxoEAQIFBw=="}
	if p.resource != "" {
		answer["resourceName"] = p.resource
	}
	for name, value := range p.person {
		if slices.Contains(fields, name) || name == "email" || name == "email_verified" || name == "hd" {
			answer[name] = value
		}
	}
	_ = json.NewEncoder(w).Encode(answer) // whoever went away needs no answer
}

func (p *peopleAPI) set(change func()) { p.mu.Lock(); defer p.mu.Unlock(); change() }

func (p *peopleAPI) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// peopleSpec maps the usual attributes. The scopes are those of the words.
func peopleSpec(up *oidctest.Provider, p *peopleAPI, scopes []string, pairs ...string) pool.ProviderSpec {
	all := []string{"openid", "email", "profile"}
	for _, s := range scopes {
		all = append(all, readScope+s+".read")
	}
	out := googleSpec(up, append([]string{"authorize_scopes", strings.Join(all, " "), "attributes_url", p.url}, pairs...)...)
	maps.Copy(out.AttributeMapping, map[string]string{
		"birthdate": "birthdate", "gender": "gender", "phone_number": "phone_number", "phone_number_verified": "phone_number_verified",
		"address": "address.formatted", "nickname": "nicknames[0].value",
	})
	delete(out.AttributeMapping, "picture")
	return out
}

func birthday(primary bool, year, month, day int) map[string]any {
	date := map[string]any{}
	for name, n := range map[string]int{"year": year, "month": month, "day": day} {
		if n != 0 {
			date[name] = n
		}
	}
	return map[string]any{"metadata": map[string]any{"primary": primary}, "date": date}
}

func TestGoogleAttributesOfThePeopleAPI(t *testing.T) {
	clock := servertest.NewClock()
	up := google(t, clock)
	p := startPeople(t, up)
	p.person = map[string]any{
		"birthdays":      []any{birthday(true, 0, 12, 10), birthday(false, 1985, 12, 10)},
		"genders":        []any{map[string]any{"value": "female"}},
		"phoneNumbers":   []any{map[string]any{"value": "1", "canonicalForm": "+441"}, map[string]any{"value": "2", "canonicalForm": "+442079460000", "metadata": map[string]any{"primary": true}}},
		"names":          []any{map[string]any{"displayName": "Somebody Else"}},
		"email":          "mallory@example.com",
		"email_verified": true,
		"hd":             "evil.example",
	}
	w := start(t, clock, peopleSpec(up, p, []string{"birthday", "gender", "phonenumbers"}))
	for range 2 {
		signInAs(t, w, "Google", "ada")
	}
	oneUser(t, w, map[string]string{
		"email": "ada@example.com", "email_verified": "true", "name": "Ada Lovelace", "birthdate": "1985-12-10", "gender": "female",
		"phone_number": "+442079460000", "phone_number_verified": "false",
	})
	if got := p.requests(); !slices.Equal(got, []string{"birthdays,genders,phoneNumbers", "birthdays,genders,phoneNumbers"}) {
		t.Errorf("personFields %q", got)
	}
}

// The ID token's word for a telephone number that it does not have must not vouch for one that the person has typed.
func TestGoogleVouchesForNothingOfThePeopleAPI(t *testing.T) {
	clock := servertest.NewClock()
	up := google(t, clock)
	up.Set(oidctest.Faults{IDToken: func(claims map[string]any) { claims["phone_number_verified"] = true; delete(claims, "email") }})
	p := startPeople(t, up)
	p.person = map[string]any{
		"phoneNumbers": []any{map[string]any{"canonicalForm": "+442079460000"}}, "emailAddresses": []any{map[string]any{"value": "mallory@example.com"}},
		"email": "mallory@example.com",
	}
	w := start(t, clock, peopleSpec(up, p, []string{"phonenumbers", "emails"}))
	signInAs(t, w, "Google", "ada")
	oneUser(t, w, map[string]string{"name": "Ada Lovelace", "phone_number": "+442079460000", "phone_number_verified": "false"})
}

func TestGoogleAsksThePeopleAPIWhereItIsToBeAsked(t *testing.T) {
	tests := map[string]struct {
		scopes  []string
		details []string
		fields  string // that the address has
		granted string // "": all that were asked for
		want    []string
	}{
		"not without a scope that opens anything": {},
		"for what the scopes open":                {scopes: []string{"gender", "birthday"}, want: []string{"birthdays,genders"}},
		"not for what the person refused":         {scopes: []string{"gender", "birthday"}, granted: "openid " + readScope + "gender.read", want: []string{"genders"}},
		"not where the person refused all":        {scopes: []string{"birthday"}, granted: "openid email"},
		"not where the details say so":            {scopes: []string{"birthday"}, details: []string{"attributes_url_add_attributes", "false"}},
		"for the fields of the address":           {fields: "nicknames", details: []string{"attributes_url_add_attributes", "false"}, want: []string{"nicknames"}},
		"for both, each once":                     {scopes: []string{"birthday"}, fields: "nicknames,birthdays", want: []string{"birthdays,nicknames"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := servertest.NewClock()
			up := google(t, clock)
			if test.granted != "" {
				up.Set(oidctest.Faults{TokenResponse: func(body map[string]any) { body["scope"] = test.granted }})
			}
			p := startPeople(t, up)
			p.url += test.fields
			w := start(t, clock, peopleSpec(up, p, test.scopes, test.details...))
			signInAs(t, w, "Google", "ada")
			if got := p.requests(); !slices.Equal(got, test.want) {
				t.Errorf("personFields %q, want %q", got, test.want)
			}
		})
	}
}

func TestGooglePeopleAPIThatDoesNotAnswerForThePerson(t *testing.T) {
	for name, test := range map[string]struct {
		resource string
		status   int
		log      string
	}{
		"somebody else's":            {"people/110248495921238986421", 0, "oidc: userinfo is about somebody else"},
		"a contact's":                {"people/c110248495921238986420", 0, "oidc: userinfo is about somebody else"},
		"an API that is not enabled": {"", http.StatusForbidden, "PERMISSION_DENIED"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := servertest.NewClock()
			up := google(t, clock)
			p := startPeople(t, up)
			p.resource, p.status = test.resource, test.status
			w := start(t, clock, peopleSpec(up, p, []string{"gender"}))
			wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada")), test.log)
			if list := users(t, w); len(list) != 0 {
				t.Errorf("users %+v", list)
			}
		})
	}
}

func TestGoogleBirthdate(t *testing.T) {
	clock := servertest.NewClock()
	up := google(t, clock)
	p := startPeople(t, up)
	for name, test := range map[string]struct {
		birthdays any
		want      string // "": none
	}{
		"a day":                               {[]any{birthday(true, 1985, 2, 3)}, "1985-02-03"},
		"the whole one of two":                {[]any{birthday(true, 0, 2, 3), birthday(false, 1985, 2, 3)}, "1985-02-03"},
		"without a year":                      {[]any{birthday(true, 0, 2, 29)}, "0000-02-29"},
		"a year alone":                        {[]any{birthday(true, 1985, 0, 0)}, ""},
		"a month alone":                       {[]any{birthday(true, 1985, 2, 0)}, ""},
		"a day that is none":                  {[]any{birthday(true, 1985, 2, 29)}, ""},
		"a month that is none":                {[]any{birthday(true, 1985, 13, 1)}, ""},
		"a year of five digits":               {[]any{birthday(true, 19850, 1, 1)}, ""},
		"text alone":                          {[]any{map[string]any{"text": "3 February"}}, ""},
		"no list":                             {map[string]any{"date": "1985-02-03"}, ""},
		"entries of a list that are no dates": {[]any{nil, "1985-02-03", birthday(false, 1985, 2, 3)}, "1985-02-03"},
	} {
		t.Run(name, func(t *testing.T) {
			p.set(func() { p.person = map[string]any{"birthdays": test.birthdays} })
			w := start(t, clock, peopleSpec(up, p, []string{"birthday"}))
			signInAs(t, w, "Google", "ada")
			want := map[string]string{"email": "ada@example.com", "email_verified": "true", "name": "Ada Lovelace"}
			if test.want != "" {
				want["birthdate"] = test.want
			}
			oneUser(t, w, want)
		})
	}
}
