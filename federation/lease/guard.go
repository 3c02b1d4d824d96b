package lease

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Held is a lease that this node took.
type Held struct {
	now     func() time.Time
	doc     document
	stored  store.Entry[document]     // as the last good write left it; of one goroutine
	renewed atomic.Pointer[time.Time] // when the last good write was sent
}

// left is how long this node may still act as the holder. Both readings of the clock count, whichever has gone on further: the monotonic one
// stands still while a machine sleeps, and the other one can be set back.
func (h *Held) left() time.Duration {
	now, renewed := h.now(), *h.renewed.Load()
	return Life - Margin - max(now.Sub(renewed), now.Round(0).Sub(renewed.Round(0)))
}

type heldKey struct{}

func holding(ctx context.Context) error {
	if h, ok := ctx.Value(heldKey{}).(*Held); ok && h.left() <= 0 {
		return ErrLost
	}
	return nil
}

// Fence returns the fencing number under which a job runs: larger than that of every earlier holder of the lease. It is 0 outside of jobs.
func Fence(ctx context.Context) uint64 {
	if h, ok := ctx.Value(heldKey{}).(*Held); ok {
		return h.doc.Fence
	}
	return 0
}

// Guard is an engine that refuses with ErrLost what a job writes when its lease may be over, as in a process that was stopped
// in the middle of the job and went on later, when timers have not gone off yet. It looks at the clock alone, and of other callers takes no notice.
// All of a process's parts share it, so that no job has to know.
type Guard struct{ store.Engine }

// Put implements store.Engine.
func (g Guard) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if err := holding(ctx); err != nil {
		return 0, err
	}
	return g.Engine.Put(ctx, kind, d)
}

// Take implements store.Engine.
func (g Guard) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	if err := holding(ctx); err != nil {
		return store.Doc{}, err
	}
	return g.Engine.Take(ctx, kind, key)
}

// Delete implements store.Engine.
func (g Guard) Delete(ctx context.Context, kind, key string) error {
	if err := holding(ctx); err != nil {
		return err
	}
	return g.Engine.Delete(ctx, kind, key)
}

// Sweep implements store.Engine.
func (g Guard) Sweep(ctx context.Context, before time.Time) (int, error) {
	if err := holding(ctx); err != nil {
		return 0, err
	}
	return g.Engine.Sweep(ctx, before)
}
