package mongo

import (
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/federation/store"
)

// Take implements store.Engine.
func (db *DB) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	r, err := db.removeIf(ctx, kind, key, func(r *record) bool { return r.live(db.now().UnixMilli()) })
	if err == nil && r == nil {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Doc{}, named("take", kind, err)
	}
	return r.document(), nil
}

// Delete implements store.Engine.
func (db *DB) Delete(ctx context.Context, kind, key string) error {
	_, err := db.removeIf(ctx, kind, key, (*record).isDocument)
	return named("delete", kind, err)
}

// removeIf removes a record for which want holds and returns it: to one caller of all. It returns nil where there is none. Where the
// answer was lost and the record is there still, it is removed again. Where it is not, nobody can say who removed it, and the
// caller gets errUndecided: it may be somebody else's.
func (db *DB) removeIf(ctx context.Context, kind, key string, want func(*record) bool) (*record, error) {
	leave, err := db.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	id, ok := idOf(kind, key)
	if !ok {
		return nil, nil
	}
	lost := "" // the mark of a state whose removal was not answered
	for round := range maxRounds {
		r, err := db.read(ctx, id)
		if err != nil {
			return nil, err
		}
		if lost != "" && (r == nil || r.Mark != lost) {
			return nil, errUndecided
		}
		if !want(r) {
			return nil, nil
		}
		ok, err := db.remove(ctx, id, r.Mark)
		switch {
		case ok:
			db.after(ctx, func(ctx context.Context) { db.free(ctx, r) })
			return r, nil
		case err != nil && (lost != "" || ctx.Err() != nil):
			return nil, err
		case err != nil:
			lost = r.Mark
		case lost != "":
			return nil, errUndecided
		default:
			if err := store.Pause(ctx, backoff(round)); err != nil {
				return nil, err
			}
		}
	}
	return nil, errBusy
}

const (
	// sweepStep is how many records are looked at together.
	sweepStep = 256
	// sweepers is how many records with names are removed at the same time, one by one: their names are freed only if it was we who removed them.
	sweepers = 8
)

// Sweep implements store.Engine. Records without names go many at a time.
func (db *DB) Sweep(ctx context.Context, before time.Time) (int, error) {
	leave, err := db.enter(ctx)
	if err != nil {
		return 0, named("sweep", "", err)
	}
	defer leave()
	// A document has expired at now when its expiry is not behind now, and before the given time when it is less.
	end := min(milliUp(before), db.now().UnixMilli()+1)
	total := 0
	for {
		filter := bson.D{{Key: "e", Value: bson.D{{Key: "$lt", Value: end}}}}
		found, err := db.records(ctx, filter, options.Find().SetProjection(headOnly).SetLimit(sweepStep))
		if err != nil {
			return total, named("sweep", "", err)
		}
		gone, documents, err := db.sweep(ctx, found)
		total += documents
		if err != nil {
			return total, named("sweep", "", err)
		}
		if len(found) < sweepStep || gone == 0 {
			return total, nil
		}
	}
}

// sweep removes these states and returns how many there were, and how many of them were documents.
func (db *DB) sweep(ctx context.Context, found []record) (gone, documents int, err error) {
	plain := map[bool][]*record{} // by isDocument
	var mu sync.Mutex
	var removed []*record
	var g errgroup.Group
	g.SetLimit(sweepers)
	for i := range found {
		r := &found[i]
		if len(r.Unique)+len(r.Index) == 0 {
			plain[r.isDocument()] = append(plain[r.isDocument()], r)
			continue
		}
		g.Go(func() error {
			ok, err := db.remove(ctx, r.ID, r.Mark)
			if ok {
				mu.Lock()
				removed = append(removed, r)
				mu.Unlock()
			}
			return err
		})
	}
	err = g.Wait()
	db.after(ctx, func(ctx context.Context) { db.free(ctx, removed...) })
	gone = len(removed)
	documents = gone
	for isDocument, list := range plain {
		if err != nil {
			break
		}
		var n int
		n, err = db.removeAll(ctx, list)
		gone += n
		if isDocument {
			documents += n
		}
	}
	return gone, documents, err
}

// removeAll removes these states and returns how many were there still.
func (db *DB) removeAll(ctx context.Context, list []*record) (int, error) {
	ids, marks := make([]string, len(list)), make([]string, len(list))
	for i, r := range list {
		ids[i], marks[i] = r.ID, r.Mark
	}
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, {Key: "w", Value: bson.D{{Key: "$in", Value: marks}}}}
	deleted := int64(0)
	err := db.call(ctx, "remove all", func(ctx context.Context) error {
		res, err := db.docs.DeleteMany(ctx, filter)
		if err == nil {
			deleted = res.DeletedCount
		}
		return err
	})
	return int(deleted), err
}
