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

// goldenBatch is what trace_batch.v1.txt holds: a document of the first release that kept traces of successes.
var goldenBatch = []trace.Trace{
	{Reference: "AAAA-BBBB-CCCC-DDDD", Kind: trace.SignIn, Outcome: trace.Succeeded, At: epoch, Pool: "local_Example01", Sub: "sub-1", Shown: trace.Shown{Where: trace.AtClient}},
	{
		Reference: "EEEE-FFFF-GGGG-HHHH", Kind: trace.SignIn, Outcome: trace.Succeeded, At: epoch.Add(time.Second), Began: epoch.Add(-7 * time.Second),
		Pool: "local_Example01", Client: "exampleclient0000000000001", Provider: "Corp", ProviderType: "OIDC", Attempt: "0123456789abcdefghijkl",
		Method: "GET", Path: "/oauth2/idpresponse", Sub: "sub-2", Username: "Corp_ada-0001", Grant: "grant", Identity: "Q29ycA", Salt: "SALT",
		Steps: []trace.Step{
			{Name: trace.StepBegan, Facts: []trace.Fact{{Name: "scopes", Text: "openid"}}},
			{After: 7000, Name: "oidc.signature", Outcome: trace.Passed, Facts: []trace.Fact{{Name: "alg", Text: "ES256"}}},
			{After: 7010, Name: "oidc.nonce", Outcome: trace.Skipped},
			{After: 7011, Name: trace.StepReceived, Claims: []trace.Claim{
				{Name: "email", Type: "text", Length: 16, Values: []string{"ada@corp.example"}},
				{Name: "groups", Type: "list", Count: 7, Length: 70, Values: []string{"a", "b", "c", "d", "e"}},
				{Name: "nonce", Type: "text", Length: 22, Withheld: true},
			}},
			{After: 7011, Name: trace.StepMapping, Rules: []trace.Rule{{Attribute: "email", Source: "mail", Outcome: "absent", Note: "no claim of this name or path"}}},
		},
		Shown: trace.Shown{Where: trace.AtClient},
	},
}

func TestStoredBatchOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t)
	ring, err := secret.ParseRing(bytes.NewReader(readFile(t, "trace.v1.ring.txt")))
	if err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	body, err := base64.StdEncoding.DecodeString(string(readFile(t, "trace_batch.v1.txt")))
	if err != nil {
		t.Fatal(err)
	}
	index := []string{"at:1", "ref-EEEE-FFFF-GGGG-HHHH:1", "user-94zjkpX1qcIJLllsgtrFAg:1"}
	if _, err := w.engine.Put(t.Context(), "trace_batch", store.Doc{Key: "done/0000007", Index: index, Body: body}); err != nil {
		t.Fatal(err)
	}
	traces, _ := w.keeping(100)
	for _, name := range []string{"EEEE-FFFF-GGGG-HHHH", "0123456789abcdefghijkl"} {
		if got, err := traces.Get(t.Context(), name); err != nil || !reflect.DeepEqual(got, goldenBatch[1]) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	of := trace.Filter{Pools: []string{"local_Example01"}, Sub: "sub-2"}
	if got, err := traces.List(t.Context(), of, 10); err != nil || !reflect.DeepEqual(got, goldenBatch[1:]) {
		t.Errorf("of the user: %+v, %v", got, err)
	}
	if got, err := traces.Newest(t.Context(), 10); err != nil || len(got) != 2 || !reflect.DeepEqual(got[1], goldenBatch[0]) {
		t.Errorf("list: %+v, %v", got, err)
	}
	// A deletion by a later release takes one out and leaves the other as it is.
	if err := traces.Forget(t.Context(), trace.Person{PoolID: "local_Example01", Sub: "sub-2"}); err != nil {
		t.Fatal(err)
	}
	if got, err := traces.Newest(t.Context(), 10); err != nil || !reflect.DeepEqual(got, goldenBatch[:1]) {
		t.Errorf("left: %+v, %v", got, err)
	}
}
