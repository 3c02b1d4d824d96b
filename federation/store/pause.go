package store

import (
	"context"
	"time"
)

// Pause waits between two attempts of something that another writer stands in the way of. It ends early with ctx, and returns its error then.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
