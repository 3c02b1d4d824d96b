package mongo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/weir-id/weir/federation/store"
)

// maxRounds bounds the attempts of a write: each lost one means that another writer changed the record, or is watched.
const maxRounds = 64

var (
	// errAgain: the base is not what it was; the attempt leaves nothing behind and another one begins.
	errAgain = errors.New("the record was changed meanwhile")
	errBusy  = fmt.Errorf("%d attempts lost to other writers: %w", maxRounds, store.ErrUnavailable)
	// errUndecided: the write may have happened.
	errUndecided = fmt.Errorf("the server's answer was lost: %w", store.ErrUnavailable)
)

// Put implements store.Engine.
func (db *DB) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if err := d.Check(kind); err != nil {
		return 0, named("put", kind, err)
	}
	leave, err := db.enter(ctx)
	if err != nil {
		return 0, named("put", kind, err)
	}
	defer leave()
	if d.Version >= math.MaxInt64 {
		return 0, named("put", kind, store.ErrConflict)
	}
	id, _ := idOf(kind, d.Key)
	p := &putting{db: db, id: id, doc: d, watch: watch{patience: db.patience}}
	if err := p.run(ctx); err != nil {
		return 0, named("put", kind, err)
	}
	return d.Version + 1, nil
}

// putting is one Put. The protocol's steps are in the package's doc comment.
type putting struct {
	db    *DB
	id    string
	doc   store.Doc
	watch watch

	// Of one attempt:
	nonce  string
	base   *record  // what is replaced; nil is nothing
	seeded bool     // base is a seed of ours
	next   *record  // what replaces it
	wanted []claim  // that base does not hold, in the order of their values
	added  []string // entries that base does not have

	contests int
}

func (p *putting) run(ctx context.Context) error {
	for round := range maxRounds {
		err := p.attempt(ctx, round == 0)
		if !errors.Is(err, errAgain) {
			return err
		}
		if round > 0 {
			if err := store.Pause(ctx, backoff(round)); err != nil {
				return err
			}
		}
	}
	return errBusy
}

// attempt goes through the protocol once. What it has claimed is freed again unless the write happened or may have.
func (p *putting) attempt(ctx context.Context, first bool) error {
	p.nonce, p.base, p.seeded = nonce(), nil, false
	if err := p.settleBase(ctx, first); err != nil {
		return err
	}
	held := p.base
	if !held.isDocument() || p.doc.Version == 0 {
		held = nil // an expired document's names are not its successor's
	}
	p.next = recordOf(p.id, p.doc, held, p.nonce)
	p.wanted, p.added = p.news()
	err := p.claimAll(ctx)
	if err == nil {
		err = p.db.insertEntries(ctx, p.added)
	}
	if err == nil {
		err = p.commit(ctx)
	}
	switch {
	case err == nil:
		p.db.after(ctx, func(ctx context.Context) { p.db.free(ctx, dropped(p.base, p.next)) })
	case !errors.Is(err, errUndecided):
		p.db.after(ctx, p.undo)
	}
	return err
}

// settleBase finds what is to be replaced, or refuses. The first attempt to create something does not look, since nearly always nothing is there.
func (p *putting) settleBase(ctx context.Context, first bool) error {
	create, unique := p.doc.Version == 0, len(p.doc.Unique) > 0
	var cur *record
	if !create || !first {
		var err error
		if cur, err = p.db.head(ctx, p.id); err != nil {
			return err
		}
	}
	switch live := cur.live(p.db.now().UnixMilli()); {
	case live == create, live && cur.Version != int64(p.doc.Version): //nolint:gosec // Put has checked the range
		return store.ErrConflict
	case cur == nil && !unique:
		return nil
	case cur == nil:
		seed := p.seed(p.id)
		ok, err := p.db.insert(ctx, seed)
		return p.seededIf(seed, ok, err)
	case live || !unique:
		p.base = cur
		return nil
	case !cur.isDocument():
		// A seed: another writer is creating this document, and its chance is as good as ours.
		if !p.watch.abandoned(cur.Mark) {
			return p.watch.wait(ctx)
		}
	}
	seed := p.seed(p.id)
	ok, err := p.db.replace(ctx, cur.Mark, seed)
	if ok {
		p.db.after(ctx, func(ctx context.Context) { p.db.free(ctx, cur) })
	}
	return p.seededIf(seed, ok, err)
}

// seed returns a seed with a mark of its own: the attempt's nonce is the mark of the document alone, by which commit knows it.
func (p *putting) seed(id string) *record {
	end := p.db.now().UnixMilli() + seedLife
	return &record{ID: id, Mark: nonce(), Expires: end, Removable: bson.DateTime(end)}
}

func (p *putting) seededIf(seed *record, ok bool, err error) error {
	if err != nil {
		return err
	}
	if !ok {
		return errAgain
	}
	p.base, p.seeded = seed, true
	return nil
}

// news returns the claims and entries that are to be made: those of next under this attempt's nonce.
func (p *putting) news() (wanted []claim, added []string) {
	for i, u := range p.next.Unique {
		if p.next.Claims[i] == p.nonce {
			wanted = append(wanted, claim{ID: join(p.next.kind(), u), Holder: p.id, Nonce: p.nonce})
		}
	}
	slices.SortFunc(wanted, func(a, b claim) int { return strings.Compare(a.ID, b.ID) })
	wanted = slices.Compact(wanted)
	for i, e := range p.next.Index {
		if p.next.Entries[i] == p.nonce {
			added = append(added, join(p.next.kind(), e, p.next.key(), p.nonce))
		}
	}
	return wanted, added
}

// commit makes the write happen. Errors: errAgain, errUndecided, and others where it surely has not happened and will not.
func (p *putting) commit(ctx context.Context) error {
	sent := false // an attempt whose answer was lost: it may still come through
	for {
		var ok bool
		var err error
		if p.base == nil {
			ok, err = p.db.insert(ctx, p.next)
		} else {
			ok, err = p.db.replace(ctx, p.base.Mark, p.next)
		}
		if ok {
			return nil
		}
		if err == nil && !sent {
			return errAgain
		}
		// Who else could have put our mark there? Nobody.
		cur, readErr := p.db.head(ctx, p.id)
		switch {
		case readErr == nil && cur != nil && cur.Mark == p.nonce:
			return nil
		case ctx.Err() != nil:
			return errors.Join(errUndecided, ctx.Err())
		case readErr != nil || err == nil || sent || p.base == nil || !p.stands(cur):
			// Where there is no base, nothing keeps an insert that is only slow from coming through as well, after the document
			// was taken: so it is not sent again.
			return errors.Join(errUndecided, err)
		}
		sent = true // the base is there still: once more, and it is replaced once
	}
}

// stands reports whether cur is the base, unchanged.
func (p *putting) stands(cur *record) bool { return cur != nil && cur.Mark == p.base.Mark }

// undo frees what the attempt has made.
func (p *putting) undo(ctx context.Context) {
	made := &record{ID: p.id}
	for i, u := range p.next.Unique {
		if p.next.Claims[i] == p.nonce {
			made.Unique, made.Claims = append(made.Unique, u), append(made.Claims, p.nonce)
		}
	}
	for i, e := range p.next.Index {
		if p.next.Entries[i] == p.nonce {
			made.Index, made.Entries = append(made.Index, e), append(made.Entries, p.nonce)
		}
	}
	p.db.free(ctx, made)
	if p.seeded {
		_, _ = p.db.remove(ctx, p.id, p.base.Mark) // what stays is cleared away by Sweep
	}
}

// dropped returns the names that base has and next has not.
func dropped(base, next *record) *record {
	if base == nil {
		return nil
	}
	gone := &record{ID: base.ID}
	for i, u := range base.Unique {
		if !next.claims(u, base.Claims[i]) {
			gone.Unique, gone.Claims = append(gone.Unique, u), append(gone.Claims, base.Claims[i])
		}
	}
	for i, e := range base.Index {
		if !next.enters(e, base.Entries[i]) {
			gone.Index, gone.Entries = append(gone.Index, e), append(gone.Entries, base.Entries[i])
		}
	}
	return gone
}

// freeStep is how many names are freed in one call: with names of MaxKey bytes it stays below the size of a command.
const freeStep = 1000

// free deletes the claims and entries of records that list them no longer. What cannot be freed means nothing where it stays: the next
// one who wants the value finds out.
func (db *DB) free(ctx context.Context, records ...*record) {
	var claims, nonces, entries []string
	for _, r := range records {
		if r != nil {
			ids, of := r.claimIDs()
			claims, nonces, entries = append(claims, ids...), append(nonces, of...), append(entries, r.entryIDs()...)
		}
	}
	for i := 0; i < len(claims); i += freeStep {
		end := min(i+freeStep, len(claims))
		_ = db.deleteClaims(ctx, claims[i:end], nonces[i:end]) // see above
	}
	for part := range slices.Chunk(entries, freeStep) {
		_ = db.deleteEntries(ctx, part) // see above
	}
}

// after does what is left when a call is decided: it does not end with the caller's context, and not at all if the server is slow.
func (db *DB) after(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterTimeout)
	defer cancel()
	f(ctx)
}

// backoff is how long to wait before the next look at what another writer does.
func backoff(round int) time.Duration {
	return min(time.Millisecond<<min(round, 6), 50*time.Millisecond)
}

// watch finds out by waiting whether another writer has died: by our own time, since no two clocks need agree for it.
type watch struct {
	patience time.Duration
	what     string
	rounds   int
	waited   time.Duration
}

// abandoned reports whether what has not changed for as long as patience.
func (w *watch) abandoned(what string) bool {
	if w.what != what {
		w.what, w.rounds, w.waited = what, 0, 0
	}
	return w.waited >= w.patience
}

// wait waits some time of the patience and returns errAgain.
func (w *watch) wait(ctx context.Context) error {
	d := backoff(w.rounds)
	w.rounds++
	w.waited += d
	if err := store.Pause(ctx, d); err != nil {
		return err
	}
	return errAgain
}
