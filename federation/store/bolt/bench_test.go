package bolt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// kept is how many documents the store has before a benchmark begins.
const kept = 200_000

// keyOrders are the two ways to name a session or a grant.
var keyOrders = map[string]func(i int) string{
	"random keys":       func(int) string { return uuid.NewString() },
	"time-ordered keys": func(i int) string { return orderedKey(i) },
}

// orderedKey is a UUID whose beginning grows as a clock does, a few of them within one of its steps (RFC 9562 section 5.7).
func orderedKey(i int) string {
	id := uuid.New()
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(1_700_000_000_000+i/4)) //nolint:gosec // not negative
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	return id.String()
}

// grantLike is a document of the size and with the names of a grant: its user in the index, an expiry.
func grantLike(key string, created time.Time) store.Doc {
	return store.Doc{Key: key, Index: []string{"user:local_Example01/" + uuid.NewString() + "/"},
		Expires: created.Add(time.Hour), Body: make([]byte, 600)}
}

type benchStore struct {
	*bolt.DB
	b     *testing.B
	name  func(i int) string
	now   time.Time
	count int
	mu    sync.Mutex
}

func newBenchStore(b *testing.B, name func(int) string) *benchStore {
	b.Helper()
	s := &benchStore{b: b, name: name, now: time.Now()}
	db, err := bolt.Open(filepath.Join(b.TempDir(), "weir.db"), bolt.Options{Now: func() time.Time { return s.now }})
	if err != nil {
		b.Fatal(err)
	}
	s.DB = db
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	for range kept / 500 {
		s.put(500)
	}
	return s
}

// next names a document a moment later than the one before.
func (s *benchStore) next() store.Doc {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return grantLike(s.name(s.count), s.now.Add(time.Duration(s.count)*time.Millisecond/4))
}

// put writes n new documents at the same time.
func (s *benchStore) put(n int) {
	s.b.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = s.Put(s.b.Context(), "grant", s.next()) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		s.b.Fatal(err)
	}
}

// BenchmarkPut creates documents beside 200,000 others, one at a time and 32 at a time. Times hold the waits for the disk, so the
// processor time, the pages written and the growth of the file are reported for each write.
func BenchmarkPut(b *testing.B) {
	for order, name := range keyOrders {
		for _, writers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/writers=%d", order, writers), func(b *testing.B) {
				s := newBenchStore(b, name)
				before, cpu := s.Stats(), processorTime(b)
				b.ReportAllocs()
				for b.Loop() {
					s.put(writers)
				}
				writes := float64(b.N * writers)
				after := s.Stats()
				b.ReportMetric(float64(processorTime(b)-cpu)/writes, "cpu-ns/write")
				b.ReportMetric(float64(after.Pages-before.Pages)/writes, "pages/write")
				b.ReportMetric(float64(after.Commits-before.Commits)/writes, "commits/write")
				b.ReportMetric(float64(after.Bytes)/float64(s.count), "file-B/document")
			})
		}
	}
}

// BenchmarkUpdate is a compare-and-swap, as the spending of a code is.
func BenchmarkUpdate(b *testing.B) {
	s := newBenchStore(b, orderedKey)
	d := s.next()
	version, err := s.Put(b.Context(), "grant", d)
	b.ReportAllocs()
	for b.Loop() {
		d.Version = version
		if version, err = s.Put(b.Context(), "grant", d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for order, name := range keyOrders {
		b.Run(order, func(b *testing.B) {
			s := newBenchStore(b, name)
			keys := s.keys(b.Context(), 1000)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Get(b.Context(), "grant", keys[i%len(keys)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func (s *benchStore) keys(ctx context.Context, n int) []string {
	s.b.Helper()
	docs, err := s.List(ctx, "grant", "user:", "", n) // in the order of users, which is none of the keys'
	if err != nil || len(docs) != n {
		s.b.Fatalf("%d documents: %v", len(docs), err)
	}
	keys := make([]string, n)
	for i, d := range docs {
		keys[i] = d.Key
	}
	return keys
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
