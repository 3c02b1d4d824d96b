package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// What a refusal is about, for whoever has to tell it apart: errors.Is.
var (
	// ErrReassigned: the user whom the provider's policy leads to has, or had, another identity of the same provider.
	ErrReassigned = errors.New("the user has, or had, another identity of the same provider")
	// ErrUnprovenDomain: the DNS record is missing that has to prove that the provider may speak for the domain of an address.
	ErrUnprovenDomain = errors.New("the DNS record of a trusted domain is missing")
)

// Offer is what an identity that nobody has brings to be linked by, after all checks of it: the policy of its provider as it is stored now, and the
// value, which the provider has said in this very sign-in, as one text, and has verified where that is a question.
type Offer struct {
	Provider IdentityProvider // as stored, past the cache
	Policy   LinkPolicy
	Value    string // as linkForm has it; "" offers nothing
	Subject  string
	// proof is the domain that a DNS record has to prove before anybody is linked; "" for none.
	proof string
}

// byPolicy is the first sign-in of an identity that nobody has and nobody waits for: it is linked to the one user whom the provider's policy
// leads to, asked about where the policy says so, or a user of its own.
//
// Of any number of first sign-ins at the same time that offer the same value, one creates the user, and the others find it: the new
// document claims the value (User.LinkKeys). That is all the claim is for. What makes somebody eligible is read from their document and
// written by compare-and-swap, so that what has changed meanwhile is looked at again.
func (d *Directory) byPolicy(ctx context.Context, p Pool, in SignIn) (SignInResult, error) {
	r, err := d.linkOrCreate(ctx, p, in)
	if f := (*fault.Error)(nil); !errors.As(err, &f) || f.Code == fault.Unavailable {
		return r, err
	}
	// A refusal is about somebody who is not known. They may be by now, and then it is not about them.
	_, at := d.users().GetBy(ctx, identityKey(p.ID, in.Provider.Name, in.Subject))
	switch {
	case at == nil:
		return SignInResult{}, errLost
	case !errors.Is(at, store.ErrNotFound):
		return SignInResult{}, at
	}
	return r, err
}

func (d *Directory) linkOrCreate(ctx context.Context, p Pool, in SignIn) (SignInResult, error) {
	o, err := d.offer(ctx, p, in)
	if err != nil {
		return SignInResult{}, err
	}
	if o.Value == "" || in.Alone {
		return d.first(ctx, p, in, nil)
	}
	found, err := d.candidates(ctx, p, o)
	if err != nil {
		return SignInResult{}, err
	}
	switch {
	case slices.ContainsFunc(found, func(e store.Entry[User]) bool { return e.Value.HasIdentity(in.Provider.Name, in.Subject) }):
		return SignInResult{}, errLost // the same person, a moment earlier
	case o.Policy.Kind == LinkAsk && len(found) > 0:
		return SignInResult{}, asked(o, found)
	case o.Policy.Kind == LinkAsk:
		return d.first(ctx, p, in, nil)
	case len(found) == 0:
		return d.firstOf(ctx, p, in, o)
	case len(found) > 1:
		return SignInResult{}, fault.New(fault.Conflict, "More than one user of the user pool could be the one who signs in. An administrator has to say which.",
			fmt.Errorf("%w: users %s and %s have the same %s", ErrAmbiguous, found[0].Value.Sub, found[1].Value.Sub, o.Policy.Attribute))
	}
	if err := d.mayLink(ctx, o, found[0].Value); err != nil {
		return SignInResult{}, err
	}
	r, err := d.join(ctx, p, in, found[0])
	r.Linked = o.Policy
	return r, err
}

// offer returns what the identity may be linked by, with Value "" where that is nothing.
func (d *Directory) offer(ctx context.Context, p Pool, in SignIn) (Offer, error) {
	none := Offer{}
	if in.Provider.LinkPolicy().Kind == LinkNone {
		return none, nil
	}
	e, err := d.providers().Get(ctx, providerKey(p.ID, in.Provider.Name)) // a policy that was withdrawn links nobody any more
	if errors.Is(err, store.ErrNotFound) {
		return none, nil
	}
	o := Offer{Provider: e.Value, Policy: e.Value.LinkPolicy(), Subject: in.Subject}
	if err != nil || o.Policy.Kind == LinkNone || o.Policy.Kind == LinkAsk && !d.AskPeople {
		return none, err
	}
	if in, err = in.onto(User{}, true); err != nil {
		return none, err
	}
	given, name := mappedValues(in), o.Policy.Attribute
	flag := flagOf[name]
	// The mapping that this sign-in was evaluated by has to be the one that is stored, or nobody knows what the value is.
	if now, then := o.Provider.AttributeMapping, in.Provider.AttributeMapping; now[name] != then[name] || now[flag] != then[flag] {
		return none, fault.New(fault.Unavailable, "The settings of this identity provider have just been changed. Try again.",
			fmt.Errorf("the sign-in was evaluated by an earlier mapping of %q than the one that is stored", name))
	}
	if in.Exact[name] == "" || !o.Provider.saysPlainly(name) || flag != "" && given[flag] != "true" {
		return none, nil
	}
	value := linkForm(name, given[name])
	if value == "" || linkForm(name, given[name]) != linkForm(name, sameForm(name, in.Exact[name])) || !storable(value) {
		return none, nil
	}
	if o.Policy.Kind == LinkEmail {
		trusted, err := d.mayOffer(ctx, p, &o, value)
		if err != nil || !trusted {
			return none, err
		}
	}
	o.Value = value
	return o, nil
}

// sameForm brings a claim into the form in which the mapping keeps it.
func sameForm(attribute, claim string) string {
	if attribute == "phone_number" {
		return normalizePhone(claim)
	}
	return claim
}

// mayOffer reports whether the provider may speak for the domain of the address. The domain has to be the provider's in the store's eyes too, where it
// is a unique value: a document that was written by a release that knows nothing of it holds none.
func (d *Directory) mayOffer(ctx context.Context, p Pool, o *Offer, address string) (bool, error) {
	_, domain, _ := splitAddress(address)
	t, ok := o.Provider.trusted(domain)
	if !ok {
		return false, nil
	}
	holder, err := d.providers().GetBy(ctx, providerIdentKey(p.ID, domain))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	if err != nil || holder.Value.Name != o.Provider.Name {
		return false, fault.New(fault.Unavailable, "Who may speak for the domain of the e-mail address cannot be told right now. Try again.",
			fmt.Errorf("trusted domain %s of identity provider %q is not held by it in the store: save the provider again", domain, o.Provider.Name))
	}
	if t.proven {
		o.proof = domain
	}
	return true, nil
}

// maxAlike bounds how many users with the same value are looked at. Where there are more, nobody is linked: whoever could fill a pool with
// users of one address must not decide which of them is found.
const maxAlike = 1000

// candidates returns the users of the pool whom the offer leads to, in the order of the store. With LinkAsk these are all who have the same address
// and take part: they have to be proven by whoever signs in. Otherwise they are those of whom the value is known to be theirs, see vouched.
// Users from whom an administrator took this very identity away are not among them.
func (d *Directory) candidates(ctx context.Context, p Pool, o Offer) ([]store.Entry[User], error) {
	name := o.Policy.Attribute
	want := foldIndexed(name, o.Value)
	index := indexPrefix(indexName(name), p.ID, want)
	var found []store.Entry[User]
	seen := 0
	for after := ""; ; {
		page, next, err := d.users().List(ctx, index, after, 100)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if has := foldIndexed(name, e.Value.Attributes[name]); cut(has) != cut(want) {
				return found, nil // equal values come first: from here on they are longer
			}
			if seen++; seen > maxAlike {
				return nil, fault.New(fault.Conflict, "Too many users of the user pool have the value by which they would be linked. An administrator has to look at them.",
					fmt.Errorf("%w: more than %d users have the same %s", ErrAmbiguous, maxAlike, name))
			}
			ok, err := d.eligible(ctx, o, e.Value)
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, e)
			}
		}
		if after = next; next == "" {
			return found, nil
		}
	}
}

// eligible reports whether the offer leads to the user.
func (d *Directory) eligible(ctx context.Context, o Offer, u User) (bool, error) {
	name := o.Policy.Attribute
	if linkForm(name, u.Attributes[name]) != o.Value || u.refuses(o.Provider.Name, o.Subject) {
		return false, nil
	}
	if o.Policy.Kind == LinkAsk {
		return true, nil
	}
	if flag := flagOf[name]; flag != "" {
		if ok, err := d.vouched(ctx, o, u, flag); u.Attributes[flag] != "true" || err != nil || !ok {
			return false, err
		}
	}
	return d.vouched(ctx, o, u, name)
}

// vouched reports whether the value that a user has was written by somebody whose word counts: an administrator, or a provider whose identities
// are linked by the same value. What the person wrote does not count, nor what nobody knows the writer of, nor what another provider
// says: whoever could choose it there would have made an account in advance for the owner of the value to be linked to, and would share it
// with them.
//
// Of an address, that is the provider that may speak for its domain, which is the one who signs in, and those that its details name
// (link_sources). Of another attribute it is every provider with the same policy. Either way, it has to have written the value by
// the rule that it has now: what an earlier mapping made of people is not what it vouches for.
func (d *Directory) vouched(ctx context.Context, o Offer, u User, name string) (bool, error) {
	s, known := u.Sources[name]
	if !known || s.Kind == FromAdmin {
		// Before there were sources it was kept apart what an administrator wrote last.
		return known || slices.Contains(u.Edited, name), nil
	}
	if s.Kind != FromProvider && s.Kind != FromNotice {
		return false, nil
	}
	ip := o.Provider
	if s.Provider != ip.Name {
		if o.Policy.Kind == LinkEmail && !slices.Contains(ip.linkSources(), s.Provider) {
			return false, nil
		}
		e, err := d.providers().Get(ctx, providerKey(u.PoolID, s.Provider))
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if ip = e.Value; err != nil {
			return false, err
		}
	}
	if o.Policy.Kind == LinkAttribute && (ip.LinkPolicy() != o.Policy || verifiedOf[name] == "" && !ip.saysPlainly(name)) {
		return false, nil
	}
	byNotice := s.Kind == FromNotice && verifiedOf[name] != ""
	return byNotice || s.Kind == FromProvider && s.Rule != "" && s.Rule == ip.AttributeMapping[name], nil
}

// mayLink refuses the one user whom an offer leads to, where linking is not what should happen.
//
// Somebody who has another identity of the same provider, or had one that an administrator took away, is refused rather than let in as a user of their own: the policy says that the value means the
// person, and the provider says that it means somebody else by now. That is an address that was given to another person, or a person who was
// made anew there, and only an administrator knows which.
func (d *Directory) mayLink(ctx context.Context, o Offer, u User) error {
	if slices.ContainsFunc(u.Identities, func(l LinkedIdentity) bool { return l.Provider == o.Provider.Name }) ||
		slices.ContainsFunc(u.Past, func(l PastIdentity) bool { return l.Provider == o.Provider.Name }) {
		return fault.New(fault.Conflict, "The user of the user pool who could be the one who signs in has, or had, another identity of this identity provider. An administrator has to say whose it is.",
			fmt.Errorf("%w: user %s, by %s", ErrReassigned, u.Sub, o.Policy.Attribute))
	}
	if !u.Enabled {
		return fault.New(fault.Denied, "User is disabled.", fmt.Errorf("user %s is disabled", u.Sub))
	}
	if o.proof == "" {
		return nil
	}
	err := d.prove(ctx, o.Provider, o.proof, proofAge)
	switch {
	case errors.Is(err, errUnproven):
		return fault.New(fault.Config, "The DNS record is missing that lets this identity provider speak for the domain of the e-mail address.",
			fmt.Errorf("%w: publish %s", ErrUnprovenDomain, o.Provider.toPublish(o.proof)))
	case err != nil:
		return fault.New(fault.Unavailable, "Whether the identity provider may speak for the domain of the e-mail address cannot be looked up right now. Try again.", err)
	}
	return nil
}

// join makes the identity one of the user's. Errors: those of room and of joined.
func (d *Directory) join(ctx context.Context, p Pool, in SignIn, e store.Entry[User]) (SignInResult, error) {
	if err := e.Value.room(); err != nil {
		return SignInResult{}, err
	}
	return d.joined(ctx, p, in, e, func(*User) {})
}
