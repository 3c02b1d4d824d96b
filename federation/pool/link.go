package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

// SubjectAttribute is the attribute of a Source that names the identity by the provider's own subject.
const SubjectAttribute = "Cognito_Subject"

// maxIdentities is how many identities a user can have, with those that are waited for (AdminLinkProviderForUser of the API model).
const maxIdentities = 5

// Source is an identity at a provider (ProviderUserIdentifierType of the API model).
type Source struct {
	Provider string
	// Attribute is SubjectAttribute, or an attribute that the provider's mapping fills, or the claim that it is filled from.
	Attribute string
	Value     string // in its exact case
}

// PendingLink waits for the first sign-in of an identity that nobody has and that brings this value of a claim.
type PendingLink struct {
	Provider  string    `json:"provider"`
	Attribute string    `json:"attr"`
	Claim     string    `json:"claim"` // what the attribute was mapped from when the link was made
	Value     string    `json:"value"`
	Created   time.Time `json:"created"`
}

func (l PendingLink) key(poolID string) string { return linkKey(poolID, l.Provider, l.Claim, l.Value) }

// linkKey is the key of a link that waits for a claim. The lengths keep apart what the parts could hold.
func linkKey(poolID, provider, claim, value string) string {
	return bounded('l', poolID, strconv.Itoa(len(provider))+":"+provider+strconv.Itoa(len(claim))+":"+claim+value)
}

// What a refusal is about, for whoever has to tell it apart: errors.Is.
var (
	ErrLinked   = errors.New("the identity is linked to this user already")
	ErrSignedUp = errors.New("the identity has a user already")
	// ErrAmbiguous: more than one user waits for this identity, or a policy leads to more than one.
	ErrAmbiguous = errors.New("more than one user may be meant by the identity")
)

func linkedAlready() error {
	return fault.New(fault.Invalid, "SourceUser is already linked to DestinationUser", ErrLinked)
}

func signedUp(cause error) error {
	return fault.New(fault.Invalid, "Merging is not currently supported, provide a SourceUser that has not been signed up in order to link",
		fmt.Errorf("%w: %w", ErrSignedUp, cause))
}

// LinkProvider lets an identity that has not signed in yet sign in as an existing user, whom name leads to as in FindUser.
//
// Whoever calls it trusts the provider to give that subject to nobody else, ever. With a claim they trust it further: that this claim cannot be
// chosen by the person, that nobody else has the value, and that it is not given to somebody else before the first sign-in. That is for
// the caller to know of each provider and claim: whether an address is verified is not asked, since the provider is taken at its word
// for all of it. What waits is the claim that fills the attribute now: a mapping that is changed later does not
// make another claim do. Only a claim that is one text counts, and its exact case.
//
// Errors: fault.NotFound for the provider, and with ErrNoUser for the user; fault.Invalid, with ErrLinked or ErrSignedUp where the identity is
// somebody's; fault.Conflict with ErrAliasExists where another user waits for it; fault.TooLarge with ErrLimit for a sixth identity.
func (d *Directory) LinkProvider(ctx context.Context, poolID, name string, src Source) (User, PendingLink, error) {
	if strings.EqualFold(src.Provider, LocalProvider) { // the API says Cognito
		return User{}, PendingLink{}, badRequest("The source must be an identity at an identity provider, and not a user of the pool.")
	}
	ip, err := d.Provider(ctx, poolID, src.Provider)
	if err != nil {
		return User{}, PendingLink{}, err
	}
	u, err := d.FindUser(ctx, poolID, name)
	if err != nil {
		return User{}, PendingLink{}, err
	}
	if src.Attribute == SubjectAttribute {
		u, err = d.linkSubject(ctx, ip, u, src.Value, 0)
		return u, PendingLink{}, err
	}
	l, err := ip.pending(src)
	if err != nil {
		return User{}, PendingLink{}, err
	}
	l.Created = d.now()
	u, err = d.linkClaim(ctx, u, l)
	return u, l, err
}

// pending returns the link by a claim that src asks for.
func (p IdentityProvider) pending(src Source) (PendingLink, error) {
	if p.Type != "OIDC" && p.Type != "SAML" {
		return PendingLink{}, badRequest("Identities of this type of provider are linked by Cognito_Subject only.")
	}
	if !characters(src.Value, 1, maxValue) || !storable(src.Value) {
		return PendingLink{}, badRequest("The value of the source must have 1 to 2048 characters.")
	}
	attribute := src.Attribute
	if p.AttributeMapping[attribute] == "" {
		for _, target := range slices.Sorted(maps.Keys(p.AttributeMapping)) {
			if p.AttributeMapping[target] == src.Attribute && linkable(target, src.Attribute) {
				attribute = target
				break
			}
		}
	}
	claim := p.AttributeMapping[attribute]
	if !linkable(attribute, claim) {
		return PendingLink{}, badRequest("The attribute of the source must be Cognito_Subject, or one that the provider's attribute mapping fills from a claim.")
	}
	return PendingLink{Provider: p.Name, Attribute: attribute, Claim: claim, Value: src.Value}, nil
}

// linkable reports whether an attribute that comes from the claim can tell people apart: a constant cannot, nor can a flag. What an expression
// makes of claims is not what the provider says.
func linkable(attribute, claim string) bool {
	return mapping.IsClaim(claim) && verifiedOf[attribute] == "" && attribute != mapUsername
}

// room refuses one identity too many.
func (u User) room() error {
	if u.places() >= maxIdentities {
		return fault.New(fault.TooLarge, "The user has the largest number of identities: 5.", ErrLimit)
	}
	return nil
}

func (u User) identity(provider, subject string) int {
	return slices.IndexFunc(u.Identities, func(l LinkedIdentity) bool { return l.Provider == provider && l.Subject == subject })
}

// HasIdentity reports whether the user may sign in with that identity.
func (u User) HasIdentity(provider, subject string) bool {
	_, ok := u.IdentitySince(provider, subject)
	return ok
}

func (d *Directory) linkSubject(ctx context.Context, ip IdentityProvider, u User, subject string, waits int) (User, error) {
	if !validSubject(subject) {
		return User{}, badRequest("The value of the source is no subject.")
	}
	to := u
	u, err := d.putLink(ctx, to, func(u *User) error {
		if u.HasIdentity(ip.Name, subject) {
			return linkedAlready()
		}
		if err := u.room(); err != nil {
			return err
		}
		u.again(ip.Name, subject)
		u.Identities = append(slices.Clone(u.Identities), LinkedIdentity{Provider: ip.Name, ProviderType: ip.Type, Subject: subject, Created: d.now()})
		return nil
	})
	if errors.Is(err, store.ErrTaken) {
		return d.linkTaken(ctx, ip, to, subject, waits, err)
	}
	return u, storeFaultUnless("link an identity", err)
}

// linkTaken is for an identity that is taken: where nobody holds it, another writer claims it and may not get it, and it is tried again for as
// long as a sign-in does.
func (d *Directory) linkTaken(ctx context.Context, ip IdentityProvider, to User, subject string, waits int, taken error) (User, error) {
	_, err := d.users().GetBy(ctx, identityKey(to.PoolID, ip.Name, subject))
	if !errors.Is(err, store.ErrNotFound) || waits == claimWaits {
		return User{}, signedUp(taken)
	}
	if err := store.Pause(ctx, time.Millisecond<<waits); err != nil {
		return User{}, storeFault("link an identity", err, noUser)
	}
	return d.linkSubject(ctx, ip, to, subject, waits+1)
}

func (d *Directory) linkClaim(ctx context.Context, u User, l PendingLink) (User, error) {
	if err := d.notSignedUp(ctx, u, l); err != nil {
		return User{}, err
	}
	u, err := d.putLink(ctx, u, func(u *User) error {
		if slices.ContainsFunc(u.Links, func(o PendingLink) bool { return o.key(u.PoolID) == l.key(u.PoolID) }) {
			return linkedAlready()
		}
		if err := u.room(); err != nil {
			return err
		}
		u.Links = append(slices.Clone(u.Links), l)
		return nil
	})
	if errors.Is(err, store.ErrTaken) {
		return User{}, fault.New(fault.Conflict, "Another user is linked to this attribute of the identity provider already.", fmt.Errorf("%w: %w", ErrAliasExists, err))
	}
	return u, storeFaultUnless("link an identity", err)
}

func (d *Directory) putLink(ctx context.Context, u User, change func(*User) error) (User, error) {
	var refused error
	e, err := d.updateUser(ctx, u.PoolID, u.Sub, func(u *User) error {
		if refused = change(u); refused == nil {
			u.Modified = d.now()
		}
		return refused
	})
	if refused != nil {
		return User{}, refused
	}
	return e.Value, err
}

// storeFaultUnless is storeFault for what is no fault yet.
func storeFaultUnless(operation string, err error) error {
	if f := (*fault.Error)(nil); errors.As(err, &f) && !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return storeFault(operation, err, noUser)
}

// notSignedUp refuses a link for an identity that has signed in and has a user of its own: it would never be looked for. That is known where
// users can be listed by the attribute; otherwise the link waits for nothing.
func (d *Directory) notSignedUp(ctx context.Context, u User, l PendingLink) error {
	p, err := d.Pool(ctx, u.PoolID)
	if err != nil || !slices.Contains(p.searchable(), l.Attribute) {
		return err
	}
	for after := ""; ; {
		page, next, err := d.search(ctx, u.PoolID, Filter{Name: l.Attribute, Value: l.Value, Exact: true}, after, 200)
		if err != nil {
			return err
		}
		for _, other := range page {
			of := func(id LinkedIdentity) bool { return id.Provider == l.Provider && id.Primary }
			if other.Sub != u.Sub && other.Attributes[l.Attribute] == l.Value && slices.ContainsFunc(other.Identities, of) {
				return signedUp(fmt.Errorf("user %s", other.Sub))
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// Unlinked is what UnlinkProvider did.
type Unlinked struct {
	User     User
	Provider string
	Subject  string // of the identity that was linked; "" for one that had not signed in
	Claim    string // that such a one was waited for by
	// Own: the source is the user itself: a local account, or the identity that the user was made from. It was not touched: to keep it from
	// signing in, the user has to be disabled.
	Own bool
	// Merged is the sub of the user from whom the identity came by a merge and who was made from it. Nothing was touched: the merge has to be
	// undone, which gives the identity back to that user.
	Merged string
}

// UnlinkProvider ends the link between an identity and its user, and the memberships that came with it alone. Who signs in with the identity
// from then on is a new user, whatever the provider's policy of linking. The identity that a
// user was made from is no link, and stays: without it the account would be nobody's and its name would still be taken. What
// depends on the identity is for the caller to end (Broker.UnlinkProvider).
// An identity that came by a merge leaves the destination: see Unlinked.Merged for the one that the merged user was made from; another one is nobody's afterwards.
// The provider may have been removed; its name then leads to the links all the same.
// Errors: fault.NotFound with ErrNoUser where the source is nobody's, fault.Invalid.
func (d *Directory) UnlinkProvider(ctx context.Context, poolID string, src Source) (Unlinked, error) {
	out := Unlinked{Provider: src.Provider}
	if strings.EqualFold(src.Provider, LocalProvider) { // the API says Cognito
		if src.Attribute != SubjectAttribute {
			return out, badRequest("A user of the pool is named by Cognito_Subject.")
		}
		u, err := d.FindUser(ctx, poolID, src.Value)
		out.User, out.Own = u, true
		return out, err
	}
	if src.Attribute != SubjectAttribute {
		return d.unlinkClaim(ctx, poolID, src)
	}
	u, err := d.UserByIdentity(ctx, poolID, src.Provider, src.Value)
	if err != nil {
		return out, err
	}
	out.Subject = src.Value
	if i := u.from(src.Provider, src.Value); i >= 0 {
		return d.unlinkMerged(ctx, out, u, u.Merged[i])
	}
	out.User, err = d.putLink(ctx, u, func(u *User) error {
		i := u.identity(src.Provider, src.Value)
		if u.from(src.Provider, src.Value) >= 0 { // merged meanwhile
			return errMerged
		}
		out.Own = i >= 0 && u.Identities[i].Primary
		if i < 0 || out.Own {
			return store.ErrUnchanged
		}
		u.past(u.Identities[i], d.now())
		u.unlink(i)
		return nil
	})
	if errors.Is(err, errMerged) {
		return d.UnlinkProvider(ctx, poolID, src)
	}
	if errors.Is(err, store.ErrUnchanged) {
		if out.User = u; !out.Own {
			err = absent("unlinked by somebody else", noUser)
		} else {
			err = nil
		}
	}
	return out, storeFaultUnless("unlink an identity", err)
}

func (d *Directory) unlinkClaim(ctx context.Context, poolID string, src Source) (Unlinked, error) {
	out := Unlinked{Provider: src.Provider}
	if !validPoolID(poolID) || !characters(src.Provider, 1, maxProviderName) || !storable(src.Provider+src.Attribute+src.Value) {
		return out, absent("unlink: malformed source", noUser)
	}
	claims := []string{src.Attribute} // as it was when the link was made, should the mapping have changed
	ip, err := d.Provider(ctx, poolID, src.Provider)
	if err == nil && ip.AttributeMapping[src.Attribute] != "" {
		claims = []string{ip.AttributeMapping[src.Attribute], src.Attribute}
	} else if err != nil && fault.CodeOf(err) != fault.NotFound {
		return out, err
	}
	for _, claim := range claims {
		key := linkKey(poolID, src.Provider, claim, src.Value)
		e, err := d.users().GetBy(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return out, storeFault("user by link", err, noUser)
		}
		out.Claim = claim
		out.User, err = d.putLink(ctx, e.Value, func(u *User) error {
			u.Links = slices.DeleteFunc(slices.Clone(u.Links), func(l PendingLink) bool { return l.key(poolID) == key })
			return nil
		})
		return out, storeFaultUnless("unlink an identity", err)
	}
	return out, absent("no such link", noUser)
}
