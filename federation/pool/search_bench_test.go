package pool_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/bolt"
)

// benchUsers are in the store of BenchmarkSearch. Making them takes some minutes, once.
const benchUsers = 1_000_000

// BenchmarkSearch reads pages of 60 of a million users by each filter: the first page and one in the middle, as a caller does who
// has its cursor.
func BenchmarkSearch(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	}()
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		b.Fatal(err)
	}
	f := &fixture{engine: &counting{Engine: db}}
	f.engine.failAfter.Store(-1)
	f.Directory = &pool.Directory{Engine: db, Ring: ring, Now: time.Now}
	p, ip := f.withPool(b, pool.SchemaSpec{Name: "dept"})
	began := time.Now()
	fill(b, f.Directory, p, ip)
	b.Logf("%d users in %v", benchUsers, time.Since(began).Round(time.Second))
	b.Run("estimate", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if n, err = f.EstimateUsers(b.Context(), p.ID); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n), "estimate")
	})
	for _, filter := range []string{
		``, `username = "corp_s0500000"`, `username ^= "corp_s0"`, `sub ^= "8"`, `email = "p0500000@example.com"`, `email ^= "p"`,
		`phone_number ^= "+49"`, `phone_number = "+491500500000"`, `name = "Person 7"`, `name ^= "Person"`, `given_name = "G3"`, `given_name ^= "g"`,
		`family_name = "F5"`, `family_name ^= "f"`, `preferred_username ^= "n"`, `status = "Enabled"`, `cognito:user_status = "EXTERNAL_PROVIDER"`,
		`custom:dept = "Sales"`, `custom:dept ^= "Sales"`,
	} {
		parsed, err := p.ParseFilter(filter)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("first/"+filter, func(b *testing.B) { pages(b, f.Directory, p.ID, parsed, "") })
		deep := ""
		for range 300 { // behind 300,000 users, where there are so many
			var next string
			if _, next, err = f.SearchUsers(b.Context(), p.ID, parsed, deep, 1000); err != nil {
				b.Fatal(err)
			}
			if next == "" {
				break
			}
			deep = next
		}
		if deep != "" {
			b.Run("deep/"+filter, func(b *testing.B) { pages(b, f.Directory, p.ID, parsed, deep) })
		}
	}
}

func pages(b *testing.B, d *pool.Directory, poolID string, f pool.Filter, cursor string) {
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		page, _, err := d.SearchUsers(b.Context(), poolID, f, cursor, 60)
		if err != nil {
			b.Fatal(err)
		}
		n = len(page)
	}
	b.ReportMetric(float64(n), "users")
}

func fill(b *testing.B, d *pool.Directory, p pool.Pool, ip pool.IdentityProvider) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 1024 { // one commit takes as many writes
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= benchUsers || b.Failed() {
					return
				}
				_, err := d.SignIn(b.Context(), p, pool.SignIn{Provider: ip, Subject: fmt.Sprintf("S%07d", i), Attributes: attrs{
					"email": fmt.Sprintf("p%07d@example.com", i), "phone_number": fmt.Sprintf("+491500%06d", i), "name": fmt.Sprintf("Person %d", i%1000),
					"given_name": fmt.Sprintf("G%d", i%100), "family_name": fmt.Sprintf("F%d", i%5000), "preferred_username": fmt.Sprintf("n%d", i),
					"custom:dept": []string{"Sales", "Sales East", "Research", "Support"}[i%4],
				}})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
