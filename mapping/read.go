package mapping

import "slices"

// Texts returns, for the attributes whose claim is one text (a JSON string), that text as it is. What is a list, a number or anything
// else is left out, and so are constants, expressions and rules with options: who is known by a claim is known by exactly what the provider says.
func (r *Rules) Texts(c Claims) map[string]string {
	if r == nil {
		return nil
	}
	out := map[string]string{}
	for _, rule := range r.rules {
		if !IsClaim(rule.source) {
			continue
		}
		v, _ := rule.lookup(c)
		if text, ok := v.(string); ok && text != "" {
			out[rule.attribute] = text
		}
	}
	return out
}

// Claims returns the names of the claims that the rules begin at, sorted and each once: phone of phone.number[0]. Constants have none, and of
// an expression it is the claims that it names.
func (r *Rules) Claims() []string {
	if r == nil {
		return nil
	}
	var names []string
	for _, rule := range r.rules {
		switch {
		case rule.isConstant:
		case rule.computed != nil:
			names = append(names, rule.computed.claims...)
		case len(rule.path) > 0:
			names = append(names, rule.path[0].name)
		default: // a name that is no path
			names = append(names, rule.body)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Vouching returns, for each verified flag whose rule can say true though the provider said nothing of the kind, why. An administrator may mean
// that, and should know it.
func (r *Rules) Vouching(p Provider) map[string]string {
	out := map[string]string{}
	if r == nil {
		return out
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.base == "" {
			continue
		}
		v, _, _ := rule.evaluate(&variables{in: &Input{Provider: p, First: true}})
		switch {
		case rule.isConstant:
			out[rule.attribute] = "a constant vouches for whatever " + rule.base + " the provider sends"
		case rule.computed == nil:
		case len(rule.computed.claims) == 0 && !rule.computed.whole:
			out[rule.attribute] = "the expression reads no claim and vouches for whatever " + rule.base + " the provider sends"
		case v == "true":
			out[rule.attribute] = "the expression is true where the provider says nothing, and vouches for whatever " + rule.base + " it sends then"
		}
	}
	return out
}

// Clears reports whether a rule takes an attribute away where the provider says nothing.
func (r *Rules) Clears() bool {
	return r != nil && slices.ContainsFunc(r.rules, func(r rule) bool { return r.options.clear })
}
