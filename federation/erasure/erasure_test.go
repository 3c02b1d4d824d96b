package erasure_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/erasure"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	poolID = "local_Example01"
	sub    = "6e3a2f0c-5a27-4c8e-9d53-0f6d1a6c7b11"
)

// requests come with a function that turns their clock.
func requests(t *testing.T) (*erasure.Requests, func(time.Duration)) {
	t.Helper()
	var at atomic.Pointer[time.Time]
	at.Store(&epoch)
	now := func() time.Time { return *at.Load() }
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ring, err := secret.ParseRing(strings.NewReader(read(t, "request.v1.ring.txt")))
	if err != nil {
		t.Fatal(err)
	}
	return &erasure.Requests{Engine: db, Ring: ring, Now: now}, func(d time.Duration) { next := now().Add(d); at.Store(&next) }
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t *testing.T, r *erasure.Requests, pool, provider, id string) erasure.Request {
	t.Helper()
	got, err := r.Open(t.Context(), pool, provider, id, sub)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOneRequestForEachMessage(t *testing.T) {
	r, advance := requests(t)
	first := open(t, r, poolID, "Facebook", "1")
	if first.PoolID != poolID || first.Provider != "Facebook" || first.Sub != sub || !first.Asked.Equal(epoch) || !first.Done.IsZero() || len(first.Code.Reveal()) < 22 {
		t.Errorf("request %+v", first)
	}
	advance(time.Hour)
	if again := open(t, r, poolID, "Facebook", "1"); again.Code.Reveal() != first.Code.Reveal() || !again.Asked.Equal(epoch) {
		t.Errorf("second copy %+v", again)
	}
	for _, other := range [][3]string{{poolID, "Facebook", "2"}, {poolID, "Other", "1"}, {"local_Example02", "Facebook", "1"}, {poolID, "Facebook1", ""}} {
		if got := open(t, r, other[0], other[1], other[2]); got.Code.Reveal() == first.Code.Reveal() {
			t.Errorf("%q has the same code", other)
		}
	}
	advance(erasure.Life)
	if _, err := r.Find(t.Context(), first.Code); !errors.Is(err, erasure.ErrUnknown) {
		t.Errorf("after its time: %v", err)
	}
}

func TestDoneForgetsWhoItWas(t *testing.T) {
	r, advance := requests(t)
	code := open(t, r, poolID, "Facebook", "1").Code
	for range 2 { // the second changes nothing
		advance(time.Hour)
		if err := r.Done(t.Context(), code); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Find(t.Context(), code)
	if err != nil || got.Sub != "" || !got.Done.Equal(epoch.Add(time.Hour)) || !got.Asked.Equal(epoch) {
		t.Errorf("request %+v, %v", got, err)
	}
	if err := r.Done(t.Context(), secret.New("x")); err == nil {
		t.Error("an unknown request was done")
	}
}

func TestNothingInTheClear(t *testing.T) {
	r, _ := requests(t)
	code := open(t, r, poolID, "Facebook", "subject-of-ada").Code.Reveal()
	docs, err := r.Engine.List(t.Context(), "erasure", "", "", 10)
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	all := docs[0].Key + strings.Join(docs[0].Unique, "") + strings.Join(docs[0].Index, "") + string(docs[0].Body)
	for _, part := range []string{code, sub, "Facebook", "subject-of-ada"} {
		if strings.Contains(all, part) {
			t.Errorf("%q in %q", part, all)
		}
	}
}

// The file is a document as the first release stored it. It is never rewritten: a later release has to read it.
func TestStoredRequestOfSchemaOneCanBeRead(t *testing.T) {
	r, _ := requests(t)
	lines := strings.Fields(read(t, "request.v1.txt"))
	body, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Engine.Put(t.Context(), "erasure", store.Doc{Key: lines[0], Unique: []string{lines[1]}, Body: body}); err != nil {
		t.Fatal(err)
	}
	got, err := r.Find(t.Context(), secret.New("CODEOFTHEFIRSTRELEASE00000"))
	want := erasure.Request{Code: got.Code, PoolID: poolID, Provider: "Facebook", Sub: sub, Asked: epoch, Done: epoch.Add(time.Hour)}
	if err != nil || got != want {
		t.Errorf("request %+v, %v; want %+v", got, err, want)
	}
}
