package migrate

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// pageSize is how many documents are read at a time: a page of each store is in memory, of bodies of up to store.MaxBody.
const pageSize = 250

// walker goes over the live documents of a kind in the order of their keys.
type walker struct {
	engine store.Engine
	kind   string
	page   []store.Doc
	last   string // key
	ended  bool
}

// peek returns the document that the walker is at, nil at the end.
func (w *walker) peek(ctx context.Context) (*store.Doc, error) {
	if len(w.page) == 0 && !w.ended {
		page, err := w.engine.List(ctx, w.kind, "", w.last, pageSize)
		if err != nil {
			return nil, err
		}
		w.page, w.ended = page, len(page) < pageSize
		if len(page) > 0 {
			w.last = page[len(page)-1].Key
		}
	}
	if len(w.page) == 0 {
		return nil, nil
	}
	return &w.page[0], nil
}

// sideBySide calls visit for every key of a kind in either store: with both documents, or nil where one has none. After every page of keys
// it calls between with the number of the source's documents so far.
func (r *run) sideBySide(ctx context.Context, kind string, visit func(source, target *store.Doc) error, between func(documents int) error) (int, error) {
	from, to := &walker{engine: r.From, kind: kind}, &walker{engine: r.To, kind: kind}
	documents := 0
	for keys := 0; ; keys++ {
		if keys%pageSize == 0 {
			if err := between(documents); err != nil {
				return documents, err
			}
		}
		s, err := from.peek(ctx)
		if err != nil {
			return documents, err
		}
		t, err := to.peek(ctx)
		if err != nil {
			return documents, err
		}
		switch {
		case s == nil && t == nil:
			return documents, nil
		case t == nil || s != nil && s.Key < t.Key:
			t = nil
		case s == nil || t.Key < s.Key:
			s = nil
		}
		if s != nil {
			documents++
			from.page = from.page[1:]
		}
		if t != nil {
			to.page = to.page[1:]
		}
		if err := visit(s, t); err != nil {
			return documents, err
		}
	}
}

// same compares all but the versions. Engines may round an expiry up to the millisecond.
func same(a, b *store.Doc) bool {
	return a.Key == b.Key && bytes.Equal(a.Body, b.Body) && slices.Equal(a.Unique, b.Unique) && slices.Equal(a.Index, b.Index) &&
		a.Expires.IsZero() == b.Expires.IsZero() && (a.Expires.IsZero() || milliUp(a.Expires) == milliUp(b.Expires))
}

func milliUp(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// gone reports whether a document that only one of the stores showed may have expired before the other was asked.
func (r *run) gone(d *store.Doc) bool { return !d.Expires.IsZero() && !d.Expires.After(r.Now()) }
