package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// Two users who turn out to be one person are merged: the one, the destination, keeps its sub and everything else; the other one stays as it is, with its
// name and its identities, and its document points to the destination. So no moment exists in which a name or an identity is nobody's, and what was done can be
// undone.
//
// A merge is two documents, and engines change one at a time. It holds when both sides say so with the same id: the destination lists the other one, and the
// other one points to the destination. The list is written first and taken away first, so that the pointer decides when a merge begins and the list when it
// ends; every state that a crash can leave is one of two separate users, or of one (docs/decisions/0038-merged-users.md).
//
// Lists of users have the destination only. A merged user's document is frozen: whoever would write to it writes to the destination.

// MergedInto is what the document of a user says who was merged into another one.
type MergedInto struct {
	ID  string    `json:"id"`  // of the merge, random: the same on both sides, or there is none
	Sub string    `json:"sub"` // of the destination
	By  string    `json:"by,omitempty"`
	At  time.Time `json:"at"`
}

// MergedUser is what the document of a user says of another one who was merged into it.
type MergedUser struct {
	ID       string `json:"id"` // of the merge
	Sub      string `json:"sub"`
	Username string `json:"username"`
	// Values are what the other one wrote here, by attribute: at the merge, and at sign-ins with its identities since. A verified flag stands
	// with its address.
	Values map[string]MergedValue `json:"values,omitempty"`
	Groups []string               `json:"groups,omitempty"` // ids of the groups that an administrator had given the other one
	By     string                 `json:"by,omitempty"`
	At     time.Time              `json:"at"`
}

// MergedValue is a value that came from a merged user, and what was there before: "" is no value.
type MergedValue struct {
	Value  string `json:"value,omitempty"`
	Before string `json:"before,omitempty"`
	// Flag and FlagBefore are those of whether the value has been verified, of an address or a number.
	Flag       string `json:"flag,omitempty"`
	FlagBefore string `json:"flag_before,omitempty"`
	// Edited and Source are what was known of Before.
	Edited bool         `json:"edited,omitempty"`
	Source *ValueSource `json:"source,omitempty"`
}

// errMerged: the document is one of a merged user.
var errMerged = errors.New("the user was merged into another one")

// mergedIndex lists the documents of merged users, which are in no other index.
const mergedIndex = "merged"

// holderIndex is the entry of a user that lists another one as merged.
func holderIndex(poolID, other string) string {
	return indexPrefix("took-"+indexEscape.Replace(other), poolID, "")
}

// holds reports whether the other user is merged into u: both say so.
func (u User) holds(other User) bool {
	in := other.MergedInto
	return in != nil && in.Sub == u.Sub && slices.ContainsFunc(u.Merged, func(m MergedUser) bool { return m.Sub == other.Sub && m.ID == in.ID })
}

func (u User) mergedIndex(sub string) int {
	return slices.IndexFunc(u.Merged, func(m MergedUser) bool { return m.Sub == sub })
}

// from returns the place in Merged of the user that the identity came with, -1 where it is the user's own.
func (u User) from(provider, subject string) int {
	i := u.identity(provider, subject)
	if i < 0 || u.Identities[i].Via == "" {
		return -1
	}
	return u.mergedIndex(u.Identities[i].Via)
}

// AllIdentities are the user's identities. Of those that came by a merge none is the primary one: that is what the user was made from.
func (u User) AllIdentities() []LinkedIdentity {
	all := slices.Clone(u.Identities)
	for i := range all {
		all[i].Primary = all[i].Primary && all[i].Via == ""
	}
	return all
}

// IdentitySince reports whether the user may sign in with that identity, and since when it may where it came by a merge: what it gave before that,
// it gave to somebody else, or in an earlier merge that was undone. Of the user's own identities the time is zero.
func (u User) IdentitySince(provider, subject string) (since time.Time, ok bool) {
	i := u.identity(provider, subject)
	if i < 0 {
		return time.Time{}, false
	}
	if u.Identities[i].Via == "" {
		return time.Time{}, true
	}
	m := u.mergedIndex(u.Identities[i].Via)
	if m < 0 {
		return time.Time{}, false
	}
	return u.Merged[m].At, true
}

// via are the identities that came with the user of that sub.
func (u User) via(sub string) []LinkedIdentity {
	return slices.DeleteFunc(slices.Clone(u.Identities), func(l LinkedIdentity) bool { return l.Via != sub })
}

// Absorbed reports whether the user of that sub was merged into u.
func (u User) Absorbed(sub string) bool { return u.mergedIndex(sub) >= 0 }

// lead returns the document that e stands for: of a merged user the destination's, at the price of one read, and of everybody else e. A pointer that the other
// side does not confirm means nothing; the user is then returned without it.
func (d *Directory) lead(ctx context.Context, e store.Entry[User]) (store.Entry[User], error) {
	if e.Value.MergedInto == nil {
		return e, nil
	}
	to, err := d.users().Get(ctx, userKey(e.Value.PoolID, e.Value.MergedInto.Sub))
	switch {
	case err == nil && to.Value.holds(e.Value):
		return to, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return e, err
	}
	e.Value.MergedInto = nil
	return e, nil
}

// found is lead for what a look-up returned.
func (d *Directory) found(ctx context.Context) func(store.Entry[User], error) (store.Entry[User], error) {
	return func(e store.Entry[User], err error) (store.Entry[User], error) {
		if err != nil {
			return e, err
		}
		return d.lead(ctx, e)
	}
}

// mergeHops bounds how often a writer follows merges that are made and undone before its eyes.
const mergeHops = 8

// updateUser is Kind.Update of the user whom a sub leads to: no writer gets by a merge.
func (d *Directory) updateUser(ctx context.Context, poolID, sub string, change func(*User) error) (store.Entry[User], error) {
	for range mergeHops {
		e, err := d.users().Update(ctx, userKey(poolID, sub), func(u *User) error {
			if u.MergedInto != nil {
				return errMerged
			}
			return change(u)
		})
		if !errors.Is(err, errMerged) {
			return e, err
		}
		to, err := d.lead(ctx, e)
		if err == nil && to.Value.Sub == e.Value.Sub {
			_, err = d.separate(ctx, e)
		}
		if err != nil && !errors.Is(err, errLost) {
			return e, err
		}
		sub = to.Value.Sub
	}
	return store.Entry[User]{}, errLost
}

// separate takes a pointer away that does not hold. What the user's sign-ins gave before is void; and whoever was kept out as the destination stays kept
// out. Errors: errLost.
func (d *Directory) separate(ctx context.Context, e store.Entry[User]) (User, error) {
	u := e.Value
	to, err := d.users().Get(ctx, userKey(u.PoolID, u.MergedInto.Sub))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return u, err
	}
	if err == nil && to.Value.holds(u) {
		return u, errLost
	}
	u.Enabled = u.Enabled && (err != nil || to.Value.Enabled)
	u.MergedInto, u.SignedOutAt, u.Modified = nil, d.Now().UTC(), d.now()
	return u, lost(d.users().Replace(ctx, e, &u))
}

func lost(_ store.Entry[User], err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errLost
	}
	return err
}

// returningMerged is returning for an identity of a user who was merged into another one: it is the other one's sign-in.
func (d *Directory) returningMerged(ctx context.Context, p Pool, in SignIn, e store.Entry[User]) (SignInResult, error) {
	to, err := d.lead(ctx, e)
	if err != nil {
		return SignInResult{}, err
	}
	if to.Value.Sub == e.Value.Sub { // undone, or never finished: once more as the user's own
		_, err := d.separate(ctx, e)
		return SignInResult{}, again(err)
	}
	if to.Value.from(in.Provider.Name, in.Subject) < 0 { // unlinked, and that was cut short
		return SignInResult{}, again(d.dropIdentity(ctx, e, in.Provider.Name, in.Subject))
	}
	return d.returning(ctx, p, in, to)
}

// again has a step that went well be followed by another look.
func again(err error) error {
	if err == nil {
		return errLost
	}
	return err
}

// dropIdentity takes an identity from the document of a merged user, which frees it. Errors: errLost.
func (d *Directory) dropIdentity(ctx context.Context, e store.Entry[User], provider, subject string) error {
	u := e.Value
	i := u.identity(provider, subject)
	if i < 0 || u.Identities[i].Primary {
		return fault.New(fault.Internal, "Something went wrong on our side.", errors.New("an identity that cannot be taken from its user"))
	}
	u.past(u.Identities[i], d.now())
	u.unlink(i)
	u.Modified = d.now()
	return lost(d.users().Replace(ctx, e, &u))
}

// places is how many of the maxIdentities are taken. A user who was merged without an identity takes one as well.
func (u User) places() int {
	n := len(u.Identities) + len(u.Links)
	for _, m := range u.Merged {
		if len(u.via(m.Sub)) == 0 {
			n++
		}
	}
	return n
}
