package samlsp_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// The files named v1 are documents as the first release stored them. They are never rewritten: a later
// release has to read them.

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(data)
}

func TestStoredKeysOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t)
	ring, err := secret.ParseRing(bytes.NewReader(readFile(t, "keyset.v1.ring.txt")))
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(string(readFile(t, "keyset.v1.txt")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Put(t.Context(), "saml_keyset", store.Doc{Key: poolID, Body: body}); err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	s := look(t, w.node())
	for got, want := range map[string]string{
		fingerprint(s.signs.Raw):                "a92158c855d71c91f60ce9dd0b7003999546581445f4e5a314e9ea21824e0eda",
		fingerprint(s.published.Encryption.Raw): "2f3aa21f9aef9afb630cdf5ca56bf040fc7232af1ad5e1cb0b9365f5fc7adab2",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func TestStoredCopyOfSchemaOneCanBeRead(t *testing.T) {
	w := newWorld(t)
	if _, err := w.engine.Put(t.Context(), "saml_metadata", store.Doc{Key: poolID + "/Corp", Body: readFile(t, "metadata.v1.json")}); err != nil {
		t.Fatal(err)
	}
	got, found, err := (&samlsp.Copies{Engine: w.engine}).Load(t.Context(), poolID, "Corp")
	if err != nil || !found || got.URL != "https://idp.example/md" || string(got.Body) != "<EntityDescriptor/>" || !got.Fetched.Equal(epoch) {
		t.Errorf("got %+v, %t, %v", got, found, err)
	}
}
