package pending_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pending"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/bolt"
)

// clock is a wall clock that the test turns.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func signIns(t *testing.T) (*pending.SignIns, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: c.Now})
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
	return &pending.SignIns{Engine: db, Ring: ring}, c
}

func TestOneCallerTakesASignIn(t *testing.T) {
	s, c := signIns(t)
	v := pending.SignIn{ID: "AAAAAAAAAAAAAAAAAAAAAA", Until: c.Now().Add(time.Minute), Data: json.RawMessage(`{"a":1}`)}
	if err := s.Keep(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(t.Context(), v); err == nil {
		t.Error("kept twice under one id")
	}
	if got, err := s.Get(t.Context(), v.ID); err != nil || string(got.Data) != `{"a":1}` || !got.Until.Equal(v.Until) {
		t.Errorf("got %+v, %v", got, err)
	}
	err := s.Change(t.Context(), v.ID, func(pending.SignIn) (json.RawMessage, error) { return json.RawMessage(`{"a":2}`), nil })
	if err != nil {
		t.Fatal(err)
	}
	const n = 16
	errs := make(chan error, n)
	for range n {
		go func() {
			got, err := s.Take(t.Context(), v.ID)
			if err == nil && string(got.Data) != `{"a":2}` {
				err = errors.New(string(got.Data))
			}
			errs <- err
		}()
	}
	taken := 0
	for range n {
		if err := <-errs; err == nil {
			taken++
		} else if !errors.Is(err, pending.ErrNone) {
			t.Error(err)
		}
	}
	if taken != 1 {
		t.Errorf("taken %d times", taken)
	}
	if err := s.Change(t.Context(), v.ID, func(v pending.SignIn) (json.RawMessage, error) { return v.Data, nil }); !errors.Is(err, pending.ErrNone) {
		t.Errorf("changed after it was taken: %v", err)
	}
}

func TestASignInEndsByItself(t *testing.T) {
	s, c := signIns(t)
	if err := s.Keep(t.Context(), pending.SignIn{ID: "A", Until: c.Now().Add(time.Minute), Data: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Minute)
	if _, err := s.Get(t.Context(), "A"); !errors.Is(err, pending.ErrNone) {
		t.Errorf("got it: %v", err)
	}
	if _, err := s.Take(t.Context(), "A"); !errors.Is(err, pending.ErrNone) {
		t.Errorf("took it: %v", err)
	}
}

func TestTooMuchIsNotKept(t *testing.T) {
	s, c := signIns(t)
	big := json.RawMessage(`"` + strings.Repeat("x", pending.MaxSize) + `"`)
	if err := s.Keep(t.Context(), pending.SignIn{ID: "A", Until: c.Now().Add(time.Minute), Data: big}); !errors.Is(err, pending.ErrTooLarge) {
		t.Errorf("kept: %v", err)
	}
	if err := s.Keep(t.Context(), pending.SignIn{ID: "A", Until: c.Now().Add(time.Minute), Data: json.RawMessage(`1`)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Change(t.Context(), "A", func(pending.SignIn) (json.RawMessage, error) { return big, nil }); !errors.Is(err, pending.ErrTooLarge) {
		t.Errorf("changed: %v", err)
	}
	if got, err := s.Get(t.Context(), "A"); err != nil || string(got.Data) != "1" {
		t.Errorf("got %s, %v", got.Data, err)
	}
}
