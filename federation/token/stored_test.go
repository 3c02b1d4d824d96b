package token_test

import (
	"bytes"
	"encoding/base64"
	"reflect"
	"slices"
	"testing"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/token"
)

// The files named v1 are documents as the first release stored them. They are never rewritten: a later
// release has to read them.

func TestStoredGrantOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t, "ES256")
	const id = "a7cece90-75b4-4fa3-ba5d-c7d609ff5a6a"
	if _, err := w.engine.Put(t.Context(), "grant", store.Doc{Key: id, Body: readFile(t, "grant.v1.json")}); err != nil {
		t.Fatal(err)
	}
	g, err := w.grants.Live(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := w.request()
	want.ID, want.SessionID, want.Created = id, id, epoch
	want.Principal = "" // came later
	if !reflect.DeepEqual(g, want) {
		t.Errorf("got %+v, want %+v", g, want)
	}
	refresh := string(bytes.TrimSpace(readFile(t, "grant.v1.refresh.txt")))
	if _, _, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID}); err != nil {
		t.Errorf("its refresh token: %v", err)
	}
}

func TestStoredKeysOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t, "ES256")
	ring, err := secret.ParseRing(bytes.NewReader(readFile(t, "keyset.v1.ring.txt")))
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(readFile(t, "keyset.v1.txt"))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Put(t.Context(), "keyset", store.Doc{Key: w.pool.ID, Body: body}); err != nil {
		t.Fatal(err)
	}
	w.keys.Ring = ring
	want := []string{"k1eaM_ui639lPi0R8NRFa2poZKriQwYLKbliqUOK9Jk", "OqLYH1i2X0Z0VI9JT7YT0n-NlINdPTfOLNjI1AQPXeU"}
	if got := kids(jwks(t, w.keys, w.pool)); !slices.Equal(got, want) {
		t.Errorf("got keys %q, want %q", got, want)
	}
}
