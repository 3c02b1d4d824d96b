package trace_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/trace"
)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(data)
}

// golden is what trace.v1.txt holds.
var golden = trace.Trace{
	Reference: "ABCD-EFGH-IJKL-MNOP", Kind: trace.SignIn, Outcome: trace.Failed, At: epoch, Began: epoch.Add(-7 * time.Second),
	Pool: "local_Example01", Client: "exampleclient0000000000001", Provider: "Corp", ProviderType: "SAML", Attempt: "0123456789abcdefghijkl",
	Method: "POST", Path: "/saml2/idpresponse", Code: "upstream", Cause: "upstream: The answer of the identity provider could not be accepted.: because",
	Facts:   []trace.Fact{{Name: trace.FactCheck, Text: "audience"}, {Name: trace.FactAdvice, Text: "Set the relying party identifier."}},
	Shown:   trace.Shown{Where: trace.AtClient, Sentence: "The answer of the identity provider could not be accepted.", Error: "server_error"},
	Omitted: 3,
}

// The files named v1 are documents as the first release stored them. They are never rewritten: a later
// release has to read them.
func TestStoredTraceOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t)
	ring, err := secret.ParseRing(bytes.NewReader(readFile(t, "trace.v1.ring.txt")))
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(string(readFile(t, "trace.v1.txt")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Put(t.Context(), "trace", store.Doc{Key: "ours/00000", Unique: []string{golden.Reference}, Index: []string{"at:1"}, Body: body}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Put(t.Context(), "trace_turn", store.Doc{Key: "ours", Body: readFile(t, "trace_turn.v1.json")}); err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	if got, err := w.node().Get(t.Context(), golden.Reference); err != nil || !reflect.DeepEqual(got, golden) {
		t.Errorf("got %+v, %v", got, err)
	}
	w.node().Record(t.Context(), failure(1))
	if doc, err := w.engine.GetBy(t.Context(), "trace", ref(1)); err != nil || doc.Key != "ours/00064" {
		t.Errorf("the next trace is in %q, %v", doc.Key, err)
	}
}
