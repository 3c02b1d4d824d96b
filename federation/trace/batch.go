package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Traces of sign-ins that succeeded.
//
// They are many, and the person is not to wait for them: so a trace goes into a queue in memory, and a writer puts many into one sealed
// document. What a process that dies had in its queue is lost, a second's worth at the most.
//
//   - Memory. The queue has 1,024 places for traces of 8 KB at most. Where the store is too slow for them, further ones are dropped and counted.
//   - Number. Each trace takes the next slot in turn, of Traces.SignIns in all; a document has the number of its first one, and what else
//     stands between that and its last one is removed. So there are never more than that many and one document's besides. The slots are the
//     successes' own: they push out no failure, and failures push out none of them.
//   - Age. Seven days, like failures. A success costs its maker a sign-in at a provider, so it has no rate.

const (
	batchKind = "trace_batch"
	batchMost = 64 // traces in one document
	// batchBlock is how many slots a process takes with one write.
	batchBlock = 256
	batchWait  = time.Second // for company
	queueMost  = 1024
	maxRounds  = 8
	// batchTime bounds the writing of one document.
	batchTime = 10 * time.Second
	// laneDone is the lane's name in the documents that say which slots were given out.
	laneDone = "done"
)

// What Traces.SignIns may be.
const (
	MostSignIns    = 1_000_000
	DefaultSignIns = 20_000
)

// Watch hears what became of traces of sign-ins that succeeded.
type Watch interface {
	Traces(kept, dropped int)
}

// batch is several traces in one document, the oldest first.
type batch struct {
	Slot   uint64  `json:"slot"` // of the first
	Traces []Trace `json:"traces"`
}

// queue is what waits for the writer.
type queue struct {
	mu      sync.Mutex
	waiting []Trace
	wake    chan struct{} // of Run
	writing sync.Mutex
	slots   span // that are this process's; guarded by writing
}

func (s *Traces) batches() *store.Kind[batch] {
	return &store.Kind[batch]{Engine: s.Engine, Name: batchKind, Ring: s.Ring, KeysOf: func(v *batch) store.Keys {
		return store.Keys{Key: batchKey(v.Slot), Expires: v.Traces[len(v.Traces)-1].At.Add(Life), Index: index(v.Traces, false)}
	}}
}

func batchKey(slot uint64) string { return fmt.Sprintf("%s/%07d", laneDone, slot) }

// Finished keeps a trace of a sign-in that succeeded, with the steps of ctx: see Failure for what the caller fills in. It does not wait and has no error.
func (s *Traces) Finished(ctx context.Context, t Trace) {
	if s == nil || s.SignIns <= 0 {
		return
	}
	t.Outcome, t.At = Succeeded, s.Now().UTC()
	From(ctx).tell(&t)
	t.fit()
	q := &s.queue
	q.mu.Lock()
	full := len(q.waiting) >= queueMost
	if !full {
		q.waiting = append(q.waiting, t)
	}
	n, wake := len(q.waiting), q.wake
	q.mu.Unlock()
	if full {
		s.count(0, 1)
	}
	if wake != nil && (n == 1 || n == batchMost) {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (s *Traces) count(kept, dropped int) {
	if s.Watch != nil {
		s.Watch.Traces(kept, dropped)
	}
}

// Run writes what Finished is given until ctx ends, and then what is left. One call for each Traces.
func (s *Traces) Run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	s.queue.mu.Lock()
	s.queue.wake = wake
	s.queue.mu.Unlock()
	for {
		s.Flush(ctx) // also what came before wake was there
		select {
		case <-ctx.Done():
			s.Flush(ctx)
			return
		case <-wake:
		}
		company, cancel := context.WithTimeout(ctx, batchWait)
		for s.waiting() < batchMost && company.Err() == nil {
			select {
			case <-company.Done():
			case <-wake:
			}
		}
		cancel()
	}
}

func (s *Traces) waiting() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return len(s.queue.waiting)
}

// Flush writes what waits, whether ctx has ended or not. What cannot be written is dropped and counted.
func (s *Traces) Flush(ctx context.Context) {
	if s == nil || s.SignIns <= 0 {
		return
	}
	s.queue.writing.Lock()
	defer s.queue.writing.Unlock()
	ending := ctx
	ctx = context.WithoutCancel(ctx)
	for failed := false; ; {
		s.queue.mu.Lock()
		n := min(len(s.queue.waiting), batchMost, s.SignIns)
		some := slices.Clone(s.queue.waiting[:n])
		rest := copy(s.queue.waiting, s.queue.waiting[n:])
		clear(s.queue.waiting[rest:])
		s.queue.waiting = s.queue.waiting[:rest]
		s.queue.mu.Unlock()
		if n == 0 {
			return
		}
		if failed && ending.Err() != nil { // whoever ends a process does not wait for a store that hangs
			s.count(0, n)
			continue
		}
		if err := s.write(ctx, some); err != nil {
			failed = true
			s.count(0, n)
			s.Logger.LogAttrs(ctx, slog.LevelWarn, "traces of sign-ins were not kept", slog.Int("traces", n), slog.String("error", err.Error()))
			continue
		}
		s.count(n, 0)
	}
}

// write puts traces into the next slots and removes what they take the place of.
func (s *Traces) write(ctx context.Context, some []Trace) error {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	n, err := s.several(ctx, len(some))
	if err != nil {
		return fmt.Errorf("take slots for traces: %w", err)
	}
	v := batch{Traces: some, Slot: n}
	for range maxRounds {
		// Not by the kind: what is there is overwritten, whether it can be opened or not.
		old, gerr := s.Engine.Get(ctx, batchKind, batchKey(n))
		if gerr != nil && !errors.Is(gerr, store.ErrNotFound) {
			return fmt.Errorf("look at slots for traces: %w", gerr)
		}
		if _, err = s.batches().Put(ctx, &v, old.Version); !errors.Is(err, store.ErrConflict) {
			break // else somebody has just taken a user out of it
		}
	}
	if err != nil {
		return fmt.Errorf("keep traces: %w", err)
	}
	for last := batchKey(n + uint64(len(some)) - 1); len(some) > 1; {
		docs, err := s.Engine.List(ctx, batchKind, "", batchKey(n), 1)
		if err != nil || len(docs) == 0 || docs[0].Key > last {
			return err
		}
		if err := s.Engine.Delete(ctx, batchKind, docs[0].Key); err != nil {
			return err
		}
	}
	return nil
}

// several returns the first of so many slots that follow on each other and are nobody else's, on whichever node. It is for the holder of
// queue.writing.
func (s *Traces) several(ctx context.Context, many int) (uint64, error) {
	most, want, slots := uint64(s.SignIns), uint64(many), &s.queue.slots //nolint:gosec // both are above 0
	for {
		if at := slots.next % most; at+want > most { // they do not go round the end
			slots.next += most - at
		}
		if slots.next+want <= slots.end {
			n := slots.next
			slots.next += want
			return n % most, nil
		}
		end, err := s.advance(ctx, laneDone, batchBlock)
		if err != nil {
			return 0, err
		}
		if start := end - batchBlock; start != slots.end { // else they follow on those that are left
			slots.next = start
		}
		slots.end = end
	}
}
