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

// Names besides the user name that lead to a local user: e-mail address, phone number and preferred_username, as the pool's
// UsernameAttributes and AliasAttributes say. Each is held by one local user of the pool, in any case, as user names are.
// Users of identity providers hold none: what a provider says of a person is no name to sign in with here.
//
// Which of the attributes are names stands in the user's document (User.Aliases), because a document's unique values follow from it alone.

// What a refusal is about, for whoever has to tell it apart: errors.Is.
var (
	ErrUsernameExists = errors.New("the user name is taken")
	ErrAliasExists    = errors.New("the alias is taken")
	// ErrNoUser comes with every fault.NotFound that is about a user, and not about the pool.
	ErrNoUser = errors.New("no such user")
)

const attrPreferred = "preferred_username"

var aliasAttributes = []string{"email", "phone_number", attrPreferred}

// flagOf is the attribute that says whether another one has been verified.
var flagOf = map[string]string{"email": "email_verified", "phone_number": "phone_number_verified"}

func aliasKey(poolID, value string) string { return bounded('a', poolID, FoldEmail(value)) }

// local reports whether the user is one of the pool's own, and not made by a sign-in through a provider.
func (u User) local() bool { return u.Status != StatusExternalProvider }

// claims says which values that are new may become names.
type claims int

const (
	claimNone     claims = iota // those that are kept only
	claimVerified               // verified addresses and numbers: all that a provider's word can do
	claimAll                    // whatever the pool's settings make a name
)

// settleAliases brings User.Aliases up to date with what changed from before to u. What did not change stays as it is, also where somebody
// else holds the value: an unrelated change must not fail on that. Claims of values that people are linked by end with the values.
func (p Pool) settleAliases(before User, u *User, may claims) {
	settleLinkKeys(before, u)
	if !u.local() {
		u.Aliases = nil
		return
	}
	var out []string
	for _, name := range aliasAttributes {
		had := slices.Contains(before.Aliases, name)
		same := foldIndexed(name, before.Attributes[name]) == foldIndexed(name, u.Attributes[name])
		switch verified := u.Attributes[flagOf[name]]; {
		case u.Attributes[name] == "":
		case same && before.Attributes[flagOf[name]] == verified:
			if had {
				out = append(out, name)
			}
		case may.allow(verified == "true", same && had) && p.isAlias(name, verified == "true", had):
			out = append(out, name)
		}
	}
	u.Aliases = out
}

// allow reports whether a value may be a name; kept says that it was one before.
func (c claims) allow(verified, kept bool) bool {
	return kept || c == claimAll || c == claimVerified && verified
}

// isAlias reports whether the attribute, which has a value, is a name of its user. One that users sign up with is so from the start, the
// other ones when they are verified: before that anybody could put somebody else's address there.
func (p Pool) isAlias(name string, verified, had bool) bool {
	if slices.Contains(p.UsernameAttributes, name) {
		return had || verified
	}
	return slices.Contains(p.AliasAttributes, name) && (verified || name == attrPreferred)
}

// changeUser is Kind.Update with the aliases brought up to date. Without claim, a name that somebody else holds stays theirs;
// otherwise that is ErrAliasExists.
func (d *Directory) changeUser(ctx context.Context, p Pool, sub string, claim bool, change func(*User) error) (store.Entry[User], error) {
	e, err := d.changeAliases(ctx, p, sub, claimAll, change)
	if !claim && errors.Is(err, store.ErrTaken) {
		e, err = d.changeAliases(ctx, p, sub, claimNone, change)
	}
	if errors.Is(err, store.ErrTaken) {
		return e, aliasFault(e.Value.Aliases, ErrAliasExists, err)
	}
	return e, err
}

func (d *Directory) changeAliases(ctx context.Context, p Pool, sub string, may claims, change func(*User) error) (store.Entry[User], error) {
	return d.updateUser(ctx, p.ID, sub, func(u *User) error {
		before := *u
		before.Attributes = maps.Clone(u.Attributes)
		if err := change(u); err != nil {
			return err
		}
		p.settleAliases(before, u, may)
		return nil
	})
}

// aliasFault says which kind of name is taken, as far as it is sure.
func aliasFault(aliases []string, sentinel, cause error) error {
	what := "alias"
	if len(aliases) == 1 {
		what = map[string]string{"email": "email", "phone_number": "phone_number", attrPreferred: "preferred_username"}[aliases[0]]
	}
	return fault.New(fault.Conflict, "An account with the given "+what+" already exists.", fmt.Errorf("%w: %w", sentinel, cause))
}

// moveAliases takes from others what u is to have: the verified addresses and numbers. Whoever had one keeps the attribute, not verified any
// more, as in the original (ForceAliasCreation of AdminCreateUserRequest).
func (d *Directory) moveAliases(ctx context.Context, p Pool, u User) error {
	for _, name := range u.Aliases {
		flag := flagOf[name]
		if flag == "" {
			continue
		}
		holder, err := d.users().GetBy(ctx, aliasKey(p.ID, u.Attributes[name]))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return storeFault("holder of an alias", err, noUser)
		}
		_, err = d.changeUser(ctx, p, holder.Value.Sub, false, func(h *User) error {
			if !slices.Contains(h.Aliases, name) || foldIndexed(name, h.Attributes[name]) != foldIndexed(name, u.Attributes[name]) {
				return store.ErrUnchanged
			}
			h.Attributes[flag], h.Modified = "false", d.now()
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return storeFault("move an alias", err, noUser)
		}
	}
	return nil
}

// FindUser returns the user that a name leads to: a user name in any case, else a sub, else an alias in any case. People choose aliases themselves,
// so those come last. The names of a merged user lead to the destination. Errors: fault.NotFound with ErrNoUser.
func (d *Directory) FindUser(ctx context.Context, poolID, name string) (User, error) {
	e, err := d.document(ctx, poolID, name)
	if err != nil {
		return User{}, err
	}
	e, err = d.lead(ctx, e)
	return e.Value, storeFault("find user", err, noUser)
}
