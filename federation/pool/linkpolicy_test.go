package pool_test

import (
	"errors"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

func TestLinkingSettingsAreRefusedWithWhatToChange(t *testing.T) {
	for name, c := range map[string]struct {
		details, mapping attrs
		kind, want       string // want is part of a problem, "" for none
	}{
		"none":                            {details: attrs{"link_users": "none"}},
		"email":                           {details: attrs{"link_users": "email", "trusted_domains": "example.com  sub.example.com"}},
		"email without domains":           {details: attrs{"link_users": "email"}, want: "email needs trusted_domains: the e-mail domains that this provider may speak for"},
		"domains without a policy":        {details: attrs{"trusted_domains": "example.com"}},
		"attribute":                       {details: attrs{"link_users": "attribute:custom:employee"}},
		"attribute of a SAML provider":    {details: attrs{"link_users": "attribute:custom:employee"}, kind: "SAML"},
		"attribute of Google":             {details: attrs{"link_users": "attribute:custom:employee"}, kind: "Google", want: "types OIDC and SAML"},
		"another word":                    {details: attrs{"link_users": "Email"}, want: "must be none, email, ask"},
		"with a space":                    {details: attrs{"link_users": " none"}, want: "must be none, email, ask"},
		"attribute without a name":        {details: attrs{"link_users": "attribute:"}, want: "must be none, email, ask"},
		"attribute email":                 {details: attrs{"link_users": "attribute:email"}, want: "use email, which asks for the domains"},
		"attribute nobody has":            {details: attrs{"link_users": "attribute:custom:other"}, want: "must name a custom attribute"},
		"attribute that is not searched":  {details: attrs{"link_users": "attribute:nickname"}, want: "must name a custom attribute"},
		"attribute that people share":     {details: attrs{"link_users": "attribute:name"}, want: "tells people apart"},
		"attribute that is the user name": {details: attrs{"link_users": "attribute:username"}, want: "must name a custom attribute"},
		"attribute that is a status":      {details: attrs{"link_users": "attribute:status"}, want: "must name a custom attribute"},
		"attribute that is not mapped":    {details: attrs{"link_users": "attribute:preferred_username"}, want: "from a claim"},
		"attribute from a constant":       {details: attrs{"link_users": "attribute:custom:employee"}, mapping: attrs{"custom:employee": "=1"}, want: "from a claim"},
		"attribute from an expression":    {details: attrs{"link_users": "attribute:custom:employee"}, mapping: attrs{"custom:employee": "[cel] claims.a"}, want: "from a claim"},
		"phone number without its flag":   {details: attrs{"link_users": "attribute:phone_number"}, mapping: attrs{"phone_number": "phone"}, want: "needs the attribute phone_number_verified"},
		"phone number":                    {details: attrs{"link_users": "attribute:phone_number"}, mapping: attrs{"phone_number": "phone", "phone_number_verified": "pv"}},
		"email from an expression": {details: attrs{"link_users": "email", "trusted_domains": "example.com"}, mapping: attrs{"email": "[cel] claims.upn"},
			want: "needs the attribute email in AttributeMapping"},
		"email without email_verified": {details: attrs{"link_users": "email", "trusted_domains": "example.com"}, mapping: attrs{"email_verified": ""},
			want: "an address that nobody has verified links nobody"},
		"nOAuth: email_verified from a constant, and tenants of anybody": {
			details: attrs{"link_users": "email", "trusted_domains": "example.com", "preset": "EntraID", "tenant": "Common"}, mapping: attrs{"email_verified": "=true"},
			want: "can put any address into it"},
		"ask":                      {details: attrs{"link_users": "ask"}, want: "ask is not possible yet"},
		"a wildcard":               {details: attrs{"trusted_domains": "*.example.com"}, want: "a domain stands for itself only"},
		"an address":               {details: attrs{"trusted_domains": "jane@example.com"}, want: "must be e-mail domains"},
		"a top-level domain":       {details: attrs{"trusted_domains": "com"}, want: "must be e-mail domains"},
		"with the root":            {details: attrs{"trusted_domains": "example.com."}, want: "must be e-mail domains"},
		"in full-width letters":    {details: attrs{"trusted_domains": "\uff45xample.com"}, want: "must be e-mail domains"},
		"separated by commas":      {details: attrs{"trusted_domains": "example.com,example.org"}, want: "must be e-mail domains"},
		"proven in another way":    {details: attrs{"trusted_domains": "example.com/http"}, want: "must be e-mail domains"},
		"twice, once in Unicode":   {details: attrs{"trusted_domains": "b\u00fccher.example xn--bcher-kva.example"}, want: "names a domain twice"},
		"too long for the proof":   {details: attrs{"trusted_domains": strings.Repeat("a23456789.", 24) + "example"}, want: "must be e-mail domains"},
		"too many":                 {details: attrs{"trusted_domains": strings.Repeat("example.com ", 51)}, want: "at most 50"},
		"sources without a policy": {details: attrs{"link_sources": "Other"}, want: "needs link_users: email"},
		"itself as a source":       {details: attrs{"link_users": "email", "trusted_domains": "example.com", "link_sources": "CORP"}, want: "not this one"},
		"a source that is no name": {details: attrs{"link_users": "email", "trusted_domains": "example.com", "link_sources": "a_b"}, want: "names of other providers"},
		"a source":                 {details: attrs{"link_users": "email", "trusted_domains": "example.com", "link_sources": "Other"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t)
			p, _ := l.withPool(t, pool.SchemaSpec{Name: "employee"})
			ip := pool.IdentityProvider{PoolID: p.ID, Name: "Corp", Type: "OIDC", Details: details(c.details), AttributeMapping: claims()}
			if c.kind != "" {
				ip.Type, ip.Name = c.kind, c.kind
			}
			maps.Copy(ip.AttributeMapping, c.mapping)
			maps.DeleteFunc(ip.AttributeMapping, func(_, v string) bool { return v == "" })
			var err error
			if c.kind == "" {
				_, err = l.UpdateProvider(t.Context(), ip)
			} else {
				_, err = l.CreateProvider(t.Context(), ip)
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && !strings.Contains(problemsOf(t, err), c.want):
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTrustedDomainsThatAProviderCanHardlySpeakForAreWarnedOf(t *testing.T) {
	p := fullPool()
	p.Schema = pool.StandardSchema()
	for name, c := range map[string]struct {
		kind          string
		details       attrs
		verified      string
		warned, clean string
	}{
		"a public mail domain":                     {kind: "OIDC", details: attrs{"trusted_domains": "gmail.com"}, warned: "anybody can have an address"},
		"Google's own":                             {kind: "Google", details: attrs{"trusted_domains": "gmail.com googlemail.com"}, clean: "trusted_domains"},
		"Google for somebody's":                    {kind: "Google", details: attrs{"trusted_domains": "example.com"}, warned: "say so with hd"},
		"Google for a Workspace":                   {kind: "Google", details: attrs{"trusted_domains": "example.com", "hd": "Example.com"}, clean: "trusted_domains"},
		"Google for any Workspace":                 {kind: "Google", details: attrs{"trusted_domains": "example.com", "hd": "*"}, warned: "say so with hd"},
		"Apple's own":                              {kind: "SignInWithApple", details: attrs{"trusted_domains": "icloud.com"}, clean: "trusted_domains"},
		"a constant vouches for every address":     {kind: "SAML", details: attrs{}, verified: "=true", warned: "whoever can choose their address there"},
		"the provider's claim vouches for itself ": {kind: "SAML", details: attrs{}, clean: "link_users"},
	} {
		t.Run(name, func(t *testing.T) {
			d := attrs{"link_users": "email", "trusted_domains": "corp.example"}
			maps.Copy(d, c.details)
			ip := pool.IdentityProvider{PoolID: p.ID, Name: c.kind, Type: c.kind, Details: details(d), AttributeMapping: attrs{"email": "email", "email_verified": "email_verified"}}
			if c.verified != "" {
				ip.AttributeMapping["email_verified"] = c.verified
			}
			if ip.Name == "OIDC" || ip.Name == "SAML" {
				ip.Name = "Corp"
			}
			problems, warnings := pool.ValidateProvider(ip, p)
			if len(problems) != 0 {
				t.Fatal(lines(problems))
			}
			got := lines(warnings)
			if c.warned != "" && !strings.Contains(got, c.warned) || c.clean != "" && strings.Contains(got, "["+c.clean+"]") {
				t.Errorf("warnings %s", got)
			}
		})
	}
}

// A domain is one provider's, be it as a trusted domain or as an identifier, in each of its forms.
func TestADomainBelongsToOneProvider(t *testing.T) {
	l := newPolicies(t)
	for name, ip := range map[string]pool.IdentityProvider{
		"trusted by another":                {Details: details(attrs{"trusted_domains": "other.example Example.com"})},
		"an identifier of another":          {Identifiers: []string{"EXAMPLE.com"}},
		"trusted, as its A-label":           {Details: details(attrs{"trusted_domains": "xn--bcher-kva.example"})},
		"an identifier, as its A-label":     {Identifiers: []string{"xn--bcher-kva.example"}},
		"proven by DNS, which is no matter": {Details: details(attrs{"trusted_domains": "example.com/dns"})},
	} {
		ip.PoolID, ip.Name, ip.Type, ip.AttributeMapping = l.p.ID, "New", "OIDC", claims()
		if strings.Contains(ip.Details.Get("trusted_domains"), "/dns") {
			record(t, l, ip)
		}
		if _, err := l.CreateProvider(t.Context(), ip); !errors.Is(err, pool.ErrTaken) || !strings.Contains(err.Error(), "identifiers or trusted domains") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One provider may have it as both.
	if _, err := l.ChangeProvider(t.Context(), l.p.ID, "Corp", pool.ProviderChange{Identifiers: []string{"example.com"}}); err != nil {
		t.Error(err)
	}
	// A file is told before anything is written.
	plan, err := l.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "two", IdentityProviders: []pool.ProviderSpec{
		{ProviderName: "A", ProviderType: "OIDC", ProviderDetails: details(attrs{"trusted_domains": "example.com"})},
		{ProviderName: "B", ProviderType: "OIDC", ProviderDetails: details(attrs{"trusted_domains": "EXAMPLE.com/dns"})},
		{ProviderName: "C", ProviderType: "OIDC", IdpIdentifiers: []string{"example.com"}},
	}}}})
	if got := problemsOf(t, err); strings.Count(got, "another identity provider") != 2 {
		t.Errorf("%s, %+v", got, plan)
	}
}

// A trusted domain says for whom the provider may speak, and not whom to send there.
func TestATrustedDomainIsNoIdentifier(t *testing.T) {
	l := newPolicies(t)
	if _, err := l.ProviderByIdentifier(t.Context(), l.p.ID, "example.com"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := l.ChangeProvider(t.Context(), l.p.ID, "Corp", pool.ProviderChange{Identifiers: []string{"example.com"}}); err != nil {
		t.Fatal(err)
	}
	if ip, err := l.ProviderByIdentifier(t.Context(), l.p.ID, "EXAMPLE.com"); err != nil || ip.Name != "Corp" {
		t.Errorf("%+v, %v", ip, err)
	}
}

var published = regexp.MustCompile(`(_weir-domain\.\S+) TXT "(weir-domain=[0-9a-f]{40})"`)

// record publishes what the refusal of the provider asks for.
func record(t *testing.T, l *policies, ip pool.IdentityProvider) map[string][]string {
	t.Helper()
	l.dns.set(nil, nil)
	_, err := l.CreateProvider(t.Context(), ip)
	m := published.FindStringSubmatch(problemsOf(t, err))
	if m == nil {
		t.Fatalf("the refusal does not say what to publish: %v", err)
	}
	records := map[string][]string{m[1] + ".": {"v=spf1 -all", m[2]}}
	l.dns.set(records, nil)
	return records
}

func TestADomainIsProvenByDNSWhenItIsSaved(t *testing.T) {
	l := newPolicies(t)
	ip := pool.IdentityProvider{PoolID: l.p.ID, Name: "New", Type: "OIDC", AttributeMapping: claims(),
		Details: details(attrs{"link_users": "email", "trusted_domains": "proven.example/dns"})}
	l.dns.set(nil, errors.New("server misbehaving"))
	_, err := l.CreateProvider(t.Context(), ip)
	wantCode(t, err, fault.Unavailable)
	records := record(t, l, ip)
	// The record of one does not fit another provider, pool or domain.
	other := ip
	other.Name = "Another"
	if _, err := l.CreateProvider(t.Context(), other); !strings.Contains(problemsOf(t, err), "Publish this one") {
		t.Errorf("%v", err)
	}
	if _, err := l.CreateProvider(t.Context(), ip); err != nil {
		t.Fatal(err)
	}
	// What is saved already is not asked for again, so that a secret can be replaced while DNS is away; what is new is.
	l.dns.set(nil, errors.New("server misbehaving"))
	if _, err := l.ChangeProvider(t.Context(), l.p.ID, "New", pool.ProviderChange{Details: details(attrs{"client_id": "x", "link_users": "email", "trusted_domains": "proven.example/dns"})}); err != nil {
		t.Error(err)
	}
	l.dns.set(records, nil)
	_, err = l.ChangeProvider(t.Context(), l.p.ID, "New", pool.ProviderChange{Details: details(attrs{"trusted_domains": "proven.example/dns more.example/dns"})})
	if got := problemsOf(t, err); !strings.Contains(got, "_weir-domain.more.example TXT") || strings.Contains(got, "proven.example TXT") {
		t.Errorf("%s", got)
	}
}

func TestAProvenDomainIsLookedAtWhenItIsUsed(t *testing.T) {
	l := newPolicies(t)
	ip := pool.IdentityProvider{PoolID: l.p.ID, Name: "New", Type: "OIDC", AttributeMapping: claims(),
		Details: details(attrs{"link_users": "email", "trusted_domains": "proven.example/dns"})}
	records := record(t, l, ip)
	ip, err := l.CreateProvider(t.Context(), ip)
	if err != nil {
		t.Fatal(err)
	}
	people := map[string]pool.User{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		people[name] = create(t, l.fixture, l.p, name, verified(name+"@proven.example"))
	}
	// DNS that fails links nobody, and makes no second user. The same sign-in succeeds later.
	l.dns.set(nil, errors.New("server misbehaving"))
	before := l.count(t)
	_, err = l.arrive(ip, "a", verified("a@proven.example"))
	wantCode(t, err, fault.Unavailable)
	// Neither does DNS that says there is no record.
	l.dns.set(map[string][]string{"_weir-domain.proven.example.": {"weir-domain=0000000000000000000000000000000000000000"}}, nil)
	_, err = l.arrive(ip, "a", verified("a@proven.example"))
	if wantCode(t, err, fault.Config); !errors.Is(err, pool.ErrUnprovenDomain) || l.count(t) != before {
		t.Errorf("%v", err)
	}
	l.clock.Add(time.Second)
	l.dns.set(records, nil)
	if r := l.must(t, ip, "a", verified("a@proven.example")); r.User.Sub != people["a"].Sub {
		t.Errorf("%+v", r)
	}
	// The answer is believed for a while.
	asked := l.dns.asked
	l.dns.set(nil, errors.New("server misbehaving"))
	l.must(t, ip, "b", verified("b@proven.example"))
	if l.dns.asked != asked {
		t.Error("DNS was asked again")
	}
	l.clock.Add(5 * time.Minute)
	_, err = l.arrive(ip, "c", verified("c@proven.example"))
	wantCode(t, err, fault.Unavailable)
	// Who would be linked to nobody needs no proof.
	if r := l.must(t, ip, "z", verified("z@proven.example")); !r.Created {
		t.Errorf("%+v", r)
	}
	// A node without a resolver proves nothing.
	l.Resolver = nil
	_, err = l.arrive(ip, "d", verified("d@proven.example"))
	wantCode(t, err, fault.Unavailable)
}

// A plan asks no DNS, and says what to publish where a domain is new.
func TestAPlanSaysWhichRecordsToPublish(t *testing.T) {
	l := newPolicies(t)
	spec := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "file", ID: "local_File00001", IdentityProviders: []pool.ProviderSpec{{
		ProviderName: "Corp", ProviderType: "OIDC", AttributeMapping: claims(), ProviderDetails: details(attrs{"trusted_domains": "proven.example/dns"}),
	}}, Schema: []pool.SchemaSpec{{Name: "employee"}}}}}
	for i, want := range []int{1, 0} {
		plan, err := l.Plan(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := published.FindAllString(lines(plan.Warnings), -1); len(got) != want || l.dns.asked != 0 {
			t.Errorf("plan %d: %s", i, lines(plan.Warnings))
		}
		if err := l.Apply(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
	}
}
