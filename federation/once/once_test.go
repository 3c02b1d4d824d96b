package once_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/mapping"
)

var (
	epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ada   = once.Person{PoolID: "local_Example01", Provider: "SignInWithApple", Subject: "001234.ada"}
)

// clock is a wall clock that the test turns.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func memory(t *testing.T) (*once.Memory, *clock) {
	t.Helper()
	c := &clock{now: epoch}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ring, err := secret.ParseRing(strings.NewReader(string(read(t, "said.v1.ring.txt"))))
	if err != nil {
		t.Fatal(err)
	}
	return &once.Memory{Engine: db, Ring: ring, Now: c.Now}, c
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func recalled(t *testing.T, m *once.Memory, p once.Person, want mapping.Claims) {
	t.Helper()
	got, err := m.Recall(t.Context(), p)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("recalled %v, %v; want %v", got, err, want)
	}
}

func TestWhatWasSaidIsKept(t *testing.T) {
	m, c := memory(t)
	recalled(t, m, ada, nil)
	for _, claims := range []mapping.Claims{{"name": "Ada"}, {"name": "Ada Lovelace"}} { // the later one counts
		if err := m.Keep(t.Context(), ada, claims); err != nil {
			t.Fatal(err)
		}
		recalled(t, m, ada, claims)
	}
	for name, p := range map[string]once.Person{
		"another pool":                   {PoolID: "local_Example02", Provider: ada.Provider, Subject: ada.Subject},
		"another provider":               {PoolID: ada.PoolID, Provider: "Apple", Subject: ada.Subject},
		"another subject":                {PoolID: ada.PoolID, Provider: ada.Provider, Subject: "001234.Ada"},
		"names that run into each other": {PoolID: ada.PoolID, Provider: ada.Provider + "\x00" + ada.Subject},
	} {
		t.Run(name, func(t *testing.T) { recalled(t, m, p, nil) })
	}
	c.advance(once.Life - time.Minute)
	recalled(t, m, ada, mapping.Claims{"name": "Ada Lovelace"})
	c.advance(2 * time.Minute)
	recalled(t, m, ada, nil)
}

func TestForget(t *testing.T) {
	m, _ := memory(t)
	if err := m.Keep(t.Context(), ada, mapping.Claims{"name": "Ada"}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing to forget is no error
		if err := m.Forget(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		recalled(t, m, ada, nil)
	}
}

func TestTooMuchIsNotKept(t *testing.T) {
	m, _ := memory(t)
	if err := m.Keep(t.Context(), ada, mapping.Claims{"name": strings.Repeat("n", 4<<10)}); !errors.Is(err, once.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	recalled(t, m, ada, nil)
}

// Sign-ins of one person at the same time may fail at the same time.
func TestKeptByManyAtOnce(t *testing.T) {
	m, _ := memory(t)
	const n = 16
	errs := make(chan error, n)
	for range n {
		go func() { errs <- m.Keep(t.Context(), ada, mapping.Claims{"name": "Ada"}) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	recalled(t, m, ada, mapping.Claims{"name": "Ada"})
}

// The file is a document as the first release stored it. It is never rewritten: a later release has to read it.
func TestStoredClaimsOfSchemaOneCanBeRead(t *testing.T) {
	m, _ := memory(t)
	key, sealed, _ := strings.Cut(strings.TrimSpace(string(read(t, "said.v1.txt"))), "\n")
	body, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Engine.Put(t.Context(), "said_once", store.Doc{Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
	recalled(t, m, ada, mapping.Claims{"name": "Ada Lovelace", "firstName": "Ada", "lastName": "Lovelace"})
}
