package mapping_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/mapping"
)

// claims decodes JSON as the providers do: numbers keep their digits.
func claims(t testing.TB, text string) mapping.Claims {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var c mapping.Claims
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// one applies a single rule for the attribute a.
func one(t testing.TB, source string, c mapping.Claims) (string, mapping.Step) {
	t.Helper()
	rules, err := mapping.Compile(map[string]string{"a": source})
	if err != nil {
		t.Fatal(err)
	}
	r := rules.Apply(c)
	if len(r.Steps) != 1 || r.Steps[0].Attribute != "a" || r.Steps[0].Claim != source {
		t.Fatalf("steps = %+v, want one for the rule a <- %s", r.Steps, source)
	}
	if _, written := r.Attributes["a"]; written != (r.Steps[0].Outcome == mapping.Written) {
		t.Fatalf("attributes %v do not agree with step %+v", r.Attributes, r.Steps[0])
	}
	return r.Attributes["a"], r.Steps[0]
}

func TestSourcesFindTheirClaim(t *testing.T) {
	c := claims(t, `{
		"name": "Ada",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "ada@example.com",
		"https://example.com/roles": ["admin"],
		"urn:oid:1.3.6.1.4.1.5923.1.1.1.6": "eppn",
		"address": {"locality": "London", "region": null, "lines": ["1 Row", "2 Row"]},
		"address.locality": "the name wins",
		"realm_access": {"roles": ["admin", "user"]},
		"odd.name": {"x": "odd", "=y": "equals", "q\"]": "quoted"},
		"=z": "claim z",
		"roles[x]": "brackets",
		"group": "only",
		"a b": {"c d": "spaces"}
	}`)
	for source, want := range map[string]string{
		"name": "Ada",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "ada@example.com",
		"https://example.com/roles":        "[admin]",
		`["https://example.com/roles"][0]`: "admin",
		"urn:oid:1.3.6.1.4.1.5923.1.1.1.6": "eppn",
		"address.locality":                 "the name wins",
		`["address"].locality`:             "London",
		`address["locality"]`:              "London",
		"address.lines[1]":                 "2 Row",
		"realm_access.roles[0]":            "admin",
		"realm_access.roles":               "[admin,user]",
		`["odd.name"].x`:                   "odd",
		`["odd.name"].=y`:                  "equals",
		`["odd.name"]["q\"]"]`:             "quoted",
		`["=z"]`:                           "claim z",
		"roles[x]":                         "brackets", // no path, so a name
		"group[0]":                         "only",     // a plain value is its own first element
		"a b.c d":                          "spaces",
		"= a constant ":                    "a constant",
		"==":                               "=",
	} {
		t.Run(source, func(t *testing.T) {
			if got, step := one(t, source, c); got != want || step.Outcome != mapping.Written {
				t.Errorf("got %q (%+v), want %q", got, step, want)
			}
		})
	}
}

func TestAbsentClaimsWriteNothing(t *testing.T) {
	c := claims(t, `{"null": null, "empty": "", "name": "Ada", "address": {"region": null}, "roles": ["a", null], "none": {}}`)
	for _, source := range []string{
		"missing", "null", "empty", "name.x", "name[1]", "address.region", "address.region.x", "address.region[0]", "address[0]",
		"address.locality", "roles[1]", "roles[2]", "roles.x", "roles[0].x", "none.x", "a..b", "roles[", "roles[01]", "roles[10000]", "roles[-1]",
		"a" + strings.Repeat(".a", 16),
	} {
		t.Run(source, func(t *testing.T) {
			if got, step := one(t, source, c); step.Outcome != mapping.Absent || step.Note == "" {
				t.Errorf("got %q, step %+v, want absent with a reason", got, step)
			}
		})
	}
}

func TestValuesBecomeText(t *testing.T) {
	for _, row := range []struct{ name, json, want string }{
		{"text as it is", `" a,[b] ü "`, " a,[b] ü "},
		{"true", `true`, "true"},
		{"false", `false`, "false"},
		{"integer", `1234567890123456789012345`, "1234567890123456789012345"},
		{"large integer without exponent", `12e20`, "1200000000000000000000"},
		{"fraction", `0.10`, "0.10"},
		{"small with exponent", `-1.5E-3`, "-0.0015"},
		{"exponent within the digits", `123.456e1`, "1234.56"},
		{"exponent to an integer", `1.50e+1`, "15"},
		{"leading zero moved away", `0.05e2`, "5"},
		{"zero with a huge exponent", `0e999999999`, "0"},
		{"list", `["a", "b"]`, "[a,b]"},
		{"list of one", `["a"]`, "[a]"},
		{"empty list", `[]`, "[]"},
		{"list elements are form-encoded", `["a b", "x,y", "ü", ".-*_~", "[1]", "50%", "a+b"]`, "[a+b,x%2Cy,%C3%BC,.-*_%7E,%5B1%5D,50%25,a%2Bb]"},
		{"list of other things", `[1e2, true, null, {"b": 1, "a": [2]}, ["c"]]`, "[100,true,%7B%22a%22%3A%5B2%5D%2C%22b%22%3A1%7D,%5B%22c%22%5D]"},
		{"object in byte order", `{"b": 1e21, "a": ["<x>", null, "q\"\\\n"], "B": false}`, `{"B":false,"a":["<x>",null,"q\"\\\u000a"],"b":1000000000000000000000}`},
		{"2048 characters", `"` + strings.Repeat("ü", 2048) + `"`, strings.Repeat("ü", 2048)},
		{"2048 astral characters", `"` + strings.Repeat("😀", 2048) + `"`, strings.Repeat("😀", 2048)},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, step := one(t, "c", claims(t, `{"c": `+row.json+`}`))
			if got != row.want || step.Outcome != mapping.Written {
				t.Errorf("got %q (%+v), want %q", got, step, row.want)
			}
		})
	}
	if got, _ := one(t, "c", mapping.Claims{"c": 1e21}); got != "1000000000000000000000" {
		t.Errorf("float64 1e21 = %q", got)
	}
}

func TestObjectsAreValidJSON(t *testing.T) {
	in := claims(t, `{"o": {"a": "\u0000\u001f\"\\/<>&\u2028é😀", "b": [[], {}, [1, {"c": null}]], "": -0.5}}`)
	got, _ := one(t, "o", in)
	var back map[string]any
	dec := json.NewDecoder(strings.NewReader(got))
	dec.UseNumber()
	if err := dec.Decode(&back); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	want, err := json.Marshal(in["o"])
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(again) {
		t.Errorf("got %s, want the meaning of %s", got, want)
	}
}

func TestValuesThatCannotBeAttributesAreErrors(t *testing.T) {
	deep := any("x")
	for range 17 {
		deep = map[string]any{"d": deep}
	}
	deepList := any("x")
	for range 17 {
		deepList = []any{deepList}
	}
	for name, row := range map[string]struct {
		value any
		want  mapping.Outcome
	}{
		"2049 characters":            {strings.Repeat("ü", 2049), mapping.TooLong},
		"megabytes":                  {strings.Repeat("x", 1<<20), mapping.TooLong},
		"list over the limit":        {[]any{strings.Repeat("x", 1024), strings.Repeat("y", 1024)}, mapping.TooLong},
		"encoding passes the limit":  {[]any{strings.Repeat(",", 700)}, mapping.TooLong},
		"object over the limit":      {map[string]any{"a": strings.Repeat("x", 2041)}, mapping.TooLong},
		"number with huge exponent":  {json.Number("1e999999999"), mapping.TooLong},
		"number with small exponent": {json.Number("1e-999999999"), mapping.TooLong},
		"number of many digits":      {json.Number(strings.Repeat("9", 2049)), mapping.TooLong},
		"deep object":                {deep, mapping.TooDeep},
		"deep list":                  {deepList, mapping.TooDeep},
		"invalid UTF-8":              {"a\xff", mapping.NotText},
		"invalid UTF-8 in a list":    {[]any{"a\xff"}, mapping.NotText},
		"invalid UTF-8 in a name":    {map[string]any{"a\xff": 1.0}, mapping.NotText},
		"no number":                  {json.Number("1x"), mapping.NotText},
		"number that is a word":      {json.Number("true"), mapping.NotText},
		"number with space":          {json.Number("1 "), mapping.NotText},
		"Go's own types":             {make(chan int), mapping.NotText},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := mapping.Compile(map[string]string{"name": "some.claim", "ok": "= x"})
			if err != nil {
				t.Fatal(err)
			}
			r := rules.Apply(mapping.Claims{"some.claim": row.value})
			var failed *mapping.Error
			if !errors.As(r.Err(), &failed) || len(failed.Steps) != 1 || failed.Steps[0].Outcome != row.want {
				t.Fatalf("error %v, steps %+v, want %s", r.Err(), r.Steps, row.want)
			}
			if text := failed.Error(); !strings.Contains(text, `attribute "name"`) || !strings.Contains(text, `"some.claim"`) || strings.Contains(text, "xxx") {
				t.Errorf("the error must name attribute and rule and not the value: %s", text)
			}
			if _, written := r.Attributes["name"]; written || r.Attributes["ok"] != "x" {
				t.Errorf("attributes = %v", r.Attributes)
			}
		})
	}
}

func TestVerifiedFlagsAreTrueOnlyWhenTheProviderSaysSo(t *testing.T) {
	const withheld, absent = "withheld", "absent"
	for _, row := range []struct{ name, json, rule, want string }{
		{"boolean true", `{"email": "a@b", "v": true}`, "v", "true"},
		{"string true", `{"email": "a@b", "v": "true"}`, "v", "true"},
		{"a constant is the admin's word", `{"email": "a@b"}`, "= true", "true"},
		{"false", `{"email": "a@b", "v": false}`, "v", "false"},
		{"other spelling", `{"email": "a@b", "v": "True"}`, "v", "false"},
		{"yes", `{"email": "a@b", "v": "yes"}`, "v", "false"},
		{"one", `{"email": "a@b", "v": 1}`, "v", "false"},
		{"list with true", `{"email": "a@b", "v": [true]}`, "v", "false"},
		{"object", `{"email": "a@b", "v": {"true": true}}`, "v", "false"},
		{"too long", `{"email": "a@b", "v": "` + strings.Repeat("x", 3000) + `"}`, "v", "false"},
		{"null", `{"email": "a@b", "v": null}`, "v", absent},
		{"empty", `{"email": "a@b", "v": ""}`, "v", absent},
		{"absent", `{"email": "a@b"}`, "v", absent},
		{"no address in this assertion", `{"v": true}`, "v", withheld},
		{"empty address", `{"email": "", "v": true}`, "v", withheld},
		{"neither", `{}`, "v", withheld},
	} {
		t.Run(row.name, func(t *testing.T) {
			for flag, address := range map[string]string{"email_verified": "email", "phone_number_verified": "phone_number"} {
				rules, err := mapping.Compile(map[string]string{flag: row.rule, address: "email"})
				if err != nil {
					t.Fatal(err)
				}
				r := rules.Apply(claims(t, row.json))
				if err := r.Err(); err != nil {
					t.Error(err)
				}
				got, written := r.Attributes[flag]
				if !written {
					got = string(r.Steps[1].Outcome)
				}
				if got != row.want {
					t.Errorf("%s = %q, want %q (%+v)", flag, got, row.want, r.Steps)
				}
			}
		})
	}
}

func TestStepsStandInTheOrderOfAttributes(t *testing.T) {
	m := map[string]string{"z": "z", "email_verified": "v", "email": "e", "custom:x": "= 1", "a": "a"}
	rules, err := mapping.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Keys(m))
	var got []string
	for _, s := range rules.Apply(nil).Steps {
		got = append(got, s.Attribute)
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps for %v, want %v", got, want)
	}
}

func TestNoRulesMapNothing(t *testing.T) {
	var none *mapping.Rules
	if r := none.Apply(mapping.Claims{"a": "b"}); r.Attributes == nil || len(r.Attributes) != 0 || r.Err() != nil {
		t.Errorf("result = %+v", r)
	}
}

func TestCompileReportsEveryFaultAtOnce(t *testing.T) {
	_, err := mapping.Compile(map[string]string{
		"":                      "x",
		strings.Repeat("n", 33): "x",
		"empty":                 "",
		"blank":                 "  ",
		"constant":              "= ",
		"bracket":               `["a"`,
		"index first":           "[0]",
		"escape":                `["\x"]`,
		"long":                  strings.Repeat("x", 2049),
		"utf8":                  "\xff",
		"fine":                  "x",
	})
	if err == nil {
		t.Fatal("compiled")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 10 || !slices.IsSorted(lines) {
		t.Errorf("want the ten faults in order, got %d:\n%v", len(lines), err)
	}
	for _, attribute := range []string{`""`, `"empty"`, `"blank"`, `"constant"`, `"bracket"`, `"index first"`, `"escape"`, `"long"`, `"utf8"`} {
		if !strings.Contains(err.Error(), "attribute mapping of "+attribute+": ") {
			t.Errorf("no fault for %s in:\n%v", attribute, err)
		}
	}

	many := map[string]string{}
	for i := range 201 {
		many[strings.Repeat("a", i%32+1)+string(rune('a'+i/32))] = "x"
	}
	if _, err := mapping.Compile(many); err == nil || !strings.Contains(err.Error(), "at most 200") {
		t.Errorf("%d rules: %v", len(many), err)
	}
}

// The claim email_verified vouches for the claim email. An address from elsewhere, which a person may be able to choose, is not verified by it.
func TestVerifiedFlagsVouchForTheirOwnClaim(t *testing.T) {
	for flag, address := range map[string]string{"email_verified": "email", "phone_number_verified": "phone_number"} {
		for name, c := range map[string]struct{ source, flagSource, json, want string }{
			"the claim itself":             {address, flag, `{"A":"me","F":true}`, "true"},
			"another claim":                {"upn", flag, `{"A":"me","upn":"victim","F":true}`, "false"},
			"another claim, equal":         {"upn", flag, `{"A":"me","upn":"me","F":true}`, "true"},
			"another claim, a list":        {"upn", flag, `{"A":["victim"],"upn":"victim","F":true}`, "false"},
			"another claim, alone":         {"mail", flag, `{"mail":"me","F":true}`, "true"},
			"another claim, the text true": {"upn", flag, `{"A":"me","upn":"victim","F":"true"}`, "false"},
			"another word":                 {"upn", "upn_ok", `{"A":"me","upn":"victim","upn_ok":true}`, "true"},
			"a constant address":           {"= victim", flag, `{"A":"me","F":true}`, "false"},
			"a constant word":              {"upn", "= true", `{"A":"me","upn":"victim"}`, "true"},
		} {
			t.Run(flag+" "+name, func(t *testing.T) {
				rules, err := mapping.Compile(map[string]string{address: c.source, flag: c.flagSource})
				if err != nil {
					t.Fatal(err)
				}
				text := strings.NewReplacer(`"A"`, `"`+address+`"`, `"F"`, `"`+flag+`"`).Replace(c.json)
				if got := rules.Apply(claims(t, text)).Attributes[flag]; got != c.want {
					t.Errorf("%s = %q, want %q", flag, got, c.want)
				}
			})
		}
	}
}

func TestClaimsThatAMappingBeginsAt(t *testing.T) {
	rules, err := mapping.Compile(map[string]string{
		"email": "email", "phone_number": "phones[0].value", "locale": "= en", "website": `["https://example.com/site"].x`, "name": "a/b c[", "nickname": "email",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := rules.Claims(); !slices.Equal(got, []string{"a/b c[", "email", "https://example.com/site", "phones"}) {
		t.Errorf("claims %q", got)
	}
	if got := (*mapping.Rules)(nil).Claims(); got != nil {
		t.Errorf("claims of no rules %q", got)
	}
}

func TestClaimsThatAreOneText(t *testing.T) {
	r, err := mapping.Compile(map[string]string{
		"email": "email", "name": "=Jane", "nickname": "nested.nick", "custom:list": "list", "custom:one": "one", "custom:first": "list[0]",
		"custom:number": "number", "custom:bool": "bool", "custom:object": "nested", "custom:null": "null", "custom:empty": "empty", "custom:none": "none",
		"email_verified": "flag",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := r.Texts(mapping.Claims{
		"email": "[a,b] C ", "nested": map[string]any{"nick": "n"}, "list": []any{"x", "y"}, "one": []any{"x"}, "number": json.Number("7"), "bool": true,
		"null": nil, "empty": "", "flag": "true",
	})
	want := map[string]string{"email": "[a,b] C ", "nickname": "n", "custom:first": "x", "email_verified": "true"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var none *mapping.Rules
	if none.Texts(mapping.Claims{"a": "b"}) != nil {
		t.Error("no rules have texts")
	}
}
