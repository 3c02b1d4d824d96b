package storetest

import (
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/store"
)

const hour = time.Hour

var expiryCases = []testCase{
	{"an expired document is gone for every reader", expiredGone},
	{"no document ends before its time", neverEarly},
	{"an expired document can be created anew", expiredCreate},
	{"the unique values of an expired document are free", expiredUnique},
	{"pages pass over expired documents", expiredPages},
	{"an update moves the expiry", expiryMoves},
	{"sweep removes what has expired", sweep},
	{"sweep spares what is live", sweepSpares},
	{"sweep removes a great many", sweepMany},
}

func expiredGone(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Expires: f.clock.Now().Add(hour)})
	f.clock.advance(hour - time.Millisecond)
	f.has("k", d)
	f.holds("k", "u", d)
	f.lists("k", "n:", "a")
	f.clock.advance(time.Millisecond)
	f.lacks("k", "a")
	f.free("k", "u")
	f.lists("k", "n:")
	f.lists("k", "")
	_, err := f.engine.Take(f.Context(), "k", "a")
	f.wantError(err, store.ErrNotFound)
	f.refuse("k", d, store.ErrConflict)
	f.delete("k", "a")
	f.reopen()
	f.lacks("k", "a")
}

func neverEarly(f *fixture) {
	f.put("k", store.Doc{Key: "a", Expires: f.clock.Now().Add(1500 * time.Microsecond)})
	f.clock.advance(1200 * time.Microsecond)
	if _, err := f.engine.Get(f.Context(), "k", "a"); err != nil {
		f.Errorf("0.3 ms before the end: %v", err)
	}
	f.clock.advance(800 * time.Microsecond) // the next whole millisecond
	f.lacks("k", "a")
}

func expiredCreate(f *fixture) {
	f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Expires: f.clock.Now().Add(hour)})
	f.clock.advance(2 * hour)
	d := f.put("k", store.Doc{Key: "a", Unique: []string{"v"}, Index: []string{"n:2"}})
	f.has("k", d)
	f.free("k", "u")
	f.holds("k", "v", d)
	f.lists("k", "n:", "a")
	f.lists("k", "n:1")
	if n, err := f.engine.Sweep(f.Context(), f.clock.Now()); n != 0 || err != nil {
		f.Errorf("sweep removed %d, %v", n, err)
	}
	f.has("k", d)
}

func expiredUnique(f *fixture) {
	f.put("k", store.Doc{Key: "a", Unique: []string{"u", "old"}, Index: []string{"n:1"}, Expires: f.clock.Now().Add(hour)})
	f.put("k", store.Doc{Key: "b", Unique: []string{"w"}, Expires: f.clock.Now().Add(hour)})
	f.refuse("k", store.Doc{Key: "c", Unique: []string{"u"}}, store.ErrTaken)
	f.clock.advance(hour)
	c := f.put("k", store.Doc{Key: "c", Unique: []string{"u", "w"}})
	f.holds("k", "u", c)
	f.holds("k", "w", c)
	f.free("k", "old")
	if _, err := f.engine.Sweep(f.Context(), f.clock.Now().Add(time.Millisecond)); err != nil {
		f.Fatalf("sweep: %v", err)
	}
	f.holds("k", "u", c) // what the dead left must not pull the living down
	f.holds("k", "w", c)
	f.refuse("k", store.Doc{Key: "d", Unique: []string{"u"}}, store.ErrTaken)
}

func expiredPages(f *fixture) {
	want := []string{}
	for i := range 30 {
		d := store.Doc{Key: numbered("d", i), Index: []string{"n:x"}}
		if i%3 != 0 {
			d.Expires = f.clock.Now().Add(hour)
		} else {
			want = append(want, d.Key)
		}
		f.put("k", d)
	}
	f.clock.advance(hour)
	f.lists("k", "", want...)
	f.lists("k", "n:", want...)
}

func expiryMoves(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Expires: f.clock.Now().Add(hour)})
	d.Expires = f.clock.Now().Add(3 * hour)
	d = f.put("k", d)
	forever := f.put("k", store.Doc{Key: "b", Expires: f.clock.Now().Add(hour)})
	forever.Expires = time.Time{}
	forever = f.put("k", forever)
	shorter := f.put("k", store.Doc{Key: "c"})
	shorter.Expires = f.clock.Now().Add(hour)
	f.put("k", shorter)
	f.clock.advance(2 * hour)
	f.sweeps(1)
	f.has("k", d)
	f.has("k", forever)
	f.lacks("k", "c")
	f.clock.advance(2 * hour)
	f.lacks("k", "a")
	f.sweeps(1)
	f.has("k", forever)
}

// sweeps asserts that Sweep up to now removes n documents.
func (f *fixture) sweeps(n int) {
	f.Helper()
	got, err := f.engine.Sweep(f.Context(), f.clock.Now())
	if err != nil || got != n {
		f.Fatalf("sweep removed %d, %v; want %d", got, err, n)
	}
}

func sweep(f *fixture) {
	for i := range 10 {
		f.put(fmt.Sprint("kind", i%2), store.Doc{
			Key: numbered("d", i), Unique: []string{numbered("u", i)}, Index: []string{"n:x"}, Expires: f.clock.Now().Add(hour),
		})
	}
	forever := f.put("kind0", store.Doc{Key: "forever", Unique: []string{"f"}, Index: []string{"n:x"}})
	f.sweeps(0)
	f.clock.advance(hour)
	f.sweeps(0) // expired now, not before now
	f.clock.advance(time.Millisecond)
	f.sweeps(10)
	f.sweeps(0)
	// The time is turned back to see that the documents and what pointed at them are gone, not hidden.
	f.clock.advance(-hour)
	f.lists("kind0", "", "forever")
	f.lists("kind0", "n:", "forever")
	f.lists("kind1", "")
	f.lists("kind1", "n:")
	f.holds("kind0", "f", forever)
	for i := range 10 {
		kind := fmt.Sprint("kind", i%2)
		f.lacks(kind, numbered("d", i))
		f.free(kind, numbered("u", i))
		f.put(kind, store.Doc{Key: numbered("e", i), Unique: []string{numbered("u", i)}})
	}
}

func sweepSpares(f *fixture) {
	short := f.put("k", store.Doc{Key: "short", Expires: f.clock.Now().Add(hour)})
	f.put("k", store.Doc{Key: "dead", Expires: f.clock.Now().Add(-hour)})
	f.lacks("k", "dead")
	n, err := f.engine.Sweep(f.Context(), f.clock.Now().Add(24*hour))
	if n != 1 || err != nil {
		f.Errorf("sweep with a time in the future removed %d, %v; want 1", n, err)
	}
	f.has("k", short)
	f.clock.advance(3 * hour)
	n, err = f.engine.Sweep(f.Context(), f.clock.Now().Add(-2*hour))
	if n != 0 || err != nil {
		f.Errorf("sweep before the expiry removed %d, %v", n, err)
	}
	f.sweeps(1)
}

func sweepMany(f *fixture) {
	const n = 700
	f.race(nil, func(i int) error {
		for j := i; j < n; j += racers {
			_, err := f.engine.Put(f.Context(), "k", store.Doc{
				Key: numbered("d", j), Index: []string{"n:x"}, Expires: f.clock.Now().Add(time.Duration(j+1) * time.Second),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.clock.advance(600*time.Second + time.Millisecond)
	f.sweeps(600)
	if left := len(f.keys("k", "n:", 1000)); left != 100 {
		f.Errorf("%d documents left, want 100", left)
	}
}
