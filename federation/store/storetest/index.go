package storetest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/weir-id/weir/federation/store"
)

var indexCases = []testCase{
	{"an empty index lists by key", listByKey},
	{"an index lists by entry and key", listByEntry},
	{"an index meets prefixes", listPrefix},
	{"index entries move with their document", indexMoves},
	{"a cursor outlives its document", cursorOutlives},
	{"wrong arguments of List are refused", listInvalid},
	{"pages stay whole while others write", listStable},
	{"cursors name places", cursors},
}

func listByKey(f *fixture) {
	for _, k := range []string{"b", "a", "ab", "c", "a\x01"} {
		f.put("k", store.Doc{Key: k})
	}
	f.lists("k", "", "a", "a\x01", "ab", "b", "c")
}

func listByEntry(f *fixture) {
	for _, d := range []store.Doc{
		{Key: "z", Index: []string{"pool:a"}},
		{Key: "y", Index: []string{"pool:ab", "other:1"}},
		{Key: "x", Index: []string{"pool:a"}},
		{Key: "a", Index: []string{"pool:b"}},
		{Key: "w", Index: []string{"poolb:a"}},
		{Key: "v", Index: []string{"pool:a\x01"}},
		{Key: "none"},
	} {
		f.put("k", d)
	}
	f.lists("k", "pool:", "x", "z", "v", "y", "a")
	for i := range 40 {
		f.put("many", store.Doc{Key: numbered("d", 39-i), Index: []string{"pool:same"}})
	}
	want := []string{}
	for i := range 40 {
		want = append(want, numbered("d", i))
	}
	f.lists("many", "pool:same", want...)
}

func listPrefix(f *fixture) {
	for i, e := range []string{"mail:ann@a", "mail:anna@a", "mail:ann@b", "mail:bob@a", "mai:x"} {
		f.put("k", store.Doc{Key: fmt.Sprint(i), Index: []string{e}})
	}
	f.lists("k", "mail:", "0", "2", "1", "3")
	f.lists("k", "mail:ann", "0", "2", "1")
	f.lists("k", "mail:ann@", "0", "2")
	f.lists("k", "mail:ann@a", "0")
	f.lists("k", "mail:ann@a.example")
	f.lists("k", "mail:c")
	f.lists("k", "mai:", "4")
	f.lists("k", "absent:")
	f.lists("k", "mail:a\x00")
}

func indexMoves(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Index: []string{"state:new", "pool:p"}})
	d.Index = []string{"pool:p", "state:old"}
	d = f.put("k", d)
	f.lists("k", "state:new")
	f.lists("k", "state:", "a")
	f.lists("k", "pool:p", "a")
	d.Index = nil
	f.put("k", d)
	f.lists("k", "state:")
	f.lists("k", "pool:")
	f.lists("k", "", "a")
}

func cursorOutlives(f *fixture) {
	for _, index := range []string{"", "n:"} {
		kind := "kind" + index
		for i := range 6 {
			f.put(kind, store.Doc{Key: numbered("d", i), Index: []string{"n:x"}})
		}
		page, err := f.engine.List(f.Context(), kind, index, "", 3)
		f.wantError(err, nil)
		after := store.Cursor(page[2], index)
		f.delete(kind, "d0002")
		f.delete(kind, "d0003")
		f.put(kind, store.Doc{Key: "d00015", Index: []string{"n:x"}}) // before the cursor
		f.put(kind, store.Doc{Key: "d00025", Index: []string{"n:x"}}) // behind it
		page, err = f.engine.List(f.Context(), kind, index, after, 10)
		f.wantError(err, nil)
		var keys []string
		for _, d := range page {
			keys = append(keys, d.Key)
		}
		if want := []string{"d00025", "d0004", "d0005"}; !slices.Equal(keys, want) {
			f.Errorf("behind the cursor of %q: %q, want %q", index, keys, want)
		}
	}
}

func listInvalid(f *fixture) {
	f.put("k", store.Doc{Key: "a", Index: []string{"n:1"}})
	for _, c := range []struct {
		index, after string
		limit        int
	}{
		{"", "", 0}, {"", "", -1}, {"", "", store.MaxList + 1}, // limits
		{"n", "", 1}, {":", "", 1}, {":1", "", 1}, // an index without its name
		{"", "a\x00b", 1}, {"n:", "a", 1}, {"n:", "n:1", 1}, {"n:", "m:1\x00a", 1}, {"n:2", "n:1\x00a", 1}, {"n:", "n:1\x00", 1}, // cursors of elsewhere
	} {
		_, err := f.engine.List(f.Context(), "k", c.index, c.after, c.limit)
		if err == nil {
			f.Errorf("List(%q, %q, %d): no error", c.index, c.after, c.limit)
			continue
		}
		f.wantError(err, store.ErrInvalid)
	}
	if _, err := f.engine.List(f.Context(), "k", "n:", "", store.MaxList); err != nil {
		f.Errorf("the largest limit: %v", err)
	}
}

// listStable lists again and again while others create and delete documents between those that stay.
func listStable(f *fixture) {
	const staying = 60
	want := []string{}
	for i := range staying {
		want = append(want, numbered("d", i))
		f.put("k", store.Doc{Key: numbered("d", i), Index: []string{numbered("n:", i/10)}})
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ; i = (i + 7) % staying {
				select {
				case <-stop:
					return
				default:
				}
				key := numbered("d", i) + fmt.Sprintf("+%d", w)
				if _, err := f.engine.Put(f.Context(), "k", store.Doc{Key: key, Index: []string{numbered("n:", i/10)}}); err != nil {
					f.Errorf("put: %v", err)
					return
				}
				if err := f.engine.Delete(f.Context(), "k", key); err != nil {
					f.Errorf("delete: %v", err)
					return
				}
			}
		})
	}
	for round := range 20 {
		for _, index := range []string{"", "n:"} {
			got := f.keys("k", index, 3+round)
			if !slices.IsSorted(got) { // here the order of entries is that of keys
				f.Errorf("list %q: not in order", index)
			}
			stayed := slices.DeleteFunc(got, func(k string) bool { return len(k) > 5 })
			if !slices.Equal(stayed, want) {
				f.Errorf("list %q in pages of %d: %q of the documents that stay", index, 3+round, stayed)
			}
		}
	}
	close(stop)
	writers.Wait()
}

func cursors(f *fixture) {
	d := store.Doc{Key: "key", Index: []string{"a:1", "b:22"}}
	for index, want := range map[string]string{
		"": "key", "a:": "a:1\x00key", "a:1": "a:1\x00key", "b:": "b:22\x00key", "b:2": "b:22\x00key", "c:": "",
	} {
		if got := store.Cursor(d, index); got != want {
			f.Errorf("cursor of %q: %q, want %q", index, got, want)
		}
		if err := store.CheckList(index, store.Cursor(d, index), 1); err != nil {
			f.Errorf("a cursor of %q is refused: %v", index, err)
		}
	}
}
