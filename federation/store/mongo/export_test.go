package mongo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Encode and Decode are how keys lie in the database.
var (
	Encode     = encode
	Decode     = decode
	DatabaseOf = databaseOf
)

// Scrub takes the password of uri out of text.
func Scrub(uri, text string) string { return scrubber(uri).Replace(text) }

// SetFault lets calls to the server fail: before they are made, or after, when only the answer is lost.
func (db *DB) SetFault(f func(step string) (before, after error)) { db.fault = f }

// SetPatience sets for how long claims of others are watched.
func (db *DB) SetPatience(d time.Duration) { db.patience = d }

// SetNow gives the store another clock.
func (db *DB) SetNow(now func() time.Time) { db.now = now }

// WriteFormat sets the layout's number.
func (db *DB) WriteFormat(ctx context.Context, n int32) error {
	_, err := db.database.Collection("meta").ReplaceOne(ctx, byID("format"), bson.D{{Key: "_id", Value: "format"}, {Key: "n", Value: n}})
	return err
}

// Removable returns when the server may begin to count to the removal of a record, zero where it may not remove it.
func (db *DB) Removable(ctx context.Context, kind, key string) (time.Time, error) {
	id, _ := idOf(kind, key)
	var r record
	err := db.docs.FindOne(ctx, byID(id)).Decode(&r)
	if r.Removable == 0 {
		return time.Time{}, err
	}
	return r.Removable.Time().UTC(), err
}

// ServerRemoves removes what a TTL index has the server remove at that time of its clock.
func (db *DB) ServerRemoves(ctx context.Context, now time.Time) (int64, error) {
	res, err := db.docs.DeleteMany(ctx, bson.D{{Key: "t", Value: bson.D{{Key: "$lt", Value: bson.NewDateTimeFromTime(now.Add(-serverGrace))}}}})
	if err != nil {
		return 0, err
	}
	return res.DeletedCount, nil
}

// Spoil takes the nonces of a record's claims away.
func (db *DB) Spoil(ctx context.Context, kind, key string) error {
	id, _ := idOf(kind, key)
	_, err := db.docs.UpdateOne(ctx, byID(id), bson.D{{Key: "$unset", Value: bson.D{{Key: "uo", Value: ""}}}})
	return err
}

// Orphans are what nobody lists: it means nothing, but it takes space.
type Orphans struct{ Seeds, Claims, Entries int }

// Audit compares all documents with all claims and entries. It fails where a document lacks one of its own.
func (db *DB) Audit(ctx context.Context) (Orphans, error) {
	var o Orphans
	docs, err := all[record](ctx, db.docs)
	if err != nil {
		return o, err
	}
	claims, err := all[claim](ctx, db.claims)
	if err != nil {
		return o, err
	}
	entries, err := all[struct {
		ID string `bson:"_id"`
	}](ctx, db.entries)
	if err != nil {
		return o, err
	}
	o.Claims, o.Entries = len(claims), len(entries)
	for i := range docs {
		r := &docs[i]
		if !r.isDocument() {
			o.Seeds++
			continue
		}
		seen := map[string]bool{}
		for j, u := range r.Unique {
			want := claim{ID: join(r.kind(), u), Holder: r.ID, Nonce: r.Claims[j]}
			if !slices.Contains(claims, want) {
				return o, fmt.Errorf("%q lists the unique value %q and has no claim to it", r.ID, u)
			}
			if !seen[u] {
				o.Claims--
			}
			seen[u] = true
		}
		for _, id := range r.entryIDs() {
			if !slices.ContainsFunc(entries, func(e struct {
				ID string `bson:"_id"`
			}) bool {
				return e.ID == id
			}) {
				return o, fmt.Errorf("%q has no index entry %q", r.ID, id)
			}
			o.Entries--
		}
	}
	return o, nil
}

func all[T any](ctx context.Context, c *driver.Collection) ([]T, error) {
	found, err := c.Find(ctx, bson.D{}, options.Find())
	if err != nil {
		return nil, err
	}
	var out []T
	return out, found.All(ctx, &out)
}
