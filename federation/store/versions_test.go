package store_test

import (
	"encoding/json"
	"testing"

	"github.com/weir-id/weir/federation/store"
)

// Two releases: N carries a member that it was told of and does not use (docs/decisions/0031-several-nodes.md), and keeps one that it does not know
// (docs/decisions/0034-unknown-members.md).
type releaseN struct {
	ID     string `json:"id"`
	Count  int    `json:"count"`
	Colour string `json:"colour,omitempty"` // read and written back; N+1 gives it a meaning
}

type releaseN1 struct {
	ID     string `json:"id"`
	Count  int    `json:"count"`
	Colour string `json:"colour,omitempty"`
	Shape  string `json:"shape,omitempty"` // N was not told of it
}

// Nodes of two releases change a document in turn, as in a rolling restart.
func TestMixedVersions(t *testing.T) {
	e := engine(t)
	old := &store.Kind[releaseN]{Engine: e, Name: "thing", KeysOf: func(v *releaseN) store.Keys { return store.Keys{Key: v.ID} }}
	next := &store.Kind[releaseN1]{Engine: e, Name: "thing", KeysOf: func(v *releaseN1) store.Keys { return store.Keys{Key: v.ID} }}
	if _, err := next.Put(t.Context(), &releaseN1{ID: "a", Colour: "red", Shape: "round"}, 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := old.Update(t.Context(), "a", func(v *releaseN) error { v.Count++; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := next.Update(t.Context(), "a", func(v *releaseN1) error { v.Count++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	got, err := next.Get(t.Context(), "a")
	if err != nil || got.Value != (releaseN1{ID: "a", Count: 6, Colour: "red", Shape: "round"}) {
		t.Errorf("%+v, %v", got.Value, err)
	}
	// A value that owes nothing to the one before has nothing of it.
	if _, err := old.Put(t.Context(), &releaseN{ID: "a"}, got.Version); err != nil {
		t.Fatal(err)
	}
	if got, err := next.Get(t.Context(), "a"); err != nil || got.Value != (releaseN1{ID: "a"}) {
		t.Errorf("put anew: %+v, %v", got.Value, err)
	}
	// What only reads and writes nothing back changes nothing.
	putBody(t, e, "thing", "b", []byte(`{"v":1,"d":{"id":"b","count":1,"shape":"round"}}`))
	if _, err := old.Update(t.Context(), "b", func(*releaseN) error { return store.ErrUnchanged }); err != nil {
		t.Fatal(err)
	}
	var kept struct {
		D releaseN1 `json:"d"`
	}
	if err := json.Unmarshal(body(t, e, "thing", "b"), &kept); err != nil || kept.D.Shape != "round" {
		t.Errorf("%+v, %v", kept, err)
	}
}
