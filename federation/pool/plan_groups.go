package pool

import (
	"context"
	"slices"
	"strconv"

	"github.com/weir-id/weir/federation/store"
)

// planGroups compares the groups of a pool.
func (pl *planner) planGroups(ctx context.Context, pp poolPlan) error {
	if len(pp.spec.Groups) == 0 {
		return nil
	}
	stored, err := entries(ctx, pl.d.groups(), pp)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, s := range pp.spec.Groups {
		path := at(pp.path+".Groups", i)
		var old store.Entry[Group]
		if j := slices.IndexFunc(stored, func(e store.Entry[Group]) bool { return e.Value.Name == s.GroupName }); j >= 0 {
			old = stored[j]
		}
		want := desiredGroup(s, old.Value, pp.want.ID)
		pl.problems.under(path, validateGroup(want))
		if seen[want.Name] {
			pl.problems.add(path+".GroupName", "is that of an earlier entry")
		}
		seen[want.Name] = true
		pl.record(Change{
			Path: entry(pp.name+".Groups", want.Name), ID: want.Name, Fields: diff(oldFields(old, groupFields), groupFields(want)),
		}, old.Version, func(ctx context.Context) error { return pl.d.putGroup(ctx, &want, old) })
	}
	return nil
}

func groupFields(g Group) []field {
	precedence := ""
	if g.Precedence != nil {
		precedence = strconv.Itoa(*g.Precedence)
	}
	return []field{{name: "Description", value: g.Description}, {name: "RoleArn", value: g.RoleArn}, {name: "Precedence", value: precedence}}
}
