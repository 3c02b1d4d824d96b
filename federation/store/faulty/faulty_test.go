package faulty_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/faulty"
	"github.com/weir-id/weir/federation/store/storetest"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func now() time.Time { return epoch }

func newBolt(t *testing.T) store.Engine {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Without a fault it is the engine below, whole.
func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "weir.db")
		return func(now func() time.Time) (store.Engine, error) {
			db, err := bolt.Open(path, bolt.Options{Now: now})
			return &faulty.Engine{Engine: db, Choose: faulty.Nth(0, faulty.Refuse)}, err
		}
	})
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	for _, tt := range []struct {
		fault           faulty.Fault
		puts, takes     error
		stored, removed bool
	}{
		{faulty.None, nil, nil, true, true},
		{faulty.Refuse, store.ErrUnavailable, store.ErrUnavailable, false, false},
		{faulty.Lose, store.ErrUnavailable, store.ErrUnavailable, true, true},
		{faulty.Repeat, store.ErrConflict, store.ErrNotFound, true, true},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			db := newBolt(t)
			there := func() bool { _, err := db.Get(t.Context(), "k", "a"); return err == nil }
			e := &faulty.Engine{Engine: db, Choose: faulty.Nth(1, tt.fault)}
			if _, err := e.Put(t.Context(), "k", store.Doc{Key: "a"}); !errors.Is(err, tt.puts) || there() != tt.stored {
				t.Errorf("put: %v, stored %v", err, there())
			}
			if !there() {
				if _, err := e.Put(t.Context(), "k", store.Doc{Key: "a"}); err != nil {
					t.Fatal(err)
				}
			}
			e = &faulty.Engine{Engine: db, Choose: faulty.Nth(1, tt.fault)}
			if _, err := e.Take(t.Context(), "k", "a"); !errors.Is(err, tt.takes) || there() == tt.removed {
				t.Errorf("take: %v, there %v", err, there())
			}
			if e.Calls() != 1 {
				t.Errorf("%d calls counted", e.Calls())
			}
		})
	}
}
