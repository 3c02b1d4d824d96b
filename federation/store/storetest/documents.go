package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/weir-id/weir/federation/store"
)

var documentCases = []testCase{
	{"a document comes back as it was put", roundTrip},
	{"version 0 creates once", createOnce},
	{"a version is replaced once", replaceOnce},
	{"a created document begins at version 1 again", createAgain},
	{"what is not there is not found", notFound},
	{"take removes and returns", take},
	{"delete removes and forgives", deleteForgives},
	{"kinds do not mix", kindsApart},
	{"keys and values are bytes", bytewise},
	{"limits are kept", limits},
	{"a refused document changes nothing", invalidChangesNothing},
	{"slices are copies", isolation},
	{"documents outlive the engine", reopening},
	{"a cancelled context ends every method", cancelled},
	{"a closed engine is unavailable", closed},
}

func roundTrip(f *fixture) {
	f.has("k", f.put("k", store.Doc{Key: "bare"}))
	full := store.Doc{
		Key: "full", Unique: []string{"u1", "u2"}, Index: []string{"pool:a", "mail:b:c"},
		Expires: f.clock.Now().Add(hour), Body: []byte("\x00\xff body"),
	}
	full = f.put("k", full)
	f.has("k", full)
	f.holds("k", "u1", full)
	f.holds("k", "u2", full)
	page, err := f.engine.List(f.Context(), "k", "mail:", "", 10)
	if err != nil || len(page) != 1 {
		f.Fatalf("list: %d documents, %v", len(page), err)
	}
	f.same(page[0], full)
}

func createOnce(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Body: []byte("first")})
	f.refuse("k", store.Doc{Key: "a", Body: []byte("second")}, store.ErrConflict)
	f.has("k", d)
}

func replaceOnce(f *fixture) {
	one := f.put("k", store.Doc{Key: "a", Body: []byte("one")})
	two := one
	two.Body = []byte("two")
	two = f.put("k", two)
	f.refuse("k", one, store.ErrConflict)
	f.refuse("k", store.Doc{Key: "a", Version: 3}, store.ErrConflict)
	f.refuse("k", store.Doc{Key: "missing", Version: 1}, store.ErrConflict)
	f.has("k", two)
	f.lacks("k", "missing")
}

func createAgain(f *fixture) {
	d := f.put("k", store.Doc{Key: "a"})
	f.put("k", d)
	f.delete("k", "a")
	f.refuse("k", store.Doc{Key: "a", Version: 2}, store.ErrConflict)
	f.has("k", f.put("k", store.Doc{Key: "a"}))
}

func notFound(f *fixture) {
	f.put("k", store.Doc{Key: "there", Unique: []string{"u"}})
	for _, key := range []string{"missing", "the", "there2", "u", "", "a\x00b", strings.Repeat("x", store.MaxKey+1)} {
		f.lacks("k", key)
		f.free("k", strings.TrimPrefix(key, "u"))
		_, err := f.engine.Take(f.Context(), "k", key)
		f.wantError(err, store.ErrNotFound)
		f.delete("k", key)
	}
	f.lacks("never used", "there")
	f.free("never used", "u")
	f.lists("never used", "")
	f.lists("never used", "pool:")
	f.lists("k", "", "there")
}

func take(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Body: []byte("body")})
	got, err := f.engine.Take(f.Context(), "k", "a")
	f.wantError(err, nil)
	f.same(got, d)
	_, err = f.engine.Take(f.Context(), "k", "a")
	f.wantError(err, store.ErrNotFound)
	f.lacks("k", "a")
	f.free("k", "u")
	f.lists("k", "n:")
	f.lists("k", "")
}

func deleteForgives(f *fixture) {
	f.delete("k", "a")
	f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}})
	f.delete("k", "a")
	f.delete("k", "a")
	f.lacks("k", "a")
	f.free("k", "u")
	f.lists("k", "n:")
}

func kindsApart(f *fixture) {
	first := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Body: []byte("k")})
	second := f.put("k2", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Body: []byte("k2")})
	f.has("k", first)
	f.has("k2", second)
	f.holds("k", "u", first)
	f.lists("k", "n:", "a")
	f.delete("k", "a")
	f.has("k2", second)
	f.holds("k2", "u", second)
	f.lists("k2", "n:", "a")
	f.lists("k", "")
}

func bytewise(f *fixture) {
	keys := []string{"\x01", " ", "$set", "A", "a", "a.b", "a/b", "ä", "\xfe", "\xff\xff"}
	for i, k := range keys {
		d := f.put("k", store.Doc{Key: k, Unique: []string{k}, Index: []string{"n:" + k}, Body: []byte{byte(i)}})
		f.has("k", d)
		f.holds("k", k, d)
		f.lists("k", "n:"+k, prefixed(keys[:i+1], k)...)
	}
	f.lists("k", "", keys...)
	f.lists("k", "n:", keys...)
}

func prefixed(list []string, prefix string) []string {
	out := []string{}
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			out = append(out, s)
		}
	}
	return out
}

func limits(f *fixture) {
	long := strings.Repeat("k", store.MaxKey)
	names := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("n%d:x", i))
		}
		return list
	}
	accepted := []store.Doc{
		{Key: long, Unique: []string{long}, Index: []string{"n:" + long[2:]}, Body: make([]byte, store.MaxBody), Expires: f.clock.Now().Add(hour)},
		{Key: "names", Unique: names(store.MaxNames / 2), Index: names(store.MaxNames / 2)},
		{Key: "twice", Unique: []string{"same", "same"}},
		{Key: "empty value", Index: []string{"n:"}},
	}
	for _, d := range accepted {
		d = f.put("k", d)
		f.has("k", d)
		f.has("k", f.put("k", d))
	}
	for what, d := range map[string]store.Doc{
		"no key":                  {},
		"a long key":              {Key: long + "k"},
		"NUL in the key":          {Key: "a\x00b"},
		"a large body":            {Key: "a", Body: make([]byte, store.MaxBody+1)},
		"many unique values":      {Key: "a", Unique: names(store.MaxNames + 1)},
		"many index entries":      {Key: "a", Index: names(store.MaxNames + 1)},
		"many names together":     {Key: "a", Unique: names(store.MaxNames), Index: names(1)},
		"an empty unique value":   {Key: "a", Unique: []string{""}},
		"a long unique value":     {Key: "a", Unique: []string{long + "k"}},
		"NUL in a unique value":   {Key: "a", Unique: []string{"u\x00"}},
		"an empty entry":          {Key: "a", Index: []string{""}},
		"an entry without colon":  {Key: "a", Index: []string{"name"}},
		"an entry without name":   {Key: "a", Index: []string{":value"}},
		"a long entry":            {Key: "a", Index: []string{"n:" + long}},
		"NUL in an entry":         {Key: "a", Index: []string{"n:\x00"}},
		"two entries of one name": {Key: "a", Index: []string{"n:1", "m:1", "n:2"}},
		"one entry twice":         {Key: "a", Index: []string{"n:1", "n:1"}},
	} {
		if _, err := f.engine.Put(f.Context(), "k", d); err == nil {
			f.Errorf("%s: accepted", what)
		} else {
			f.wantError(err, store.ErrInvalid)
		}
	}
	f.refuse("", store.Doc{Key: "a"}, store.ErrInvalid)
	f.refuse("a\x00b", store.Doc{Key: "a"}, store.ErrInvalid)
	f.lacks("k", "a")
}

func invalidChangesNothing(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Body: []byte("old")})
	f.refuse("k", store.Doc{Key: "a", Version: 1, Unique: []string{"v"}, Index: []string{"n:2", "n:3"}}, store.ErrInvalid)
	f.has("k", d)
	f.holds("k", "u", d)
	f.free("k", "v")
	f.lists("k", "n:1", "a")
	f.lists("k", "n:2")
}

func isolation(f *fixture) {
	want := store.Doc{Key: "a", Version: 1, Unique: []string{"u"}, Index: []string{"n:1"}, Body: []byte("body")}
	handed := store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Body: []byte("body")}
	spoil := func(d store.Doc) { d.Unique[0], d.Index[0], d.Body[0] = "spoilt", "spoilt:1", 'X' }
	f.put("k", handed)
	spoil(handed)
	f.has("k", want)

	got, err := f.engine.Get(f.Context(), "k", "a")
	f.wantError(err, nil)
	spoil(got)
	f.has("k", want)
	got, err = f.engine.GetBy(f.Context(), "k", "u")
	f.wantError(err, nil)
	spoil(got)
	f.has("k", want)
	page, err := f.engine.List(f.Context(), "k", "n:", "", 1)
	f.wantError(err, nil)
	spoil(page[0])
	f.has("k", want)
	taken, err := f.engine.Take(f.Context(), "k", "a")
	f.wantError(err, nil)
	f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Body: []byte("else")})
	f.same(taken, want)
}

func reopening(f *fixture) {
	var docs []store.Doc
	for i := range 50 {
		docs = append(docs, f.put("k", store.Doc{
			Key: numbered("d", i), Unique: []string{numbered("u", i)}, Index: []string{numbered("n:", i)}, Body: []byte{byte(i)},
		}))
	}
	f.delete("k", "d0000")
	docs[1] = f.put("k", docs[1])
	f.reopen()
	f.lacks("k", "d0000")
	f.free("k", "u0000")
	for i, d := range docs[1:] {
		f.has("k", d)
		f.holds("k", numbered("u", i+1), d)
	}
	if n := len(f.keys("k", "n:", 7)); n != 49 {
		f.Errorf("%d index entries, want 49", n)
	}
	f.refuse("k", store.Doc{Key: "other", Unique: []string{"u0001"}}, store.ErrTaken)
	f.refuse("k", store.Doc{Key: "d0001"}, store.ErrConflict)
}

// methods are all methods of Engine that take a context.
func methods(e store.Engine, f *fixture) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := e.Get(ctx, "k", "a"); return err },
		"GetBy":  func(ctx context.Context) error { _, err := e.GetBy(ctx, "k", "u"); return err },
		"Put":    func(ctx context.Context) error { _, err := e.Put(ctx, "k", store.Doc{Key: "b"}); return err },
		"Take":   func(ctx context.Context) error { _, err := e.Take(ctx, "k", "b"); return err },
		"Delete": func(ctx context.Context) error { return e.Delete(ctx, "k", "b") },
		"List":   func(ctx context.Context) error { _, err := e.List(ctx, "k", "", "", 10); return err },
		"Sweep":  func(ctx context.Context) error { _, err := e.Sweep(ctx, f.clock.Now()); return err },
	}
}

func cancelled(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}, Expires: f.clock.Now().Add(hour)})
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	for name, call := range methods(f.engine, f) {
		err := call(ctx)
		if err == nil {
			f.Errorf("%s: no error", name)
			continue
		}
		f.wantError(err, context.Canceled)
	}
	f.has("k", d) // and the engine goes on
}

func closed(f *fixture) {
	f.put("k", store.Doc{Key: "a", Unique: []string{"u"}})
	f.wantError(f.engine.Close(), nil)
	for name, call := range methods(f.engine, f) {
		err := call(f.Context())
		if err == nil {
			f.Errorf("%s: no error", name)
			continue
		}
		f.wantError(err, store.ErrUnavailable)
	}
	f.wantError(f.engine.Close(), nil)
}
