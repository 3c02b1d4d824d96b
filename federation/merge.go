package federation

import (
	"context"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/upstream"
)

// UserMerge is what merging two users changed, or undoing that, or would change.
type UserMerge struct {
	pool.Merge
	Grants int // that ended, or would end
}

// MergeUsers makes one user of two who are one person: see Directory.MergeUsers for what becomes of both. What the sign-ins as the other one gave until now
// ends, as with SignOutEverywhere: it names the old sub. The tokens that are kept of providers for the other one are dropped and revoked there, and not moved:
// the person's next sign-in brings new ones, and a move that is cut short would leave them with nobody. With dryRun nothing is written.
// Errors: those of Directory.MergeUsers.
//
// The documents are written first: from then on every check refuses what the other one had, so that the rest may be cut short and be repeated.
func (b *Broker) MergeUsers(ctx context.Context, poolID, into, other, by string, dryRun bool) (UserMerge, error) {
	m, err := b.Directory.MergeUsers(ctx, poolID, into, other, by, dryRun)
	out := UserMerge{Merge: m}
	if err != nil {
		return out, err
	}
	if dryRun {
		out.Grants, err = b.Grants.CountUser(ctx, m.Other)
		return out, err
	}
	if out.Grants, err = b.end(ctx, poolID, m.Other.Sub); err != nil {
		return out, err
	}
	if !m.Already || out.Grants > 0 {
		b.Audit.Record(ctx, audit.UsersMerged{Pool: poolID, Sub: m.Into.Sub, Other: m.Other.Sub, By: by, Grants: out.Grants})
	}
	return out, nil
}

// UnmergeUser undoes the merge of the user that other names: see Directory.UnmergeUser. What the sign-ins with the other one's identities gave as the
// destination ends, and the tokens that are kept of their providers are dropped and revoked there. With dryRun nothing is written.
// Errors: those of Directory.UnmergeUser.
func (b *Broker) UnmergeUser(ctx context.Context, poolID, other, by string, dryRun bool) (UserMerge, error) {
	out := UserMerge{}
	clean := func(ctx context.Context, m pool.Merge) (err error) {
		out.Grants, err = b.endMerged(ctx, m, dryRun)
		return err
	}
	var err error
	if out.Merge, err = b.Directory.UnmergeUser(ctx, poolID, other, dryRun, clean); err != nil {
		return out, err
	}
	if dryRun {
		return out, clean(ctx, out.Merge)
	}
	b.Audit.Record(ctx, audit.UserUnmerged{Pool: poolID, Sub: out.Into.Sub, Other: out.Other.Sub, By: by, Grants: out.Grants})
	return out, nil
}

// endMerged ends what sign-ins with the identities of a merged user gave, or counts it, and drops what is kept of their tokens.
func (b *Broker) endMerged(ctx context.Context, m pool.Merge, dryRun bool) (grants int, err error) {
	end := b.Grants.EndIdentity
	if dryRun {
		end = b.Grants.CountIdentity
	}
	for _, id := range m.Identities() {
		n, err := end(ctx, m.Other.PoolID, m.Into.Sub, id.Provider, id.Subject)
		if grants += n; err != nil {
			return grants, err
		}
		if dryRun {
			continue
		}
		if err := b.drop(ctx, upstream.Kept{PoolID: m.Other.PoolID, Sub: m.Into.Sub, Provider: id.Provider, Subject: id.Subject}); err != nil {
			return grants, err
		}
	}
	return grants, nil
}
