package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/federation/store"
)

const (
	// writers write side by side: an embedded store makes one commit of what waits, a distant one answers many at once.
	writers = 64
	// maxRounds is how often a kind is walked over until nothing is in the way of anything. Of a source that stands still it takes two.
	maxRounds = 4
)

// copier makes one kind of the target like the source's.
type copier struct {
	*run
	kind                       string
	created, replaced, removed atomic.Int64
	// again: a unique value was in the way, or a document changed since it was read.
	again atomic.Bool
}

// copy writes what is missing, kind by kind. The report has what was done also where it fails. ErrUnsteady comes at the end, after all kinds.
func (r *run) copy(ctx context.Context) (Report, error) {
	var report Report
	var unsteady error
	kinds, err := r.kinds(ctx)
	if err != nil {
		return report, err
	}
	for _, kind := range kinds {
		c := &copier{run: r, kind: kind}
		documents, err := c.rounds(ctx)
		report.Kinds = append(report.Kinds, Count{Kind: kind, Documents: documents,
			Created: int(c.created.Load()), Replaced: int(c.replaced.Load()), Removed: int(c.removed.Load())})
		if errors.Is(err, ErrUnsteady) {
			unsteady = fmt.Errorf("copy %s: %w", kind, err)
		} else if err != nil {
			return report, fmt.Errorf("copy %s: %w", kind, err)
		}
	}
	return report, unsteady
}

func (c *copier) rounds(ctx context.Context) (documents int, err error) {
	for range maxRounds {
		c.again.Store(false)
		if documents, err = c.round(ctx); err != nil || !c.again.Load() {
			return documents, err
		}
	}
	return documents, ErrUnsteady
}

// round walks over the kind once and hands out what is to be written.
func (c *copier) round(ctx context.Context) (int, error) {
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	documents, err := c.sideBySide(inner, c.kind, func(s, t *store.Doc) error {
		switch {
		case s == nil && c.gone(t), t == nil && c.gone(s), s != nil && t != nil && same(s, t):
		case s == nil:
			g.Go(func() error { return c.remove(inner, t.Key) })
		case t == nil:
			g.Go(func() error { return c.put(inner, *s, 0) })
		default:
			g.Go(func() error { return c.put(inner, *s, t.Version) })
		}
		return nil
	}, func(documents int) error {
		c.tell(Step{Kind: c.kind, Documents: documents})
		return c.check(inner)
	})
	if failed := g.Wait(); failed != nil { // the walk ends with inner then, and says less
		return documents, failed
	}
	return documents, err
}

// put writes the source's document in the place of that version of the target's.
func (c *copier) put(ctx context.Context, d store.Doc, version uint64) error {
	d.Version = version
	_, err := c.To.Put(ctx, c.kind, d)
	if errors.Is(err, store.ErrTaken) {
		if err := c.free(ctx, d); err != nil {
			return err
		}
		_, err = c.To.Put(ctx, c.kind, d)
	}
	switch {
	case errors.Is(err, store.ErrTaken), errors.Is(err, store.ErrConflict): // another writer of ours was between
		c.again.Store(true)
		return nil
	case err != nil:
		return err
	case version == 0:
		c.created.Add(1)
	default:
		c.replaced.Add(1)
	}
	return nil
}

// free removes the documents of the target that hold d's unique values. In the source d holds them, so these documents are not as they are
// there: they are gone there, or have other values, and the next round creates them with those.
func (c *copier) free(ctx context.Context, d store.Doc) error {
	for _, u := range d.Unique {
		holder, err := c.To.GetBy(ctx, c.kind, u)
		if errors.Is(err, store.ErrNotFound) || err == nil && holder.Key == d.Key {
			continue
		}
		if err != nil {
			return err
		}
		c.again.Store(true)
		if err := c.remove(ctx, holder.Key); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) remove(ctx context.Context, key string) error {
	err := c.To.Delete(ctx, c.kind, key)
	if err == nil {
		c.removed.Add(1)
	}
	return err
}

// verify reads both stores again and compares every document. It counts the source's anew into report.
func (r *run) verify(ctx context.Context, report *Report) error {
	kinds, err := r.kinds(ctx) // asked again: a kind may have come
	if err != nil {
		return err
	}
	counts := map[string]Count{}
	for _, c := range report.Kinds {
		counts[c.Kind] = c
	}
	report.Kinds = nil
	differing := 0
	for _, kind := range kinds {
		c := counts[kind]
		c.Kind = kind
		if c.Documents, c.Differing, err = r.compare(ctx, kind); err != nil {
			return fmt.Errorf("compare %s: %w", kind, err)
		}
		report.Kinds = append(report.Kinds, c)
		differing += c.Differing
	}
	if differing > 0 {
		return fmt.Errorf("%w: %d documents; is the source still served?", ErrDiffers, differing)
	}
	return nil
}

func (r *run) compare(ctx context.Context, kind string) (documents, differing int, err error) {
	documents, err = r.sideBySide(ctx, kind, func(s, t *store.Doc) error {
		switch {
		case s == nil && r.gone(t), t == nil && r.gone(s):
		case s == nil, t == nil, !same(s, t):
			differing++
		}
		return nil
	}, func(documents int) error {
		r.tell(Step{Verifying: true, Kind: kind, Documents: documents})
		return r.check(ctx)
	})
	return documents, differing, err
}

func (r *run) tell(s Step) {
	if r.Progress != nil {
		r.Progress(s)
	}
}
