package federation

import (
	"context"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/upstream"
)

// LinkProvider lets an identity of a provider sign in as an existing user: see Directory.LinkProvider for what that trusts, and for the errors.
// by says on whose word, for the audit stream. It is what AdminLinkProviderForUser does.
func (b *Broker) LinkProvider(ctx context.Context, poolID, name string, src pool.Source, by string) (pool.User, error) {
	u, l, err := b.Directory.LinkProvider(ctx, poolID, name, src)
	if err != nil {
		return pool.User{}, err
	}
	b.Audit.Record(ctx, audit.IdentityLinked{Pool: poolID, Sub: u.Sub, Provider: src.Provider, Claim: l.Claim, By: by})
	return u, nil
}

// UnlinkProvider keeps an identity from signing in as the user it signed in as until now, ends what its sign-ins gave and drops what is kept of
// its tokens, there too. Who signs in with it again is a new user. The identity that a user was made from, and the account of a
// local user, cannot be taken away from themselves: the user is disabled, as SetEnabled does. Where a user who was made from it was merged into another
// one, the merge is undone, as UnmergeUser does, and the identity is that user's again. It returns how many grants ended.
// Errors: those of Directory.UnlinkProvider. It is what AdminDisableProviderForUser does.
//
// The user's document is written first: from then on every check refuses grants of that identity, so that one which a sign-in is just about to
// write is void as well.
func (b *Broker) UnlinkProvider(ctx context.Context, poolID string, src pool.Source, by string) (grants int, err error) {
	done, err := b.Directory.UnlinkProvider(ctx, poolID, src)
	if err != nil {
		return 0, err
	}
	if done.Own {
		return b.SetEnabled(ctx, poolID, done.User.Sub, false, by)
	}
	if done.Merged != "" {
		m, err := b.UnmergeUser(ctx, poolID, done.Merged, by, false)
		return m.Grants, err
	}
	if done.Subject != "" {
		if grants, err = b.Grants.EndIdentity(ctx, poolID, done.User.Sub, src.Provider, done.Subject); err != nil {
			return grants, err
		}
		if err := b.drop(ctx, upstream.Kept{PoolID: poolID, Sub: done.User.Sub, Provider: src.Provider, Subject: done.Subject}); err != nil {
			return grants, err
		}
	}
	b.Audit.Record(ctx, audit.IdentityUnlinked{Pool: poolID, Sub: done.User.Sub, Provider: src.Provider, Claim: done.Claim, By: by, Grants: grants})
	return grants, nil
}
