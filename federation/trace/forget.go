package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// What traces hold of a person goes with the user. The traces are removed as a whole: what would be left of them says nothing to anybody.
//
// Another node may have a trace in its queue, of a sign-in that ended a moment before the user was disabled. So what is to be forgotten is written
// down first, and looked for again by Maintain until no queue can hold it any more.

const (
	forgetKind = "trace_forget"
	// forgetFor is how long it is looked for again.
	forgetFor = time.Hour
	// clocks may differ between nodes by this much.
	clocks = time.Minute
)

// Person is whom traces are about: a user, or an identity that signed in as one.
type Person struct {
	PoolID   string
	Sub      string
	Provider string // with Subject: the identity
	Subject  string
}

// forgotten is who is to be forgotten.
type forgotten struct {
	Key     string    `json:"key"`
	At      time.Time `json:"at"`
	Entries []string  `json:"entries"` // of the index
}

func (s *Traces) forgets() *store.Kind[forgotten] {
	return &store.Kind[forgotten]{Engine: s.Engine, Name: forgetKind, KeysOf: func(v *forgotten) store.Keys {
		return store.Keys{Key: v.Key, Expires: v.At.Add(forgetFor)}
	}}
}

// Forget removes the traces of a user and of the identities that the user has. It is called when nobody can sign in as the user any more. What
// fails is done again by Maintain, unless it could not even be written down.
func (s *Traces) Forget(ctx context.Context, user Person, identities ...Person) error {
	v := forgotten{Key: hash(user.PoolID, user.Sub), At: s.Now(), Entries: []string{userIndex(user.PoolID, user.Sub)}}
	for _, id := range identities {
		v.Entries = append(v.Entries, identityIndex(identityKey(id.PoolID, id.Provider, id.Subject)))
	}
	old, err := s.forgets().Get(ctx, v.Key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("forget traces: %w", err)
	}
	if _, err := s.forgets().Replace(ctx, old, &v); err != nil && !errors.Is(err, store.ErrConflict) { // else another call does the same
		return fmt.Errorf("forget traces: %w", err)
	}
	s.Flush(ctx)
	if err := s.forget(ctx, v); err != nil {
		return fmt.Errorf("forget traces: %w", err)
	}
	return nil
}

// Maintain removes once more what is to be forgotten. It is for one node at a time, and does no harm on several.
func (s *Traces) Maintain(ctx context.Context) error {
	return s.forgets().All(ctx, "", func(e store.Entry[forgotten]) error {
		if err := s.forget(ctx, e.Value); err != nil {
			s.Logger.LogAttrs(ctx, slog.LevelWarn, "traces of a deleted user were not removed", slog.String("error", err.Error()))
		}
		return nil
	})
}

// DeletePool removes the traces of a pool.
func (s *Traces) DeletePool(ctx context.Context, poolID string) error {
	s.Flush(ctx)
	return s.remove(ctx, "", func(t *Trace) bool { return t.Pool == poolID })
}

// forget takes the person's traces away that are not of somebody who came later, with the same identity.
func (s *Traces) forget(ctx context.Context, v forgotten) error {
	for _, entry := range v.Entries {
		err := s.remove(ctx, entry, func(t *Trace) bool {
			for _, e := range t.names() {
				if e == entry {
					return !t.At.After(v.At.Add(clocks))
				}
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// remove takes traces out of all documents under an index entry, "" being all.
func (s *Traces) remove(ctx context.Context, entry string, gone func(*Trace) bool) error {
	for _, of := range []struct {
		kind   string
		remove func(ctx context.Context, key string, gone func(*Trace) bool) error
	}{{kindName, s.removeFailure}, {batchKind, s.removeFromBatch}} {
		for after := ""; ; {
			docs, err := s.Engine.List(ctx, of.kind, entry, after, listPage)
			if err != nil {
				return err
			}
			for _, d := range docs {
				if err := of.remove(ctx, d.Key, gone); err != nil {
					return err
				}
			}
			if len(docs) < listPage {
				break
			}
			after = store.Cursor(docs[len(docs)-1], entry)
		}
	}
	return nil
}

// removeFailure: a trace that takes the slot in between may go in its place; of failures some are always left out.
func (s *Traces) removeFailure(ctx context.Context, key string, gone func(*Trace) bool) error {
	e, err := s.kind().Get(ctx, key)
	if err != nil {
		return readable(err)
	}
	if !gone(&e.Value.Trace) {
		return nil
	}
	return s.Engine.Delete(ctx, kindName, key)
}

// readable is nil where nobody can read a document any more: it has been overwritten, or is sealed under a key that is gone.
func readable(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, secret.ErrUnknownKey) || errors.Is(err, secret.ErrTampered) {
		return nil
	}
	return err
}

func (s *Traces) removeFromBatch(ctx context.Context, key string, gone func(*Trace) bool) error {
	for range maxRounds {
		e, err := s.batches().Get(ctx, key)
		if err != nil {
			return readable(err)
		}
		var left []Trace
		for i := range e.Value.Traces {
			if t := &e.Value.Traces[i]; !gone(t) {
				left = append(left, *t)
			}
		}
		switch {
		case len(left) == len(e.Value.Traces):
			return nil
		case len(left) == 0:
			return s.Engine.Delete(ctx, batchKind, key)
		}
		v := e.Value
		v.Traces = left
		if _, err := s.batches().Replace(ctx, e, &v); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%d rounds lost to other writers: %w", maxRounds, store.ErrConflict)
}
