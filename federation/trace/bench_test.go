package trace_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/mapping"
)

// BenchmarkSignIn is all that a trace of a sign-in costs, with its share of a document in the store; the processor's time is what counts.
func BenchmarkSignIn(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		b.Fatal(err)
	}
	traces := &trace.Traces{Engine: db, Ring: ring, Now: time.Now, Logger: slog.New(slog.DiscardHandler), SignIns: trace.DefaultSignIns}
	rules := make([]mapping.Step, 5)
	for i := range rules {
		rules[i] = mapping.Step{Attribute: fmt.Sprintf("attribute%d", i), Claim: fmt.Sprintf("claim%d", i), Outcome: mapping.Written}
	}
	claims := map[string]any{"aud": "weir", "nonce": "n-0S6_WzA2Mj"}
	for i := range 10 {
		claims[fmt.Sprintf("claim%d", i)] = "a value of a usual length"
	}
	b.ReportAllocs()
	before := processorTime(b)
	n := 0
	for b.Loop() {
		ctx := context.WithValue(traces.With(b.Context()), depth{}, 1)
		trace.From(ctx).NoteAt(time.Now(), trace.StepBegan, "scopes", "openid email profile")
		for range 10 {
			trace.From(ctx).Pass("oidc.signature", "alg", "ES256", "kid", "")
		}
		trace.From(ctx).Received(claims)
		trace.From(ctx).Rules(rules)
		trace.From(ctx).User("0f8fad5b-d9cb-469f-a165-70867728950e", "Corp_ada")
		trace.From(ctx).Note(trace.StepUser, "user", "found")
		traces.Finished(ctx, trace.Trace{Reference: ref(n), Kind: trace.SignIn, Pool: "local_Example01", Client: "exampleclient0000000000001", Provider: "Corp", Attempt: attempt(n)})
		if n++; n%trace.BatchMost == 0 {
			traces.Flush(b.Context())
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(n), "cpu-ns/op")
}

type depth struct{}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
