package pool_test

import (
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
	const worlds = 3000
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
		}
		if herr == nil && (pv.Finds != pool.FindsUser || !reflect.DeepEqual(pv.User, held)) {
			t.Fatalf("world %d: user\n%+v\nis stored as\n%+v", n, pv.User, held)
		}
	}
	for _, what := range []string{"user", "nobody", "linked", "refused invalid", "refused denied"} {
		if seen[what] < worlds/100 {
			t.Errorf("%q came up %d times in %d: %v", what, seen[what], worlds, seen)
		}
	}
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
	r, err := f.SignIn(t.Context(), p, signInOf(t, ip, as, earlier))
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
