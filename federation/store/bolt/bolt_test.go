package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "weir.db")
		t.Cleanup(func() { // after every case the file must be sound
			db := open(t, path)
			if err := db.CheckLinks(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("the file after the test: %v", err)
			}
		})
		return func(now func() time.Time) (store.Engine, error) {
			return bolt.Open(path, bolt.Options{Now: now})
		}
	})
}

func TestKinds(t *testing.T) {
	storetest.RunKinds(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "weir.db")
		t.Cleanup(func() { // after every case the file must be sound
			db := open(t, path)
			if err := db.CheckLinks(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("the file after the test: %v", err)
			}
		})
		return func(now func() time.Time) (store.Engine, error) {
			return bolt.Open(path, bolt.Options{Now: now})
		}
	})
}

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func options() bolt.Options {
	return bolt.Options{Now: func() time.Time { return start }}
}

// open opens the file until the test ends.
func open(t testing.TB, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "weir.db") }

func put(t testing.TB, db *bolt.DB, d store.Doc) store.Doc {
	t.Helper()
	v, err := db.Put(t.Context(), "k", d)
	if err != nil {
		t.Fatal(err)
	}
	d.Version = v
	return d
}

func TestManyWritersShareCommits(t *testing.T) {
	db := open(t, newPath(t))
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := db.Put(t.Context(), "k", store.Doc{Key: fmt.Sprint(w, "-", i)}); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s := db.Stats()
	if s.Writes != writers*each {
		t.Errorf("%d writes counted, want %d", s.Writes, writers*each)
	}
	if syncs := 2 * s.Commits; s.Commits == 0 || syncs >= s.Writes {
		t.Errorf("%d fdatasync calls for %d writes: commits are not shared", syncs, s.Writes)
	}
	if s.Pages == 0 || s.Bytes == 0 {
		t.Errorf("stats without pages or bytes: %+v", s)
	}
}

func TestWritesThatChangeNothingCostNoCommit(t *testing.T) {
	db := open(t, newPath(t))
	put(t, db, store.Doc{Key: "a"})
	before := db.Stats()
	if _, err := db.Put(t.Context(), "k", store.Doc{Key: "a"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("put: %v", err)
	}
	if _, err := db.Take(t.Context(), "k", "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("take: %v", err)
	}
	if err := db.Delete(t.Context(), "other kind", "b"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := db.Sweep(t.Context(), start); err != nil {
		t.Errorf("sweep: %v", err)
	}
	if after := db.Stats(); after != before {
		t.Errorf("stats went from %+v to %+v", before, after)
	}
}

func TestReadsDoNotWaitForTheWriter(t *testing.T) {
	db := open(t, newPath(t))
	put(t, db, store.Doc{Key: "a", Unique: []string{"u"}})
	release, err := db.HoldWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := db.Get(t.Context(), "k", "a"); err != nil {
		t.Error(err)
	}
	if _, err := db.GetBy(t.Context(), "k", "u"); err != nil {
		t.Error(err)
	}
	if docs, err := db.List(t.Context(), "k", "", "", 10); err != nil || len(docs) != 1 {
		t.Errorf("list: %d documents, %v", len(docs), err)
	}
}

func TestCancelledWriteReturnsAtOnceAndIsDropped(t *testing.T) {
	db := open(t, newPath(t))
	release, err := db.HoldWriter()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error)
	for i := range 3 {
		go func() {
			_, err := db.Put(ctx, "k", store.Doc{Key: fmt.Sprint(i)})
			answers <- err
		}()
	}
	cancel()
	for range 3 {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	release()
	put(t, db, store.Doc{Key: "next"}) // behind the batch of the cancelled ones
	if docs, err := db.List(t.Context(), "k", "", "", 10); err != nil || len(docs) != 1 {
		t.Errorf("%d documents are stored, %v; want the last alone", len(docs), err)
	}
}

func TestCloseUnderLoadKeepsEveryAcknowledgedWrite(t *testing.T) {
	path := newPath(t)
	db, err := bolt.Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	const writers = 16
	acked := make([]int, writers)
	busy := make(chan struct{}, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := db.Put(t.Context(), "k", store.Doc{Key: fmt.Sprint(w, "-", i)})
				if errors.Is(err, store.ErrUnavailable) {
					return
				}
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				if acked[w]++; acked[w] == 5 {
					busy <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-busy
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	db = open(t, path)
	for w, n := range acked {
		for i := range n {
			if _, err := db.Get(t.Context(), "k", fmt.Sprint(w, "-", i)); err != nil {
				t.Fatalf("write %d of %d of writer %d: %v", i, n, w, err)
			}
		}
	}
	if err := db.CheckLinks(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSweepLetsWritersBetween(t *testing.T) {
	now := start
	path := newPath(t)
	db, err := bolt.Open(path, bolt.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	const n = 2000
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := range n / 50 {
				d := store.Doc{Key: fmt.Sprint(w, "-", i), Unique: []string{fmt.Sprint("u", w, "-", i)}, Expires: start.Add(time.Hour)}
				if _, err := db.Put(t.Context(), "k", d); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	now = start.Add(2 * time.Hour)
	before := db.Stats().Commits
	if got, err := db.Sweep(t.Context(), now); got != n || err != nil {
		t.Errorf("swept %d, %v; want %d", got, err, n)
	}
	if commits := db.Stats().Commits - before; commits < 5 {
		t.Errorf("%d documents left in %d commits: other writers would have waited", n, commits)
	}
	if err := db.CheckLinks(t.Context()); err != nil {
		t.Error(err)
	}
}

// Where one batch empties all pages of a bucket and goes on writing into it, bbolt's cursors are on thin ice.
func TestABatchThatEmptiesAKind(t *testing.T) {
	for _, n := range []int{1, 10, 100, 2000} {
		db := open(t, newPath(t))
		var keys []string
		var wg sync.WaitGroup
		for i := range n {
			d := store.Doc{Key: fmt.Sprintf("d%04d", i), Unique: []string{fmt.Sprint("u", i)}, Index: []string{"n:x"}, Expires: start.Add(time.Hour), Body: make([]byte, 500)}
			keys = append(keys, d.Key)
			wg.Go(func() {
				if _, err := db.Put(t.Context(), "k", d); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		d := store.Doc{Key: "last", Unique: []string{"u0"}, Index: []string{"n:x"}, Expires: start.Add(time.Hour)}
		if err := db.TakeAndPut(t.Context(), "k", keys, d); err != nil {
			t.Fatal(err)
		}
		if docs, err := db.List(t.Context(), "k", "n:", "", 10); err != nil || len(docs) != 1 || docs[0].Key != "last" {
			t.Errorf("%d documents: %d are left, %v", n, len(docs), err)
		}
		if err := db.CheckLinks(t.Context()); err != nil {
			t.Errorf("%d documents: %v", n, err)
		}
	}
}

func TestNewFileIsPrivate(t *testing.T) {
	path := newPath(t)
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %o, want 600", mode)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(bolt.Encode(store.Doc{Key: "key"}))
	f.Add(bolt.Encode(store.Doc{Unique: []string{"u", "v"}, Index: []string{"n:1"}, Expires: start, Version: 6, Body: []byte("body")}))
	f.Add(append(bolt.Encode(store.Doc{})[:17], 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))
	f.Fuzz(func(t *testing.T, v []byte) {
		d, again, err := bolt.Decode(v)
		if err != nil {
			if !errors.Is(err, bolt.ErrDamaged) {
				t.Errorf("error %v", err)
			}
			return
		}
		if len(d.Unique) > store.MaxNames || len(d.Index) > store.MaxNames {
			t.Errorf("decoded too many names: %d and %d", len(d.Unique), len(d.Index))
		}
		second, _, err := bolt.Decode(again)
		if err != nil || fmt.Sprint(second) != fmt.Sprint(d) {
			t.Errorf("%+v came back as %+v, %v", d, second, err)
		}
	})
}

// FuzzCursor gives List places that nobody handed out.
func FuzzCursor(f *testing.F) {
	db := open(f, newPath(f))
	for i := range 20 {
		put(f, db, store.Doc{Key: fmt.Sprintf("d%02d", i), Index: []string{fmt.Sprintf("n:%d", i%4)}})
	}
	f.Add("", "", 10)
	f.Add("", "d03", 3)
	f.Add("n:", "n:2\x00d07", 10)
	f.Add("n:1", "n:1\x00\xff", 1000)
	f.Add("n", "\x00", 0)
	f.Fuzz(func(t *testing.T, index, after string, limit int) {
		docs, err := db.List(t.Context(), "k", index, after, limit)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if len(docs) > limit {
			t.Fatalf("%d documents for a limit of %d", len(docs), limit)
		}
		for last := after; len(docs) > 0; docs = docs[1:] {
			c := store.Cursor(docs[0], index)
			if c <= last || store.CheckList(index, c, 1) != nil {
				t.Fatalf("document at %q behind %q", c, last)
			}
			last = c
		}
	})
}
