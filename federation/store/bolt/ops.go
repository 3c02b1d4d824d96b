package bolt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/weir-id/weir/federation/store"
)

// Get implements store.Engine.
func (db *DB) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	var d store.Doc
	now := db.now().UnixMilli()
	err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
		d, err = read(tx, kind, key, now)
		return err
	})
	return d, named("get", kind, err)
}

// GetBy implements store.Engine.
func (db *DB) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	var d store.Doc
	now := db.now().UnixMilli()
	err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
		b := tx.Bucket([]byte(uniquePrefix + kind))
		if b == nil {
			return store.ErrNotFound
		}
		key := b.Get([]byte(unique))
		if key == nil {
			return store.ErrNotFound
		}
		d, err = read(tx, kind, string(key), now)
		return err
	})
	return d, named("get by unique value", kind, err)
}

// read returns the live document of that key.
func read(tx *bbolt.Tx, kind, key string, now int64) (store.Doc, error) {
	b := tx.Bucket([]byte(docsPrefix + kind))
	if b == nil {
		return store.Doc{}, store.ErrNotFound
	}
	v := b.Get([]byte(key))
	if v == nil {
		return store.Doc{}, store.ErrNotFound
	}
	h, body, err := decodeValue(v)
	if err != nil {
		return store.Doc{}, err
	}
	if h.expired(now) {
		return store.Doc{}, store.ErrNotFound
	}
	return h.document(key, body), nil
}

// Put implements store.Engine.
func (db *DB) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if err := d.Check(kind); err != nil {
		return 0, named("put", kind, err)
	}
	// The caller may reuse its slices as soon as Put has returned, which after an error of ctx
	// can be before the writer is through.
	d.Unique, d.Index = slices.Clone(d.Unique), slices.Clone(d.Index)
	h := headOf(d)
	value := encodeValue(h, d.Body)
	err := db.do(ctx, len(value), func(t *txn) error { return t.put(kind, d.Key, d.Version, h, value) })
	if err != nil {
		return 0, named("put", kind, err)
	}
	return h.version, nil
}

func (t *txn) put(kind, key string, version uint64, h head, value []byte) error {
	old, _, found, err := t.load(kind, key)
	if err != nil {
		return err
	}
	live := found && !old.expired(t.now)
	if live != (version != 0) || live && old.version != version {
		return store.ErrConflict
	}
	stale, err := t.staleHolders(kind, key, h.unique)
	if err != nil {
		return err
	}
	// Nothing is refused from here on.
	for holder, dead := range stale {
		t.purge(kind, holder, dead)
	}
	if !found {
		t.link(kind, key, head{expires: never}, h)
		t.insert(docsPrefix, kind, []byte(key), value)
		return nil
	}
	t.link(kind, key, old, h)
	t.replace(docsPrefix, kind, []byte(key), value)
	return nil
}

// staleHolders returns the other documents that hold one of the values and have expired, or
// ErrTaken where one has not.
func (t *txn) staleHolders(kind, key string, unique []string) (map[string]head, error) {
	var stale map[string]head
	for _, u := range unique {
		holder := string(t.get(uniquePrefix, kind, u))
		if holder == "" || holder == key {
			continue
		}
		h, _, found, err := t.load(kind, holder)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if !h.expired(t.now) {
			return nil, store.ErrTaken
		}
		if stale == nil {
			stale = map[string]head{}
		}
		stale[holder] = h
	}
	return stale, nil
}

// Take implements store.Engine.
func (db *DB) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	taken := new(store.Doc) // the writer's until do returns without an error
	err := db.do(ctx, 0, func(t *txn) error {
		h, body, found, err := t.load(kind, key)
		if err != nil {
			return err
		}
		if !found || h.expired(t.now) {
			return store.ErrNotFound
		}
		*taken = h.document(key, body)
		t.purge(kind, key, h)
		return nil
	})
	if err != nil {
		return store.Doc{}, named("take", kind, err)
	}
	return *taken, nil
}

// Delete implements store.Engine.
func (db *DB) Delete(ctx context.Context, kind, key string) error {
	err := db.do(ctx, 0, func(t *txn) error {
		h, _, found, err := t.load(kind, key)
		if found {
			t.purge(kind, key, h)
		}
		return err
	})
	return named("delete", kind, err)
}

// List implements store.Engine.
func (db *DB) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	if err := store.CheckList(index, after, limit); err != nil {
		return nil, named("list", kind, err)
	}
	prefix := docsPrefix
	if index != "" {
		prefix = indexPrefix
	}
	var out []store.Doc
	now := db.now().UnixMilli()
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(prefix + kind))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		k, v := c.Seek([]byte(max(index, after)))
		if after != "" && string(k) == after {
			k, v = c.Next()
		}
		for scanned := 1; k != nil && len(out) < limit && bytes.HasPrefix(k, []byte(index)); k, v = c.Next() {
			if scanned++; scanned%store.MaxList == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			key := string(k)
			if index != "" {
				_, key, _ = strings.Cut(key, "\x00")
				v = documentValue(tx, kind, key)
			}
			h, body, err := decodeValue(v)
			if err != nil {
				return err
			}
			if !h.expired(now) {
				out = append(out, h.document(key, body))
			}
		}
		return nil
	})
	if err != nil {
		return nil, named("list", kind, err)
	}
	return out, nil
}

func documentValue(tx *bbolt.Tx, kind, key string) []byte {
	b := tx.Bucket([]byte(docsPrefix + kind))
	if b == nil {
		return nil
	}
	return b.Get([]byte(key))
}

// sweepStep is how many documents leave in one write, so that others get between.
const sweepStep = 256

// Sweep implements store.Engine.
func (db *DB) Sweep(ctx context.Context, before time.Time) (int, error) {
	// A document has expired at now when its expiry is not behind now, and before the given time when it is less.
	end := min(milliUp(before), db.now().UnixMilli()+1)
	kinds, err := db.kindsExpired(ctx, end)
	if err != nil {
		return 0, named("sweep", "", err)
	}
	total := 0
	for _, kind := range kinds {
		for more := true; more; {
			n := new(int) // the writer's until do returns without an error
			err := db.do(ctx, 0, func(t *txn) error {
				var err error
				*n, err = t.sweep(kind, end)
				return err
			})
			if err != nil {
				return total, named("sweep", kind, err)
			}
			total += *n
			more = *n == sweepStep
		}
	}
	return total, nil
}

// kindsExpired returns the kinds that have something to sweep, without troubling the writer.
func (db *DB) kindsExpired(ctx context.Context, end int64) ([]string, error) {
	var kinds []string
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Cursor()
		prefix := []byte(expiryPrefix)
		for name, _ := c.Seek(prefix); bytes.HasPrefix(name, prefix); name, _ = c.Next() {
			k, _ := tx.Bucket(name).Cursor().First()
			if k != nil && expiryOf(k) < end {
				kinds = append(kinds, string(name[len(prefix):]))
			}
		}
		return nil
	})
	return kinds, err
}

func (t *txn) sweep(kind string, end int64) (int, error) {
	b := t.open(expiryPrefix, kind, false)
	if b == nil {
		return 0, nil
	}
	var keys []string // first all, then the removals: they would move the cursor
	var heads []head
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(keys) < sweepStep && expiryOf(k) < end; k, _ = c.Next() {
		key := string(k[8:])
		h, _, found, err := t.load(kind, key)
		if err != nil {
			return 0, err
		}
		if !found || h.expires != expiryOf(k) {
			return 0, fmt.Errorf("%w: an expiry without its document", ErrDamaged)
		}
		keys, heads = append(keys, key), append(heads, h)
	}
	for i, key := range keys {
		t.purge(kind, key, heads[i])
	}
	return len(keys), nil
}

// named wraps err with the operation. Keys stay out: they can be personal data.
func named(op, kind string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bolt: %s %s: %w", op, kind, err)
}
