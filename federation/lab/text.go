package lab

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/trace"
)

// Lengths in a table, in characters. A value that is longer is cut: --json has it whole.
const (
	maxCell = 60
	maxLine = 400
)

// WriteText writes a report for a person: of one assertion everything, of several a summary and those whom something changes for. What providers
// and people wrote is made printable, so that it does nothing to a terminal.
func WriteText(out io.Writer, r api.TestAttributeMappingResponse) error {
	var b strings.Builder
	if len(r.Assertions) == 1 {
		one(&b, r.Assertions[0], true)
		_, err := io.WriteString(out, b.String())
		return err
	}
	if r.Summary != nil {
		for _, l := range r.Summary.Lines {
			sayf(&b, "%s", clip(l, maxLine))
		}
	}
	for _, a := range r.Assertions {
		if a.Result != Unchanged {
			sayf(&b, "")
			one(&b, a, false)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func sayf(b *strings.Builder, format string, args ...any) {
	_, _ = fmt.Fprintf(b, format+"\n", args...) // a Builder takes everything
}

var results = map[string]string{
	Unchanged: "no change", Changed: "changes", Broken: "would FAIL, and works today", Failing: "fails, as before", Repaired: "failed, and would work",
	Unknown: "cannot be told, because a value is not kept",
}

var found = map[string]string{"USER": "", "LINKED": ", to whom the identity would be linked", "NOBODY": "a new user", "ASKED": "who would be asked first, or a new user"}

// one writes one assertion: all its attributes, or those that something happens to.
func one(b *strings.Builder, a api.TestedAssertionType, all bool) {
	who := clip(cmp.Or(a.Username, a.Subject), maxCell) + found[a.Finds]
	if a.Finds == "NOBODY" || a.Finds == "ASKED" {
		who = cmp.Or(clip(a.Subject, maxCell), "nobody in particular") + ", " + found[a.Finds]
	}
	if a.Number != nil {
		who = fmt.Sprintf("#%d %s", *a.Number, who)
		if a.Date != nil {
			who += ", " + a.Date.UTC().Format("2006-01-02 15:04:05 MST")
		}
	}
	sayf(b, "%s: %s", who, results[a.Result])
	if a.FaultAfter != nil {
		sayf(b, "  the sign-in would end: %s", clip(a.FaultAfter.Message, maxLine))
	}
	if a.FaultBefore != nil && all {
		sayf(b, "  before, it ended: %s", clip(a.FaultBefore.Message, maxLine))
	}
	if len(a.RedactedClaims) > 0 && all {
		sayf(b, "  values are not kept of the claims %s", clip(strings.Join(a.RedactedClaims, ", "), maxLine))
	}
	for _, c := range a.Checks {
		sayf(b, "  %s: %s. %s", strings.ToLower(strings.ReplaceAll(c.Outcome, "_", " ")), clip(c.Name, maxCell), clip(c.Message, maxLine))
	}
	table(b, []string{"attribute", "before", "after", "rule", "why"}, func(row func(...string)) {
		for _, v := range a.Attributes {
			if !all && v.Change == None && v.Problem == "" || !all && v.Change == UnknownChange && v.Why == notReached {
				continue
			}
			after := v.After
			if v.Change == UnknownChange && v.Why != notKept {
				after = "?"
			}
			row(v.Name, v.Before, after, v.Rule, why(v))
		}
	})
	table(b, []string{"group", "before", "after", "rule", "why"}, func(row func(...string)) {
		for _, g := range a.Groups {
			if all || g.Change == Added || g.Change == Removed {
				row(g.GroupName, member(g.Change == Removed || g.Change == None), member(g.Change == Added || g.Change == None), g.Rule, g.Why)
			}
		}
	})
}

func member(in bool) string {
	if in {
		return "member"
	}
	return ""
}

// why is what stands in the way, or what became of the rule.
func why(v api.TestedAttributeType) string {
	if v.Problem != "" {
		return v.Problem
	}
	if v.Why == "" {
		return v.Outcome
	}
	if v.Outcome == "" || v.Outcome == "written" {
		return v.Why
	}
	return v.Outcome + ": " + v.Why
}

// table writes rows under heads, unless there are none. The last column may be long.
func table(b *strings.Builder, heads []string, rows func(row func(...string))) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			n := maxCell
			if i == len(cells)-1 {
				n = maxLine
			}
			cells[i] = clip(cmp.Or(cells[i], "-"), n)
		}
		_, _ = fmt.Fprintln(w, "  "+strings.Join(cells, "\t"))
	}
	first := true
	rows(func(cells ...string) {
		if first {
			row(heads...)
			first = false
		}
		row(cells...)
	})
	_ = w.Flush() // into a Builder
}

// clip makes text printable and cuts it to n characters.
func clip(s string, n int) string {
	var b strings.Builder
	for _, r := range trace.Printable(s) {
		if n--; n < 0 {
			return b.String() + "…"
		}
		b.WriteRune(r)
	}
	return b.String()
}
