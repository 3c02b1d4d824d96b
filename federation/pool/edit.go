package pool

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

var (
	// ErrNotWritable: the application may not write the attribute.
	ErrNotWritable = errors.New("the application may not write an attribute")
	// ErrUnverified: a new value counts only after a code that is sent to it has come back, and no codes are sent yet.
	ErrUnverified = errors.New("an attribute would have to be verified first")
)

// UpdateAttributes sets attributes of a user for an administrator; an empty value deletes one. An address or number that changes counts as not
// verified unless the same call says that it is. Immutable attributes keep their value, required ones keep one.
// Errors: fault.NotFound; fault.Invalid with everything that is wrong; fault.Conflict with ErrAliasExists.
func (d *Directory) UpdateAttributes(ctx context.Context, poolID, sub string, set map[string]string) (User, error) {
	return d.edit(ctx, poolID, sub, set, true)
}

// DeleteAttributes takes attributes away from a user for an administrator. Errors: as of UpdateAttributes.
func (d *Directory) DeleteAttributes(ctx context.Context, poolID, sub string, names []string) (User, error) {
	return d.edit(ctx, poolID, sub, blank(names), true)
}

// UpdateOwnAttributes is UpdateAttributes for the person, through an application: only what its WriteAttributes name, never what is
// developer-only, never whether something is verified, and no address or number that would have to be verified before it counts.
// Errors: as of UpdateAttributes, and fault.Denied with ErrNotWritable or ErrUnverified.
func (d *Directory) UpdateOwnAttributes(ctx context.Context, c Client, sub string, set map[string]string) (User, error) {
	p, err := d.Pool(ctx, c.PoolID)
	if err != nil {
		return User{}, err
	}
	for name := range set {
		// What is not in the schema is not refused here: the sentence about it says more.
		if a, ok := p.Attribute(name); ok && !c.writes(a) {
			return User{}, fault.New(fault.Denied, "A client attempted to write unauthorized attribute", ErrNotWritable)
		}
	}
	u, err := d.User(ctx, c.PoolID, sub)
	if err != nil {
		return User{}, err
	}
	if p.needsCode(u, set) {
		return User{}, fault.New(fault.Denied, "The new value would have to be verified, and verification codes are not supported yet: an administrator can change it.", ErrUnverified)
	}
	return d.edit(ctx, c.PoolID, sub, set, false)
}

// needsCode reports whether the changes have a value that may not count before it is verified: one that the pool's settings name, or one that the
// user signs in with. Whoever put somebody else's address there would be found under it, and taken for them.
func (p Pool) needsCode(u User, set map[string]string) bool {
	var named []string
	if s := p.Settings.UserAttributeUpdateSettings; s != nil {
		named = s.AttributesRequireVerificationBeforeUpdate
	}
	for name, v := range set {
		same := v == "" || foldIndexed(name, v) == foldIndexed(name, u.Attributes[name])
		signsIn := slices.Contains(p.UsernameAttributes, name) && slices.Contains(u.Aliases, name)
		if !same && (signsIn || slices.Contains(named, name)) {
			return true
		}
	}
	return false
}

// DeleteOwnAttributes is DeleteAttributes for the person, through an application. Errors: as of UpdateOwnAttributes.
func (d *Directory) DeleteOwnAttributes(ctx context.Context, c Client, sub string, names []string) (User, error) {
	return d.UpdateOwnAttributes(ctx, c, sub, blank(names))
}

func (c Client) writes(a SchemaAttribute) bool {
	switch {
	case a.DeveloperOnly, verifiedOf[a.Name] != "", a.Name == attrSub, a.Name == attrIdentities:
		return false
	case c.WriteAttributes == nil:
		return a.Mutable
	}
	return slices.Contains(c.WriteAttributes, a.Name)
}

func blank(names []string) map[string]string {
	out := make(map[string]string, len(names))
	for _, n := range names {
		out[n] = ""
	}
	return out
}

// edit is for an administrator or for the person. What an administrator changed is remembered as such until somebody else writes it.
func (d *Directory) edit(ctx context.Context, poolID, sub string, set map[string]string, admin bool) (User, error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return User{}, err
	}
	u, err := d.User(ctx, poolID, sub)
	if err != nil {
		return User{}, err
	}
	var refused error
	e, err := d.changeUser(ctx, p, u.Sub, true, func(u *User) error {
		after, err := p.edited(*u, set)
		switch {
		case err != nil:
			refused = err
		case maps.Equal(after, u.Attributes):
			return store.ErrUnchanged
		default:
			before := *u
			u.Attributes, u.Modified = after, d.now()
			written, by := differing(before.Attributes, after), FromPerson
			u.Edited = without(u.Edited, written)
			if admin {
				by, u.Edited = FromAdmin, slices.Sorted(slices.Values(append(u.Edited, written...)))
			}
			u.setSources(written, func(string) ValueSource { return ValueSource{Kind: by, At: u.Modified} })
			claimed := *u
			p.settleAliases(before, &claimed, claimAll)
			if slices.Contains(claimed.Aliases, attrPreferred) && foldIndexed(attrPreferred, before.Attributes[attrPreferred]) != foldIndexed(attrPreferred, after[attrPreferred]) {
				refused = d.aliasFree(ctx, p, claimed)
			}
		}
		return refused
	})
	if refused != nil {
		return User{}, refused
	}
	if errors.Is(err, ErrAliasExists) {
		return User{}, err
	}
	return e.Value, storeFault("change attributes", err, noUser)
}

// differing returns the names whose values are not the same, an absent value being one of its own.
func differing(a, b map[string]string) []string {
	var names []string
	for name := range union(a, b) {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}

// edited returns the attributes of u with the changes. Errors: fault.Invalid with everything that is wrong.
func (p Pool) edited(u User, set map[string]string) (map[string]string, error) {
	after := maps.Clone(u.Attributes)
	if after == nil {
		after = map[string]string{}
	}
	invalid := checkValues(p.Schema, changed(set))
	var fixed []string
	for name, v := range set {
		a, known := p.Attribute(name)
		switch {
		case !known:
			invalid[name] = "The attribute is not in the schema of the user pool."
		case name == attrSub || name == attrIdentities:
			invalid[name] = "The attribute is set by the user pool itself."
		case !a.Mutable && u.Attributes[name] != v:
			fixed = append(fixed, name)
		case v == "" && a.Required:
			invalid[name] = "The attribute is required."
		case v == "":
			delete(after, name)
		default:
			after[name] = v
		}
	}
	for flag, of := range verifiedOf {
		switch {
		case after[of] == "" && set[flag] != "":
			invalid[flag] = "The attribute needs " + of + "."
		case after[of] == "":
			delete(after, flag)
		case set[flag] == "" && foldIndexed(of, after[of]) != foldIndexed(of, u.Attributes[of]):
			after[flag] = "false"
		}
	}
	if name := p.lastName(u, after); name != "" {
		invalid[name] = "The user signs in with the attribute."
	}
	slices.Sort(fixed)
	return after, attributesFault(sorted(invalid), fixed)
}

// changed returns the values that are to be set.
func changed(set map[string]string) map[string]string {
	out := maps.Clone(set)
	maps.DeleteFunc(out, func(_, v string) bool { return v == "" })
	return out
}

// lastName returns the attribute that a user of a pool with UsernameAttributes signs in with, if none would be left; "" otherwise.
func (p Pool) lastName(u User, after map[string]string) string {
	if len(p.UsernameAttributes) == 0 || !u.local() {
		return ""
	}
	last := ""
	for _, name := range u.Aliases {
		if !slices.Contains(p.UsernameAttributes, name) {
			continue
		}
		if after[name] != "" {
			return ""
		}
		last = name
	}
	return last
}
