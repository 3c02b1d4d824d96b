package lease_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// link is a node's way to the store, which the test cuts.
type link struct {
	store.Engine
	mu   sync.Mutex
	fail func(ctx context.Context) error // nil: all is well
	lose int                             // so many Puts take effect, and their answers are lost
}

func (l *link) set(fail func(ctx context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

func (l *link) state(ctx context.Context) error {
	l.mu.Lock()
	fail := l.fail
	l.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(ctx)
}

func down(context.Context) error { return fmt.Errorf("test: %w", store.ErrUnavailable) }

func hangs(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// Get implements store.Engine.
func (l *link) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	if err := l.state(ctx); err != nil {
		return store.Doc{}, err
	}
	return l.Engine.Get(ctx, kind, key)
}

// Put implements store.Engine.
func (l *link) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if err := l.state(ctx); err != nil {
		return 0, err
	}
	v, err := l.Engine.Put(ctx, kind, d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose > 0 && err == nil {
		l.lose--
		return 0, down(ctx)
	}
	return v, err
}

// cluster is some nodes with one job on one store. It notes every run, and fails the test where two nodes are in one at a time.
type cluster struct {
	t     *testing.T
	db    *bolt.DB
	nodes []*node

	mu    sync.Mutex
	runs  []run
	fence uint64
	in    map[*node]context.Context // the nodes in a run
}

type run struct {
	node  *node
	at    time.Time
	fence uint64
}

type node struct {
	name string
	link *link
	skew time.Duration
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	slept time.Duration // how far its clock went on while the process stood still
	held  bool
}

// Now is this node's clock.
func (n *node) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Add(n.skew + n.slept)
}

// Lease implements lease.Watch.
func (n *node) Lease(_ string, held bool) { n.mu.Lock(); defer n.mu.Unlock(); n.held = held }

func newCluster(t *testing.T) *cluster {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cluster{t: t, db: db, in: map[*node]context.Context{}}
}

// every is the interval of the clusters' job.
const every = time.Minute

// start adds a node whose runs do what f does. Its clock is skew ahead of the others'.
func (c *cluster) start(skew time.Duration, f func(ctx context.Context, n *node) error) *node {
	c.t.Helper()
	n := &node{name: fmt.Sprintf("node-%d", len(c.nodes)+1), link: &link{Engine: c.db}, skew: skew, done: make(chan struct{})}
	c.nodes = append(c.nodes, n)
	ctx, cancel := context.WithCancel(c.t.Context())
	n.stop = cancel
	l := &lease.Leases{Engine: n.link, Node: n.name, Now: n.Now, Logger: slog.New(slog.NewTextHandler(c.t.Output(), nil)), Watch: n}
	go func() {
		defer close(n.done)
		l.Run(ctx, lease.Job{Name: "job", Every: every, Limit: 2 * every, Do: func(ctx context.Context) error {
			c.enter(ctx, n)
			defer c.leave(n)
			return f(ctx, n)
		}})
	}()
	c.t.Cleanup(func() { n.stop(); <-n.done })
	return n
}

// enter notes a run. A node that is in one still has to know that its own is over.
func (c *cluster) enter(ctx context.Context, n *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, its := range c.in {
		if its.Err() == nil {
			c.t.Errorf("%s is in a run when %s begins one", other.name, n.name)
		}
	}
	fence := lease.Fence(ctx)
	if last := len(c.runs) - 1; fence < c.fence || last >= 0 && fence == c.fence && c.runs[last].node != n {
		c.t.Errorf("%s runs under the fencing number %d after %d", n.name, fence, c.fence)
	}
	c.fence = fence
	c.in[n] = ctx
	c.runs = append(c.runs, run{n, time.Now(), fence})
}

func (c *cluster) leave(n *node) { c.mu.Lock(); defer c.mu.Unlock(); delete(c.in, n) }

// count returns how often the job ran, and on which node last.
func (c *cluster) count() (int, *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.runs) == 0 {
		return 0, nil
	}
	return len(c.runs), c.runs[len(c.runs)-1].node
}

// last returns the fencing number of the last run.
func (c *cluster) last() uint64 { c.mu.Lock(); defer c.mu.Unlock(); return c.fence }

// after returns the first run of another node than n, and how long it was after since. It waits for it for so long.
func (c *cluster) after(n *node, since time.Time, wait time.Duration) (run, time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(wait); ; <-time.After(100 * time.Millisecond) {
		c.mu.Lock()
		for _, r := range c.runs {
			if r.node != n && !r.at.Before(since) {
				c.mu.Unlock()
				return r, r.at.Sub(since)
			}
		}
		c.mu.Unlock()
		if time.Now().After(end) {
			c.t.Fatalf("nobody took over from %s within %s", n.name, wait)
		}
	}
}

func nothing(context.Context, *node) error { return nil }
