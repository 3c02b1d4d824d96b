package mapping_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/mapping"
)

func compiledRules(t testing.TB, m map[string]string) *mapping.Rules {
	t.Helper()
	rules, err := mapping.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

const person = `{
	"given_name": "Ada", "family_name": "LOVELACE", "email": "Ada.Lovelace@EXAMPLE.com", "upn": "ada@corp.example", "city": "Düsseldorf", "empty": "", "null": null,
	"groups": ["CN=Admins,OU=Groups,DC=example,DC=com", "CN=Users,OU=Groups,DC=example,DC=com"], "one": "single", "roles": ["b", "a", "b", null],
	"age": 36, "score": 1.50, "big": 12345678901234567890123, "active": true, "address": {"locality": "London", "lines": ["1 Row"]},
	"http://schemas.example/dept": "R&D", "list_of_objects": [{"id": 1}, {"id": 2}]
}`

func TestExpressions(t *testing.T) {
	c := claims(t, person)
	for source, want := range map[string]string{
		`[cel] claims.given_name`:                                                       "Ada",
		`[cel]claims.given_name`:                                                        "Ada",
		"[cel]\n  claims.given_name +\n  ' ' + claims.family_name":                      "Ada LOVELACE",
		`[ cel ] claims.given_name + " " + claims.family_name`:                          "Ada LOVELACE",
		`[cel] claims["http://schemas.example/dept"]`:                                   "R&D",
		`[cel] claims.email.lowerAscii()`:                                               "ada.lovelace@example.com",
		`[cel] claims.city.upper()`:                                                     "DÜSSELDORF",
		`[cel] claims.city.lower()`:                                                     "düsseldorf",
		`[cel] claims.email.split("@")[1].lowerAscii()`:                                 "example.com",
		`[cel] claims.?nickname.orValue(claims.given_name)`:                             "Ada",
		`[cel] has(claims.nickname) ? claims.nickname : "none"`:                         "none",
		`[cel] claims.?address.?locality.orValue("")`:                                   "London",
		`[cel] claims.groups`:                                                           "[CN%3DAdmins%2COU%3DGroups%2CDC%3Dexample%2CDC%3Dcom,CN%3DUsers%2COU%3DGroups%2CDC%3Dexample%2CDC%3Dcom]",
		`[cel] claims.groups.map(g, regex.extract(g, "^CN=([^,]+)").orValue(g))`:        "[Admins,Users]",
		`[cel, list=";"] claims.groups.map(g, regex.extract(g, "^CN=([^,]+)").value())`: "Admins;Users",
		`[cel, list=json] claims.groups.filter(g, g.startsWith("CN=A")).map(g, 1)`:      "[1]",
		`[cel] first(claims.groups)`:                                                    "CN=Admins,OU=Groups,DC=example,DC=com",
		`[cel] first(claims.one)`:                                                       "single",
		`[cel] first(claims.?missing).orValue("x")`:                                     "x",
		`[cel] list(claims.one)`:                                                        "[single]",
		`[cel] list(claims.?missing).size() == 0`:                                       "true",
		`[cel] join(claims.roles, ", ")`:                                                "b, a, b",
		`[cel] join(claims.one, ", ")`:                                                  "single",
		`[cel] join([1, true, 2.5, "x"], "|")`:                                          "1|true|2.5|x",
		`[cel] list(claims.roles).filter(r, r != null).distinct().sort()`:               "[a,b]",
		`[cel] claims.age + 1`:                                                          "37",
		`[cel] claims.age >= 18`:                                                        "true",
		`[cel] claims.score`:                                                            "1.5",
		`[cel] string(claims.age) + "y"`:                                                "36y",
		`[cel] claims.active ? "yes" : "no"`:                                            "yes",
		`[cel] claims.address`:                                                          `{"lines":["1 Row"],"locality":"London"}`,
		`[cel] {"city": claims.address.locality, "n": claims.age}`:                      `{"city":"London","n":36}`,
		`[cel] claims.list_of_objects.map(o, o.id)`:                                     "[1,2]",
		`[cel] claims.email.matches("(?i)@example\\.com$")`:                             "true",
		`[cel] regex.replace(claims.email, "@.*$", "")`:                                 "Ada.Lovelace",
		`[cel] regex.extractAll(claims.email, "[A-Z]").join("")`:                        "ALEXAMPLE",
		`[cel] provider.name + "/" + provider.type`:                                     "Corp/OIDC",
		`[cel] user["custom:level"]`:                                                    "3",
		`[cel] user.?name.orValue("nobody")`:                                            "nobody",
		`[cel] claims.groups.exists(g, g.contains("Admins")) ? "admin" : "user"`:        "admin",
		`[cel] {"a": "x", "b": "y"}[?claims.roles[1]].orValue("z")`:                     "x",
		`[cel] optional.ofNonZeroValue(claims.empty).or(claims.?upn).orValue("")`:       "ada@corp.example",
	} {
		t.Run(source, func(t *testing.T) {
			rules := compiledRules(t, map[string]string{"a": source})
			r := rules.Evaluate(mapping.Input{Claims: c, Provider: mapping.Provider{Name: "Corp", Type: "OIDC"}, User: map[string]string{"custom:level": "3"}})
			if got := r.Attributes["a"]; got != want || r.Err() != nil || r.Steps[0].Outcome != mapping.Written {
				t.Errorf("got %q (%+v), want %q", got, r.Steps, want)
			}
		})
	}
}

func TestExpressionsThatAreAbsent(t *testing.T) {
	c := claims(t, person)
	for _, source := range []string{`claims.?missing`, `null`, `""`, `claims.empty`, `claims["null"]`, `optional.none()`, `first(claims.?missing)`, `first([])`,
		`join([], ",")`, `has(claims.missing) ? claims.missing : null`, `regex.extract("a", "b")`} {
		if got, step := one(t, "[cel] "+source, c); step.Outcome != mapping.Absent || step.Note == "" {
			t.Errorf("%s: got %q, step %+v", source, got, step)
		}
	}
}

func TestFaultyExpressionsAreRefused(t *testing.T) {
	for source, want := range map[string]string{
		`[cel]`:                       "no expression",
		`[cel] `:                      "no expression",
		`[cel] claims.a +`:            "line 1, column 17: Syntax error",
		`[cel] clams.a`:               "line 1, column 7: undeclared reference to 'clams'",
		"[cel] claims.a +\n  clams.b": "line 2, column 3: undeclared reference to 'clams'",
		"[cel] \"ü\" + clams.b":       "line 1, column 13: undeclared reference to 'clams'",
		`[cel] provider.secret`:       "undeclared reference to 'provider",
		`[cel] "a" + 1`:               "line 1, column 11: found no matching overload for '_+_'",
		`[cel] claims.a.lowr()`:       "undeclared reference to 'lowr'",
		`[cel] timestamp("2020-01-01T00:00:00Z")`:                          "line 1, column 16: the function timestamp is not available",
		`[cel] duration("1h")`:                                             "the function duration is not available",
		`[cel] claims.t.getHours("Europe/Berlin")`:                         "the function getHours is not available",
		`[cel] bytes("x")`:                                                 "the function bytes is not available",
		`[cel] type(claims)`:                                               "the function type is not available",
		`[cel] "%s".format([claims.a])`:                                    "undeclared reference to 'format'",
		`[cel] claims.a.getSeconds()`:                                      "the function getSeconds is not available",
		`[cel] google.protobuf.StringValue{value: "x"}`:                    "line 1, column 34",
		`[cel] claims.a.matches("(")`:                                      "line 1, column 24: ",
		`[cel] claims.a.matches(claims.b)`:                                 "must be a text in quotes",
		`[cel] regex.replace(claims.a, claims.b, "")`:                      "must be a text in quotes",
		`[cel] regex.extract(claims.a, "(a)(b)")`:                          "one group",
		`[cel] claims.a.matches("(((a{1,100}){1,10}){1,10})")`:             "line 1, column",
		`[cel] claims.a.all(x, claims.a.all(y, claims.a.all(z, z == x)))`:  "3 loops",
		`[cel] ` + strings.Repeat("(", 60) + "1" + strings.Repeat(")", 60): "recursion limit",
		`[cel] [` + strings.Repeat("1,", 999) + "1]":                       "expression node count exceeds limit",
		`[cel, cel] claims.a`:                                              "there twice",
		`[cel, write=never] claims.a`:                                      `"write=never" is no option`,
		`[sel] claims.a`:                                                   `"sel" is no option`,
		`[] claims.a`:                                                      `"" is no option`,
		`[cel claims.a`:                                                    "do not end",
		`[cel, list="x] claims.a`:                                          "do not end",
		`[cel, list="x"y] claims.a`:                                        "do not end",
		`[list="\x"] claims.a`:                                             "is no option",
		"[cel,\nwrite=first] claims.a":                                     "do not end",
		`[write=first]`:                                                    "source is empty",
		`[write=first] [cel] claims.a`:                                     "options stand once",
		`[write=first] = `:                                                 "constant after = is empty",
		`[write=first] ["a`:                                                "not a claim path",
		`[0]`:                                                              `"0" is no option`,
		`[cel] "` + strings.Repeat("x", 2048) + `"`:                        "longer than 2048",
	} {
		if _, err := mapping.Compile(map[string]string{"name": source}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `attribute mapping of "name"`) {
			t.Errorf("%.80s\n got %v\nwant %s", source, err, want)
		}
	}
	many := map[string]string{}
	for i := range 51 {
		many["custom:"+strconv.Itoa(i)] = "[cel] claims.a"
	}
	if _, err := mapping.Compile(many); err == nil || !strings.Contains(err.Error(), "at most 50") {
		t.Errorf("51 expressions: %v", err)
	}
}

// What fails at a sign-in ends it, says attribute, rule, place and reason, and nothing of the person.
func TestExpressionsThatFail(t *testing.T) {
	c := claims(t, person)
	for source, want := range map[string]string{
		`claims.missing`:                        "a claim or key is absent",
		`claims.given_name + claims.missing`:    "a claim or key is absent",
		`claims[claims.upn]`:                    "a claim or key is absent",
		`claims.address.missing.deep`:           "a claim or key is absent",
		`claims.?missing.value()`:               "a claim or key is absent",
		`claims.groups.lowerAscii()`:            "another type",
		`claims.age + "x"`:                      "another type",
		`claims.groups[7]`:                      "no such element",
		`claims.age / 0`:                        "division by zero",
		`claims.age % 0`:                        "division by zero",
		`claims.big + 1`:                        "a number is too large",
		`int(claims.upn)`:                       "no value with these claims",
		`regex.replace(claims.upn, "a", "\\9")`: "a group that is not there",
		`9223372036854775807 + claims.age`:      "no value with these claims",
		`join([claims.address], ",")`:           "another type",
		`{1: 2}`:                                "the value is not UTF-8 text",
	} {
		r := compiledRules(t, map[string]string{"a": "[cel] " + source, "b": "upn"}).Apply(c)
		var failed *mapping.Error
		if !errors.As(r.Err(), &failed) || len(failed.Steps) != 1 {
			t.Errorf("%s: error %v, attributes %v", source, r.Err(), r.Attributes)
			continue
		}
		text := failed.Error()
		if !strings.Contains(text, want) || !strings.Contains(text, `attribute "a" from "[cel] `) || strings.Contains(failed.Steps[0].Note, "ada@") {
			t.Errorf("%s:\n got %s\nwant %s", source, text, want)
		}
	}
}

// What an administrator can write and a person can send, at its worst. Without bounds several of these take minutes, or all memory.
func TestExpressionsAreBounded(t *testing.T) {
	big := make([]any, 5000)
	for i := range big {
		big[i] = strings.Repeat("x", 100) + strconv.Itoa(i)
	}
	nested := any("x")
	for range 5000 {
		nested = []any{nested}
	}
	c := mapping.Claims{"big": big, "huge": slices.Repeat(big, 10), "long": strings.Repeat("ab", 8000), "longer": strings.Repeat("ab", 500_000), "nested": nested}
	double := "[claims.long]" + strings.Repeat(".map(l, l + l)", 30)
	tree := "[claims.long]" + strings.Repeat(".map(l, [l, l])", 30)
	for source, fails := range map[string]bool{
		`claims.big.map(x, claims.big.map(y, x + y)).size()`:                     true,
		`claims.big.all(x, claims.big.all(y, x == y || true))`:                   true,
		`claims.big.map(x, claims.big).map(x, claims.big).size()`:                true,
		`claims.big.map(x, claims.big == claims.big).size()`:                     true,
		`claims.big.map(x, "zz" in claims.big).size()`:                           true,
		`claims.big.map(x, list(claims.big).distinct()).size()`:                  true,
		`claims.big.map(x, claims.big.sort()).size()`:                            true,
		`claims.big.map(x, join(claims.big, ",")).size()`:                        true,
		`claims.big.map(x, claims.long.size()).size()`:                           true,
		`claims.big.map(x, claims.long.upper()).size()`:                          true,
		`claims.big.map(x, claims.long.split("a")).size()`:                       true,
		`claims.big.map(x, claims.long.contains("c")).size()`:                    true,
		`claims.big.map(x, claims.long.matches("(a|b)*c")).size()`:               true,
		`claims.big.map(x, regex.extractAll(claims.long, "a")).size()`:           true,
		`claims.big.map(x, claims.long.replace("a", "b")).size()`:                true,
		`claims.long.replace("a", claims.long)`:                                  true,
		`claims.long.replace("", claims.long)`:                                   true,
		`regex.replace(claims.long, "[ab]", claims.long)`:                        true,
		`regex.replace(claims.long, ".*", "` + strings.Repeat(`\\0`, 400) + `")`: true,
		`join(claims.big, claims.long)`:                                          true,
		double + `.size()`:                                                       true,
		tree + ` == ` + tree:                                                     true,
		`claims.longer`:                                                          true,
		`claims.huge.size()`:                                                     true,
		`claims.nested`:                                                          true,
		`claims == {}`:                                                           false,
		`claims.big`:                                                             true, // no attribute holds it
		`claims.big.filter(x, x.endsWith("x4999"))`:                              false,
	} {
		rules := compiledRules(t, map[string]string{"a": "[cel] " + source})
		began := time.Now()
		r := rules.Apply(c)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%.80s: took %v", source, took)
		}
		if (r.Err() != nil) != fails {
			t.Errorf("%.80s: %.200v", source, r.Steps)
		}
	}
}

// The keys of a map come in their order, whatever the map: a rule is a function of the claims.
func TestMapsAreInTheOrderOfTheirKeys(t *testing.T) {
	object, want := map[string]any{}, make([]string, 0, 40)
	for i := range 40 {
		name := string(rune('A'+i%26)) + strconv.Itoa(i)
		object[name], want = "v", append(want, name)
	}
	slices.Sort(want)
	user := map[string]string{"b": "1", "c": "2", "a": "3", "e": "4", "d": "5", "f": "6", "g": "7", "i": "8", "h": "9"}
	rules := compiledRules(t, map[string]string{
		"claim": `[cel, list=","] claims.o.map(k, k)`, "claims": `[cel, list=","] claims.map(k, k)`, "user": `[cel, list=""] user.map(k, k)`, "value": `[cel] claims.o`,
		"literal": `[cel, list=","] {"c": 1, "a": 2, "b": 3, "d": 4, "z": 5, "y": 6, "x": 7, "w": 8, "v": 9}.filter(k, k != "a")`, "mixed": `[cel, list=","] {2: 1, "b": 2, 1: 3, true: 4, "a": 5}.map(k, string(k))`,
	})
	in := mapping.Input{Claims: mapping.Claims{"o": object, "p": object, "a": "x", "z": "y"}, User: user}
	for range 20 {
		r := rules.Evaluate(in)
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"claim": strings.Join(want, ","), "claims": "a,o,p,z", "user": "abcdefghi", "literal": "b,c,d,v,w,x,y,z", "mixed": "true,1,2,a,b"} {
			if r.Attributes[name] != want {
				t.Fatalf("%s: %q, want %q", name, r.Attributes[name], want)
			}
		}
	}
	same := `[cel] {"a": [1, {"b": 2}]} == claims.o && claims.o == {"a": [1, {"b": 2}]} && "a" in claims.o && has(claims.o.a) && claims.o["a"][1].b == 2 && claims.o.size() == 1`
	if got, step := one(t, same, claims(t, `{"o": {"a": [1, {"b": 2}]}}`)); got != "true" {
		t.Errorf("%+v", step)
	}
}

// The bounds leave room for who is in 2,500 groups of a directory.
func TestExpressionsGoOverAllGroupsOfAPerson(t *testing.T) {
	groups := make([]any, 2500)
	for i := range groups {
		groups[i] = "CN=App-" + strconv.Itoa(10000-i) + " Some Department of Ours,OU=Groups,OU=Somewhere,DC=corp,DC=example,DC=com"
	}
	c := mapping.Claims{"groups": groups}
	for source, want := range map[string]string{
		`claims.groups.filter(g, g.startsWith("CN=App-10000"))`:                                                            "[CN%3DApp-10000+Some+Department+of+Ours%2COU%3DGroups%2COU%3DSomewhere%2CDC%3Dcorp%2CDC%3Dexample%2CDC%3Dcom]",
		`first(claims.groups.map(g, regex.extract(g, "^CN=([^,]+)").orValue("")).sort())`:                                  "App-10000 Some Department of Ours",
		`claims.groups.filter(g, g.matches("^CN=App-[0-9]*00 ")).size()`:                                                   "25",
		`claims.groups.map(g, g.split(",")[0].replace("CN=", "").lower()).filter(g, g.contains("app-9999")).distinct()[0]`: "app-9999 some department of ours",
		`"CN=App-7501 Some Department of Ours,OU=Groups,OU=Somewhere,DC=corp,DC=example,DC=com" in claims.groups`:          "true",
		`claims.groups.exists(g, g == "x") || claims.groups.all(g, g.endsWith("DC=com"))`:                                  "true",
	} {
		if got, step := one(t, "[cel] "+source, c); got != want {
			t.Errorf("%s: got %q (%+v), want %q", source, got, step, want)
		}
	}
}

func TestExpressionsAreSafeForConcurrentUse(t *testing.T) {
	rules := compiledRules(t, map[string]string{"a": `[cel] list(claims.groups).filter(g, g in ["a", "b"]).map(g, {"n": g, "m": [1, 2]})`, "b": `[cel] claims.n.matches("^x+$") ? join(claims.groups, "-") : "n"`})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			group := string(rune('a' + i%2))
			for range 200 {
				r := rules.Apply(mapping.Claims{"groups": []any{group, "c"}, "n": "xx"})
				if r.Err() != nil || !strings.Contains(r.Attributes["a"], "%22n%22%3A%22"+group) || r.Attributes["b"] != group+"-c" {
					t.Errorf("%+v", r)
					return
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkEvaluate20RulesOf5Expressions(b *testing.B) {
	c := claims(b, `{"sub": "1", "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.com", "email_verified": true,
		"address": {"locality": "London", "country": "GB"}, "realm_access": {"roles": ["admin", "user", "a b"]}, "n": 12345}`)
	m := map[string]string{"email": "email", "email_verified": "email_verified", "locality": "address.locality", "roles": "realm_access.roles", "org": "= example",
		"name": `[cel] claims.given_name + " " + claims.family_name`, "nickname": `[cel] claims.?nickname.orValue(claims.given_name)`,
		"domain": `[cel] claims.email.split("@")[1].lowerAscii()`, "level": `[cel] "admin" in claims.realm_access.roles ? "high" : "low"`,
		"user": `[cel] regex.extract(claims.email, "^([^@]+)@").orValue("")`}
	for len(m) < 20 {
		m["custom:"+strconv.Itoa(len(m))] = "name"
	}
	rules := compiledRules(b, m)
	in := mapping.Input{Claims: c, Provider: mapping.Provider{Name: "Corp", Type: "OIDC"}}
	b.ReportAllocs()
	for b.Loop() {
		if r := rules.Evaluate(in); len(r.Attributes) != 20 {
			b.Fatal(r)
		}
	}
}

func BenchmarkCompileExpression(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compiledRules(b, map[string]string{"a": `[cel] claims.?nickname.orValue(claims.given_name + " " + claims.family_name)`})
	}
}
