package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// Newer is an engine whose documents a newer release has written: each has a member more than this release knows. Whatever is read, changed and
// written back has to keep it; Dropped says of what it was lost (docs/decisions/0034-unknown-members.md).
type Newer struct {
	store.Engine
	Ring *secret.Ring // that the sealed kinds are sealed under

	mu      sync.Mutex
	dropped []string
}

// later is the member.
var later = []byte(`"member of a later release":{"since":[1,2]}`)

// Put adds the member, and notes where it was there before and is not any more.
func (n *Newer) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	plain, sealed, err := n.open(kind, d)
	if err != nil {
		return 0, err
	}
	lost := false
	if !bytes.Contains(plain, later) {
		if lost, err = n.had(ctx, kind, d); err != nil {
			return 0, err
		}
		end := bytes.LastIndex(plain, []byte("}}"))
		if end < 0 {
			return 0, fmt.Errorf("%w: a body that is no object", store.ErrInvalid)
		}
		d.Body = slices.Concat(plain[:end], []byte(","), later, plain[end:])
		if sealed {
			d.Body = n.Ring.Seal(d.Body, about(kind, d.Key))
		}
	}
	version, err := n.Engine.Put(ctx, kind, d)
	if err == nil && lost {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.dropped = append(n.dropped, kind)
	}
	return version, err
}

// had reports whether the document that d replaces has the member.
func (n *Newer) had(ctx context.Context, kind string, d store.Doc) (bool, error) {
	if d.Version == 0 {
		return false, nil
	}
	old, err := n.Engine.Get(ctx, kind, d.Key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	plain, _, err := n.open(kind, old)
	return err == nil && bytes.Contains(plain, later), err
}

// open returns the JSON of a body, and whether it was sealed.
func (n *Newer) open(kind string, d store.Doc) (plain []byte, sealed bool, err error) {
	if bytes.HasPrefix(d.Body, []byte(`{"v":`)) {
		return d.Body, false, nil
	}
	plain, err = n.Ring.Open(d.Body, about(kind, d.Key))
	return plain, true, err
}

// about is what package store binds a sealed body to.
func about(kind, key string) string { return "store\x00" + kind + "\x00" + key }

// Dropped returns the kinds of the documents that lost the member, once each, and forgets them.
func (n *Newer) Dropped() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(n.dropped)
	out := slices.Compact(n.dropped)
	n.dropped = nil
	return out
}
