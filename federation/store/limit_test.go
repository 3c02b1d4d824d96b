package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// hung is an engine that never answers.
type hung struct{ store.Engine }

// Get hangs.
func (hung) Get(ctx context.Context, _, _ string) (store.Doc, error) { return hang[store.Doc](ctx) }

// GetBy hangs.
func (hung) GetBy(ctx context.Context, _, _ string) (store.Doc, error) { return hang[store.Doc](ctx) }

// Put hangs.
func (hung) Put(ctx context.Context, _ string, _ store.Doc) (uint64, error) { return hang[uint64](ctx) }

// Take hangs.
func (hung) Take(ctx context.Context, _, _ string) (store.Doc, error) { return hang[store.Doc](ctx) }

// Delete hangs.
func (hung) Delete(ctx context.Context, _, _ string) error { _, err := hang[int](ctx); return err }

// List hangs.
func (hung) List(ctx context.Context, _, _, _ string, _ int) ([]store.Doc, error) {
	return hang[[]store.Doc](ctx)
}

func hang[T any](ctx context.Context) (none T, _ error) { <-ctx.Done(); return none, ctx.Err() }

func TestAHangingEngineIsUnavailable(t *testing.T) {
	const most = 5 * time.Second
	k := people(store.Limited{Engine: hung{}, Most: most})
	for name, call := range map[string]func(context.Context) error{
		"get":    func(ctx context.Context) error { _, err := k.Get(ctx, "a"); return err },
		"get by": func(ctx context.Context) error { _, err := k.GetBy(ctx, "a"); return err },
		"put":    func(ctx context.Context) error { _, err := k.Put(ctx, &person{ID: "a"}, 0); return err },
		"take":   func(ctx context.Context) error { _, err := k.Take(ctx, "a"); return err },
		"delete": func(ctx context.Context) error { return k.Delete(ctx, "a") },
		"list":   func(ctx context.Context) error { _, _, err := k.List(ctx, "", "", 1); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				if err := call(t.Context()); !errors.Is(err, store.ErrUnavailable) || fault.CodeOf(err) != fault.Unavailable || time.Since(began) != most {
					t.Errorf("after %s: %v", time.Since(began), err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began = time.Now()
				if err := call(ctx); !errors.Is(err, store.ErrUnavailable) || time.Since(began) != time.Second {
					t.Errorf("with a deadline of a second, after %s: %v", time.Since(began), err)
				}
				ctx, leave := context.WithCancel(t.Context())
				leave()
				if err := call(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable) {
					t.Errorf("of a caller that went away: %v", err)
				}
			})
		})
	}
}

func TestALimitedEngineIsAnEngine(t *testing.T) {
	k := people(store.Limited{Engine: engine(t), Most: time.Minute})
	v, err := k.Put(t.Context(), &person{ID: "a", Mail: "a@example.com"}, 0)
	if err != nil || v != 1 {
		t.Fatal(v, err)
	}
	if _, err := k.Put(t.Context(), &person{ID: "a"}, 0); !errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("conflict: %v", err)
	}
	if got, _, err := k.List(t.Context(), "", "", 1); err != nil || len(got) != 1 {
		t.Errorf("list: %v, %v", got, err)
	}
	if got, err := k.Take(t.Context(), "a"); err != nil || got.Value.Mail != "a@example.com" {
		t.Errorf("take: %v, %v", got, err)
	}
	if err := k.Delete(t.Context(), "a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := k.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}
