package bolt_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// session is a document like a session or a refresh family: a key, the user in an index, an end.
func session(key string, i int) store.Doc {
	return store.Doc{Key: key, Index: []string{"user:" + randomKey()}, Expires: start.Add(time.Hour + time.Duration(i)*time.Millisecond), Body: make([]byte, 600)}
}

func randomKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func timeKey() string { return uuid.Must(uuid.NewV7()).String() }

// preload stores n sessions from 256 writers.
func preload(b *testing.B, db *bolt.DB, n int, key func() string) []string {
	b.Helper()
	keys := make([]string, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				keys[i] = key()
				if _, err := db.Put(b.Context(), "k", session(keys[i], i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return keys
}

// parallel shares the loop of a benchmark out to that many callers.
func parallel(b *testing.B, callers int, act func(ctx context.Context, i int) error) {
	b.Helper()
	turns := make(chan int)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range turns {
				if err := act(b.Context(), i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := 0; b.Loop(); i++ {
		turns <- i
	}
	close(turns)
	wg.Wait()
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			db := open(b, newPath(b))
			parallel(b, writers, func(ctx context.Context, i int) error {
				_, err := db.Put(ctx, "k", session(timeKey(), i))
				return err
			})
			s := db.Stats()
			b.ReportMetric(float64(s.Writes)/float64(s.Commits), "writes/commit")
		})
	}
}

// BenchmarkKeys puts new sessions beside 200,000 others, with keys in the order of time and with random ones.
func BenchmarkKeys(b *testing.B) {
	for _, k := range []struct {
		name string
		key  func() string
	}{{"time", timeKey}, {"random", randomKey}} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprint(k.name, "/writers=", writers), func(b *testing.B) {
				const before = 200_000
				db := open(b, newPath(b))
				preload(b, db, before, k.key)
				loaded := db.Stats()
				parallel(b, writers, func(ctx context.Context, i int) error {
					_, err := db.Put(ctx, "k", session(k.key(), before+i))
					return err
				})
				s := db.Stats()
				n := float64(s.Writes - loaded.Writes)
				b.ReportMetric(float64(s.Pages-loaded.Pages)/n, "pages/put")
				b.ReportMetric(float64(loaded.Bytes)/before, "file-bytes/doc")
				b.ReportMetric(n/float64(s.Commits-loaded.Commits), "writes/commit")
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	db := open(b, newPath(b))
	keys := preload(b, db, n, timeKey)
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := db.Get(b.Context(), "k", keys[i*7919%n]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Get/parallel", func(b *testing.B) {
		var turn atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := db.Get(b.Context(), "k", keys[int(turn.Add(1))*7919%n]); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("List/limit=60", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := db.List(b.Context(), "k", "", keys[i*7919%n], 60); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("List/index", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := db.List(b.Context(), "k", "user:", "", 60); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	for _, takers := range []int{1, 64} {
		b.Run(fmt.Sprint("takers=", takers), func(b *testing.B) {
			db := open(b, newPath(b))
			parallel(b, takers, func(ctx context.Context, i int) error { // a code: written once, spent once
				key := timeKey()
				if _, err := db.Put(ctx, "k", session(key, i)); err != nil {
					return err
				}
				_, err := db.Take(ctx, "k", key)
				return err
			})
		})
	}
}
