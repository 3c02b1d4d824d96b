package mongo

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/weir-id/weir/federation/store"
)

// Keys and values are arbitrary bytes without NUL and compare bytewise. A BSON string is UTF-8 and servers compare it bytewise too; BSON
// binary compares by its length first. So a byte b becomes the code point b, whose order in UTF-8 is the same and which leaves ASCII
// readable; and to make room for a separator that is below all bytes and in none, the bytes 1 and 2 become an escape and the next byte.
const (
	separator = "\x01"
	escape    = "\x02"
	// behind sorts after every text that goes on with a byte or a separator.
	behind = "\u0100"
)

// encode keeps the order of bytes, and that one text is the beginning of another.
func encode(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] <= 2 || s[i] >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] <= 2 {
			b.WriteString(escape)
			b.WriteByte(s[i] + 1)
		} else {
			b.WriteRune(rune(s[i]))
		}
	}
	return b.String()
}

// decode is the reverse of encode. What encode does not write comes back in some form, but without a panic.
func decode(s string) string {
	b := make([]byte, 0, len(s))
	escaped := rune(0)
	for _, r := range s {
		if escaped == 0 && r == 2 {
			escaped = 1
			continue
		}
		b = append(b, byte(r-escaped)) //nolint:gosec // encode writes nothing above 255
		escaped = 0
	}
	return string(b)
}

// join makes an _id of parts that are encoded already.
func join(parts ...string) string { return strings.Join(parts, separator) }

// nameable reports whether s can be a kind, a key or a unique value.
func nameable(s string) bool { return s != "" && len(s) <= store.MaxKey && strings.IndexByte(s, 0) < 0 }

// idOf returns the _id of a document or a claim. A name that no document can have has none.
func idOf(kind, name string) (string, bool) {
	return join(encode(kind), encode(name)), nameable(kind) && nameable(name)
}

// nonce returns 96 random bits, which do not come again.
func nonce() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails: the process ends instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// never is the expiry of a document without one.
const never = math.MaxInt64

// seedLife is when Sweep clears away a seed that was left behind, in milliseconds. Its removal at any time is safe.
const seedLife = int64(time.Hour / time.Millisecond)

// serverGrace is how long after its expiry the server may remove a record by a TTL index, where it has them. Sweep comes first as long as there is a process that
// sweeps; the day is for the server's clock, which nobody vouches for: a document that says that a message was used must not go while the message is good. Only
// records that list no names go so. Others would leave their claims and entries behind.
const serverGrace = 24 * time.Hour

// record is a stored document, or a seed: version 0.
type record struct {
	ID      string   `bson:"_id"`
	Mark    string   `bson:"w"`
	Version int64    `bson:"v"`
	Expires int64    `bson:"e"` // milliseconds since 1970, or never
	Unique  []string `bson:"u,omitempty"`
	Claims  []string `bson:"uo,omitempty"` // the nonce of each unique value's claim
	Index   []string `bson:"x,omitempty"`
	Entries []string `bson:"xo,omitempty"` // the nonce of each index entry
	Body    []byte   `bson:"b,omitempty"`

	// Removable is Expires again, as the date that a TTL index needs, in seeds and in documents without names: see serverGrace.
	Removable bson.DateTime `bson:"t,omitempty"`
}

// claim says which record holds, or is about to hold, a unique value.
type claim struct {
	ID     string `bson:"_id"`
	Holder string `bson:"k"`
	Nonce  string `bson:"o"`
}

func (r *record) isDocument() bool { return r != nil && r.Version > 0 }

func (r *record) live(now int64) bool { return r.isDocument() && r.Expires > now }

// kind is the encoded kind.
func (r *record) kind() string { k, _, _ := strings.Cut(r.ID, separator); return k }

// key is the encoded key.
func (r *record) key() string { _, k, _ := strings.Cut(r.ID, separator); return k }

// check refuses what Weir did not write: all that follows trusts that names and nonces belong together.
func (r *record) check() error {
	if r.Version < 0 || len(r.Unique) != len(r.Claims) || len(r.Index) != len(r.Entries) {
		return fmt.Errorf("%w: the database holds a record that weir did not write", store.ErrUnavailable)
	}
	return nil
}

// claims reports whether r lists the unique value with that nonce.
func (r *record) claims(unique, nonce string) bool {
	i := slices.Index(r.Unique, unique) // a value that is listed twice has one nonce
	return i >= 0 && r.Claims[i] == nonce
}

// lists reports whether r is a document that the claim belongs to. Whether it is live is another question.
func (r *record) lists(c *claim) bool {
	if !r.isDocument() || r.ID != c.Holder {
		return false
	}
	unique, ok := strings.CutPrefix(c.ID, r.kind()+separator)
	return ok && r.claims(unique, c.Nonce)
}

// enters reports whether r lists the index entry with that nonce.
func (r *record) enters(entry, nonce string) bool {
	i := slices.Index(r.Index, entry) // there is no entry twice
	return i >= 0 && r.Entries[i] == nonce
}

// claimIDs returns the _ids of r's claims and their nonces.
func (r *record) claimIDs() (ids, nonces []string) {
	for _, u := range r.Unique {
		ids = append(ids, join(r.kind(), u))
	}
	return ids, r.Claims
}

// entryIDs returns the _ids of r's index entries.
func (r *record) entryIDs() []string {
	var ids []string
	for i, e := range r.Index {
		ids = append(ids, join(r.kind(), e, r.key(), r.Entries[i]))
	}
	return ids
}

// milliUp returns t in milliseconds, rounded up.
func milliUp(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// recordOf returns what replaces base, written under the mark n: names that base has keep their nonces, the others get n.
func recordOf(id string, d store.Doc, base *record, n string) *record {
	r := &record{ID: id, Mark: n, Version: int64(d.Version) + 1, Expires: never, Body: d.Body} //nolint:gosec // Put has checked the range
	if !d.Expires.IsZero() {
		r.Expires = milliUp(d.Expires)
	}
	if base == nil {
		base = &record{}
	}
	of := func(name string, names, nonces []string) string {
		if i := slices.Index(names, name); i >= 0 {
			return nonces[i]
		}
		return n
	}
	for _, u := range d.Unique {
		u = encode(u)
		r.Unique, r.Claims = append(r.Unique, u), append(r.Claims, of(u, base.Unique, base.Claims))
	}
	for _, e := range d.Index {
		e = encode(e)
		r.Index, r.Entries = append(r.Index, e), append(r.Entries, of(e, base.Index, base.Entries))
	}
	if r.Expires != never && len(r.Unique)+len(r.Index) == 0 {
		r.Removable = bson.DateTime(r.Expires)
	}
	return r
}

// document returns the document that r is.
func (r *record) document() store.Doc {
	d := store.Doc{Key: decode(r.key()), Version: uint64(r.Version), Body: r.Body} //nolint:gosec // see check
	for _, u := range r.Unique {
		d.Unique = append(d.Unique, decode(u))
	}
	for _, e := range r.Index {
		d.Index = append(d.Index, decode(e))
	}
	if r.Expires != never {
		d.Expires = time.UnixMilli(r.Expires).UTC()
	}
	return d
}
