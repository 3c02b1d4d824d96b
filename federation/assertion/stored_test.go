package assertion_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(data)
}

// golden is what assertion.v1.txt holds.
var golden = assertion.Kept{
	PoolID: "local_Example01", Provider: "Corp", Number: 42, At: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), For: 7 * 24 * time.Hour,
	Issuer: "https://idp.example.com", Subject: "ada-0001", Sub: "8a6f3c1e-0000-4000-8000-000000000001", Fault: "invalid", Why: "Because.",
	Claims:   mapping.Claims{"email": "redacted-1@redacted.invalid", "level": json.Number("12345678901234567890"), "groups": []any{"a", true, nil, map[string]any{"n": "x"}}},
	Redacted: []string{"email"}, Marks: 1,
}

// The files named v1 are documents as the first release stored them. They are never rewritten: a later
// release has to read them.
func TestStoredAssertionOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t)
	ring, err := secret.ParseRing(bytes.NewReader(readFile(t, "assertion.v1.ring.txt")))
	if err != nil {
		t.Fatal(err)
	}
	w.ring, w.now = ring, golden.At
	body, err := base64.StdEncoding.DecodeString(string(readFile(t, "assertion.v1.txt")))
	if err != nil {
		t.Fatal(err)
	}
	doc := store.Doc{Key: "local_Example01/4:Corp/002", Index: []string{"of:local_Example01/4:Corp/18446744073709551573"}, Body: body, Expires: golden.At.Add(golden.For)}
	if _, err := w.engine.Put(t.Context(), kind, doc); err != nil {
		t.Fatal(err)
	}
	all, err := w.node().Newest(t.Context(), "local_Example01", "Corp", pool.Keeping{Number: 5, For: golden.For})
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], golden) {
		t.Errorf("got %+v, %v\nwant %+v", all, err, golden)
	}
	// What is written now goes on from it, and has the same form.
	next := golden
	if err := w.node().Keep(t.Context(), next, pool.Keeping{Number: 5, For: golden.For}, stays); err != nil {
		t.Fatal(err)
	}
	next.Number = 43
	if all, err = w.node().Newest(t.Context(), "local_Example01", "Corp", pool.Keeping{Number: 5, For: golden.For}); err != nil || len(all) != 2 || !reflect.DeepEqual(all[0], next) {
		t.Errorf("got %+v, %v", all, err)
	}
}
