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
	maxRules       = 200
	maxExpressions = 50   // of them
	maxAttribute   = 32   // characters: AttributeMappingKeyType of the API model
	maxSource      = 2048 // characters
	maxValue       = 2048 // characters: AttributeValueType of the API model
)

// Rules is a compiled mapping. It is immutable and safe for concurrent use; a nil Rules maps nothing.
type Rules struct {
	rules []rule // in the order of the attributes' names, so that email comes before email_verified
}

type rule struct {
	attribute string
	source    string // as written
	body      string // without options: the claim
	constant  string // where isConstant
	path      []step // nil: a name only
	base      string // of a verified flag: the attribute it speaks about
	options   options
	computed  *expression // nil: a constant or a claim

	isConstant   bool
	bracketed    bool // begins with "[": never a name
	baseComputed bool // the rule of base is an expression
	baseUser     bool // one that reads the user
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
	expressions := 0
	computed := map[string]*expression{}
	for _, attribute := range slices.Sorted(maps.Keys(m)) {
		r, err := compile(attribute, m[attribute])
		if err != nil {
			faults = append(faults, fmt.Errorf("attribute mapping of %q: %w", attribute, err))
			continue
		}
		if r.computed != nil {
			computed[attribute] = r.computed
			expressions++
		}
		if base := computed[r.base]; base != nil {
			r.baseComputed, r.baseUser = true, base.user
		}
		out.rules = append(out.rules, r)
	}
	if expressions > maxExpressions {
		faults = append(faults, fmt.Errorf("attribute mapping: %d expressions, at most %d are possible", expressions, maxExpressions))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

func compile(attribute, source string) (rule, error) {
	if n := utf8.RuneCountInString(attribute); n < 1 || n > maxAttribute {
		return rule{}, fmt.Errorf("an attribute's name has 1 to %d characters", maxAttribute)
	}
	return compileSource(attribute, source)
}

// CompileRule is Compile for one rule. The name of its attribute is not looked at, and the error does not say it.
func CompileRule(attribute, source string) (*Rules, error) {
	r, err := compileSource(attribute, source)
	if err != nil {
		return nil, err
	}
	return &Rules{rules: []rule{r}}, nil
}

func compileSource(attribute, source string) (rule, error) {
	r := rule{attribute: attribute, source: source, body: source, base: verifiedFlags[attribute], options: options{write: writeAlways, list: listBrackets}}
	if utf8.RuneCountInString(source) > maxSource {
		return r, fmt.Errorf("the source is longer than %d characters", maxSource)
	}
	if !utf8.ValidString(source) {
		return r, errors.New("the source is not UTF-8 text")
	}
	if !HasOptions(source) {
		return r, r.compileBody()
	}
	o, end, err := parseOptions(source)
	if err != nil {
		return r, err
	}
	r.options = o
	if !o.expression {
		r.body = strings.TrimSpace(source[end:])
		if HasOptions(r.body) {
			return r, errors.New("options stand once, in one pair of brackets")
		}
		return r, r.compileBody()
	}
	// Blanks in place of the options: lines and columns are then those of the whole source.
	r.computed, err = compileExpression(strings.Repeat(" ", utf8.RuneCountInString(source[:end])) + source[end:])
	if err == nil && r.base != "" && r.computed.user {
		err = errors.New("whether " + r.base + " is verified follows from what the provider says now: the expression may not read user")
	}
	return r, err
}

// compileBody compiles a constant or a claim.
func (r *rule) compileBody() error {
	if text, ok := strings.CutPrefix(r.body, "="); ok {
		r.isConstant, r.constant = true, strings.TrimSpace(text)
		if r.constant == "" {
			return errors.New("the constant after = is empty")
		}
		return nil
	}
	if strings.TrimSpace(r.body) == "" {
		return errors.New("the source is empty: want a claim, a path or = and a constant")
	}
	path, err := parsePath(r.body)
	if r.bracketed = strings.HasPrefix(r.body, "["); r.bracketed && err != nil {
		return fmt.Errorf(`%q is not a claim path: want ["name"], then .name, [0] or ["name"], at most %d steps`, r.body, maxDepth)
	}
	r.path = path
	return nil
}
