package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of a mapping.
const (
	maxRules     = 200
	maxAttribute = 32   // characters: AttributeMappingKeyType of the API model
	maxSource    = 2048 // characters
	maxValue     = 2048 // characters: AttributeValueType of the API model
)

// Rules is a compiled mapping. It is immutable and safe for concurrent use; a nil Rules maps nothing.
type Rules struct {
	rules []rule // in the order of the attributes' names, so that email comes before email_verified
}

type rule struct {
	attribute string
	source    string // as written
	constant  string // where isConstant
	path      []step // nil: a name only
	base      string // of a verified flag: the attribute it speaks about

	isConstant bool
	bracketed  bool // begins with "[": never a name
}

// verifiedFlags are the attributes that vouch for another one.
var verifiedFlags = map[string]string{
	"email_verified":        "email",
	"phone_number_verified": "phone_number",
}

// Compile checks and prepares m, attribute -> source in the language of the package documentation. It
// reports every fault at once, joined, in the order of the attributes. Whether an attribute
// exists and may be written is not its business.
func Compile(m map[string]string) (*Rules, error) {
	if len(m) > maxRules {
		return nil, fmt.Errorf("attribute mapping: %d rules, at most %d are possible", len(m), maxRules)
	}
	out := &Rules{rules: make([]rule, 0, len(m))}
	var faults []error
	for _, attribute := range slices.Sorted(maps.Keys(m)) {
		r, err := compile(attribute, m[attribute])
		if err != nil {
			faults = append(faults, fmt.Errorf("attribute mapping of %q: %w", attribute, err))
			continue
		}
		out.rules = append(out.rules, r)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

func compile(attribute, source string) (rule, error) {
	r := rule{attribute: attribute, source: source, base: verifiedFlags[attribute]}
	if n := utf8.RuneCountInString(attribute); n < 1 || n > maxAttribute {
		return r, fmt.Errorf("an attribute's name has 1 to %d characters", maxAttribute)
	}
	if utf8.RuneCountInString(source) > maxSource {
		return r, fmt.Errorf("the source is longer than %d characters", maxSource)
	}
	if !utf8.ValidString(source) {
		return r, errors.New("the source is not UTF-8 text")
	}
	if text, ok := strings.CutPrefix(source, "="); ok {
		r.isConstant, r.constant = true, strings.TrimSpace(text)
		if r.constant == "" {
			return r, errors.New("the constant after = is empty")
		}
		return r, nil
	}
	if strings.TrimSpace(source) == "" {
		return r, errors.New("the source is empty: want a claim, a path or = and a constant")
	}
	path, err := parsePath(source)
	if r.bracketed = strings.HasPrefix(source, "["); r.bracketed && err != nil {
		return r, fmt.Errorf(`%q is not a claim path: want ["name"], then .name, [0] or ["name"], at most %d steps`, source, maxDepth)
	}
	r.path = path
	return r, nil
}

// Outcome is what became of one rule.
type Outcome string

// The outcomes. TooLong, TooDeep and NotText are errors: see Result.Err.
const (
	Written  Outcome = "written"  // the attribute has a value
	Absent   Outcome = "absent"   // the provider did not say; the user keeps the old value
	Withheld Outcome = "withheld" // a verified flag without its address; the user keeps the old value
	TooLong  Outcome = "too_long" // over 2,048 characters
	TooDeep  Outcome = "too_deep" // nested deeper than 16 levels
	NotText  Outcome = "not_text" // no JSON value, or text that is not UTF-8
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
		case TooLong, TooDeep, NotText:
			failed = append(failed, s)
		case Written, Absent, Withheld:
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &Error{Steps: failed}
}

// Apply maps claims to attributes. It changes nothing in c, gives the same result for the same input, and
// never panics. The caller asks Err before it uses the attributes.
func (r *Rules) Apply(c Claims) Result {
	if r == nil {
		return Result{Attributes: map[string]string{}}
	}
	out := Result{Attributes: make(map[string]string, len(r.rules)), Steps: make([]Step, 0, len(r.rules))}
	for _, rule := range r.rules {
		value, outcome, note := rule.evaluate(c)
		if rule.base != "" {
			_, addressed := out.Attributes[rule.base]
			value, outcome, note = verified(rule, value, outcome, addressed)
			if value == "true" && rule.source == rule.attribute && elsewhere(c[rule.base], out.Attributes[rule.base]) {
				value, note = "false", "the claim vouches for the claim "+rule.base+", and the attribute has another value"
			}
		}
		if outcome == Written {
			out.Attributes[rule.attribute] = value
		}
		out.Steps = append(out.Steps, Step{Attribute: rule.attribute, Claim: rule.source, Outcome: outcome, Note: note})
	}
	return out
}

func (r rule) evaluate(c Claims) (string, Outcome, string) {
	if r.isConstant {
		return r.constant, Written, "a constant"
	}
	v, ok := r.lookup(c)
	switch {
	case !ok && r.path == nil:
		return "", Absent, "no claim of this name, and it is not a path"
	case !ok:
		return "", Absent, "no claim of this name or path"
	case v == nil:
		return "", Absent, "the claim is null"
	}
	text, err := toText(v)
	switch {
	case errors.Is(err, errTooLong):
		return "", TooLong, fmt.Sprintf("the value is longer than %d characters", maxValue)
	case errors.Is(err, errTooDeep):
		return "", TooDeep, fmt.Sprintf("the value is nested deeper than %d levels", maxDepth)
	case err != nil:
		return "", NotText, "the value is not UTF-8 text, a number, a boolean, a list or an object"
	case text == "":
		return "", Absent, "the claim is empty"
	}
	return text, Written, ""
}

// elsewhere reports whether a standard claim's address is there and is not what another claim gave the attribute.
func elsewhere(claim any, attribute string) bool {
	if claim == nil {
		return false
	}
	text, err := toText(claim)
	return err != nil || text != attribute
}

// verified is the rule of trust for email_verified and phone_number_verified: see the package documentation.
func verified(r rule, value string, outcome Outcome, addressed bool) (string, Outcome, string) {
	switch {
	case !addressed:
		return "", Withheld, "this sign-in brought no " + r.base + " to vouch for"
	case outcome == Written && value == "true":
		return "true", Written, ""
	case outcome == Absent:
		return "", Absent, "the provider did not say; a new " + r.base + " counts as unverified"
	}
	return "false", Written, `only true and "true" count as verified`
}

// Texts returns, for the attributes whose claim is one text (a JSON string), that text as it is. What is a list, a number or anything
// else is left out, and so are constants: who is known by a claim is known by exactly what the provider says.
func (r *Rules) Texts(c Claims) map[string]string {
	if r == nil {
		return nil
	}
	out := map[string]string{}
	for _, rule := range r.rules {
		if rule.isConstant {
			continue
		}
		v, _ := rule.lookup(c)
		if text, ok := v.(string); ok && text != "" {
			out[rule.attribute] = text
		}
	}
	return out
}

// Claims returns the names of the claims that the rules begin at, sorted and each once: phone of phone.number[0]. Constants have none.
func (r *Rules) Claims() []string {
	if r == nil {
		return nil
	}
	var names []string
	for _, rule := range r.rules {
		switch {
		case rule.isConstant:
		case len(rule.path) > 0:
			names = append(names, rule.path[0].name)
		default: // a name that is no path
			names = append(names, rule.source)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
