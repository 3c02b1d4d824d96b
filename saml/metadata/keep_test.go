package metadata_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/saml/metadata"
)

func TestANodeStartsWithWhatAnotherKept(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	server := &remote{body: document(t, "adfs"), status: http.StatusOK}
	node := func(provider string) *metadata.Source {
		return &metadata.Source{
			URL: address, Client: &http.Client{Transport: server}, Now: time.Now,
			Keeper: metadata.StoreKeeper{Copies: &samlsp.Copies{Engine: db}, PoolID: "local_Example01", Provider: provider},
		}
	}
	if _, err := node("Corp").Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.set("", errors.New("the provider is down"))
	m, err := node("Corp").Get(t.Context())
	if err != nil || m.EntityID != "http://sts.fabrikam.example/adfs/services/trust" {
		t.Errorf("got %v, %v", m, err)
	}
	if m, err := node("Other").Get(t.Context()); !errors.Is(err, metadata.ErrFetch) {
		t.Errorf("another provider: got %v, %v", m, err)
	}
}
