package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// What a refusal is about, for whoever has to tell it apart: errors.Is.
var (
	// ErrNotMergeable: what the two users are does not let the one be merged into the other.
	ErrNotMergeable = errors.New("the users cannot be merged")
	// ErrNotMerged: there is no merge to undo.
	ErrNotMerged = errors.New("the user was not merged")
)

// Merge is what merging two users changes, or undoing that.
type Merge struct {
	Into  User // the destination before
	Other User // before
	After User // the destination afterwards
	// OtherAfter is the other user afterwards, with MergedInto after a merge and without it after an undoing.
	OtherAfter User
	// Already: nothing was to be done, since it is so. Into is then what undoing it would leave.
	Already bool
}

// AttributeChange is one attribute whose value changes; "" is none.
type AttributeChange struct{ Name, Before, After string }

// Changes are the attributes of the destination that change, in the order of their names.
func (m Merge) Changes() []AttributeChange {
	names := differing(m.Into.Attributes, m.After.Attributes)
	slices.Sort(names)
	out := make([]AttributeChange, len(names))
	for i, n := range names {
		out[i] = AttributeChange{n, m.Into.Attributes[n], m.After.Attributes[n]}
	}
	return out
}

// Identities are those that sign in as the destination by the merge, and no longer after an undoing.
func (m Merge) Identities() []LinkedIdentity {
	for _, side := range []User{m.After, m.Into} {
		if side.Absorbed(m.Other.Sub) {
			return side.via(m.Other.Sub)
		}
	}
	return m.Other.Identities
}

// GroupIDs are the ids of the groups that the destination joins, or leaves.
func (m Merge) GroupIDs() []string {
	var out []string
	for _, gid := range slices.Concat(m.Into.Groups, m.After.Groups) {
		if slices.Contains(m.Into.Groups, gid) != slices.Contains(m.After.Groups, gid) {
			out = append(out, gid)
		}
	}
	return out
}

// MergeUsers merges the user that other names into the one that into leads to, and says what changed. With dryRun it says what would change, by the same code, and
// writes nothing. Who calls it says that both are one person: from then on whoever signs in with the other one's identities is the destination.
//
// The destination keeps its sub, its name and every value that it has. What it has no value of it takes from the other one, a verified flag only together with
// its address, and nothing that an administrator took away. It joins the other one's groups. The other one's name stays taken, and with its sub it leads to the
// destination. What a call that was cut short left, another one finishes, or UnmergeUser takes away.
//
// Errors: fault.NotFound; fault.Invalid with ErrNotMergeable and a sentence that says what to do; fault.TooLarge with ErrLimit; fault.Conflict.
func (d *Directory) MergeUsers(ctx context.Context, poolID, into, other, by string, dryRun bool) (Merge, error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return Merge{}, err
	}
	to, err := d.FindUser(ctx, poolID, into)
	if err != nil {
		return Merge{}, err
	}
	from, err := d.document(ctx, poolID, other)
	if err != nil {
		return Merge{}, err
	}
	m := MergedUser{By: by, Sub: from.Value.Sub}
	begun := false
	for range signInRounds {
		out, err := d.mergeOnce(ctx, p, to.Sub, m, dryRun, &begun)
		if errors.Is(err, errLost) {
			continue
		}
		if err != nil && begun {
			err = errors.Join(mergeFault(err), d.retract(ctx, p, to.Sub, m.Sub))
		}
		return out, mergeFault(err)
	}
	return Merge{}, errors.Join(mergeFault(errLost), d.retract(ctx, p, to.Sub, m.Sub))
}

// retract takes away what a merge that failed has begun. One that holds stays: calling again says that it does.
func (d *Directory) retract(ctx context.Context, p Pool, to, other string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	b, err := d.users().Get(ctx, userKey(p.ID, other))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && b.Value.MergedInto != nil {
		led, err := d.lead(ctx, b)
		if err != nil || led.Value.Sub == to {
			return err
		}
		if led.Value.Sub == other {
			if _, err := d.separate(ctx, b); err != nil && !errors.Is(err, errLost) {
				return err
			}
		}
	}
	return d.forget(ctx, p, to, other)
}

func mergeFault(err error) error { return storeFaultUnless("merge users", err) }

// document returns the document that a name is of, be it a merged user's: a user name, a sub or an alias, as in FindUser.
func (d *Directory) document(ctx context.Context, poolID, name string) (store.Entry[User], error) {
	if !validPoolID(poolID) || !characters(name, 1, maxUsername) || !storable(name) {
		return store.Entry[User]{}, absent("user: malformed name", noUser)
	}
	e, err := d.users().GetBy(ctx, usernameKey(poolID, name))
	if errors.Is(err, store.ErrNotFound) {
		e, err = d.users().Get(ctx, userKey(poolID, name))
	}
	if errors.Is(err, store.ErrNotFound) {
		e, err = d.users().GetBy(ctx, aliasKey(poolID, name))
	}
	return e, storeFault("find user", err, noUser)
}

// mergeOnce takes one round. begun: the destination lists the other one by our doing, and they are not merged yet.
func (d *Directory) mergeOnce(ctx context.Context, p Pool, to string, m MergedUser, dryRun bool, begun *bool) (Merge, error) {
	a, err := d.users().Get(ctx, userKey(p.ID, to))
	if err != nil {
		return Merge{}, err
	}
	b, err := d.users().Get(ctx, userKey(p.ID, m.Sub))
	if err != nil {
		return Merge{}, err
	}
	out := Merge{Into: a.Value, Other: b.Value, After: a.Value, OtherAfter: b.Value}
	if a.Value.holds(b.Value) {
		out.Already = true
		out.Into, _ = a.Value.withdraw(b.Value.Sub)
		return out, nil
	}
	if a.Value.MergedInto != nil {
		led, err := d.lead(ctx, a)
		if err == nil && led.Value.Sub == to { // an undoing that was cut short
			_, err = d.separate(ctx, a)
			err = again(err)
		}
		if err != nil {
			return out, err
		}
		return out, refuseMerge("The destination was merged into another user at the same time. Try again.")
	}
	if err := d.mergeable(ctx, a.Value, b.Value); err != nil {
		return out, err
	}
	if out.After, err = d.absorb(ctx, p, a.Value, b.Value, m); err != nil {
		return out, err
	}
	entry := out.After.Merged[out.After.mergedIndex(m.Sub)]
	out.OtherAfter.MergedInto = &MergedInto{ID: entry.ID, Sub: to, By: entry.By, At: entry.At}
	out.OtherAfter.SignedOutAt = d.Now().UTC()
	out.OtherAfter.LinkKeys = nil // nobody is to find a user by them who is in no list
	if dryRun {
		return out, nil
	}
	*begun = true // also where the answer is lost
	if err := d.putSignedIn(ctx, p, SignIn{}, a, &out.After); err != nil {
		return out, err
	}
	if e, err := d.users().Replace(ctx, b, &out.OtherAfter); err != nil {
		return out, lost(e, err)
	}
	// Whoever deletes or undoes reads the destination before the other one: of the two, one sees what the other did.
	now, err := d.users().Get(ctx, userKey(p.ID, to))
	if err == nil && now.Value.holds(out.OtherAfter) {
		return out, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		*begun = false // it may hold: calling again says so
		return out, err
	}
	return out, errLost
}

func refuseMerge(public string) error { return fault.New(fault.Invalid, public, ErrNotMergeable) }

// mergeable refuses what would lose something, let somebody in who was kept out, or make a chain: a user is merged, or has users merged into it, and
// never both, so that one step leads to the destination, and no circle can come to be.
func (d *Directory) mergeable(ctx context.Context, a, b User) error {
	if in := b.MergedInto; in != nil {
		switch to, err := d.lead(ctx, store.Entry[User]{Value: b}); {
		case err != nil:
			return err
		case to.Value.Sub != b.Sub:
			return fault.New(fault.Invalid, "The user was merged into another user before. Undo that first.", fmt.Errorf("%w: into %s", ErrNotMergeable, in.Sub))
		}
	}
	switch {
	case a.Sub == b.Sub:
		return refuseMerge("A user cannot be merged into itself.")
	case len(b.Merged) > 0:
		return fault.New(fault.Invalid, "Other users were merged into the user. Merge the other way round, or undo those first.",
			fmt.Errorf("%w: %s was merged into %s", ErrNotMergeable, b.Merged[0].Sub, b.Sub))
	case b.local():
		return refuseMerge("The user has an account of the user pool's own, with a password. Merge the other way round.")
	case len(b.Links) > 0:
		return refuseMerge("Identities that have not signed in yet are linked to the user. Take these links away first, or link them to the destination.")
	case !a.Enabled:
		return refuseMerge("The destination is disabled. Enable it first.")
	case !b.Enabled:
		return refuseMerge("The user is disabled: merged, the person could sign in. Enable the user first, or delete it.")
	}
	a, _ = a.withdraw(b.Sub) // begun before, and not finished
	if a.places()+max(1, len(b.Identities)) > maxIdentities {
		return fault.New(fault.TooLarge, "Together the users have more than the largest number of identities: 5.", ErrLimit)
	}
	return nil
}

// absorb returns a with b merged into it.
func (d *Directory) absorb(ctx context.Context, p Pool, a, b User, m MergedUser) (User, error) {
	m.ID, m.At = uuid.NewString(), d.now()
	if i := a.mergedIndex(b.Sub); i >= 0 {
		m.ID, m.At, m.By = a.Merged[i].ID, a.Merged[i].At, a.Merged[i].By // so that two who do the same agree
		a, _ = a.withdraw(b.Sub)
	}
	m.Username = b.Username
	if err := errors.Join(d.prune(ctx, &a), d.prune(ctx, &b)); err != nil {
		return a, err
	}
	if m.Groups = a.takeGroups(b, m.At); len(a.Groups) > MaxUserGroups {
		return a, fault.New(fault.TooLarge, "Together the users are in more than the largest number of groups: 100.", ErrLimit)
	}
	for _, l := range b.Identities {
		l.Via = b.Sub
		a.Identities = append(slices.Clone(a.Identities), l)
	}
	for _, l := range b.Past { // no policy gets by a merge
		if !a.refuses(l.Provider, l.Subject) {
			a.Past = append(slices.Clone(a.Past), l)
		}
	}
	m.Values = p.fill(&a, b)
	a.Merged = append(slices.Clone(a.Merged), m)
	a.Modified = d.now()
	return a, nil
}

// takeGroups puts u into the groups of b, and returns those that are on the word of an administrator from now on. What providers gave comes with
// their identities.
func (u *User) takeGroups(b User, at time.Time) []string {
	var granted []string
	for _, gid := range b.Groups {
		has := slices.Contains(u.Groups, gid)
		switch {
		case b.administrators(gid) && !(has && u.administrators(gid)):
			granted = append(granted, gid)
			u.grant(gid, at)
		case has && u.administrators(gid):
			u.grant(gid, time.Time{}) // in so many words, now that there is another source
		case !has:
			u.Groups = append(slices.Clone(u.Groups), gid)
		}
	}
	return granted
}

// fill gives a the values of b that it has none of, and returns which.
func (p Pool) fill(a *User, b User) map[string]MergedValue {
	taken := map[string]MergedValue{}
	attrs := maps.Clone(a.Attributes)
	if attrs == nil {
		attrs = map[string]string{}
	}
	sources, edited := maps.Clone(a.Sources), slices.Clone(a.Edited)
	if sources == nil {
		sources = map[string]ValueSource{}
	}
	inherit := func(name string) {
		delete(sources, name)
		if s, ok := b.Sources[name]; ok {
			sources[name] = s
		}
		if slices.Contains(b.Edited, name) && !slices.Contains(edited, name) {
			edited = append(edited, name)
		}
	}
	for name, v := range b.Attributes {
		if v == "" || attrs[name] != "" || verifiedOf[name] != "" || slices.Contains(a.Edited, name) || len(checkValues(p.Schema, map[string]string{name: v})) > 0 {
			continue
		}
		was := MergedValue{Value: v}
		attrs[name] = v
		inherit(name)
		if flag := flagOf[name]; flag != "" {
			was.Flag, was.FlagBefore = "false", attrs[flag]
			if b.Attributes[flag] == "true" {
				was.Flag = "true"
			}
			attrs[flag] = was.Flag
			inherit(flag)
		}
		taken[name] = was
	}
	if len(taken) == 0 {
		return nil
	}
	slices.Sort(edited)
	if len(edited) == 0 {
		edited = nil
	}
	a.Attributes, a.Sources, a.Edited = attrs, sources, edited
	return taken
}
