package migrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// markKind is the kind of the marks, which are never copied. A store has up to two: what it is a copy of, and where it has moved.
const (
	markKind  = "migration"
	copyMark  = "copy"
	movedMark = "moved"
)

// The states of a copy. A target is claimed before it is known to be empty, so that whoever begins to serve it meanwhile either has left
// a document or finds the mark.
const (
	claimed  = "claimed"
	copying  = "copying"
	finished = "finished"
)

// mark is either of the two.
type mark struct {
	Name string `json:"name"` // copyMark or movedMark
	// Copy is the random name of the copy, the same in the marks of both stores.
	Copy string    `json:"copy"`
	At   time.Time `json:"at"` // when the copy was finished, or else begun; when the source was moved

	State  string `json:"state,omitempty"`  // of a copy
	Source string `json:"source,omitempty"` // the source's identity
	From   string `json:"from,omitempty"`   // the source's name
	Run    string `json:"run,omitempty"`    // who has hold of the copy

	To string `json:"to,omitempty"` // of a moved store: the target's name
}

func marks(e store.Engine) *store.Kind[mark] {
	return &store.Kind[mark]{Engine: e, Name: markKind, KeysOf: func(m *mark) store.Keys { return store.Keys{Key: m.Name} }}
}

// find returns a mark, of version 0 where there is none.
func find(ctx context.Context, e store.Engine, name string) (store.Entry[mark], error) {
	m, err := marks(e).Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return store.Entry[mark]{}, nil
	}
	if err != nil {
		return m, fmt.Errorf("read the mark of a migration: %w", err)
	}
	return m, nil
}

// held is a run's hold on its target: its mark and that mark's version.
type held = store.Entry[mark]

// take marks the target as a copy of the source that this run makes. done is when an earlier run finished.
func (m *Migration) take(ctx context.Context, source string) (h held, done time.Time, err error) {
	half, err := find(ctx, m.From, copyMark)
	if err != nil {
		return h, done, err
	}
	if half.Version != 0 && half.Value.State != finished {
		return h, done, ErrHalf
	}
	moved, err := find(ctx, m.From, movedMark)
	if err != nil {
		return h, done, err
	}
	old, err := find(ctx, m.To, copyMark)
	if err != nil {
		return h, done, err
	}
	here := old.Version != 0 && old.Value.Source == source && moved.Value.Copy == old.Value.Copy
	switch {
	case here && old.Value.State == finished:
		return h, old.Value.At, nil
	case moved.Version != 0 && !here:
		return h, done, fmt.Errorf("%w, to %s at %s", ErrMoved, moved.Value.To, moved.Value.At.Format(time.RFC3339))
	case old.Version != 0 && old.Value.State == finished && old.Value.Source == source:
		return h, done, ErrFinished
	case old.Version != 0 && old.Value.State == finished:
		return h, done, ErrInUse
	case old.Version != 0 && old.Value.Source != source:
		return h, done, fmt.Errorf("%w, of %s", ErrOtherSource, old.Value.From)
	case old.Version != 0 && old.Value.State == copying:
		next := old.Value
		next.Run = rand.Text()
		h, err = m.keep(ctx, next, old.Version)
		return h, done, err
	}
	h, err = m.claim(ctx, source, old.Version)
	return h, done, err
}

// claim takes a target that no copy was begun in.
func (m *Migration) claim(ctx context.Context, source string, version uint64) (held, error) {
	if empty, err := isEmpty(ctx, m.To); err != nil || !empty {
		return held{}, errors.Join(err, ifNot(empty, ErrInUse))
	}
	h, err := m.keep(ctx, mark{Name: copyMark, Copy: rand.Text(), At: m.Now().UTC(), State: claimed, Source: source, From: m.FromName, Run: rand.Text()}, version)
	if err != nil {
		return h, err
	}
	if empty, err := isEmpty(ctx, m.To); err != nil || !empty { // somebody came between
		return h, errors.Join(err, ifNot(empty, ErrInUse), marks(m.To).Delete(ctx, copyMark))
	}
	next := h.Value
	next.State = copying
	return m.keep(ctx, next, h.Version)
}

func ifNot(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

// keep writes the target's mark in the place of that version of it.
func (m *Migration) keep(ctx context.Context, v mark, version uint64) (held, error) {
	version, err := marks(m.To).Put(ctx, &v, version)
	if errors.Is(err, store.ErrConflict) {
		return held{}, fmt.Errorf("%w: %w", ErrTakenOver, err)
	}
	if err != nil {
		return held{}, fmt.Errorf("mark the target: %w", err)
	}
	return held{Value: v, Version: version}, nil
}

// check fails where another run has taken the target since: of two, the one that began last goes on.
func (r *run) check(ctx context.Context) error {
	now, err := find(ctx, r.To, copyMark)
	if err == nil && now.Version != r.hold.Version {
		err = ErrTakenOver
	}
	return err
}

// finish marks the source first, so that at no moment both stores can be served.
func (r *run) finish(ctx context.Context) error {
	if err := r.check(ctx); err != nil {
		return err
	}
	at := r.Now().UTC()
	moved := mark{Name: movedMark, Copy: r.hold.Value.Copy, At: at, To: r.ToName}
	old, err := find(ctx, r.From, movedMark)
	if err != nil {
		return err
	}
	if _, err := marks(r.From).Put(ctx, &moved, old.Version); err != nil {
		return fmt.Errorf("mark the source as moved: %w", err)
	}
	done := r.hold.Value
	done.State, done.At = finished, at
	r.hold, err = r.keep(ctx, done, r.hold.Version)
	return err
}

// Servable fails with a fault of the configuration where a store may not be served: it is an unfinished copy, or has moved. Whoever is
// about to serve calls it after store.CheckRing, so that a migration which looks meanwhile finds a store in use.
func Servable(ctx context.Context, e store.Engine) error {
	c, err := find(ctx, e, copyMark)
	if err != nil {
		return err
	}
	if c.Version != 0 && c.Value.State != finished {
		return fault.New(fault.Config, "store: this is an unfinished copy of "+c.Value.From+
			": run weir migrate again until it says that everything is there, or serve the other one. Nothing was changed.", nil)
	}
	moved, err := find(ctx, e, movedMark)
	if err != nil {
		return err
	}
	if moved.Version != 0 {
		return fault.New(fault.Config, "store: this one was moved to "+moved.Value.To+" at "+moved.Value.At.Format(time.RFC3339)+
			", and what happened since is there alone: name that one in weir.yaml, or move it back with weir migrate. "+
			"To give up what happened there, run weir migrate --reopen. Nothing was changed.", nil)
	}
	return nil
}

// Reopen lets a store be served that was moved, and returns where to and when: what happened there since is not in it. ErrNotFound: it
// was not moved.
func Reopen(ctx context.Context, e store.Engine) (to string, at time.Time, err error) {
	m, err := marks(e).Take(ctx, movedMark)
	if err != nil {
		return "", at, fmt.Errorf("take the mark of the move away: %w", err)
	}
	return m.Value.To, m.Value.At, nil
}
