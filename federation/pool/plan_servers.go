package pool

import (
	"cmp"
	"context"
	"slices"

	"github.com/weir-id/weir/federation/store"
)

// planServers compares the resource servers of a pool and returns those that it will have.
func (pl *planner) planServers(ctx context.Context, pp poolPlan) ([]ResourceServer, error) {
	stored, err := entries(ctx, pl.d.servers(), pp)
	if err != nil {
		return nil, err
	}
	var final []ResourceServer
	for i, s := range pp.spec.ResourceServers {
		path := at(pp.path+".ResourceServers", i)
		want := desiredServer(s, pp.want.ID)
		pl.problems.under(path, ValidateResourceServer(want))
		if slices.ContainsFunc(final, func(f ResourceServer) bool { return f.Identifier == want.Identifier }) {
			pl.problems.add(path+".Identifier", "is that of an earlier entry")
		}
		var old store.Entry[ResourceServer]
		if j := slices.IndexFunc(stored, func(e store.Entry[ResourceServer]) bool { return e.Value.Identifier == want.Identifier }); j >= 0 {
			old = stored[j]
			stored = slices.Delete(stored, j, j+1)
		}
		final = append(final, want)
		want.Created = old.Value.Created
		pl.record(Change{
			Path: entry(pp.name+".ResourceServers", want.Identifier), ID: want.Identifier,
			Fields: diff(oldFields(old, serverFields), serverFields(want)),
		}, old.Version, func(ctx context.Context) error { return pl.d.putServer(ctx, &want, old) })
	}
	return append(final, values(stored)...), nil
}

// desiredServer returns the resource server of a spec. A description that is left out is the scope's name: the model requires one.
func desiredServer(s ServerSpec, poolID string) ResourceServer {
	out := ResourceServer{PoolID: poolID, Identifier: s.Identifier, Name: cmp.Or(s.Name, s.Identifier)}
	for _, c := range s.Scopes {
		out.Scopes = append(out.Scopes, Scope{Name: c.ScopeName, Description: cmp.Or(c.ScopeDescription, c.ScopeName)})
	}
	return out
}
