// Package migrate copies a whole store into another one, of any engine, and proves that the copy is one.
//
// One step does everything: the documents of both stores are walked side by side in the order of their keys, and what the target lacks is
// created, what differs is replaced, what the source has not is removed. So a run that was killed is simply run again; what is there
// already is read, and not written. The same step makes a copy ahead, of a snapshot while the source is served, after which the last run
// has only what changed since to write.
//
// Which kinds there are is the engines' answer, not a list in the code: what is in the store is copied, also what another release wrote.
// Documents are copied as they are, so sealed ones stay sealed, bound to their kind and key, and are opened by the same sealing keys.
// Two things do not stay: versions, which begin at 1 again (they are compared within one reading and writing of a document, and kept
// nowhere), and expired documents.
//
// Nothing here opens a store or keeps others out of it: Run's caller makes sure that nobody writes to the source. The marks of this package
// keep the two stores from being served at once, where everybody who serves one calls Servable first.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// The reasons why nothing was done, or not all. They are matched with errors.Is.
var (
	// ErrEmpty: there is nothing in the source.
	ErrEmpty = errors.New("the source is empty")
	// ErrInUse: the target has documents that no migration put there.
	ErrInUse = errors.New("the target is in use: it has to be empty")
	// ErrOtherSource: the target is the unfinished copy of another store.
	ErrOtherSource = errors.New("the target is the unfinished copy of another store")
	// ErrFinished: the target is a finished copy, and the source has been opened again since. Which of them counts is for a person to say.
	ErrFinished = errors.New("the target is a finished copy already, and the source was reopened or has moved elsewhere since")
	// ErrMoved: the source was moved to another store before.
	ErrMoved = errors.New("the source was moved before")
	// ErrHalf: the source is itself an unfinished copy.
	ErrHalf = errors.New("the source is an unfinished copy")
	// ErrDiffers: the copy is not the same as the source.
	ErrDiffers = errors.New("source and target differ")
	// ErrUnsteady: the source changes while it is copied.
	ErrUnsteady = errors.New("the source does not stand still: a process is serving it")
	// ErrTakenOver: another run has begun on the same target.
	ErrTakenOver = errors.New("another migration has taken the target over")
)

// Store is an engine that can say what is in it.
type Store interface {
	store.Engine
	// Kinds returns at least every kind that there is a live document of.
	Kinds(ctx context.Context) ([]string, error)
}

// Migration is a source and a target. All fields up to Now are required.
type Migration struct {
	From, To         Store
	FromName, ToName string // as the admin calls them; they are kept in the stores, so without passwords
	Ring             *secret.Ring
	Now              func() time.Time // the clock of both stores
	// Pulse is a kind that whoever serves the source writes to, at least once in PulseTime: Run watches it for that long. "" where the engine
	// keeps others out.
	Pulse     string
	PulseTime time.Duration
	// Progress hears from time to time how far it is. It is called by one goroutine at a time.
	Progress func(Step)
}

// Step is how far a migration is.
type Step struct {
	Verifying bool
	Watching  bool // for signs of life in the source
	Kind      string
	Documents int // of the kind, so far
}

// Report is what was done, and what is in both stores.
type Report struct {
	Kinds []Count // in bytewise order
	// Before is when an earlier run finished the migration: this one changed nothing, and Kinds is empty. Zero otherwise.
	Before time.Time
}

// Count is one kind of a Report.
type Count struct {
	Kind                       string
	Documents                  int // in the source
	Created, Replaced, Removed int // in the target, by this run
	Differing                  int // after it; with ErrDiffers alone
}

// Run copies what is missing, compares every document, marks the source as moved and the target as finished. Nobody may write to the source
// meanwhile. A run that ended early, for whatever reason, is carried on by the next one. Errors: those above, with the report where
// there is one, and the engines'.
func (m *Migration) Run(ctx context.Context) (Report, error) {
	r, done, err := m.begin(ctx)
	if err != nil || !done.IsZero() {
		return Report{Before: done}, err
	}
	w, err := r.watch(ctx)
	if err != nil {
		return Report{}, err
	}
	defer w.timer.Stop()
	report, err := r.copy(ctx)
	if err != nil {
		return report, err
	}
	if err := w.wait(ctx); err != nil {
		return report, err
	}
	if err := r.verify(ctx, &report); err != nil {
		return report, err
	}
	if err := w.still(ctx); err != nil {
		return report, err
	}
	if err := store.CheckRing(ctx, m.To, m.Ring); err != nil {
		return report, fmt.Errorf("open the target with the sealing keys: %w", err)
	}
	return report, r.finish(ctx)
}

// Ahead copies what is missing from a snapshot of the source, or from one that is served, so that Run has less to do. The target stays unfinished.
func (m *Migration) Ahead(ctx context.Context) (Report, error) {
	r, done, err := m.begin(ctx)
	if err != nil || !done.IsZero() {
		return Report{Before: done}, err
	}
	report, err := r.copy(ctx)
	if errors.Is(err, ErrUnsteady) { // what keeps changing is for Run
		err = nil
	}
	return report, err
}

// run is a Migration with its hold on the target.
type run struct {
	*Migration
	hold held
}

// begin finds out whether the target is for this source, and takes hold of it. done is when an earlier run finished.
func (m *Migration) begin(ctx context.Context) (r *run, done time.Time, err error) {
	empty, err := isEmpty(ctx, m.From)
	if err != nil {
		return nil, done, err
	}
	if empty {
		return nil, done, ErrEmpty
	}
	if err := store.CheckRing(ctx, m.From, m.Ring); err != nil {
		return nil, done, err
	}
	source, err := store.Identity(ctx, m.From)
	if err != nil {
		return nil, done, err
	}
	r = &run{Migration: m}
	r.hold, done, err = m.take(ctx, source)
	return r, done, err
}

// kinds are those of both stores, without the marks.
func (m *Migration) kinds(ctx context.Context) ([]string, error) {
	from, err := m.From.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	to, err := m.To.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(from, to)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(kind string) bool { return kind == markKind }), nil
}

// Refused reports whether err is a reason why nothing was written to the target.
func Refused(err error) bool {
	for _, reason := range []error{ErrEmpty, ErrInUse, ErrOtherSource, ErrFinished, ErrMoved, ErrHalf, store.ErrWrongRing} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// isEmpty reports whether a store has no live documents but marks.
func isEmpty(ctx context.Context, s Store) (bool, error) {
	kinds, err := s.Kinds(ctx)
	if err != nil {
		return false, err
	}
	for _, kind := range kinds {
		if kind == markKind {
			continue
		}
		docs, err := s.List(ctx, kind, "", "", 1)
		if err != nil || len(docs) > 0 {
			return false, err
		}
	}
	return true, nil
}
