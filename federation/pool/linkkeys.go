package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Values by which identities are linked are claimed by the document of the user whom a first sign-in made, so that of two first sign-ins with
// the same value one makes it and the other one finds it. A claim proves nothing, and a user without one is found all the same: two
// users may come to have the same value, and then nobody is linked by it. So no other write fails on a claim.

// linkValueKey is the key of a value that users are linked by.
func linkValueKey(poolID, attribute, value string) string {
	return bounded('k', poolID, attribute+"="+linkForm(attribute, value))
}

// settleLinkKeys ends the claims of what changed from before to u.
func settleLinkKeys(before User, u *User) {
	var kept []string
	for _, name := range before.LinkKeys {
		if v := linkForm(name, u.Attributes[name]); v != "" && v == linkForm(name, before.Attributes[name]) &&
			before.Attributes[flagOf[name]] == u.Attributes[flagOf[name]] {
			kept = append(kept, name)
		}
	}
	u.LinkKeys = kept
}

// linkKeys are the attributes that a sign-in may claim for its user: the one that the provider's identities are linked by, where this one says
// it. The policy as the cache has it will do: a claim proves nothing.
func (in SignIn) linkKeys(u User) []string {
	policy := in.Provider.LinkPolicy()
	name := policy.Attribute
	if policy.Kind == LinkNone || policy.Kind == LinkAsk || in.Exact[name] == "" || !in.Provider.saysPlainly(name) {
		return nil
	}
	v := linkForm(name, u.Attributes[name])
	if v == "" || v != linkForm(name, sameForm(name, in.Exact[name])) || flagOf[name] != "" && u.Attributes[flagOf[name]] != "true" {
		return nil
	}
	if policy.Kind == LinkEmail {
		_, domain, _ := splitAddress(v)
		if _, ok := in.Provider.trusted(domain); !ok {
			return nil
		}
	}
	return []string{name}
}

// firstOf creates the user of an identity whose offer leads to nobody, with a claim on the value. Where a user holds it whom the offer leads to by now, that one is
// looked for again. One who can never be led to gives it up, or of the next two first sign-ins each would make a user. One whom only this
// identity does not lead to keeps it, and the new user has none.
func (d *Directory) firstOf(ctx context.Context, p Pool, in SignIn, o Offer) (SignInResult, error) {
	r, err := d.first(ctx, p, in, []string{o.Policy.Attribute})
	if !errors.Is(err, errClaimed) {
		return r, err
	}
	name := o.Policy.Attribute
	holder, at := d.users().GetBy(ctx, linkValueKey(p.ID, name, o.Value))
	if errors.Is(at, store.ErrNotFound) {
		return r, err
	}
	if at != nil {
		return SignInResult{}, at
	}
	if holder.Value.refuses(in.Provider.Name, in.Subject) {
		return d.first(ctx, p, in, nil)
	}
	eligible, at := d.eligible(ctx, o, holder.Value)
	if at != nil || eligible {
		return SignInResult{}, errors.Join(at, errLost)
	}
	u := holder.Value
	u.LinkKeys = without(u.LinkKeys, []string{name})
	_, at = d.users().Replace(ctx, holder, &u)
	if at != nil && !errors.Is(at, store.ErrConflict) {
		return SignInResult{}, at
	}
	return SignInResult{}, errLost
}

// maxPast bounds the identities that are remembered of a user. One from whom more were taken is linked by no policy any more.
const maxPast = 20

// PastIdentity is an identity that an administrator took away from a user, and that no policy links to it again.
type PastIdentity struct {
	Provider string    `json:"provider"`
	Subject  string    `json:"subject"`
	Ended    time.Time `json:"ended"`
}

// refuses reports whether no policy may link the identity to the user.
func (u User) refuses(provider, subject string) bool {
	return len(u.Past) >= maxPast || slices.ContainsFunc(u.Past, func(p PastIdentity) bool { return p.Provider == provider && p.Subject == subject })
}

// past remembers an identity that is taken away.
func (u *User) past(l LinkedIdentity, now time.Time) {
	if !u.refuses(l.Provider, l.Subject) {
		u.Past = append(slices.Clone(u.Past), PastIdentity{Provider: l.Provider, Subject: l.Subject, Ended: now})
	}
}

// again forgets that an identity was taken away: an administrator has linked it anew.
func (u *User) again(provider, subject string) {
	if len(u.Past) >= maxPast {
		return // of which nobody knows whether it names all
	}
	u.Past = slices.DeleteFunc(slices.Clone(u.Past), func(p PastIdentity) bool { return p.Provider == provider && p.Subject == subject })
}
