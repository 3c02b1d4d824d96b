package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// awaited returns the user who waits for an identity that nobody has, by one of its claims, and those links. Only a claim that the mapping
// still names counts. An identity that two users wait for is refused: whoever of them it were, it might be the wrong one.
// Errors: store.ErrNotFound where nobody does, fault.Conflict with ErrAmbiguous.
func (d *Directory) awaited(ctx context.Context, p Pool, in SignIn) (store.Entry[User], []PendingLink, error) {
	var found store.Entry[User]
	var links []PendingLink
	seen := map[string]bool{}
	for _, attribute := range slices.Sorted(maps.Keys(in.Exact)) {
		claim, value := in.Provider.AttributeMapping[attribute], in.Exact[attribute]
		if seen[claim] || value == "" || !linkable(attribute, claim) || !storable(value) {
			continue
		}
		seen[claim] = true
		e, err := d.users().GetBy(ctx, linkKey(p.ID, in.Provider.Name, claim, value))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return found, nil, err
		}
		i := slices.IndexFunc(e.Value.Links, func(l PendingLink) bool {
			return l.Provider == in.Provider.Name && l.Claim == claim && l.Value == value
		})
		if i < 0 {
			continue // it was taken away between an engine's two steps
		}
		if links != nil && found.Value.Sub != e.Value.Sub {
			return found, nil, fault.New(fault.Conflict, "More than one user of the user pool is linked to this identity. An administrator has to take the links away that are wrong.",
				fmt.Errorf("%w: users %s and %s", ErrAmbiguous, found.Value.Sub, e.Value.Sub))
		}
		found, links = e, append(links, e.Value.Links[i])
	}
	if links == nil {
		return found, nil, store.ErrNotFound
	}
	return found, links, nil
}

// arrived makes the identity one of the user's who waited for it, in place of the links, in one write with its attributes. Of two identities
// with the same claim one is it; the other one finds no link any more.
func (d *Directory) arrived(ctx context.Context, p Pool, in SignIn, e store.Entry[User], links []PendingLink) (SignInResult, error) {
	u := e.Value
	if !u.Enabled {
		in.seen.round(u)
		return SignInResult{}, fault.New(fault.Denied, "User is disabled.", fmt.Errorf("user %s is disabled", u.Sub))
	}
	r, err := d.joined(ctx, p, in, e, func(u *User) {
		u.Links = slices.DeleteFunc(slices.Clone(u.Links), func(l PendingLink) bool { return slices.Contains(links, l) })
	})
	r.Matched = links[0].Claim
	return r, err
}

// joined makes the identity one of the user's, in one write with its attributes and memberships and what change does. Errors: errLost, and errClaimed where the
// identity is somebody's by now.
func (d *Directory) joined(ctx context.Context, p Pool, in SignIn, e store.Entry[User], change func(*User)) (SignInResult, error) {
	u := e.Value
	in, err := in.onto(u, true)
	if err != nil {
		return SignInResult{}, err
	}
	m, err := mergeAttributes(p.Schema, u.Attributes, in)
	if err != nil {
		return SignInResult{}, err
	}
	d.write(&u, in, m)
	change(&u)
	u.Identities = append(slices.Clone(u.Identities), LinkedIdentity{
		Provider: in.Provider.Name, ProviderType: in.Provider.Type, Issuer: in.Issuer, Subject: in.Subject, Created: d.now(),
	})
	settled, err := d.settle(ctx, u, len(u.Identities)-1, in)
	if err != nil {
		return SignInResult{}, err
	}
	u = settled.User
	err = d.putSignedIn(ctx, p, in, e, &u)
	if errors.Is(err, store.ErrTaken) {
		return SignInResult{}, errClaimed // the identity: the same person, a moment earlier
	}
	return SignInResult{User: u, Changed: m.changed, Groups: settled}, err
}

// write lays what a sign-in changes onto a user who is there.
func (d *Directory) write(u *User, in SignIn, m merged) {
	before := *u
	u.Attributes, u.Modified, u.Edited = m.attrs, d.now(), without(u.Edited, m.changed)
	u.setSources(m.changed, func(name string) ValueSource { return in.source(name, u.Modified) })
	u.noteMerged(before, in.Provider.Name, in.Subject, m.changed)
}

// putSignedIn writes what a sign-in changed of e. A new address that the provider vouches for becomes a name as the pool's settings have it, and
// nothing else: people may choose freely what some providers say of them. What is a local user's name already stays theirs, and says
// nothing against this person. The same goes for a value that another user claims for linking. Errors: errLost.
func (d *Directory) putSignedIn(ctx context.Context, p Pool, in SignIn, e store.Entry[User], u *User) error {
	put := func(may claims, keys []string) error {
		p.settleAliases(e.Value, u, may)
		for _, name := range keys {
			if !slices.Contains(u.LinkKeys, name) {
				u.LinkKeys = append(slices.Clone(u.LinkKeys), name)
			}
		}
		_, err := d.users().Replace(ctx, e, u)
		return err
	}
	keys := in.linkKeys(*u)
	err := put(claimVerified, keys)
	if errors.Is(err, store.ErrTaken) && len(keys) > 0 {
		err = put(claimVerified, nil)
	}
	if errors.Is(err, store.ErrTaken) {
		err = put(claimNone, nil)
	}
	if errors.Is(err, store.ErrConflict) {
		return errLost
	}
	return err
}
