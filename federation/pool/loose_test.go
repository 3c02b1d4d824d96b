package pool_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// loose is an engine in memory that keeps what store.Engine promises and nothing more: it claims unique values in one step and writes the
// document in another, so that in between a value is taken and nobody holds it. Before each step it asks turn, which decides who goes next.
type loose struct {
	turn func()

	mu      sync.Mutex
	docs    map[string]map[string]store.Doc // by kind and key
	pending map[string]int                  // unique values that a writer claims whose document is not there yet, by kind and value
}

func newLoose() *loose {
	return &loose{turn: func() {}, docs: map[string]map[string]store.Doc{}, pending: map[string]int{}}
}

// clone is another engine with the same documents.
func (l *loose) clone(turn func()) *loose {
	out := newLoose()
	out.turn = turn
	for kind, docs := range l.docs {
		out.docs[kind] = maps.Clone(docs)
	}
	return out
}

func (l *loose) Get(_ context.Context, kind, key string) (store.Doc, error) {
	l.turn()
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, ok := l.docs[kind][key]; ok {
		return d, nil
	}
	return store.Doc{}, store.ErrNotFound
}

func (l *loose) holder(kind, unique string) (store.Doc, bool) {
	for _, d := range l.docs[kind] {
		if slices.Contains(d.Unique, unique) {
			return d, true
		}
	}
	return store.Doc{}, false
}

func (l *loose) GetBy(_ context.Context, kind, unique string) (store.Doc, error) {
	l.turn()
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, ok := l.holder(kind, unique); ok {
		return d, nil
	}
	return store.Doc{}, store.ErrNotFound
}

// claim takes the values that are new to the document.
func (l *loose) claim(kind string, d store.Doc) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, there := l.docs[kind][d.Key]
	if there != (d.Version != 0) || old.Version != d.Version {
		return nil, store.ErrConflict
	}
	var claimed []string
	for _, u := range slices.Compact(slices.Sorted(slices.Values(d.Unique))) {
		if slices.Contains(old.Unique, u) {
			continue
		}
		if _, taken := l.holder(kind, u); taken || l.pending[kind+"\x00"+u] > 0 {
			l.release(kind, claimed)
			return nil, store.ErrTaken
		}
		l.pending[kind+"\x00"+u]++
		claimed = append(claimed, u)
	}
	return claimed, nil
}

func (l *loose) release(kind string, claimed []string) {
	for _, u := range claimed {
		l.pending[kind+"\x00"+u]--
	}
}

func (l *loose) Put(_ context.Context, kind string, d store.Doc) (uint64, error) {
	l.turn()
	claimed, err := l.claim(kind, d)
	if err != nil {
		return 0, err
	}
	if len(claimed) > 0 {
		l.turn()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(kind, claimed)
	if old, there := l.docs[kind][d.Key]; there != (d.Version != 0) || old.Version != d.Version {
		return 0, store.ErrConflict
	}
	if l.docs[kind] == nil {
		l.docs[kind] = map[string]store.Doc{}
	}
	d.Version++
	l.docs[kind][d.Key] = d
	return d.Version, nil
}

func (l *loose) Take(_ context.Context, kind, key string) (store.Doc, error) {
	l.turn()
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.docs[kind][key]
	if !ok {
		return d, store.ErrNotFound
	}
	delete(l.docs[kind], key)
	return d, nil
}

func (l *loose) Delete(ctx context.Context, kind, key string) error {
	_, _ = l.Take(ctx, kind, key) // a missing one is no error
	return nil
}

func (l *loose) List(_ context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	l.turn()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []store.Doc
	for _, d := range l.docs[kind] {
		if c := store.Cursor(d, index); c > after && (index == "" || c != "") {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b store.Doc) int { return strings.Compare(store.Cursor(a, index), store.Cursor(b, index)) })
	return out[:min(limit, len(out))], nil
}

func (l *loose) Sweep(context.Context, time.Time) (int, error) { return 0, nil }
func (l *loose) Close() error                                  { return nil }

// turns lets one of several goroutines go on at a time, as a seeded sequence says. It belongs into a synctest bubble.
type turns struct {
	rand    *rand.Rand
	mu      sync.Mutex
	waiting []chan struct{}
	taken   strings.Builder // who went on among how many: the order
}

// wait parks the caller until it is its turn.
func (s *turns) wait() {
	c := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, c)
	s.mu.Unlock()
	<-c
}

// run runs all of work at once, step by step.
func (s *turns) run(work ...func()) {
	left := len(work)
	var mu sync.Mutex
	for _, f := range work {
		go func() {
			s.wait() // until everybody is there
			f()
			mu.Lock()
			defer mu.Unlock()
			left--
		}()
		synctest.Wait() // so that the goroutines come in the order of work
	}
	for {
		synctest.Wait()
		mu.Lock()
		done := left == 0
		mu.Unlock()
		if done {
			return
		}
		s.mu.Lock()
		n := len(s.waiting)
		if n == 0 { // all of them wait for time to pass
			s.mu.Unlock()
			<-time.After(time.Millisecond)
			continue
		}
		i := s.rand.IntN(n)
		c := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		fmt.Fprintf(&s.taken, "%d/%d ", i, n)
		s.mu.Unlock()
		close(c)
	}
}
