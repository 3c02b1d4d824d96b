package samlsp

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weir-id/weir/federation/store"
)

const (
	copyKind = "saml_metadata"
	maxCopy  = 2 << 20 // bytes of a document, unpacked
)

// Copies keeps the last good metadata of each identity provider. It is safe for concurrent use.
type Copies struct {
	Engine store.Engine
}

// Copy is a metadata document that was good when it was fetched.
type Copy struct {
	PoolID, Provider string
	URL              string
	Body             []byte
	Fetched          time.Time
}

type storedCopy struct {
	PoolID   string    `json:"pool"`
	Provider string    `json:"provider"`
	URL      string    `json:"url"`
	Fetched  time.Time `json:"fetched"`
	Packed   []byte    `json:"deflated"` // documents of AD FS pack to a seventh
}

func (c *Copies) kind() *store.Kind[storedCopy] {
	return &store.Kind[storedCopy]{
		Engine: c.Engine, Name: copyKind,
		KeysOf: func(s *storedCopy) store.Keys {
			return store.Keys{Key: copyKey(s.PoolID, s.Provider), Index: []string{"pool:" + s.PoolID}}
		},
	}
}

func copyKey(poolID, provider string) string { return poolID + "/" + provider }

// Load returns the kept copy of a provider's metadata; found is false where there is none.
func (c *Copies) Load(ctx context.Context, poolID, provider string) (out Copy, found bool, err error) {
	e, err := c.kind().Get(ctx, copyKey(poolID, provider))
	if errors.Is(err, store.ErrNotFound) {
		return Copy{}, false, nil
	}
	if err != nil {
		return Copy{}, false, fmt.Errorf("read the metadata copy of %s: %w", provider, err)
	}
	v := e.Value
	body, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(v.Packed)), maxCopy+1))
	if err != nil || len(body) > maxCopy {
		return Copy{}, false, fmt.Errorf("read the metadata copy of %s: damaged: %w", provider, err)
	}
	return Copy{PoolID: v.PoolID, Provider: v.Provider, URL: v.URL, Body: body, Fetched: v.Fetched}, true, nil
}

// lateWrite is how much later than another node one may save what it fetched before. A copy from further in the future is of a clock that was wrong.
const lateWrite = time.Hour

// Save replaces the kept copy, unless another node has saved one that was fetched later. Of several that save at the same time any may win: each has
// a good document.
func (c *Copies) Save(ctx context.Context, in Copy) error {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(in.Body)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return fmt.Errorf("pack the metadata copy of %s: %w", in.Provider, err)
	}
	v := storedCopy{PoolID: in.PoolID, Provider: in.Provider, URL: in.URL, Fetched: in.Fetched, Packed: packed.Bytes()}
	version := uint64(0)
	if e, err := c.kind().Get(ctx, copyKey(in.PoolID, in.Provider)); err == nil {
		if version = e.Version; e.Value.URL == in.URL && e.Value.Fetched.After(in.Fetched) && e.Value.Fetched.Before(in.Fetched.Add(lateWrite)) {
			return nil
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("keep the metadata copy of %s: %w", in.Provider, err)
	}
	if _, err := c.kind().Put(ctx, &v, version); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("keep the metadata copy of %s: %w", in.Provider, err)
	}
	return nil
}

// Delete forgets the copy of a provider that was deleted.
func (c *Copies) Delete(ctx context.Context, poolID, provider string) error {
	if err := c.kind().Delete(ctx, copyKey(poolID, provider)); err != nil {
		return fmt.Errorf("forget the metadata copy of %s: %w", provider, err)
	}
	return nil
}

// DeletePool forgets the copies of all providers of a pool that is being deleted.
func (c *Copies) DeletePool(ctx context.Context, poolID string) error {
	err := c.kind().All(ctx, "pool:"+poolID, func(e store.Entry[storedCopy]) error {
		if e.Value.PoolID != poolID { // an id that begins in the same way
			return nil
		}
		return c.kind().Delete(ctx, copyKey(poolID, e.Value.Provider))
	})
	if err != nil {
		return fmt.Errorf("forget the metadata copies of pool %q: %w", poolID, err)
	}
	return nil
}
