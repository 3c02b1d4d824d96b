package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/migrate"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

// engines are the engines that stores are made of here. Every test runs with each.
var engines = []struct {
	name string
	open func(t *testing.T, now func() time.Time) migrate.Store
}{
	{"bolt", openBolt},
	{"mongo", openMongo},
}

func openMongo(t *testing.T, now func() time.Time) migrate.Store {
	t.Helper()
	db, err := mongo.Open(t.Context(), mongotest.Database(t, mongotest.Options{OneConnection: true}), mongo.Options{Now: now})
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

func openBolt(t *testing.T, now func() time.Time) migrate.Store {
	return boltAt(t, filepath.Join(t.TempDir(), "weir.db"), now)
}

func boltAt(t testing.TB, path string, now func() time.Time) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, bolt.Options{Now: now})
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

// clock stands still until it is moved.
type clock struct{ moved atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(c.moved.Load()))
}

func ring(t testing.TB, fill string) *secret.Ring {
	t.Helper()
	r, err := secret.ParseRing(strings.NewReader(strings.Repeat(fill, 43) + "="))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fixture is a source with everything that a store can have, and an empty target of an engine.
type fixture struct {
	*testing.T
	clock *clock
	n     int // how many users are many
	m     *migrate.Migration
}

// each runs a test with every engine as the target, and with every engine as the source.
func each(t *testing.T, f func(*fixture)) {
	for _, from := range engines {
		for _, to := range engines {
			if from.name == to.name && from.name != "bolt" {
				continue // the way from bolt and the way back
			}
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				c := &clock{}
				n := 600
				if from.name != "bolt" || to.name != "bolt" {
					n = 25 // the test's server may be a small one; many pages are what the other case has
				}
				f(&fixture{T: t, clock: c, n: n, m: &migrate.Migration{From: from.open(t, c.Now), To: to.open(t, c.Now),
					FromName: from.name + ":from", ToName: to.name + ":to", Ring: ring(t, "A"), Now: c.Now}})
			})
		}
	}
}

// sealed is a kind as the domain has them: its bodies are bound to its kind, its keys and the ring.
func sealed(e store.Engine, r *secret.Ring) *store.Kind[map[string]string] {
	return &store.Kind[map[string]string]{Engine: e, Ring: r, Name: "provider", KeysOf: func(v *map[string]string) store.Keys {
		return store.Keys{Key: (*v)["name"], Index: []string{"pool:" + (*v)["pool"]}}
	}}
}

// fill puts n users and what else there is into the source.
func (f *fixture) fill(n int) {
	f.Helper()
	if err := store.CheckRing(f.Context(), f.m.From, f.m.Ring); err != nil {
		f.Fatal(err)
	}
	fillUsers(f.T, f.m.From, n)
	for i := range 7 {
		v := map[string]string{"name": fmt.Sprintf("Corp%d", i), "pool": "local_Example01", "secret": "of the provider"}
		if _, err := sealed(f.m.From, f.m.Ring).Put(f.Context(), &v, 0); err != nil {
			f.Fatal(err)
		}
	}
	f.put("grant", store.Doc{Key: "live", Expires: f.clock.Now().Add(time.Hour + 1), Body: []byte("a grant")})
	f.put("grant", store.Doc{Key: "ends soon", Unique: []string{"handle"}, Expires: f.clock.Now().Add(time.Minute), Body: []byte("another")})
	f.clock.moved.Add(int64(2 * time.Minute))
	f.put("kind of a later release", store.Doc{Key: "\x01\xff odd", Unique: []string{"\x02", "\xfe\xff"}, Index: []string{"a:\x01", "b:\xff"}, Body: []byte{0, 1, 2}})
}

// fillUsers writes side by side, for the disk's sake.
func fillUsers(t testing.TB, s store.Engine, n int) {
	t.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	writers := 64
	if n < 100 {
		writers = 1
	}
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if _, err := s.Put(t.Context(), "user", user(i, "first")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func user(i int, rev string) store.Doc {
	return store.Doc{Key: fmt.Sprintf("pool/%06d", i), Unique: []string{fmt.Sprintf("name:%06d", i), fmt.Sprintf("alias:%06d", i)},
		Index: []string{"pool:local_Example01", fmt.Sprintf("email:%03d@example.com", i%100)}, Body: []byte(rev)}
}

func (f *fixture) put(kind string, d store.Doc) {
	f.Helper()
	old, err := f.m.From.Get(f.Context(), kind, d.Key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		f.Fatal(err)
	}
	d.Version = old.Version
	if _, err := f.m.From.Put(f.Context(), kind, d); err != nil {
		f.Fatalf("put %s %q: %v", kind, d.Key, err)
	}
}

func (f *fixture) delete(kind, key string) {
	f.Helper()
	if err := f.m.From.Delete(f.Context(), kind, key); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) run() migrate.Report {
	f.Helper()
	r, err := f.m.Run(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *fixture) wantError(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("error %v, want %v", err, want)
	}
}

// content is a store as its readers see it: every document, and that it is found by what it has. It is not what the migration compares with.
func content(t *testing.T, s migrate.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	kinds, err := s.Kinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		if kind == "migration" {
			continue
		}
		entries := map[string][]string{} // the keys under each
		for _, d := range all(t, s, kind, "") {
			out[kind+"\x00"+d.Key] = fmt.Sprintf("%q %q %q %v", d.Unique, d.Index, d.Body, d.Expires.UTC())
			for _, u := range d.Unique {
				if got, err := s.GetBy(t.Context(), kind, u); err != nil || got.Key != d.Key || !bytes.Equal(got.Body, d.Body) {
					t.Fatalf("%s %q by %q: %q, %v", kind, d.Key, u, got.Key, err)
				}
			}
			for _, e := range d.Index {
				entries[e] = append(entries[e], d.Key)
			}
		}
		for e, want := range entries {
			var got []string
			for _, d := range all(t, s, kind, e) {
				if slices.Contains(d.Index, e) { // and not only begins so
					got = append(got, d.Key)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %d documents are listed under %q, %d have it", kind, len(got), e, len(want))
			}
		}
	}
	return out
}

// all lists page by page.
func all(t *testing.T, s store.Engine, kind, index string) (docs []store.Doc) {
	t.Helper()
	for after := ""; ; after = store.Cursor(docs[len(docs)-1], index) {
		page, err := s.List(t.Context(), kind, index, after, 300)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, page...)
		if len(page) < 300 {
			return docs
		}
	}
}

func (f *fixture) sameContent() {
	f.Helper()
	from, to := content(f.T, f.m.From), content(f.T, f.m.To)
	if !maps.Equal(from, to) {
		f.Fatalf("%d documents in the source, %d in the target, or some differ", len(from), len(to))
	}
}

func (f *fixture) counts(r migrate.Report, want map[string]migrate.Count) {
	f.Helper()
	for _, c := range r.Kinds {
		kind := c.Kind
		if c.Kind = ""; c != want[kind] {
			f.Errorf("%s: %+v, want %+v", kind, c, want[kind])
		}
		delete(want, kind)
	}
	if len(want) > 0 {
		f.Errorf("not in the report: %v", want)
	}
}

func TestAWholeStoreIsCopied(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(f.n)
		f.counts(f.run(), map[string]migrate.Count{
			"user": {Documents: f.n, Created: f.n}, "provider": {Documents: 7, Created: 7}, "meta": {Documents: 1, Created: 1},
			"grant": {Documents: 1, Created: 1}, "kind of a later release": {Documents: 1, Created: 1},
		})
		f.sameContent()
		if v, err := sealed(f.m.To, f.m.Ring).Get(f.Context(), "Corp3"); err != nil || v.Value["secret"] != "of the provider" {
			f.Errorf("a sealed document in the target: %v, %v", v, err)
		}
		if err := store.CheckRing(f.Context(), f.m.To, ring(t, "B")); !errors.Is(err, store.ErrWrongRing) {
			f.Errorf("the target opens with other sealing keys: %v", err)
		}
		// And back, into a store that is new.
		back := &migrate.Migration{From: f.m.To, To: openBolt(t, f.clock.Now), FromName: "to", ToName: "back", Ring: f.m.Ring, Now: f.clock.Now}
		if _, err := back.Run(f.Context()); err != nil {
			f.Fatal(err)
		}
		if !maps.Equal(content(t, f.m.From), content(t, back.To)) {
			f.Error("what came back is not what went")
		}
	})
}

func TestOnlyTheDifferenceIsWrittenAfterACopyAhead(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(f.n)
		if _, err := f.m.Ahead(f.Context()); err != nil {
			f.Fatal(err)
		}
		f.put("user", user(3, "second"))
		moved := user(4, "first")
		moved.Index = moved.Index[:1]
		f.put("user", moved)
		f.delete("user", user(5, "").Key)
		f.put("user", user(f.n+1, "first"))
		f.put("grant", store.Doc{Key: "live", Expires: f.clock.Now().Add(2 * time.Hour), Body: []byte("a grant")})
		f.delete("kind of a later release", "\x01\xff odd")
		f.counts(f.run(), map[string]migrate.Count{
			"user": {Documents: f.n, Created: 1, Replaced: 2, Removed: 1}, "provider": {Documents: 7}, "meta": {Documents: 1},
			"grant": {Documents: 1, Replaced: 1}, "kind of a later release": {Removed: 1},
		})
		f.sameContent()
	})
}

func TestUniqueValuesThatChangedHandsAreNotInTheWay(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(f.n)
		if _, err := f.m.Ahead(f.Context()); err != nil {
			f.Fatal(err)
		}
		// Rings and chains, forwards and backwards in the order of the keys, within a page and beyond.
		for _, ring := range [][]int{{1, 2}, {13, 10, 11}, {5, f.n - 1}, {f.n - 2, f.n / 6, f.n / 2, f.n / 3}} {
			names := make([]string, len(ring))
			for i, n := range ring {
				names[i] = user(n, "").Unique[0]
				d := user(n, "between")
				d.Unique = d.Unique[1:]
				f.put("user", d)
			}
			for i, n := range ring {
				d := user(n, "after")
				d.Unique[0] = names[(i+1)%len(names)]
				f.put("user", d)
			}
		}
		f.delete("user", user(20, "").Key)
		heir := user(15, "heir")
		heir.Unique = append(heir.Unique, user(20, "").Unique...)
		f.put("user", heir)
		f.run()
		f.sameContent()
	})
}

func TestWhatExpiresMeanwhileIsNoDifference(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(10)
		f.put("replay", store.Doc{Key: "ends between the walks", Expires: f.clock.Now().Add(time.Second), Body: []byte("x")})
		f.m.Progress = func(s migrate.Step) {
			if s.Verifying && s.Kind == "replay" {
				f.clock.moved.Add(int64(time.Second))
			}
		}
		f.run()
		f.sameContent()
	})
}

func TestASourceThatIsServedIsNoticed(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(10)
		f.m.Progress = func(s migrate.Step) {
			if s.Verifying && s.Kind == "user" {
				f.put("user", user(3, "signed in meanwhile"))
			}
		}
		r, err := f.m.Run(f.Context())
		f.wantError(err, migrate.ErrDiffers)
		for _, c := range r.Kinds {
			if want := map[string]int{"user": 1}[c.Kind]; c.Differing != want {
				f.Errorf("%s: %d differ, want %d", c.Kind, c.Differing, want)
			}
		}
		if err := migrate.Servable(f.Context(), f.m.To); err == nil {
			f.Error("a copy that differs can be served")
		}
		if err := migrate.Servable(f.Context(), f.m.From); err != nil {
			f.Errorf("the source cannot be served any more: %v", err)
		}
		f.m.Progress = nil
		f.run()
		f.sameContent()
	})
}

func TestASignOfLifeInTheSourceIsNoticed(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(10)
		f.put("lease", store.Doc{Key: "of a node that was killed", Body: []byte("x")})
		f.put("lease", store.Doc{Key: "of a node that lives", Body: []byte("x")})
		f.m.Pulse, f.m.PulseTime = "lease", 100*time.Millisecond
		for _, when := range []migrate.Step{{Watching: true, Kind: "lease"}, {Verifying: true, Kind: "user"}} {
			f.m.Progress = func(s migrate.Step) {
				if s == when { // nothing but its version changes
					f.put("lease", store.Doc{Key: "of a node that lives", Body: []byte("x")})
				}
			}
			_, err := f.m.Run(f.Context())
			f.wantError(err, migrate.ErrUnsteady)
			if err := migrate.Servable(f.Context(), f.m.From); err != nil {
				f.Error(err)
			}
		}
		f.m.Progress = nil
		begin := time.Now()
		f.run()
		if took := time.Since(begin); took < f.m.PulseTime {
			f.Errorf("it watched for %s", took)
		}
	})
}

func TestOfTwoRunsTheLaterGoesOn(t *testing.T) {
	each(t, func(f *fixture) {
		f.fill(f.n)
		later := *f.m
		f.m.Progress = func(s migrate.Step) {
			if f.m.Progress = nil; s.Kind == "" {
				f.Error("a step without a kind")
			}
			if _, err := later.Ahead(f.Context()); err != nil {
				f.Error(err)
			}
		}
		_, err := f.m.Run(f.Context())
		f.wantError(err, migrate.ErrTakenOver)
		f.run()
		f.sameContent()
	})
}

func TestThereIsOneStoreToServe(t *testing.T) {
	each(t, func(f *fixture) {
		servable := func(from, to bool) {
			f.Helper()
			for s, want := range map[migrate.Store]bool{f.m.From: from, f.m.To: to} {
				if err := migrate.Servable(f.Context(), s); (err == nil) != want {
					f.Errorf("source %v, target %v wanted, have: %v", from, to, err)
				}
			}
		}
		f.fill(10)
		servable(true, true)
		if _, err := f.m.Ahead(f.Context()); err != nil {
			f.Fatal(err)
		}
		servable(true, false)
		f.run()
		servable(false, true)

		// Once more changes nothing.
		r, err := f.m.Run(f.Context())
		if err != nil || !r.Before.Equal(f.clock.Now()) || len(r.Kinds) > 0 {
			f.Errorf("a run after the last one: %+v, %v", r, err)
		}
		// Elsewhere it cannot be moved as well.
		other := *f.m
		other.To = openBolt(f.T, f.clock.Now)
		_, err = other.Run(f.Context())
		f.wantError(err, migrate.ErrMoved)

		to, at, err := migrate.Reopen(f.Context(), f.m.From)
		if err != nil || to != f.m.ToName || !at.Equal(f.clock.Now()) {
			f.Errorf("reopened: %q, %v, %v", to, at, err)
		}
		if _, _, err := migrate.Reopen(f.Context(), f.m.From); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("reopened twice: %v", err)
		}
		servable(true, true) // the admin was told
		_, err = f.m.Run(f.Context())
		f.wantError(err, migrate.ErrFinished)
	})
}

func TestARefusedMigrationChangesNothing(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*fixture)
		want    error
	}{
		{"nothing to move", func(*fixture) {}, migrate.ErrEmpty},
		{"a target in use", func(f *fixture) {
			f.fill(1)
			if err := store.CheckRing(f.Context(), f.m.To, ring(f.T, "B")); err != nil {
				f.Fatal(err)
			}
		}, migrate.ErrInUse},
		{"other sealing keys", func(f *fixture) { f.fill(1); f.m.Ring = ring(f.T, "B") }, store.ErrWrongRing},
		{"the unfinished copy of another store", func(f *fixture) {
			f.fill(1)
			other := *f.m
			other.From = openBolt(f.T, f.clock.Now)
			(&fixture{T: f.T, clock: f.clock, m: &other}).fill(2)
			if _, err := other.Ahead(f.Context()); err != nil {
				f.Fatal(err)
			}
		}, migrate.ErrOtherSource},
		{"the finished copy of another store", func(f *fixture) {
			f.fill(1)
			other := *f.m
			other.From = openBolt(f.T, f.clock.Now)
			(&fixture{T: f.T, clock: f.clock, m: &other}).fill(2)
			if _, err := other.Run(f.Context()); err != nil {
				f.Fatal(err)
			}
		}, migrate.ErrInUse},
		{"from an unfinished copy", func(f *fixture) {
			f.fill(1)
			if _, err := f.m.Ahead(f.Context()); err != nil {
				f.Fatal(err)
			}
			f.m.From, f.m.To = f.m.To, openBolt(f.T, f.clock.Now)
		}, migrate.ErrHalf},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(f *fixture) {
				tt.prepare(f)
				from, to := content(f.T, f.m.From), content(f.T, f.m.To)
				_, err := f.m.Run(f.Context())
				f.wantError(err, tt.want)
				if !maps.Equal(from, content(f.T, f.m.From)) || !maps.Equal(to, content(f.T, f.m.To)) {
					f.Error("something was changed")
				}
			})
		})
	}
}

// failing is an engine whose calls fail from the n-th on, as when the connection or the process is gone. The call itself has happened
// where after is true.
type failing struct {
	migrate.Store
	left  atomic.Int64
	after bool
}

func newFailing(s migrate.Store, calls int64, after bool) *failing {
	f := &failing{Store: s, after: after}
	f.left.Store(calls)
	return f
}

var errGone = errors.New("gone")

func (s *failing) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	n := s.left.Add(-1)
	if n < 0 && !(n == -1 && s.after) {
		return 0, errGone
	}
	v, err := s.Store.Put(ctx, kind, d)
	if n < 0 {
		return 0, errGone
	}
	return v, err
}

func (s *failing) Delete(ctx context.Context, kind, key string) error {
	if s.left.Add(-1) < 0 {
		return errGone
	}
	return s.Store.Delete(ctx, kind, key)
}

func (s *failing) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	if s.left.Add(-1) < 0 {
		return nil, errGone
	}
	return s.Store.List(ctx, kind, index, after, limit)
}

func TestARunThatFailedAnywhereIsCarriedOn(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the write %v", after), func(t *testing.T) {
			each(t, func(f *fixture) {
				f.fill(5)
				from, to := f.m.From, f.m.To
				failures := 0
				for n, failed := int64(0), true; failed; n++ {
					// Every run finds what those before left, and something to create, to replace and to remove.
					f.put("user", user(int(n%5), fmt.Sprintf("revision %d", n)))
					f.put("user", user(int(100+n), "new"))
					f.delete("user", user(int(100+n/2), "").Key)
					f.m.From, f.m.To = newFailing(from, n, after), newFailing(to, n, after)
					_, err := f.m.Run(f.Context())
					f.m.From, f.m.To = from, to
					if failed = err != nil; failed {
						f.wantError(err, errGone)
						failures++
					}
					if had := content(t, to); migrate.Servable(f.Context(), to) == nil && len(had) > 0 && !maps.Equal(content(t, from), had) {
						f.Fatalf("after %d calls the target can be served, and is not whole", n)
					}
					if a := migrate.Servable(f.Context(), from); a != nil { // moved: nobody writes to it any more
						break
					}
				}
				f.run()
				f.sameContent()
				// How many calls a run takes depends on who of its workers is first.
				if err := migrate.Servable(f.Context(), to); err != nil || failures < 10 {
					f.Errorf("after %d failed runs: %v", failures, err)
				}
			})
		})
	}
}
