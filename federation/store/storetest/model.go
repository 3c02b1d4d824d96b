package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/store"
)

var modelCases = []testCase{
	{"random calls agree with a map", randomCalls},
}

// model is the contract in the simplest form: a map that is searched.
type model struct {
	docs map[string]store.Doc
	now  func() time.Time
}

func (m model) live(key string) (store.Doc, bool) {
	d, ok := m.docs[key]
	return d, ok && (d.Expires.IsZero() || m.now().Before(d.Expires))
}

func (m model) put(d store.Doc) (uint64, error) {
	old, ok := m.live(d.Key)
	if ok != (d.Version != 0) || ok && old.Version != d.Version {
		return 0, store.ErrConflict
	}
	for key := range m.docs {
		other, ok := m.live(key)
		if !ok || key == d.Key {
			continue
		}
		for _, u := range d.Unique {
			if slices.Contains(other.Unique, u) {
				return 0, store.ErrTaken
			}
		}
	}
	d.Version++
	m.docs[d.Key] = d
	return d.Version, nil
}

func (m model) by(unique string) (store.Doc, bool) {
	for key := range m.docs {
		if d, ok := m.live(key); ok && slices.Contains(d.Unique, unique) {
			return d, true
		}
	}
	return store.Doc{}, false
}

func (m model) list(index string) []string {
	var at []string
	for key := range m.docs {
		if d, ok := m.live(key); !ok {
			continue
		} else if index == "" {
			at = append(at, key)
		} else if c := store.Cursor(d, index); c != "" {
			at = append(at, c)
		}
	}
	slices.Sort(at)
	keys := []string{}
	for _, c := range at {
		keys = append(keys, c[strings.LastIndexByte(c, 0)+1:])
	}
	return keys
}

// dice falls alike in every run.
type dice struct{ thrown uint64 }

// roll returns a number below n.
func (d *dice) roll(n int) int {
	d.thrown++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, d.thrown))
	return int(binary.BigEndian.Uint32(sum[:])) % n
}

// randomCalls makes the same calls to the engine and to a model, with few keys and values, so that they meet often.
func randomCalls(f *fixture) {
	r := new(dice)
	m := model{docs: map[string]store.Doc{}, now: f.clock.Now}
	some := func(prefix string) string { return fmt.Sprint(prefix, r.roll(12)) }
	for range 1500 {
		key := some("key")
		switch r.roll(10) {
		case 0, 1, 2, 3, 4:
			f.randomPut(r, m, key, some)
		case 5:
			got, err := f.engine.Take(f.Context(), "k", key)
			want, ok := m.live(key)
			f.agree(got, err, want, ok)
			if ok {
				delete(m.docs, key)
			}
		case 6:
			f.delete("k", key)
			delete(m.docs, key)
		case 7:
			f.clock.advance(time.Duration(r.roll(30)) * time.Minute)
		case 8:
			dead := 0
			for key, d := range maps.Clone(m.docs) {
				if !d.Expires.IsZero() && d.Expires.Before(m.now()) {
					delete(m.docs, key)
					dead++
				}
			}
			// An engine may have removed expired documents before, where they were in the way.
			if n, err := f.engine.Sweep(f.Context(), f.clock.Now()); err != nil || n > dead {
				f.Fatalf("sweep removed %d, %v; at most %d had expired", n, err, dead)
			}
		case 9:
			for _, index := range []string{"", "a:", "a:value1", "b:"} {
				if got, want := f.keys("k", index, 1+r.roll(10)), m.list(index); !slices.Equal(got, want) {
					f.Fatalf("list %q: %q, want %q", index, got, want)
				}
			}
		}
		want, ok := m.live(key)
		got, err := f.engine.Get(f.Context(), "k", key)
		f.agree(got, err, want, ok)
		u := some("unique")
		want, ok = m.by(u)
		got, err = f.engine.GetBy(f.Context(), "k", u)
		f.agree(got, err, want, ok)
	}
}

func (f *fixture) randomPut(r *dice, m model, key string, some func(string) string) {
	f.Helper()
	d := store.Doc{Key: key, Body: bytes.Repeat([]byte(some("body")), r.roll(500))}
	if old, ok := m.live(key); ok && r.roll(5) > 0 {
		d.Version = old.Version
	}
	for range r.roll(3) {
		d.Unique = append(d.Unique, some("unique"))
	}
	for _, name := range []string{"a:", "b:"}[:r.roll(3)] {
		d.Index = append(d.Index, name+some("value"))
	}
	if r.roll(2) == 0 {
		d.Expires = f.clock.Now().Add(time.Duration(r.roll(120)) * time.Minute)
	}
	got, err := f.engine.Put(f.Context(), "k", d)
	want, wantErr := m.put(d)
	if got != want || !errors.Is(err, wantErr) {
		f.Fatalf("put %+v: version %d, %v; want %d, %v", d, got, err, want, wantErr)
	}
}

// agree compares an answer of the engine with the model's.
func (f *fixture) agree(got store.Doc, err error, want store.Doc, ok bool) {
	f.Helper()
	if !ok {
		f.wantError(err, store.ErrNotFound)
		return
	}
	f.wantError(err, nil)
	f.same(got, want)
}
