package bolt

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// The buckets of a kind: its name behind one of these.
const (
	docsPrefix   = "d/" // key -> value
	uniquePrefix = "u/" // unique value -> key
	indexPrefix  = "i/" // entry NUL key -> nothing
	expiryPrefix = "e/" // expiry, key -> nothing
)

// How full bbolt leaves a page that it splits. Behind the end of a bucket nothing is
// inserted into the pages before, so they may be full; elsewhere they need room.
const (
	fillAppending = 0.95
	fillScattered = bbolt.DefaultFillPercent
)

// txn is the writer's transaction over one batch.
type txn struct {
	tx      *bbolt.Tx
	now     int64 // milliseconds
	buckets map[string]*bucket
	touched bool  // since the writer last cleared it
	err     error // the first failure of bbolt itself; it ends the batch
}

type bucket struct {
	*bbolt.Bucket
	last     []byte // the greatest key when the batch began
	inserted int    // keys
	within   int    // of them, those before last
}

// open returns the bucket, nil where there is none or after a failure.
func (t *txn) open(prefix, kind string, create bool) *bucket {
	name := prefix + kind
	if b := t.buckets[name]; b != nil {
		return b
	}
	b := t.tx.Bucket([]byte(name))
	if b == nil && create {
		var err error
		if b, err = t.tx.CreateBucket([]byte(name)); err != nil {
			t.fail(err)
		}
	}
	if b == nil {
		return nil
	}
	// Before anything in it changes: bbolt 1.5's Last does not end in a bucket whose pages a transaction has emptied.
	last, _ := b.Cursor().Last()
	t.buckets[name] = &bucket{Bucket: b, last: bytes.Clone(last)}
	return t.buckets[name]
}

func (t *txn) fail(err error) {
	if t.err == nil && err != nil {
		t.err = fmt.Errorf("bbolt: %w", err)
	}
}

// get returns the value of the key, nil if there is none.
func (t *txn) get(prefix, kind, key string) []byte {
	b := t.open(prefix, kind, false)
	if b == nil {
		return nil
	}
	return b.Get([]byte(key))
}

// insert puts a key that is not there.
func (t *txn) insert(prefix, kind string, key, value []byte) {
	b := t.open(prefix, kind, true)
	if b == nil {
		return
	}
	b.inserted++
	if bytes.Compare(key, b.last) < 0 {
		b.within++
	}
	t.touched = true
	t.fail(b.Put(key, value))
}

// replace puts a key that is there.
func (t *txn) replace(prefix, kind string, key, value []byte) {
	if b := t.open(prefix, kind, true); b != nil {
		t.touched = true
		t.fail(b.Put(key, value))
	}
}

func (t *txn) remove(prefix, kind string, key []byte) {
	if b := t.open(prefix, kind, false); b != nil {
		t.touched = true
		t.fail(b.Delete(key))
	}
}

// setFill tells bbolt before the commit how to split the pages of each bucket.
func (t *txn) setFill() {
	for _, b := range t.buckets {
		// Keys that begin with the time come nearly in order: few of a batch belong before the end.
		b.FillPercent = fillScattered
		if b.inserted > 2*b.within {
			b.FillPercent = fillAppending
		}
	}
}

// load returns the stored head and body of a document, live or not.
func (t *txn) load(kind, key string) (h head, body []byte, found bool, err error) {
	v := t.get(docsPrefix, kind, key)
	if v == nil {
		return head{}, nil, false, nil
	}
	h, body, err = decodeValue(v)
	return h, body, err == nil, err
}

// purge removes a document with everything that points at it.
func (t *txn) purge(kind, key string, h head) {
	t.link(kind, key, h, head{expires: never})
	t.remove(docsPrefix, kind, []byte(key))
}

// link turns the entries that point at a document from those of its old head into those of its new one.
func (t *txn) link(kind, key string, old, now head) {
	for _, u := range old.unique {
		if !slices.Contains(now.unique, u) && string(t.get(uniquePrefix, kind, u)) == key {
			t.remove(uniquePrefix, kind, []byte(u))
		}
	}
	for _, u := range now.unique {
		if !slices.Contains(old.unique, u) {
			t.insert(uniquePrefix, kind, []byte(u), []byte(key))
		}
	}
	for _, e := range old.index {
		if !slices.Contains(now.index, e) {
			t.remove(indexPrefix, kind, indexKey(e, key))
		}
	}
	for _, e := range now.index {
		if !slices.Contains(old.index, e) {
			t.insert(indexPrefix, kind, indexKey(e, key), nil)
		}
	}
	if old.expires == now.expires {
		return
	}
	if old.expires != never {
		t.remove(expiryPrefix, kind, expiryKey(old.expires, key))
	}
	if now.expires != never {
		t.insert(expiryPrefix, kind, expiryKey(now.expires, key), nil)
	}
}
