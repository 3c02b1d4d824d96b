package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/weir-id/weir/federation/store"
)

// TrailerSize is the length of a backup's last line.
const TrailerSize = trailerSize

// HoldWriter keeps the writer from its next commit until release is called.
func (db *DB) HoldWriter() (release func(), err error) {
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return nil, err
	}
	return func() { _ = tx.Rollback() }, nil
}

// SetMaxFree sets up to how many free pages are listed in the file. It is called before the first write.
func (db *DB) SetMaxFree(n int) { db.maxFree = n }

// TakeAndPut takes the documents of keys and puts d in one transaction.
func (db *DB) TakeAndPut(ctx context.Context, kind string, keys []string, d store.Doc) error {
	h := headOf(d)
	return db.do(ctx, 0, func(t *txn) error {
		for _, key := range keys {
			old, _, _, err := t.load(kind, key)
			if err != nil {
				return err
			}
			t.purge(kind, key, old)
		}
		return t.put(kind, d.Key, d.Version, h, encodeValue(h, d.Body))
	})
}

// WriteFormat sets the file's format number.
func (db *DB) WriteFormat(n uint32) error {
	return db.bolt.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, binary.BigEndian.AppendUint32(nil, n))
	})
}

// Decode decodes a stored value and encodes what it found.
func Decode(v []byte) (d store.Doc, again []byte, err error) {
	h, body, err := decodeValue(v)
	if err != nil {
		return store.Doc{}, nil, err
	}
	return h.document("key", body), encodeValue(h, body), nil
}

// Encode returns the stored value of a document that replaces version d.Version.
func Encode(d store.Doc) []byte { return encodeValue(headOf(d), d.Body) }

// CheckLinks compares every unique value, index entry and expiry with the documents, both ways, and lets
// bbolt check its pages.
func (db *DB) CheckLinks(ctx context.Context) error {
	return db.view(ctx, func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = err
			}
		}
		if first != nil {
			return first
		}
		want := map[string]string{} // bucket NUL key -> value
		found := 0
		err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			kind, ok := strings.CutPrefix(string(name), docsPrefix)
			if !ok {
				return nil
			}
			return b.ForEach(func(k, v []byte) error {
				h, _, err := decodeValue(v)
				if err != nil {
					return err
				}
				key := string(k)
				for _, u := range h.unique {
					want[uniquePrefix+kind+"\x00"+u] = key
				}
				for _, e := range h.index {
					want[indexPrefix+kind+"\x00"+string(indexKey(e, key))] = ""
				}
				if h.expires != never {
					want[expiryPrefix+kind+"\x00"+string(expiryKey(h.expires, key))] = ""
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		err = tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if bytes.HasPrefix(name, []byte(docsPrefix)) || bytes.Equal(name, metaBucket) {
				return nil
			}
			return b.ForEach(func(k, v []byte) error {
				key, ok := want[string(name)+"\x00"+string(k)]
				if !ok || key != string(v) {
					return fmt.Errorf("%s: entry %q points at %q, its document says %q", name, k, v, key)
				}
				found++
				return nil
			})
		})
		if err == nil && found != len(want) {
			err = fmt.Errorf("%d entries for documents that want %d", found, len(want))
		}
		return err
	})
}
