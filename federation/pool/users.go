package pool

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation/store"
)

// The indexes of users: what the API model lists as searchable (ListUsersRequest, Filter), and custom attributes. They
// are folded, so that a search finds every case.
const (
	defaultIndex   = "username"
	statusEnabled  = "enabled"
	statusDisabled = "disabled"
)

var attributeIndexes = []string{"email", "phone_number", "name", "given_name", "family_name", "preferred_username"}

func (d *Directory) users() *store.Kind[User] {
	return &store.Kind[User]{Engine: d.Engine, Name: "user", KeysOf: userKeys}
}

func userKeys(u *User) store.Keys {
	k := store.Keys{Key: userKey(u.PoolID, u.Sub), Unique: []string{usernameKey(u.PoolID, u.Username)}}
	for _, id := range u.Identities {
		if id.Via == "" {
			k.Unique = append(k.Unique, identityKey(u.PoolID, id.Provider, id.Subject))
		}
	}
	for _, l := range u.Links {
		k.Unique = append(k.Unique, l.key(u.PoolID))
	}
	for _, name := range u.Aliases {
		if v := u.Attributes[name]; v != "" {
			k.Unique = append(k.Unique, aliasKey(u.PoolID, v))
		}
	}
	for _, m := range u.Merged {
		k.Index = append(k.Index, holderIndex(u.PoolID, m.Sub))
	}
	if u.MergedInto != nil { // lists have the destination
		k.Index = append(k.Index, indexPrefix(mergedIndex, u.PoolID, u.MergedInto.Sub))
		return k
	}
	for _, name := range u.LinkKeys {
		if linkForm(name, u.Attributes[name]) != "" {
			k.Unique = append(k.Unique, linkValueKey(u.PoolID, name, u.Attributes[name]))
		}
	}
	for _, gid := range u.Groups {
		k.Index = append(k.Index, memberIndex(u.PoolID, gid, Fold(u.Username)))
	}
	for _, name := range userIndexes() {
		if v, ok := indexedValue(u, name); ok {
			k.Index = append(k.Index, indexPrefix(indexName(name), u.PoolID, v))
		}
	}
	own := len(k.Index)
	for name, v := range u.Attributes {
		if isCustom(name) && v != "" {
			k.Index = append(k.Index, indexPrefix(indexName(name), u.PoolID, foldIndexed(name, v)))
		}
	}
	slices.Sort(k.Index[own:])
	return k
}

func userIndexes() []string {
	return append([]string{defaultIndex, "sub", "status", "cognito:user_status"}, attributeIndexes...)
}

// indexName is the name in the store, where a colon ends a name. Those of custom attributes may hold anything and are escaped, which
// leaves a %3A in each, so that none is that of another index.
func indexName(name string) string {
	if isCustom(name) {
		return indexEscape.Replace(name)
	}
	return strings.TrimPrefix(name, "cognito:")
}

var indexEscape = strings.NewReplacer("%", "%25", ":", "%3A")

// indexedValue returns the folded value of a user under an index, and whether it has one.
func indexedValue(u *User, name string) (string, bool) {
	switch name {
	case defaultIndex:
		return Fold(u.Username), true
	case "sub":
		return u.Sub, true
	case "status":
		if u.Enabled {
			return statusEnabled, true
		}
		return statusDisabled, true
	case "cognito:user_status":
		return Fold(string(u.Status)), true
	}
	v := u.Attributes[name]
	return foldIndexed(name, v), v != ""
}

func foldIndexed(name, v string) string {
	if name == "email" {
		return FoldEmail(v)
	}
	return Fold(v)
}

// User returns the user of that sub, or the one whom that user was merged into. Errors: fault.NotFound.
func (d *Directory) User(ctx context.Context, poolID, sub string) (User, error) {
	if !validPoolID(poolID) || !characters(sub, 1, 128) || !storable(sub) {
		return User{}, absent("user: malformed sub", noUser)
	}
	e, err := d.found(ctx)(d.users().Get(ctx, userKey(poolID, sub)))
	return e.Value, storeFault("user by sub", err, noUser)
}

// UserByUsername returns the user of that name in any case, or the one whom that user was merged into. Errors: fault.NotFound.
func (d *Directory) UserByUsername(ctx context.Context, poolID, username string) (User, error) {
	if !validPoolID(poolID) || !characters(username, 1, maxUsername) || !storable(username) {
		return User{}, absent("user: malformed user name", noUser)
	}
	e, err := d.found(ctx)(d.users().GetBy(ctx, usernameKey(poolID, username)))
	return e.Value, storeFault("user by name", err, noUser)
}

// UserByIdentity returns the user that an upstream identity is linked to: the provider's name and the raw subject in its exact
// case; of a merged user that is the destination. Errors: fault.NotFound.
func (d *Directory) UserByIdentity(ctx context.Context, poolID, provider, subject string) (User, error) {
	if !validPoolID(poolID) || !characters(provider, 1, maxProviderName) || !storable(provider) || !validSubject(subject) {
		return User{}, absent("user: malformed identity", noUser)
	}
	e, err := d.found(ctx)(d.users().GetBy(ctx, identityKey(poolID, provider, subject)))
	if err == nil && !e.Value.HasIdentity(provider, subject) {
		return User{}, absent("the identity was unlinked", noUser)
	}
	return e.Value, storeFault("user by identity", err, noUser)
}

// Users returns a page of up to limit (1 to 1,000) users of a pool and the cursor of the next page, "" at the end.
//
// index is "" for all of them in the order of user names, or name=prefix for those whose value begins with the prefix
// in any case, in the order of values: username, sub, email, phone_number, name, given_name,
// family_name, preferred_username, status (Enabled or Disabled) or cognito:user_status. Of a value
// longer than 256 bytes only the beginning is sorted. A page may be shorter than limit before the end.
//
// A cursor is valid for the pool and the index it came from. Errors: fault.Invalid for an unknown index, a limit or a
// cursor that is not valid.
func (d *Directory) Users(ctx context.Context, poolID, index, after string, limit int) ([]User, string, error) {
	if !validPoolID(poolID) {
		return nil, "", absent("list users: malformed user pool id", noPool)
	}
	name, prefix, _ := strings.Cut(index, "=")
	if index == "" {
		name = defaultIndex
	}
	if !slices.Contains(userIndexes(), name) || !storable(prefix) {
		return nil, "", badRequest(badName)
	}
	return d.search(ctx, poolID, Filter{Name: name, Value: prefix}, after, limit)
}

// UpdateUser reads a user, lets change alter it, and writes it back in one step, again from the start when
// another writer came between; change may be called several times. A change that returns store.ErrUnchanged writes
// nothing. The pool, the sub, the name, the identities and the groups stay as they are, and attributes must
// fit the schema. Errors: fault.NotFound, fault.Invalid, and what change returns.
func (d *Directory) UpdateUser(ctx context.Context, poolID, sub string, change func(*User) error) (User, error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return User{}, err
	}
	if !characters(sub, 1, 128) || !storable(sub) {
		return User{}, absent("user: malformed sub", noUser)
	}
	var stopped error
	e, err := d.changeUser(ctx, p, sub, false, func(u *User) error {
		before := *u
		before.Identities, before.Links = slices.Clone(u.Identities), slices.Clone(u.Links)
		before.Groups, before.Granted, before.Aliases = slices.Clone(u.Groups), slices.Clone(u.Granted), slices.Clone(u.Aliases)
		if stopped = change(u); stopped != nil {
			return stopped
		}
		u.PoolID, u.Sub, u.Username = before.PoolID, before.Sub, before.Username
		u.Identities, u.Links, u.Aliases, u.Past, u.LinkKeys = before.Identities, before.Links, before.Aliases, before.Past, before.LinkKeys
		u.Groups, u.Granted = before.Groups, before.Granted
		u.MergedInto, u.Merged = before.MergedInto, before.Merged
		u.Modified = d.now()
		stopped = attributesFault(sorted(checkValues(p.Schema, u.Attributes)), nil)
		return stopped
	})
	if stopped != nil && !errors.Is(stopped, store.ErrUnchanged) {
		return User{}, stopped
	}
	return e.Value, storeFault("update user", err, noUser)
}

// SignOutUser voids every grant that was made for the user until now: see User.SignedOutAt. Errors: fault.NotFound.
func (d *Directory) SignOutUser(ctx context.Context, poolID, sub string) (User, error) {
	return d.setAccess(ctx, poolID, sub, func(u *User) { u.SignedOutAt = d.Now().UTC() })
}

// EnableUser lets a user sign in, or no longer. Disabling voids every grant as SignOutUser does, so that one that a sign-in is just about to
// make does not come to life when the user is enabled again. Errors: fault.NotFound.
func (d *Directory) EnableUser(ctx context.Context, poolID, sub string, enabled bool) (User, error) {
	return d.setAccess(ctx, poolID, sub, func(u *User) {
		if u.Enabled = enabled; !enabled {
			u.SignedOutAt = d.Now().UTC()
		}
	})
}

// setAccess changes what a user may do and nothing else. Unlike UpdateUser it looks neither at the pool nor at the attributes: whatever is
// wrong with those, a user can be kept out. SignedOutAt is not rounded to milliseconds as the times of the API are: rounded down it
// would leave a grant of the same millisecond standing.
func (d *Directory) setAccess(ctx context.Context, poolID, sub string, change func(*User)) (User, error) {
	u, err := d.User(ctx, poolID, sub)
	if err != nil {
		return User{}, err
	}
	e, err := d.updateUser(ctx, u.PoolID, u.Sub, func(u *User) error {
		change(u)
		u.Modified = d.now()
		return nil
	})
	return e.Value, storeFault("change a user's access", err, noUser)
}

// SetEmailVerified says of a user's address whether mail to it is known to arrive, as a provider reported, if it is still that address, in any
// case, in the step that writes. It returns whether anything changed. Errors: fault.NotFound.
func (d *Directory) SetEmailVerified(ctx context.Context, poolID, sub, provider, email string, verified bool) (changed bool, err error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return false, err
	}
	u, err := d.User(ctx, poolID, sub)
	if err != nil {
		return false, err
	}
	value := strconv.FormatBool(verified)
	_, err = d.changeUser(ctx, p, u.Sub, false, func(u *User) error {
		has := u.Attributes["email"]
		if changed = has != "" && FoldEmail(has) == FoldEmail(email) && u.Attributes["email_verified"] != value; !changed {
			return store.ErrUnchanged
		}
		u.Attributes["email_verified"], u.Modified = value, d.now()
		u.setSources([]string{"email_verified"}, func(string) ValueSource { return ValueSource{Kind: FromNotice, Provider: provider, At: u.Modified} })
		return nil
	})
	return changed && err == nil, storeFault("change whether an address is verified", err, noUser)
}
