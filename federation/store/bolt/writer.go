package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/weir-id/weir/federation/store"
)

// The largest batch: writes behind it wait for the next commit. The bytes bound the memory of one commit.
const (
	maxBatch      = 1024
	maxBatchBytes = 8 << 20
)

// write is one waiting write.
type write struct {
	ctx context.Context
	// apply checks everything before it changes anything; its error refuses this write alone.
	apply func(*txn) error
	size  int
	err   error         // valid when done is closed
	done  chan struct{} // closed when the write is on the disk, or refused
}

// do hands a write to the writer and waits until it is durable. After an error of ctx the
// write may still happen, so apply must not touch anything that the caller goes on using.
func (db *DB) do(ctx context.Context, size int, apply func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{ctx: ctx, apply: apply, size: size, done: make(chan struct{})}
	select {
	case <-db.closing: // first alone: select would choose at random
		return errClosed
	default:
	}
	select {
	case db.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return errClosed
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the writer.
func (db *DB) run() {
	defer close(db.ended)
	batch := make([]*write, 0, maxBatch)
	for {
		select {
		case w := <-db.writes:
			batch = append(batch[:0], w)
		case <-db.closing:
			return
		}
		// The callers that the last commit has just answered get the chance to join this one.
		runtime.Gosched()
		batch = db.gather(batch)
		db.commit(batch)
		clear(batch)
	}
}

// gather adds the writes that are waiting now.
func (db *DB) gather(batch []*write) []*write {
	for size := batch[0].size; len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case w := <-db.writes:
			batch = append(batch, w)
			size += w.size
		default:
			return batch
		}
	}
	return batch
}

// commit applies the batch in one transaction and answers every write in it.
func (db *DB) commit(batch []*write) {
	err := db.Err()
	if err == nil {
		err = db.transact(batch)
	}
	for _, w := range batch {
		if err != nil {
			w.err = err // also a refusal: it may rest on a write that did not happen
		}
		close(w.done)
	}
}

func (db *DB) transact(batch []*write) error {
	var t *txn
	db.bolt.NoFreelistSync = db.bolt.Stats().FreePageN > db.maxFree
	applied, now := uint64(0), db.now().UnixMilli()
	err := db.update(func(tx *bbolt.Tx) error {
		t = &txn{tx: tx, now: now, buckets: map[string]*bucket{}}
		for _, w := range batch {
			if w.err = w.ctx.Err(); w.err != nil {
				continue // nobody waits for it any more
			}
			t.touched = false
			w.err = w.apply(t)
			if t.err != nil {
				return t.err
			}
			if t.touched {
				applied++
			}
		}
		if applied == 0 {
			return errUnchanged
		}
		t.setFill()
		return nil
	})
	switch {
	case errors.Is(err, errUnchanged):
		return nil
	case err == nil:
		stats := t.tx.Stats()
		db.stats.pages.Add(uint64(max(stats.GetPageCount(), 0)))
		db.stats.commits.Add(1)
		db.stats.writes.Add(applied)
		return nil
	}
	err = fmt.Errorf("bolt: write %s: %w: %w", db.path, store.ErrUnavailable, err)
	if !retriable(err) {
		db.stopped.Store(&err)
	}
	return err
}

// maxFreeListed is up to how many free pages every commit writes the list of them, of 8 bytes each: 16,384 pages
// are 64 MB free in the file and 128 KB written. Beyond, after a great sweep, the list stays in memory: with a
// million swept sessions each commit would write 2 MB. The price is paid by the first Open after a crash in
// such a time, which looks for the free pages and so reads the whole file.
const maxFreeListed = 16 << 10

// listFree writes the list of free pages where the last commit did not, so that the next Open need not look for them.
func (db *DB) listFree() {
	if !db.bolt.NoFreelistSync || db.Err() != nil {
		return
	}
	db.bolt.NoFreelistSync = false
	if err := db.update(func(*bbolt.Tx) error { return nil }); err != nil && db.logger != nil {
		db.logger.Warn("the next start will read the whole store",
			slog.String("path", db.path), slog.Any("error", err))
	}
}

// update is bbolt's Update with panics as errors. After one the state of bbolt's locks is unknown.
func (db *DB) update(f func(*bbolt.Tx) error) (err error) {
	defer db.guard(&err)()
	db.wrecked = true
	err = db.bolt.Update(f)
	db.wrecked = false
	return err
}

// retriable reports whether the file is as before after a failed commit. It is where a
// write call failed (full disk, size limit): bbolt writes new pages beside the old ones. It may not
// be where fdatasync failed, because nobody knows then which pages reached the disk, and the next
// commit could overwrite pages that the file's durable state still needs. So nothing is written
// any more until the file has been opened again.
func retriable(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || strings.Contains(err.Error(), "file resize error")
}
