package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The limits of group rules, beside that of a detail's length.
const (
	maxGroupRules  = 1_000
	maxGroupLine   = 2_048  // characters
	maxGroupFaults = 100    // that are reported at once
	maxGroupValues = 10_000 // of a claim; more is an error and never a part of them
	maxGroupValue  = 2_048  // bytes of one value; a longer one is left out, and counted
	maxGroupName   = 128    // characters of a group's name (GroupNameType of the API model): no group has a longer one
	maxGroupWork   = 200_000_000
	maxUnmatched   = 100 // that a result lists
)

// GroupRules are compiled rules from the values of a claim to the names of groups: docs/mapping.md has the language. They are immutable and
// safe for concurrent use. Which groups there are, and who is in them, is not their business.
type GroupRules struct {
	claim rule
	reads []string // the claims that the values come from
	keep  bool
	rules []groupRule

	exact, folded, ids     map[string][]int // rules by text
	idLengths              []bool           // whether an id has so many bytes
	names, foldedNames     map[string][]int // those of cn
	prefixes, foldPrefixes prefixIndex      // of prefix, and of regular expressions that begin with a literal
	patterns               []int            // the other regular expressions, which every value goes through
	anyValue, anyName      []int            // of value, and of cn without a text
	readsDN                bool
}

// GroupFault is one thing that is wrong with the configuration of group rules.
type GroupFault struct {
	Claim        bool // of the claim's source, and not of the rules
	Line, Column int  // of the rules, from 1 and in characters; 0 where the whole is meant
	Problem      string
}

// Error says where and what.
func (f GroupFault) Error() string {
	if f.Line == 0 {
		return f.Problem
	}
	return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Problem)
}

// NamedGroup is a group that a rule names in so many words.
type NamedGroup struct {
	Name         string
	Line, Column int
}

// Named returns the groups that rules name without $, in the order of the lines.
func (g *GroupRules) Named() []NamedGroup {
	var out []NamedGroup
	for i := range g.rules {
		if r := &g.rules[i]; r.static {
			out = append(out, NamedGroup{Name: r.name, Line: r.line, Column: r.column})
		}
	}
	return out
}

// GroupGiven is a group that the claim gives.
type GroupGiven struct {
	Group string
	Line  int    // of the first rule that gives it
	Rule  string // that rule, as the administrator wrote it
	Value string // the first value that the rule took
}

// GroupResult is what the rules made of the claims of one sign-in.
type GroupResult struct {
	Given []GroupGiven // each group once, in the order of the names
	// Values is how many texts the claim had. Unmatched are the first hundred of those that no rule took, Ignored how many there were of them
	// and of what is no text or too long: see Skipped for the latter.
	Values    int
	Unmatched []string
	Ignored   int
	Skipped   int
	// Absent: the provider did not send the claim. Overage: it said instead that there are too many groups to list (Entra ID).
	Absent, Overage bool
	// Keep: what the identity gave before stays, since nothing is known now and the configuration says so.
	Keep bool
	// Note says why there are no groups, or no result; "" where the claim was read.
	Note string

	err error
}

// Why rules have no result: see GroupResult.Err.
var (
	ErrGroupOverage = errors.New("the provider has too many groups to list")
	ErrGroupValues  = errors.New("the groups of the claim cannot be read")
)

// Err returns why the groups are not known, or nil. A login whose result has an error must not go on: neither all groups nor none would be true.
func (r GroupResult) Err() error { return r.err }

// Evaluate returns the groups that claims give. It changes nothing in the input, gives the same result for the same input, never panics, and the
// work is bounded whatever the claims are. A nil g gives no groups.
func (g *GroupRules) Evaluate(claims Claims, p Provider) GroupResult {
	if g == nil {
		return GroupResult{}
	}
	if g.overage(claims) {
		r := GroupResult{Absent: true, Overage: true, Keep: g.keep, Note: "the provider says that there are too many groups to list"}
		if !g.keep {
			r.err = ErrGroupOverage
		}
		return r
	}
	values, present, err := g.values(claims, p)
	if n := len(values); n > maxGroupValues {
		err = fmt.Errorf("%d values, at most %d are possible", n, maxGroupValues)
	}
	switch {
	case err != nil:
		return GroupResult{Note: err.Error(), err: fmt.Errorf("%w: %w", ErrGroupValues, err)}
	case !present:
		return GroupResult{Absent: true, Keep: g.keep, Note: "the provider did not send the claim"}
	}
	return g.match(values)
}

// values returns what the claim has. present is false where the provider did not say; an expression may have a default for that.
func (g *GroupRules) values(claims Claims, p Provider) (list []any, present bool, err error) {
	var v any
	if g.claim.computed == nil {
		v, _ = g.claim.lookup(claims)
	} else if v, err = g.claim.computed.evaluate(&variables{in: &Input{Claims: claims, Provider: p}}); err != nil {
		return nil, false, err
	}
	switch v := v.(type) {
	case nil:
		return nil, false, nil
	case []any:
		said := func(name string) bool { return claims[name] != nil }
		return v, len(v) > 0 || g.claim.computed == nil || slices.ContainsFunc(g.reads, said), nil
	}
	return []any{v}, v != "", nil
}

// samlGroups and samlOverage are Entra ID's attributes in SAML: the groups, and the word that there are too many.
const (
	samlGroups  = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
	samlOverage = "http://schemas.microsoft.com/claims/groups.link"
)

// overage reports whether the provider says of a claim that the rules read that it is elsewhere, for its size: Entra ID has the distributed claims of
// OpenID Connect Core section 5.6.2 for that, hasgroups in tokens that came through the browser, and an attribute in SAML. A claim that is there
// all the same counts.
func (g *GroupRules) overage(claims Claims) bool {
	distributed, _ := claims["_claim_names"].(map[string]any)
	for _, name := range g.reads {
		switch {
		case claims[name] != nil:
		case distributed[name] != nil,
			name == "groups" && truth(claims["hasgroups"]),
			(name == "groups" || name == samlGroups) && claims[samlOverage] != nil:
			return true
		}
	}
	return false
}

func truth(v any) bool { return v == true || v == "true" }

// given sorts what rules gave.
func (g *GroupRules) given(hits map[string]GroupGiven) []GroupGiven {
	out := make([]GroupGiven, 0, len(hits))
	for _, name := range slices.Sorted(maps.Keys(hits)) {
		out = append(out, hits[name])
	}
	return out
}

// CompileGroupRules checks and prepares rules for the values of claim, a claim's name, a path or an expression. keep says that an absent claim
// leaves things as they were. It returns every fault, in the order of the lines.
func CompileGroupRules(claim, rules string, keep bool) (*GroupRules, []GroupFault) {
	g := &GroupRules{keep: keep}
	var faults []GroupFault
	if err := g.compileClaim(claim); err != nil {
		faults = append(faults, GroupFault{Claim: true, Problem: err.Error()})
	}
	parsed, wrong := parseGroupRules(rules)
	if faults = append(faults, wrong...); len(faults) > 0 {
		return nil, faults
	}
	g.rules = parsed
	g.index()
	return g, nil
}

func (g *GroupRules) compileClaim(source string) error {
	r, err := compileSource("", source)
	switch {
	case strings.TrimSpace(source) == "":
		return errors.New("is required with group_rules: the claim that has the groups, such as groups")
	case err != nil:
		return err
	case r.isConstant:
		return errors.New("must be a claim, a path or an expression: with a constant everybody would be in the group")
	case r.computed == nil && HasOptions(source), r.options != (options{expression: r.computed != nil, write: writeAlways, list: listBrackets}):
		return errors.New("may have no option but cel: group_absent says what an absent claim does")
	case r.computed != nil && r.computed.user:
		return errors.New("the expression may not read user: groups follow from what the provider says now")
	}
	g.claim = r
	switch {
	case r.computed != nil:
		g.reads = r.computed.claims
		if r.computed.whole {
			g.reads = append(slices.Clone(g.reads), "groups")
		}
	case len(r.path) > 0 && r.path[0].name != r.body:
		g.reads = []string{r.path[0].name, r.body}
	default:
		g.reads = []string{r.body}
	}
	return nil
}
