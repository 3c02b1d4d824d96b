package mapping_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/weir-id/weir/mapping"
)

// FuzzGroupRules holds what every caller relies on: no panic, the same result twice, each group once and in order, from a rule that is there and
// a value that was sent, and faults that are at a place.
func FuzzGroupRules(f *testing.F) {
	f.Add("a <- exact \"x\"\n$0 <- cn fold \"y\" under \"DC=b\"", `["x", "CN=y,DC=b", 1]`)
	f.Add("b-$1 <- regex fold \"^A(.*)$\"\nc$1 <- prefix 'z'", `"abc"`)
	f.Add("${0} <- value\nd <- id S-1-5 # x\n\\1 <- regex \"^(a|b)$\"", `["s-1-5", [], null]`)
	f.Add("a <- regex \"^a|b$\"", `[]`)
	f.Fuzz(func(t *testing.T, text, sent string) {
		g, faults := mapping.CompileGroupRules("groups", text, false)
		lines := strings.Split(text, "\n")
		for _, fault := range faults {
			if fault.Problem == "" || fault.Line > len(lines) || (fault.Line == 0) != (fault.Column == 0) {
				t.Fatalf("fault %+v", fault)
			}
		}
		var v any
		if len(faults) > 0 || json.Unmarshal([]byte(sent), &v) != nil {
			return
		}
		r := g.Evaluate(mapping.Claims{"groups": v}, mapping.Provider{})
		if again := g.Evaluate(mapping.Claims{"groups": v}, mapping.Provider{}); !reflect.DeepEqual(r, again) {
			t.Fatalf("two results: %+v and %+v", r, again)
		}
		for i, given := range r.Given {
			if i > 0 && r.Given[i-1].Group >= given.Group {
				t.Fatalf("%q behind %q", given.Group, r.Given[i-1].Group)
			}
			if given.Line < 1 || given.Line > len(lines) || strings.TrimSpace(lines[given.Line-1]) != given.Rule || given.Value == "" || !utf8.ValidString(given.Group) {
				t.Fatalf("%+v", given)
			}
		}
		if r.Ignored > r.Values || len(r.Unmatched) > r.Ignored {
			t.Fatalf("%+v", r)
		}
	})
}

// plainRule is a rule as the page describes it, in the plainest way.
type plainRule struct {
	group, kind, text string
	fold              bool
}

func (r plainRule) line() string {
	fold := ""
	if r.fold {
		fold = "fold "
	}
	if r.kind == "value" {
		return r.group + " <- value"
	}
	return fmt.Sprintf("%s <- %s %s%q", r.group, r.kind, fold, r.text)
}

func smaller(s string) string {
	var b strings.Builder
	for _, c := range s {
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// gives returns the group that the rule gives for a value.
func (r plainRule) gives(v string) (string, bool) {
	text, value := r.text, v
	if r.fold {
		text, value = smaller(text), smaller(v)
	}
	switch r.kind {
	case "value":
		return strings.ReplaceAll(r.group, "$0", v), true
	case "exact":
		return strings.ReplaceAll(r.group, "$0", v), text == value
	case "prefix":
		if !strings.HasPrefix(value, text) {
			return "", false
		}
		return strings.ReplaceAll(r.group, "$1", v[len(r.text):]), true
	case "regex":
		fold := ""
		if r.fold {
			fold = "(?i)"
		}
		m := regexp.MustCompile(fold + r.text).FindStringSubmatch(v)
		if m == nil {
			return "", false
		}
		return strings.ReplaceAll(r.group, "$1", m[1]), true
	case "cn":
		name, under, ok := strings.Cut(v, ",DC=b")
		if !ok || under != "" || !strings.HasPrefix(strings.ToUpper(name), "CN=") {
			return "", false
		}
		return r.group, text == value[3:len(value)-len(",DC=b")]
	}
	panic(r.kind)
}

// The maps and indexes find what going through all rules one by one finds, of thousands of sets of rules and values in a small alphabet.
func TestGroupRulesAgainstAPlainModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		return string([]byte("abAB")[random.IntN(4)]) + strings.Repeat(string([]byte("abA")[random.IntN(3)]), random.IntN(3))
	}
	matched := 0
	for range 4_000 {
		var rules []plainRule
		var lines []string
		for range 1 + random.IntN(12) {
			r := plainRule{group: "g" + word(), text: word(), fold: random.IntN(3) == 0}
			switch r.kind = []string{"exact", "prefix", "regex", "cn", "value"}[random.IntN(5)]; {
			case r.kind == "value":
				r.group, r.fold = "v-$0", false
			case r.kind == "regex":
				r.text = "^" + []string{r.text, "", "[ab]"}[random.IntN(3)] + "(b*)" + []string{"", "a|", "."}[random.IntN(3)]
				r.text = strings.ReplaceAll(r.text, "a|", "(?:a|B)") + "$"
				r.group += "$1"
			case r.kind == "prefix" && random.IntN(2) == 0:
				r.group += "$1"
			}
			rules, lines = append(rules, r), append(lines, r.line())
		}
		var values []any
		for range random.IntN(6) {
			v := word() + word()
			if random.IntN(3) == 0 {
				v = "cn=" + word() + ",DC=b"
			}
			values = append(values, v)
		}
		want := map[string]string{}
		for i := len(rules) - 1; i >= 0; i-- {
			for _, v := range slices.Backward(values) {
				if group, ok := rules[i].gives(v.(string)); ok {
					want[group] = fmt.Sprintf("%s %d %s", group, i+1, v)
				}
			}
		}
		r := groupRules(t, lines...).Evaluate(list(values...), mapping.Provider{})
		matched += len(r.Given)
		if len(r.Given) != len(want) {
			t.Fatalf("%q\n%q gives %q, want %q", lines, values, given(r), want)
		}
		for i, g := range r.Given {
			if given(r)[i] != want[g.Group] {
				t.Fatalf("%q\n%q gives %q, want %q", lines, values, given(r)[i], want[g.Group])
			}
		}
	}
	if matched < 4_000 {
		t.Errorf("only %d groups were given in all", matched)
	}
}

// hugeCase is what docs/mapping.md gives the time of: 200 rules of all kinds and 2,500 groups, a third of them distinguished names.
func hugeCase() (rules []string, claims mapping.Claims) {
	for i := range 80 {
		rules = append(rules, fmt.Sprintf(`exact-%d <- exact "Department %d Members"`, i, i*7))
	}
	for i := range 40 {
		rules = append(rules, fmt.Sprintf(`id-%d <- id 2b0f7f5a-17d1-4e2c-9b1f-%012d`, i, i*7))
	}
	for i := range 40 {
		rules = append(rules, fmt.Sprintf(`cn-%d <- cn "Team %d" under "OU=Groups,DC=corp,DC=example"`, i, i*7))
	}
	for i := range 20 {
		rules = append(rules, fmt.Sprintf(`prefix-%d-$1 <- prefix "APP%d_"`, i, i))
	}
	for i := range 20 {
		rules = append(rules, fmt.Sprintf(`regex-%d-$1 <- regex "^ROLE%d_([a-z]+)_(?:read|write)$"`, i, i))
	}
	var values []any
	for i := range 2_500 {
		switch i % 6 {
		case 0, 3:
			values = append(values, fmt.Sprintf("CN=Team %d,OU=Groups,DC=corp,DC=example", i))
		case 1:
			values = append(values, fmt.Sprintf("2b0f7f5a-17d1-4e2c-9b1f-%012d", i))
		case 2:
			values = append(values, fmt.Sprintf("Department %d Members", i))
		case 4:
			values = append(values, fmt.Sprintf("APP%d_wiki%d", i%50, i))
		case 5:
			values = append(values, fmt.Sprintf("ROLE%d_wiki_read", i))
		}
	}
	return rules, list(values...)
}

func BenchmarkGroups2500Through200Rules(b *testing.B) {
	rules, claims := hugeCase()
	g := groupRules(b, rules...)
	if r := g.Evaluate(claims, mapping.Provider{}); len(rules) != 200 || r.Values != 2_500 || len(r.Given) < 100 {
		b.Fatalf("%d rules, %d values, %d groups", len(rules), r.Values, len(r.Given))
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := g.Evaluate(claims, mapping.Provider{}); r.Err() != nil {
			b.Fatal(r.Err())
		}
	}
}

// The dearest that is let through: expressions that no index helps with, up to the bound on their work.
func BenchmarkGroupsDearest(b *testing.B) {
	var rules []string
	for i := range 10 {
		rules = append(rules, fmt.Sprintf(`a%d <- regex "^.*(?:[ab]+c|[bc]+d|[cd]+e){1,20}%d$"`, i, i))
	}
	g := groupRules(b, rules...)
	values := slices.Repeat([]any{strings.Repeat("abcd", 50)}, 1000)
	for b.Loop() {
		_ = g.Evaluate(list(values...), mapping.Provider{})
	}
}

func BenchmarkCompile200GroupRules(b *testing.B) {
	rules, _ := hugeCase()
	text := strings.Join(rules, "\n")
	for b.Loop() {
		if _, faults := mapping.CompileGroupRules("groups", text, false); faults != nil {
			b.Fatal(faults)
		}
	}
}
