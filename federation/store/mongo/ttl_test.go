package mongo_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

type createIndexes struct {
	Collection string  `bson:"createIndexes"`
	Indexes    []index `bson:"indexes"`
}

type index struct {
	Key    map[string]int `bson:"key"`
	Sparse bool           `bson:"sparse"`
	After  int            `bson:"expireAfterSeconds"`
}

// A server that has TTL indexes is asked for one at the start, with a day of grace; one that has none is no failure, and the log says so once.
func TestTTLIndexWhereTheServerHasThem(t *testing.T) {
	for name, taken := range map[string]bool{"has them": true, "has none": false} {
		t.Run(name, func(t *testing.T) {
			uri := mongotest.Database(t, mongotest.Options{Ferret: true})
			var mu sync.Mutex
			var asked []createIndexes
			f := mongotest.NewFront(t, uri, nil, func(command bson.Raw, _ *mongotest.Peer) bson.D {
				var c createIndexes
				if bson.Unmarshal(command, &c) != nil || len(c.Indexes) != 1 || c.Indexes[0].After == 0 {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, c)
				if !taken {
					return nil // FerretDB's word
				}
				return bson.D{{Key: "ok", Value: 1.0}}
			})
			var log bytes.Buffer
			through := secret.New(strings.Replace(uri.Reveal(), mongotest.HostOf(uri), f.Addr().String(), 1))
			db, err := mongo.Open(t.Context(), through, mongo.Options{Now: func() time.Time { return start }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			want := []createIndexes{{Collection: "documents", Indexes: []index{{Key: map[string]int{"t": 1}, Sparse: true, After: 86400}}}}
			if !reflect.DeepEqual(asked, want) {
				t.Errorf("asked for %+v, want %+v", asked, want)
			}
			if lines := strings.Count(log.String(), "\n"); taken && lines != 0 || !taken && (lines != 1 || !strings.Contains(log.String(), "level=INFO")) {
				t.Errorf("logged: %s", &log)
			}
		})
	}
}

// The server may remove what lists no names and has an end. Whatever else it removed would leave names behind.
func TestWhatTheServerMayRemove(t *testing.T) {
	db := newStore(t)
	ctx, end := t.Context(), start.Add(time.Minute)
	may := func(key string, want time.Time) {
		t.Helper()
		if got, err := db.Removable(ctx, "k", key); err != nil || !got.Equal(want) {
			t.Errorf("%s: counted from %s, %v; want %s", key, got, err, want)
		}
	}
	for _, tt := range []struct {
		d    store.Doc
		want time.Time
	}{
		{store.Doc{Key: "plain", Expires: end}, end},
		{store.Doc{Key: "for ever"}, time.Time{}},
		{store.Doc{Key: "unique", Unique: []string{"u"}, Expires: end}, time.Time{}},
		{store.Doc{Key: "indexed", Index: []string{"n:1"}, Expires: end}, time.Time{}},
	} {
		if _, err := db.Put(ctx, "k", tt.d); err != nil {
			t.Fatal(err)
		}
		may(tt.d.Key, tt.want)
	}
	// It follows what the document becomes.
	for version, tt := range []struct {
		d    store.Doc
		want time.Time
	}{
		{store.Doc{Expires: end.Add(time.Hour)}, end.Add(time.Hour)},
		{store.Doc{Expires: end, Index: []string{"n:2"}}, time.Time{}},
		{store.Doc{Expires: end}, end},
		{store.Doc{}, time.Time{}},
	} {
		tt.d.Key, tt.d.Version = "plain", uint64(version)+1
		if _, err := db.Put(ctx, "k", tt.d); err != nil {
			t.Fatal(err)
		}
		may("plain", tt.want)
	}
	if _, err := db.Put(ctx, "k", store.Doc{Key: "last", Expires: end}); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]int64{time.Hour: 0, 24*time.Hour - time.Second: 0} {
		if n, err := db.ServerRemoves(ctx, end.Add(after)); n != want || err != nil {
			t.Errorf("%s after its end: removed %d, %v", after, n, err)
		}
	}
	if n, err := db.ServerRemoves(ctx, end.Add(24*time.Hour+time.Second)); n != 1 || err != nil {
		t.Errorf("a day later: removed %d, %v", n, err)
	}
	audit(t, db)
}

// The server removes an expired document at any moment of a writer who puts another one in its place. The writer comes through, or says that it did
// not, and no name is left without its document.
func TestServerRemovesBeneathAWriter(t *testing.T) {
	db := newStore(t)
	moments := 0
	for at := 0; ; at++ {
		kind, step := fmt.Sprintf("k%d", at), 0
		db.SetFault(nil)
		db.SetNow(func() time.Time { return start })
		if _, err := db.Put(t.Context(), kind, store.Doc{Key: "a", Expires: start.Add(time.Second)}); err != nil {
			t.Fatal(err)
		}
		db.SetNow(func() time.Time { return start.Add(26 * time.Hour) })
		db.SetFault(func(string) (before, after error) {
			if step++; step == at+1 { // seeds too: the server's clock is far ahead
				if _, err := db.ServerRemoves(t.Context(), start.Add(100*time.Hour)); err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		})
		_, err := db.Put(t.Context(), kind, store.Doc{Key: "a", Unique: []string{"u"}, Index: []string{"n:1"}, Expires: start.Add(50 * time.Hour)})
		db.SetFault(nil)
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("before step %d: %v", at, err)
		}
		if got, getErr := db.GetBy(t.Context(), kind, "u"); err == nil && (getErr != nil || got.Version != 1) {
			t.Errorf("before step %d: written, and read as %+v, %v", at, got, getErr)
		}
		if o := audit(t, db); o != (mongo.Orphans{}) && err == nil {
			t.Errorf("before step %d: left over: %+v", at, o)
		}
		if step <= at {
			break
		}
		moments++
	}
	if moments < 4 {
		t.Errorf("%d moments: the test shows less than it says", moments)
	}
}
