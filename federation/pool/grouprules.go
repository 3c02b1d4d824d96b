package pool

import (
	"context"
	"fmt"
	"strings"

	"github.com/weir-id/weir/mapping"
)

// The keys of ProviderDetails about groups. They hold for every type of provider.
const (
	detailGroupClaim  = "group_claim"
	detailGroupRules  = "group_rules"
	detailGroupAbsent = "group_absent" // clear (default) or keep
)

// GroupSource is what the provider's details say of groups, as it is written: what GroupRules are made of.
type GroupSource struct{ Claim, Rules, Absent string }

// GroupSource returns the details about groups; the zero value where the provider gives none.
func (p IdentityProvider) GroupSource() GroupSource {
	return GroupSource{Claim: p.Details.Get(detailGroupClaim), Rules: p.Details.Get(detailGroupRules), Absent: p.Details.Get(detailGroupAbsent)}
}

// Compile returns the rules; nil where there are none. An absent claim takes the groups away unless group_absent says otherwise: most providers leave
// the claim out of somebody who has no groups, and whose authority ended must not keep it.
func (s GroupSource) Compile() (*mapping.GroupRules, Problems) {
	var ps Problems
	path := func(key string) string { return entry("ProviderDetails", key) }
	if s.Absent != "" && s.Absent != "clear" && s.Absent != "keep" {
		ps.add(path(detailGroupAbsent), "must be clear or keep")
	}
	if strings.TrimSpace(s.Rules) == "" {
		if s.Claim != "" || s.Absent != "" {
			ps.add(path(detailGroupRules), `is required with group_claim and group_absent: lines such as staff <- exact "Staff"`)
		}
		return nil, ps
	}
	g, faults := mapping.CompileGroupRules(s.Claim, s.Rules, s.Absent == "keep")
	for _, f := range faults {
		key := detailGroupRules
		if f.Claim {
			key = detailGroupClaim
		}
		ps.add(path(key), f.Error())
	}
	if g == nil {
		return nil, ps
	}
	for _, n := range g.Named() {
		if !validGroupName(n.Name) {
			ps.add(path(detailGroupRules), fmt.Sprintf("line %d, column %d: no group can have this name: 1 to 128 letters, digits, symbols or punctuation marks, and no space", n.Line, n.Column))
		}
	}
	return g, ps
}

// planGroupRules warns of rules that name groups which the pool will not have: whoever they are for would be in no group. Rules with $ in a group's
// name are for groups that may be made later.
func (pl *planner) planGroupRules(ctx context.Context, pp poolPlan) error {
	var there map[string]bool
	for i, s := range pp.spec.IdentityProviders {
		g, ps := IdentityProvider{Details: s.ProviderDetails}.GroupSource().Compile()
		if g == nil || len(ps) > 0 {
			continue
		}
		if there == nil {
			stored, err := entries(ctx, pl.d.groups(), pp)
			if err != nil {
				return err
			}
			there = map[string]bool{}
			for _, e := range stored {
				there[e.Value.Name] = true
			}
			for _, s := range pp.spec.Groups {
				there[s.GroupName] = true
			}
		}
		path := at(pp.path+".IdentityProviders", i) + "." + entry("ProviderDetails", detailGroupRules)
		for _, n := range g.Named() {
			if !there[n.Name] {
				(*Problems)(&pl.plan.Warnings).add(path, fmt.Sprintf("line %d, column %d: the user pool has no such group, and rules make none", n.Line, n.Column))
			}
		}
	}
	return nil
}
