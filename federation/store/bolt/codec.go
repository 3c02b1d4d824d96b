package bolt

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// A stored value is: valueFormat, the version (8 bytes), the expiry in milliseconds (8 bytes), the unique values and the
// index entries (each list: its length, then length and bytes of each), and the body. Lengths are uvarints.
const valueFormat = 1

// never is the expiry of a document without one.
const never = math.MaxInt64

// head is a stored document without key and body.
type head struct {
	version uint64
	expires int64 // milliseconds since 1970, or never
	unique  []string
	index   []string
}

// expired reports whether the document has ended at the time now, in whole milliseconds.
func (h head) expired(now int64) bool { return h.expires <= now }

// milliUp returns t in milliseconds, rounded up.
func milliUp(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func headOf(d store.Doc) head {
	h := head{version: d.Version + 1, expires: never, unique: d.Unique, index: d.Index}
	if !d.Expires.IsZero() {
		h.expires = milliUp(d.Expires)
	}
	return h
}

func encodeValue(h head, body []byte) []byte {
	n := 1 + 8 + 8 + 4 + len(body)
	for _, list := range [][]string{h.unique, h.index} {
		for _, s := range list {
			n += 2 + len(s)
		}
	}
	out := make([]byte, 0, n)
	out = append(out, valueFormat)
	out = binary.BigEndian.AppendUint64(out, h.version)
	out = binary.BigEndian.AppendUint64(out, uint64(h.expires)) //nolint:gosec // the bits are kept
	for _, list := range [][]string{h.unique, h.index} {
		out = binary.AppendUvarint(out, uint64(len(list)))
		for _, s := range list {
			out = binary.AppendUvarint(out, uint64(len(s)))
			out = append(out, s...)
		}
	}
	return append(out, body...)
}

// decodeValue returns the head, whose strings are copies, and the body, which is a part of v.
func decodeValue(v []byte) (head, []byte, error) {
	if len(v) < 17 || v[0] != valueFormat {
		return head{}, nil, fmt.Errorf("%w: value without a head", ErrDamaged)
	}
	h := head{
		version: binary.BigEndian.Uint64(v[1:]),
		expires: int64(binary.BigEndian.Uint64(v[9:])), //nolint:gosec // the bits are kept
	}
	rest := v[17:]
	for _, list := range []*[]string{&h.unique, &h.index} {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > store.MaxNames {
			return head{}, nil, fmt.Errorf("%w: value with a broken list", ErrDamaged)
		}
		rest = rest[used:]
		for range n {
			size, used := binary.Uvarint(rest)
			if used <= 0 || size > store.MaxKey || len(rest)-used < int(size) {
				return head{}, nil, fmt.Errorf("%w: value with a broken name", ErrDamaged)
			}
			*list = append(*list, string(rest[used:used+int(size)]))
			rest = rest[used+int(size):]
		}
	}
	return h, rest, nil
}

// document returns the whole document, which shares no memory with body.
func (h head) document(key string, body []byte) store.Doc {
	d := store.Doc{Key: key, Unique: h.unique, Index: h.index, Version: h.version, Body: append([]byte{}, body...)}
	if h.expires != never {
		d.Expires = time.UnixMilli(h.expires).UTC()
	}
	return d
}

// indexKey is where an index entry lies; its order is that of (entry, key), for neither holds a NUL byte.
func indexKey(entry, key string) []byte {
	k := make([]byte, 0, len(entry)+1+len(key))
	k = append(append(k, entry...), 0)
	return append(k, key...)
}

// expiryKey is where an expiry lies; its order is that of time.
func expiryKey(expires int64, key string) []byte {
	k := make([]byte, 0, 8+len(key))
	k = binary.BigEndian.AppendUint64(k, uint64(expires)^1<<63) //nolint:gosec // the sign bit is turned for the order
	return append(k, key...)
}

// expiryOf is the time of an expiryKey.
func expiryOf(k []byte) int64 {
	return int64(binary.BigEndian.Uint64(k) ^ 1<<63) //nolint:gosec // the reverse of expiryKey
}
