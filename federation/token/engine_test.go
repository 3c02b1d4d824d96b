package token_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
)

type memory struct {
	now  func() time.Time
	mu   sync.Mutex
	docs map[string]store.Doc
}

func newEngine(_ testing.TB, now func() time.Time) store.Engine {
	return &memory{now: now, docs: map[string]store.Doc{}}
}

func (m *memory) live(kind, key string) (store.Doc, bool) {
	d, ok := m.docs[kind+"\x00"+key]
	return d, ok && (d.Expires.IsZero() || m.now().Before(d.Expires))
}

func (m *memory) Get(_ context.Context, kind, key string) (store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.live(kind, key)
	if !ok {
		return d, store.ErrNotFound
	}
	d.Body = slices.Clone(d.Body)
	return d, nil
}

func (m *memory) GetBy(context.Context, string, string) (store.Doc, error) {
	return store.Doc{}, store.ErrNotFound
}

func (m *memory) Put(_ context.Context, kind string, d store.Doc) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.live(kind, d.Key)
	if !ok {
		old = store.Doc{}
	}
	if old.Version != d.Version {
		return 0, store.ErrConflict
	}
	d.Version++
	m.docs[kind+"\x00"+d.Key] = d
	return d.Version, nil
}

func (m *memory) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	d, err := m.Get(ctx, kind, key)
	if err != nil {
		return d, err
	}
	return d, m.Delete(ctx, kind, key)
}

func (m *memory) Delete(_ context.Context, kind, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.docs, kind+"\x00"+key)
	return nil
}

func (m *memory) List(_ context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Doc
	for name := range m.docs {
		key, ok := strings.CutPrefix(name, kind+"\x00")
		d, live := m.live(kind, key)
		if c := store.Cursor(d, index); ok && live && c != "" && c > after {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b store.Doc) int { return strings.Compare(store.Cursor(a, index), store.Cursor(b, index)) })
	return out[:min(limit, len(out))], nil
}

func (m *memory) Sweep(_ context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for name, d := range m.docs {
		if !d.Expires.IsZero() && d.Expires.Before(before) {
			delete(m.docs, name)
			n++
		}
	}
	return n, nil
}

func (m *memory) Close() error { return nil }
