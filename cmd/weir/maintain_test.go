package main_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	weir "github.com/weir-id/weir/cmd/weir"
	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/token"
)

// Two nodes on one store: what is due is done once, whichever node is left, and a node that ends leaves nothing undone.
func TestTwoNodesMaintainOneStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
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
		d := &pool.Directory{Engine: db, Ring: ring, Now: time.Now}
		keys := &token.Keys{Engine: db, Ring: ring, Now: time.Now}
		p, err := d.CreatePool(t.Context(), pool.Pool{Name: "example", SigningAlgorithm: "ES256", SigningKeyDays: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		<-time.After(9*24*time.Hour - 5*time.Minute) // of ten days, and new ones are announced a day before
		start := func() (*buffer, func()) {
			var log buffer
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				weir.Maintain(ctx, &config.Config{BaseURL: "https://login.example.com"}, db, ring, slog.New(slog.NewJSONHandler(&log, nil)))
			}()
			end := func() { stop(); <-done }
			t.Cleanup(end)
			return &log, end
		}
		first, end := start()
		synctest.Wait()
		second, _ := start()

		published := func() int {
			t.Helper()
			set, _, err := keys.JWKS(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			return len(set.Keys)
		}
		expired := store.Doc{Key: "a", Expires: time.Now().Add(time.Minute)}
		if _, err := db.Put(t.Context(), "test", expired); err != nil {
			t.Fatal(err)
		}
		<-time.After(4 * time.Minute)
		if n, err := db.Sweep(t.Context(), time.Now()); n != 1 || err != nil {
			t.Errorf("an expired document was taken away from nodes whose clocks are behind: %d left, %v", n, err)
		}
		if n := published(); n != 2 {
			t.Errorf("%d keys are published before new ones are due, want 2", n)
		}
		<-time.After(3 * time.Minute)
		if n := published(); n != 4 {
			t.Errorf("%d keys are published when new ones are due, want 4: one node announced them", n)
		}

		// The first node, which did all of it, ends; and a deletion is cut short.
		end()
		cut := errors.New("cut short")
		if err := d.DeletePool(t.Context(), p.ID, func(context.Context, string) error { return cut }); !errors.Is(err, pool.ErrUnfinished) {
			t.Fatal(err)
		}
		<-time.After(time.Minute + lease.Look)
		for _, kind := range []string{"pool", "keyset"} {
			if left, err := db.List(t.Context(), kind, "", "", 10); err != nil || len(left) != 0 {
				t.Errorf("%d documents of the kind %s are left, %v", len(left), kind, err)
			}
		}
		for _, want := range []struct {
			log         *buffer
			taken, back int
		}{{first, 4, 4}, {second, 4, 0}} {
			text := want.log.String()
			if n, m := strings.Count(text, `"lease taken"`), strings.Count(text, `"lease given back"`); n != want.taken || m != want.back {
				t.Errorf("%d leases taken and %d given back, want %d and %d", n, m, want.taken, want.back)
			}
			if strings.Contains(text, "ERROR") || strings.Contains(text, "lease lost") {
				t.Errorf("log: %s", text)
			}
		}
	})
}
