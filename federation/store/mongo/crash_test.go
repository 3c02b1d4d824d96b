package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// open opens the store until the test ends.
func open(t *testing.T, uri secret.Text) *mongo.DB {
	t.Helper()
	db, err := mongo.Open(t.Context(), uri, mongo.Options{Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	db.SetPatience(10 * time.Millisecond)
	return db
}

func newStore(t *testing.T) *mongo.DB {
	t.Helper()
	return open(t, mongotest.Database(t, mongotest.Options{}))
}

// audit fails where a document lacks a claim or an index entry, and returns what is left over.
func audit(t *testing.T, db *mongo.DB) mongo.Orphans {
	t.Helper()
	o, err := db.Audit(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatalf("the database is not sound: %v", err)
	}
	return o
}

var errPulled = errors.New("the plug was pulled")

// life is what a few documents go through: created, changed, given the values of others, taken. It goes on after errors, as
// other callers would, and returns what was taken.
// Whatever is said to have happened is looked for from next.
func life(t *testing.T, db, next *mongo.DB, kind string) (taken []string, errs []error) {
	t.Helper()
	ctx := t.Context()
	note := func(err error) { errs = append(errs, err) }
	put := func(d store.Doc) {
		v, err := db.Put(ctx, kind, d)
		note(err)
		if err != nil {
			return
		}
		if got, err := next.Get(ctx, kind, d.Key); err != nil || got.Version != v || v != d.Version+1 {
			t.Errorf("%s: put %q as version %d; it has %d, %v", kind, d.Key, v, got.Version, err)
		}
	}
	take := func(key string) {
		d, err := db.Take(ctx, kind, key)
		note(err)
		if err == nil {
			taken = append(taken, d.Key)
			if _, err := next.Get(ctx, kind, key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: took %q, which is there: %v", kind, key, err)
			}
		}
	}
	put(store.Doc{Key: "a", Unique: []string{"u1", "u2"}, Index: []string{"n:1"}})
	put(store.Doc{Key: "a", Version: 1, Unique: []string{"u2", "u3"}, Index: []string{"n:2"}})
	put(store.Doc{Key: "b", Unique: []string{"u1"}, Index: []string{"n:1", "m:1"}})
	put(store.Doc{Key: "plain", Body: []byte("once")})
	take("plain")
	take("a")
	put(store.Doc{Key: "c", Unique: []string{"u2", "u3"}})
	note(db.Delete(ctx, kind, "b"))
	return taken, errs
}

// TestWriterDiesAtEveryCall lets the process end before and after each of its calls to the server, and asks another one whether the database is sound
// and every value can be had.
func TestWriterDiesAtEveryCall(t *testing.T) {
	db, next := newLives(t)
	for _, afterwards := range []bool{false, true} {
		for n := 1; ; n++ {
			kind := fmt.Sprintf("died-%v-%d", afterwards, n)
			calls := 0
			db.SetFault(func(string) (before, after error) {
				switch calls++; {
				case calls > n, calls == n && !afterwards:
					return errPulled, nil
				case calls == n:
					return nil, errPulled
				}
				return nil, nil
			})
			life(t, db, next, kind)
			audit(t, next)
			claimable(t, next, kind)
			audit(t, next)
			if calls < n {
				if n < 25 {
					t.Errorf("only %d calls: does the test see them all?", n)
				}
				break
			}
			clear(t, next, kind)
		}
	}
}

// TestCallFailsAtEveryCall lets the process live, but one of its calls to the server is not made, or is made and not answered.
func TestCallFailsAtEveryCall(t *testing.T) {
	db, next := newLives(t)
	expected := []error{nil, store.ErrUnavailable, store.ErrConflict, store.ErrNotFound, store.ErrTaken}
	for _, made := range []bool{false, true} {
		for n := 1; ; n++ {
			kind := fmt.Sprintf("failed-%v-%d", made, n)
			calls := 0
			db.SetFault(func(string) (before, after error) {
				switch calls++; {
				case calls == n && made:
					return nil, errPulled
				case calls == n:
					return errPulled, nil
				}
				return nil, nil
			})
			taken, errs := life(t, db, next, kind)
			for _, err := range errs {
				if !slices.ContainsFunc(expected, func(want error) bool { return errors.Is(err, want) }) {
					t.Errorf("%s: %v", kind, err)
				}
			}
			if slices.Sort(taken); len(slices.Compact(taken)) != len(taken) {
				t.Errorf("%s: taken twice: %q", kind, taken)
			}
			audit(t, next)
			claimable(t, next, kind)
			audit(t, next)
			if calls < n {
				break
			}
			clear(t, next, kind)
		}
	}
}

// newLives returns two processes with one store, the first of which is to fail.
func newLives(t *testing.T) (failing, next *mongo.DB) {
	t.Helper()
	uri := mongotest.Database(t, mongotest.Options{})
	return open(t, uri), open(t, uri)
}

// claimable asserts that every value is held by a document that is found by it, or can be had.
func claimable(t *testing.T, db *mongo.DB, kind string) {
	t.Helper()
	for _, u := range []string{"u1", "u2", "u3"} {
		d, err := db.GetBy(t.Context(), kind, u)
		held := err == nil && slices.Contains(d.Unique, u)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		_, err = db.Put(t.Context(), kind, store.Doc{Key: "heir of " + u, Unique: []string{u}})
		if held && !errors.Is(err, store.ErrTaken) || !held && err != nil {
			t.Fatalf("%s: %s, held %v: %v", kind, u, held, err)
		}
	}
	for _, index := range []string{"", "n:", "m:"} {
		docs, err := db.List(t.Context(), kind, index, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			if got, err := db.Get(t.Context(), kind, d.Key); err != nil || got.Version != d.Version {
				t.Fatalf("%s: listed %q, which Get does not have: %v", kind, d.Key, err)
			}
		}
	}
}

// clear keeps the collections small.
func clear(t *testing.T, db *mongo.DB, kind string) {
	t.Helper()
	docs, err := db.List(t.Context(), kind, "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if err := db.Delete(t.Context(), kind, d.Key); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStalledWriterCannotComeThrough holds a writer right before its document is written, for as long as another one needs to lose its
// patience and take the value, and lets it go on then: only one of them may have it.
func TestStalledWriterCannotComeThrough(t *testing.T) {
	for name, prepare := range map[string]func(*mongo.DB) (store.Doc, error){
		"a new document": func(*mongo.DB) (store.Doc, error) { return store.Doc{Key: "slow", Unique: []string{"u"}}, nil },
		"a document that gets another value": func(db *mongo.DB) (store.Doc, error) {
			v, err := db.Put(t.Context(), "k", store.Doc{Key: "slow", Unique: []string{"kept"}, Index: []string{"n:1"}})
			return store.Doc{Key: "slow", Version: v, Unique: []string{"kept", "u"}, Index: []string{"n:1"}}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			slow, quick := newLives(t)
			d, err := prepare(slow)
			if err != nil {
				t.Fatal(err)
			}
			stalled, goOn := make(chan struct{}), make(chan struct{})
			first := true
			slow.SetFault(func(step string) (before, after error) {
				if step == "replace" && first {
					first = false
					close(stalled)
					<-goOn
				}
				return nil, nil
			})
			result := make(chan error, 1)
			go func() {
				_, err := slow.Put(t.Context(), "k", d)
				result <- err
			}()
			<-stalled
			if _, err := quick.Put(t.Context(), "k", store.Doc{Key: "quick", Unique: []string{"u"}}); err != nil {
				t.Errorf("the other writer: %v", err)
			}
			close(goOn)
			if err := <-result; !errors.Is(err, store.ErrTaken) {
				t.Errorf("the stalled writer: %v, want ErrTaken", err)
			}
			if got, err := quick.GetBy(t.Context(), "k", "u"); err != nil || got.Key != "quick" {
				t.Errorf("u leads to %q, %v", got.Key, err)
			}
			if o := audit(t, quick); o != (mongo.Orphans{}) {
				t.Errorf("left over: %+v", o)
			}
		})
	}
}

// TestTakeWhoseAnswerWasLost is handed to the caller that removed the document, if it is found there still; otherwise to nobody.
func TestTakeWhoseAnswerWasLost(t *testing.T) {
	db := newStore(t)
	for _, tt := range []struct {
		name          string
		before, after error
		want          error
	}{
		{"the request was lost", errPulled, nil, nil},
		{"the answer was lost", nil, errPulled, store.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db.SetFault(nil)
			if _, err := db.Put(t.Context(), "k", store.Doc{Key: "code"}); err != nil {
				t.Fatal(err)
			}
			failed := false
			db.SetFault(func(step string) (before, after error) {
				if step != "remove" || failed {
					return nil, nil
				}
				failed = true
				return tt.before, tt.after
			})
			if _, err := db.Take(t.Context(), "k", "code"); !errors.Is(err, tt.want) {
				t.Errorf("take: %v, want %v", err, tt.want)
			}
			if _, err := db.Take(t.Context(), "k", "code"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("take again: %v", err)
			}
		})
	}
}

// TestPutWhoseAnswerWasLost succeeds, for the record carries the mark of the write.
func TestPutWhoseAnswerWasLost(t *testing.T) {
	db := newStore(t)
	for _, step := range []string{"insert", "replace"} {
		for version := range uint64(2) {
			failed := false
			db.SetFault(func(s string) (before, after error) {
				if s != step || failed {
					return nil, nil
				}
				failed = true
				return nil, errPulled
			})
			d := store.Doc{Key: step, Version: version, Index: []string{"n:1"}}
			if v, err := db.Put(t.Context(), "k", d); err != nil || v != version+1 {
				t.Errorf("%s of version %d: %d, %v", step, version, v, err)
			}
		}
	}
	if o := audit(t, db); o != (mongo.Orphans{}) {
		t.Errorf("left over: %+v", o)
	}
}

// TestCreationIsNotSentTwice: the first one could come through late, when the document was taken already, and bring it back.
func TestCreationIsNotSentTwice(t *testing.T) {
	db := newStore(t)
	inserts := 0
	db.SetFault(func(step string) (before, after error) {
		if step == "insert" {
			inserts++
			return errPulled, nil
		}
		return nil, nil
	})
	if _, err := db.Put(t.Context(), "k", store.Doc{Key: "code"}); !errors.Is(err, store.ErrUnavailable) || inserts != 1 {
		t.Errorf("%d inserts, %v", inserts, err)
	}
}
