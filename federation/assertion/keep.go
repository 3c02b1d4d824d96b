package assertion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// rounds bounds how often Keep looks for a place: each lost one means that another node took it.
const rounds = 4

// undoTime bounds the removal of what may not stay.
const undoTime = 5 * time.Second

// Keeper keeps assertions in a store. The zero value needs Engine, Ring and Now. It is safe for concurrent use and must not be copied.
type Keeper struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time

	mu   sync.Mutex
	last map[string]uint64 // the number that this process gave last, by provider
}

func (k *Keeper) kind() *store.Kind[document] {
	return &store.Kind[document]{Engine: k.Engine, Ring: k.Ring, Name: kindName, KeysOf: (*document).keys}
}

// Prepare returns what is kept of a: bounded in time and without what is redacted. It does no I/O and does not change the claims of a.
func (k *Keeper) Prepare(a Kept, as pool.Keeping) Kept {
	a.At, a.For = k.Now().UTC(), as.For
	a.redact(as.Redact)
	return a
}

// Keep keeps what Prepare returned, in place of the oldest where there are as many as as says: two reads and one write. still, asked
// after it, says whether it may stay: whoever removes what is kept of somebody or something does so after that is gone, and sees
// either this one or is seen by still. Errors: ErrTooLarge, and the store's.
func (k *Keeper) Keep(ctx context.Context, a Kept, as pool.Keeping, still func(context.Context) (bool, error)) error {
	if as.Number < 1 {
		return nil
	}
	var err error
	for range rounds {
		var key string
		key, err = k.put(ctx, a, uint64(as.Number))
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keep an assertion: %w", err)
		}
		if ok, err := still(ctx); err != nil || !ok {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
			defer cancel()
			return errors.Join(err, k.kind().Delete(undo, key))
		}
		return nil
	}
	return fmt.Errorf("keep an assertion: %d rounds lost to other writers: %w", rounds, err)
}

// put writes a into its slot, and returns the key. An assertion that is newer than a keeps its place.
func (k *Keeper) put(ctx context.Context, a Kept, slots uint64) (string, error) {
	of := ofProvider(a.PoolID, a.Provider)
	newest, err := k.Engine.List(ctx, kindName, of, "", 1)
	if err != nil {
		return "", err
	}
	seen := uint64(0)
	if len(newest) > 0 {
		seen = numberOf(newest[0], of)
	}
	a.Number = k.next(of, seen)
	d := document{Kept: a, slot: a.Number % slots}
	key := d.keys().Key
	// Not by the kind: what is there is overwritten, whether it can be opened or not.
	old, err := k.Engine.Get(ctx, kindName, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if numberOf(old, of) > a.Number {
		return key, nil
	}
	_, err = k.kind().Put(ctx, &d, old.Version)
	return key, err
}

// next returns a number above seen that no other caller in this process has got.
func (k *Keeper) next(of string, seen uint64) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil {
		k.last = map[string]uint64{}
	}
	k.last[of] = max(k.last[of], seen) + 1
	return k.last[of]
}

// Newest returns what is kept of a provider, the newest first, and no more than as allows now.
func (k *Keeper) Newest(ctx context.Context, poolID, provider string, as pool.Keeping) ([]Kept, error) {
	if as.Number < 1 {
		return nil, nil
	}
	page, _, err := k.kind().List(ctx, ofProvider(poolID, provider), "", as.Number)
	if err != nil {
		return nil, fmt.Errorf("list kept assertions: %w", err)
	}
	now := k.Now()
	var out []Kept
	for _, e := range page {
		if now.Before(e.Value.At.Add(as.For)) {
			out = append(out, e.Value.Kept)
		}
	}
	return out, nil
}

// Settle brings what is kept of a provider in line with its configuration: what is too many goes, what is to be redacted is, and what is to be
// kept for less time is. It may be repeated.
func (k *Keeper) Settle(ctx context.Context, ip pool.IdentityProvider) error {
	as := ip.KeepsAssertions()
	docs, err := k.docs(ctx, ofProvider(ip.PoolID, ip.Name))
	if err != nil {
		return fmt.Errorf("settle kept assertions: %w", err)
	}
	for _, doc := range docs[min(len(docs), as.Number):] {
		if err := k.kind().Delete(ctx, doc.Key); err != nil {
			return fmt.Errorf("settle kept assertions: %w", err)
		}
	}
	// Where there are to be more or fewer than before, slots are others: all of them are empty before the first is taken.
	var moving []document
	for _, doc := range docs[:min(len(docs), as.Number)] {
		d, moves, err := k.settle(ctx, doc, as)
		if err != nil {
			return fmt.Errorf("settle kept assertions: %w", err)
		}
		if moves {
			moving = append(moving, d)
		}
	}
	for _, d := range moving {
		if _, err := k.kind().Put(ctx, &d, 0); err != nil && !errors.Is(err, store.ErrConflict) { // a newer one has the place
			return fmt.Errorf("settle kept assertions: %w", err)
		}
	}
	return nil
}

// settle brings one in line, in its slot. One that has to have another slot is taken away and returned. Who puts another one in its place meanwhile looks at
// the configuration after that: see Keep.
func (k *Keeper) settle(ctx context.Context, doc store.Doc, as pool.Keeping) (d document, moves bool, err error) {
	e, err := k.kind().Get(ctx, doc.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return d, false, nil
	case errors.Is(err, store.ErrUnavailable), ctx.Err() != nil:
		return d, false, err
	}
	if err != nil || !k.Now().Before(e.Value.At.Add(as.For)) {
		return d, false, k.kind().Delete(ctx, doc.Key) // it cannot be opened, or has ended
	}
	d = e.Value
	before := d.Kept
	d.For, d.slot = as.For, d.Number%uint64(as.Number) //nolint:gosec // it is positive
	d.redact(as.Redact)
	if d.keys().Key != doc.Key {
		return d, true, k.kind().Delete(ctx, doc.Key)
	}
	if before.For == d.For && before.Marks == d.Marks && slices.Equal(before.Redacted, d.Redacted) {
		return d, false, nil
	}
	// Not Replace: what a newer release wrote and this one does not know might hold what is to be redacted.
	if _, err = k.kind().Put(ctx, &d, e.Version); errors.Is(err, store.ErrConflict) {
		err = nil
	}
	return d, false, err
}

// docs are those under an index, unopened: what cannot be opened any more has to go as well.
func (k *Keeper) docs(ctx context.Context, index string) ([]store.Doc, error) {
	var out []store.Doc
	for after := ""; ; {
		page, err := k.Engine.List(ctx, kindName, index, after, 200)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			d.Body = nil
			out = append(out, d)
		}
		if len(page) < 200 {
			return out, nil
		}
		after = store.Cursor(page[len(page)-1], index)
	}
}

func (k *Keeper) remove(ctx context.Context, what, index string) error {
	docs, err := k.docs(ctx, index)
	for _, d := range docs {
		if err == nil {
			err = k.kind().Delete(ctx, d.Key)
		}
	}
	if err != nil {
		return fmt.Errorf("delete a %s's kept assertions: %w", what, err)
	}
	return nil
}

// DeletePool removes what is kept in a pool that is being deleted.
func (k *Keeper) DeletePool(ctx context.Context, poolID string) error {
	return k.remove(ctx, "pool", ofPool(poolID))
}

// DeleteUser removes what is kept of a user: what signed them in, and what their identities brought.
func (k *Keeper) DeleteUser(ctx context.Context, u pool.User) error {
	if err := k.remove(ctx, "user", userIndex(u.PoolID, u.Sub)); err != nil {
		return err
	}
	for _, id := range u.Identities {
		if err := k.DeleteIdentity(ctx, u.PoolID, id.Provider, id.Subject); err != nil {
			return err
		}
	}
	return nil
}

// DeleteIdentity removes what an identity brought, whether or not there is a user.
func (k *Keeper) DeleteIdentity(ctx context.Context, poolID, provider, subject string) error {
	index := identityIndex(poolID, provider, subject)
	if strings.IndexByte(index, 0) >= 0 {
		return nil // no such provider
	}
	return k.remove(ctx, "person", index)
}
