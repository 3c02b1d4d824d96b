package pool

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// Action is what Apply does to one thing.
type Action string

// The actions. What a Spec does not name is left alone: nothing is ever deleted.
const (
	ActionCreate    Action = "create"
	ActionUpdate    Action = "update"
	ActionUnchanged Action = "unchanged"
)

// Change is one pool, provider or client of a Spec against what is stored.
type Change struct {
	Action Action
	Path   string // UserPools[example].Clients[web]
	ID     string // the pool's or client's id, new ones included; the provider's name
	Fields []FieldChange
	// GeneratedSecret is a client secret that Apply will store. It is shown once, after Apply: after that, only to whoever
	// may read the secrets of the store.
	GeneratedSecret secret.Text
}

// Plan is the difference between a Spec and the store, and the way from one to the other.
type Plan struct {
	Changes  []Change  // in the order in which Apply goes
	Warnings []Problem // allowed, but probably not meant
	steps    []step
}

// step writes one change. It fails with fault.Conflict where the store is no longer what the plan saw.
type step func(context.Context) error

// Pending returns the number of changes that Apply would write.
func (p *Plan) Pending() int { return len(p.steps) }

// planner compares a Spec with the store.
type planner struct {
	d        *Directory
	plan     *Plan
	problems Problems
}

// poolPlan is a pool of the Spec under comparison.
type poolPlan struct {
	path, name string // with the index, for problems; with the name, for changes
	spec       PoolSpec
	old        store.Entry[Pool] // Version 0: it does not exist yet
	want       Pool
}

// Plan compares a Spec with the store and writes nothing. Pools are found by Id, or by PoolName where the file has no Id; clients
// by ClientId, or by ClientName within the pool; providers and groups by name. New ids and secrets are drawn here, so that
// Apply does what the plan says.
//
// Errors: fault.Invalid whose cause is Problems: everything that is wrong in the whole
// Spec, with paths like UserPools[0].Clients[1].CallbackURLs[0].
func (d *Directory) Plan(ctx context.Context, spec Spec) (*Plan, error) {
	pl := &planner{d: d, plan: &Plan{}}
	var all []poolPlan
	for i, s := range spec.UserPools {
		pp := poolPlan{path: at("UserPools", i), name: entry("UserPools", s.PoolName), spec: s}
		if err := pl.findPool(ctx, &pp); err != nil {
			return nil, err
		}
		all = append(all, pp)
	}
	if err := pl.distinctPools(ctx, all); err != nil {
		return nil, err
	}
	for _, pp := range all {
		pl.planPool(pp)
		providers, err := pl.planProviders(ctx, pp)
		if err != nil {
			return nil, err
		}
		servers, err := pl.planServers(ctx, pp)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(pl.planGroups(ctx, pp), pl.planGroupRules(ctx, pp)); err != nil {
			return nil, err
		}
		if err := pl.planClients(ctx, pp, providers, servers); err != nil {
			return nil, err
		}
	}
	if err := pl.problems.fault(); err != nil {
		return nil, err
	}
	return pl.plan, nil
}

// Apply writes what the plan says: each pool, then its providers, resource servers and groups, then its clients, so that nothing refers to what is not there yet. Every
// step is one atomic write, and a plan made after an interruption begins where this one ended. A plan is applied
// once. Errors: fault.Conflict where the store has changed since the plan was made.
func (d *Directory) Apply(ctx context.Context, p *Plan) error {
	steps := p.steps
	for len(steps) > 0 {
		var waiting []step
		var taken error
		for _, s := range steps {
			err := s(ctx)
			switch {
			case errors.Is(err, store.ErrTaken):
				// A domain or an identifier that moves: its old holder gives it up in a later step.
				waiting, taken = append(waiting, s), err
			case err != nil:
				return err
			}
		}
		if len(waiting) == len(steps) {
			return taken
		}
		steps = waiting
	}
	return nil
}

// findPool looks for the stored pool of a spec and works out the wanted one.
func (pl *planner) findPool(ctx context.Context, pp *poolPlan) error {
	var err error
	if pp.spec.ID != "" {
		if validPoolID(pp.spec.ID) {
			pp.old, err = pl.d.pools().Get(ctx, pp.spec.ID)
		}
	} else if poolNamePattern.MatchString(pp.spec.PoolName) {
		err = pl.findPoolByName(ctx, pp)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return storeFault("plan: find user pool", err, noPool)
	}
	if pp.old.Value.gone() {
		return taken("The user pool "+pp.spec.ID+" is being deleted: delete it again, or restart Weir, to finish that.", "plan", store.ErrConflict)
	}
	want, problems := desiredPool(pp.spec, pp.old.Value, pl.d)
	pp.want = want
	pl.problems.under(pp.path, problems)
	if pp.old.Version != 0 {
		pl.problems.under(pp.path, poolChange(pp.old.Value, want))
	}
	return nil
}

func (pl *planner) findPoolByName(ctx context.Context, pp *poolPlan) error {
	matches := 0
	err := pl.d.pools().All(ctx, poolNameIndex(pp.spec.PoolName), func(e store.Entry[Pool]) error {
		if e.Value.Name == pp.spec.PoolName {
			matches++
			pp.old = e
		}
		return nil
	})
	if matches > 1 {
		pl.problems.add(pp.path+".PoolName", "several user pools have this name: give the Id of one")
	}
	return err
}

// distinctPools checks that no two entries mean the same pool or want the same domain, and that
// no pool outside the Spec holds a wanted one.
func (pl *planner) distinctPools(ctx context.Context, all []poolPlan) error {
	ids, names, domains := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, pp := range all {
		ids[pp.want.ID] = false
	}
	for _, pp := range all {
		name := pp.spec.PoolName
		if pp.spec.ID != "" {
			name = "" // pools with an Id of their own may share a name
		}
		if ids[pp.want.ID] || (name != "" && names[name]) {
			pl.problems.add(pp.path, "stands for the same user pool as an earlier entry")
		}
		ids[pp.want.ID], names[name] = true, true
		for _, of := range [][2]string{{"Domain", pp.want.Domain}, {"CustomDomain", pp.want.CustomDomain}} {
			field, domain := of[0], of[1]
			if domain == "" || checkDomain(domain) != "" {
				continue
			}
			if domains[domain] {
				pl.problems.add(pp.path+"."+field, "is wanted by an earlier entry")
			}
			domains[domain] = true
			holder, err := pl.d.pools().GetBy(ctx, domainKey(domain))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return storeFault("plan: find user pool by domain", err, noPool)
			}
			if _, inSpec := ids[holder.Value.ID]; err == nil && !inSpec {
				pl.problems.add(pp.path+"."+field, "belongs to another user pool")
			}
		}
	}
	return nil
}

func (pl *planner) planPool(pp poolPlan) {
	before := poolFields(ready(pp.old.Value))
	if pp.old.Version == 0 {
		// Of a new pool's settings and schema only what differs from the standard is worth a line.
		before = detailFields(Pool{Schema: StandardSchema(), Settings: Settings{}.withDefaults()})
	}
	want := pp.want
	want.Created, want.Modified = pp.old.Value.Created, pp.old.Value.Modified
	pl.record(Change{Path: pp.name, ID: want.ID, Fields: diff(before, poolFields(want))}, pp.old.Version,
		func(ctx context.Context) error { return pl.d.putPool(ctx, &want, pp.old) })
}

// record appends a change and, where there is something to write, its step.
func (pl *planner) record(c Change, version uint64, s step) {
	switch {
	case version == 0:
		c.Action = ActionCreate
	case len(c.Fields) > 0:
		c.Action = ActionUpdate
	default:
		c.Action = ActionUnchanged
	}
	pl.plan.Changes = append(pl.plan.Changes, c)
	if c.Action != ActionUnchanged {
		pl.plan.steps = append(pl.plan.steps, s)
	}
}
