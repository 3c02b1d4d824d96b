package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Job is what one node does at a time, under the lease of its name.
type Job struct {
	Name  string
	Every time.Duration // from begin to begin
	// Limit ends the context of one run, so that a run that hangs does not keep the next ones away.
	Limit time.Duration
	// Do is one run. Its context ends before the lease does, with ErrLost as its cause, and Guard refuses its writes from then on. It returns
	// when its context ends; until it does, no other run begins on this node. It is called at once where the lease is taken: the node before may have
	// died in the middle of one, so a run begins with what it finds and not where the last one ended.
	Do func(ctx context.Context) error
}

// Run waits for the lease of the job and does the job as long as it holds it, until ctx ends. It survives a store that is away and a
// job that fails or panics. The lease is given back when ctx ends, after the run under way has. One call for each name on a node.
func (l *Leases) Run(ctx context.Context, j Job) {
	var last seen
	failing := false
	for ctx.Err() == nil {
		h, err := l.take(ctx, j.Name, &last)
		if (err != nil) != failing && ctx.Err() == nil {
			if failing = err != nil; failing { // said once, not every two seconds
				l.Logger.LogAttrs(ctx, slog.LevelWarn, "leases cannot be looked at", slog.String("lease", j.Name), slog.String("error", err.Error()))
			} else {
				l.Logger.LogAttrs(ctx, slog.LevelInfo, "leases can be looked at again", slog.String("lease", j.Name))
			}
		}
		if h != nil {
			l.hold(ctx, h, j)
		}
		_ = store.Pause(ctx, Look) // the loop looks at ctx itself
	}
	l.release(ctx, j.Name)
}

// hold does the job until the lease is lost or ctx ends.
func (l *Leases) hold(ctx context.Context, h *Held, j Job) {
	l.said(ctx, h, true, nil)
	held, end := context.WithCancelCause(context.WithValue(ctx, heldKey{}, h))
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		l.keep(held, h, end)
	}()
	l.work(held, j)
	<-kept
	end(nil)
	cause := context.Cause(held)
	if !errors.Is(cause, ErrLost) {
		cause = nil // it is given back
	}
	l.said(context.WithoutCancel(ctx), h, false, cause)
}

// keep renews h until ctx ends, and ends it with ErrLost before the lease runs out: by a timer of its own, which waits for no store.
func (l *Leases) keep(ctx context.Context, h *Held, end context.CancelCauseFunc) {
	var last error
	dog := time.AfterFunc(h.left(), func() { end(fmt.Errorf("%w: it could not be renewed in time", ErrLost)) })
	defer dog.Stop()
	for next := Renew; ; {
		_ = store.Pause(ctx, next) // the loop looks at ctx itself
		if ctx.Err() != nil {
			return
		}
		if h.left() <= 0 { // this process, or the machine, was stopped for a while
			end(fmt.Errorf("%w: time ran out: %w", ErrLost, errors.Join(last, context.DeadlineExceeded)))
			return
		}
		switch last = l.renew(ctx, h); {
		case last == nil:
			dog.Reset(h.left())
			next = Renew
		case errors.Is(last, ErrLost):
			end(last)
			return
		default:
			next = Retry
		}
	}
}

// work does the job again and again until ctx ends.
func (l *Leases) work(ctx context.Context, j Job) {
	tick := time.NewTicker(j.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := once(ctx, j); err != nil && ctx.Err() == nil {
			l.Logger.LogAttrs(ctx, slog.LevelError, "maintenance failed", slog.String("what", j.Name), slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// once is one run. A panic in it is an error: the process has people to sign in, and the next run may do better.
func once(ctx context.Context, j Job) (err error) {
	ctx, cancel := context.WithTimeout(ctx, j.Limit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return j.Do(ctx)
}
