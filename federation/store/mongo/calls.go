package mongo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weir-id/weir/federation/store"
)

// What the server answers that is no fault. All else is the server's, the driver's or the network's failure, and store.ErrUnavailable.
var (
	errNone      = errors.New("no such record")
	errDuplicate = errors.New("the record is there already")
)

// call makes one call to the server, within its own time: the driver's timeout gives way to a deadline of the caller, and a server that hangs would
// have all of a request. step names it for the tests, which let calls fail.
func (db *DB) call(ctx context.Context, step string, f func(context.Context) error) error {
	var before, after error
	if db.fault != nil {
		before, after = db.fault(step)
	}
	if before != nil {
		return fmt.Errorf("%s: %w: %w", step, store.ErrUnavailable, before)
	}
	within, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	err := f(within)
	if after != nil {
		err = after
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrNoDocuments):
		return errNone
	case onlyDuplicates(err):
		return errDuplicate
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", step, ctx.Err())
	}
	// The cause is kept as text alone: an end of the driver's own timeout must not look like one of the caller's context.
	return fmt.Errorf("%s: %w: %s", step, store.ErrUnavailable, db.scrub.Replace(err.Error()))
}

// codeDuplicate is MongoDB's DuplicateKey. The legacy codes of servers before 4.2 do not occur.
const codeDuplicate = 11000

// onlyDuplicates reports whether err says that an _id is there already, and nothing worse: a write that met its duplicate and also missed
// its write concern is not decided.
func onlyDuplicates(err error) bool {
	var one driver.WriteException
	if errors.As(err, &one) {
		return one.WriteConcernError == nil && len(one.WriteErrors) == 1 && one.WriteErrors[0].Code == codeDuplicate
	}
	var many driver.BulkWriteException
	if errors.As(err, &many) {
		return many.WriteConcernError == nil && len(many.WriteErrors) == 1 && many.WriteErrors[0].Code == codeDuplicate
	}
	return false
}

// secretOptions are the options of a connection string whose values are secrets, in lower case.
var secretOptions = []string{"tlscertificatekeyfilepassword", "sslclientcertificatekeypassword", "authmechanismproperties"}

// scrubber takes the secrets of a connection string out of texts, as they are written there and as they are meant: the user's password and the values of
// secretOptions.
func scrubber(uri string) *strings.Replacer {
	_, rest, _ := strings.Cut(uri, "://")
	hosts, _, _ := strings.Cut(rest, "/")
	var secrets []string
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		_, password, _ := strings.Cut(hosts[:at], ":")
		secrets = append(secrets, password)
	}
	_, query, _ := strings.Cut(rest, "?")
	for option := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		if name, value, _ := strings.Cut(option, "="); slices.Contains(secretOptions, strings.ToLower(name)) {
			secrets = append(secrets, value)
		}
	}
	var pairs []string
	for _, s := range secrets {
		if meant, err := url.PathUnescape(s); err == nil && meant != "" && meant != s {
			pairs = append(pairs, meant, "[secret]")
		}
		if s != "" {
			pairs = append(pairs, s, "[secret]")
		}
	}
	return strings.NewReplacer(pairs...)
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// byMark names one state of a record.
func byMark(id, mark string) bson.D { return bson.D{{Key: "_id", Value: id}, {Key: "w", Value: mark}} }

// anyOf names records, and with nonces those of them that were claimed under one of these.
func anyOf(ids, nonces []string) bson.D {
	f := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
	if nonces != nil {
		f = append(f, bson.E{Key: "o", Value: bson.D{{Key: "$in", Value: nonces}}})
	}
	return f
}

// headOnly leaves the body on the server.
var headOnly = bson.D{{Key: "b", Value: 0}}

// read returns a record, nil where there is none.
func (db *DB) read(ctx context.Context, id string) (*record, error) { return db.find(ctx, id, nil) }

// head returns a record without its body, nil where there is none.
func (db *DB) head(ctx context.Context, id string) (*record, error) {
	return db.find(ctx, id, headOnly)
}

func (db *DB) find(ctx context.Context, id string, projection bson.D) (*record, error) {
	o := options.FindOne()
	if projection != nil {
		o.SetProjection(projection)
	}
	r := new(record)
	err := db.call(ctx, "read", func(ctx context.Context) error { return db.docs.FindOne(ctx, byID(id), o).Decode(r) })
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err == nil {
		err = r.check()
	}
	return r, err
}

// insert reports whether r was inserted; there may be another of its _id.
func (db *DB) insert(ctx context.Context, r *record) (bool, error) {
	err := db.call(ctx, "insert", func(ctx context.Context) error { _, err := db.docs.InsertOne(ctx, r); return err })
	if errors.Is(err, errDuplicate) {
		return false, nil
	}
	return err == nil, err
}

// replace reports whether r replaced the state with that mark.
func (db *DB) replace(ctx context.Context, mark string, r *record) (bool, error) {
	matched := int64(0)
	err := db.call(ctx, "replace", func(ctx context.Context) error {
		res, err := db.docs.ReplaceOne(ctx, byMark(r.ID, mark), r)
		if err == nil {
			matched = res.MatchedCount
		}
		return err
	})
	return err == nil && matched == 1, err
}

// touch gives a state another mark and leaves the rest as it is, so that whoever is about to replace the state cannot.
func (db *DB) touch(ctx context.Context, id, mark, fresh string) (bool, error) {
	matched := int64(0)
	err := db.call(ctx, "touch", func(ctx context.Context) error {
		res, err := db.docs.UpdateOne(ctx, byMark(id, mark), bson.D{{Key: "$set", Value: bson.D{{Key: "w", Value: fresh}}}})
		if err == nil {
			matched = res.MatchedCount
		}
		return err
	})
	return err == nil && matched == 1, err
}

// remove reports whether this call removed the state with that mark: of any number of callers one hears so.
func (db *DB) remove(ctx context.Context, id, mark string) (bool, error) {
	deleted := int64(0)
	err := db.call(ctx, "remove", func(ctx context.Context) error {
		res, err := db.docs.DeleteOne(ctx, byMark(id, mark))
		if err == nil {
			deleted = res.DeletedCount
		}
		return err
	})
	return err == nil && deleted == 1, err
}

// readClaim returns the claim of a unique value, nil where there is none.
func (db *DB) readClaim(ctx context.Context, id string) (*claim, error) {
	c := new(claim)
	err := db.call(ctx, "read claim", func(ctx context.Context) error { return db.claims.FindOne(ctx, byID(id)).Decode(c) })
	if errors.Is(err, errNone) {
		return nil, nil
	}
	return c, err
}

// insertClaims inserts claims in their order and returns how many it inserted before it met one that is there already.
func (db *DB) insertClaims(ctx context.Context, claims []claim) (int, error) {
	n := len(claims)
	err := db.call(ctx, "claim", func(ctx context.Context) error {
		_, err := db.claims.InsertMany(ctx, claims, options.InsertMany().SetOrdered(true))
		var many driver.BulkWriteException
		if errors.As(err, &many) && len(many.WriteErrors) > 0 {
			n = many.WriteErrors[0].Index
		}
		return err
	})
	if errors.Is(err, errDuplicate) {
		return n, nil
	}
	return n, err
}

// deleteClaims deletes the claims of these values that were made under one of the nonces.
func (db *DB) deleteClaims(ctx context.Context, ids, nonces []string) error {
	if len(ids) == 0 {
		return nil
	}
	return db.call(ctx, "free claims", func(ctx context.Context) error { _, err := db.claims.DeleteMany(ctx, anyOf(ids, nonces)); return err })
}

func (db *DB) insertEntries(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	list := make([]bson.D, len(ids))
	for i, id := range ids {
		list[i] = byID(id)
	}
	return db.call(ctx, "enter", func(ctx context.Context) error {
		_, err := db.entries.InsertMany(ctx, list, options.InsertMany().SetOrdered(false))
		return err
	})
}

func (db *DB) deleteEntries(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return db.call(ctx, "free entries", func(ctx context.Context) error { _, err := db.entries.DeleteMany(ctx, anyOf(ids, nil)); return err })
}
