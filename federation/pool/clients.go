package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weir-id/weir/federation/secret"
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

// ClientOf returns the client of a pool, past the cache. Errors: fault.NotFound, for the pool too.
func (d *Directory) ClientOf(ctx context.Context, poolID, id string) (Client, error) {
	e, err := d.clientOf(ctx, poolID, id)
	if errors.Is(err, store.ErrNotFound) {
		if _, gone := d.storedPool(ctx, poolID); gone != nil {
			return Client{}, gone
		}
	}
	return e.Value, err
}

// ClientPage returns a page of up to limit (1 to 1,000) clients of a pool in the order of their ids, and the cursor of the next page, ""
// at the end. Errors: fault.NotFound for the pool, fault.Invalid for a cursor of something else.
func (d *Directory) ClientPage(ctx context.Context, poolID, after string, limit int) ([]Client, string, error) {
	return pageOf(ctx, d, d.clients(), poolID, "app clients", after, limit)
}

// pageOf is a page of a kind in one pool, behind a cursor that is sealed to both.
func pageOf[T any](ctx context.Context, d *Directory, k *store.Kind[T], poolID, what, after string, limit int) ([]T, string, error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	if _, err := d.storedPool(ctx, poolID); err != nil {
		return nil, "", err
	}
	of := what + " of " + poolID
	cursor, err := d.openCursor(after, of)
	if err != nil {
		return nil, "", err
	}
	page, next, err := k.List(ctx, indexPrefix("pool", poolID, ""), cursor, limit)
	if err != nil {
		return nil, "", storeFault("list "+what, err, noPool)
	}
	return values(page), d.sealCursor(next, of), nil
}

// CreateClientFrom stores the new client that a spec describes, and returns it as stored: the rules are those of Apply. Its ClientName need not be
// its own. Errors: fault.Invalid with every problem, fault.NotFound for the pool, fault.Conflict where the id is taken.
func (d *Directory) CreateClientFrom(ctx context.Context, poolID string, s ClientSpec) (Client, error) {
	c, _, ps := desiredClient(s, Client{}, poolID)
	return d.newClient(ctx, c, ps)
}

// newClient stores a new client. found is what is wrong with it already.
func (d *Directory) newClient(ctx context.Context, c Client, found Problems) (Client, error) {
	if err := d.checkClient(ctx, c, found); err != nil {
		return Client{}, err
	}
	if err := d.checkScopes(ctx, c, Client{}); err != nil {
		return Client{}, err
	}
	return c, d.putClient(ctx, &c, store.Entry[Client]{})
}

// UpdateClientFrom replaces a client with what a spec describes, in one compare-and-swap: what the spec leaves out becomes the default, and
// the secrets stay. Errors: fault.Invalid with every problem, fault.NotFound, fault.Conflict where another writer came first.
func (d *Directory) UpdateClientFrom(ctx context.Context, poolID, id string, s ClientSpec) (Client, error) {
	old, err := d.clientOf(ctx, poolID, id)
	if err != nil {
		return Client{}, err
	}
	s.ClientID, s.ClientSecret, s.AdditionalClientSecret, s.GenerateSecret = id, secret.Text{}, secret.Text{}, false
	c, _, ps := desiredClient(s, old.Value, poolID)
	return d.replaceClient(ctx, c, old, ps)
}

// CreateClient stores a new client and returns it as stored. Without an ID it gets one; zero lifetimes become
// the defaults. A client without Secrets is public: see GenerateClientSecret.
// Errors: fault.Invalid with every problem, fault.NotFound for the pool, fault.Conflict where the id is taken.
func (d *Directory) CreateClient(ctx context.Context, c Client) (Client, error) {
	if c.ID == "" {
		c.ID = GenerateClientID()
	}
	return d.newClient(ctx, c.withDefaults(), nil)
}

// UpdateClient replaces the client of c.PoolID and c.ID, but for its secrets and the time of its creation; a client that would not
// change is not written. Errors: fault.Invalid with every problem, fault.NotFound, fault.Conflict where another writer came first.
func (d *Directory) UpdateClient(ctx context.Context, c Client) (Client, error) {
	old, err := d.clientOf(ctx, c.PoolID, c.ID)
	if err != nil {
		return Client{}, err
	}
	c.Secrets = slices.Clone(old.Value.Secrets)
	return d.replaceClient(ctx, c.withDefaults(), old, nil)
}

// replaceClient puts c in the place of old, unless they are the same. found is what is wrong with c already.
func (d *Directory) replaceClient(ctx context.Context, c Client, old store.Entry[Client], found Problems) (Client, error) {
	if err := d.checkClient(ctx, c, found); err != nil {
		return Client{}, err
	}
	if err := d.checkScopes(ctx, c, old.Value); err != nil {
		return Client{}, err
	}
	c.Created, c.Modified = old.Value.Created, old.Value.Modified
	if len(diff(clientFields(old.Value), clientFields(c))) == 0 {
		return c, nil
	}
	return c, d.putClient(ctx, &c, old)
}

// DeleteClient removes a client of a pool. Errors: fault.NotFound.
func (d *Directory) DeleteClient(ctx context.Context, poolID, id string) error {
	if _, err := d.clientOf(ctx, poolID, id); err != nil {
		return err
	}
	// Before, so that a deletion that ends here can be repeated; and after, for a look that was set meanwhile.
	err := d.looks().Delete(ctx, lookKey(poolID, id))
	if err == nil {
		_, err = d.clients().Take(ctx, id)
	}
	if err == nil {
		err = d.looks().Delete(ctx, lookKey(poolID, id))
	}
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

// checkClient returns what is wrong with a client, found included.
func (d *Directory) checkClient(ctx context.Context, c Client, found Problems) error {
	p, err := d.storedPool(ctx, c.PoolID)
	if err != nil {
		return err
	}
	existing, err := list(ctx, d.providers(), c.PoolID, "list identity providers")
	if err != nil {
		return err
	}
	return append(found, ValidateClient(c, p.Value, providerNames(existing))...).fault()
}

func (d *Directory) putClient(ctx context.Context, c *Client, old store.Entry[Client]) error {
	c.Modified = d.now()
	if old.Version == 0 {
		c.Created = c.Modified
	}
	c.named(c.Modified)
	_, err := d.clients().Replace(ctx, old, c)
	d.changed()
	operation := fmt.Sprintf("put app client %q", c.ID)
	if errors.Is(err, store.ErrConflict) && old.Version == 0 {
		return taken("An app client of this id exists already.", operation, err)
	}
	if err != nil || old.Version != 0 {
		return storeFault(operation, err, noClient)
	}
	return d.created(ctx, c.PoolID, func(ctx context.Context) error { return d.clients().Delete(ctx, c.ID) })
}
