package trace_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/trace"
)

type ctx = context.Context

// The arithmetic of the comment in limit.go.
func TestBoundsAddUp(t *testing.T) {
	total := uint64(0)
	for _, l := range trace.Lanes() {
		total += l.Slots
		if age := time.Duration(l.Slots-uint64(l.Burst)) * l.Every; age < 24*time.Hour {
			t.Errorf("%+v: a flood takes a trace's place after %s", l, age)
		}
	}
	if total != trace.Most {
		t.Errorf("%d slots, %d are documented", total, trace.Most)
	}
}

// A flood from everywhere costs a bounded number of writes, and what comes after it says how much was left out.
func TestAFloodIsNotWritten(t *testing.T) {
	w := newWorld(t)
	traces := w.node()
	burst := trace.Lanes()[0].Burst
	for n := range 5000 {
		traces.Record(t.Context(), failure(n))
	}
	if got, turns := w.engine.writes["trace"], w.engine.writes["trace_turn"]; got != burst || turns != (burst+trace.Block-1)/trace.Block {
		t.Fatalf("%d traces and %d turns were written, want %d and one for every %d", got, turns, burst, trace.Block)
	}
	w.advance(time.Minute) // five more
	for n := range 100 {
		traces.Record(t.Context(), failure(5000+n))
	}
	if got := w.engine.writes["trace"]; got != burst+5 {
		t.Errorf("%d were written, want %d", got, burst+5)
	}
	got, err := traces.Get(t.Context(), ref(5000))
	if err != nil || got.Omitted != 5000-burst {
		t.Errorf("%d were left out before it, %v; want %d", got.Omitted, err, 5000-burst)
	}
	w.advance(-time.Hour) // a clock that is set back gives nothing
	traces.Record(t.Context(), failure(6000))
	if w.has(6000) {
		t.Error("written with a clock that was set back")
	}
}

// What carries nothing of ours has a rate and slots of its own.
func TestStrangersDoNotPushOutSignInsThatBeganHere(t *testing.T) {
	w := newWorld(t)
	traces := w.node()
	traces.Record(t.Context(), failure(0))
	for n := 1; n < 3000; n++ {
		f := failure(n)
		f.Ours = false
		traces.Record(t.Context(), f)
	}
	traces.Record(t.Context(), failure(3000))
	if n := w.engine.writes["trace"]; n != trace.Lanes()[1].Burst+2 {
		t.Errorf("%d were written", n)
	}
	if !w.has(0) || !w.has(3000) {
		t.Errorf("before the flood: %t, after it: %t", w.has(0), w.has(3000))
	}
}

// One machine in a loop does not keep others from leaving a trace, whatever addresses of its own network it takes.
func TestOneAddressLeavesRoomForOthers(t *testing.T) {
	for name, address := range map[string]func(int) string{
		"IPv4":         func(int) string { return "198.51.100.7" },
		"IPv4 in IPv6": func(n int) string { return []string{"198.51.100.7", "::ffff:198.51.100.7"}[n%2] },
		"IPv6":         func(n int) string { return fmt.Sprintf("2001:db8:1:2::%x", n) },
		"none":         func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			traces := w.node()
			for n := range 500 {
				f := failure(n)
				f.Address = address(n)
				traces.Record(t.Context(), f)
			}
			if got := w.engine.writes["trace"]; got != 30 {
				t.Errorf("%d were written of one address, want 30", got)
			}
			traces.Record(t.Context(), failure(501))
			if !w.has(501) {
				t.Error("nothing of another address")
			}
		})
	}
}

// More addresses than are remembered share one bucket, until those that are idle make room.
func TestTooManyAddressesShareOneBucket(t *testing.T) {
	w := newWorld(t)
	traces := w.node()
	for n := range 3 * trace.MaxAddresses {
		f := failure(n)
		f.Ours = false
		traces.Record(t.Context(), f)
	}
	before := w.engine.writes["trace"]
	record := func(from int) int {
		for n := range 100 {
			traces.Record(t.Context(), failure(from+n))
		}
		return w.engine.writes["trace"] - before
	}
	if got := record(10_000); got != 30 {
		t.Errorf("%d of 100 new addresses were written, want 30 of all together", got)
	}
	w.advance(time.Minute)
	before = w.engine.writes["trace"]
	if got := record(20_000); got != 100 {
		t.Errorf("%d of 100 new addresses were written when there was room", got)
	}
}

// A trace takes the place of the one that is oldest in its lane.
func TestSlotsAreTakenInTurn(t *testing.T) {
	w := newWorld(t)
	last := trace.Lanes()[0].Slots - trace.Block
	w.node().Record(t.Context(), failure(0)) // in the first slot
	doc, err := w.engine.Get(t.Context(), "trace_turn", "ours")
	if err != nil {
		t.Fatal(err)
	}
	doc.Body = fmt.Appendf(nil, `{"v":1,"d":{"lane":"ours","next":%d}}`, last)
	if _, err := w.engine.Put(t.Context(), "trace_turn", doc); err != nil {
		t.Fatal(err)
	}
	traces := w.node() // a restart: what is left of the first block is passed over
	for n := 1; n <= trace.Block; n++ {
		traces.Record(t.Context(), failure(n))
	}
	if !w.has(0) {
		t.Error("overwritten before its turn")
	}
	traces.Record(t.Context(), failure(trace.Block+1))
	if w.has(0) {
		t.Error("there are more traces than slots")
	}
	for n := 1; n <= trace.Block+1; n++ {
		if !w.has(n) {
			t.Errorf("trace %d is gone", n)
		}
	}
	list, err := traces.Newest(t.Context(), 1000)
	if err != nil || len(list) != trace.Block+1 {
		t.Errorf("%d traces, %v", len(list), err)
	}
}

// Many requests on several nodes take a slot each.
func TestNodesDoNotOverwriteEachOther(t *testing.T) {
	w := newWorld(t)
	const nodes, each = 4, 50
	var wg sync.WaitGroup
	for node := range nodes {
		traces := w.node()
		for i := range each {
			wg.Go(func() { traces.Record(t.Context(), failure(node*each+i)) })
		}
	}
	wg.Wait()
	for n := range nodes * each {
		if !w.has(n) {
			t.Errorf("trace %d is lost\n%s", n, w.log.String())
		}
	}
	// Two blocks of each node hold 50, and nobody takes more than they need.
	if got := w.engine.writes["trace_turn"]; got != 2*nodes {
		t.Errorf("%d turns were written, want %d", got, 2*nodes)
	}
}

// The newest come first, of both lanes.
func TestNewestComeFirst(t *testing.T) {
	w := newWorld(t)
	traces := w.node()
	for n := range 30 {
		f := failure(n)
		f.Ours = n%2 == 0
		traces.Record(t.Context(), f)
		w.advance(time.Millisecond)
	}
	list, err := traces.Newest(t.Context(), 20)
	if err != nil || len(list) != 20 {
		t.Fatalf("%d, %v", len(list), err)
	}
	for i, got := range list {
		if got.Reference != ref(29-i) {
			t.Errorf("%d is %s, want %s", i, got.Reference, ref(29-i))
		}
	}
}

// A document that cannot be opened any more does not keep its slot.
func TestADamagedSlotIsOverwritten(t *testing.T) {
	w := newWorld(t)
	if _, err := w.engine.Put(t.Context(), "trace", store.Doc{Key: "ours/00000", Body: []byte("damaged")}); err != nil {
		t.Fatal(err)
	}
	w.node().Record(t.Context(), failure(1))
	if !w.has(1) {
		t.Errorf("nothing was kept\n%s", w.log.String())
	}
}

// hung is a store that answers nothing until its caller gives up.
type hung struct{ store.Engine }

func (hung) Get(c ctx, _, _ string) (store.Doc, error) {
	<-c.Done()
	return store.Doc{}, fmt.Errorf("hung: %w", c.Err())
}

// A store that hangs or is closed costs the person half a second at most, and the log says so. Those who wait do so together.
func TestAFailingStoreHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		traces := &trace.Traces{Engine: hung{}, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // the person went away: that is no reason to forget why
		start := time.Now()
		var wg sync.WaitGroup
		for n := range 50 {
			wg.Go(func() { traces.Record(gone, failure(n)) })
		}
		wg.Wait()
		if took := time.Since(start); took != trace.WriteTime {
			t.Errorf("it took %s", took)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 50 || !strings.Contains(log.String(), "reference="+ref(7)) {
			t.Errorf("log\n%s", log.String())
		}
	})
	w := newWorld(t)
	traces := w.node()
	if err := w.engine.Close(); err != nil {
		t.Fatal(err)
	}
	traces.Record(t.Context(), failure(1))
	if !strings.Contains(w.log.String(), "level=WARN") {
		t.Errorf("log %s", w.log.String())
	}
}
