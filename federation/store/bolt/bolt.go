// Package bolt is the embedded store engine: one file, on go.etcd.io/bbolt.
//
// It owns the file: its format, its lock, its one writer, its backup. What a document means is
// the business of store.Kind and above. What an engine must do is written on store.Engine.
//
// One goroutine writes. It takes all writes that are waiting, applies them in one bbolt
// transaction and answers them when that transaction is on the disk, so that many writers share one
// commit (two fdatasync calls). Every write is checked in full before it changes anything: a refused one
// leaves no trace, and the rest of the batch goes on. Reads run in bbolt's read transactions beside the writer
// and never wait for it. No code of the engine's callers runs within a transaction.
//
// A file belongs to one process: see ErrLocked.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/weir-id/weir/federation/store"
)

// The errors that a person has to act on. Both wrap store.ErrUnavailable.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = fmt.Errorf("another weir process has it open: %w", store.ErrUnavailable)
	// ErrDamaged: the file is not a store of Weir, or is one no longer. Restore a backup.
	ErrDamaged = fmt.Errorf("damaged, or not a store of weir: %w", store.ErrUnavailable)
)

var (
	errClosed    = fmt.Errorf("closed: %w", store.ErrUnavailable)
	errUnchanged = errors.New("nothing to write")
)

// Options of Open. Now is required.
type Options struct {
	// Now is the clock by which documents expire.
	Now func() time.Time
	// LockWait is how long to wait while another process has the file; 0 does not wait.
	LockWait time.Duration
	// Logger hears of a damaged file; nil is silence. Every such error is returned as well.
	Logger *slog.Logger
}

// DB is an open store. It implements store.Engine.
type DB struct {
	bolt   *bbolt.DB
	path   string
	now    func() time.Time
	logger *slog.Logger

	maxFree int // see maxFreeListed

	writes    chan *write   // unbuffered: a received write will be answered
	closing   chan struct{} // closed by Close
	ended     chan struct{} // closed by the writer when it has answered everything
	closeOnce sync.Once
	closeErr  error

	stopped atomic.Pointer[error] // why nothing can be written any more
	wrecked bool                  // a transaction of the writer panicked; the writer's until ended is closed
	stats   counters
}

var _ store.Engine = (*DB)(nil)

type counters struct{ writes, commits, pages atomic.Uint64 }

// Stats says what the engine has done since Open.
type Stats struct {
	Writes  uint64 // writes that changed something, each acknowledged after its commit
	Commits uint64 // transactions; each is two fdatasync calls
	Pages   uint64 // pages written, without the two kinds of meta page
	Bytes   int64  // size of the file
}

// Stats returns the counters. It costs one stat call.
func (db *DB) Stats() Stats {
	s := Stats{Writes: db.stats.writes.Load(), Commits: db.stats.commits.Load(), Pages: db.stats.pages.Load()}
	if info, err := os.Stat(db.path); err == nil {
		s.Bytes = info.Size()
	}
	return s
}

// Err returns why the store cannot be written until it is opened again, nil while it can. A full disk is
// not such a reason: the writes that meet it fail, and later ones are tried.
func (db *DB) Err() error {
	if p := db.stopped.Load(); p != nil {
		return *p
	}
	return nil
}

// Close answers the writes under way, waits for the reads under way, and gives the file free.
// Later calls of every method return store.ErrUnavailable; a second Close does nothing.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		close(db.closing)
		<-db.ended
		if db.wrecked {
			return // bbolt's Close could wait for ever for a lock that was lost in the panic
		}
		db.listFree()
		if err := db.bolt.Close(); err != nil {
			db.closeErr = fmt.Errorf("bolt: close %s: %w", db.path, err)
		}
	})
	return db.closeErr
}

func (db *DB) isClosing() bool {
	select {
	case <-db.closing:
		return true
	default:
		return false
	}
}

// view runs f in a read transaction. Slices of the transaction do not outlive f.
func (db *DB) view(ctx context.Context, f func(*bbolt.Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if db.isClosing() {
		return errClosed
	}
	defer db.guard(&err)()
	err = db.bolt.View(f)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

// guard turns what bbolt does about a damaged file into an error: it panics, or reads memory that is not
// there, because the file ended early or the disk failed under the map. Use: defer db.guard(&err)().
func (db *DB) guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%s: %w: %v", db.path, ErrDamaged, p)
			if db.logger != nil {
				db.logger.Error("store file damaged",
					slog.String("path", db.path), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			}
		}
	}
}
