package pool

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

// Finding is whom a sign-in is about.
type Finding string

// The findings.
const (
	FindsUser   Finding = "user"   // one who has the identity
	FindsLinked Finding = "linked" // one to whom it would be linked: they wait for it (Directory.LinkProvider), or the provider's policy leads to them
	FindsNobody Finding = "nobody" // the sign-in would create one
	FindsAsked  Finding = "asked"  // as FindsNobody, if the person says so: they would be asked first (NeedsProof)
)

// Preview is what a sign-in would do.
type Preview struct {
	Finds Finding
	User  User // as stored; zero where the sign-in finds nobody
	// Result is what the rules made of the claims. Its Steps say of each why; SignIn.Map has to return it beside an error too.
	Result mapping.Result
	// After are the user's attributes after the sign-in, or as they would be but for the Fault. Nil where it ends before there are any.
	After map[string]string
	// Changed names the attributes in which After differs from User, sorted.
	Changed []string
	// Problems are those of the attributes that the sign-in would end with, in the order of names.
	Problems []AttributeProblem
	// Groups are those of the user, before and after, in the order of names. After a Fault they are what is stored.
	Groups []PreviewGroup
	// Fault is the error that SignIn would return.
	Fault error
}

// PreviewGroup is a group that the user is in, before the sign-in or after it, or that a rule gives and the pool does not have.
type PreviewGroup struct {
	Name          string
	Before, After bool
	Outcome       GroupOutcome // "" where the provider has no part in it
	Rule, Value   string       // the rule that gives it, or gave it, and the value of the claim that it took
}

// refusals are the faults by which a sign-in itself is refused.
var refusals = []fault.Code{fault.Invalid, fault.Denied, fault.Conflict, fault.Upstream, fault.Config, fault.TooLarge}

// Rehearsal tries sign-ins on a directory that takes no writes.
type Rehearsal struct{ dry *Directory }

// Rehearse returns a rehearsal of sign-ins to this directory, which may be used for many. saved are providers that are taken for those that are stored
// under their names: what is read of them on the way is what it would be if they had been saved.
func (d *Directory) Rehearse(ctx context.Context, saved ...IdentityProvider) (*Rehearsal, error) {
	var engine store.Engine = store.Dry{Engine: d.Engine}
	for _, ip := range saved {
		over := &overlay{Engine: engine}
		kind := d.providers()
		kind.Engine = over
		if _, err := kind.Put(ctx, &ip, 0); err != nil {
			return nil, storeFault("rehearse a provider", err, noProvider)
		}
		engine = over
	}
	return &Rehearsal{&Directory{Engine: engine, Ring: d.Ring, Now: d.Now, Region: d.Region, Resolver: d.Resolver, AskPeople: d.AskPeople}}, nil
}

// overlay is an engine with another document in the place of one. It is the one that was put.
type overlay struct {
	store.Engine
	kind string
	doc  store.Doc
}

// Put implements store.Engine for the document that lies over the others, and no other one.
func (o *overlay) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if o.kind != "" {
		return o.Engine.Put(ctx, kind, d)
	}
	o.kind, o.doc = kind, d
	o.doc.Version = 1
	return 1, nil
}

// Get implements store.Engine.
func (o *overlay) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	if kind == o.kind && key == o.doc.Key {
		return o.doc, nil
	}
	return o.Engine.Get(ctx, kind, key)
}

// Preview is Rehearsal.Preview for one sign-in.
func (d *Directory) Preview(ctx context.Context, p Pool, in SignIn) (Preview, error) {
	r, err := d.Rehearse(ctx)
	if err != nil {
		return Preview{}, err
	}
	return r.Preview(ctx, p, in)
}

// Preview returns what SignIn would do now, and writes nothing. It is that sign-in, on a store that takes no writes: so there is no second set
// of rules that could differ from those of the first. What SignIn would refuse is in Preview.Fault; the error is for a store that does not answer, and for
// defects.
func (r *Rehearsal) Preview(ctx context.Context, p Pool, in SignIn) (Preview, error) {
	seen := &observed{}
	in.seen = seen
	done, err := r.dry.SignIn(ctx, p, in)
	ask := (*NeedsProof)(nil)
	if errors.As(err, &ask) {
		in.Alone = true
		done, err = r.dry.SignIn(ctx, p, in)
	}
	if err != nil && !slices.Contains(refusals, fault.CodeOf(err)) {
		return Preview{}, err
	}
	out := Preview{Finds: FindsNobody, User: seen.user, Result: seen.result, After: seen.after, Problems: seen.problems, Fault: err}
	switch {
	case ask != nil:
		out.Finds = FindsAsked
	case seen.user.Sub == "":
	case seen.user.HasIdentity(in.Provider.Name, in.Subject):
		out.Finds = FindsUser
	default:
		out.Finds = FindsLinked
	}
	if out.After != nil {
		out.Changed = slices.Sorted(slices.Values(differing(seen.user.Attributes, out.After)))
	}
	out.Groups, err = r.groups(ctx, p.ID, seen.user, done)
	return out, err
}

// groups compares the groups that the user is in with those after the sign-in. A membership that counts for nothing is none.
func (r *Rehearsal) groups(ctx context.Context, poolID string, before User, done SignInResult) ([]PreviewGroup, error) {
	found := map[string]PreviewGroup{}
	note := func(u User, change func(*PreviewGroup)) error {
		u.PoolID = poolID
		groups, err := r.dry.GroupsOf(ctx, u)
		for _, g := range groups {
			v := found[g.Name]
			v.Name = g.Name
			change(&v)
			found[g.Name] = v
		}
		return err
	}
	after := done.User
	if after.Sub == "" { // it ended before
		after = before
	}
	if err := note(before, func(g *PreviewGroup) { g.Before = true }); err != nil {
		return nil, err
	}
	if err := note(after, func(g *PreviewGroup) { g.After = true }); err != nil {
		return nil, err
	}
	for _, s := range done.Groups.Steps {
		v := found[s.Group]
		v.Name, v.Outcome, v.Rule, v.Value = s.Group, s.Outcome, s.Rule, s.Value
		found[s.Group] = v
	}
	var out []PreviewGroup
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[name])
	}
	return out, nil
}

// observed is what a preview gets to know of a sign-in on its way. Each round of the sign-in says it anew. Nil takes nothing.
type observed struct {
	user     User
	result   mapping.Result
	after    map[string]string
	problems []AttributeProblem
}

// round begins one. u is zero where nobody is found.
func (o *observed) round(u User) {
	if o != nil {
		*o = observed{user: u}
	}
}

func (o *observed) mapped(r mapping.Result) {
	if o != nil {
		o.result = r
	}
}

func (o *observed) merged(after, invalid map[string]string, fixed []string) {
	if o == nil {
		return
	}
	said := maps.Clone(invalid)
	for _, name := range fixed {
		said[name] = "Attribute cannot be updated."
	}
	o.after, o.problems = maps.Clone(after), sorted(said)
}

// CheckRules checks a provider as UpdateProvider does, and writes nothing. Errors: fault.Invalid with every problem.
func (d *Directory) CheckRules(ctx context.Context, ip IdentityProvider) error {
	return d.checkProvider(ctx, ip)
}
