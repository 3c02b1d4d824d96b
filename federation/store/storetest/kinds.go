package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// lister is an engine that can say which kinds it has: what weir migrate asks of every engine beyond store.Engine, so that no kind is left behind.
type lister interface {
	Kinds(ctx context.Context) ([]string, error)
}

// RunKinds asserts that an engine names every kind that it has live documents of, once and in bytewise order. fresh is that of Run.
func RunKinds(t *testing.T, fresh func(t *testing.T) Open) {
	t.Helper()
	open := fresh(t)
	e, err := open(func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	l, ok := e.(lister)
	if !ok {
		t.Fatalf("%T cannot say which kinds it has", e)
	}
	kinds := func(want ...string) {
		t.Helper()
		if got, err := l.Kinds(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("kinds %q, %v, want %q", got, err, want)
		}
	}
	kinds()
	names := []string{"\x01", "\x02\xff", "user", "user:", "user\x01", "users", "\x7f", "\x80\xfe", "\xff"}
	for i, kind := range names {
		for n := range 1 + 40*(i%2) {
			d := store.Doc{Key: fmt.Sprintf("\xff%03d", n), Unique: []string{fmt.Sprint(n)}, Index: []string{"a:\xff"}, Body: []byte("x")}
			if _, err := e.Put(t.Context(), kind, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(names)
	kinds(names...)
}
