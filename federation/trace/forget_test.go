package trace_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/trace"
)

// person is the user of success.
func person(name string) (trace.Person, trace.Person) {
	return trace.Person{PoolID: "pool", Sub: "sub-" + name}, trace.Person{PoolID: "pool", Provider: "Corp", Subject: name}
}

// everything that the store holds of traces, opened.
func (w *world) everything(traces *trace.Traces) string {
	w.t.Helper()
	list, err := traces.List(w.t.Context(), trace.Filter{}, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%+v", list)
}

// What traces hold of a person goes with the user, wherever it stands: in a queue, among others in a document, in a failure before the user was known.
func TestTracesGoWithTheUser(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(10_000)
	other, _ := w.keeping(10_000) // another node
	n := 0
	keep := func(by *trace.Traces, name string) {
		success(t.Context(), by, n, name)
		n++
		w.advance(time.Millisecond)
	}
	fail := func(name string, known bool) {
		ctx := traces.With(t.Context())
		trace.From(ctx).Person("pool", "Corp", name)
		trace.From(ctx).Received(map[string]any{"email": name + "@corp.example"})
		if known {
			trace.From(ctx).User("sub-"+name, name)
		}
		f := failure(n)
		f.Pool = "pool"
		traces.Record(ctx, f)
		n++
		w.advance(time.Millisecond)
	}
	for range 70 {
		keep(traces, "ada")
		keep(traces, "bob")
	}
	for range trace.BatchMost + 1 {
		keep(traces, "ada") // a document of hers alone
	}
	traces.Flush(t.Context())
	fail("ada", false)
	fail("ada", true)
	fail("bob", false)
	keep(traces, "ada") // in the queue
	keep(other, "ada")  // and in another one
	keep(other, "bob")

	user, identity := person("ada")
	if err := traces.Forget(t.Context(), user, identity); err != nil {
		t.Fatal(err)
	}
	if text := w.everything(traces); strings.Contains(text, "ada") || strings.Count(text, "Reference:") != 71 {
		t.Errorf("%d traces are left: %.2000s", strings.Count(text, "Reference:"), text)
	}
	// The other node did not know.
	other.Flush(t.Context())
	if text := w.everything(traces); strings.Count(text, "sub-ada") != 1 {
		t.Fatalf("what is to be found below is not there: %.2000s", text)
	}
	// Somebody comes back with the same identity, as a new user.
	w.advance(2 * time.Minute)
	keep(traces, "ada")
	for range 2 {
		if err := traces.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := traces.List(t.Context(), trace.Filter{}, 100_000)
	if err != nil || len(list) != 73 {
		t.Fatalf("%d traces, %v", len(list), err)
	}
	ofAda := slices.DeleteFunc(list, func(got trace.Trace) bool { return got.Sub != "sub-ada" })
	if len(ofAda) != 1 || ofAda[0].Reference != ref(n-1) {
		t.Errorf("of the one who came later: %+v", ofAda)
	}
	w.advance(2 * time.Hour)
	if docs, err := w.engine.List(t.Context(), "trace_forget", "", "", 10); err != nil || len(docs) != 0 {
		t.Errorf("%d are still looked for, %v", len(docs), err)
	}
}

// Nobody can read in the store who is to be forgotten.
func TestWhoIsForgottenIsNotWrittenDown(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(100)
	success(t.Context(), traces, 1, "ada-of-corp")
	traces.Flush(t.Context())
	var all []store.Doc
	look := func(kind string) {
		docs, err := w.engine.List(t.Context(), kind, "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, docs...)
	}
	look("trace_batch")
	user, identity := person("ada-of-corp")
	for range 2 { // a deletion that is repeated
		if err := traces.Forget(t.Context(), user, identity); err != nil {
			t.Fatal(err)
		}
	}
	look("trace_forget")
	if len(all) != 2 {
		t.Fatalf("%d documents", len(all))
	}
	for _, d := range all {
		if text := fmt.Sprintf("%s %s %q", d.Key, d.Index, d.Body); strings.Contains(text, "ada-of-corp") {
			t.Errorf("in the clear: %s", text)
		}
	}
}

// A pool's traces go with it.
func TestTracesGoWithThePool(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(100)
	success(t.Context(), traces, 1, "ada")
	f := failure(2)
	f.Pool = "pool"
	traces.Record(t.Context(), f)
	traces.Record(t.Context(), failure(3))
	for range 2 {
		if err := traces.DeletePool(t.Context(), "pool"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.references(traces, trace.Filter{}); !slices.Equal(got, []string{ref(3)}) {
		t.Errorf("left: %v", got)
	}
}

// A store that fails is reported, so that the deletion is done again.
func TestForgettingThatFailsSaysSo(t *testing.T) {
	w := newWorld(t)
	traces, _ := w.keeping(100)
	success(t.Context(), traces, 1, "ada")
	traces.Flush(t.Context())
	if err := w.engine.Close(); err != nil {
		t.Fatal(err)
	}
	user, identity := person("ada")
	if err := traces.Forget(t.Context(), user, identity); err == nil {
		t.Error("no error")
	}
	if err := traces.DeletePool(t.Context(), "pool"); err == nil {
		t.Error("no error of a pool")
	}
}
