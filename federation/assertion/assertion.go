// Package assertion keeps the last assertions of identity providers, for attribute mappings to be tried on before they are live.
//
// It owns their stored form, their bounds and what is left out of them. It does not own whether they are kept, which is the provider's
// configuration (pool.Keeping: off by default), nor what is done with them (package federation). What is kept is a help and no
// record: one more or less changes nothing, so nothing here may fail or hold up a sign-in.
//
// A kept assertion is what a provider has proven of a person, as rules read it: the verified claims, the issuer and the subject. It
// holds no token, no signature and no message. It is personal data all the same, so it is sealed and bounded twice, in number by slots that are
// taken in turn and in age by the store, and goes with the user, the provider and the pool.
package assertion

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

const (
	// kindName never changes.
	kindName = "assertion"
	// MaxSize bounds one, in bytes before it is sealed. A person in a thousand groups has some 60 KB.
	MaxSize = 128 << 10
)

// ErrTooLarge: an assertion that is larger than MaxSize is not kept.
var ErrTooLarge = errors.New("assertion: too large to be kept")

// Kept is one assertion.
type Kept struct {
	PoolID, Provider string
	Number           uint64 // of the provider's: the first is 1, and later ones have larger ones
	At               time.Time
	For              time.Duration
	Issuer, Subject  string
	// Sub is the user whom it signed in, or who has the identity where the sign-in failed; "" where nobody did.
	Sub string
	// Fault is the code of what the sign-in ended with, "" where it went well, and Why the sentence of it.
	Fault, Why string
	Claims     mapping.Claims
	// Redacted names the top-level claims in which a value is not the provider's, sorted. What is made of them says nothing about the person.
	Redacted []string
	Marks    int // how many different values that were
}

// stored is the form in the store. It exists only between a Kept and the sealed body.
type stored struct {
	PoolID   string         `json:"pool"`
	Provider string         `json:"provider"`
	Number   uint64         `json:"number"`
	At       time.Time      `json:"at"`
	Seconds  int64          `json:"seconds"`
	Issuer   string         `json:"issuer,omitempty"`
	Subject  string         `json:"subject"`
	Sub      string         `json:"sub,omitempty"`
	Fault    string         `json:"fault,omitempty"`
	Why      string         `json:"why,omitempty"`
	Claims   mapping.Claims `json:"claims"`
	Redacted []string       `json:"redacted,omitempty"`
	Marks    int            `json:"marks,omitempty"`
}

// document is a Kept in its slot.
type document struct {
	Kept
	slot uint64
}

var _ store.Stored = (*document)(nil)

// StoredForm implements store.Stored.
func (*document) StoredForm() any { return stored{} }

// MarshalStored implements store.Stored, so that nobody stores it without sealing it.
func (d *document) MarshalStored() ([]byte, error) {
	body, err := json.Marshal(stored{
		PoolID: d.PoolID, Provider: d.Provider, Number: d.Number, At: d.At, Seconds: int64(d.For / time.Second), Issuer: d.Issuer, Subject: d.Subject,
		Sub: d.Sub, Fault: d.Fault, Why: d.Why, Claims: d.Claims, Redacted: d.Redacted, Marks: d.Marks,
	})
	if err == nil && len(body) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(body), MaxSize)
	}
	return body, err
}

// UnmarshalStored implements store.Stored. Numbers keep every digit, as in the claims that came.
func (d *document) UnmarshalStored(data []byte) error {
	var s stored
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&s); err != nil {
		return err
	}
	d.Kept = Kept{
		PoolID: s.PoolID, Provider: s.Provider, Number: s.Number, At: s.At, For: time.Duration(s.Seconds) * time.Second, Issuer: s.Issuer,
		Subject: s.Subject, Sub: s.Sub, Fault: s.Fault, Why: s.Why, Claims: s.Claims, Redacted: s.Redacted, Marks: s.Marks,
	}
	return nil
}

// Keys. A provider's name may hold anything but a NUL, so its length stands in front of it: no name is the beginning of another one then.

func ofPool(poolID string) string { return "of:" + poolID + "/" }

func ofProvider(poolID, provider string) string {
	return ofPool(poolID) + strconv.Itoa(len(provider)) + ":" + provider + "/"
}

func slotKey(poolID, provider string, slot uint64) string {
	return fmt.Sprintf("%s/%d:%s/%03d", poolID, len(provider), provider, slot)
}

func userIndex(poolID, sub string) string { return "user:" + poolID + "/" + sub + "/" }

// identityIndex hashes the subject, which may be of any bytes and long.
func identityIndex(poolID, provider, subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return "identity:" + poolID + "/" + strconv.Itoa(len(provider)) + ":" + provider + "/" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (d *document) keys() store.Keys {
	k := store.Keys{
		Key: slotKey(d.PoolID, d.Provider, d.slot), Expires: d.At.Add(d.For),
		Index: []string{
			// The newest first: List goes upwards.
			fmt.Sprintf("%s%020d", ofProvider(d.PoolID, d.Provider), math.MaxUint64-d.Number),
			identityIndex(d.PoolID, d.Provider, d.Subject),
		},
	}
	if d.Sub != "" {
		k.Index = append(k.Index, userIndex(d.PoolID, d.Sub))
	}
	return k
}

// numberOf reads the number of a document without opening it: what cannot be opened any more has to give way too. It is 0 for one
// that has none.
func numberOf(d store.Doc, of string) uint64 {
	for _, e := range d.Index {
		if text, ok := strings.CutPrefix(e, of); ok {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				return math.MaxUint64 - n
			}
		}
	}
	return 0
}
