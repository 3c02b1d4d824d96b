package mongo

import (
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weir-id/weir/federation/store"
)

// Get implements store.Engine.
func (db *DB) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	d, err := db.get(ctx, kind, key)
	return d, named("get", kind, err)
}

func (db *DB) get(ctx context.Context, kind, key string) (store.Doc, error) {
	leave, err := db.enter(ctx)
	if err != nil {
		return store.Doc{}, err
	}
	defer leave()
	id, ok := idOf(kind, key)
	if !ok {
		return store.Doc{}, store.ErrNotFound
	}
	r, err := db.read(ctx, id)
	if err != nil {
		return store.Doc{}, err
	}
	if !r.live(db.now().UnixMilli()) {
		return store.Doc{}, store.ErrNotFound
	}
	return r.document(), nil
}

// GetBy implements store.Engine.
func (db *DB) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	d, err := db.getBy(ctx, kind, unique)
	return d, named("get by unique value", kind, err)
}

// moves is how often a unique value may move from document to document while it is looked up.
const moves = 8

func (db *DB) getBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	leave, err := db.enter(ctx)
	if err != nil {
		return store.Doc{}, err
	}
	defer leave()
	id, ok := idOf(kind, unique)
	if !ok {
		return store.Doc{}, store.ErrNotFound
	}
	var before claim
	for range moves {
		c, err := db.readClaim(ctx, id)
		if err != nil {
			return store.Doc{}, err
		}
		if c == nil || *c == before { // it has no holder, and had none when the record was read
			return store.Doc{}, store.ErrNotFound
		}
		r, err := db.read(ctx, c.Holder)
		if err != nil {
			return store.Doc{}, err
		}
		if r.lists(c) {
			if !r.live(db.now().UnixMilli()) {
				return store.Doc{}, store.ErrNotFound
			}
			return r.document(), nil
		}
		before = *c // the value may just have moved: ask once more
	}
	return store.Doc{}, store.ErrUnavailable
}

// List implements store.Engine.
func (db *DB) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	if err := store.CheckList(index, after, limit); err != nil {
		return nil, named("list", kind, err)
	}
	leave, err := db.enter(ctx)
	if err != nil {
		return nil, named("list", kind, err)
	}
	defer leave()
	if !nameable(kind) || strings.IndexByte(index, 0) >= 0 {
		return nil, nil
	}
	var out []store.Doc
	if index == "" {
		out, err = db.listKeys(ctx, kind, after, limit)
	} else {
		out, err = db.listEntries(ctx, kind, index, after, limit)
	}
	if err != nil {
		return nil, named("list", kind, err)
	}
	return out, nil
}

// listKeys lists the documents of a kind: a range of _id. A seed has version 0.
func (db *DB) listKeys(ctx context.Context, kind, after string, limit int) ([]store.Doc, error) {
	from := join(encode(kind), "")
	between := bson.D{{Key: "$gt", Value: from + encode(after)}, {Key: "$lt", Value: from + behind}}
	filter := bson.D{
		{Key: "_id", Value: between},
		{Key: "v", Value: bson.D{{Key: "$gt", Value: 0}}},
		{Key: "e", Value: bson.D{{Key: "$gt", Value: db.now().UnixMilli()}}},
	}
	found, err := db.records(ctx, filter, options.Find().SetSort(byIDUp).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	var out []store.Doc
	for i := range found {
		out = append(out, found[i].document())
	}
	return out, nil
}

var byIDUp = bson.D{{Key: "_id", Value: 1}}

func (db *DB) records(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]record, error) {
	var found []record
	err := db.call(ctx, "list", func() error {
		c, err := db.docs.Find(ctx, filter, o)
		if err != nil {
			return err
		}
		return c.All(ctx, &found)
	})
	for i := range found {
		if err == nil {
			err = found[i].check()
		}
	}
	return found, err
}

// listEntries lists by index entry: a range of the entries' _ids, which are in the order of (entry, key), then their
// documents. A document that stays unchanged has its entry all the time, and only one that it lists.
func (db *DB) listEntries(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	prefix := join(encode(kind), encode(index))
	from, end := prefix, prefix+behind
	if after != "" {
		entry, key, _ := strings.Cut(after, "\x00")
		from = join(encode(kind), encode(entry), encode(key)) + separator + behind // behind all nonces of it
	}
	var out []store.Doc
	for {
		page, err := db.entryPage(ctx, from, end, limit)
		if err != nil {
			return nil, err
		}
		docs, err := db.verified(ctx, page)
		if err != nil {
			return nil, err
		}
		out = append(out, docs...)
		if len(page) < limit || len(out) >= limit {
			return out[:min(len(out), limit)], nil
		}
		from = page[len(page)-1]
	}
}

// entryPage returns the _ids of up to limit entries that come after from and before end.
func (db *DB) entryPage(ctx context.Context, from, end string, limit int) ([]string, error) {
	var found []struct {
		ID string `bson:"_id"`
	}
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: from}, {Key: "$lt", Value: end}}}}
	err := db.call(ctx, "list", func() error {
		c, err := db.entries.Find(ctx, filter, options.Find().SetSort(byIDUp).SetLimit(int64(limit)))
		if err != nil {
			return err
		}
		return c.All(ctx, &found)
	})
	ids := make([]string, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	return ids, err
}

// verified returns the live documents that list these entries, in the order of the entries.
func (db *DB) verified(ctx context.Context, entries []string) ([]store.Doc, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	parts := make([][4]string, 0, len(entries)) // kind, entry, key, nonce
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		p := strings.Split(e, separator)
		if len(p) != 4 {
			continue // nothing that weir wrote
		}
		parts = append(parts, [4]string(p))
		ids = append(ids, join(p[0], p[2]))
	}
	found, err := db.records(ctx, anyOf(ids, nil), options.Find())
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*record, len(found))
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	now := db.now().UnixMilli()
	var out []store.Doc
	for i, p := range parts {
		r := byID[ids[i]]
		if !r.live(now) || !r.enters(p[1], p[3]) {
			continue
		}
		out = append(out, r.document())
	}
	return out, nil
}
