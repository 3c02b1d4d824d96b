package assertion

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-id/weir/mapping"
)

// What stands in place of a value that is not kept says that there was one, of which type, and which others of the same assertion are equal to
// it. It has the form of the value as far as rules and checks of attributes ask for one: an address has an @, a phone number and a
// date are one. So rules go the way that they would go. What they make of it is a mark: whoever compares it with a real value has to say that
// this cannot be told, see Kept.Redacted.
var (
	phone  = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)
	date   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	number = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
)

// shortest is the length in bytes of a text that is looked for in other claims too. A shorter one says less about a person than what is lost
// where everything that happens to be equal is replaced.
const shortest = 4

// redactor replaces values in one assertion.
type redactor struct {
	before int            // marks that were given earlier
	marks  map[string]int // of a value, by its text; the n-th value that was met is n after those before
}

// redact returns claims without the values that the sources lead to, and the names of the top-level claims in which something is missing, sorted. A
// text that is equal to one of them is replaced wherever it stands: SAML has a value under several names, and an e-mail address is
// often a name to sign in with too. What was redacted before stays. Claims themselves are not changed, but replaced.
func (k *Kept) redact(sources []string) {
	r := &redactor{before: k.Marks, marks: map[string]int{}}
	touched := map[string]bool{}
	for _, name := range k.Redacted {
		touched[name] = true
	}
	for _, s := range slices.Sorted(slices.Values(sources)) {
		var name string
		if k.Claims, name = mapping.Replace(k.Claims, s, r.replace); name != "" {
			touched[name] = true
		}
	}
	if len(r.marks) > 0 {
		out := make(mapping.Claims, len(k.Claims))
		for name, v := range k.Claims {
			same, n := r.equals(v)
			out[name] = same
			if n > 0 {
				touched[name] = true
			}
		}
		k.Claims = out
	}
	k.Marks, k.Redacted = k.Marks+len(r.marks), slices.Sorted(maps.Keys(touched))
}

// mark returns the number of a value.
func (r *redactor) mark(text string) int {
	if _, met := r.marks[text]; !met {
		r.marks[text] = r.before + len(r.marks) + 1
	}
	return r.marks[text]
}

// replace replaces every value in v. Names of members stay: they are what rules look for.
func (r *redactor) replace(v any) any {
	switch v := v.(type) {
	case string:
		return r.text(v)
	case bool:
		return false // the least that it can say
	case json.Number:
		return json.Number(fmt.Sprint(r.mark(v.String())))
	case float64:
		return float64(r.mark(fmt.Sprint(v)))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.replace(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out[name] = r.replace(v[name])
		}
		return out
	}
	return v // null
}

func (r *redactor) text(s string) string {
	if strings.TrimSpace(s) == "" || marked(s) {
		return s
	}
	if s == "true" || s == "false" {
		return "false"
	}
	n := r.mark(s)
	local, domain, address := strings.Cut(s, "@")
	switch {
	case address && local != "" && domain != "" && !strings.Contains(domain, "@"):
		return fmt.Sprintf("redacted-%d@redacted.invalid", n)
	case phone.MatchString(s):
		return fmt.Sprintf("+999%07d", n) // a country code that nobody has
	case date.MatchString(s):
		return fmt.Sprintf("%04d-01-01", n)
	case number.MatchString(s):
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("redacted-%d", n)
}

// marks that stand in an assertion already, when what is redacted becomes more.
var marks = regexp.MustCompile(`^(redacted-[0-9]+(@redacted\.invalid)?|\+999[0-9]{7}|0[0-9]{3}-01-01)$`)

func marked(s string) bool { return marks.MatchString(s) }

// equals replaces the texts in v that are equal to one that was replaced, and returns how many there were.
func (r *redactor) equals(v any) (any, int) {
	switch v := v.(type) {
	case string:
		if _, met := r.marks[v]; met && len(v) >= shortest && !marked(v) {
			return r.text(v), 1
		}
	case []any:
		out, n := make([]any, len(v)), 0
		for i := range v {
			same, more := r.equals(v[i])
			out[i], n = same, n+more
		}
		return out, n
	case map[string]any:
		out, n := make(map[string]any, len(v)), 0
		for name := range v {
			same, more := r.equals(v[name])
			out[name], n = same, n+more
		}
		return out, n
	}
	return v, 0
}
