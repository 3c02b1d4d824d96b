package pool_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// counting counts reads and successful puts, and fails puts on demand.
type counting struct {
	store.Engine
	reads, writes atomic.Int64
	failAfter     atomic.Int64 // puts that still succeed; negative: all
}

var errPulled = errors.New("the plug was pulled")

func (c *counting) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	c.reads.Add(1)
	return c.Engine.Get(ctx, kind, key)
}

func (c *counting) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	c.reads.Add(1)
	return c.Engine.GetBy(ctx, kind, unique)
}

func (c *counting) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	c.reads.Add(1)
	return c.Engine.List(ctx, kind, index, after, limit)
}

func (c *counting) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if c.failAfter.Load() == 0 {
		return 0, errPulled
	}
	c.failAfter.Add(-1)
	v, err := c.Engine.Put(ctx, kind, d)
	if err == nil {
		c.writes.Add(1)
	}
	return v, err
}

// clock is a wall clock that the test turns.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a directory on a real store.
type fixture struct {
	*pool.Directory
	engine *counting
	clock  *clock
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{engine: &counting{Engine: db}, clock: c}
	f.engine.failAfter.Store(-1)
	f.Directory = &pool.Directory{Engine: f.engine, Ring: ring, Now: f.clock.Now}
	return f
}

// node is another process on the same store.
func (f *fixture) node() *pool.Directory {
	return &pool.Directory{Engine: f.engine, Ring: f.Ring, Now: f.clock.Now}
}

// writes returns how many puts run caused.
func (f *fixture) writes(run func()) int64 {
	before := f.engine.writes.Load()
	run()
	return f.engine.writes.Load() - before
}

// withPool stores a pool with the schema changes and a provider that maps what it needs.
func (f *fixture) withPool(t testing.TB, schema ...pool.SchemaSpec) (pool.Pool, pool.IdentityProvider) {
	t.Helper()
	plan, err := f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", ID: "local_Example01", Domain: "example", Schema: schema,
		IdentityProviders: []pool.ProviderSpec{{
			ProviderName: "Corp", ProviderType: "OIDC", AttributeMapping: map[string]string{"email": "email"},
			IdpIdentifiers: []string{"example.com"},
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	p, err := f.Pool(t.Context(), "local_Example01")
	if err != nil {
		t.Fatal(err)
	}
	ip, err := f.Provider(t.Context(), p.ID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	return p, ip
}

func wantCode(t *testing.T, err error, want fault.Code) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != want {
		t.Fatalf("error %v, want a fault of code %s", err, want)
	}
}

// problemsOf returns the problems of a refused input, one per line.
func problemsOf(t *testing.T, err error) string {
	t.Helper()
	var ps pool.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("error %v, want problems", err)
	}
	wantCode(t, err, fault.Invalid)
	return ps.Error()
}

func lines(ps []pool.Problem) string { return pool.Problems(ps).Error() }

func ptr[T any](v T) *T { return &v }
