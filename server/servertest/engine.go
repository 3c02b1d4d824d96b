package servertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Engine counts what reaches a store, and can be made to fail.
type Engine struct {
	store.Engine
	mu     sync.Mutex
	writes map[string]int
	reads  map[string]int
	down   bool
	hung   chan struct{} // closed when it ends; nil: it does not hang
	full   []string      // kinds
}

// Reset forgets the counts.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writes, e.reads = map[string]int{}, map[string]int{}
}

// Writes returns the number of successful Put, Take and Delete since the last Reset.
func (e *Engine) Writes() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, c := range e.writes {
		n += c
	}
	return n
}

// Written says what was written, as "grant 2, user 1".
func (e *Engine) Written() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(e.writes)) {
		out = append(out, fmt.Sprintf("%s %d", kind, e.writes[kind]))
	}
	return strings.Join(out, ", ")
}

// Reads returns the number of Get, GetBy and List of a kind since the last Reset.
func (e *Engine) Reads(kind string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reads[kind]
}

func (e *Engine) read(kind string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reads[kind]++
}

// SetDown makes every call fail with store.ErrUnavailable, or work again.
func (e *Engine) SetDown(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

// SetFull makes every Put of a document of these kinds fail with store.ErrUnavailable.
func (e *Engine) SetFull(kinds ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = kinds
}

// SetHang makes every call wait until its context ends, as a store does that takes connections and does not answer; or work again, those
// that wait too.
func (e *Engine) SetHang(hang bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case hang && e.hung == nil:
		e.hung = make(chan struct{})
	case !hang && e.hung != nil:
		close(e.hung)
		e.hung = nil
	}
}

func (e *Engine) isFull(kind string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.Contains(e.full, kind) {
		return fmt.Errorf("servertest: %s: %w", kind, store.ErrUnavailable)
	}
	return nil
}

func (e *Engine) isDown(ctx context.Context) error {
	e.mu.Lock()
	down, hung := e.down, e.hung
	e.mu.Unlock()
	if hung != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hung:
		}
	}
	if down {
		return fmt.Errorf("servertest: %w", store.ErrUnavailable)
	}
	return nil
}

func (e *Engine) wrote(kind string, err error) {
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.writes[kind]++
	}
}

// Get implements store.Engine.
func (e *Engine) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	if err := e.isDown(ctx); err != nil {
		return store.Doc{}, err
	}
	e.read(kind)
	return e.Engine.Get(ctx, kind, key)
}

// GetBy implements store.Engine.
func (e *Engine) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	if err := e.isDown(ctx); err != nil {
		return store.Doc{}, err
	}
	e.read(kind)
	return e.Engine.GetBy(ctx, kind, unique)
}

// Put implements store.Engine.
func (e *Engine) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if err := e.isDown(ctx); err != nil {
		return 0, err
	}
	if err := e.isFull(kind); err != nil {
		return 0, err
	}
	v, err := e.Engine.Put(ctx, kind, d)
	e.wrote(kind, err)
	return v, err
}

// Take implements store.Engine.
func (e *Engine) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	if err := e.isDown(ctx); err != nil {
		return store.Doc{}, err
	}
	d, err := e.Engine.Take(ctx, kind, key)
	e.wrote(kind, err)
	return d, err
}

// Delete implements store.Engine.
func (e *Engine) Delete(ctx context.Context, kind, key string) error {
	if err := e.isDown(ctx); err != nil {
		return err
	}
	err := e.Engine.Delete(ctx, kind, key)
	e.wrote(kind, err)
	return err
}

// List implements store.Engine.
func (e *Engine) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	if err := e.isDown(ctx); err != nil {
		return nil, err
	}
	e.read(kind)
	return e.Engine.List(ctx, kind, index, after, limit)
}

// Sweep implements store.Engine.
func (e *Engine) Sweep(ctx context.Context, before time.Time) (int, error) {
	if err := e.isDown(ctx); err != nil {
		return 0, err
	}
	return e.Engine.Sweep(ctx, before)
}
