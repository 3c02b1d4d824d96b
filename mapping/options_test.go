package mapping_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/mapping"
)

func TestListsTravelAsTheOptionsSay(t *testing.T) {
	for source, rows := range map[string]map[string]string{
		`c`:                   {`["a","b"]`: "[a,b]", `["a"]`: "[a]", `"a"`: "a"},
		`[list=brackets] c`:   {`["a b",null]`: "[a+b]", `"a"`: "a"},
		`[list=json] c`:       {`["a",1,true,null,{"x":[]}]`: `["a",1,true,{"x":[]}]`, `["a"]`: `["a"]`, `"a"`: `["a"]`, `7`: `[7]`, `[]`: "[]", `{"a":1}`: `[{"a":1}]`, `""`: "", `[""]`: ""},
		`[list=first] c`:      {`["a","b"]`: "a", `[null,"","b"]`: "b", `"a"`: "a", `[]`: "", `[["x"]]`: `["x"]`, `{"a":1}`: `{"a":1}`},
		`[list=", "] c`:       {`["a","b"]`: "a, b", `["a",null,"",2]`: "a, 2", `"a"`: "a", `[]`: ""},
		`[ list = "]" ] c`:    {`["a","b"]`: "a]b"},
		`[list="\\u0000"] c`:  {`["a"]`: "a"},
		`[list=""] c`:         {`["a","b"]`: "ab"},
		`[list=json] ["c"]`:   {`["a"]`: `["a"]`},
		`[list=json]c[0]`:     {`["a"]`: `["a"]`},
		`[cel,list=json] c`:   nil,
		`[list=json] = const`: {`["a"]`: "const"},
	} {
		if rows == nil {
			continue
		}
		for value, want := range rows {
			r := compiledRules(t, map[string]string{"a": source}).Apply(claims(t, `{"c": `+value+`}`))
			if got, written := r.Attributes["a"]; got != want || written != (want != "") || r.Err() != nil {
				t.Errorf("%s of %s: %q (%+v), want %q", source, value, got, r.Steps, want)
			}
		}
	}
	long := mapping.Claims{"c": slices.Repeat([]any{strings.Repeat("x", 100)}, 21)}
	for _, source := range []string{"[list=json] c", `[list=","] c`, `[cel] join(claims.c, "")`} {
		if r := compiledRules(t, map[string]string{"a": source}).Apply(long); r.Err() == nil || r.Steps[0].Outcome != mapping.TooLong {
			t.Errorf("%s: %+v", source, r.Steps)
		}
	}
}

func TestWhenRulesWrite(t *testing.T) {
	known := map[string]string{"a": "old"}
	for _, row := range []struct {
		name, source, claims string
		in                   mapping.Input
		want                 string
		outcome              mapping.Outcome
	}{
		{"always", "[write=always] c", `{"c":"new"}`, mapping.Input{User: known}, "new", mapping.Written},
		{"first, at the first sign-in", "[write=first] c", `{"c":"new"}`, mapping.Input{First: true}, "new", mapping.Written},
		{"first, of an identity that is linked to a user", "[write=first] c", `{"c":"new"}`, mapping.Input{First: true, User: known}, "new", mapping.Written},
		{"first, later", "[write=first] c", `{"c":"new"}`, mapping.Input{User: known}, "", mapping.Kept},
		{"first, later, without a value", "[write=first] c", `{"c":"new"}`, mapping.Input{}, "", mapping.Kept},
		{"first, later, equal", "[write=first] c", `{"c":"old"}`, mapping.Input{User: known}, "old", mapping.Written},
		{"first, later, an expression that fails", "[cel, write=first] claims.x", `{}`, mapping.Input{User: known}, "", mapping.Kept},
		{"first, an expression that fails", "[cel, write=first] claims.x", `{}`, mapping.Input{First: true}, "", mapping.Failed},
		{"empty, with a value", "[write=empty] c", `{"c":"new"}`, mapping.Input{User: known, First: true}, "", mapping.Kept},
		{"empty, without", "[write=empty] c", `{"c":"new"}`, mapping.Input{User: map[string]string{"b": "x"}}, "new", mapping.Written},
		{"unedited, edited", "[write=unedited] c", `{"c":"new"}`, mapping.Input{User: known, Edited: []string{"a"}}, "", mapping.Kept},
		{"unedited, taken away by an administrator", "[write=unedited] c", `{"c":"new"}`, mapping.Input{Edited: []string{"a"}}, "", mapping.Kept},
		{"unedited, another one edited", "[write=unedited] c", `{"c":"new"}`, mapping.Input{User: known, Edited: []string{"b"}}, "new", mapping.Written},
		{"absent is kept", "c", `{}`, mapping.Input{User: known}, "", mapping.Absent},
		{"absent=keep", "[absent=keep] c", `{}`, mapping.Input{User: known}, "", mapping.Absent},
		{"absent=clear", "[absent=clear] c", `{"c":null}`, mapping.Input{User: known}, "", mapping.Cleared},
		{"absent=clear of an expression", `[cel, absent=clear] claims.?c.orValue("")`, `{}`, mapping.Input{User: known}, "", mapping.Cleared},
		{"absent=clear, with a value", "[absent=clear] c", `{"c":"new"}`, mapping.Input{User: known}, "new", mapping.Written},
		{"absent=clear, edited", "[absent=clear, write=unedited] c", `{}`, mapping.Input{User: known, Edited: []string{"a"}}, "", mapping.Kept},
		{"absent=clear, later", "[absent=clear, write=first] c", `{}`, mapping.Input{User: known}, "", mapping.Kept},
		{"a constant", "[write=empty] = x", `{}`, mapping.Input{User: known}, "", mapping.Kept},
		{"a constant of an empty attribute", "[write=empty] = x", `{}`, mapping.Input{}, "x", mapping.Written},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.in.Claims = claims(t, row.claims)
			r := compiledRules(t, map[string]string{"a": row.source}).Evaluate(row.in)
			if r.Attributes["a"] != row.want || r.Steps[0].Outcome != row.outcome || r.Steps[0].Claim != row.source {
				t.Errorf("got %q, %+v", r.Attributes["a"], r.Steps)
			}
			if cleared := slices.Equal(r.Clear, []string{"a"}); cleared != (row.outcome == mapping.Cleared) || (!cleared && len(r.Clear) > 0) {
				t.Errorf("clear %q", r.Clear)
			}
			if row.outcome != mapping.Written && r.Steps[0].Note == "" {
				t.Error("no reason")
			}
		})
	}
}

// Whatever the rules are: nobody's address is verified unless the provider says so of the address that it sent, or the administrator vouches.
func TestVerifiedFlagsOfExpressions(t *testing.T) {
	stored := map[string]string{"email": "old@example.com", "email_verified": "true", "custom:alt": "alt@example.com"}
	for name, row := range map[string]struct{ email, flag, json, want string }{
		"true":                                 {"email", "[cel] claims.email_verified", `{"email":"a@b","email_verified":true}`, "true"},
		"of text":                              {"email", "[cel] claims.email_verified", `{"email":"a@b","email_verified":"true"}`, "true"},
		"another spelling":                     {"email", "[cel] claims.email_verified", `{"email":"a@b","email_verified":"True"}`, "false"},
		"a number":                             {"email", "[cel] claims.email_verified", `{"email":"a@b","email_verified":1}`, "false"},
		"a list":                               {"email", "[cel] [claims.email_verified]", `{"email":"a@b","email_verified":true}`, "false"},
		"the first of a list":                  {"email", "[cel, list=first] claims.email_verified", `{"email":"a@b","email_verified":["true"]}`, "true"},
		"absent":                               {"email", "[cel] claims.?email_verified", `{"email":"a@b"}`, ""},
		"without an address":                   {"email", "[cel] true", `{}`, ""},
		"of another address":                   {"[cel] claims.upn", "email_verified", `{"email":"a@b","upn":"c@d","email_verified":true}`, "false"},
		"of another address, both expressions": {"[cel] claims.upn", "[cel] claims.email_verified", `{"email":"a@b","upn":"c@d","email_verified":true}`, "false"},
		"of another address, by an index":      {"upn", `[cel] claims["email_" + "verified"]`, `{"email":"a@b","upn":"c@d","email_verified":true}`, "false"},
		"of another address, by a path":        {"upn", `["email_verified"]`, `{"email":"a@b","upn":"c@d","email_verified":true}`, "false"},
		"of another address, with options":     {"[list=first] upn", `[write=always] email_verified`, `{"email":"a@b","upn":"c@d","email_verified":true}`, "false"},
		"of the address in small letters":      {"[cel] claims.email.lowerAscii()", "email_verified", `{"email":"A@B","email_verified":true}`, "true"},
		"of a claim in other letters":          {"upn", "email_verified", `{"email":"A@B","upn":"a@b","email_verified":true}`, "false"},
		"of the user's own address":            {`[cel] user.email`, "email_verified", `{"email_verified":true}`, ""},
		"of another attribute's value":         {`[cel] user["custom:alt"]`, "[cel] claims.upn_ok", `{"upn_ok":true}`, ""},
		"of the user's or the provider's":      {`[cel] claims.?email.orValue(user.email)`, "email_verified", `{"email":"a@b","email_verified":true}`, "true"},
		"of one that is not written":           {"[write=empty] email", "email_verified", `{"email":"a@b","email_verified":true}`, ""},
		"of one that is there already":         {"[write=empty] email", "email_verified", `{"email":"old@example.com","email_verified":false}`, "false"},
		"of one that is taken away":            {"[absent=clear] email", "[cel] true", `{}`, ""},
		"by another claim":                     {"email", `[cel] claims.idp == "corp"`, `{"email":"a@b","idp":"corp"}`, "true"},
		"by the domain":                        {"email", `[cel] claims.email.endsWith("@corp.example")`, `{"email":"a@corp.example.evil"}`, "false"},
	} {
		t.Run(name, func(t *testing.T) {
			r := compiledRules(t, map[string]string{"email": row.email, "email_verified": row.flag}).Evaluate(mapping.Input{Claims: claims(t, row.json), User: stored})
			if got := r.Attributes["email_verified"]; got != row.want || r.Err() != nil {
				t.Errorf("got %q, want %q: %+v", got, row.want, r.Steps)
			}
		})
	}
	if _, err := mapping.Compile(map[string]string{"email_verified": `[cel] user.email_verified == "true"`}); err == nil || !strings.Contains(err.Error(), "may not read user") {
		t.Errorf("a flag that follows from the user: %v", err)
	}
	r := compiledRules(t, map[string]string{"email": "email", "email_verified": "[cel] claims.missing"}).Apply(claims(t, `{}`))
	if r.Err() == nil {
		t.Error("a flag that fails is no flag that is withheld")
	}
}

func TestRulesThatVouch(t *testing.T) {
	for source, want := range map[string]string{
		"email_verified": "", "= true": "a constant vouches for whatever email", "= false": "a constant", "[write=first] = true": "a constant",
		"[cel] true": "reads no claim", `[cel] provider.name == "Corp"`: "reads no claim", "[cel] claims.email_verified": "",
		"[cel] claims.email_verified || true": "says nothing", `[cel] claims.?email_verified.orValue(true)`: "says nothing",
		`[cel] !has(claims.email_verified) || claims.email_verified == true`: "says nothing", `[cel] claims.?email_verified.orValue(false)`: "",
	} {
		got := compiledRules(t, map[string]string{"email_verified": source, "name": "= x"}).Vouching(mapping.Provider{Name: "Corp", Type: "OIDC"})
		if (want == "") != (len(got) == 0) || !strings.Contains(got["email_verified"], want) {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

func TestClaimsAndTextsOfRulesWithOptions(t *testing.T) {
	r := compiledRules(t, map[string]string{
		"a": `[cel] claims.one + claims["two"] + claims.?three.orValue("") + (has(claims.four) ? "" : "")`, "b": "[write=first] five.x", "c": "[list=json] six", "d": "[list=first] = x",
	})
	if got := r.Claims(); !slices.Equal(got, []string{"five", "four", "one", "six", "three", "two"}) {
		t.Errorf("claims %q", got)
	}
	// Who is known by a claim is known by what the provider says, and by no rule's idea of it.
	if got := r.Texts(mapping.Claims{"one": "1", "two": "2", "five": map[string]any{"x": "5"}, "six": "6"}); len(got) != 0 {
		t.Errorf("texts %v", got)
	}
	for source, want := range map[string]bool{"a": true, `["a"].b`: true, "= a": false, "": false, "[cel] claims.a": false, "[list=first] a": false} {
		if mapping.IsClaim(source) != want {
			t.Errorf("%q", source)
		}
	}
}

// FuzzExpression holds, for any expression and any claims: no panic, the same result twice, the input as it was, values within their limit, and no
// word of an address that the provider did not send.
func FuzzExpression(f *testing.F) {
	f.Add(`{"a": {"b": ["c", 1e5, null]}, "email": "x@y"}`, `claims.a.b.map(x, x)`, `[list=json] a`)
	f.Add(`{"n": 1e999999, "m": 123456789012345678901234567890}`, `claims.n + claims.m`, `[cel] claims.m`)
	f.Add(`{"s": "aaaa"}`, `regex.replace(claims.s, "(a)(a)", "\\2\\1")`, `[cel] claims.s.replace("a", "bb")`)
	f.Add(`{"g": ["x", "y"]}`, `join(claims.g, ", ") + claims.?h.orValue("")`, `[cel, list="|"] claims.g.filter(g, g.matches("x|y")).sort().distinct()`)
	f.Add(`{"a": "b"}`, `user.?email.orValue(claims.a)`, `[cel, write=unedited, absent=clear] first(claims.a)`)
	f.Add(`{"m": {"b": 1, "a": {"c": []}}}`, `claims.m.map(k, k)`, `[cel, list=json] {"x": claims.m, "a": [claims]}`)
	f.Add(`{}`, `claims[claims]`, `[cel] claims.x[?0].or(optional.of(1))`)
	f.Fuzz(func(t *testing.T, text, expression, source string) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var c, before mapping.Claims
		if dec.Decode(&c) != nil || json.Unmarshal([]byte(text), &before) != nil {
			return
		}
		m := map[string]string{"email": "[cel] " + expression, "email_verified": source, "name": source}
		rules, err := mapping.Compile(m)
		if err != nil {
			return
		}
		in := mapping.Input{Claims: c, User: map[string]string{"email": "stored@example.com", "name": "x"}, Edited: []string{"name"}}
		r, again := rules.Evaluate(in), rules.Evaluate(in)
		if !maps.Equal(r.Attributes, again.Attributes) || !slices.Equal(r.Steps, again.Steps) || !slices.Equal(r.Clear, again.Clear) {
			t.Fatalf("two results: %+v and %+v", r, again)
		}
		var after mapping.Claims
		if data, err := json.Marshal(c); err == nil && (json.Unmarshal(data, &after) != nil || !reflect.DeepEqual(before, after)) {
			t.Fatalf("the claims changed: %v, %v", before, after)
		}
		for name, v := range r.Attributes {
			if n := len([]rune(v)); n < 1 || n > 2048 || strings.ToValidUTF8(v, "") != v || slices.Contains(r.Clear, name) {
				t.Fatalf("%s has %d characters", name, n)
			}
		}
		if v, ok := r.Attributes["email_verified"]; ok && r.Attributes["email"] == "" {
			t.Fatalf("email_verified = %q without an email", v)
		}
	})
}
