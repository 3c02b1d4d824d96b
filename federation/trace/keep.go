package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	kindName = "trace"
	turnName = "trace_turn"

	// writeTime bounds what a trace may cost the person who waits for an answer.
	writeTime = 500 * time.Millisecond
	// block is how many slots a process takes of a lane with one write. Of those of a process that ends some stay as they are.
	block = 32
)

// ErrUnknown: there is no trace of that reference.
var ErrUnknown = errors.New("no such trace: traces are kept for 7 days, and a bounded number of them; of a flood of failures most are left out, " +
	"a request that was refused before a sign-in began leaves none, and those of a user go with the user. The log has every reference, as request_id")

// Traces keeps traces in the store, sealed. It is safe for concurrent use, on several nodes too, and must not be copied.
type Traces struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time
	Logger *slog.Logger
	// SignIns is how many traces of sign-ins that succeeded are kept, up to MostSignIns; 0 is none.
	SignIns int
	Watch   Watch // of those; nil is nobody

	queue  queue
	limits limits
	mu     sync.Mutex
	blocks map[string]*span // by lane
	flight singleflight.Group
}

// span is what is left of a block.
type span struct{ next, end uint64 }

// Failure is a sign-in or sign-out that failed. Of the Trace the caller fills in what is not said here: reference, kind, ids, request, and in
// Shown where the person is and with which OAuth error.
type Failure struct {
	Trace
	Err error
	// Address is where the request came from; it is for the rate alone and is not kept.
	Address string
	// Ours: the request carried something that we had sealed for this sign-in or session, or was checked against its client.
	Ours bool
}

// stored is a trace in its slot.
type stored struct {
	Trace
	slot string
}

// turn is how many slots of a lane were ever given out.
type turn struct {
	Lane string `json:"lane"`
	Next uint64 `json:"next"`
}

func (s *Traces) kind() *store.Kind[stored] {
	return &store.Kind[stored]{Engine: s.Engine, Name: kindName, Ring: s.Ring, KeysOf: func(v *stored) store.Keys {
		return store.Keys{Key: v.slot, Unique: []string{v.Reference}, Expires: v.At.Add(Life), Index: index([]Trace{v.Trace}, true)}
	}}
}

func (s *Traces) turns() *store.Kind[turn] {
	return &store.Kind[turn]{Engine: s.Engine, Name: turnName, KeysOf: func(v *turn) store.Keys { return store.Keys{Key: v.Lane} }}
}

// Record keeps a trace of a failure, unless the bounds say otherwise. The first of a reference counts. It takes half a second at most, does not
// end with the request, whose person may have gone away, and has no error: what fails here must not change an answer, so it is logged.
func (s *Traces) Record(ctx context.Context, f Failure) {
	in := strange
	if f.Ours {
		in = ours
	}
	now := s.Now().UTC()
	omitted, ok := s.limits.admit(in, f.Address, now)
	if !ok {
		return
	}
	t := f.Trace
	t.Outcome, t.At, t.Omitted = Failed, now, omitted
	t.explain(f.Err)
	From(ctx).tell(&t)
	t.fit()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	if err := s.put(ctx, in, t); err != nil && !errors.Is(err, store.ErrTaken) {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "no trace of a failure was kept", slog.String("reference", t.Reference), slog.String("error", err.Error()))
	}
}

func (s *Traces) put(ctx context.Context, in lane, t Trace) error {
	n, err := s.next(ctx, in)
	if err != nil {
		return fmt.Errorf("take a slot for a trace: %w", err)
	}
	v := stored{Trace: t, slot: fmt.Sprintf("%s/%05d", in.name, n%in.slots)}
	// Not by the kind: what is there is overwritten, whether it can be opened or not.
	old, err := s.Engine.Get(ctx, kindName, v.slot)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look at a slot for a trace: %w", err)
	}
	if _, err := s.kind().Put(ctx, &v, old.Version); err != nil {
		return fmt.Errorf("keep a trace: %w", err)
	}
	return nil
}

// next returns the number of the lane's next slot. No other caller gets the same, on whichever node.
func (s *Traces) next(ctx context.Context, in lane) (uint64, error) {
	for {
		if n, ok := s.take(in, false); ok {
			return n, nil
		}
		done := s.flight.DoChan(in.name, func() (any, error) {
			if _, ok := s.take(in, true); ok {
				return nil, nil // the flight before this one brought some
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
			defer cancel()
			return nil, s.reserve(ctx, in)
		})
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case res := <-done:
			if res.Err != nil {
				return 0, res.Err
			}
		}
	}
}

// take returns the next number of this process's block, if there is one. only looks.
func (s *Traces) take(in lane, only bool) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blocks[in.name]
	if b == nil || b.next == b.end {
		return 0, false
	}
	n := b.next
	if !only {
		b.next++
	}
	return n, true
}

// reserve takes the next block of a lane: one write for as many traces.
func (s *Traces) reserve(ctx context.Context, in lane) error {
	end, err := s.advance(ctx, in.name, block)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks == nil {
		s.blocks = map[string]*span{}
	}
	s.blocks[in.name] = &span{next: end - block, end: end}
	return nil
}

// advance takes so many slots of a lane and returns the number behind the last one.
func (s *Traces) advance(ctx context.Context, lane string, by uint64) (uint64, error) {
	again := func() (uint64, error) {
		e, err := s.turns().Update(ctx, lane, func(v *turn) error {
			v.Next += by
			return nil
		})
		return e.Value.Next, err
	}
	end, err := again()
	if errors.Is(err, store.ErrNotFound) {
		end = by
		if _, err = s.turns().Put(ctx, &turn{Lane: lane, Next: by}, 0); errors.Is(err, store.ErrConflict) {
			end, err = again() // another node was first
		}
	}
	return end, err
}
