package lab

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/pool/api"
)

// Report puts what became of many assertions together. They come the newest first: of each person the newest counts for what changes, since an older one
// says what they no longer are. Every sign-in that would fail counts.
func Report(poolID, provider string, all []api.TestedAssertionType) api.TestAttributeMappingResponse {
	counts := map[string]int{}
	people := map[string]bool{}
	lines := tally{}
	for _, a := range all {
		newest := !people[a.Subject]
		people[a.Subject] = true
		counts[a.Result]++
		switch a.Result {
		case Broken:
			lines.add(0, "sign-in that works would fail: "+reason(a), "sign-ins that work would fail: "+reason(a))
			continue
		case Failing:
			lines.add(5, "sign-in goes on failing: "+reason(a), "sign-ins go on failing: "+reason(a))
			continue
		case Repaired:
			lines.add(4, "sign-in that failed would work", "sign-ins that failed would work")
			continue
		case Unknown:
			lines.add(6, "sign-in cannot be told: a value is not kept", "sign-ins cannot be told: a value is not kept")
			continue
		}
		if newest {
			lines.changes(a)
		}
	}
	said := lines.said()
	if n := counts[Unchanged]; n > 0 {
		said = append(said, fmt.Sprintf("no change for %d", n))
	}
	if len(all) == 0 {
		said = append(said, "there is no assertion to try")
	}
	return api.TestAttributeMappingResponse{
		UserPoolID: poolID, ProviderName: provider, Assertions: all,
		Summary: &api.TestSummaryType{
			Assertions: new(len(all)), People: new(len(people)), Broken: new(counts[Broken]), Changed: new(counts[Changed]), Failing: new(counts[Failing]),
			Repaired: new(counts[Repaired]), Unchanged: new(counts[Unchanged]), Unknown: new(counts[Unknown]), Lines: said,
		},
	}
}

// reason says in one line why a sign-in would fail: the first attribute that stands in the way, or the sentence.
func reason(a api.TestedAssertionType) string {
	for _, v := range a.Attributes {
		if v.Problem != "" {
			return "attribute " + v.Name + ": " + v.Problem
		}
	}
	if a.FaultAfter == nil {
		return ""
	}
	return a.FaultAfter.Message
}

// line is a sentence that counts people or sign-ins, in its place among the others.
type line struct {
	place     int
	one, many string
}

type tally map[line]int

func (t tally) add(place int, one, many string) { t[line{place, one, many}]++ }

// changes counts what changes for one person.
func (t tally) changes(a api.TestedAssertionType) {
	for _, g := range a.Groups {
		switch g.Change {
		case Removed:
			t.add(1, "user loses group "+g.GroupName, "users lose group "+g.GroupName)
		case Added:
			t.add(1, "user gains group "+g.GroupName, "users gain group "+g.GroupName)
		}
	}
	for _, v := range a.Attributes {
		switch v.Change {
		case Removed:
			t.add(2, "user loses attribute "+v.Name, "users lose attribute "+v.Name)
		case Added:
			t.add(3, "user gains attribute "+v.Name, "users gain attribute "+v.Name)
		case Replaced:
			t.add(3, "user gets another value of attribute "+v.Name, "users get another value of attribute "+v.Name)
		}
	}
}

func (t tally) said() []string {
	all := slices.SortedFunc(maps.Keys(t), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(t[b], t[a]), cmp.Compare(a.one, b.one))
	})
	var out []string
	for _, l := range all {
		text := l.many
		if t[l] == 1 {
			text = l.one
		}
		out = append(out, fmt.Sprintf("%d %s", t[l], text))
	}
	return out
}
