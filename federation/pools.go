package federation

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation/pool"
)

// DeletePool removes a pool for good with everything that is kept for it, unless it is protected or has a domain. From the first
// write on the pool does not exist for anybody; a deletion that was cut short is finished by a second call, or by FinishDeletions.
// Upstream tokens are forgotten here and not revoked at the provider. Requests for deletion are done with it, and can be looked up for as
// long as they live (package erasure). Errors: fault.Invalid, fault.NotFound. It is what DeleteUserPool of the API model does.
//
// A pool of many users takes longer than a request may. If ctx ends on the way that is no error: nobody can see the pool any more,
// and FinishDeletions goes on.
func (b *Broker) DeletePool(ctx context.Context, poolID string) error {
	err := b.Directory.DeleteProtected(ctx, poolID, b.forget())
	if errors.Is(err, pool.ErrUnfinished) && ctx.Err() != nil {
		return nil
	}
	return err
}

// FinishDeletions finishes deletions of pools that were cut short, and returns how many there were.
func (b *Broker) FinishDeletions(ctx context.Context) (int, error) {
	return b.Directory.FinishDeletions(ctx, b.forget())
}

// forget removes what other packages than pool keep for one. Grants go first: they are what gives something.
func (b *Broker) forget() func(ctx context.Context, poolID string) error {
	return func(ctx context.Context, poolID string) error {
		all := []func(context.Context, string) error{b.Grants.DeletePool, b.Upstream.DeletePool, b.Once.DeletePool, b.Erasures.DonePool}
		if b.Assertions != nil {
			all = append(all, b.Assertions.DeletePool)
		}
		for _, f := range append(all, b.Forget...) {
			if err := f(ctx, poolID); err != nil {
				return err
			}
		}
		return nil
	}
}
