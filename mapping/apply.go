package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Outcome is what became of one rule.
type Outcome string

// The outcomes. TooLong, TooDeep, NotText and Failed are errors: see Result.Err.
const (
	Written  Outcome = "written"  // the attribute has a value, or has it already
	Kept     Outcome = "kept"     // the rule does not write now (write=), and the user keeps the old value
	Cleared  Outcome = "cleared"  // the provider did not say, and the rule takes the attribute away (absent=clear)
	Absent   Outcome = "absent"   // the provider did not say; the user keeps the old value
	Withheld Outcome = "withheld" // a verified flag without its address; the user keeps the old value
	TooLong  Outcome = "too_long" // over 2,048 characters
	TooDeep  Outcome = "too_deep" // nested deeper than 16 levels
	NotText  Outcome = "not_text" // no JSON value, or text that is not UTF-8
	Failed   Outcome = "failed"   // an expression without a value: see Note
)

// Step is the reason for one attribute's value, for the login trace. It never holds the value.
type Step struct {
	Attribute string
	Claim     string // the rule's right side as the admin wrote it: claim, path or constant
	Outcome   Outcome
	Note      string // why, in words; may be empty
}

// Result is what a mapping made of one assertion.
type Result struct {
	Attributes map[string]string // what to write; never nil
	Clear      []string          // the attributes to take away, sorted; none of them is in Attributes
	Steps      []Step            // one for each rule, in the order of the attributes
}

// Error lists the rules whose value cannot be an attribute. Its text names attributes and rules and no value.
type Error struct{ Steps []Step }

// Error names every failed rule in one line.
func (e *Error) Error() string {
	parts := make([]string, 0, len(e.Steps))
	for _, s := range e.Steps {
		parts = append(parts, fmt.Sprintf("attribute %q from %q: %s", s.Attribute, s.Claim, s.Note))
	}
	return "attribute mapping: " + strings.Join(parts, "; ")
}

// Err returns an *Error that lists every failed rule, or nil. A login whose Result has
// an error must not go on: half a mapping is a wrong user.
func (r Result) Err() error {
	var failed []Step
	for _, s := range r.Steps {
		switch s.Outcome {
		case TooLong, TooDeep, NotText, Failed:
			failed = append(failed, s)
		case Written, Kept, Cleared, Absent, Withheld:
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &Error{Steps: failed}
}

// Apply is Evaluate for the first sign-in of somebody who is new, at a provider without a name.
func (r *Rules) Apply(c Claims) Result { return r.Evaluate(Input{Claims: c, First: true}) }

// Evaluate maps claims to attributes. It changes nothing in the input, gives the same result for the same input, and
// never panics. The caller asks Err before it uses the attributes.
func (r *Rules) Evaluate(in Input) Result {
	if r == nil {
		return Result{Attributes: map[string]string{}}
	}
	out := Result{Attributes: make(map[string]string, len(r.rules)), Steps: make([]Step, 0, len(r.rules))}
	vars := variables{in: &in}
	for i := range r.rules {
		rule := &r.rules[i]
		value, outcome, note := rule.evaluate(&vars)
		if rule.base != "" {
			_, addressed := out.Attributes[rule.base]
			if rule.baseUser && (in.Claims[rule.base] == nil || elsewhere(in.Claims[rule.base], out.Attributes[rule.base], true)) {
				addressed = false // the address may be the user's own, which the provider did not send
			}
			value, outcome, note = verified(rule, value, outcome, note, addressed)
			if value == "true" && rule.standard() && elsewhere(in.Claims[rule.base], out.Attributes[rule.base], rule.baseComputed) {
				value, note = "false", "the claim vouches for the claim "+rule.base+", and the attribute has another value"
			}
		}
		value, outcome, note = rule.permit(&in, value, outcome, note)
		switch outcome {
		case Written:
			out.Attributes[rule.attribute] = value
		case Cleared:
			out.Clear = append(out.Clear, rule.attribute)
		case Kept, Absent, Withheld, TooLong, TooDeep, NotText, Failed:
		}
		out.Steps = append(out.Steps, Step{Attribute: rule.attribute, Claim: rule.source, Outcome: outcome, Note: note})
	}
	return out
}

// permit is the part of the options that say when a rule writes, and what absence does. A value that is there already is as good as written: so what
// a provider says of an address holds also where the rule would not write another one. A rule that does not write cannot fail either.
func (r *rule) permit(in *Input, value string, outcome Outcome, note string) (string, Outcome, string) {
	if outcome == Absent && r.options.clear {
		outcome = Cleared
	}
	why := r.held(in)
	switch {
	case why == "", outcome == Absent, outcome == Withheld:
		return value, outcome, note
	case outcome == Written && value == in.User[r.attribute]:
		return value, outcome, note
	case outcome != Written && outcome != Cleared:
		why += "; the rule has no value besides: " + note
	}
	return "", Kept, why
}

// held says why the rule does not write; "" where it does.
func (r *rule) held(in *Input) string {
	switch r.options.write {
	case writeFirst:
		if !in.First {
			return "write=first: the identity has signed in before"
		}
	case writeEmpty:
		if in.User[r.attribute] != "" {
			return "write=empty: the attribute has a value"
		}
	case writeUnedited:
		if slices.Contains(in.Edited, r.attribute) {
			return "write=unedited: the value is an administrator's"
		}
	}
	return ""
}

func (r *rule) evaluate(vars *variables) (string, Outcome, string) {
	if r.isConstant {
		return r.constant, Written, "a constant"
	}
	var v any
	if r.computed == nil {
		var ok bool
		v, ok = r.lookup(vars.in.Claims)
		switch {
		case !ok && r.path == nil:
			return "", Absent, "no claim of this name, and it is not a path"
		case !ok:
			return "", Absent, "no claim of this name or path"
		case v == nil:
			return "", Absent, "the claim is null"
		}
	} else {
		var err error
		v, err = r.computed.evaluate(vars)
		switch {
		case err != nil && !errors.Is(err, errTooLong) && !errors.Is(err, errTooDeep) && !errors.Is(err, errNotText):
			return "", Failed, err.Error()
		case err != nil:
			return failed(err)
		case v == nil:
			return "", Absent, "the expression's value is null or an empty optional"
		}
	}
	text, err := r.options.render(v)
	switch {
	case err != nil:
		return failed(err)
	case text == "" && r.computed != nil:
		return "", Absent, "the expression's value is empty"
	case text == "":
		return "", Absent, "the claim is empty"
	}
	return text, Written, ""
}

// failed is the outcome of a value that is no text.
func failed(err error) (string, Outcome, string) {
	switch {
	case errors.Is(err, errTooLong):
		return "", TooLong, fmt.Sprintf("the value is longer than %d characters", maxValue)
	case errors.Is(err, errTooDeep):
		return "", TooDeep, fmt.Sprintf("the value is nested deeper than %d levels", maxDepth)
	}
	return "", NotText, "the value is not UTF-8 text, a number, a boolean, a list or an object"
}

// standard reports whether a verified flag reads the standard claim of its name, which speaks of the standard claim of the address.
func (r *rule) standard() bool {
	if r.computed != nil {
		return r.computed.whole || slices.Contains(r.computed.claims, r.attribute)
	}
	return r.body == r.attribute || (len(r.path) == 1 && r.path[0].name == r.attribute)
}

// elsewhere reports whether a standard claim's address is there and is not what another claim gave the attribute.
// An expression may have changed the case of ASCII letters, which the directory does not tell apart in an address.
func elsewhere(claim any, attribute string, computed bool) bool {
	if claim == nil {
		return false
	}
	text, err := toText(claim)
	if computed {
		text, attribute = lowerASCII(text), lowerASCII(attribute)
	}
	return err != nil || text != attribute
}

// lowerASCII changes the letters A to Z alone, and allocates only where there are some.
func lowerASCII(s string) string {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			continue
		}
		b := []byte(s)
		for ; i < len(b); i++ {
			if b[i] >= 'A' && b[i] <= 'Z' {
				b[i] += 'a' - 'A'
			}
		}
		return string(b)
	}
	return s
}

// verified is the rule of trust for email_verified and phone_number_verified: see the package documentation.
func verified(r *rule, value string, outcome Outcome, note string, addressed bool) (string, Outcome, string) {
	switch {
	case outcome == Failed:
		return "", Failed, note
	case !addressed:
		return "", Withheld, "this sign-in brought no " + r.base + " to vouch for"
	case outcome == Written && value == "true":
		return "true", Written, ""
	case outcome == Absent:
		return "", Absent, "the provider did not say; a new " + r.base + " counts as unverified"
	}
	return "false", Written, `only true and "true" count as verified`
}
