package mapping

import (
	"maps"
	"slices"
)

// Replace returns claims with with(v) in place of the value v that a claim source (see IsClaim) leads to, and the name of the top-level claim
// that it is in; "" where the source leads nowhere, or to nothing but null. c is not changed: what lies on the way is copied.
func Replace(c Claims, source string, with func(v any) any) (Claims, string) {
	if !IsClaim(source) {
		return c, ""
	}
	r, err := compileSource("", source)
	if err != nil {
		return c, ""
	}
	if v, ok := r.lookup(c); !ok || v == nil {
		return c, ""
	}
	name, rest := r.body, []step(nil)
	if _, whole := c[r.body]; !whole || r.bracketed {
		name, rest = r.path[0].name, r.path[1:]
	}
	out := maps.Clone(c)
	out[name] = replaced(out[name], rest, with)
	return out, name
}

// replaced is v with what the steps lead to replaced. They lead somewhere.
func replaced(v any, steps []step, with func(any) any) any {
	if len(steps) == 0 {
		return with(v)
	}
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		out[steps[0].name] = replaced(v[steps[0].name], steps[1:], with)
		return out
	case []any:
		out := slices.Clone(v)
		out[steps[0].index] = replaced(v[steps[0].index], steps[1:], with)
		return out
	default: // index 0 of a plain value is that value
		return replaced(v, steps[1:], with)
	}
}

// Reading returns the attributes whose rules may read one of these top-level claims, sorted.
func (r *Rules) Reading(names []string) []string {
	if r == nil || len(names) == 0 {
		return nil
	}
	var out []string
	for i := range r.rules {
		rule := &r.rules[i]
		reads := func(name string) bool {
			switch {
			case rule.isConstant:
				return false
			case rule.computed != nil:
				return rule.computed.whole || slices.Contains(rule.computed.claims, name)
			}
			return rule.body == name || len(rule.path) > 0 && rule.path[0].name == name || rule.base == name
		}
		if slices.ContainsFunc(names, reads) {
			out = append(out, rule.attribute)
		}
	}
	return out
}
