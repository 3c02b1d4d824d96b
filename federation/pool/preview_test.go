package pool_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// signInOf is the sign-in of an identity with what the provider's rules make of claims.
func signInOf(t *testing.T, ip pool.IdentityProvider, subject string, claims mapping.Claims) pool.SignIn {
	t.Helper()
	rules, err := mapping.Compile(ip.AttributeMapping)
	if err != nil {
		t.Fatal(err)
	}
	return pool.SignIn{Provider: ip, Issuer: "https://idp.example.com", Subject: subject, Exact: rules.Texts(claims),
		Map: func(in mapping.Input) (mapping.Result, error) {
			in.Claims, in.Provider = claims, mapping.Provider{Name: ip.Name, Type: ip.Type}
			r := rules.Evaluate(in)
			if err := r.Err(); err != nil {
				return r, fault.New(fault.Invalid, "An attribute cannot be kept.", err)
			}
			return r, nil
		}}
}

// chance draws worlds for the comparison of previews with sign-ins.
type chance struct{ *rand.Rand }

func pick[T any](c chance, from ...T) T { return from[c.IntN(len(from))] }

var (
	previewed = []string{"email", "email_verified", "phone_number", "phone_number_verified", "name", "birthdate", "nickname", "custom:level", "custom:on", "custom:gone"}
	sources   = []string{
		"a", "b", "c", "d.e", "list[0]", "list", "=true", "=constant", "email", "email_verified", "none", "[write=first] a", "[write=empty] b", "[write=unedited] a",
		"[absent=clear] none", "[absent=clear] c", `[cel] claims.a + "x"`, `[cel] claims.?b.orValue("0")`, `[cel] user.?name.orValue("new")`, "[cel] claims.list[0]",
	}
	texts = []any{"ada@example.com", "Ada@Example.com", "bob@example.com", "+12065550100", "+1 206 555-0100", "1815-12-10", "true", "false", "7", "", "no address",
		strings.Repeat("x", 3000), true, false, nil, 12.0, []any{"p", "q"}, []any{}, map[string]any{"e": "deep"}}
)

// schema is a schema with the attributes that rules may write, under chance constraints.
func (c chance) schema() []pool.SchemaAttribute {
	var out []pool.SchemaAttribute
	for _, name := range previewed[:9] { // custom:gone is not in it
		a := pool.SchemaAttribute{Name: name, DataType: "String", Mutable: c.IntN(4) > 0, Required: c.IntN(8) == 0}
		switch {
		case strings.HasSuffix(name, "_verified"), name == "custom:on":
			a.DataType = "Boolean"
		case name == "custom:level":
			a.DataType = "Number"
		case c.IntN(4) == 0:
			a.String = &pool.StringConstraints{Min: new(c.IntN(3)), Max: new(1 + c.IntN(30))}
		}
		out = append(out, a)
	}
	return out
}

func (c chance) mapping() map[string]string {
	m := map[string]string{}
	for range c.IntN(7) {
		name, source := pick(c, previewed...), pick(c, sources...)
		if _, err := mapping.CompileRule(name, source); err == nil {
			m[name] = source
		}
	}
	return m
}

func (c chance) claims() mapping.Claims {
	out := mapping.Claims{}
	for _, name := range []string{"a", "b", "c", "d", "email", "email_verified", "list"} {
		if c.IntN(3) > 0 {
			out[name] = pick(c, texts...)
		}
	}
	return out
}

// all is everything that is stored.
func (f *fixture) all(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, kind := range []string{"pool", "client", "provider", "user", "group"} {
		for after := ""; ; {
			docs, err := f.engine.List(t.Context(), kind, "", after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				fmt.Fprintf(&b, "%s %s %d %q\n", kind, d.Key, d.Version, d.Body)
			}
			if len(docs) < 1000 {
				break
			}
			after = docs[len(docs)-1].Key
		}
	}
	return b.String()
}

// TestPreviewIsTheSignIn: in any world a preview writes nothing, and says exactly what the sign-in then does.
func TestPreviewIsTheSignIn(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	c := chance{rand.New(rand.NewPCG(7, 11))}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		if _, err := f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	const worlds = 2000
	seen := map[string]int{}
	for n := range worlds {
		subject := fmt.Sprint(n)
		world := p
		awaited := c.populate(t, f, world, ip, subject)
		world.Schema, ip.AttributeMapping = c.schema(), c.mapping()
		claims := c.claims()
		if awaited != "" {
			claims["email"], ip.AttributeMapping["email"] = awaited, "email"
		}
		in := signInOf(t, ip, subject, claims)
		in.Groups = c.groups(t, claims)

		before := ""
		if n%50 == 0 {
			before = f.all(t)
		}
		var pv pool.Preview
		var err error
		if writes := f.writes(func() { pv, err = f.Preview(t.Context(), world, in) }); err != nil || writes != 0 {
			t.Fatalf("world %d: preview: %v, %d writes", n, err, writes)
		}
		if n%50 == 0 && f.all(t) != before {
			t.Fatalf("world %d: a preview changed the store", n)
		}
		held, herr := f.UserByIdentity(t.Context(), world.ID, ip.Name, subject)
		r, err := f.SignIn(t.Context(), world, in)
		switch {
		case fmt.Sprint(err) != fmt.Sprint(pv.Fault):
			t.Fatalf("world %d: preview %v\nsign-in %v", n, pv.Fault, err)
		case err != nil:
			seen["refused "+fault.CodeOf(err).String()]++
			if pv.Problems == nil && pv.After != nil {
				t.Fatalf("world %d: %v, and no attribute is to blame", n, err)
			}
		case !maps.Equal(pv.After, r.User.Attributes) || !slices.Equal(pv.Changed, r.Changed) || len(pv.Problems) > 0:
			t.Fatalf("world %d: preview\n%v %q %v\nsign-in\n%v %q", n, pv.After, pv.Changed, pv.Problems, r.User.Attributes, r.Changed)
		case (pv.Finds == pool.FindsNobody) != r.Created, (pv.Finds == pool.FindsLinked) != (r.Matched != ""):
			t.Fatalf("world %d: finds %q; created %t, matched %q", n, pv.Finds, r.Created, r.Matched)
		default:
			seen[string(pv.Finds)]++
			if got, want := after(pv.Groups), f.groupNames(t, r.User); !slices.Equal(got, want) {
				t.Fatalf("world %d: groups %q, after the sign-in %q", n, got, want)
			}
			if len(after(pv.Groups)) > 0 {
				seen["in groups"]++
			}
		}
		if herr == nil && (pv.Finds != pool.FindsUser || !reflect.DeepEqual(pv.User, held)) {
			t.Fatalf("world %d: user\n%+v\nis stored as\n%+v", n, pv.User, held)
		}
	}
	for _, what := range []string{"user", "nobody", "linked", "refused invalid", "refused denied", "in groups"} {
		if seen[what] < worlds/100 {
			t.Errorf("%q came up %d times in %d: %v", what, seen[what], worlds, seen)
		}
	}
}

// groups are what one of a few sets of group rules makes of claims, or nothing.
func (c chance) groups(t *testing.T, claims mapping.Claims) *mapping.GroupResult {
	t.Helper()
	text := pick(c, "", "alpha <- exact \"p\"\nbeta <- exact \"q\"\n", "gamma <- exact \"p\"\nnowhere <- exact \"q\"\n")
	if text == "" {
		return nil
	}
	rules, faults := mapping.CompileGroupRules("list", text, c.IntN(2) == 0)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	r := rules.Evaluate(claims, mapping.Provider{Name: "Corp", Type: "OIDC"})
	if r.Err() != nil {
		return nil
	}
	return &r
}

// after are the groups that a preview says the user is in then.
func after(groups []pool.PreviewGroup) []string {
	var out []string
	for _, g := range groups {
		if g.After {
			out = append(out, g.Name)
		}
	}
	return out
}

func (f *fixture) groupNames(t *testing.T, u pool.User) []string {
	t.Helper()
	all, err := f.GroupsOf(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, g := range all {
		out = append(out, g.Name)
	}
	slices.Sort(out)
	return out
}

// populate stores who may be there already, and returns the address of whom somebody waits for.
func (c chance) populate(t *testing.T, f *fixture, p pool.Pool, ip pool.IdentityProvider, subject string) (awaited string) {
	t.Helper()
	ip.AttributeMapping = map[string]string{"name": "a", "email": "b", "email_verified": "email_verified", "birthdate": "c"}
	earlier := mapping.Claims{"a": "Ada", "b": pick[any](c, "ada@example.com", "bob@example.com"), "email_verified": c.IntN(2) == 0, "c": "1815-12-10"}
	as := subject
	switch c.IntN(6) {
	case 0, 1: // nobody
		return ""
	case 2: // somebody else, who waits for this identity
		as, awaited = "other-"+subject, subject+"@example.com"
	}
	in := signInOf(t, ip, as, earlier)
	in.Groups = c.groups(t, mapping.Claims{"list": []any{"p", "q"}})
	r, err := f.SignIn(t.Context(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	sub := r.User.Sub
	if c.IntN(4) == 0 {
		if _, err := f.UpdateAttributes(t.Context(), p.ID, sub, attrs{"name": "Admin's"}); err != nil {
			t.Fatal(err)
		}
	}
	if awaited != "" {
		if err := link(t, f, p, r.User.Username, ip.Name, "email", awaited); err != nil {
			t.Fatal(err)
		}
	}
	if c.IntN(8) == 0 {
		if _, err := f.EnableUser(t.Context(), p.ID, sub, false); err != nil {
			t.Fatal(err)
		}
	}
	return awaited
}

// TestPreviewSaysWhatStandsInTheWay: refusals that are not about attributes, and a store that does not answer, which is no preview.
func TestPreviewSaysWhatStandsInTheWay(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	create(t, f, p, "Corp_taken", nil)
	for name, tt := range map[string]struct {
		subject string
		want    fault.Code
	}{
		"the user name is somebody else's": {"taken", fault.Conflict},
		"no subject":                       {"", fault.Upstream},
	} {
		in := signInOf(t, ip, tt.subject, mapping.Claims{"email": "a@example.com"})
		pv, err := f.Preview(t.Context(), p, in)
		_, want := f.SignIn(t.Context(), p, in)
		if err != nil || fault.CodeOf(pv.Fault) != tt.want || pv.Fault.Error() != want.Error() || pv.Finds != pool.FindsNobody {
			t.Errorf("%s: %+v, %v; the sign-in: %v", name, pv, err, want)
		}
	}
	if _, err := f.Preview(t.Context(), pool.Pool{ID: "local_Another01"}, signInOf(t, ip, "1", nil)); fault.CodeOf(err) != fault.Internal {
		t.Errorf("a provider of another pool: %v", err)
	}
	if err := f.engine.Close(); err != nil {
		t.Fatal(err)
	}
	if pv, err := f.Preview(t.Context(), p, signInOf(t, ip, "1", nil)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a store that is closed: %+v, %v", pv, err)
	}
}

// TestPreviewLinksByThePolicy: as it is stored, or as it would be if the provider were saved.
func TestPreviewLinksByThePolicy(t *testing.T) {
	l := newPolicies(t)
	first := l.must(t, l.hr, "h1", attrs{"custom:employee": "4711"})
	said := attrs{"custom:employee": "4711", "name": "Jane"}
	preview := func(r *pool.Rehearsal, ip pool.IdentityProvider) pool.Preview {
		t.Helper()
		pv, err := r.Preview(t.Context(), l.p, pool.SignIn{Provider: ip, Subject: "b1", Attributes: said, Exact: said})
		if err != nil {
			t.Fatal(err)
		}
		return pv
	}
	stored, err := l.Rehearse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if pv := preview(stored, l.badge); pv.Finds != pool.FindsLinked || pv.User.Sub != first.User.Sub || !slices.Contains(pv.Changed, "name") {
		t.Errorf("by the stored policy: %+v", pv)
	}
	// Another rule for the attribute: what it gives is not what the stored mapping gives, so nobody is linked by it until it is saved.
	tested := l.badge.WithRules(attrs{"custom:employee": "badge_no", "name": "name"}, nil)
	in := pool.SignIn{Provider: tested, Subject: "b1", Attributes: said, Exact: said}
	_, want := l.SignIn(t.Context(), l.p, in)
	if _, err := stored.Preview(t.Context(), l.p, in); fault.CodeOf(err) != fault.Unavailable || want == nil || err.Error() != want.Error() {
		t.Errorf("by a mapping that is not stored: %v; the sign-in: %v", err, want)
	}
	saved, err := l.Rehearse(t.Context(), tested)
	if err != nil {
		t.Fatal(err)
	}
	if pv := preview(saved, tested); pv.Finds != pool.FindsLinked || pv.User.Sub != first.User.Sub {
		t.Errorf("as if it were saved: %+v", pv)
	}
	if ip, err := l.ProviderOf(t.Context(), l.p.ID, "Badge"); err != nil || ip.AttributeMapping["custom:employee"] != "employee_id" || l.count(t) != 1 {
		t.Errorf("it was written: %+v, %v", ip, err)
	}
}

// TestPreviewOfSomebodyWhoIsAsked: nobody is told whom the person could be; what is shown is the user of their own.
func TestPreviewOfSomebodyWhoIsAsked(t *testing.T) {
	l := newPolicies(t)
	l.AskPeople = true
	l.change(t, &l.corp, attrs{"link_users": "ask"})
	create(t, l.fixture, l.p, "jane", verified("jane@example.com"))
	said := verified("jane@example.com")
	in := pool.SignIn{Provider: l.corp, Subject: "A1", Attributes: said, Exact: said}
	pv, err := l.Preview(t.Context(), l.p, in)
	var ask *pool.NeedsProof
	if _, serr := l.SignIn(t.Context(), l.p, in); !errors.As(serr, &ask) || err != nil || pv.Finds != pool.FindsAsked || pv.Fault != nil || pv.User.Sub != "" || pv.After["email"] != "jane@example.com" {
		t.Errorf("%+v, %v; the sign-in: %v", pv, err, serr)
	}
}
