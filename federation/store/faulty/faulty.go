// Package faulty is an engine for tests that breaks another one's calls on purpose: what is built on a store has to keep its promises
// when any call of it fails, is late, or happens without an answer.
package faulty

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Fault is what happens to a call.
type Fault uint8

// The faults.
const (
	None   Fault = iota
	Refuse       // the call is not made and fails with store.ErrUnavailable
	Lose         // the call is made, and its answer is lost: store.ErrUnavailable
	Repeat       // the call is made twice and the second answer counts, as when something below sends it again after a lost answer
)

// String names the fault in the messages of tests.
func (f Fault) String() string { return [...]string{"none", "refuse", "lose", "repeat"}[f] }

// Call is a call that is about to be made.
type Call struct {
	Number int    // from 1, of this engine
	Method string // of store.Engine
	Kind   string // empty for Sweep
}

// Engine passes calls on to another engine, or not. Close is always passed on.
type Engine struct {
	store.Engine
	// Choose is asked before every call, by many goroutines at once. A delay is its waiting.
	Choose func(Call) Fault

	calls atomic.Int64
}

// Calls returns how many calls there were.
func (e *Engine) Calls() int { return int(e.calls.Load()) }

// Nth lets the fault happen to the n-th call alone.
func Nth(n int, f Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.Number == n {
			return f
		}
		return None
	}
}

func do[T any](e *Engine, method, kind string, call func() (T, error)) (T, error) {
	var none T
	c := Call{Number: int(e.calls.Add(1)), Method: method, Kind: kind}
	lost := fmt.Errorf("faulty: call %d, %s %s: %w", c.Number, method, kind, store.ErrUnavailable)
	switch e.Choose(c) {
	case Refuse:
		return none, lost
	case Lose:
		_, _ = call() // nobody hears of it
		return none, lost
	case Repeat:
		_, _ = call() // its answer is lost, the next one's is not
	}
	return call()
}

// Get implements store.Engine.
func (e *Engine) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	return do(e, "Get", kind, func() (store.Doc, error) { return e.Engine.Get(ctx, kind, key) })
}

// GetBy implements store.Engine.
func (e *Engine) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	return do(e, "GetBy", kind, func() (store.Doc, error) { return e.Engine.GetBy(ctx, kind, unique) })
}

// Put implements store.Engine.
func (e *Engine) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	return do(e, "Put", kind, func() (uint64, error) { return e.Engine.Put(ctx, kind, d) })
}

// Take implements store.Engine.
func (e *Engine) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	return do(e, "Take", kind, func() (store.Doc, error) { return e.Engine.Take(ctx, kind, key) })
}

// Delete implements store.Engine.
func (e *Engine) Delete(ctx context.Context, kind, key string) error {
	_, err := do(e, "Delete", kind, func() (struct{}, error) { return struct{}{}, e.Engine.Delete(ctx, kind, key) })
	return err
}

// List implements store.Engine.
func (e *Engine) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	return do(e, "List", kind, func() ([]store.Doc, error) { return e.Engine.List(ctx, kind, index, after, limit) })
}

// Sweep implements store.Engine.
func (e *Engine) Sweep(ctx context.Context, before time.Time) (int, error) {
	return do(e, "Sweep", "", func() (int, error) { return e.Engine.Sweep(ctx, before) })
}
