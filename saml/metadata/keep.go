package metadata

import (
	"context"

	"github.com/weir-id/weir/federation/samlsp"
)

// StoreKeeper is a Keeper of one provider's copy in the store.
type StoreKeeper struct {
	Copies           *samlsp.Copies
	PoolID, Provider string
}

// Load implements Keeper.
func (k StoreKeeper) Load(ctx context.Context) (Copy, bool, error) {
	c, found, err := k.Copies.Load(ctx, k.PoolID, k.Provider)
	return Copy{URL: c.URL, Body: c.Body, Fetched: c.Fetched}, found, err
}

// Save implements Keeper.
func (k StoreKeeper) Save(ctx context.Context, c Copy) error {
	return k.Copies.Save(ctx, samlsp.Copy{PoolID: k.PoolID, Provider: k.Provider, URL: c.URL, Body: c.Body, Fetched: c.Fetched})
}
