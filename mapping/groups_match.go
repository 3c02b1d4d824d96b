package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// prefixIndex finds the prefixes of a value: sorted, each with the longest other one that it begins with.
type prefixIndex struct {
	texts  []string
	parent []int // -1: none
	rules  [][]int
}

func (x *prefixIndex) build(of map[string][]int) {
	for text := range of {
		x.texts = append(x.texts, text)
	}
	slices.Sort(x.texts)
	for i, text := range x.texts {
		x.rules = append(x.rules, of[text])
		up := i - 1
		for up >= 0 && !strings.HasPrefix(text, x.texts[up]) {
			up = x.parent[up]
		}
		x.parent = append(x.parent, up)
	}
}

// longest returns the longest prefix of value in the index, -1 where there is none; the others are its parents. What sorts between that
// prefix and the value begins with it as well, so it is among the parents of the last one that does not sort behind the value.
func (x *prefixIndex) longest(value string) int {
	i, found := slices.BinarySearch(x.texts, value)
	if !found {
		i--
	}
	for i >= 0 && !strings.HasPrefix(value, x.texts[i]) {
		i = x.parent[i]
	}
	return i
}

// index sorts the rules by how a value finds them.
func (g *GroupRules) index() {
	g.exact, g.folded, g.ids = map[string][]int{}, map[string][]int{}, map[string][]int{}
	g.names, g.foldedNames = map[string][]int{}, map[string][]int{}
	prefixes, foldPrefixes := map[string][]int{}, map[string][]int{}
	put := func(m map[string][]int, i int, texts []string, form func(string) string) {
		for _, text := range texts {
			if text = form(text); !slices.Contains(m[text], i) {
				m[text] = append(m[text], i)
			}
		}
	}
	same := func(s string) string { return s }
	for i := range g.rules {
		r := &g.rules[i]
		switch {
		case r.kind == groupExact && r.fold:
			put(g.folded, i, r.texts, foldCase)
		case r.kind == groupExact:
			put(g.exact, i, r.texts, same)
		case r.kind == groupID:
			put(g.ids, i, r.texts, lowerASCII)
			for _, text := range r.texts {
				for len(g.idLengths) <= len(text) {
					g.idLengths = append(g.idLengths, false)
				}
				g.idLengths[len(text)] = true
			}
		case r.kind == groupPrefix && r.fold:
			put(foldPrefixes, i, r.texts, foldCase)
		case r.kind == groupPrefix:
			put(prefixes, i, r.texts, same)
		case r.kind == groupRegex && r.literal != "":
			put(prefixes, i, []string{r.literal}, same)
		case r.kind == groupRegex:
			g.patterns = append(g.patterns, i)
		case r.kind == groupCN && len(r.texts) == 0:
			g.anyName = append(g.anyName, i)
		case r.kind == groupCN && r.fold:
			put(g.foldedNames, i, r.texts, foldCase)
		case r.kind == groupCN:
			put(g.names, i, r.texts, same)
		case r.kind == groupValue:
			g.anyValue = append(g.anyValue, i)
		}
	}
	g.prefixes.build(prefixes)
	g.foldPrefixes.build(foldPrefixes)
	g.readsDN = len(g.names)+len(g.foldedNames)+len(g.anyName) > 0
}

// matching is one evaluation.
type matching struct {
	g     *GroupRules
	seen  []bool                // static rules that have given their group
	hits  map[string]GroupGiven // by group
	work  int                   // of regular expressions
	taken bool                  // the value was taken by a rule
}

// match takes the values through the rules.
func (g *GroupRules) match(values []any) GroupResult {
	m := &matching{g: g, seen: make([]bool, len(g.rules)), hits: map[string]GroupGiven{}}
	var r GroupResult
	for _, v := range values {
		if v == nil || v == "" {
			continue
		}
		text, ok := groupText(v)
		if !ok {
			r.Skipped++
			continue
		}
		r.Values++
		if m.taken = false; !m.value(text) {
			r.Ignored++
			if len(r.Unmatched) < maxUnmatched {
				r.Unmatched = append(r.Unmatched, text)
			}
		}
		if m.work > maxGroupWork || len(m.hits) > maxGroupValues {
			err := fmt.Errorf("%w: the regular expressions of the rules cost too much with these values, or give more than %d groups", ErrGroupValues, maxGroupValues)
			return GroupResult{Note: err.Error(), err: err}
		}
	}
	r.Given = g.given(m.hits)
	return r
}

// groupText is the text of a value.
func groupText(v any) (string, bool) {
	text, ok := v.(string)
	if !ok {
		switch v.(type) {
		case bool, []any, map[string]any:
			return "", false
		}
		var err error
		if text, err = scalar(v); err != nil {
			return "", false
		}
	}
	return text, len(text) <= maxGroupValue && utf8.ValidString(text)
}

// value takes one value through the rules, and reports whether one took it.
func (m *matching) value(v string) bool {
	g := m.g
	m.whole(g.exact[v], v, v)
	if len(v) < len(g.idLengths) && g.idLengths[len(v)] {
		m.whole(g.ids[lowerASCII(v)], v, v)
	}
	if len(g.folded)+len(g.foldPrefixes.texts) > 0 {
		f := foldCase(v)
		m.whole(g.folded[f], v, v)
		m.prefixed(&g.foldPrefixes, f, v)
	}
	m.prefixed(&g.prefixes, v, v)
	for _, i := range g.patterns {
		m.pattern(i, v)
	}
	if g.readsDN {
		m.distinguished(v)
	}
	m.whole(g.anyValue, v, v)
	return m.taken
}

// whole lets rules have a value whose $0 is what.
func (m *matching) whole(rules []int, v, what string) {
	for _, i := range rules {
		m.take(i, v, what, "")
	}
}

// prefixed tries the rules whose text the value, in the form of the index, begins with.
func (m *matching) prefixed(x *prefixIndex, form, v string) {
	for at := x.longest(form); at >= 0; at = x.parent[at] {
		for _, i := range x.rules[at] {
			if m.g.rules[i].pattern != nil {
				m.pattern(i, v)
				continue
			}
			// The form has as many characters as the value, not as many bytes.
			rest := v
			for range utf8.RuneCountInString(x.texts[at]) {
				_, size := utf8.DecodeRuneInString(rest)
				rest = rest[size:]
			}
			m.take(i, v, v, rest)
		}
	}
}

func (m *matching) pattern(i int, v string) {
	r := &m.g.rules[i]
	if m.work += (len(v) + 16) * r.size; m.work > maxGroupWork {
		return
	}
	if r.static {
		if m.seen[i] && m.taken {
			return
		}
		if r.pattern.MatchString(v) {
			m.take(i, v, v, "")
		}
		return
	}
	if at := r.pattern.FindStringSubmatchIndex(v); at != nil {
		m.give(i, v, r.expand(func(ref int) string {
			if 2*ref >= len(at) || at[2*ref] < 0 {
				return ""
			}
			return v[at[2*ref]:at[2*ref+1]]
		}))
	}
}

// distinguished tries the rules for the common name of a DN.
func (m *matching) distinguished(v string) {
	name, ok := commonName(v)
	if !ok {
		return
	}
	var rdns []string // of v, once a rule asks
	named := func(rules []int) {
		for _, i := range rules {
			if under := m.g.rules[i].under; under != nil {
				if rdns == nil {
					rdns, _ = canonicalRDNs(v)
				}
				if len(rdns) <= len(under) || !slices.Equal(rdns[len(rdns)-len(under):], under) {
					continue
				}
			}
			m.take(i, v, name, "")
		}
	}
	named(m.g.names[name])
	if len(m.g.foldedNames) > 0 {
		named(m.g.foldedNames[foldCase(name)])
	}
	named(m.g.anyName)
}

// take lets a rule have the value: what is $0, rest is $1.
func (m *matching) take(i int, v, what, rest string) {
	r := &m.g.rules[i]
	if !r.static {
		m.give(i, v, r.expand(func(ref int) string {
			if ref == 0 {
				return what
			}
			return rest
		}))
		return
	}
	if m.taken = true; !m.seen[i] {
		m.seen[i] = true
		m.give(i, v, r.name)
	}
}

// give notes a group. Of several rules that give it the first one counts, and of that the first value.
func (m *matching) give(i int, v, group string) {
	m.taken = true
	r := &m.g.rules[i]
	if len(group) > maxGroupName*utf8.UTFMax || group == "" {
		return // there is no such group
	}
	if before, given := m.hits[group]; given && before.Line <= r.line {
		return
	}
	m.hits[group] = GroupGiven{Group: group, Line: r.line, Rule: r.text, Value: v}
}

// expand fills in a group's name.
func (r *groupRule) expand(ref func(int) string) string {
	if len(r.template) == 1 {
		return ref(r.template[0].ref)
	}
	var b strings.Builder
	for _, p := range r.template {
		if p.ref < 0 {
			b.WriteString(p.literal)
		} else {
			b.WriteString(ref(p.ref))
		}
	}
	return b.String()
}

// foldCase makes small letters of all, character by character. No letter becomes one of ASCII that was none, as the Kelvin sign would: names that
// look alike are not the same.
func foldCase(s string) string {
	return strings.Map(func(c rune) rune {
		if l := unicode.ToLower(c); c < utf8.RuneSelf || l >= utf8.RuneSelf {
			return l
		}
		return c
	}, s)
}
