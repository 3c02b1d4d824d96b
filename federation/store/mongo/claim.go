package mongo

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation/store"
)

// maxContests bounds how often a Put looks at a claim that is in its way; patience is over after some thirty looks.
const maxContests = 1000

// claimAll makes the claims that are wanted. Errors: ErrTaken, errAgain.
func (p *putting) claimAll(ctx context.Context) error {
	for rest := p.wanted; len(rest) > 0; {
		n, err := p.db.insertClaims(ctx, rest)
		if err != nil {
			return err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return nil
		}
		if p.contests++; p.contests > maxContests {
			return errBusy
		}
		if err := p.contest(ctx, rest[0].ID); err != nil && !errors.Is(err, errHeld) {
			return err
		}
	}
	return nil
}

// errHeld: the claim is another writer's still, who may be at work.
var errHeld = errors.New("held by a writer that may be at work")

// contest deals with a claim that is in the way: it belongs to a document (ErrTaken), or its writer is at work and is given time,
// or it means nothing any more and is deleted.
func (p *putting) contest(ctx context.Context, id string) error {
	c, err := p.db.readClaim(ctx, id)
	if err != nil {
		return err
	}
	if c == nil { // gone meanwhile, or not yet on a majority of the servers
		return p.hold(ctx, "")
	}
	h, err := p.db.head(ctx, c.Holder)
	if err != nil {
		return err
	}
	if c.Holder == p.id {
		return p.contestOwn(ctx, c, h)
	}
	// One look at the clock, which may be set back: a document that lists the claim is either live or removed, and never fenced.
	now := p.db.now().UnixMilli()
	switch {
	case h.live(now) && h.lists(c):
		return store.ErrTaken
	case h.isDocument() && !h.live(now):
		ok, err := p.db.remove(ctx, h.ID, h.Mark)
		if ok {
			p.db.free(ctx, h)
		}
		if ok && !h.lists(c) { // the removal was a fence
			err = p.db.deleteClaims(ctx, []string{c.ID}, []string{c.Nonce})
		}
		return err
	}
	mark := ""
	if h != nil {
		mark = h.Mark
	}
	if !p.watch.abandoned(c.ID + c.Nonce + mark) {
		return p.hold(ctx, p.watch.what)
	}
	return p.fence(ctx, c, h)
}

// contestOwn deals with a claim of the same document: left behind, or another writer's of this document. It has no business
// if the base is not what it was.
func (p *putting) contestOwn(ctx context.Context, c *claim, h *record) error {
	if !p.stands(h) {
		return errAgain
	}
	if !p.watch.abandoned(c.ID + c.Nonce + h.Mark) {
		return p.hold(ctx, p.watch.what)
	}
	fresh := nonce()
	ok, err := p.db.touch(ctx, p.id, p.base.Mark, fresh)
	if err != nil {
		return err
	}
	if !ok {
		return errAgain
	}
	p.base.Mark = fresh
	return p.db.deleteClaims(ctx, []string{c.ID}, []string{c.Nonce})
}

// fence deletes a claim that no record lists, after making sure by a write that the writer of the claim cannot come
// through any more. h is the record that the claim names, as it was read after the claim.
func (p *putting) fence(ctx context.Context, c *claim, h *record) error {
	seed := p.seed(c.Holder)
	var ok bool
	var err error
	switch {
	case h == nil:
		ok, err = p.db.insert(ctx, seed)
	case h.isDocument():
		ok, err = p.db.touch(ctx, h.ID, h.Mark, nonce())
	default:
		ok, err = p.db.remove(ctx, h.ID, h.Mark)
	}
	if !ok || err != nil {
		return err
	}
	err = p.db.deleteClaims(ctx, []string{c.ID}, []string{c.Nonce})
	if h == nil {
		p.db.after(ctx, func(ctx context.Context) {
			_, _ = p.db.remove(ctx, c.Holder, seed.Mark) // what stays is cleared away by Sweep
		})
	}
	return err
}

// hold waits while what stays as it is.
func (p *putting) hold(ctx context.Context, what string) error {
	p.watch.abandoned(what)
	if err := p.watch.wait(ctx); !errors.Is(err, errAgain) {
		return err
	}
	return errHeld
}
