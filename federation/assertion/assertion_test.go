package assertion_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/mapping"
)

const kind = "assertion"

// world is a store with a clock.
type world struct {
	t      *testing.T
	engine store.Engine
	ring   *secret.Ring
	mu     sync.Mutex
	now    time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ring: ring, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w.engine = db
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// node is a process on the store, fresh in memory.
func (w *world) node() *assertion.Keeper {
	return &assertion.Keeper{Engine: w.engine, Ring: w.ring, Now: w.clock}
}

func keeping(n int, redact ...string) pool.Keeping {
	return pool.Keeping{Number: n, For: 7 * 24 * time.Hour, Redact: redact}
}

func provider(as pool.Keeping) pool.IdentityProvider {
	return pool.IdentityProvider{PoolID: "p_1", Name: "Corp", Details: pool.Details{
		pool.DetailKeepAssertions: secret.New(fmt.Sprint(as.Number)), pool.DetailKeepAssertionsDays: secret.New(fmt.Sprint(int(as.For.Hours() / 24))),
		pool.DetailRedactAssertions: secret.New(strings.Join(as.Redact, " ")),
	}}
}

// of is the assertion of the n-th person.
func of(n int) assertion.Kept {
	return assertion.Kept{PoolID: "p_1", Provider: "Corp", Issuer: "https://idp.example", Subject: fmt.Sprint("s", n), Sub: fmt.Sprint("sub-", n),
		Claims: mapping.Claims{"sub": fmt.Sprint("s", n), "email": fmt.Sprintf("p%d@example.com", n), "level": json.Number("12345678901234567890"), "groups": []any{"a", "b"}}}
}

func stays(context.Context) (bool, error) { return true, nil }

func (w *world) keep(k *assertion.Keeper, a assertion.Kept, as pool.Keeping) {
	w.t.Helper()
	if err := k.Keep(w.t.Context(), k.Prepare(a, as), as, stays); err != nil {
		w.t.Fatal(err)
	}
}

// subjects are those of what is kept, the newest first.
func (w *world) subjects(as pool.Keeping) []string {
	w.t.Helper()
	all, err := w.node().Newest(w.t.Context(), "p_1", "Corp", as)
	if err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	for _, a := range all {
		out = append(out, a.Subject)
	}
	return out
}

// documents is how many there are, whoever they belong to.
func (w *world) documents() int {
	w.t.Helper()
	docs, err := w.engine.List(w.t.Context(), kind, "", "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(docs)
}

func TestWhatIsKept(t *testing.T) {
	w := newWorld(t)
	k, as := w.node(), keeping(5)
	in := of(1)
	in.Fault, in.Why = "invalid", "Because."
	w.keep(k, in, as)
	want := in
	want.Number, want.At, want.For = 1, w.clock(), as.For
	all, err := w.node().Newest(t.Context(), "p_1", "Corp", as)
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("got %+v, %v\nwant %+v", all, err, want)
	}
	docs, err := w.engine.List(t.Context(), kind, "", "", 10)
	if err != nil || len(docs) != 1 || bytes.Contains(docs[0].Body, []byte("example")) || !docs[0].Expires.Equal(w.clock().Add(as.For)) {
		t.Errorf("stored %+v, %v", docs, err)
	}
	if none, err := w.node().Newest(t.Context(), "p_1", "Cor", as); err != nil || len(none) != 0 {
		t.Errorf("of another provider: %v, %v", none, err)
	}
	w.advance(as.For)
	if got := w.subjects(as); len(got) != 0 {
		t.Errorf("kept for too long: %v", got)
	}
}

// The last so many stay, whoever writes them, and nothing else is there.
func TestTheLastStay(t *testing.T) {
	w := newWorld(t)
	as := keeping(3)
	nodes := []*assertion.Keeper{w.node(), w.node()}
	for n := range 10 {
		w.keep(nodes[n%2], of(n), as)
		w.advance(-time.Minute) // the order is not the clock's
	}
	if got := w.subjects(as); !slices.Equal(got, []string{"s9", "s8", "s7"}) || w.documents() != 3 {
		t.Errorf("%q in %d documents", got, w.documents())
	}
	w.keep(w.node(), of(10), as) // a restart
	if got := w.subjects(as); !slices.Equal(got, []string{"s10", "s9", "s8"}) {
		t.Errorf("%q", got)
	}
	off := keeping(0)
	if err := nodes[0].Keep(t.Context(), of(11), off, stays); err != nil || w.documents() != 3 {
		t.Errorf("%v: kept where nothing is", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	as := keeping(100)
	var wg sync.WaitGroup
	for n := range 2 {
		k := w.node()
		for i := range 40 {
			wg.Go(func() {
				err := k.Keep(t.Context(), k.Prepare(of(n*40+i), as), as, stays)
				if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := len(w.subjects(as)); n < 40 || n != w.documents() {
		t.Errorf("%d kept in %d documents", n, w.documents())
	}
}

func TestWhatMayNotStayIsTakenBack(t *testing.T) {
	w := newWorld(t)
	k, as := w.node(), keeping(3)
	gone := errors.New("cannot tell")
	for name, still := range map[string]func(context.Context) (bool, error){
		"gone":         func(context.Context) (bool, error) { return false, nil },
		"it is unsure": func(context.Context) (bool, error) { return true, gone },
	} {
		err := k.Keep(t.Context(), k.Prepare(of(1), as), as, still)
		if (name == "gone") != (err == nil) || w.documents() != 0 {
			t.Errorf("%s: %v, %d documents", name, err, w.documents())
		}
	}
	large := of(2)
	large.Claims["picture"] = strings.Repeat("x", assertion.MaxSize)
	if err := k.Keep(t.Context(), k.Prepare(large, as), as, stays); !errors.Is(err, assertion.ErrTooLarge) || w.documents() != 0 {
		t.Errorf("too large: %v", err)
	}
	// What cannot be opened any more gives way.
	for slot := range 3 {
		if _, err := w.engine.Put(t.Context(), kind, store.Doc{Key: fmt.Sprintf("p_1/4:Corp/%03d", slot), Body: []byte("damaged")}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		w.keep(k, of(n), as)
	}
	if got := w.subjects(as); len(got) != 3 || w.documents() != 3 {
		t.Errorf("%q in %d documents", got, w.documents())
	}
}

func TestSettle(t *testing.T) {
	w := newWorld(t)
	k, as := w.node(), keeping(10)
	for n := range 8 {
		w.keep(k, of(n), as)
	}
	settle := func(as pool.Keeping) {
		t.Helper()
		if err := k.Settle(t.Context(), provider(as)); err != nil {
			t.Fatal(err)
		}
	}
	fewer := keeping(3)
	settle(fewer)
	if got := w.subjects(as); !slices.Equal(got, []string{"s7", "s6", "s5"}) || w.documents() != 3 {
		t.Errorf("fewer: %q in %d documents", got, w.documents())
	}
	w.keep(k, of(8), fewer)
	if got := w.subjects(as); !slices.Equal(got, []string{"s8", "s7", "s6"}) || w.documents() != 3 {
		t.Errorf("one more of fewer: %q in %d documents", got, w.documents())
	}
	settle(as)
	for n := range 5 {
		w.keep(k, of(9+n), as)
	}
	if got := w.subjects(as); len(got) != 8 || w.documents() != 8 {
		t.Errorf("more again: %q in %d documents", got, w.documents())
	}

	settle(keeping(10, "email", "nothing"))
	all, err := w.node().Newest(t.Context(), "p_1", "Corp", as)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Claims["email"] != "redacted-1@redacted.invalid" || !slices.Equal(a.Redacted, []string{"email"}) || a.Claims["sub"] != a.Subject {
			t.Errorf("redacted later: %+v", a)
		}
	}
	settle(keeping(10, "email", "groups"))
	all, err = w.node().Newest(t.Context(), "p_1", "Corp", as)
	if err != nil || !reflect.DeepEqual(all[0].Claims["groups"], []any{"redacted-2", "redacted-3"}) || all[0].Claims["email"] != "redacted-1@redacted.invalid" {
		t.Errorf("more redacted: %+v, %v", all[0], err)
	}

	shorter := keeping(10)
	shorter.For = 24 * time.Hour
	settle(shorter)
	w.advance(shorter.For)
	if w.documents() != 0 {
		t.Errorf("%d documents after a day", w.documents())
	}
	w.keep(k, of(1), as)
	settle(keeping(0))
	if w.documents() != 0 {
		t.Error("kept though nothing is to be kept")
	}
	w.keep(k, of(1), as)
	if err := k.Settle(t.Context(), pool.IdentityProvider{PoolID: "p_1", Name: "Corp"}); err != nil || w.documents() != 0 {
		t.Errorf("of a provider that is deleted: %v", err)
	}
}

func TestRemoval(t *testing.T) {
	w := newWorld(t)
	k, as := w.node(), keeping(10)
	fill := func() {
		t.Helper()
		if err := k.DeletePool(t.Context(), "p_1"); err != nil || w.documents() != 0 {
			t.Fatalf("%v, %d documents", err, w.documents())
		}
		for n := range 3 {
			w.keep(k, of(n), as)
		}
		failed := of(0) // before anybody had the identity
		failed.Sub = ""
		w.keep(k, failed, as)
		other := of(0)
		other.Provider = "Corp/"
		w.keep(k, other, as)
	}
	fill()
	u := pool.User{PoolID: "p_1", Sub: "sub-0", Identities: []pool.LinkedIdentity{{Provider: "Corp", Subject: "s0"}, {Provider: "None", Subject: "\x00"}}}
	if err := k.DeleteUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got := w.subjects(as); !slices.Equal(got, []string{"s2", "s1"}) || w.documents() != 2 {
		t.Errorf("after the user: %q in %d documents", got, w.documents())
	}
	fill()
	if err := k.DeleteIdentity(t.Context(), "p_1", "Corp", "s0"); err != nil {
		t.Fatal(err)
	}
	if got := w.subjects(as); !slices.Equal(got, []string{"s2", "s1"}) || w.documents() != 3 {
		t.Errorf("after the identity: %q in %d documents", got, w.documents())
	}
	if err := k.DeleteIdentity(t.Context(), "p_1", "\x00", "s1"); err != nil {
		t.Error(err)
	}
	if err := k.DeletePool(t.Context(), "p_"); err != nil || w.documents() != 3 {
		t.Errorf("a pool whose id is the beginning of this one: %v, %d documents", err, w.documents())
	}
}
