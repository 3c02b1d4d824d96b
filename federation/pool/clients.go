package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/store"
)

// Client returns the client of that id, which is unique among all pools. Errors: fault.NotFound.
func (d *Directory) Client(ctx context.Context, id string) (Client, error) {
	if !clientIDPattern.MatchString(id) {
		return Client{}, absent("app client: malformed id", noClient)
	}
	c, err := d.clientCache.get(d.Now(), d.age(), id, func() (Client, error) {
		e, err := d.clients().Get(ctx, id)
		return e.Value, err
	})
	if err != nil {
		return Client{}, storeFault(fmt.Sprintf("app client %q", id), err, noClient)
	}
	return cloneClient(c), nil
}

// Clients returns every client of a pool in the order of their ids, from the store.
func (d *Directory) Clients(ctx context.Context, poolID string) ([]Client, error) {
	return list(ctx, d.clients(), poolID, "list app clients")
}

// list returns everything of a kind in one pool.
func list[T any](ctx context.Context, k *store.Kind[T], poolID, operation string) ([]T, error) {
	if !validPoolID(poolID) {
		return nil, absent(operation+": malformed user pool id", noPool)
	}
	var out []T
	err := k.All(ctx, indexPrefix("pool", poolID, ""), func(e store.Entry[T]) error {
		out = append(out, e.Value)
		return nil
	})
	return out, storeFault(operation, err, noPool)
}

// CreateClient stores a new client and returns it as stored. Without an ID it gets one; zero lifetimes become
// the defaults. A client without a Secret is public: see GenerateClientSecret.
// Errors: fault.Invalid with every problem, fault.NotFound for the pool, fault.Conflict where the id is taken.
func (d *Directory) CreateClient(ctx context.Context, c Client) (Client, error) {
	if c.ID == "" {
		c.ID = GenerateClientID()
	}
	c = c.withDefaults()
	if err := d.checkClient(ctx, c); err != nil {
		return Client{}, err
	}
	return c, d.putClient(ctx, &c, 0)
}

// UpdateClient replaces the client of c.PoolID and c.ID, but for the time of its creation; a client that would not
// change is not written. Errors: fault.Invalid with every problem, fault.NotFound, fault.Conflict where another writer came first.
func (d *Directory) UpdateClient(ctx context.Context, c Client) (Client, error) {
	old, err := d.clientOf(ctx, c.PoolID, c.ID)
	if err != nil {
		return Client{}, err
	}
	c = c.withDefaults()
	if err := d.checkClient(ctx, c); err != nil {
		return Client{}, err
	}
	c.Created, c.Modified = old.Value.Created, old.Value.Modified
	if len(diff(clientFields(old.Value), clientFields(c))) == 0 {
		return c, nil
	}
	return c, d.putClient(ctx, &c, old.Version)
}

// DeleteClient removes a client of a pool. Errors: fault.NotFound.
func (d *Directory) DeleteClient(ctx context.Context, poolID, id string) error {
	if _, err := d.clientOf(ctx, poolID, id); err != nil {
		return err
	}
	err := d.clients().Delete(ctx, id)
	d.changed()
	return storeFault(fmt.Sprintf("delete app client %q", id), err, noClient)
}

// clientOf reads a client from the store if it belongs to the pool.
func (d *Directory) clientOf(ctx context.Context, poolID, id string) (store.Entry[Client], error) {
	if !clientIDPattern.MatchString(id) {
		return store.Entry[Client]{}, absent("app client: malformed id", noClient)
	}
	e, err := d.clients().Get(ctx, id)
	if err == nil && e.Value.PoolID != poolID {
		return store.Entry[Client]{}, absent(fmt.Sprintf("app client %q of user pool %q", id, poolID), noClient)
	}
	return e, storeFault(fmt.Sprintf("app client %q", id), err, noClient)
}

func (d *Directory) checkClient(ctx context.Context, c Client) error {
	p, err := d.storedPool(ctx, c.PoolID)
	if err != nil {
		return err
	}
	existing, err := list(ctx, d.providers(), c.PoolID, "list identity providers")
	if err != nil {
		return err
	}
	return Problems(ValidateClient(c, p.Value, providerNames(existing))).fault()
}

func (d *Directory) putClient(ctx context.Context, c *Client, version uint64) error {
	c.Modified = d.now()
	if version == 0 {
		c.Created = c.Modified
	}
	_, err := d.clients().Put(ctx, c, version)
	d.changed()
	operation := fmt.Sprintf("put app client %q", c.ID)
	if errors.Is(err, store.ErrConflict) && version == 0 {
		return taken("An app client of this id exists already.", operation, err)
	}
	if err != nil || version != 0 {
		return storeFault(operation, err, noClient)
	}
	return d.created(ctx, c.PoolID, func(ctx context.Context) error { return d.clients().Delete(ctx, c.ID) })
}
