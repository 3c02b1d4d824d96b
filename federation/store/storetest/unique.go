package storetest

import "github.com/weir-id/weir/federation/store"

var uniqueCases = []testCase{
	{"a unique value has one holder", uniqueTaken},
	{"unique values move with their document", uniqueMoves},
	{"delete and take free unique values", uniqueFreed},
	{"a document refused for one unique value claims none", uniqueAllOrNothing},
	{"unique values are of a kind", uniqueOfKind},
}

func uniqueTaken(f *fixture) {
	holder := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}})
	f.refuse("k", store.Doc{Key: "b", Unique: []string{"u"}}, store.ErrTaken)
	b := f.put("k", store.Doc{Key: "b", Unique: []string{"v"}})
	f.refuse("k", store.Doc{Key: "b", Version: b.Version, Unique: []string{"v", "u"}}, store.ErrTaken)
	f.has("k", b)
	f.holds("k", "u", holder)
	f.holds("k", "v", b)
	f.holds("k", "u", f.put("k", holder)) // its own value is no obstacle
}

func uniqueMoves(f *fixture) {
	d := f.put("k", store.Doc{Key: "a", Unique: []string{"u", "stays"}})
	d.Unique = []string{"stays", "v"}
	d = f.put("k", d)
	f.free("k", "u")
	f.holds("k", "v", d)
	f.holds("k", "stays", d)
	other := f.put("k", store.Doc{Key: "b", Unique: []string{"u"}})
	f.holds("k", "u", other)
	f.refuse("k", store.Doc{Key: "c", Unique: []string{"v"}}, store.ErrTaken)
	d.Unique = nil
	f.put("k", d)
	f.free("k", "v")
	f.free("k", "stays")
}

func uniqueFreed(f *fixture) {
	f.put("k", store.Doc{Key: "a", Unique: []string{"u"}})
	f.delete("k", "a")
	f.put("k", store.Doc{Key: "b", Unique: []string{"u"}})
	_, err := f.engine.Take(f.Context(), "k", "b")
	f.wantError(err, nil)
	f.holds("k", "u", f.put("k", store.Doc{Key: "c", Unique: []string{"u"}}))
}

func uniqueAllOrNothing(f *fixture) {
	f.put("k", store.Doc{Key: "a", Unique: []string{"middle"}})
	f.refuse("k", store.Doc{Key: "b", Unique: []string{"first", "middle", "last"}, Index: []string{"n:b"}}, store.ErrTaken)
	f.lacks("k", "b")
	f.free("k", "first")
	f.free("k", "last")
	f.lists("k", "n:")
	f.put("k", store.Doc{Key: "c", Unique: []string{"first", "last"}})

	d := f.put("k", store.Doc{Key: "d", Unique: []string{"d1"}, Index: []string{"n:d"}, Body: []byte("old")})
	f.refuse("k", store.Doc{Key: "d", Version: d.Version, Unique: []string{"d2", "middle"}, Index: []string{"n:new"}}, store.ErrTaken)
	f.refuse("k", store.Doc{Key: "d", Version: 7, Unique: []string{"d2"}, Index: []string{"n:new"}}, store.ErrConflict)
	f.has("k", d)
	f.holds("k", "d1", d)
	f.free("k", "d2")
	f.lists("k", "n:", "d")
	f.lists("k", "n:new")
}

func uniqueOfKind(f *fixture) {
	a := f.put("k", store.Doc{Key: "a", Unique: []string{"u"}})
	b := f.put("l", store.Doc{Key: "b", Unique: []string{"u"}})
	f.holds("k", "u", a)
	f.holds("l", "u", b)
	f.delete("l", "b")
	f.holds("k", "u", a)
}
