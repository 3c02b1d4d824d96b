package mapping_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/mapping"
)

// groupRules compiles rules for the claim groups.
func groupRules(t testing.TB, rules ...string) *mapping.GroupRules {
	t.Helper()
	return groupRulesOf(t, "groups", false, rules...)
}

func groupRulesOf(t testing.TB, claim string, keep bool, rules ...string) *mapping.GroupRules {
	t.Helper()
	g, faults := mapping.CompileGroupRules(claim, strings.Join(rules, "\n"), keep)
	if len(faults) > 0 {
		t.Fatalf("%q: %v", rules, faults)
	}
	return g
}

func given(r mapping.GroupResult) []string {
	var out []string
	for _, g := range r.Given {
		out = append(out, fmt.Sprintf("%s %d %s", g.Group, g.Line, g.Value))
	}
	return out
}

func list(values ...any) mapping.Claims { return mapping.Claims{"groups": values} }

func TestGroupRules(t *testing.T) {
	const dn = `CN=Weir-Staff,OU=Groups,DC=corp,DC=example`
	for name, c := range map[string]struct {
		rules  []string
		claims mapping.Claims
		want   []string // group, line and value
	}{
		"exact":                     {[]string{`admins <- exact "Domain Admins"`}, list("domain admins", "Domain Admins"), []string{"admins 1 Domain Admins"}},
		"exact of several":          {[]string{`a <- exact "x" 'y' "z"`}, list("z", "y"), []string{"a 1 z"}},
		"exact, folded":             {[]string{`admins <- exact fold "Domain Admins"`}, list("DOMAIN ADMINS"), []string{"admins 1 DOMAIN ADMINS"}},
		"folded beyond ASCII":       {[]string{`a <- exact fold "Übersicht"`}, list("ÜBERSICHT"), []string{"a 1 ÜBERSICHT"}},
		"no look-alike":             {[]string{`a <- exact fold "kelvin"`, `b <- prefix fold "i"`}, list("\u212aelvin", "\u0130"), nil},
		"a backslash is one":        {[]string{`a <- exact "CORP\Domain Admins"`}, list(`CORP\Domain Admins`), []string{`a 1 CORP\Domain Admins`}},
		"other quotes":              {[]string{`a <- exact '"A"' "it's"`}, list(`"A"`), []string{`a 1 "A"`}},
		"one text":                  {[]string{`a <- exact "x"`}, mapping.Claims{"groups": "x"}, []string{"a 1 x"}},
		"no partial match":          {[]string{`a <- exact "x"`}, list("xy", "x "), nil},
		"prefix":                    {[]string{`app-$1 <- prefix "APP_"`, `x-$0 <- prefix "APP_x"`}, list("APP_wiki", "app_no", "APP_xy"), []string{"app-wiki 1 APP_wiki", "app-xy 1 APP_xy", "x-APP_xy 2 APP_xy"}},
		"prefix, folded":            {[]string{`app-$1 <- prefix fold "ÄPP_"`}, list("äpp_Wiki"), []string{"app-Wiki 1 äpp_Wiki"}},
		"nested prefixes":           {[]string{`a <- prefix "x"`, `b <- prefix "xy"`, `c <- prefix "xz"`, `d <- prefix "xya"`}, list("xyb"), []string{"a 1 xyb", "b 2 xyb"}},
		"regular expression":        {[]string{`app-$1 <- regex "^APP_([a-z]+)$"`, `app-\1 <- regex "^X_([a-z]+)$"`, `${2}$1 <- regex "^(a)(b)$"`}, list("APP_wiki", "APP_Wiki", "xAPP_wiki", "X_one", "ab"), []string{"app-one 2 X_one", "app-wiki 1 APP_wiki", "ba 3 ab"}},
		"regex, folded":             {[]string{`a <- regex fold "^app_[a-z]+$"`}, list("APP_WIKI"), []string{"a 1 APP_WIKI"}},
		"regex of alternatives":     {[]string{`a <- regex "^(?:x|y)$"`}, list("y", "xy"), []string{"a 1 y"}},
		"regex without a line end":  {[]string{`a <- regex "^x$"`}, list("x\n"), nil},
		"regex, a group that is no": {[]string{`a-$1 <- regex "^x(y)?$"`}, list("x"), []string{"a- 1 x"}},
		"common name":               {[]string{`staff <- cn "Weir-Staff"`}, list(dn, "Weir-Staff"), []string{"staff 1 " + dn}},
		"common name, folded":       {[]string{`staff <- cn fold "weir-STAFF"`}, list(dn), []string{"staff 1 " + dn}},
		"common name in case":       {[]string{`staff <- cn "weir-staff"`}, list(dn), nil},
		"any common name":           {[]string{`$0 <- cn under "ou=groups, dc=CORP,dc=example"`}, list(dn, "CN=x,OU=Other,DC=corp,DC=example"), []string{"Weir-Staff 1 " + dn}},
		"under another unit":        {[]string{`staff <- cn "Weir-Staff" under "OU=Admins,DC=corp,DC=example"`, `staff <- cn "Weir-Staff" under "CN=Weir-Staff,OU=Groups,DC=corp,DC=example"`}, list(dn), nil},
		"object ids":                {[]string{`sales <- id 2b0f7f5a-17d1-4e2c-9b1f-0f8f3b1c0a01`, `support <- id "8D1C2A44-5b6e-4c0e-8a3b-6f1f6f6e2b02" S-1-5-32-544`}, list("2B0F7F5A-17D1-4E2C-9B1F-0F8F3B1C0A01", "s-1-5-32-544"), []string{"sales 1 2B0F7F5A-17D1-4E2C-9B1F-0F8F3B1C0A01", "support 2 s-1-5-32-544"}},
		"the value":                 {[]string{`$0 <- value`, `corp-$0 <- value`}, list("a", "b"), []string{"a 1 a", "b 1 b", "corp-a 2 a", "corp-b 2 b"}},
		"a dollar":                  {[]string{`a$$1 <- exact "x"`}, list("x"), []string{"a$1 1 x"}},
		"the first rule counts":     {[]string{`a <- exact "y"`, `a <- exact "x"`, `$0 <- value`}, list("x", "a", "y"), []string{"a 1 y", "x 3 x", "y 3 y"}},
		"comments and blanks":       {[]string{"", "# admins", "  a <- exact \"#x\"   # why\r", "\t"}, list("#x"), []string{"a 3 #x"}},
		"a quoted group":            {[]string{`"#a" <- exact "x"`}, list("x"), []string{"#a 1 x"}},
		"numbers are texts":         {[]string{`a <- exact "17"`}, list(float64(17)), []string{"a 1 17"}},
		"what is no text":           {[]string{`$0 <- value`}, list(true, nil, "", []any{"x"}, map[string]any{"x": 1}, strings.Repeat("x", 2049), "\xff"), nil},
		"a name that is too long":   {[]string{`$0 <- value`}, list(strings.Repeat("x", 600)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := groupRules(t, c.rules...).Evaluate(c.claims, mapping.Provider{})
			if err := r.Err(); err != nil || !slices.Equal(given(r), c.want) {
				t.Errorf("got %q, want %q; error %v", given(r), c.want, err)
			}
		})
	}
}

func TestGroupClaims(t *testing.T) {
	marker := map[string]any{"groups": "src1"}
	for name, c := range map[string]struct {
		claim                 string
		claims                mapping.Claims
		want                  string
		absent, overage, keep bool // keep: without it there is an error
	}{
		"a path":                              {claim: "realm_access.roles", claims: mapping.Claims{"realm_access": map[string]any{"roles": []any{"a"}}}, want: "a"},
		"a name with dots":                    {claim: "https://example.com/roles", claims: mapping.Claims{"https://example.com/roles": []any{"a"}}, want: "a"},
		"an expression":                       {claim: `[cel] list(claims.?groups).map(g, g.lower())`, claims: list("A"), want: "a"},
		"an expression of the provider":       {claim: `[cel] [provider.name]`, claims: list(), want: "Corp"},
		"a text of several":                   {claim: `[cel] claims.groups.split(",")`, claims: mapping.Claims{"groups": "a,b"}, want: "a b"},
		"a default":                           {claim: `[cel] claims.?groups.orValue(["guest"])`, claims: mapping.Claims{}, want: "guest"},
		"absent":                              {claim: "groups", claims: mapping.Claims{}, absent: true},
		"null":                                {claim: "groups", claims: mapping.Claims{"groups": nil}, absent: true},
		"an empty text":                       {claim: "groups", claims: mapping.Claims{"groups": ""}, absent: true},
		"an empty list is said":               {claim: "groups", claims: list()},
		"an expression on nothing":            {claim: `[cel] list(claims.?groups)`, claims: mapping.Claims{}, absent: true},
		"an expression that leaves nothing":   {claim: `[cel] list(claims.?groups).filter(g, g == "b")`, claims: list("a")},
		"overage":                             {claim: "groups", claims: mapping.Claims{"_claim_names": marker}, absent: true, overage: true},
		"overage of an expression":            {claim: `[cel] claims.groups.map(g, g.lower())`, claims: mapping.Claims{"_claim_names": marker}, absent: true, overage: true},
		"overage of an expression of all":     {claim: `[cel] claims.map(c, c)`, claims: mapping.Claims{"_claim_names": marker}, absent: true, overage: true},
		"overage with a default":              {claim: `[cel] claims.?groups.orValue([])`, claims: mapping.Claims{"_claim_names": marker}, absent: true, overage: true},
		"overage in the implicit flow":        {claim: "groups", claims: mapping.Claims{"hasgroups": true}, absent: true, overage: true},
		"overage as text":                     {claim: "groups", claims: mapping.Claims{"hasgroups": "true"}, absent: true, overage: true},
		"overage in SAML":                     {claim: "groups", claims: mapping.Claims{"http://schemas.microsoft.com/claims/groups.link": "https://graph.windows.net/t/users/u/getMemberObjects"}, absent: true, overage: true},
		"overage in SAML, by the long name":   {claim: "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", claims: mapping.Claims{"http://schemas.microsoft.com/claims/groups.link": "x"}, absent: true, overage: true},
		"overage of another claim":            {claim: "roles", claims: mapping.Claims{"_claim_names": marker, "hasgroups": true, "http://schemas.microsoft.com/claims/groups.link": "x"}, absent: true},
		"a claim that came all the same":      {claim: "groups", claims: mapping.Claims{"_claim_names": marker, "groups": []any{"a"}}, want: "a"},
		"no groups in so many words":          {claim: "groups", claims: mapping.Claims{"hasgroups": false}, absent: true},
		"a distributed claim that is no list": {claim: "groups", claims: mapping.Claims{"_claim_names": "groups"}, absent: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, keep := range []bool{false, true} {
				r := groupRulesOf(t, c.claim, keep, `$0 <- value`).Evaluate(c.claims, mapping.Provider{Name: "Corp"})
				var got []string
				for _, g := range r.Given {
					got = append(got, g.Group)
				}
				if strings.Join(got, " ") != c.want || r.Absent != c.absent || r.Overage != c.overage || r.Keep != (keep && c.absent) {
					t.Errorf("keep %v: %+v", keep, r)
				}
				if err := r.Err(); errors.Is(err, mapping.ErrGroupOverage) != (c.overage && !keep) || (err == nil) != (!c.overage || keep) {
					t.Errorf("keep %v: error %v", keep, err)
				}
			}
		})
	}
}

func TestGroupsThatCannotBeRead(t *testing.T) {
	many := make([]any, 10_001)
	for i := range many {
		many[i] = fmt.Sprintf("g%d", i)
	}
	r := groupRules(t, `$0 <- value`).Evaluate(list(many[:10_000]...), mapping.Provider{})
	if r.Err() != nil || len(r.Given) != 10_000 {
		t.Errorf("10,000 values give %d groups, error %v", len(r.Given), r.Err())
	}
	for name, r := range map[string]mapping.GroupResult{
		"too many values":      groupRules(t, `$0 <- value`).Evaluate(list(many...), mapping.Provider{}),
		"too many groups":      groupRules(t, `$0 <- value`, `x-$0 <- value`).Evaluate(list(many[:6_000]...), mapping.Provider{}),
		"a failing expression": groupRulesOf(t, "[cel] claims.groups.map(g, g + 1)", true, `$0 <- value`).Evaluate(list("a"), mapping.Provider{}),
		"dear expressions": groupRules(t, slices.Collect(func(yield func(string) bool) {
			for i := range 100 {
				if !yield(fmt.Sprintf(`a%d <- regex "^.*(?:[ab]+c|[bc]+d|[cd]+e){1,20}%d$"`, i, i)) {
					return
				}
			}
		})...).Evaluate(list(slices.Repeat([]any{strings.Repeat("abcd", 500)}, 1000)...), mapping.Provider{}),
	} {
		if !errors.Is(r.Err(), mapping.ErrGroupValues) || r.Given != nil || r.Note == "" || strings.Contains(r.Err().Error(), "g1") {
			t.Errorf("%s: %+v, error %v", name, len(r.Given), r.Err())
		}
	}
}

func TestUnmatchedValues(t *testing.T) {
	values := []any{"x", 5.0, true}
	for i := range 200 {
		values = append(values, fmt.Sprint("none", i))
	}
	r := groupRules(t, `a <- exact "x"`).Evaluate(list(values...), mapping.Provider{})
	if len(r.Unmatched) != 100 || r.Unmatched[0] != "5" || r.Unmatched[1] != "none0" || r.Ignored != 201 || r.Values != 202 || r.Skipped != 1 {
		t.Errorf("%d listed of %d, of %d values; %d skipped", len(r.Unmatched), r.Ignored, r.Values, r.Skipped)
	}
	if r := (*mapping.GroupRules)(nil).Evaluate(list("x"), mapping.Provider{}); len(r.Given) != 0 || r.Err() != nil || r.Keep || r.Absent {
		t.Errorf("no rules give %+v", r)
	}
}

func TestGroupRuleFaults(t *testing.T) {
	for rule, want := range map[string]string{
		`admins`:                                      `line 1, column 7: no <- behind the group's name, with a space on either side: want group <- exact "…", prefix "…", regex "^…$", cn "…", id … or value`,
		`admins<-exact "x"`:                           `line 1, column 15: no <- behind the group's name, with a space on either side: want group <- exact "…", prefix "…", regex "^…$", cn "…", id … or value`,
		`admins <-`:                                   `line 1, column 10: no rule behind <-: want group <- exact "…", prefix "…", regex "^…$", cn "…", id … or value`,
		`admins <- like "x"`:                          `line 1, column 11: "like" is no kind of rule: want group <- exact "…", prefix "…", regex "^…$", cn "…", id … or value`,
		`admins <- exact`:                             `line 1, column 16: no text behind exact`,
		`admins <- exact Domain`:                      `line 1, column 17: a text stands in quotes: "Domain"`,
		`ädmins <- exact "x" "y`:                      `line 1, column 21: the text does not end: there is no second "`,
		`admins <- exact "x""y"`:                      `line 1, column 20: want a space behind the text; a text with " in it stands in the other quotes`,
		`admins <- id a, b`:                           `line 1, column 14: texts are separated by spaces, without commas`,
		`admins <- exact ""`:                          `line 1, column 17: the text is empty`,
		`admins <- id fold "x"`:                       `line 1, column 14: fold is for exact, prefix, regex and cn`,
		`admins <- value "x"`:                         `line 1, column 17: value takes no text: it is for every value of the claim`,
		`admins <- value`:                             `line 1, column 1: whoever has any value would be in the group: want $0 in its name, which is the value`,
		`admins <- cn`:                                `line 1, column 1: whoever has any value would be in the group: want $0 in its name, which is the value`,
		`admins <- cn "x" under`:                      `line 1, column 18: under stands last, with one distinguished name in quotes behind it`,
		`admins <- cn under "ou=a" "x"`:               `line 1, column 14: under stands last, with one distinguished name in quotes behind it`,
		`admins <- cn "x" under "Groups"`:             `line 1, column 24: is not a distinguished name: want one such as "OU=Groups,DC=corp,DC=example"`,
		`admins <- regex "^a$" "^b$"`:                 `line 1, column 23: regex takes one text: write another line, or | within (?: )`,
		`admins <- regex "admin"`:                     `line 1, column 17: the regular expression must begin with ^ and end with $, around everything: ^(?:a|b)$`,
		`admins <- regex "^a|b$"`:                     `line 1, column 17: the regular expression must begin with ^ and end with $, around everything: ^(?:a|b)$`,
		`admins <- regex "(?m)^a$"`:                   `line 1, column 17: the regular expression must begin with ^ and end with $, around everything: ^(?:a|b)$`,
		`admins <- regex "^a$|^b$"`:                   `line 1, column 17: the regular expression must begin with ^ and end with $, around everything: ^(?:a|b)$`,
		`admins <- regex "^(a$"`:                      "line 1, column 17: error parsing regexp: missing closing ): `^(a$`",
		`admins <- regex "^(?:[a-z]{1,100}){1,10}x$"`: `line 1, column 17: the regular expression is too large: `,
		`a-$1 <- exact "x"`:                           `line 1, column 1: $1: the rule has 0`,
		`a-$3 <- regex "^(a)(b)$"`:                    `line 1, column 1: $3: the rule has 2`,
		`a-$x <- exact "x"`:                           `line 1, column 1: $ in a group's name is followed by a digit; a dollar sign is $$`,
		`"a b" <- exact "x"`:                          `line 1, column 1: a group's name has 1 to 128 characters and no space`,
		`"" <- exact "x"`:                             `line 1, column 1: the group's name is empty`,
		strings.Repeat("x", 129) + ` <- exact "x"`:    `line 1, column 1: a group's name has 1 to 128 characters and no space`,
		"a <- exact \"x\x01\"":                        `line 1, column 12: a control character`,
		"a <- exact \"\xff\"":                         `is not UTF-8 text`,
		"a <- exact " + strings.Repeat("é", 2048):     `line 1, column 2049: the line is longer than 2048 characters: make several of it, each for the same group`,
		"# nothing":                                   `has no rule: want lines such as staff <- exact "Staff"`,
		strings.Repeat("a <- exact \"x\"\n", 1001):    `1001 rules, at most 1000 are possible: a rule takes several texts, and regex covers names of one form`,
	} {
		g, faults := mapping.CompileGroupRules("groups", rule, false)
		if len(faults) != 1 || g != nil || !strings.HasPrefix(faults[0].Error(), want) {
			t.Errorf("%.60q:\n%v, want\n%s", rule, faults, want)
		}
	}
	for claim, want := range map[string]string{
		"":                     "is required with group_rules: the claim that has the groups, such as groups",
		"= everybody":          "must be a claim, a path or an expression: with a constant everybody would be in the group",
		"[cel, write=first] 1": "may have no option but cel: group_absent says what an absent claim does",
		"[list=json] groups":   "may have no option but cel: group_absent says what an absent claim does",
		`[cel] user["name"]`:   "the expression may not read user: groups follow from what the provider says now",
		"[cel] clams":          "line 1, column 7: undeclared reference to 'clams' (did you mean 'claims'?)",
	} {
		_, faults := mapping.CompileGroupRules(claim, `a <- exact "x"`, false)
		if len(faults) != 1 || !faults[0].Claim || faults[0].Error() != want {
			t.Errorf("%q: %v, want %s", claim, faults, want)
		}
	}
}

func TestEveryFaultOfGroupRules(t *testing.T) {
	_, faults := mapping.CompileGroupRules("", "a <- exact\n\nb\nc <- exact \"ok\"\nd <- regex \"x\"", false)
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%v %d:%d", f.Claim, f.Line, f.Column))
	}
	if want := []string{"true 0:0", "false 1:11", "false 3:2", "false 5:12"}; !slices.Equal(got, want) {
		t.Errorf("faults at %q, want %q: %v", got, want, faults)
	}
	_, faults = mapping.CompileGroupRules("groups", strings.Repeat("x\n", 500), false)
	if len(faults) != 100 {
		t.Errorf("%d faults", len(faults))
	}
}

func TestNamedGroups(t *testing.T) {
	g := groupRules(t, `a <- exact "x"`, `$0 <- value`, `  b <- exact "x"`, `a <- exact "y"`)
	want := []mapping.NamedGroup{{Name: "a", Line: 1, Column: 1}, {Name: "b", Line: 3, Column: 3}, {Name: "a", Line: 4, Column: 1}}
	if got := g.Named(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// What RFC 4514 says of distinguished names, by the rules for them.
func TestDistinguishedNames(t *testing.T) {
	for dn, want := range map[string]string{
		`CN=Steve Kille,O=Isode Limited,C=GB`:                 "Steve Kille",
		`CN=L. Eagle,O=Sue\, Grabbit and Runn,C=GB`:           "L. Eagle",
		`CN=Before\0dAfter,O=Test,C=GB`:                       "Before\rAfter",
		`CN=Lu\C4\8Di\C4\87`:                                  "Lučić",
		`CN=Sue\, Grabbit\2C and Runn\+\"\\\;\<\>\#\=\ ,C=GB`: `Sue, Grabbit, and Runn+"\;<>#= `,
		`OU=Sales+CN=J.  Smith,DC=example,DC=net`:             "J.  Smith",
		`cn=a,DC=b`:         "a",
		`2.5.4.3=a,DC=b`:    "a",
		`commonName=a,DC=b`: "a",
		`CN = a , DC = b`:   "a",
		`CN=\ a\ ,DC=b`:     " a ",
		`CN=a=b,DC=c`:       "a=b",
		`CN=Müller,DC=b`:    "Müller",
		`CN=a`:              "a",
		`OU=Staff,CN=a`:     "", // the entry is called by its first RDN
		`CN=a+CN=b,DC=c`:    "",
		`CN=,DC=c`:          "",
		`CN=#0C0161,DC=c`:   "", // BER
		`CN=#0C016,DC=c`:    "",
		`CN=\FF,DC=c`:       "",
		`CN=\00,DC=c`:       "",
		`CN=a\,DC=c`:        "a,DC=c",
		`CN=a\`:             "",
		`CN=a\x,DC=c`:       "",
		`CN=a,`:             "",
		`CN=a,DC`:           "",
		`CN=a,DC=b;DC=c`:    "",
		`CN="a,b",DC=c`:     "",
		`CN=a,=b`:           "",
		`CN=a,1.=b`:         "",
		`CN=a,d_c=b`:        "",
		`CN=a<b`:            "",
		`Domain Admins`:     "",
		``:                  "",
	} {
		var got string
		for _, g := range groupRules(t, `$0 <- cn`).Evaluate(list(dn), mapping.Provider{}).Given {
			got = g.Group
		}
		if got != want {
			t.Errorf("%s: %q, want %q", dn, got, want)
		}
	}
	under := map[string]bool{ // whether CN=x,<DN> is under OU=A\, B+L=c,DC=Corp
		`OU=A\, B+L=c,DC=Corp`: true, `ou=a\2c b+l=C,0.9.2342.19200300.100.1.25=corp`: true, `L=c + OU=a\,  b, DC=corp`: true, `OU=x,L=c+OU=a\, b,DC=corp`: true,
		`OU=A\, B,DC=corp`: false, `OU=A+L=c,DC=corp`: false, `L=c+OU=a\, b,DC=corp,DC=evil`: false, `OU=a\, b\+l=c,DC=corp`: false, `DC=corp`: false,
	}
	g := groupRules(t, `a <- cn "x" under "OU=A\, B+L=c,DC=Corp"`)
	for dn, want := range under {
		if r := g.Evaluate(list("CN=x,"+dn), mapping.Provider{}); (len(r.Given) == 1) != want {
			t.Errorf("%s: %v", dn, r.Given)
		}
	}
	if got := slices.Sorted(maps.Keys(under)); len(got) != 9 {
		t.Fatal(got)
	}
}
