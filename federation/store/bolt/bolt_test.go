package bolt_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "weir.db")
		return func(now func() time.Time) (store.Engine, error) {
			return bolt.Open(path, bolt.Options{Now: now})
		}
	})
}
