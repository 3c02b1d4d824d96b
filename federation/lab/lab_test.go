package lab_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/lab"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/mapping"
)

// outcome is what a sign-in of somebody who is there would do.
func outcome(t *testing.T, rules map[string]string, after map[string]string, change func(*pool.Preview)) lab.Outcome {
	t.Helper()
	compiled, err := mapping.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	o := lab.Outcome{Rules: compiled, Preview: pool.Preview{
		Finds: pool.FindsUser, User: pool.User{Sub: "sub-1", Username: "Corp_1", Attributes: map[string]string{"name": "Ada", "locale": "en"}},
		After: after, Result: compiled.Apply(mapping.Claims{"name": "Ada", "nick": "A"}),
	}}
	if change != nil {
		change(&o.Preview)
	}
	return o
}

func member(before, after bool) func(*pool.Preview) {
	return func(p *pool.Preview) {
		p.Groups = []pool.PreviewGroup{{Name: "admins", Before: before, After: after, Rule: "admins <- exact \"A\"", Outcome: pool.GroupLeft}}
	}
}

func refused(p *pool.Preview) {
	p.Fault = fault.New(fault.Invalid, "Invalid user attributes: email. The attribute is required.", errors.New("cause"))
	p.Problems = []pool.AttributeProblem{{Name: "email", Message: "The attribute is required."}}
}

func TestCompare(t *testing.T) {
	stored := map[string]string{"name": "Ada", "locale": "en"}
	same := outcome(t, map[string]string{"name": "name"}, stored, nil)
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	kept := assertion.Kept{Number: 3, At: at, Subject: "1"}
	ptr := func(o lab.Outcome) *lab.Outcome { return &o }
	for name, tt := range map[string]struct {
		trial  lab.Trial
		result string
		change map[string]string // of attributes and groups, None left out
	}{
		"nothing":   {lab.Trial{Assertion: kept, Kept: true, Live: same}, lab.Unchanged, nil},
		"new rules": {lab.Trial{Kept: true, Live: same, Tested: ptr(outcome(t, map[string]string{"name": "name", "nickname": "nick"}, map[string]string{"name": "Ada", "nickname": "A"}, nil))}, lab.Changed, map[string]string{"nickname": lab.Added, "locale": lab.Removed}},
		"another value": {lab.Trial{Live: same, Tested: ptr(outcome(t, map[string]string{"name": "nick"}, map[string]string{"name": "A", "locale": "en"}, nil))},
			lab.Changed, map[string]string{"name": lab.Replaced}},
		"a group that is lost":                      {lab.Trial{Live: outcome(t, nil, stored, member(true, true)), Tested: ptr(outcome(t, nil, stored, member(true, false)))}, lab.Changed, map[string]string{"admins": lab.Removed}},
		"a group that is gained, by the live rules": {lab.Trial{Live: outcome(t, nil, stored, member(false, true))}, lab.Changed, map[string]string{"admins": lab.Added}},
		"a group that both give":                    {lab.Trial{Live: outcome(t, nil, stored, member(false, true)), Tested: ptr(outcome(t, nil, stored, member(false, true)))}, lab.Unchanged, nil},
		"it fails now":                              {lab.Trial{Live: same, Tested: ptr(outcome(t, nil, stored, refused))}, lab.Broken, nil},
		"it fails now, and did at the time":         {lab.Trial{Assertion: assertion.Kept{Fault: "invalid"}, Kept: true, Live: outcome(t, nil, stored, refused)}, lab.Failing, nil},
		"it fails now, and did not at the time":     {lab.Trial{Kept: true, Live: outcome(t, nil, stored, refused)}, lab.Broken, nil},
		"it fails either way":                       {lab.Trial{Live: outcome(t, nil, stored, refused), Tested: ptr(outcome(t, nil, stored, refused))}, lab.Failing, nil},
		"it works again":                            {lab.Trial{Live: outcome(t, nil, stored, refused), Tested: ptr(same)}, lab.Repaired, nil},
		"a rule that fails":                         {lab.Trial{Live: same, Tested: ptr(outcome(t, map[string]string{"name": "[cel] claims.none"}, nil, func(p *pool.Preview) { p.Fault = p.Result.Err() }))}, lab.Broken, map[string]string{"name": lab.UnknownChange, "locale": lab.UnknownChange}},
	} {
		got := lab.Compare(tt.trial)
		change := map[string]string{}
		for _, a := range got.Attributes {
			if a.Change != lab.None {
				change[a.Name] = a.Change
			}
		}
		for _, g := range got.Groups {
			if g.Change != lab.None && got.FaultAfter == nil {
				change[g.GroupName] = g.Change
			}
		}
		if got.Result != tt.result || len(change) != len(tt.change) || len(change) > 0 && !reflect.DeepEqual(change, tt.change) {
			t.Errorf("%s: %s %v, want %s %v", name, got.Result, change, tt.result, tt.change)
		}
	}
	got := lab.Compare(lab.Trial{Assertion: kept, Kept: true, Live: same})
	if *got.Number != 3 || !got.Date.Equal(at) || got.Subject != "1" || got.UserSub != "sub-1" || got.Finds != "USER" || got.Attributes[1].Rule != "name" {
		t.Errorf("%+v", got)
	}
}

// TestReportReadsInPlainWords: the sentences that an administrator decides by.
func TestReportReadsInPlainWords(t *testing.T) {
	stored := map[string]string{"name": "Ada", "locale": "en"}
	var all []api.TestedAssertionType
	add := func(n int, subject string, live lab.Outcome, tested lab.Outcome) {
		for range n {
			all = append(all, lab.Compare(lab.Trial{Assertion: assertion.Kept{Subject: subject, Number: uint64(len(all) + 1)}, Kept: true, Live: live, Tested: &tested}))
		}
	}
	same := outcome(t, map[string]string{"name": "name"}, stored, nil)
	for _, subject := range []string{"a", "b", "c"} {
		add(2, subject, outcome(t, nil, stored, member(true, true)), outcome(t, nil, stored, member(true, false))) // the older one does not count
	}
	add(1, "d", same, outcome(t, map[string]string{"name": "name"}, map[string]string{"name": "Ada"}, nil))
	add(2, "e", same, outcome(t, map[string]string{"name": "name"}, stored, refused))
	add(1, "f", outcome(t, nil, stored, refused), same)
	add(1, "g", outcome(t, nil, stored, refused), outcome(t, nil, stored, refused))
	for _, subject := range strings.Split("h i j k l m n o p q r s t u", " ") {
		add(1, subject, same, same)
	}
	r := lab.Report("p_1", "Corp", all)
	want := []string{
		"2 sign-ins that work would fail: attribute email: The attribute is required.", "3 users lose group admins", "1 user loses attribute locale",
		"1 sign-in that failed would work", "1 sign-in goes on failing: attribute email: The attribute is required.", "no change for 14",
	}
	if !slices.Equal(r.Summary.Lines, want) || *r.Summary.People != 21 || *r.Summary.Assertions != 25 || *r.Summary.Changed != 7 {
		t.Errorf("%s\n%+v", strings.Join(r.Summary.Lines, "\n"), r.Summary)
	}
	var b strings.Builder
	if err := lab.WriteText(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"3 users lose group admins\n", "\n\n#1 Corp_1: changes\n", "  group   before  after  rule                 why\n  admins  member  -      admins <- exact \"A\"  the provider gives it no more\n",
		"  attribute  before  after  rule  why\n  locale     en      -      -     -\n", "would FAIL, and works today\n  the sign-in would end: Invalid user attributes: email.",
		": failed, and would work\n", ": fails, as before\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "no change\n") {
		t.Error("those for whom nothing changes are listed")
	}
	if err := lab.WriteText(brokenPipe{}, r); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a terminal that went away: %v", err)
	}
	empty := lab.Report("p_1", "Corp", nil)
	b.Reset()
	if err := lab.WriteText(&b, empty); err != nil || b.String() != "there is no assertion to try\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// FuzzTextIsPrintable: whatever a provider or a person wrote, nothing of it moves an administrator's terminal, and one value is one line.
func FuzzTextIsPrintable(f *testing.F) {
	f.Add("\x1b]0;x\x07\u202e\u009b31m", "two\nlines\ttab")
	f.Add(strings.Repeat("long ", 1000), "\xff\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := api.TestAttributeMappingResponse{Assertions: []api.TestedAssertionType{{
			Subject: a, Username: b, Finds: "USER", Result: lab.Broken, FaultAfter: &api.TestFaultType{Message: a}, FaultBefore: &api.TestFaultType{Message: b}, RedactedClaims: []string{a},
			Checks:     []api.TestCheckType{{Name: a, Outcome: "FAILED", Message: b}},
			Attributes: []api.TestedAttributeType{{Name: a, Before: b, After: a, Rule: b, Why: a, Problem: b, Change: lab.Added}},
			Groups:     []api.TestedGroupType{{GroupName: b, Rule: a, Why: b, Change: lab.Removed}},
		}}}
		list := api.ListKeptAssertionsResponse{Assertions: []api.KeptAssertionType{{Number: new(int64(1)), Date: api.TimeOf(time.Unix(0, 0)), Subject: a, Fault: &api.TestFaultType{Message: b}}}}
		list.Assertions[0].Claims, _ = json.Marshal(map[string]any{a: b})
		var out strings.Builder
		many := api.TestAttributeMappingResponse{Assertions: slices.Repeat(r.Assertions, 2), Summary: &api.TestSummaryType{Lines: []string{a, b}}}
		if err := errors.Join(lab.WriteText(&out, r), lab.WriteText(&out, many), lab.WriteList(&out, list)); err != nil {
			t.Fatal(err)
		}
		for _, c := range out.String() {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("%q in\n%q", c, out.String())
			}
		}
		if n := strings.Count(out.String(), "\n"); n != 29 {
			t.Errorf("%d lines:\n%s", n, out.String())
		}
	})
}
