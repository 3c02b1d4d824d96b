package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/store"
)

func TestUpdateLosesNothing(t *testing.T) {
	k := people(engine(t))
	if _, err := k.Put(t.Context(), &person{ID: "n"}, 0); err != nil {
		t.Fatal(err)
	}
	const racers, each = 32, 4
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			for done := 0; done < each; {
				_, err := k.Update(t.Context(), "n", func(p *person) error { p.Level++; return nil })
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict): // too many rounds lost is no loss: it says so
					t.Errorf("update: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	got, err := k.Get(t.Context(), "n")
	if err != nil || got.Value.Level != racers*each || got.Version != racers*each+1 {
		t.Errorf("counted to %d in version %d, %v", got.Value.Level, got.Version, err)
	}
}

func TestUpdateStops(t *testing.T) {
	k := people(engine(t))
	if _, err := k.Put(t.Context(), &person{ID: "n", Level: 1}, 0); err != nil {
		t.Fatal(err)
	}
	refuse := errors.New("refused")
	if _, err := k.Update(t.Context(), "n", func(p *person) error { p.Level = 9; return refuse }); !errors.Is(err, refuse) {
		t.Errorf("error %v", err)
	}
	e, err := k.Update(t.Context(), "n", func(*person) error { return fmt.Errorf("as it is: %w", store.ErrUnchanged) })
	if err != nil || e.Version != 1 {
		t.Errorf("unchanged: version %d, %v", e.Version, err)
	}
	if got, err := k.Get(t.Context(), "n"); err != nil || got.Version != 1 || got.Value.Level != 1 {
		t.Errorf("something was written: %+v, %v", got, err)
	}
	if _, err := k.Update(t.Context(), "missing", func(*person) error { t.Error("called"); return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	e, err = k.Update(t.Context(), "n", func(p *person) error { p.Level = 2; return nil })
	if err != nil || e.Version != 2 || e.Value.Level != 2 {
		t.Errorf("updated: %+v, %v", e, err)
	}
}

// loser is an engine in which another writer always comes between.
type loser struct{ store.Engine }

// Put loses.
func (l loser) Put(context.Context, string, store.Doc) (uint64, error) {
	return 0, fmt.Errorf("put: %w", store.ErrConflict)
}

func TestUpdateGivesUpInTheEnd(t *testing.T) {
	e := engine(t)
	if _, err := people(e).Put(t.Context(), &person{ID: "n"}, 0); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	_, err := people(loser{e}).Update(t.Context(), "n", func(*person) error { rounds++; return nil })
	if !errors.Is(err, store.ErrConflict) || rounds < 2 || rounds > 1000 {
		t.Errorf("%d rounds, %v", rounds, err)
	}
}
