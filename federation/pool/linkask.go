package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// NeedsProof is the error of a first sign-in under link_users: ask where there are users whom the identity may belong to. Nothing has been
// written. Whoever asks the person finds it by errors.As, and then makes the same sign-in again: with SignIn.Alone for somebody who wants a user of
// their own, or with Directory.SignInAs for somebody who has just signed in as one of Candidates. Whoever does not ask refuses the
// sign-in, which is what the fault around it says.
//
// Who the candidates are is told to nobody before they have proven to be one of them: it would tell anybody with an address which accounts it has.
type NeedsProof struct {
	Offer      Offer
	Candidates []string // subs, one at least, disabled users among them
}

// Error implements error. It holds no value.
func (n *NeedsProof) Error() string {
	return fmt.Sprintf("%d users have the same %s as an identity of %q: the person has to be asked", len(n.Candidates), n.Offer.Policy.Attribute, n.Offer.Provider.Name)
}

// Holds reports whether the user is one of the candidates.
func (n *NeedsProof) Holds(sub string) bool { return slices.Contains(n.Candidates, sub) }

func asked(o Offer, found []store.Entry[User]) error {
	n := &NeedsProof{Offer: o}
	for _, e := range found {
		n.Candidates = append(n.Candidates, e.Value.Sub)
	}
	return fault.New(fault.LoginRequired, "The person has to be asked whether they have a user of the user pool already.", n)
}

// SignInAs links the identity of a first sign-in to the user of that sub, whom the person has just proven to be by another sign-in, under
// link_users: ask. All that led to NeedsProof is looked at again. Users who have another identity of the same provider are not refused: the
// person has proven to be both.
// Errors: those of SignIn; fault.Denied where the user is no candidate for the identity, or is disabled, or another user has it.
func (d *Directory) SignInAs(ctx context.Context, p Pool, in SignIn, sub string) (SignInResult, error) {
	for range signInRounds {
		r, err := d.signInAs(ctx, p, in, sub)
		if errors.Is(err, errLost) || errors.Is(err, errClaimed) {
			continue
		}
		if err != nil {
			return SignInResult{}, signInFault(err)
		}
		return r, nil
	}
	return SignInResult{}, signInFault(errLost)
}

func (d *Directory) signInAs(ctx context.Context, p Pool, in SignIn, sub string) (SignInResult, error) {
	denied := func(why string) error {
		return fault.New(fault.Denied, "The identity cannot be linked to this user.", fmt.Errorf("user %s: %s", sub, why))
	}
	if in.Provider.PoolID != p.ID || !validSubject(in.Subject) {
		return SignInResult{}, denied("malformed sign-in")
	}
	e, err := d.users().GetBy(ctx, identityKey(p.ID, in.Provider.Name, in.Subject))
	if err == nil {
		to, err := d.lead(ctx, e)
		switch {
		case err != nil:
			return SignInResult{}, err
		case to.Value.Sub != sub:
			return SignInResult{}, denied("the identity is another user's")
		case e.Value.MergedInto != nil:
			return d.returningMerged(ctx, p, in, e)
		}
		return d.returning(ctx, p, in, e)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return SignInResult{}, err
	}
	o, err := d.offer(ctx, p, in)
	if err != nil {
		return SignInResult{}, err
	}
	if e, err = d.users().Get(ctx, userKey(p.ID, sub)); err != nil {
		return SignInResult{}, err
	}
	if e.Value.MergedInto != nil { // since the person proved to be this user; a pointer that does not hold goes with its next sign-in
		return SignInResult{}, denied("the user was merged into another one")
	}
	if o.Policy.Kind != LinkAsk || o.Value == "" {
		return SignInResult{}, denied("the provider's policy asks nobody")
	}
	if ok, err := d.eligible(ctx, o, e.Value); err != nil {
		return SignInResult{}, err
	} else if !ok {
		return SignInResult{}, denied("no candidate")
	}
	if !e.Value.Enabled {
		return SignInResult{}, fault.New(fault.Denied, "User is disabled.", fmt.Errorf("user %s is disabled", sub))
	}
	r, err := d.join(ctx, p, in, e)
	r.Linked = o.Policy
	return r, err
}
