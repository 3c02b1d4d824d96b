package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// Engines have no transactions, and yet nothing may be in a pool that does not exist. So a deletion marks the pool first, and whoever
// creates something in a pool looks at it once more after the write, see created. Of the two one comes first: either the
// deletion finds the new document, or its creator finds the mark (docs/decisions/0027-pools-without-orphans.md).

// The reasons of a fault.Conflict, for errors.Is.
var (
	// ErrTaken: the id, the name, the identifier or the domain is somebody else's.
	ErrTaken = errors.New("taken")
	// ErrConcurrent: another writer came first; the same call may succeed if it is made again.
	ErrConcurrent = errors.New("another writer came first")
)

// ErrUnfinished: the pool is gone for everybody, and some of what was in it is still stored: see DeletePool.
var ErrUnfinished = errors.New("the deletion is not finished")

// taken is the fault for a name that is somebody else's. err stays in the chain.
func taken(public, operation string, err error) error {
	return fault.New(fault.Conflict, public, fmt.Errorf("%s: %w: %w", operation, ErrTaken, err))
}

// gone reports whether the pool is being deleted: for readers it does not exist.
func (p Pool) gone() bool { return !p.Deleting.IsZero() }

// undoTime bounds the second look at a pool. It goes on when the caller has gone, because what it leaves behind has no pool otherwise.
const undoTime = 10 * time.Second

// created ends the creation of something in a pool. It is called after every write that created a document of a pool, and takes the
// document back with undo where the pool is gone or is being deleted, or cannot be read: then the caller's answer is an error, and
// what it reports must not be there. Errors: fault.NotFound for the pool.
func (d *Directory) created(ctx context.Context, poolID string, undo func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	_, err := d.storedPool(ctx, poolID)
	if err == nil {
		return nil
	}
	if back := undo(ctx); back != nil {
		err = errors.Join(err, fmt.Errorf("take back what was created in user pool %q: %w", poolID, back))
	}
	d.changed()
	return err
}

// DeletePool removes a pool with all that this package keeps in it, and then calls also, which removes what other packages keep for it.
//
// From the first write on the pool does not exist for readers, its domains are free, and nothing can be created in it. The pool's document goes
// last: a deletion that was cut short (ErrUnfinished) is finished by calling DeletePool again, or by FinishDeletions. Clients go first, so that nobody begins a sign-in meanwhile.
// Neither DeletionProtection nor a domain keeps it from being deleted, see DeleteProtected. Errors: fault.NotFound.
func (d *Directory) DeletePool(ctx context.Context, id string, also ...func(ctx context.Context, poolID string) error) error {
	return d.deletePool(ctx, id, func(*Pool) error { return nil }, also)
}

// DeleteProtected is DeletePool unless the pool is protected or has a domain, looked at in the step that begins the deletion.
// Errors: fault.NotFound, fault.Invalid.
func (d *Directory) DeleteProtected(ctx context.Context, id string, also ...func(ctx context.Context, poolID string) error) error {
	return d.deletePool(ctx, id, func(p *Pool) error {
		switch {
		case p.DeletionProtection:
			return fault.New(fault.Invalid, "The user pool cannot be deleted because deletion protection is activated. "+
				"Deletion protection must be inactivated first.", nil)
		case p.Domain != "" || p.CustomDomain != "":
			return fault.New(fault.Invalid, "User pool cannot be deleted. It has a domain configured that should be deleted first.", nil)
		}
		return nil
	}, also)
}

func (d *Directory) deletePool(ctx context.Context, id string, may func(*Pool) error, also []func(context.Context, string) error) error {
	if !validPoolID(id) {
		return absent("user pool: malformed id", noPool)
	}
	operation := fmt.Sprintf("delete user pool %q", id)
	var refused error
	e, err := d.pools().Update(ctx, id, func(p *Pool) error {
		if refused = nil; p.gone() {
			return store.ErrUnchanged // a deletion that was cut short, or that somebody else makes right now
		}
		if refused = may(p); refused != nil {
			return refused
		}
		p.Deleting = d.now()
		return nil
	})
	defer d.changed()
	if refused != nil {
		return refused
	}
	if err != nil {
		return storeFault(operation, err, noPool)
	}
	d.changed()
	if err := d.remove(ctx, e.Value, also); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfinished, storeFault(operation, err, noPool))
	}
	return nil
}

// remove removes everything that is kept for a pool that is marked, and then the pool. Two may do so at once, on two nodes, and one of them may
// come late: to a pool that another one has finished, and even to a new one of the same id, which is not its to empty. So it looks
// before each step whether the mark is still there, and the pool's document goes by compare-and-swap.
func (d *Directory) remove(ctx context.Context, p Pool, also []func(context.Context, string) error) error {
	for _, step := range append(d.parts(), also...) {
		if _, there, err := d.marked(ctx, p); err != nil || !there {
			return err
		}
		if err := step(ctx, p.ID); err != nil {
			return err
		}
	}
	e, there, err := d.marked(ctx, p)
	if err != nil || !there {
		return err
	}
	last := d.pools()
	last.KeysOf = func(p *Pool) store.Keys { // an expired document does not exist: for no node, whatever its clock says
		return store.Keys{Key: p.ID, Expires: d.now().Add(-time.Hour)}
	}
	if _, err = last.Put(ctx, &e.Value, e.Version); errors.Is(err, store.ErrConflict) {
		return nil // somebody else was faster: nothing but this is written to a marked pool
	}
	return err
}

// marked reads the pool that was marked with p; there is false where it is gone, or another one has its id.
func (d *Directory) marked(ctx context.Context, p Pool) (e store.Entry[Pool], there bool, err error) {
	e, err = d.pools().Get(ctx, p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return e, false, nil
	}
	return e, err == nil && e.Value.gone() && e.Value.Deleting.Equal(p.Deleting), err
}

// parts removes everything in a pool, one kind after the other.
func (d *Directory) parts() []func(ctx context.Context, poolID string) error {
	in := func(id string) string { return indexPrefix("pool", id, "") }
	return []func(context.Context, string) error{
		func(ctx context.Context, id string) error { return deleteAll(ctx, d.clients(), in(id)) },
		func(ctx context.Context, id string) error { return deleteAll(ctx, d.providers(), in(id)) },
		func(ctx context.Context, id string) error { return deleteAll(ctx, d.groups(), in(id)) },
		func(ctx context.Context, id string) error { return deleteAll(ctx, d.temporaries(), in(id)) },
		func(ctx context.Context, id string) error { return deleteAll(ctx, d.servers(), in(id)) },
		func(ctx context.Context, id string) error { return deleteAll(ctx, d.looks(), in(id)) },
		func(ctx context.Context, id string) error {
			return deleteAll(ctx, d.users(), indexPrefix(defaultIndex, id, ""))
		},
		func(ctx context.Context, id string) error {
			return deleteAll(ctx, d.users(), indexPrefix(mergedIndex, id, ""))
		},
	}
}

func deleteAll[T any](ctx context.Context, k *store.Kind[T], index string) error {
	return k.All(ctx, index, func(e store.Entry[T]) error {
		return k.Delete(ctx, k.KeysOf(&e.Value).Key)
	})
}

// deletingIndex lists the pools that are being deleted.
const deletingIndex = "deleting:"

// FinishDeletions finishes the deletions of pools that were cut short, and returns how many there were. also is as with DeletePool.
// Any number of nodes may do so at the same time. It begins no deletion: a pool that was finished and made anew since it was listed stays.
func (d *Directory) FinishDeletions(ctx context.Context, also ...func(ctx context.Context, poolID string) error) (int, error) {
	n := 0
	err := d.pools().All(ctx, deletingIndex, func(e store.Entry[Pool]) error {
		n++
		defer d.changed()
		return d.remove(ctx, e.Value, also)
	})
	return n, storeFault("finish deletions of user pools", err, noPool)
}
