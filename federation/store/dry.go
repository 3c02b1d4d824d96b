package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Dry is an engine that answers as the one in it would, and writes nothing: what would be done on it can be tried. It is for one document at a
// time: a Put that would be refused is refused, and one that would not be is answered and forgotten, so that what is read afterwards is what
// was there before.
type Dry struct{ Engine }

// Put checks what an engine checks, and keeps nothing.
func (e Dry) Put(ctx context.Context, kind string, d Doc) (uint64, error) {
	if err := d.Check(kind); err != nil {
		return 0, err
	}
	there, err := e.Get(ctx, kind, d.Key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	if there.Version != d.Version {
		return 0, fmt.Errorf("%w: version %d is there, not %d", ErrConflict, there.Version, d.Version)
	}
	for _, u := range d.Unique {
		holder, err := e.GetBy(ctx, kind, u)
		switch {
		case err == nil && holder.Key != d.Key:
			return 0, ErrTaken
		case err != nil && !errors.Is(err, ErrNotFound):
			return 0, err
		}
	}
	return d.Version + 1, nil
}

// Take returns the document and leaves it.
func (e Dry) Take(ctx context.Context, kind, key string) (Doc, error) { return e.Get(ctx, kind, key) }

// Delete does nothing.
func (e Dry) Delete(ctx context.Context, _, _ string) error { return ctx.Err() }

// Sweep does nothing.
func (e Dry) Sweep(ctx context.Context, _ time.Time) (int, error) { return 0, ctx.Err() }

// Close does nothing: the engine in it is its owner's.
func (e Dry) Close() error { return nil }
