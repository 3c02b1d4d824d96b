// Package storetest is the contract of store.Engine as a test suite. Every engine
// passes it whole:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Open {
//			path := filepath.Join(t.TempDir(), "weir.db")
//			return func(now func() time.Time) (store.Engine, error) { … }
//		})
//	}
//
// It asks for nothing that is not written on store.Engine. What one engine promises beyond
// (crashes, files, connections) is tested in that engine's package.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// Open opens an engine with that clock on one storage. The suite closes an engine before it opens the storage again.
type Open func(now func() time.Time) (store.Engine, error)

// Run runs the suite. fresh returns an Open for a new, empty storage; it is called once per test.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{T: t, open: fresh(t), clock: &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}}
			f.reopen()
			t.Cleanup(func() {
				if err := f.engine.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(f)
		})
	}
}

type testCase struct {
	name string
	run  func(*fixture)
}

var cases = slices.Concat(documentCases, uniqueCases, indexCases, expiryCases, raceCases, modelCases)

// racers is how many callers race for one thing.
const racers = 32

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the clock's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type fixture struct {
	*testing.T
	open   Open
	engine store.Engine
	clock  *clock
}

// reopen opens the storage, after closing the engine that has it.
func (f *fixture) reopen() {
	f.Helper()
	if f.engine != nil {
		if err := f.engine.Close(); err != nil {
			f.Fatalf("close: %v", err)
		}
	}
	var err error
	if f.engine, err = f.open(f.clock.Now); err != nil {
		f.Fatalf("open: %v", err)
	}
}

// put stores d and returns it with its new version.
func (f *fixture) put(kind string, d store.Doc) store.Doc {
	f.Helper()
	v, err := f.engine.Put(f.Context(), kind, d)
	if err != nil {
		f.Fatalf("put %s %q: %v", kind, d.Key, err)
	}
	if v != d.Version+1 {
		f.Fatalf("put %s %q: version %d after %d", kind, d.Key, v, d.Version)
	}
	d.Version = v
	return d
}

// refuse asserts that Put answers d with want and version 0.
func (f *fixture) refuse(kind string, d store.Doc, want error) {
	f.Helper()
	v, err := f.engine.Put(f.Context(), kind, d)
	f.wantError(err, want)
	if v != 0 {
		f.Errorf("a refused Put returned version %d", v)
	}
}

func (f *fixture) delete(kind, key string) {
	f.Helper()
	if err := f.engine.Delete(f.Context(), kind, key); err != nil {
		f.Fatalf("delete %s %q: %v", kind, key, err)
	}
}

// has asserts that Get returns exactly want.
func (f *fixture) has(kind string, want store.Doc) {
	f.Helper()
	got, err := f.engine.Get(f.Context(), kind, want.Key)
	if err != nil {
		f.Fatalf("get %s %q: %v", kind, want.Key, err)
	}
	f.same(got, want)
}

func (f *fixture) lacks(kind, key string) {
	f.Helper()
	_, err := f.engine.Get(f.Context(), kind, key)
	f.wantError(err, store.ErrNotFound)
}

// holds asserts that GetBy finds want.
func (f *fixture) holds(kind, unique string, want store.Doc) {
	f.Helper()
	got, err := f.engine.GetBy(f.Context(), kind, unique)
	if err != nil {
		f.Fatalf("get by %q: %v", unique, err)
	}
	f.same(got, want)
}

func (f *fixture) free(kind, unique string) {
	f.Helper()
	_, err := f.engine.GetBy(f.Context(), kind, unique)
	f.wantError(err, store.ErrNotFound)
}

// lists asserts that the whole of List(index) is of these keys, with every size of page.
func (f *fixture) lists(kind, index string, want ...string) {
	f.Helper()
	for limit := 1; limit <= len(want)+1; limit++ {
		if got := f.keys(kind, index, limit); !slices.Equal(got, want) {
			f.Fatalf("list %q in pages of %d: %q, want %q", index, limit, got, want)
		}
	}
}

// keys lists page by page until a page is not full.
func (f *fixture) keys(kind, index string, limit int) []string {
	f.Helper()
	keys := []string{}
	for after := ""; ; {
		page, err := f.engine.List(f.Context(), kind, index, after, limit)
		if err != nil {
			f.Fatalf("list %q: %v", index, err)
		}
		if len(page) > limit {
			f.Fatalf("list %q: %d documents for a limit of %d", index, len(page), limit)
		}
		for _, d := range page {
			keys = append(keys, d.Key)
		}
		if len(page) < limit {
			return keys
		}
		after = store.Cursor(page[len(page)-1], index)
	}
}

func (f *fixture) wantError(got, want error) {
	f.Helper()
	if !errors.Is(got, want) {
		f.Fatalf("error %v, want %v", got, want)
	}
}

func (f *fixture) same(got, want store.Doc) {
	f.Helper()
	if got.Key != want.Key || got.Version != want.Version || !got.Expires.Equal(want.Expires) ||
		!bytes.Equal(got.Body, want.Body) || !slices.Equal(got.Unique, want.Unique) || !slices.Equal(got.Index, want.Index) {
		f.Fatalf("got document %+v, want %+v", got, want)
	}
}

// race calls act in many goroutines at once and returns how many returned nil. Every other one
// must return want.
func (f *fixture) race(want error, act func(i int) error) int {
	f.Helper()
	start := make(chan struct{})
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = act(i)
		})
	}
	close(start)
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, want) {
			f.Errorf("a loser got %v, want %v", err, want)
		}
	}
	return won
}

func numbered(prefix string, n int) string { return fmt.Sprintf("%s%04d", prefix, n) }
