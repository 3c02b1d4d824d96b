package mongo_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
)

// TestCallsOfEachOperation says what each operation costs where nobody is in its way. Every read and write of a document or a claim names one _id.
func TestCallsOfEachOperation(t *testing.T) {
	db := newStore(t)
	ctx := t.Context()
	put := func(d store.Doc) func() error { return func() error { _, err := db.Put(ctx, "k", d); return err } }
	index := []string{"n:1"}
	for _, tt := range []struct {
		name string
		call func() error
		want string
	}{
		{"create a plain document", put(store.Doc{Key: "plain"}), "insert"},
		{"replace it", put(store.Doc{Key: "plain", Version: 1}), "read, replace"},
		{"create one with index entries", put(store.Doc{Key: "indexed", Index: index}), "enter, insert"},
		{"create one with unique values and entries", put(store.Doc{Key: "user", Unique: []string{"u", "v"}, Index: index}), "insert, claim, enter, replace"},
		{"replace it with the same names", put(store.Doc{Key: "user", Version: 1, Unique: []string{"v", "u"}, Index: index}), "read, replace"},
		{"replace it with other names", put(store.Doc{Key: "user", Version: 2, Unique: []string{"u", "w"}, Index: []string{"n:2"}}),
			"read, claim, enter, replace, free claims, free entries"},
		{"get", func() error { _, err := db.Get(ctx, "k", "user"); return err }, "read"},
		{"get by a unique value", func() error { _, err := db.GetBy(ctx, "k", "w"); return err }, "read claim, read"},
		{"list by key", func() error { _, err := db.List(ctx, "k", "", "", 10); return err }, "list"},
		{"list by entry", func() error { _, err := db.List(ctx, "k", "n:", "", 10); return err }, "list, list"},
		{"take a plain document", func() error { _, err := db.Take(ctx, "k", "plain"); return err }, "read, remove"},
		{"delete one with names", func() error { return db.Delete(ctx, "k", "user") }, "read, remove, free claims, free entries"},
		{"delete what is not there", func() error { return db.Delete(ctx, "k", "user") }, "read"},
		{"sweep nothing", func() error { _, err := db.Sweep(ctx, start); return err }, "list"},
	} {
		var steps []string
		db.SetFault(func(step string) (before, after error) { steps = append(steps, step); return nil, nil })
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := strings.Join(steps, ", "); got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
		}
	}
}

// TestSweepClearsAwayWhatWasLeft: seeds of writers that died go when an hour has passed, and are not counted.
func TestSweepClearsAwayWhatWasLeft(t *testing.T) {
	db := newStore(t)
	db.SetFault(func(step string) (before, after error) {
		if step == "insert" {
			return nil, nil
		}
		return errPulled, nil
	})
	if _, err := db.Put(t.Context(), "k", store.Doc{Key: "a", Unique: []string{"u"}}); err == nil {
		t.Fatal("put without a claim")
	}
	db.SetFault(nil)
	if o := audit(t, db); o.Seeds != 1 {
		t.Fatalf("left over: %+v", o)
	}
	if n, err := db.Sweep(t.Context(), start); n != 0 || err != nil || audit(t, db).Seeds != 1 {
		t.Errorf("a young seed: swept %d, %v", n, err)
	}
	db.SetNow(func() time.Time { return start.Add(2 * time.Hour) })
	if n, err := db.Sweep(t.Context(), start.Add(2*time.Hour)); n != 0 || err != nil || audit(t, db).Seeds != 0 {
		t.Errorf("an old seed: swept %d, %v", n, err)
	}
}

// TestWriterOfTheSameDocumentDied: what it left is taken over, by a writer that creates the document and by one that changes it.
func TestWriterOfTheSameDocumentDied(t *testing.T) {
	db, next := newLives(t)
	for version := range uint64(2) {
		db.SetFault(func(step string) (before, after error) {
			if slices.Contains([]string{"replace", "free claims", "remove"}, step) {
				return errPulled, nil
			}
			return nil, nil
		})
		d := store.Doc{Key: "a", Version: version, Unique: []string{"u", "v"}[:1+version]}
		if _, err := db.Put(t.Context(), "k", d); err == nil {
			t.Fatal("put without a commit")
		}
		if v, err := next.Put(t.Context(), "k", d); err != nil || v != version+1 {
			t.Errorf("the next one: version %d, %v", v, err)
		}
		if o := audit(t, next); o != (mongo.Orphans{}) {
			t.Errorf("left over: %+v", o)
		}
	}
}

// TestClockThatIsSetBack: a document that a writer takes for expired, and for live a moment later, is removed or respected, but never loses its claim.
func TestClockThatIsSetBack(t *testing.T) {
	db := newStore(t)
	for early := range 5 { // how often the clock is asked before it is set back
		kind := strings.Repeat("k", early+1)
		db.SetNow(func() time.Time { return start })
		if _, err := db.Put(t.Context(), kind, store.Doc{Key: "a", Unique: []string{"u"}, Expires: start.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		asked := 0
		db.SetNow(func() time.Time {
			if asked++; asked <= early {
				return start.Add(2 * time.Hour)
			}
			return start
		})
		db.SetPatience(0)
		_, err := db.Put(t.Context(), kind, store.Doc{Key: "b", Unique: []string{"u"}})
		if err != nil && !errors.Is(err, store.ErrTaken) {
			t.Errorf("set back after %d looks: %v", early, err)
		}
		audit(t, db)
	}
}
