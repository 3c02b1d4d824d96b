package metadata_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/saml/metadata"
)

// nodes are two sources of one document with one Keeper.
func nodes(body string) (a, b *rig) {
	a, b = newRig(body), newRig(body)
	b.remote, b.keeper = a.remote, a.keeper
	b.Source.Client, b.Source.Keeper = a.Source.Client, a.Source.Keeper
	return a, b
}

func TestNodesShareARenewal(t *testing.T) {
	before, after := document(t, "adfs"), document(t, "adfs-rollover")
	synctest.Test(t, func(t *testing.T) {
		a, b := nodes(before)
		a.keys(t)
		b.keys(t)
		wantFetches(t, a, 1, "of two nodes that start, the second has the first one's copy")
		a.remote.set(after, nil)
		pass(metadata.DefaultRefresh)
		if err := a.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.keys(t) // its own renewal is due, too
		wantFetches(t, a, 2, "the second node takes the copy over")
		for name, n := range map[string]int{"the node that fetched": a.keys(t), "the other one": b.keys(t)} {
			if n != 2 {
				t.Errorf("%s has %d keys", name, n)
			}
		}
		if len(a.reports) != 2 || len(b.reports) != 0 {
			t.Errorf("the change was reported by %d and %d", len(a.reports)-1, len(b.reports))
		}
		pass(metadata.DefaultRefresh - time.Minute)
		b.keys(t)
		wantFetches(t, a, 2, "the copy's age counts from when it was fetched")
	})
}

// What one node learned early, because a signature matched no known key, the others have at their next look.
func TestAdopt(t *testing.T) {
	before, after := document(t, "adfs"), document(t, "adfs-rollover")
	synctest.Test(t, func(t *testing.T) {
		a, b := nodes(before)
		if err := b.Adopt(t.Context()); err != nil || a.remote.count() != 0 {
			t.Errorf("before it was needed: %v, %d fetches", err, a.remote.count())
		}
		a.keys(t)
		b.keys(t)
		pass(time.Minute)
		a.remote.set(after, nil)
		if _, fresh, err := a.Refetch(t.Context()); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
		if n := b.keys(t); n != 1 {
			t.Errorf("%d keys before it looked", n)
		}
		if err := b.Adopt(t.Context()); err != nil || b.keys(t) != 2 {
			t.Errorf("%d keys, %v", b.keys(t), err)
		}
		wantFetches(t, a, 2, "one for both")

		b.keeper.err = errors.New("store is down")
		if err := b.Adopt(t.Context()); err == nil || b.keys(t) != 2 {
			t.Errorf("the store is down: %d keys, %v", b.keys(t), err)
		}
		b.keeper.err = nil
		b.keeper.copy = &metadata.Copy{URL: address, Body: []byte("<x"), Fetched: time.Now().Add(time.Second)}
		if err := b.Adopt(t.Context()); err == nil || b.keys(t) != 2 {
			t.Errorf("a damaged copy: %d keys, %v", b.keys(t), err)
		}
		pass(10 * time.Second)
		b.keeper.copy = &metadata.Copy{URL: address, Body: []byte(before), Fetched: time.Now().Add(-time.Second)}
		if err := b.Adopt(t.Context()); err != nil || b.keys(t) != 1 {
			t.Errorf("a later copy than its own: %d keys, %v", b.keys(t), err)
		}
		b.keeper.copy = &metadata.Copy{URL: address, Body: []byte(after), Fetched: time.Now().Add(-2 * time.Second)}
		if err := b.Adopt(t.Context()); err != nil || b.keys(t) != 1 {
			t.Errorf("an earlier copy than its own: %d keys, %v", b.keys(t), err)
		}
		// A clock that was wrong must not keep a document for ever.
		b.keeper.copy = &metadata.Copy{URL: address, Body: []byte(after), Fetched: time.Now().Add(1000 * time.Hour)}
		if err := b.Adopt(t.Context()); err != nil || b.keys(t) != 2 {
			t.Errorf("a copy from the future: %d keys, %v", b.keys(t), err)
		}
		b.keeper.copy = nil
		pass(metadata.DefaultRefresh)
		b.keys(t)
		wantFetches(t, b, 3, "after a copy from the future")
	})
}
