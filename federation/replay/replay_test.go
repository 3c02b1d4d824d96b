package replay_test

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/store/bolt"
)

func TestReplays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var clock atomic.Pointer[time.Time]
	clock.Store(&now)
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: func() time.Time { return *clock.Load() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := &replay.Messages{Engine: db}
	until := now.Add(time.Minute)
	use := func(issuer, id string) error { return r.Once(t.Context(), issuer, id, until) }

	var first atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			switch err := use("https://idp.example.com", "_1"); {
			case err == nil:
				first.Add(1)
			case !errors.Is(err, replay.ErrReplayed):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := first.Load(); n != 1 {
		t.Errorf("%d of 32 were first, want 1", n)
	}
	for _, c := range [][2]string{{"https://idp.example.com", "_2"}, {"https://other.example.com", "_1"}, {"a", "b\x00c"}, {"a\x00b", "c"}} {
		if err := use(c[0], c[1]); err != nil {
			t.Errorf("%q is another message: %v", c, err)
		}
	}
	for id, want := range map[string]bool{"_1": true, "_2": true, "_3": false} {
		if known, err := r.Known(t.Context(), "https://idp.example.com", id); known != want || err != nil {
			t.Errorf("%s: known %t, %v", id, known, err)
		}
	}
	later := until.Add(time.Second)
	clock.Store(&later)
	if known, err := r.Known(t.Context(), "https://idp.example.com", "_1"); known || err != nil {
		t.Errorf("known %t after its time, %v", known, err)
	}
	if n, err := db.Sweep(t.Context(), later); err != nil || n != 5 {
		t.Errorf("swept %d, %v; want 5", n, err)
	}
}
