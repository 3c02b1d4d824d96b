// Package bench measures a whole node and holds it against the budgets of the project.
//
// The server runs in this process: its wiring, its listener on the loopback address, its store with durable writes and its
// log are those of `weir serve`. Everybody else (the browsers, the application and the OpenID provider upstream) runs in
// a child process, so what getrusage says of this process is the server's: HTTP on both sides, the kernel's part of it and of
// the disk, garbage collection, all of it. The price of bare signatures is measured in the same process, before and after every
// round, because the speed of a shared machine changes while one looks. Figures are medians over the rounds, ratios are
// taken within a round, and the kinds of work take turns within it.
//
// It owns how things are measured and reported, not what is measured: Options.Open makes the node.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store/bolt"
)

// Options of Run. All fields are required.
type Options struct {
	// Open makes a node with its data in dir, to be reached at base.
	Open func(ctx context.Context, dir, base string) (*Node, error)
	// Peers and Serve are command lines of this program: one runs RunPeers, the other, with the path of a
	// configuration behind it, serves.
	Peers, Serve []string
	Dir          string // for the stores; about 3 KB for each user
	Users        int    // in the large store, at least SmallUsers
	Rounds       int    // 1 or more
	Logins       int    // of each kind in a round
	Progress     io.Writer
}

// SmallUsers is how many users the small store has.
const SmallUsers = 1000

// Node is what is measured.
type Node struct {
	Handler   http.Handler
	Directory *pool.Directory
	Stats     func() bolt.Stats
	Close     func() error
}

// browserCounts: one at a time pays for every commit alone; together they share it.
var browserCounts = []int{1, 32}

// Run measures everything, which takes minutes with a million users.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	p, err := startPeers(ctx, o.Peers)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	small, err := o.stage(ctx, p, "small", SmallUsers, "RS256", "ES256")
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, small.close()) }()
	large, err := o.stage(ctx, p, "large", o.Users, "ES256")
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, large.close()) }()
	rep := newReport(o)
	for _, browsers := range browserCounts {
		t, err := o.measure(ctx, p, small, large, browsers)
		if err != nil {
			return Report{}, err
		}
		rep.add(t)
	}
	if err := rep.addMemory(); err != nil {
		return Report{}, err
	}
	if err := large.close(); err != nil {
		return Report{}, err
	}
	o.say("starting a server on %d users", o.Users)
	starts, err := o.starts(ctx, filepath.Join(o.Dir, "large"))
	if err != nil {
		return Report{}, err
	}
	rep.addStarts(starts, o.Users)
	return rep, nil
}

// kinds of work, in the order in which they take turns.
const (
	loginRS   = "login, RS256"
	refreshRS = "refresh, RS256"
	loginES   = "login, ES256"
	refreshES = "refresh, ES256"
	userInfo  = "userInfo, ES256"
	loginMany = "login, ES256, large store"
	pairRS    = "two RS256 signatures"
	pairES    = "two ES256 signatures"
)

// turn is one kind of work.
type turn struct {
	kind  string
	stage *stage
	order order
}

// times are the figures of one number of browsers: per kind, the processor milliseconds of one operation in each round.
type times struct {
	browsers int
	cpu      map[string][]float64
	logins   int     // of the small store
	writes   float64 // durable writes for each of them
	commits  float64 // commits of the store for each of them
}

func (o Options) measure(ctx context.Context, p *peers, small, large *stage, browsers int) (*times, error) {
	o.say("measuring with %d browsers", browsers)
	turns := []turn{
		{loginRS, small, order{Op: opLogin, Client: clientOf("RS256"), Step: 1}},
		{refreshRS, small, order{Op: opRefresh, Client: clientOf("RS256")}},
		{loginES, small, order{Op: opLogin, Client: clientOf("ES256"), Step: 1}},
		{refreshES, small, order{Op: opRefresh, Client: clientOf("ES256")}},
		{userInfo, small, order{Op: opUserInfo, Client: clientOf("ES256")}},
		{loginMany, large, order{Op: opLogin, Client: clientOf("ES256"), Step: o.Users / SmallUsers}},
	}
	sign, err := newSignatures()
	if err != nil {
		return nil, err
	}
	t := &times{browsers: browsers, cpu: map[string][]float64{}}
	for round := range o.Rounds + 1 {
		count := o.Logins
		if round == 0 {
			count = max(browsers, o.Logins/4) // caches fill, connections open: not counted
		}
		before, err := sign.cost()
		if err != nil {
			return nil, err
		}
		for _, turn := range turns {
			ms, err := o.run(ctx, p, turn, browsers, count, t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", turn.kind, err)
			}
			if round > 0 {
				t.cpu[turn.kind] = append(t.cpu[turn.kind], ms)
			}
		}
		after, err := sign.cost()
		if err != nil {
			return nil, err
		}
		for kind := range before {
			if round > 0 {
				t.cpu[kind] = append(t.cpu[kind], (before[kind]+after[kind])/2)
			}
		}
		if round == 0 {
			t.logins, t.writes, t.commits = 0, 0, 0
		}
	}
	t.writes /= float64(t.logins)
	t.commits /= float64(t.logins)
	return t, nil
}

// run has the peers do one kind of work and returns the processor milliseconds that one operation cost this process.
func (o Options) run(ctx context.Context, p *peers, turn turn, browsers, count int, t *times) (float64, error) {
	turn.order.Base, turn.order.Browsers, turn.order.Count = turn.stage.base, browsers, count
	stats := turn.stage.node.Stats()
	before, err := processorTime()
	if err != nil {
		return 0, err
	}
	if err := p.do(ctx, turn.order); err != nil {
		return 0, err
	}
	after, err := processorTime()
	if err != nil {
		return 0, err
	}
	if now := turn.stage.node.Stats(); turn.order.Op == opLogin && turn.kind != loginMany {
		t.logins += count
		t.writes += float64(now.Writes - stats.Writes)
		t.commits += float64(now.Commits - stats.Commits)
	}
	return milliseconds(after-before) / float64(count), nil
}

func (o Options) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, "weir bench: "+format+"\n", args...) // progress only
}
