package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limited is an engine that answers in time: what takes longer than Most, because the engine hangs, fails with ErrUnavailable, and so does what
// ends with the caller's deadline. So a request is answered with a 503 well before its own deadline, and whoever waits for the same answer with it.
//
// A write that failed so may have taken effect: see Engine. A caller that went away gets its ctx's error. Sweep, which may take long,
// and Close are not bounded.
type Limited struct {
	Engine
	Most time.Duration
}

// within calls f with a context that ends in time.
func within[T any](ctx context.Context, most time.Duration, operation string, f func(ctx context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	v, err := f(bounded)
	if err != nil && errors.Is(bounded.Err(), context.DeadlineExceeded) && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%s: %w: no answer in time: %w", operation, ErrUnavailable, err)
	}
	return v, err
}

// Get implements Engine.
func (l Limited) Get(ctx context.Context, kind, key string) (Doc, error) {
	return within(ctx, l.Most, "get "+kind, func(ctx context.Context) (Doc, error) { return l.Engine.Get(ctx, kind, key) })
}

// GetBy implements Engine.
func (l Limited) GetBy(ctx context.Context, kind, unique string) (Doc, error) {
	return within(ctx, l.Most, "get "+kind, func(ctx context.Context) (Doc, error) { return l.Engine.GetBy(ctx, kind, unique) })
}

// Put implements Engine.
func (l Limited) Put(ctx context.Context, kind string, d Doc) (uint64, error) {
	return within(ctx, l.Most, "put "+kind, func(ctx context.Context) (uint64, error) { return l.Engine.Put(ctx, kind, d) })
}

// Take implements Engine.
func (l Limited) Take(ctx context.Context, kind, key string) (Doc, error) {
	return within(ctx, l.Most, "take "+kind, func(ctx context.Context) (Doc, error) { return l.Engine.Take(ctx, kind, key) })
}

// Delete implements Engine.
func (l Limited) Delete(ctx context.Context, kind, key string) error {
	_, err := within(ctx, l.Most, "delete "+kind, func(ctx context.Context) (struct{}, error) { return struct{}{}, l.Engine.Delete(ctx, kind, key) })
	return err
}

// List implements Engine.
func (l Limited) List(ctx context.Context, kind, index, after string, limit int) ([]Doc, error) {
	return within(ctx, l.Most, "list "+kind, func(ctx context.Context) ([]Doc, error) { return l.Engine.List(ctx, kind, index, after, limit) })
}
