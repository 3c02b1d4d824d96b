package federation

import (
	"context"
	"fmt"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/upstream"
)

// What an administrator, and a person themselves, can do about an account. Each of these writes the user's state first: from then on every
// check refuses what the user has, so that whatever comes after may be cut short and be repeated. by says on whose word, for the audit
// stream.

// SignOutEverywhere ends all that a user's sign-ins until now gave: sessions, codes and refresh tokens, access tokens where they are looked
// up, and the tokens that are kept of providers, there too. It returns how many grants ended. Errors: fault.NotFound. It is what
// AdminUserGlobalSignOut and GlobalSignOut of the API model do.
func (b *Broker) SignOutEverywhere(ctx context.Context, poolID, sub, by string) (grants int, err error) {
	u, err := b.Directory.SignOutUser(ctx, poolID, sub)
	if err != nil {
		return 0, err
	}
	sub = u.Sub // a merged user's leads to the destination
	grants, err = b.end(ctx, poolID, sub)
	if err != nil {
		return grants, err
	}
	b.Audit.Record(ctx, audit.UserSignedOut{Pool: poolID, Sub: sub, Grants: grants, By: by})
	return grants, nil
}

// end ends a user's grants and sessions and drops what is kept of providers.
func (b *Broker) end(ctx context.Context, poolID, sub string) (int, error) {
	grants, err := b.Grants.EndUser(ctx, poolID, sub)
	if err != nil {
		return grants, err
	}
	if err := b.dropAll(ctx, poolID, sub); err != nil {
		return grants, fmt.Errorf("drop upstream tokens: %w", err)
	}
	return grants, nil
}

// SetEnabled lets a user sign in, or no longer. Disabling ends all that the sign-ins until now gave, and enabling does not bring it back;
// tokens that are kept of providers stay, out of everybody's reach as long as the user is disabled. It returns how many grants ended.
// Errors: fault.NotFound. It is what AdminEnableUser and AdminDisableUser do.
func (b *Broker) SetEnabled(ctx context.Context, poolID, sub string, enabled bool, by string) (grants int, err error) {
	u, err := b.Directory.EnableUser(ctx, poolID, sub, enabled)
	if err != nil {
		return 0, err
	}
	sub = u.Sub
	if enabled {
		b.Audit.Record(ctx, audit.UserEnabled{Pool: poolID, Sub: sub, By: by})
		return 0, nil
	}
	if grants, err = b.Grants.EndUser(ctx, poolID, sub); err != nil {
		return grants, err
	}
	b.Audit.Record(ctx, audit.UserDisabled{Pool: poolID, Sub: sub, Grants: grants, By: by})
	return grants, nil
}

// DeleteUser removes a user for good. The user is disabled first and removed last, with everything that depends on it in between: a process
// that dies on the way leaves somebody whom nothing lets in, and whom a second call finds. Name and identities are free afterwards: who
// signs in with them again is a new user with another sub. Users who were merged into this one go with it, and the name or sub of such a one leads to
// it: all of them are one person. It returns how many grants ended. Errors: fault.NotFound. It is what
// AdminDeleteUser and DeleteUser do.
func (b *Broker) DeleteUser(ctx context.Context, poolID, sub, by string) (grants int, err error) {
	u, err := b.Directory.EnableUser(ctx, poolID, sub, false)
	if err != nil {
		return 0, err
	}
	sub = u.Sub
	if grants, err = b.end(ctx, poolID, sub); err != nil {
		return grants, err
	}
	everybody := []pool.User{u}
	for _, m := range u.Merged { // what a sign-in wrote behind the merge's back
		n, err := b.end(ctx, poolID, m.Sub)
		if grants += n; err != nil {
			return grants, err
		}
		everybody = append(everybody, pool.User{PoolID: poolID, Sub: m.Sub})
	}
	for _, gone := range everybody {
		if b.Assertions != nil {
			if err := b.Assertions.DeleteUser(ctx, gone); err != nil {
				return grants, err
			}
		}
		if err := b.forgetTraces(ctx, gone); err != nil {
			return grants, err
		}
	}
	if err := b.Directory.DeleteUser(ctx, poolID, sub); err != nil {
		return grants, err
	}
	b.Audit.Record(ctx, audit.UserDeleted{Pool: poolID, Sub: sub, Grants: grants, By: by})
	return grants, nil
}

// UserState is what an administrator wants to know of a user's sign-ins.
type UserState struct {
	User   pool.User
	Grants int             // that still give something
	Kept   []upstream.Kept // of providers
}

// UserState returns what there is of a user. Errors: fault.NotFound.
func (b *Broker) UserState(ctx context.Context, poolID, sub string) (UserState, error) {
	u, err := b.Directory.User(ctx, poolID, sub)
	if err != nil {
		return UserState{}, err
	}
	out := UserState{User: u}
	if out.Grants, err = b.Grants.CountUser(ctx, u); err != nil {
		return UserState{}, err
	}
	out.Kept, err = b.Upstream.Of(ctx, poolID, u.Sub)
	return out, err
}
