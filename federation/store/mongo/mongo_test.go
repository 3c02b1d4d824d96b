package mongo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
	"github.com/weir-id/weir/federation/store/storetest"
)

// updateRaces are the cases in which calls race to replace one record. FerretDB lets more than one of them win, so there they
// have one connection; against a whole server they race with all.
var updateRaces = []string{
	"of many replacers one wins each version",
	"no increment is lost",
	"take and replace do not both win",
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		o := mongotest.Options{}
		for _, name := range updateRaces {
			o.OneConnection = o.OneConnection || strings.HasSuffix(t.Name(), "/"+strings.ReplaceAll(name, " ", "_"))
		}
		uri := mongotest.Database(t, o)
		t.Cleanup(func() { // after every case the database must be sound, and nothing left behind
			db, err := mongo.Open(context.WithoutCancel(t.Context()), uri, mongo.Options{Now: time.Now})
			if err != nil {
				t.Error(err)
				return
			}
			if o := audit(t, db); o != (mongo.Orphans{}) {
				t.Errorf("left behind: %+v", o)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return func(now func() time.Time) (store.Engine, error) {
			return mongo.Open(t.Context(), uri, mongo.Options{Now: now})
		}
	})
}

func TestKinds(t *testing.T) {
	storetest.RunKinds(t, func(t *testing.T) storetest.Open {
		uri := mongotest.Database(t, mongotest.Options{})
		return func(now func() time.Time) (store.Engine, error) {
			return mongo.Open(t.Context(), uri, mongo.Options{Now: now})
		}
	})
}
