package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// UnmergeUser undoes the merge of the user that other names, by its own name or sub, and says what changed; with dryRun what would change, by the same code,
// and writes nothing. The user is there again as before, with its sub, its name and its identities, and disabled where the destination is. From
// the destination goes what came with it and was not changed since: groups, values, and values that sign-ins with its identities wrote; what
// those replaced comes back. A merge that was cut short is taken away in the same way.
//
// Errors: fault.NotFound; fault.Invalid with ErrNotMerged; fault.Conflict.
//
// also is called when the destination has let go and the other user's document still says whom it was merged into, so that a call that was cut short in it is found by
// another one.
func (d *Directory) UnmergeUser(ctx context.Context, poolID, other string, dryRun bool, also ...func(context.Context, Merge) error) (Merge, error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return Merge{}, err
	}
	e, err := d.document(ctx, poolID, other)
	if err != nil {
		return Merge{}, err
	}
	holders, err := d.holders(ctx, poolID, e.Value)
	if err != nil {
		return Merge{}, storeFault("undo a merge", err, noUser)
	}
	if e.Value.MergedInto == nil && len(holders) == 0 {
		return Merge{}, fault.New(fault.Invalid, "The user is not merged into another one.", ErrNotMerged)
	}
	out := Merge{Other: e.Value, OtherAfter: e.Value}
	out.OtherAfter.MergedInto = nil
	for _, sub := range holders {
		a, err := d.users().Get(ctx, userKey(poolID, sub))
		if err == nil && out.Into.Sub == "" || err == nil && a.Value.holds(e.Value) {
			out.Into = a.Value
			out.After, _ = a.Value.withdraw(e.Value.Sub)
			out.OtherAfter.Enabled = e.Value.Enabled && (a.Value.Enabled || e.Value.MergedInto == nil)
		}
		if err == nil && !dryRun {
			err = d.forget(ctx, p, sub, e.Value.Sub)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return out, storeFaultUnless("undo a merge", err)
		}
	}
	if in := e.Value.MergedInto; in != nil && out.Into.Sub == "" { // undone half
		out.Into, err = d.User(ctx, poolID, in.Sub)
		if out.After = out.Into; err != nil && fault.CodeOf(err) != fault.NotFound {
			return out, err
		}
	}
	if dryRun {
		return out, nil
	}
	for _, do := range also {
		if err := do(ctx, out); err != nil {
			return out, err
		}
	}
	out.OtherAfter, err = d.release(ctx, poolID, e.Value.Sub)
	return out, storeFaultUnless("undo a merge", err)
}

// release takes the pointer from a user whom nobody lists any more. One that was merged again meanwhile stays so.
func (d *Directory) release(ctx context.Context, poolID, sub string) (User, error) {
	for range signInRounds {
		e, err := d.users().Get(ctx, userKey(poolID, sub))
		if err != nil || e.Value.MergedInto == nil {
			return e.Value, err
		}
		to, err := d.lead(ctx, e)
		if err != nil {
			return e.Value, err
		}
		if to.Value.Sub != sub {
			return e.Value, errLost
		}
		if u, err := d.separate(ctx, e); !errors.Is(err, errLost) {
			return u, err
		}
	}
	return User{}, errLost
}

// holders returns the subs of the users that list the other one as merged, whether or not that holds: one, unless something was cut short.
func (d *Directory) holders(ctx context.Context, poolID string, other User) ([]string, error) {
	var subs []string
	err := d.users().All(ctx, holderIndex(poolID, other.Sub), func(e store.Entry[User]) error {
		if e.Value.Absorbed(other.Sub) {
			subs = append(subs, e.Value.Sub)
		}
		return nil
	})
	return subs, err
}

// forget takes the other one from a destination's list, with what came by it.
func (d *Directory) forget(ctx context.Context, p Pool, sub, other string) error {
	for range signInRounds {
		e, err := d.users().Get(ctx, userKey(p.ID, sub))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		u, there := e.Value.withdraw(other)
		if !there {
			return nil
		}
		u.Modified = d.now()
		if err := d.putSignedIn(ctx, p, SignIn{}, e, &u); !errors.Is(err, errLost) {
			return err
		}
	}
	return errLost
}

// withdraw returns u without the other one and without what came by it and was not changed since; there is false where it is not in the list.
func (u User) withdraw(other string) (out User, there bool) {
	i := u.mergedIndex(other)
	if i < 0 {
		return u, false
	}
	m := u.Merged[i]
	u.Merged = slices.Delete(slices.Clone(u.Merged), i, i+1)
	u.splice(m)
	if len(u.Merged) == 0 {
		u.Merged = nil
	}
	u.leaveGroups(m.Groups)
	for i := u.viaIndex(other); i >= 0; i = u.viaIndex(other) {
		u.unlink(i) // and what its provider gave
	}
	if len(u.Groups) == 0 {
		u.Groups = nil
	}
	if len(u.Identities) == 0 {
		u.Identities = nil
	}
	u.Attributes, u.Sources = maps.Clone(u.Attributes), maps.Clone(u.Sources)
	for name, was := range m.Values {
		flag := flagOf[name]
		switch {
		case u.Attributes[name] != was.Value: // changed since, and its flag with it
		case was.Before == was.Value: // the flag alone is from there
			if flag != "" && u.Attributes[flag] == was.Flag {
				u.put(flag, was.FlagBefore, nil)
			}
		default:
			u.restore(name, flag, was)
		}
	}
	return u, true
}

func (u User) viaIndex(sub string) int {
	return slices.IndexFunc(u.Identities, func(l LinkedIdentity) bool { return l.Via == sub })
}

// leaveGroups takes an administrator's word for groups back.
func (u *User) leaveGroups(granted []string) {
	u.Granted = slices.DeleteFunc(slices.Clone(u.Granted), func(g GrantedGroup) bool { return slices.Contains(granted, g.GID) })
	if len(u.Granted) == 0 {
		u.Granted = nil
	}
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(gid string) bool { return slices.Contains(granted, gid) && !u.givenBy(gid) })
}

// restore puts back what was there before a value, and the flag that belongs to it.
func (u *User) restore(name, flag string, was MergedValue) {
	u.put(name, was.Before, was.Source)
	u.Edited = without(u.Edited, []string{name, flag})
	if was.Edited {
		u.Edited = slices.Sorted(slices.Values(append(u.Edited, name)))
	}
	switch {
	case flag == "":
	case was.Before == "":
		u.put(flag, "", nil)
	case was.FlagBefore == "":
		u.put(flag, "false", nil) // absent trust is false
	default:
		u.put(flag, was.FlagBefore, nil)
	}
}

// put sets a value, "" being none, in maps that are u's own.
func (u *User) put(name, value string, source *ValueSource) {
	delete(u.Attributes, name)
	delete(u.Sources, name)
	if value == "" {
		return
	}
	u.Attributes[name] = value
	if source != nil {
		if u.Sources == nil {
			u.Sources = map[string]ValueSource{}
		}
		u.Sources[name] = *source
	}
}

// splice has the other merged users of u go back to what was there before m, where they would go back to what m wrote.
func (u *User) splice(m MergedUser) {
	for i, o := range u.Merged {
		o.Values = maps.Clone(o.Values)
		for name, v := range o.Values {
			if was, ok := m.Values[name]; ok && v.Before == was.Value {
				v.Before, v.FlagBefore, v.Edited, v.Source = was.Before, was.FlagBefore, was.Edited, was.Source
				o.Values[name] = v
			}
		}
		u.Merged[i] = o
	}
}

// noteMerged remembers of what a sign-in changed what was there before, where its identity came by a merge.
func (u *User) noteMerged(before User, provider, subject string, changed []string) {
	i := u.from(provider, subject)
	if i < 0 || len(changed) == 0 {
		return
	}
	u.Merged = slices.Clone(u.Merged)
	m := &u.Merged[i]
	known := m.Values
	if m.Values = maps.Clone(known); m.Values == nil {
		m.Values = map[string]MergedValue{}
	}
	for _, name := range changed {
		if of := verifiedOf[name]; of != "" {
			name = of
		}
		flag := flagOf[name]
		now := MergedValue{Value: u.Attributes[name], Before: before.Attributes[name], Edited: slices.Contains(before.Edited, name)}
		if flag != "" {
			now.Flag, now.FlagBefore = u.Attributes[flag], before.Attributes[flag]
		}
		if s, ok := before.Sources[name]; ok {
			now.Source = &s
		}
		if was, ok := known[name]; ok && was.Value == now.Before {
			now.Before, now.FlagBefore, now.Edited, now.Source = was.Before, was.FlagBefore, was.Edited, was.Source
		}
		m.Values[name] = now
	}
}

// unlinkMerged takes an identity that came by a merge from the destination, which is when it ends, and then from the user that it came from. The one that
// this user was made from is left to UnmergeUser: its name would be taken for ever.
func (d *Directory) unlinkMerged(ctx context.Context, out Unlinked, u User, m MergedUser) (Unlinked, error) {
	out.User = u
	if u.Identities[u.identity(out.Provider, out.Subject)].Primary {
		out.Merged = m.Sub
		return out, nil
	}
	var err error
	out.User, err = d.putLink(ctx, u, func(u *User) error {
		i := u.identity(out.Provider, out.Subject)
		if i < 0 || u.Identities[i].Via != m.Sub {
			return absent("unlinked by somebody else", noUser)
		}
		u.past(u.Identities[i], d.now())
		u.unlink(i)
		return nil
	})
	if err != nil {
		return out, storeFaultUnless("unlink an identity", err)
	}
	for range signInRounds {
		e, err := d.users().Get(ctx, userKey(u.PoolID, m.Sub))
		if errors.Is(err, store.ErrNotFound) || err == nil && e.Value.identity(out.Provider, out.Subject) < 0 {
			return out, nil
		}
		if err == nil {
			err = d.dropIdentity(ctx, e, out.Provider, out.Subject)
		}
		if !errors.Is(err, errLost) {
			return out, storeFaultUnless("unlink an identity", err)
		}
	}
	return out, storeFaultUnless("unlink an identity", errLost)
}

// DeleteUser removes a user, with those who were merged into it: the person's data goes, and all their names and identities are free. These go first, so that a
// call that was cut short is finished by another one. Errors: fault.NotFound.
func (d *Directory) DeleteUser(ctx context.Context, poolID, sub string) error {
	u, err := d.User(ctx, poolID, sub)
	if err != nil {
		return err
	}
	for _, m := range u.Merged {
		if err == nil {
			err = d.deleteMerged(ctx, u, m)
		}
	}
	if err == nil {
		err = d.forgetEverywhere(ctx, u)
	}
	key := userKey(u.PoolID, u.Sub)
	if err == nil {
		err = d.temporaries().Delete(ctx, key)
	}
	if err == nil {
		_, err = d.users().Take(ctx, key)
	}
	return storeFault(fmt.Sprintf("delete user %q", u.Sub), err, noUser)
}

// deleteMerged removes the document of a user who is merged into u, unless that was undone.
func (d *Directory) deleteMerged(ctx context.Context, u User, m MergedUser) error {
	for range signInRounds {
		e, err := d.users().Get(ctx, userKey(u.PoolID, m.Sub))
		if errors.Is(err, store.ErrNotFound) || err == nil && !u.holds(e.Value) {
			return nil
		}
		if err != nil {
			return err
		}
		end := d.users()
		end.KeysOf = func(o *User) store.Keys { // an expired document does not exist: for no node, whatever its clock says
			return store.Keys{Key: userKey(o.PoolID, o.Sub), Expires: d.now().Add(-time.Hour)}
		}
		if _, err := end.Replace(ctx, e, &User{PoolID: u.PoolID, Sub: m.Sub}); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return errLost
}

// forgetEverywhere takes a user who is being deleted from lists that a merge which was cut short left: they hold personal data.
func (d *Directory) forgetEverywhere(ctx context.Context, u User) error {
	subs, err := d.holders(ctx, u.PoolID, u)
	if err != nil || len(subs) == 0 {
		return err
	}
	p, err := d.Pool(ctx, u.PoolID)
	if err != nil {
		return err
	}
	for _, sub := range subs {
		if err := d.forget(ctx, p, sub, u.Sub); err != nil {
			return err
		}
	}
	return nil
}
