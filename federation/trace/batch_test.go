package trace_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/mapping"
)

// watch counts what becomes of traces of successes.
type watch struct {
	mu            sync.Mutex
	kept, dropped int
}

func (w *watch) Traces(kept, dropped int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept += kept
	w.dropped += dropped
}

func (w *watch) got() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d kept, %d dropped", w.kept, w.dropped)
}

// keeping is a node that keeps so many traces of successes.
func (w *world) keeping(most int) (*trace.Traces, *watch) {
	heard := &watch{}
	traces := w.node()
	traces.SignIns, traces.Watch = most, heard
	return traces, heard
}

// success keeps the n-th trace, of the user of that name.
func success(ctx context.Context, traces *trace.Traces, n int, user string) {
	ctx = traces.With(ctx)
	l := trace.From(ctx)
	l.Person("pool", "Corp", user)
	l.User("sub-"+user, user)
	l.Received(map[string]any{"email": user + "@corp.example"})
	traces.Finished(ctx, trace.Trace{Reference: ref(n), Kind: trace.SignIn, Pool: "pool", Client: "web", Provider: "Corp", Attempt: attempt(n),
		Shown: trace.Shown{Where: trace.AtClient}})
}

func attempt(n int) string { return fmt.Sprintf("attempt_%014d", n) }

// references of all traces that there are, the newest first.
func (w *world) references(traces *trace.Traces, f trace.Filter) []string {
	w.t.Helper()
	list, err := traces.List(w.t.Context(), f, 1_000_000)
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.Reference
	}
	return out
}

func refs(from, to int) []string { // downwards
	var out []string
	for n := from; n >= to; n-- {
		out = append(out, ref(n))
	}
	return out
}

func TestASignInLeavesItsSteps(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(100)
	ctx := traces.With(t.Context())
	l := trace.From(ctx)
	l.NoteAt(epoch.Add(-7*time.Second), trace.StepBegan, "scopes", "openid", "prompt", "")
	l.Pass("oidc.state")
	w.advance(20 * time.Millisecond)
	l.Pass("oidc.signature", "alg", "ES256")
	l.Received(map[string]any{"email": "ada@corp.example", "access_token": "secret", "groups": []any{"a", "b"}})
	l.Received(map[string]any{"email": "somebody else's"}) // the first counts
	l.Rules([]mapping.Step{{Attribute: "email", Claim: "mail", Outcome: mapping.Absent}})
	l.Rules([]mapping.Step{{Attribute: "email", Claim: "email", Outcome: mapping.Written}}) // the last does
	l.User("sub", "Corp_ada")
	traces.Finished(ctx, trace.Trace{Reference: ref(1), Kind: trace.SignIn, Began: epoch.Add(-7 * time.Second), Pool: "pool", Attempt: attempt(1)})
	for _, name := range []string{ref(1), strings.ToLower(ref(1)), attempt(1), " " + attempt(1) + " "} {
		got, err := traces.Get(t.Context(), name)
		if err != nil || got.Outcome != trace.Succeeded || got.Sub != "sub" || got.Username != "Corp_ada" || len(got.Salt) < 26 || !got.At.Equal(w.clock()) {
			t.Fatalf("%q: %+v, %v", name, got, err)
		}
		want := []trace.Step{
			{Name: "began", Facts: []trace.Fact{{Name: "scopes", Text: "openid"}}},
			{After: 7000, Name: "oidc.state", Outcome: trace.Passed},
			{After: 7020, Name: "oidc.signature", Outcome: trace.Passed, Facts: []trace.Fact{{Name: "alg", Text: "ES256"}}},
			{After: 7020, Name: "received", Claims: []trace.Claim{
				{Name: "access_token", Type: "text", Length: 6, Withheld: true},
				{Name: "email", Type: "text", Length: 16, Values: []string{"ada@corp.example"}},
				{Name: "groups", Type: "list", Count: 2, Length: 2, Values: []string{"a", "b"}},
			}},
			{After: 7020, Name: "mapping", Rules: []trace.Rule{{Attribute: "email", Source: "email", Outcome: "written"}}},
		}
		if fmt.Sprintf("%+v", got.Steps) != fmt.Sprintf("%+v", want) {
			t.Errorf("steps\n%+v\nwant\n%+v", got.Steps, want)
		}
	}
}

// Whoever takes part need not know whether somebody keeps a trace.
func TestNobodyNeedsToKeepATrace(t *testing.T) {
	l := trace.From(t.Context())
	l.Pass("x", "a", "b")
	l.Fail("x")
	l.Skip("x")
	l.Note("x")
	l.NoteAt(epoch, "x")
	l.Received(map[string]any{"a": "b"})
	l.Rules([]mapping.Step{{}})
	l.Person("p", "n", "s")
	l.User("s", "n")
	w := newWorld(t)
	off, heard := w.keeping(0)
	success(t.Context(), off, 1, "ada")
	off.Flush(t.Context())
	if n := len(w.references(off, trace.Filter{})); n != 0 || heard.got() != "0 kept, 0 dropped" || w.engine.writes["trace_batch"] != 0 {
		t.Errorf("%d traces where none are to be kept: %s", n, heard.got())
	}
	var none *trace.Traces
	none.Finished(t.Context(), trace.Trace{})
}

// Many traces are one write, and each is found.
func TestManyTracesAreOneDocument(t *testing.T) {
	w := newWorld(t)
	traces, heard := w.keeping(10_000)
	const n = 2*trace.BatchMost + 7
	for i := range n {
		success(t.Context(), traces, i, fmt.Sprintf("user%d", i%50))
		w.advance(time.Millisecond)
	}
	traces.Flush(t.Context())
	if batches, turns := w.engine.writes["trace_batch"], w.engine.writes["trace_turn"]; batches != 3 || turns != 1 || heard.got() != fmt.Sprintf("%d kept, 0 dropped", n) {
		t.Errorf("%d documents, %d turns, %s", batches, turns, heard.got())
	}
	fresh, _ := w.keeping(10_000) // after a restart
	for i := range n {
		if got, err := fresh.Get(t.Context(), ref(i)); err != nil || got.Attempt != attempt(i) {
			t.Errorf("trace %d: %+v, %v", i, got, err)
		}
	}
	if got := w.references(fresh, trace.Filter{}); !slices.Equal(got, refs(n-1, 0)) {
		t.Errorf("list %v", got)
	}
	if got := w.references(fresh, trace.Filter{Pools: []string{"pool"}, Sub: "sub-user3"}); !slices.Equal(got, []string{ref(103), ref(53), ref(3)}) {
		t.Errorf("of a user: %v", got)
	}
	for i, f := range []trace.Filter{{Pools: []string{"other"}}, {Provider: "Other"}, {Client: "spa"}, {Failed: true}, {Since: w.clock()}, {Before: epoch},
		{Pools: []string{"other"}, Sub: "sub-user3"}, {Pools: []string{}}} {
		if got := w.references(fresh, f); len(got) != 0 {
			t.Errorf("filter %d: %v", i, got)
		}
	}
	if got := w.references(fresh, trace.Filter{Client: "web", Provider: "Corp", Since: epoch.Add(5 * time.Millisecond), Before: epoch.Add(8 * time.Millisecond)}); !slices.Equal(got, refs(7, 5)) {
		t.Errorf("between two times: %v", got)
	}
	w.advance(trace.Life)
	if got := w.references(fresh, trace.Filter{}); len(got) != 0 {
		t.Errorf("%d traces after their life", len(got))
	}
}

// The newest of both kinds come in their order, however they were written.
func TestSuccessesAndFailuresAreListedTogether(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(1000)
	other, _ := w.keeping(1000)
	for n := range 60 {
		switch n % 3 {
		case 0:
			traces.Record(t.Context(), failure(n))
		case 1:
			success(t.Context(), traces, n, "ada")
		case 2:
			success(t.Context(), other, n, "bob")
		}
		w.advance(time.Millisecond)
	}
	other.Flush(t.Context())
	for _, most := range []int{1, 2, 7, 59, 60} {
		list, err := traces.List(t.Context(), trace.Filter{}, most)
		if err != nil || len(list) != most {
			t.Fatalf("%d of %d, %v", len(list), most, err)
		}
		for i, got := range list {
			if got.Reference != ref(59-i) {
				t.Errorf("%d of %d is %s, want %s", i, most, got.Reference, ref(59-i))
			}
		}
	}
	if got := w.references(traces, trace.Filter{Failed: true}); len(got) != 20 || got[0] != ref(57) {
		t.Errorf("failures: %v", got)
	}
}

// There are never more than were asked for and one document's, and the oldest go first.
func TestSuccessesAreBoundedInNumber(t *testing.T) {
	w := newWorld(t)
	const most = 1000
	const least = most - 2*trace.BatchMost - trace.BatchBlock // of the newest: what goes at the end of the slots, and with one restart in a turn
	traces, _ := w.keeping(most)
	n := 0
	for round := range 120 {
		if round%60 == 59 {
			traces, _ = w.keeping(most) // a restart leaves slots as they are
		}
		for range []int{1, trace.BatchMost, 7, 33}[round%4] {
			success(t.Context(), traces, n, "ada")
			n++
			w.advance(time.Millisecond)
		}
		traces.Flush(t.Context())
		got := w.references(traces, trace.Filter{})
		if len(got) > most+trace.BatchMost {
			t.Fatalf("%d traces after %d, want %d at most", len(got), n, most)
		}
		if sure := min(n, least); len(got) < sure || !slices.Equal(got[:sure], refs(n-1, n-sure)) {
			t.Fatalf("after %d there are %d, and not the newest %d", n, len(got), sure)
		}
	}
}

// Neither kind takes the other's place.
func TestSuccessesAndFailuresDoNotPushEachOtherOut(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(100)
	traces.Record(t.Context(), failure(0))
	success(t.Context(), traces, 1, "ada")
	traces.Flush(t.Context())
	for n := 2; n < 2000; n++ { // a flood of failures
		traces.Record(t.Context(), failure(n))
	}
	if _, err := traces.Get(t.Context(), ref(1)); err != nil {
		t.Errorf("pushed out by failures: %v", err)
	}
	for n := 2000; n < 4000; n++ { // and of successes
		success(t.Context(), traces, n, "ada")
		if n%100 == 0 {
			traces.Flush(t.Context())
		}
	}
	if _, err := traces.Get(t.Context(), ref(0)); err != nil {
		t.Errorf("pushed out by successes: %v", err)
	}
	if _, err := traces.Get(t.Context(), ref(1)); !errors.Is(err, trace.ErrUnknown) {
		t.Errorf("there is no bound: %v", err)
	}
}

// What is too much is dropped, and counted; a store that fails costs a batch and no memory.
func TestOverloadDropsTraces(t *testing.T) {
	w := newWorld(t)
	traces, heard := w.keeping(100_000)
	for n := range trace.QueueMost + 10 {
		success(t.Context(), traces, n, "ada")
	}
	if heard.got() != "0 kept, 10 dropped" {
		t.Error(heard.got())
	}
	traces.Flush(t.Context())
	if want := fmt.Sprintf("%d kept, 10 dropped", trace.QueueMost); heard.got() != want {
		t.Error(heard.got())
	}
	success(t.Context(), traces, 5000, "ada")
	if err := w.engine.Close(); err != nil {
		t.Fatal(err)
	}
	traces.Flush(t.Context())
	if want := fmt.Sprintf("%d kept, 11 dropped", trace.QueueMost); heard.got() != want || !strings.Contains(w.log.String(), "traces of sign-ins were not kept") {
		t.Errorf("%s\n%s", heard.got(), w.log.String())
	}
}

// The writer waits for company, but not for long, and writes what is left when it ends.
func TestTheWriterWaitsForCompany(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		db, err := bolt.Open(filepath.Join(dir, "weir.db"), bolt.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
		if err != nil {
			t.Fatal(err)
		}
		engine, heard := &counted{Engine: db, writes: map[string]int{}}, &watch{}
		traces := &trace.Traces{Engine: engine, Ring: ring, Now: time.Now, Logger: slog.New(slog.DiscardHandler), SignIns: 1000, Watch: heard}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { traces.Run(ctx) })
		synctest.Wait()
		wait := func(d time.Duration) {
			c, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			<-c.Done()
		}
		for n := range 3 {
			success(ctx, traces, n, "ada")
			wait(300 * time.Millisecond)
		}
		synctest.Wait()
		if heard.got() != "0 kept, 0 dropped" {
			t.Error(heard.got())
		}
		wait(200 * time.Millisecond)
		synctest.Wait()
		if heard.got() != "3 kept, 0 dropped" {
			t.Errorf("after a second: %s", heard.got())
		}
		for n := range trace.BatchMost {
			success(ctx, traces, 10+n, "ada")
		}
		synctest.Wait()
		if want := fmt.Sprintf("%d kept, 0 dropped", 3+trace.BatchMost); heard.got() != want {
			t.Errorf("a full batch waits: %s", heard.got())
		}
		success(ctx, traces, 100, "ada")
		cancel()
		running.Wait()
		if want := fmt.Sprintf("%d kept, 0 dropped", 4+trace.BatchMost); heard.got() != want || engine.writes["trace_batch"] != 3 {
			t.Errorf("in the end: %s in %d documents", heard.got(), engine.writes["trace_batch"])
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// The end of a process does not wait for a store that answers nothing.
func TestTheEndDoesNotWaitForAHungStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &watch{}
		traces := &trace.Traces{Engine: hung{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler), SignIns: 1000, Watch: heard}
		for n := range 600 {
			success(t.Context(), traces, n, "ada")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		traces.Flush(ended)
		if took := time.Since(start); took > 10*time.Second || heard.got() != "0 kept, 600 dropped" {
			t.Errorf("%s, %s", took, heard.got())
		}
	})
}

// Nodes on one store take slots of their own.
func TestNodesKeepTracesSideBySide(t *testing.T) {
	w := newWorld(t)
	const nodes, each = 4, 150
	var wg sync.WaitGroup
	for node := range nodes {
		traces, _ := w.keeping(20_000)
		wg.Go(func() {
			for i := range each {
				success(t.Context(), traces, node*each+i, "ada")
				if i%9 == 0 {
					traces.Flush(t.Context())
				}
			}
			traces.Flush(t.Context())
		})
	}
	wg.Wait()
	traces, _ := w.keeping(20_000)
	if got := w.references(traces, trace.Filter{}); len(got) != nodes*each {
		t.Errorf("%d traces of %d\n%s", len(got), nodes*each, w.log.String())
	}
}

// What a provider says is bounded, and a short claim does not keep a long message in memory.
func TestHostileClaimsAreBounded(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(100)
	huge := map[string]any{"escape": "\x1b[2J\u202eevil\x07", strings.Repeat("n", 1<<20): strings.Repeat("é", 1<<20), "deep": map[string]any{"a": []any{map[string]any{}}},
		"list": slices.Repeat([]any{strings.Repeat("x", 1000)}, 5000), "odd": struct{}{}, "client_secret": "s3cret", "nothing": nil}
	for i := range 5000 {
		huge[fmt.Sprintf("claim%04d", i)] = strings.Repeat("<", 300)
	}
	ctx := traces.With(t.Context())
	l := trace.From(ctx)
	for i := range 500 {
		l.Pass("oidc."+strings.Repeat("x", 5000), "a", strings.Repeat(`"`, 5000), fmt.Sprint(i), "\x1b]0;title\x07")
	}
	l.Received(huge)
	l.Fail("oidc.audience", "aud", "\u202eevil")
	l.Fail("later")
	traces.Finished(ctx, trace.Trace{Reference: ref(1), Kind: trace.SignIn, Path: strings.Repeat("p", 1<<20)})
	traces.Flush(t.Context())
	doc, err := w.engine.List(t.Context(), "trace_batch", "", "", 10)
	if err != nil || len(doc) != 1 || len(doc[0].Body) > trace.MaxBody+200 {
		t.Fatalf("%d documents, %v", len(doc), err)
	}
	got, err := traces.Get(t.Context(), ref(1))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := got.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String(), "\x1b\x07\u202e") || strings.Contains(text.String(), "s3cret") {
		t.Errorf("text %q", text.String())
	}
	if last := got.Steps[len(got.Steps)-1]; last.Name != "oidc.audience" || last.Outcome != trace.Refused || len(got.Steps) > trace.MaxSteps+8 {
		t.Errorf("%d steps, the last %+v", len(got.Steps), last)
	}
}

// A store that is damaged in one place keeps working.
func TestADamagedBatchIsOverwritten(t *testing.T) {
	w := newWorld(t)
	if _, err := w.engine.Put(t.Context(), "trace_batch", store.Doc{Key: "done/0000000", Body: []byte("damaged")}); err != nil {
		t.Fatal(err)
	}
	traces, heard := w.keeping(100)
	success(t.Context(), traces, 1, "ada")
	if _, err := traces.Get(t.Context(), ref(1)); err != nil || heard.got() != "1 kept, 0 dropped" {
		t.Errorf("%v, %s", err, heard.got())
	}
}
