// Package lab says what a provider's rules do with assertions before they are live: for each of them what a sign-in would change, and for all
// together who gains, who loses and who could not sign in any more.
//
// It owns the comparison and how it reads. What a sign-in would do it is told by pool.Directory.Preview, which is the sign-in itself; where
// assertions come from, and that the caller may see them, is its caller's.
package lab

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/mapping"
)

// The results of one assertion: TestResultType of the API.
const (
	Unchanged = "UNCHANGED"
	Changed   = "CHANGED"
	Broken    = "BROKEN"   // a sign-in that works, or did when the assertion came, would fail
	Failing   = "FAILING"  // it fails, and did before
	Repaired  = "REPAIRED" // it failed, and would work
	Unknown   = "UNKNOWN"  // it cannot be told, because a value is not kept
)

// The changes of one value or group: TestChangeType of the API.
const (
	None           = "NONE"
	Added          = "ADDED"
	Replaced       = "CHANGED"
	Removed        = "REMOVED"
	UnknownChange  = "UNKNOWN" // as with Unknown, or because the sign-in ends before
	notKept        = "a value that this is made of is not kept"
	notReached     = "the sign-in ends before"
	followsAddress = "follows from the address"
)

// Trial is one assertion, tried.
type Trial struct {
	Assertion assertion.Kept
	Kept      bool                // it is a kept one
	Checks    []api.TestCheckType // of one that was given, what was checked of it
	Live      Outcome             // under the rules that are live
	Tested    *Outcome            // under those that are tried; nil where those are the live ones
}

// Outcome is what a sign-in would do under some rules.
type Outcome struct {
	Rules   *mapping.Rules
	Groups  pool.GroupSource
	Preview pool.Preview
}

// groupsTainted reports whether the groups are made of what is not the provider's.
func (o Outcome) groupsTainted(redacted []string) bool {
	if o.Groups == (pool.GroupSource{}) {
		return false
	}
	rule, err := mapping.CompileRule("groups", o.Groups.Claim)
	return err != nil || len(rule.Reading(redacted)) > 0
}

// after is the outcome under the rules that the question is about.
func (t Trial) after() Outcome {
	if t.Tested != nil {
		return *t.Tested
	}
	return t.Live
}

// Compare returns what became of one assertion.
func Compare(t Trial) api.TestedAssertionType {
	a, after := t.Assertion, t.after()
	out := api.TestedAssertionType{
		Subject: a.Subject, UserSub: after.Preview.User.Sub, Username: after.Preview.User.Username, Finds: finds[after.Preview.Finds],
		RedactedClaims: a.Redacted, Checks: t.Checks, FaultAfter: faultOf(after.Preview.Fault),
	}
	if t.Kept {
		number := int64(a.Number) //nolint:gosec // there are not so many sign-ins
		out.Number, out.Date = &number, api.TimeOf(a.At)
	}
	switch {
	case t.Tested != nil:
		out.FaultBefore = faultOf(t.Live.Preview.Fault)
	case t.Kept && a.Fault != "":
		out.FaultBefore = &api.TestFaultType{Code: a.Fault, Message: a.Why}
	}
	out.Attributes, out.Groups = attributes(t), groups(t)
	out.Result = result(t, out)
	return out
}

var finds = map[pool.Finding]string{pool.FindsUser: "USER", pool.FindsLinked: "LINKED", pool.FindsNobody: "NOBODY", pool.FindsAsked: "ASKED"}

func faultOf(err error) *api.TestFaultType {
	if err == nil {
		return nil
	}
	f := &api.TestFaultType{Code: fault.CodeOf(err).String(), Message: fault.PublicOf(err)}
	var rules *mapping.Error
	if errors.As(err, &rules) {
		f.Message = rules.Error() // names attributes and rules, and no value
	}
	return f
}

// result judges one assertion by its attributes and groups, which are compared already.
func result(t Trial, a api.TestedAssertionType) string {
	redacted := t.Assertion.Redacted
	failed := a.FaultBefore != nil && (t.Tested == nil || !t.Live.uncertain(redacted))
	switch {
	case a.FaultAfter != nil && t.after().uncertain(redacted):
		return Unknown
	case a.FaultAfter != nil && failed, a.FaultAfter != nil && t.Tested == nil && !t.Kept:
		return Failing
	case a.FaultAfter != nil:
		return Broken
	case failed:
		return Repaired
	}
	out := Unchanged
	changes := make([]string, 0, len(a.Attributes)+len(a.Groups))
	for _, v := range a.Attributes {
		changes = append(changes, v.Change)
	}
	for _, g := range a.Groups {
		changes = append(changes, g.Change)
	}
	for _, c := range changes {
		switch c {
		case None:
		case UnknownChange:
			if out == Unchanged {
				out = Unknown
			}
		default:
			out = Changed
		}
	}
	if out == Unchanged && t.groupsTainted() {
		return Unknown
	}
	return out
}

// uncertain reports whether everything that the sign-in would end with is about a value that is not the provider's.
func (o Outcome) uncertain(redacted []string) bool {
	tainted := o.tainted(redacted)
	blamed := 0
	for _, p := range o.Preview.Problems {
		if !tainted[p.Name] {
			return false
		}
		blamed++
	}
	for _, s := range failedSteps(o.Preview.Result) {
		if !tainted[s.Attribute] {
			return false
		}
		blamed++
	}
	unread := fault.CodeOf(o.Preview.Fault) == fault.Invalid && len(o.Preview.Result.Steps) == 0 // group rules failed, before all others
	return blamed > 0 || unread && o.groupsTainted(redacted)
}

func failedSteps(r mapping.Result) []mapping.Step {
	var failed *mapping.Error
	if errors.As(r.Err(), &failed) {
		return failed.Steps
	}
	return nil
}

// flags follow from an address: pool decides what becomes of them.
var flags = map[string]string{"email": "email_verified", "phone_number": "phone_number_verified"}

// tainted are the attributes whose value, or whose failure, is made of what is not the provider's.
func (o Outcome) tainted(redacted []string) map[string]bool {
	out := map[string]bool{}
	reading := o.Rules.Reading(redacted)
	for _, s := range o.Preview.Result.Steps {
		switch s.Outcome {
		case mapping.Kept, mapping.Absent, mapping.Withheld, mapping.Cleared:
		case mapping.Written, mapping.TooLong, mapping.TooDeep, mapping.NotText, mapping.Failed:
			if slices.Contains(reading, s.Attribute) {
				out[s.Attribute] = true
			}
		}
	}
	for address, flag := range flags {
		if out[address] {
			out[flag] = true
		}
	}
	return out
}

// attributes compares what the user has, or would have under the live rules, with what they would have after.
func attributes(t Trial) []api.TestedAttributeType {
	after := t.after()
	before, beforeTainted := after.Preview.User.Attributes, map[string]bool{}
	if t.Tested != nil && t.Live.Preview.Fault == nil {
		before, beforeTainted = t.Live.Preview.After, t.Live.tainted(t.Assertion.Redacted)
	}
	tainted := after.tainted(t.Assertion.Redacted)
	steps := map[string]mapping.Step{}
	names := map[string]bool{}
	for _, s := range after.Preview.Result.Steps {
		steps[s.Attribute], names[s.Attribute] = s, true
	}
	for _, m := range []map[string]string{before, after.Preview.After} {
		for name := range m {
			names[name] = true
		}
	}
	problems := map[string]string{}
	for _, p := range after.Preview.Problems {
		problems[p.Name], names[p.Name] = p.Message, true
	}
	out := make([]api.TestedAttributeType, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if name == "username" { // allowed in a mapping and without effect
			continue
		}
		v := api.TestedAttributeType{Name: name, Before: before[name], After: after.Preview.After[name], Problem: problems[name]}
		step, ruled := steps[name]
		if ruled {
			v.Rule, v.Outcome, v.Why = step.Claim, string(step.Outcome), step.Note
		}
		v.Change = changeOf(v.Before, v.After)
		switch {
		case after.Preview.After == nil:
			v.Change, v.Why = UnknownChange, cmp.Or(v.Why, notReached)
		case v.Change != None && (tainted[name] != beforeTainted[name] || tainted[name] && t.Tested == nil):
			v.Change, v.Why = UnknownChange, notKept
		case v.Change != None && (!ruled || step.Outcome != mapping.Written) && (name == flags["email"] || name == flags["phone_number"]):
			v.Why = cmp.Or(v.Why, followsAddress)
		}
		out = append(out, v)
	}
	return out
}

func changeOf(before, after string) string {
	switch {
	case before == after:
		return None
	case before == "":
		return Added
	case after == "":
		return Removed
	}
	return Replaced
}

// groupsTainted reports whether it cannot be told which groups the rules give. The same rules give the same, whatever that is.
func (t Trial) groupsTainted() bool {
	if t.Tested != nil && t.Tested.Groups == t.Live.Groups {
		return false
	}
	return t.after().groupsTainted(t.Assertion.Redacted) || t.Live.groupsTainted(t.Assertion.Redacted)
}

// groups compares memberships.
func groups(t Trial) []api.TestedGroupType {
	after := t.after()
	before := map[string]bool{}
	for _, g := range after.Preview.Groups {
		before[g.Name] = g.Before
	}
	if t.Tested != nil && t.Live.Preview.Fault == nil {
		before = map[string]bool{}
		for _, g := range t.Live.Preview.Groups {
			before[g.Name] = g.After
		}
	}
	then := map[string]pool.PreviewGroup{}
	for _, g := range after.Preview.Groups {
		then[g.Name] = g
	}
	names := maps.Clone(before)
	for name := range then {
		names[name] = before[name]
	}
	var out []api.TestedGroupType
	for _, name := range slices.Sorted(maps.Keys(names)) {
		g := api.TestedGroupType{GroupName: name, Change: None, Rule: then[name].Rule, Why: groupWhy(then[name])}
		switch {
		case after.Preview.Fault != nil:
			g.Change = UnknownChange
		case t.groupsTainted():
			g.Change, g.Rule, g.Why = UnknownChange, "", notKept
		case before[name] && !then[name].After:
			g.Change = Removed
		case !before[name] && then[name].After:
			g.Change = Added
		case !before[name] && then[name].Outcome != pool.GroupAbsent:
			continue
		}
		out = append(out, g)
	}
	return out
}

var groupWhys = map[pool.GroupOutcome]string{
	pool.GroupJoined: "the provider gives it", pool.GroupHeld: "the provider gives it", pool.GroupLeft: "the provider gives it no more",
	pool.GroupStays: "the provider gives it no more, and somebody else does", pool.GroupAbsent: "the user pool has no group of this name",
}

func groupWhy(g pool.PreviewGroup) string {
	why := groupWhys[g.Outcome]
	if why != "" && g.Value != "" {
		why += ", for " + g.Value
	}
	return why
}
