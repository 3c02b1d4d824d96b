package pool

import (
	"context"
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
	FindsUser    Finding = "user"    // one who has the identity
	FindsWaiting Finding = "waiting" // one who waits for it: see Directory.LinkProvider
	FindsNobody  Finding = "nobody"  // the sign-in would create one
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
	// Groups are those of the user, before and after. No rule changes them: both are what is stored.
	Groups []PreviewGroup
	// Fault is the error that SignIn would return.
	Fault error
}

// PreviewGroup is a group that the user is in, before the sign-in or after it.
type PreviewGroup struct {
	Name          string
	Before, After bool
	Rule, Why     string // of the change; "" where nothing changes
}

// refusals are the faults by which a sign-in itself is refused.
var refusals = []fault.Code{fault.Invalid, fault.Denied, fault.Conflict, fault.Upstream, fault.Config}

// Preview returns what SignIn would do now, and writes nothing. It is that sign-in, on a store that takes no writes: so there is no second set
// of rules that could differ from those of the first. What SignIn would refuse is in Preview.Fault; the error is for a store that does not answer, and for
// defects.
func (d *Directory) Preview(ctx context.Context, p Pool, in SignIn) (Preview, error) {
	dry := &Directory{Engine: store.Dry{Engine: d.Engine}, Ring: d.Ring, Now: d.Now, Region: d.Region, CacheAge: -1}
	seen := &observed{}
	in.seen = seen
	_, err := dry.SignIn(ctx, p, in)
	if err != nil && !slices.Contains(refusals, fault.CodeOf(err)) {
		return Preview{}, err
	}
	out := Preview{Finds: FindsNobody, User: seen.user, Result: seen.result, After: seen.after, Problems: seen.problems, Fault: err}
	switch {
	case seen.user.Sub == "":
	case seen.user.HasIdentity(in.Provider.Name, in.Subject):
		out.Finds = FindsUser
	default:
		out.Finds = FindsWaiting
	}
	if out.After != nil {
		for _, name := range slices.Sorted(maps.Keys(union(seen.user.Attributes, out.After))) {
			if seen.user.Attributes[name] != out.After[name] {
				out.Changed = append(out.Changed, name)
			}
		}
	}
	if out.User.Sub == "" {
		return out, nil
	}
	groups, err := dry.GroupsOf(ctx, out.User)
	if err != nil {
		return Preview{}, err
	}
	for _, g := range groups {
		out.Groups = append(out.Groups, PreviewGroup{Name: g.Name, Before: true, After: true})
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
