package lease_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/federation/store"
)

// takeover is what is promised of a node that dies.
const takeover = 30 * time.Second

func TestOneNodeDoesTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		for _, skew := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute} {
			c.start(skew, nothing)
		}
		<-time.After(10*every + every/2)
		n, who := c.count()
		if n != 11 {
			t.Errorf("%d runs in ten and a half intervals, want 11", n)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, r := range c.runs {
			if r.node != who || r.fence != 1 {
				t.Errorf("%s ran under the fencing number %d; nothing happened to %s", r.node.name, r.fence, who.name)
			}
		}
		for _, n := range c.nodes {
			if n.mu.Lock(); n.held != (n == who) {
				t.Errorf("%s was told: holds it %t", n.name, n.held)
			}
			n.mu.Unlock()
		}
	})
}

func TestAnotherNodeTakesOver(t *testing.T) {
	for name, skew := range map[string]time.Duration{"clocks agree": 0, "it is ahead": time.Hour, "it is behind": -time.Hour} {
		t.Run("of one that died: "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				first := c.start(0, func(ctx context.Context, _ *node) error { <-ctx.Done(); return ctx.Err() })
				synctest.Wait()
				c.start(skew, nothing)
				<-time.After(every / 2)
				first.link.set(down) // all that the others see of a death
				died := time.Now()
				r, took := c.after(first, died, takeover)
				if took < lease.Life-lease.Renew || r.fence != 2 {
					t.Errorf("taken over after %s under the fencing number %d", took, r.fence)
				}
			})
		})
	}
	t.Run("of one that stopped in order: at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			first := c.start(0, func(ctx context.Context, _ *node) error {
				<-ctx.Done()
				<-time.After(time.Second) // it tidies up
				return nil
			})
			synctest.Wait()
			c.start(0, nothing)
			<-time.After(every / 2)
			first.stop()
			if _, took := c.after(first, time.Now(), takeover); took > time.Second+lease.Look {
				t.Errorf("taken over after %s", took)
			}
		})
	})
	t.Run("and back again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			c.start(0, nothing)
			c.start(time.Minute, nothing)
			for want := uint64(2); want < 6; want++ {
				<-time.After(every)
				_, who := c.count()
				who.link.set(down)
				if r, _ := c.after(who, time.Now(), takeover); r.fence != want {
					t.Errorf("fencing number %d, want %d", r.fence, want)
				}
				who.link.set(nil)
			}
		})
	})
}

// The holder is in the middle of a run that looks at no context, as a process that is stopped, when its time runs out.
func TestAPausedHolderWritesNothing(t *testing.T) {
	type value struct{ Key, By string }
	values := func(e store.Engine) *store.Kind[value] {
		return &store.Kind[value]{Engine: e, Name: "value", KeysOf: func(v *value) store.Keys { return store.Keys{Key: v.Key} }}
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		wake, woken := make(chan struct{}), make(chan []error, 1)
		first := c.start(0, func(ctx context.Context, n *node) error {
			guarded := lease.Guard{Engine: n.link.Engine}
			_, before := values(guarded).Put(ctx, &value{"before", n.name}, 0)
			<-wake
			ctx = context.WithoutCancel(ctx)
			_, create := values(guarded).Put(ctx, &value{"late", n.name}, 0)
			_, take := values(guarded).Take(ctx, "k")
			_, sweep := guarded.Sweep(ctx, time.Now())
			woken <- []error{before, create, take, values(guarded).Delete(ctx, "k"), sweep}
			return nil
		})
		synctest.Wait()
		first.link.set(hangs)
		second := c.start(0, func(ctx context.Context, n *node) error {
			_, err := values(lease.Guard{Engine: n.link}).Put(ctx, &value{"k", n.name}, 0)
			return err
		})
		c.after(first, time.Now(), takeover)
		synctest.Wait()
		close(wake)
		errs := <-woken
		if errs[0] != nil {
			t.Errorf("while it held the lease: %v", errs[0])
		}
		for i, err := range errs[1:] {
			if !errors.Is(err, lease.ErrLost) {
				t.Errorf("write %d after it: %v", i, err)
			}
		}
		if got, err := values(c.db).Get(t.Context(), "k"); err != nil || got.Value.By != second.name {
			t.Errorf("the later holder's value is %v, %v", got.Value, err)
		}
	})
}

// A machine that slept: its timers have not gone off yet, its clock has gone on.
func TestAMachineThatSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		wake, woken := make(chan struct{}), make(chan error, 2) // of two runs
		n := c.start(0, func(ctx context.Context, n *node) error {
			<-wake
			if ctx.Err() != nil {
				t.Error("the context ended: the test shows nothing")
			}
			woken <- lease.Guard{Engine: n.link}.Delete(ctx, "value", "k")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		synctest.Wait()
		n.mu.Lock()
		n.slept = lease.Life
		n.mu.Unlock()
		close(wake)
		if err := <-woken; !errors.Is(err, lease.ErrLost) {
			t.Errorf("error %v", err)
		}
		<-time.After(lease.Renew + lease.Look + time.Second) // it found out, and took its lease anew
		if runs, _ := c.count(); runs != 2 || c.last() != 2 {
			t.Errorf("%d runs, fencing number %d", runs, c.last())
		}
	})
}

func TestAStoreThatComesBack(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{"away": down, "hanging": hangs} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				for range 2 {
					c.start(0, func(ctx context.Context, _ *node) error { <-ctx.Done(); return ctx.Err() })
				}
				<-time.After(every / 2)
				before, _ := c.count()
				for _, n := range c.nodes {
					n.link.set(fail)
				}
				<-time.After(lease.Life)
				c.mu.Lock()
				if len(c.in) != 0 {
					t.Error("a run goes on without a lease")
				}
				c.mu.Unlock()
				<-time.After(5 * every)
				if n, _ := c.count(); n != before {
					t.Errorf("%d runs began without a store", n-before)
				}
				for _, n := range c.nodes {
					n.link.set(nil)
				}
				<-time.After(takeover)
				if n, _ := c.count(); n != before+1 {
					t.Errorf("%d runs began when it was back, want 1", n-before)
				}
			})
		})
	}
	t.Run("for a moment: nobody notices", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			first := c.start(0, func(ctx context.Context, _ *node) error { <-ctx.Done(); return ctx.Err() })
			synctest.Wait()
			c.start(0, nothing)
			<-time.After(time.Second / 2) // between the renewals
			for range 4 {
				first.link.set(down)
				<-time.After(6 * time.Second)
				first.link.set(nil)
				<-time.After(10 * time.Second)
				first.link.mu.Lock()
				first.link.lose = 1 // and a renewal whose answer is lost
				first.link.mu.Unlock()
				<-time.After(10 * time.Second)
			}
			if n, who := c.count(); n != 1 || who != first {
				t.Errorf("%d runs, the last on %s", n, who.name)
			}
		})
	})
}

// Links break and come back in any order, for hours; cluster.enter holds that there are never two.
func TestNeverTwo(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1)) // the same every time
			c := newCluster(t)
			for range 3 {
				c.start(time.Duration(r.Int64N(int64(10*time.Second)))-5*time.Second, func(ctx context.Context, _ *node) error {
					<-ctx.Done()
					return ctx.Err()
				})
			}
			states := []func(context.Context) error{nil, nil, down, hangs}
			for range 200 {
				n := c.nodes[r.IntN(len(c.nodes))]
				n.link.set(states[r.IntN(len(states))])
				n.link.mu.Lock()
				n.link.lose = r.IntN(2)
				n.link.mu.Unlock()
				<-time.After(time.Duration(r.Int64N(int64(20 * time.Second))))
			}
			if n, _ := c.count(); n < 20 {
				t.Errorf("%d runs: the test shows little", n)
			}
			for _, n := range c.nodes {
				n.link.set(nil)
			}
			<-time.After(takeover)
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.in) != 1 {
				t.Errorf("%d nodes are in a run when all is well, want 1", len(c.in))
			}
		})
	}
}

// No run of a job keeps the next ones away.
func TestARunThatGoesWrong(t *testing.T) {
	for name, bad := range map[string]func(context.Context) error{
		"fails":  func(context.Context) error { return errors.New("no") },
		"panics": func(context.Context) error { panic("no") },
		"hangs":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.start(0, func(ctx context.Context, _ *node) error {
					if n, _ := c.count(); n == 1 {
						return bad(ctx)
					}
					return nil
				})
				<-time.After(4 * every)
				if n, _ := c.count(); n < 2 || c.last() != 1 {
					t.Errorf("%d runs, fencing number %d", n, c.last())
				}
			})
		})
	}
}
