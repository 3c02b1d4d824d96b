// Package store is the persistence contract: an Engine keeps small documents,
// and Kind[T] is its typed face.
//
// An engine promises single-document atomicity and nothing more: no
// transactions over several documents, so the rules of the directory are written for
// the weakest engine. What an engine must do is written on Engine and checked by
// package storetest, which every engine passes whole.
package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/fault"
)

// The errors of an Engine. They are matched with errors.Is; an engine wraps them
// with the operation's name.
var (
	// ErrNotFound: no such document, or it has expired.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the document's version is not the one that Put named (0: it exists already).
	ErrConflict = errors.New("version conflict")
	// ErrTaken: another live document of the kind holds one of the Unique values.
	ErrTaken = errors.New("unique value taken")
	// ErrInvalid: the document or the call breaks a rule written on Doc or Engine.
	ErrInvalid = errors.New("invalid document")
	// ErrUnavailable: the engine cannot serve right now (full disk, no connection, closed). It is a fault, so that
	// whoever passes it on need not say again that the caller may come back later.
	ErrUnavailable error = fault.New(fault.Unavailable, "The store cannot be reached right now. Try again.", nil)
)

// Limits of a document, the same for every engine.
const (
	MaxKey   = 1024        // bytes of a Key, a Unique or an Index entry
	MaxBody  = 1024 * 1024 // bytes of a Body
	MaxNames = 256         // Unique and Index entries together; a user with all that one can have needs some 170
	MaxList  = 1000        // the largest limit of List
)

// Doc is one document.
type Doc struct {
	// Key names the document within its kind: 1 to MaxKey bytes.
	Key string
	// Unique values are held by at most one live document of the kind. The same value twice is as good as once.
	Unique []string
	// Index entries have the form name:value. A document has at most one entry of a name.
	Index []string
	// Expires is when the document stops existing for readers; zero is never.
	// Engines may round it up to whole milliseconds.
	Expires time.Time
	// Version counts the document's writes from 1. In Put it is the version
	// that is to be replaced, 0 for a document that must not exist yet.
	Version uint64
	// Body is opaque to the engine: at most MaxBody bytes.
	Body []byte
}

// Engine stores documents by kind. It is safe for concurrent use; every method ends
// with ctx, and a write whose method returned nil survives the process being
// killed. A method that failed with ErrUnavailable or ctx's error may
// still have taken effect. Keys and values are arbitrary bytes and compare
// bytewise; NUL bytes are not allowed in them. A key that breaks the rules of Doc names no document,
// so the reading methods answer ErrNotFound to it; Doc.Check and CheckList hold the rules for Put and List.
type Engine interface {
	// Get returns the live document of that key. Errors: ErrNotFound.
	Get(ctx context.Context, kind, key string) (Doc, error)
	// GetBy returns the live document that holds the unique value. Errors: ErrNotFound.
	GetBy(ctx context.Context, kind, unique string) (Doc, error)
	// Put creates (Version 0) or replaces (compare-and-swap) a document with its unique values and index
	// entries, and returns its new version. An expired document does not exist and its unique values are free.
	// Errors: ErrConflict, ErrTaken, ErrInvalid; nothing is changed then.
	Put(ctx context.Context, kind string, d Doc) (uint64, error)
	// Take removes a live document and returns it: of any number of callers exactly one gets it.
	// Errors: ErrNotFound.
	Take(ctx context.Context, kind, key string) (Doc, error)
	// Delete removes a document if it is there; a missing one is no error.
	Delete(ctx context.Context, kind, key string) error
	// List returns up to limit (1 to MaxList) live documents that have an index entry with the prefix index,
	// in the order of (entry, key), beginning behind the cursor after ("" is the start; see Cursor).
	// An empty index lists every document of the kind in the order of keys; any other one begins with
	// name and colon, so that it meets at most one entry of a document. Errors: ErrInvalid.
	// Documents that are written meanwhile may be in the answer or not; none that stays unchanged is left out or comes twice.
	List(ctx context.Context, kind, index, after string, limit int) ([]Doc, error)
	// Sweep removes documents that expired before the given time and returns how many. A document that
	// is live for readers stays, also when the given time lies in the future.
	Sweep(ctx context.Context, before time.Time) (int, error)
	// Close ends the engine after the writes under way. Later calls return ErrUnavailable.
	Close() error
}

// Cursor returns the position of d in List(…, index, …): give it as after to
// continue behind d. Cursors are not secret and not signed: a caller that hands them to
// clients seals them.
func Cursor(d Doc, index string) string {
	if index == "" {
		return d.Key
	}
	for _, e := range d.Index {
		if strings.HasPrefix(e, index) {
			return e + "\x00" + d.Key
		}
	}
	return ""
}
