package social

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

const googleScopes = "https://www.googleapis.com/auth/"

// opened are the fields of a person in the People API by the scope that opens them (its reference, people.get).
var opened = map[string]string{
	googleScopes + "user.addresses.read":    "addresses",
	googleScopes + "user.birthday.read":     "birthdays",
	googleScopes + "user.emails.read":       "emailAddresses",
	googleScopes + "user.gender.read":       "genders",
	googleScopes + "user.organization.read": "organizations",
	googleScopes + "user.phonenumbers.read": "phoneNumbers",
}

// personFields are the fields that may be asked for: all that are lists of what a person has said of itself.
var personFields = []string{
	"addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "coverPhotos", "emailAddresses", "events", "externalIds", "genders",
	"imClients", "interests", "locales", "locations", "miscKeywords", "names", "nicknames", "occupations", "organizations", "phoneNumbers",
	"photos", "relations", "sipAddresses", "skills", "urls", "userDefined",
}

// people asks the Google People API for what no ID token has. Each field becomes a claim of the field's name, a list with the
// primary entry first: phoneNumbers[0].value. The usual ones become claims of OpenID Connect too: see typed. None of them replaces a claim
// of the ID token, and none is vouched for: they are what the person has typed.
type people struct {
	url    string
	fields []string          // always
	scoped map[string]string // where the scope was granted: see opened
}

// readPeople reads the details. A person may untick each scope, so that only what was granted is asked for.
func readPeople(r *detail.Reader) people {
	p := people{scoped: map[string]string{}}
	if u, err := url.Parse(r.URL("attributes_url")); err == nil {
		q := u.Query()
		p.fields = strings.FieldsFunc(q.Get("personFields"), func(c rune) bool { return c == ',' })
		q.Del("personFields")
		u.RawQuery = q.Encode()
		p.url = u.String()
	}
	for _, field := range p.fields {
		if !slices.Contains(personFields, field) {
			r.Fail("attributes_url", "personFields may contain "+strings.Join(personFields, ", "))
		}
	}
	if r.OneOf("attributes_url_add_attributes", "false", "true") == "false" {
		return p
	}
	for _, scope := range strings.Fields(r.String("authorize_scopes")) {
		if field, ok := opened[scope]; ok {
			p.scoped[scope] = field
		}
	}
	return p
}

// wanted are the fields to ask for with these tokens, sorted; none where nothing was configured or granted.
func (p people) wanted(t federation.UpstreamTokens) []string {
	fields := slices.Clone(p.fields)
	for scope, field := range p.scoped {
		if t.Scope == "" || slices.Contains(strings.Fields(t.Scope), scope) {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

func (p people) ask(ctx context.Context, api *oidc.API, t federation.UpstreamTokens, claims mapping.Claims) (mapping.Claims, error) {
	fields := p.wanted(t)
	if len(fields) == 0 {
		return nil, nil
	}
	person, err := api.Object(ctx, oidc.Call{
		URL: p.url, Query: url.Values{"personFields": {strings.Join(fields, ",")}}, Bearer: t.Access,
	})
	if err != nil {
		return nil, err
	}
	// An account's resource is called after the id that is its sub.
	if name, _ := person["resourceName"].(string); name != "people/"+text(claims["sub"]) {
		return nil, oidc.Refuse(oidc.ErrUserInfoSubject, "the People API answers for another resource")
	}
	out := mapping.Claims{}
	for _, field := range fields {
		if list := primaryFirst(person[field]); len(list) > 0 {
			out[field] = list
		}
	}
	for claim, value := range typed(out) {
		if value != nil && value != "" {
			out[claim] = value
		}
	}
	return out, nil
}

// primaryFirst returns the objects of a list, of which the API guarantees no order but that one is primary.
func primaryFirst(v any) []any {
	list, _ := v.([]any)
	list = slices.DeleteFunc(slices.Clone(list), func(e any) bool { _, ok := e.(map[string]any); return !ok })
	rank := func(e any) int {
		if at(e, "metadata", "primary") == true {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b any) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// typed are the claims of OpenID Connect Core section 5.1 that the fields amount to; "" and nil are absent.
func typed(fields mapping.Claims) mapping.Claims {
	first := func(field string) any {
		if list, _ := fields[field].([]any); len(list) > 0 {
			return list[0]
		}
		return nil
	}
	gender := text(at(first("genders"), "value"))
	if gender == "unspecified" {
		gender = ""
	}
	return mapping.Claims{
		"address":   address(first("addresses")),
		"birthdate": birthdate(fields["birthdays"]),
		"gender":    gender,
		"nickname":  text(at(first("nicknames"), "value")),
		// E.164, as section 5.1 recommends; the value itself is free text.
		"phone_number": text(at(first("phoneNumbers"), "canonicalForm")),
		"website":      text(at(first("urls"), "value")),
	}
}

// address is the claim of section 5.1.1.
func address(v any) any {
	out := map[string]any{}
	for claim, member := range map[string]string{
		"formatted": "formattedValue", "street_address": "streetAddress", "locality": "city", "region": "region",
		"postal_code": "postalCode", "country": "country",
	} {
		if s := text(at(v, member)); s != "" {
			out[claim] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// birthdate is YYYY-MM-DD. Google may have the day twice, once without the year: the whole one counts; alone, it has the year 0000, which
// section 5.1 gives for an omitted one.
func birthdate(birthdays any) string {
	best := ""
	list, _ := birthdays.([]any)
	for _, b := range list {
		year, month, day := number(at(b, "date", "year")), number(at(b, "date", "month")), number(at(b, "date", "day"))
		leap := year
		if year == 0 {
			leap = 2000 // the 29th of February is a birthday
		}
		date := time.Date(leap, time.Month(month), day, 0, 0, 0, 0, time.UTC)
		if year < 0 || year > 9999 || date.Month() != time.Month(month) || date.Day() != day {
			continue
		}
		found := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
		if year > 0 {
			return found
		}
		best = cmp.Or(best, found)
	}
	return best
}

// at returns the member of an object that the names lead to; nil if there is none.
func at(v any, names ...string) any {
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func text(v any) string { s, _ := v.(string); return s }

func number(v any) int {
	n, _ := v.(json.Number)
	i, err := strconv.Atoi(n.String())
	if err != nil {
		return 0
	}
	return i
}
