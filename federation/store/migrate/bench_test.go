package migrate_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/migrate"
)

// BenchmarkLastRun measures what people wait for: the last run for 100,000 users, of which 100 changed after the copy ahead. The copy
// ahead is reported beside it.
func BenchmarkLastRun(b *testing.B) {
	const users, changed = 100_000, 100
	for b.Loop() {
		b.StopTimer()
		from, to := boltAt(b, filepath.Join(b.TempDir(), "from.db"), time.Now), boltAt(b, filepath.Join(b.TempDir(), "to.db"), time.Now)
		m := &migrate.Migration{From: from, To: to, FromName: "from", ToName: "to", Ring: ring(b, "A"), Now: time.Now}
		if err := store.CheckRing(b.Context(), from, m.Ring); err != nil {
			b.Fatal(err)
		}
		fillUsers(b, from, users)
		begin := time.Now()
		if _, err := m.Ahead(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "ahead-s/op")
		for i := range changed {
			d := user(i*997, "changed")
			d.Version = 1
			if _, err := from.Put(b.Context(), "user", d); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		r, err := m.Run(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if c := r.Kinds[len(r.Kinds)-1]; c.Documents != users || c.Replaced != changed {
			b.Fatalf("%+v", c)
		}
	}
}
