package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// TestDryAnswersAsTheEngineAndWritesNothing: every Put has the same outcome on the dry engine first, and on the engine in it then.
func TestDryAnswersAsTheEngineAndWritesNothing(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	dry := store.Dry{Engine: db}
	const kind = "thing"
	doc := func(key string, version uint64, unique ...string) store.Doc {
		return store.Doc{Key: key, Version: version, Unique: unique, Index: []string{"all:"}, Body: []byte(key)}
	}
	ended := doc("c", 0, "third")
	ended.Expires = time.Now().Add(-time.Hour)
	for _, step := range []struct {
		name string
		doc  store.Doc
		want error
	}{
		{"a new one", doc("a", 0, "first"), nil},
		{"the same again", doc("a", 0, "first"), store.ErrConflict},
		{"another version", doc("a", 5, "first"), store.ErrConflict},
		{"its own value", doc("a", 1, "first", "second"), nil},
		{"another's value", doc("b", 0, "second"), store.ErrTaken},
		{"one that has ended", ended, nil},
		{"in place of it", doc("c", 0, "third"), nil},
		{"one that is not there", doc("d", 1), store.ErrConflict},
		{"no key", doc("", 0), store.ErrInvalid},
	} {
		before, _ := db.Get(t.Context(), kind, "a")
		v, err := dry.Put(t.Context(), kind, step.doc)
		after, _ := db.Get(t.Context(), kind, "a")
		want, werr := db.Put(t.Context(), kind, step.doc)
		if !errors.Is(err, step.want) || !errors.Is(werr, step.want) || v != want || before.Version != after.Version {
			t.Errorf("%s: %d, %v; the engine has %d, %v; want %v", step.name, v, err, want, werr, step.want)
		}
	}
	if d, err := dry.Take(t.Context(), kind, "a"); err != nil || d.Version != 2 {
		t.Errorf("take: %+v, %v", d, err)
	}
	if err := dry.Delete(t.Context(), kind, "a"); err != nil {
		t.Error(err)
	}
	if n, err := dry.Sweep(t.Context(), time.Now()); err != nil || n != 0 {
		t.Errorf("sweep: %d, %v", n, err)
	}
	if err := dry.Close(); err != nil {
		t.Error(err)
	}
	if d, err := db.Get(t.Context(), kind, "a"); err != nil || d.Version != 2 {
		t.Errorf("it is gone: %+v, %v", d, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"get": second(dry.Get(t.Context(), kind, "a")), "put": second(dry.Put(t.Context(), kind, doc("a", 2))), "take": second(dry.Take(t.Context(), kind, "a")),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s of a store that is closed: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
