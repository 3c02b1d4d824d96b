package upstream_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/upstream"
)

const (
	poolID = "local_Example01"
	sub    = "6e3a2f0c-5a27-4c8e-9d53-0f6d1a6c7b11"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// world is a store that nodes share, and a clock.
type world struct {
	engine *counting
	ring   *secret.Ring
	mu     sync.Mutex
	at     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{at: noon}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.engine = &counting{Engine: db}
	w.ring = parseRing(t, secret.GenerateKey())
	return w
}

func parseRing(t *testing.T, line string) *secret.Ring {
	t.Helper()
	ring, err := secret.ParseRing(strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) node() *upstream.Keeper {
	return &upstream.Keeper{Engine: w.engine, Ring: w.ring, Now: w.now}
}

// counting counts writes and keeps the documents.
type counting struct {
	store.Engine
	writes atomic.Int32
	mu     sync.Mutex
	bodies [][]byte
}

func (c *counting) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	c.writes.Add(1)
	c.mu.Lock()
	c.bodies = append(c.bodies, d.Body)
	c.mu.Unlock()
	return c.Engine.Put(ctx, kind, d)
}

// tokens are named after n, and good for an hour from now.
func (w *world) tokens(n string, refresh bool) upstream.Tokens {
	t := upstream.Tokens{Access: secret.New("access-" + n), ID: secret.New("id-" + n), Scope: "openid", Expires: w.now().Add(time.Hour)}
	if refresh {
		t.Refresh = secret.New("refresh-" + n)
	}
	return t
}

// adas are ada's at Corp.
func adas(t upstream.Tokens) upstream.Kept {
	return upstream.Kept{PoolID: poolID, Sub: sub, Provider: "Corp", Subject: "ada-0001", Tokens: t}
}

func keep(t *testing.T, k *upstream.Keeper, in upstream.Kept) {
	t.Helper()
	if err := k.Keep(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// only is what is kept of ada, as "access refresh".
func only(t *testing.T, k *upstream.Keeper) string {
	t.Helper()
	all, err := k.Of(t.Context(), poolID, sub)
	if err != nil || len(all) > 1 {
		t.Fatalf("%d kept, %v", len(all), err)
	}
	if len(all) == 0 {
		return "nothing"
	}
	return text(all[0])
}

func text(k upstream.Kept) string {
	return strings.TrimSpace(k.Tokens.Access.Reveal() + " " + k.Tokens.Refresh.Reveal())
}

func TestKeep(t *testing.T) {
	w := newWorld(t)
	k := w.node()
	keep(t, k, adas(w.tokens("1", true)))
	t.Run("the same again writes nothing", func(t *testing.T) {
		before := w.engine.writes.Load()
		keep(t, k, adas(w.tokens("1", true)))
		if n := w.engine.writes.Load() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
	})
	t.Run("a sign-in without a refresh token keeps the old one, in one write", func(t *testing.T) {
		before := w.engine.writes.Load()
		keep(t, k, adas(w.tokens("2", false)))
		if got, n := only(t, k), w.engine.writes.Load()-before; got != "access-2 refresh-1" || n != 1 {
			t.Errorf("%s, %d writes", got, n)
		}
	})
	t.Run("one with a refresh token replaces it", func(t *testing.T) {
		keep(t, k, adas(w.tokens("3", true)))
		if got := only(t, k); got != "access-3 refresh-3" {
			t.Error(got)
		}
	})
	t.Run("too large is not kept, and what is there stays", func(t *testing.T) {
		big := w.tokens("4", true)
		big.ID = secret.New(strings.Repeat("x", upstream.MaxTokens))
		if err := k.Keep(t.Context(), adas(big)); !errors.Is(err, upstream.ErrTooLarge) {
			t.Errorf("error %v", err)
		}
		if got := only(t, k); got != "access-3 refresh-3" {
			t.Error(got)
		}
	})
	t.Run("other users, pools, providers and subjects are apart", func(t *testing.T) {
		for _, change := range []func(*upstream.Kept){
			func(k *upstream.Kept) { k.Sub = sub[:8] },
			func(k *upstream.Kept) { k.PoolID = "local_Example02" },
		} {
			other := adas(w.tokens("5", true))
			change(&other)
			keep(t, k, other)
		}
		if got := only(t, k); got != "access-3 refresh-3" {
			t.Error(got)
		}
		for _, pair := range [][2]string{{"Corp", "ada-0002"}, {"Cor", "pada-0001"}, {"Corpa", "da-0001"}} {
			other := adas(w.tokens("6", true))
			other.Provider, other.Subject = pair[0], pair[1]
			keep(t, k, other)
		}
		if all, err := k.Of(t.Context(), poolID, sub); err != nil || len(all) != 4 {
			t.Errorf("%d kept, %v", len(all), err)
		}
	})
	t.Run("one caller takes them", func(t *testing.T) {
		got, err := k.Take(t.Context(), adas(upstream.Tokens{}))
		if err != nil || text(got) != "access-3 refresh-3" {
			t.Errorf("%s, %v", text(got), err)
		}
		if _, err := k.Take(t.Context(), adas(upstream.Tokens{})); !errors.Is(err, upstream.ErrNone) {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestTokensWithoutARefreshTokenEnd(t *testing.T) {
	w := newWorld(t)
	k := w.node()
	keep(t, k, adas(w.tokens("1", false)))
	w.advance(time.Hour)
	if got := only(t, k); got != "nothing" {
		t.Error(got)
	}
}

func TestUpstreamTokensAreSealedAndPrintNothing(t *testing.T) {
	w := newWorld(t)
	kept := adas(w.tokens("hush", true))
	keep(t, w.node(), kept)
	if len(w.engine.bodies) != 1 {
		t.Fatalf("%d documents", len(w.engine.bodies))
	}
	for _, part := range []string{"hush", "Corp", "ada-0001"} {
		if bytes.Contains(w.engine.bodies[0], []byte(part)) {
			t.Errorf("in the clear: %s", part)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, kept); strings.Contains(s, "hush") {
			t.Errorf("%s prints a token: %s", verb, s)
		}
	}
}

// The file is a document as the first release stored it. It is never rewritten: a later release has to read it.
func TestStoredTokensOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t)
	data, err := os.ReadFile("testdata/tokens.v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(data)) // the sealing key, the document's key, its body
	w.ring = parseRing(t, lines[0])
	body, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	doc := store.Doc{Key: lines[1], Index: []string{"user:" + poolID + "/" + sub + "/"}, Body: body}
	if _, err := w.engine.Put(t.Context(), "upstream_tokens", doc); err != nil {
		t.Fatal(err)
	}
	all, err := w.node().Of(t.Context(), poolID, sub)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d, %v", len(all), err)
	}
	got := all[0]
	if text(got) != "access-v1 refresh-v1" || got.Tokens.ID.Reveal() != "id-v1" || got.Tokens.Scope != "openid" ||
		!got.Tokens.Expires.Equal(noon.Add(time.Hour)) || !got.Obtained.Equal(noon) || got.Provider != "Corp" || got.Subject != "ada-0001" ||
		got.Lease != "LEASE" || !got.LeaseUntil.Equal(noon.Add(time.Minute)) {
		t.Errorf("got %+v", got)
	}
	if _, err := w.node().Take(t.Context(), adas(upstream.Tokens{})); err != nil {
		t.Errorf("its key has changed: %v", err)
	}
}
