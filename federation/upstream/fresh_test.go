package upstream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/upstream"
)

// provider is one that replaces the refresh token at every use and refuses it the second time.
type provider struct {
	w       *world
	mu      sync.Mutex
	spent   map[string]bool
	calls   atomic.Int32
	dropped []upstream.Kept
	// during runs while the provider is asked.
	during func()
	// err is the answer, if not nil.
	err error
}

func newProvider(w *world) *provider {
	return &provider{w: w, spent: map[string]bool{}, during: func() {}}
}

func (p *provider) source() upstream.Source {
	return upstream.Source{
		Refresh: func(_ context.Context, t upstream.Tokens) (upstream.Tokens, error) {
			p.calls.Add(1)
			p.during()
			p.mu.Lock()
			defer p.mu.Unlock()
			old := t.Refresh.Reveal()
			switch {
			case p.err != nil:
				return upstream.Tokens{}, p.err
			case old == "":
				return upstream.Tokens{}, upstream.ErrNoRefresh
			case p.spent[old]:
				return upstream.Tokens{}, upstream.ErrRefused
			}
			p.spent[old] = true
			out := p.w.tokens("new", false)
			out.ID, out.Refresh = t.ID, secret.New(old+"+")
			return out, nil
		},
		Drop: func(_ context.Context, k upstream.Kept) { p.dropped = append(p.dropped, k) },
	}
}

func fresh(t *testing.T, k *upstream.Keeper, p *provider) (string, bool, error) {
	t.Helper()
	got, refreshed, err := k.Fresh(t.Context(), adas(upstream.Tokens{}), p.source())
	return text(got), refreshed, err
}

func TestFresh(t *testing.T) {
	w := newWorld(t)
	k, p := w.node(), newProvider(w)
	if _, _, err := fresh(t, k, p); !errors.Is(err, upstream.ErrNone) {
		t.Errorf("nothing kept: %v", err)
	}
	keep(t, k, adas(w.tokens("1", true)))
	w.advance(time.Hour - upstream.Good)
	if got, refreshed, err := fresh(t, k, p); got != "access-1 refresh-1" || refreshed || err != nil {
		t.Errorf("still good for a minute: %s %t %v", got, refreshed, err)
	}
	w.advance(time.Nanosecond)
	if got, refreshed, err := fresh(t, k, p); got != "access-new refresh-1+" || !refreshed || err != nil {
		t.Errorf("good for less: %s %t %v", got, refreshed, err)
	}
	if got := only(t, k); got != "access-new refresh-1+" {
		t.Errorf("kept: %s", got)
	}
	if got, refreshed, err := fresh(t, k, p); got != "access-new refresh-1+" || refreshed || err != nil || p.calls.Load() != 1 {
		t.Errorf("again: %s %t %v, %d refreshes", got, refreshed, err, p.calls.Load())
	}
	forever := w.tokens("2", true)
	forever.Expires = time.Time{}
	keep(t, k, adas(forever))
	w.advance(1000 * time.Hour)
	if got, refreshed, err := fresh(t, k, p); got != "access-2 refresh-2" || refreshed || err != nil {
		t.Errorf("of an end that nobody knows: %s %t %v", got, refreshed, err)
	}
}

// TestThirtyTwoCallersMakeOneRefresh: a second use of the refresh token would end everything at the provider.
func TestThirtyTwoCallersMakeOneRefresh(t *testing.T) {
	w := newWorld(t)
	p := newProvider(w)
	nodes := []*upstream.Keeper{w.node(), w.node(), w.node(), w.node()}
	keep(t, nodes[0], adas(w.tokens("1", true)))
	w.advance(time.Hour)
	var wg sync.WaitGroup
	refreshed := atomic.Int32{}
	for i := range 32 {
		wg.Go(func() {
			got, did, err := nodes[i%len(nodes)].Fresh(t.Context(), adas(upstream.Tokens{}), p.source())
			if err != nil || text(got) != "access-new refresh-1+" {
				t.Errorf("%s, %v", text(got), err)
			}
			if did {
				refreshed.Add(1)
			}
		})
	}
	wg.Wait()
	if p.calls.Load() != 1 || refreshed.Load() == 0 {
		t.Errorf("%d refreshes at the provider, %d callers were told of one", p.calls.Load(), refreshed.Load())
	}
}

// TestRefreshGoesOnWithoutItsCaller: what the provider answers is written down though nobody waits for it.
func TestRefreshGoesOnWithoutItsCaller(t *testing.T) {
	w := newWorld(t)
	k, p := w.node(), newProvider(w)
	keep(t, k, adas(w.tokens("1", true)))
	w.advance(time.Hour)
	entered, leave := make(chan struct{}), make(chan struct{})
	p.during = func() { close(entered); <-leave }
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, _, err := k.Fresh(ctx, adas(upstream.Tokens{}), p.source()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(leave)
	if got, _, err := fresh(t, k, p); got != "access-new refresh-1+" || err != nil || p.calls.Load() != 1 {
		t.Errorf("%s, %v, %d refreshes", got, err, p.calls.Load())
	}
}

// TestWhatComesBetweenARefresh: a sign-in, a sign-out or a failure while the provider is asked.
func TestWhatComesBetweenARefresh(t *testing.T) {
	down := errors.New("down")
	signIn := func(refresh bool) func(*testing.T, *world, *upstream.Keeper) {
		return func(t *testing.T, w *world, k *upstream.Keeper) { keep(t, k, adas(w.tokens("2", refresh))) }
	}
	for name, tt := range map[string]struct {
		between   func(*testing.T, *world, *upstream.Keeper)
		err       error
		got, kept string
		want      error
		dropped   int
	}{
		"nothing":                               {nil, nil, "access-new refresh-1+", "access-new refresh-1+", nil, 0},
		"nothing, and it is refused":            {nil, upstream.ErrRefused, "", "nothing", upstream.ErrRefused, 0},
		"nothing, and it fails":                 {nil, down, "", "access-1 refresh-1", down, 0},
		"a sign-in with a refresh token":        {signIn(true), nil, "access-2 refresh-2", "access-2 refresh-2", nil, 0},
		"the same, and it is refused":           {signIn(true), upstream.ErrRefused, "access-2 refresh-2", "access-2 refresh-2", nil, 0},
		"the same, and it fails":                {signIn(true), down, "access-2 refresh-2", "access-2 refresh-2", nil, 0},
		"a sign-in without one":                 {signIn(false), nil, "access-new refresh-1+", "access-new refresh-1+", nil, 0},
		"the same, and the old one is refused":  {signIn(false), upstream.ErrRefused, "access-2", "access-2", nil, 0},
		"the same, and the refresh fails":       {signIn(false), down, "access-2 refresh-1", "access-2 refresh-1", nil, 0},
		"a sign-out: what comes is not kept":    {take, nil, "", "nothing", upstream.ErrNone, 1},
		"a sign-out, and the refresh fails too": {take, down, "", "nothing", down, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k, other, p := w.node(), w.node(), newProvider(w)
			keep(t, k, adas(w.tokens("1", true)))
			w.advance(time.Hour)
			p.err = tt.err
			if tt.between != nil {
				p.during = func() { tt.between(t, w, other) }
			}
			got, _, err := fresh(t, k, p)
			if got != tt.got || !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %q, %v", got, err)
			}
			if kept := only(t, k); kept != tt.kept {
				t.Errorf("kept: %s", kept)
			}
			if len(p.dropped) != tt.dropped || tt.dropped > 0 && text(p.dropped[0]) != "access-new refresh-1+" {
				t.Errorf("dropped %d", len(p.dropped))
			}
			// Whatever it was, the claim is gone: the next refresh is not kept waiting.
			all, err := k.Of(t.Context(), poolID, sub)
			if err != nil || len(all) > 0 && all[0].Lease != "" {
				t.Errorf("a claim is left, %v", err)
			}
		})
	}
}

func take(t *testing.T, _ *world, k *upstream.Keeper) {
	t.Helper()
	if _, err := k.Take(t.Context(), adas(upstream.Tokens{})); err != nil {
		t.Error(err)
	}
}

// TestTheClaimOfADeadNodeGoesByItself: another node takes over when nobody can be refreshing any more.
func TestTheClaimOfADeadNodeGoesByItself(t *testing.T) {
	w := newWorld(t)
	k, p := w.node(), newProvider(w)
	keep(t, k, adas(w.tokens("1", true)))
	w.advance(time.Hour)
	entered, never := make(chan struct{}), make(chan struct{})
	dead := newProvider(w)
	dead.during = func() { close(entered); <-never }
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = w.node().Fresh(context.WithoutCancel(t.Context()), adas(upstream.Tokens{}), dead.source())
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := k.Fresh(ctx, adas(upstream.Tokens{}), p.source()); !errors.Is(err, context.DeadlineExceeded) || p.calls.Load() != 0 {
		t.Errorf("while it is claimed: %v, %d refreshes", err, p.calls.Load())
	}
	w.advance(time.Minute)
	if got, _, err := fresh(t, k, p); got != "access-new refresh-1+" || err != nil || p.calls.Load() != 1 {
		t.Errorf("afterwards: %s, %v, %d refreshes", got, err, p.calls.Load())
	}
	close(never)
	<-done
	if got := only(t, k); got != "access-new refresh-1+" {
		t.Errorf("the dead node came back and left %s", got)
	}
}

func TestNoWayToRefresh(t *testing.T) {
	w := newWorld(t)
	k, p := w.node(), newProvider(w)
	keep(t, k, adas(w.tokens("1", false)))
	w.advance(time.Hour - time.Second)
	if _, _, err := fresh(t, k, p); !errors.Is(err, upstream.ErrNoRefresh) {
		t.Errorf("error %v", err)
	}
	if got := only(t, k); got != "access-1" {
		t.Errorf("kept: %s", got)
	}
}
