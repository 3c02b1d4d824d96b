// Package mongo is the distributed store engine: collections of a MongoDB database, which many processes share.
//
// It owns the layout of the collections and the protocol below. What a document means is the business of store.Kind
// and above. What an engine must do is written on store.Engine; docs/decisions/0030-mongodb-engine.md says why it is done this way.
//
// # Layout
//
// documents has one record per document, _id = kind + SEP + key. claims has one per unique value, _id = kind + SEP + value,
// with the record that holds it. entries has one per index entry, _id = kind + SEP + entry + SEP + key + SEP + nonce. Every
// operation on a document or a claim names one _id, so each collection may be sharded on {_id: "hashed"}. Claims and entries are
// inserted and deleted, never changed. Nothing but single-document writes is asked of the server: no transactions, change
// streams, unique indexes beside _id, partial indexes, collation, positional or pipeline updates.
//
// # Protocol
//
// A record has a write mark w, a random nonce that every write of the record replaces. Every write and removal of a record
// names the mark that it replaces, {_id, w}, so it happens to the state that was read or not at all; marks do not come back,
// so a write that is sent twice happens once.
//
// Put with an attempt's nonce n:
//
//  1. The record is read, or, for a document that is to be created with unique values, a seed is inserted: a record with a mark
//     and nothing else, which no reader takes for a document. That is the base. From here on nothing is done to another state.
//  2. Every unique value that the base does not hold is claimed by inserting {value, record, n}, in the order of the values,
//     so that two writers never wait for each other in a ring.
//  3. Every index entry that the base does not have is inserted under n.
//  4. The record replaces the base's mark by n. It lists each value and entry with the nonce it was claimed under. This is the
//     moment the write happens.
//  5. The claims and entries that the base had and the record has not are deleted, by their nonces.
//
// A claim counts if its record lists the value with the claim's nonce, an entry likewise: both are verified whenever they are
// read. So a claim or an entry without its document means nothing, wherever its writer died, and a document without its claim
// cannot be: the rule is that whoever deletes a claim has first made sure that no record lists it and none will. That is
// so where the record was just removed or replaced by the deleter itself, or where the deleter has fenced it: after reading the
// claim it has, by a write, changed the mark of its record (which does not list it), removed the seed, or put a seed of its own in
// the place of a record that is not there. The writer that inserted the claim knew the record's mark before that, so its
// step 4 fails, however late it comes. No clock is in that argument: a claim is left alone for a second (see patience) only so as
// not to disturb writers that are at work.
//
// An expired document that holds a claim is removed by whoever wants the value. Take is a deleteOne that names the mark and
// counts one; its claims and entries go afterwards.
//
// # Lost answers
//
// Writes are retried by the driver where the server can tell a retried write from a new one (replica sets and sharded clusters).
// Where it cannot, or where that failed too, the engine reads the record: the marks say whether the write happened. Where
// they cannot say it any more, because another writer came after, the answer is store.ErrUnavailable and the claims stay as they
// are. A creation is not sent again at all: it could come through twice, the second time after the document was taken. So Take hands
// nobody a document that somebody else may have, no document comes back, and Put frees no value that may be in use.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	// format is the number of the layout, kept in the collection meta. It grows when a release writes what an older one would misread.
	format = 1
	// DefaultDatabase is where a connection string without a database leads.
	DefaultDatabase = "weir"
	// callTimeout ends one call to the server where neither the connection string (timeoutMS) nor the caller says less.
	callTimeout = 10 * time.Second
	// afterTimeout ends what is done after a call was decided, whatever became of the caller: freeing names.
	afterTimeout = 5 * time.Second
	// patience is how long a claim or seed of another writer is watched without a change before it counts as left behind.
	patience = time.Second
)

var errClosed = fmt.Errorf("closed: %w", store.ErrUnavailable)

// Options of Open. Now is required.
type Options struct {
	// Now is the clock by which documents expire. The clocks of all processes of a store must agree to within seconds.
	Now func() time.Time
	// Logger is told what the server cannot do; nil: nobody is.
	Logger *slog.Logger
}

// DB is an open store. It implements store.Engine.
type DB struct {
	client   *driver.Client
	database *driver.Database
	docs     *driver.Collection
	claims   *driver.Collection
	entries  *driver.Collection

	now      func() time.Time
	patience time.Duration
	timeout  time.Duration // of one call
	scrub    *strings.Replacer
	context  context.Context // of Open, without its end: Close has none of its own
	fault    func(step string) (before, after error)

	mu     sync.Mutex
	closed bool
	active sync.WaitGroup
}

var _ store.Engine = (*DB)(nil)

// Open connects to the store that the connection string names, checks that the server answers and makes what is missing.
// TLS, SCRAM, X.509, the size of the pool and all else are the driver's options; write concern, read concern and read preference are
// not to be chosen. Errors never show the connection string's password; they wrap store.ErrUnavailable unless the string is wrong.
func Open(ctx context.Context, uri secret.Text, opts Options) (*DB, error) {
	if opts.Now == nil {
		return nil, errors.New("mongo: Options.Now is missing")
	}
	db := &DB{now: opts.Now, patience: patience, scrub: scrubber(uri.Reveal()), context: context.WithoutCancel(ctx)}
	o := options.Client().ApplyURI(uri.Reveal())
	if o.Timeout == nil || *o.Timeout <= 0 {
		o.SetTimeout(callTimeout)
	}
	db.timeout = *o.Timeout
	if o.AppName == nil {
		o.SetAppName("weir")
	}
	journal := true
	o.SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journal})
	o.SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary())
	err := o.Validate()
	if err == nil {
		db.client, err = driver.Connect(o)
	}
	if err != nil {
		return nil, fmt.Errorf("mongo: the connection string: %s", db.scrub.Replace(err.Error()))
	}
	db.database = db.client.Database(databaseOf(uri.Reveal()))
	db.docs, db.claims, db.entries = db.database.Collection("documents"), db.database.Collection("claims"), db.database.Collection("entries")
	err = db.prepare(ctx)
	if err == nil {
		err = db.index(ctx, opts.Logger)
	}
	if err != nil {
		_ = db.Close() // err says more
		return nil, fmt.Errorf("mongo: open: %w%s", err, advise(err))
	}
	return db, nil
}

// databaseOf returns the database that a connection string names. A slash in a user's name or password is written %2F.
func databaseOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "?")
	if _, name, _ := strings.Cut(rest, "/"); name != "" {
		return name
	}
	return DefaultDatabase
}

// prepare checks the layout's number.
func (db *DB) prepare(ctx context.Context) error {
	meta := db.database.Collection("meta")
	var found struct {
		Number int32 `bson:"n"`
	}
	for range 2 {
		err := db.call(ctx, "read format", func(ctx context.Context) error {
			return meta.FindOne(ctx, bson.D{{Key: "_id", Value: "format"}}).Decode(&found)
		})
		if err == nil {
			break
		}
		if !errors.Is(err, errNone) {
			return err
		}
		err = db.call(ctx, "write format", func(ctx context.Context) error {
			_, err := meta.InsertOne(ctx, bson.D{{Key: "_id", Value: "format"}, {Key: "n", Value: int32(format)}})
			return err
		})
		if err != nil && !errors.Is(err, errDuplicate) {
			return err
		}
	}
	if found.Number != format {
		return fmt.Errorf("%w: the database has format %d, this release knows %d", store.ErrUnavailable, found.Number, format)
	}
	return nil
}

// index makes the two indexes that are not on _id: the one that Sweep reads, and a TTL index where the server has such.
func (db *DB) index(ctx context.Context, log *slog.Logger) error {
	err := db.call(ctx, "create index", func(ctx context.Context) error {
		_, err := db.docs.Indexes().CreateOne(ctx, driver.IndexModel{
			Keys: bson.D{{Key: "e", Value: 1}}, Options: options.Index().SetName("expiry"),
		})
		return err
	})
	if err != nil {
		return err
	}
	var refused driver.CommandError
	err = db.call(ctx, "create TTL index", func(ctx context.Context) error {
		_, err := db.docs.Indexes().CreateOne(ctx, driver.IndexModel{
			Keys:    bson.D{{Key: "t", Value: 1}},
			Options: options.Index().SetName("ttl").SetSparse(true).SetExpireAfterSeconds(int32(serverGrace / time.Second)),
		})
		if errors.As(err, &refused) {
			return nil // it is a second line: FerretDB 1.24 has none, an administrator may have made another one
		}
		return err
	})
	if refused.Code != 0 && log != nil {
		log.LogAttrs(ctx, slog.LevelInfo, "the database did not take a TTL index; what has expired is removed by the sweep alone",
			slog.String("error", db.scrub.Replace(refused.Error())))
	}
	return err
}

// enter counts a call in. The caller calls leave when it is through.
func (db *DB) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, errClosed
	}
	db.active.Add(1)
	return db.active.Done, nil
}

// Close waits for the calls under way and ends the connections. Later calls of every method return
// store.ErrUnavailable; a second Close does nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	was := db.closed
	db.closed = true
	db.mu.Unlock()
	if was {
		return nil
	}
	db.active.Wait()
	ctx, cancel := context.WithTimeout(db.context, callTimeout)
	defer cancel()
	if err := db.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("mongo: close: %s", db.scrub.Replace(err.Error()))
	}
	return nil
}

// named wraps err with the operation. Keys stay out: they can be personal data.
func named(op, kind string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mongo: %s %s: %w", op, kind, err)
}
