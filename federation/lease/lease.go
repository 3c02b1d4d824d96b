// Package lease lets one node of several do a thing at a time.
//
// It owns named leases in the store: who holds one, since when, and the fencing number that counts its holders. What is done under
// a lease, and what would happen if two did it, is the caller's to know: see Guard for what the lease itself does about it.
//
// # What is assumed, and what is not
//
// Nothing is assumed of the time of day: nodes may disagree about it by any amount. No node compares a time that another one wrote. A holder renews its lease by
// a compare-and-swap, and another node takes the lease over when it has seen the same version of it for Life by its own clock. The holder
// measures Life from before its last good renewal was sent, which is before anybody can have seen it. So the holder stops first, as long as the clocks run
// at the same pace to a fifth (Margin of Life).
//
// A process that was stopped and goes on later finds out at its next write at the latest: see Guard. What it had handed to the network
// before cannot be called back. Jobs are therefore written so that such a write does no harm: by compare-and-swap, or by saying the same again.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// Times of a lease. A node that dies is followed by another within Life and two Looks, some 20 seconds.
const (
	Life   = 15 * time.Second // of a lease that is not renewed
	Margin = 3 * time.Second  // before its end the holder stops
	Renew  = 4 * time.Second  // between renewals
	Retry  = time.Second      // after a renewal that failed
	Look   = 2 * time.Second  // between two looks of a node that waits
)

// releaseTime bounds the last write of an orderly end.
const releaseTime = 2 * time.Second

// ErrLost: the lease has run out, or is another node's. It is a fault, because a request may have been waiting for the same answer as a job.
var ErrLost error = fault.New(fault.Unavailable, "The service is busy. Try again.", errors.New("lease: not held any more"))

// Watch is told when this node begins and ceases to hold a lease.
type Watch interface {
	Lease(name string, held bool)
}

// Leases are those of one node.
type Leases struct {
	Engine store.Engine
	// Node names this process: random, and never the same again after a restart.
	Node string
	// Now should have a monotonic reading, as time.Now has. With one, neither a clock that is set back nor a machine that slept is taken in.
	Now    func() time.Time
	Logger *slog.Logger
	Watch  Watch // nil: nobody
}

// Kind is the kind of the documents in the store. While a node lives, one of them is written within Life and two Looks.
const Kind = "lease"

// document is a lease. It does not expire, so that Fence and the version never begin again.
type document struct {
	Name  string `json:"name"`
	Owner string `json:"owner,omitempty"` // a node; "" where it was given back
	Fence uint64 `json:"fence"`           // counts the holders
}

func (l *Leases) kind() *store.Kind[document] {
	return &store.Kind[document]{Engine: l.Engine, Name: Kind, KeysOf: func(d *document) store.Keys { return store.Keys{Key: d.Name} }}
}

// seen is what a waiting node saw last.
type seen struct {
	version uint64
	since   time.Time
}

// take makes this node the holder if the lease is free: nobody has it, its holder gave it back or was not heard of for Life,
// or it was this node's, whose work under it has ended. It returns nil where it is not.
func (l *Leases) take(ctx context.Context, name string, last *seen) (*Held, error) {
	ctx, cancel := context.WithTimeout(ctx, Renew)
	defer cancel()
	now := l.Now()
	e, err := l.kind().Get(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		e.Value.Name = name
	case err != nil:
		return nil, fmt.Errorf("look at lease %s: %w", name, err)
	case e.Version != last.version || last.since.IsZero():
		*last = seen{e.Version, l.Now()} // after the answer: the renewal was before
	}
	d := e.Value
	if d.Owner != "" && d.Owner != l.Node && now.Sub(last.since) < Life {
		return nil, nil
	}
	d.Owner, d.Fence = l.Node, d.Fence+1
	begun := l.Now()
	e, err = l.kind().Replace(ctx, e, &d)
	switch {
	case errors.Is(err, store.ErrConflict): // another node was faster, or its holder lives
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("take lease %s: %w", name, err)
	}
	h := &Held{now: l.Now, doc: d, stored: e}
	h.renewed.Store(&begun)
	return h, nil
}

// renew prolongs h. Errors: ErrLost where another node has it, or the lease is gone; every other one may pass.
func (l *Leases) renew(ctx context.Context, h *Held) error {
	ctx, cancel := context.WithTimeout(ctx, min(Renew, max(h.left(), 0)))
	defer cancel()
	begun := l.Now()
	e, err := l.kind().Replace(ctx, h.stored, &h.doc)
	if errors.Is(err, store.ErrConflict) {
		return l.reread(ctx, h, begun)
	}
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", h.doc.Name, err)
	}
	h.stored = e
	h.renewed.Store(&begun)
	return nil
}

// reread finds out who won a conflict: it may have been an earlier renewal of this node, whose answer was lost.
func (l *Leases) reread(ctx context.Context, h *Held, begun time.Time) error {
	e, err := l.kind().Get(ctx, h.doc.Name)
	switch {
	case err == nil && e.Value == h.doc: // the same owner under the same fencing number
		h.stored = e
		e, err := l.kind().Replace(ctx, e, &h.doc)
		if err != nil {
			return fmt.Errorf("renew lease %s: %w", h.doc.Name, err)
		}
		h.stored = e
		h.renewed.Store(&begun)
		return nil
	case err == nil, errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("lease %s: %w", h.doc.Name, ErrLost)
	}
	return fmt.Errorf("renew lease %s: %w", h.doc.Name, err)
}

// release gives the lease back if it is this node's, so that the next one need not wait. It reads first, because the answer of the last write may have been lost
// with the context that ended. Nobody minds if it fails.
func (l *Leases) release(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	e, err := l.kind().Get(ctx, name)
	if err == nil && e.Value.Owner == l.Node {
		e.Value.Owner = ""
		_, err = l.kind().Replace(ctx, e, &e.Value)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		l.Logger.LogAttrs(ctx, slog.LevelInfo, "a lease was not given back and runs out by itself",
			slog.String("lease", name), slog.String("error", err.Error()))
	}
}

// said logs, and tells Watch.
func (l *Leases) said(ctx context.Context, h *Held, held bool, why error) {
	if l.Watch != nil {
		l.Watch.Lease(h.doc.Name, held)
	}
	attrs := []slog.Attr{slog.String("lease", h.doc.Name), slog.String("node", l.Node), slog.Uint64("fence", h.doc.Fence)}
	switch {
	case held:
		l.Logger.LogAttrs(ctx, slog.LevelInfo, "lease taken", attrs...)
	case why == nil:
		l.Logger.LogAttrs(ctx, slog.LevelInfo, "lease given back", attrs...)
	default:
		l.Logger.LogAttrs(ctx, slog.LevelWarn, "lease lost", append(attrs, slog.String("error", why.Error()))...)
	}
}
