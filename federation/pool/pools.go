package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// DefaultRegion is the label of generated pool ids where the config names none.
const DefaultRegion = "local"

// Pool returns the pool of that id. Errors: fault.NotFound.
func (d *Directory) Pool(ctx context.Context, id string) (Pool, error) {
	if !validPoolID(id) {
		return Pool{}, absent("user pool: malformed id", noPool)
	}
	p, err := d.poolCache.get(d.Now(), d.age(), "id:"+id, func() (Pool, error) {
		e, err := d.pools().Get(ctx, id)
		return e.Value, err
	})
	if err != nil {
		return Pool{}, storeFault(fmt.Sprintf("user pool %q", id), err, noPool)
	}
	return clonePool(p), nil
}

// PoolByDomain returns the pool of a domain prefix or a full custom domain, in any case.
// Errors: fault.NotFound.
func (d *Directory) PoolByDomain(ctx context.Context, domain string) (Pool, error) {
	domain = domainKey(domain)
	if domain == "" || checkDomain(domain) != "" {
		return Pool{}, absent("user pool: malformed domain", noPool)
	}
	p, err := d.poolCache.get(d.Now(), d.age(), "domain:"+domain, func() (Pool, error) {
		e, err := d.pools().GetBy(ctx, domain)
		return e.Value, err
	})
	if err != nil {
		return Pool{}, storeFault(fmt.Sprintf("user pool of domain %q", domain), err, noPool)
	}
	return clonePool(p), nil
}

// Pools returns a page of up to limit (1 to 1,000) pools in the order of their ids, and the cursor
// of the next page, "" at the end.
func (d *Directory) Pools(ctx context.Context, after string, limit int) ([]Pool, string, error) {
	const of = "pools"
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	after, err := d.openCursor(after, of)
	if err != nil {
		return nil, "", err
	}
	page, next, err := d.pools().List(ctx, "", after, limit)
	if err != nil {
		return nil, "", storeFault("list user pools", err, noPool)
	}
	return values(page), d.sealCursor(next, of), nil
}

func values[T any](page []store.Entry[T]) []T {
	out := make([]T, len(page))
	for i, e := range page {
		out[i] = e.Value
	}
	return out
}

// withDefaults fills in what a pool may leave out, the id included.
func (d *Directory) withDefaults(p Pool) Pool {
	if p.ID == "" {
		p.ID = GeneratePoolID(cmp.Or(d.Region, DefaultRegion))
	}
	if p.Schema == nil {
		p.Schema = StandardSchema()
	}
	p.SigningAlgorithm = cmp.Or(p.SigningAlgorithm, Algorithms()[0])
	p.Domain = strings.ToLower(p.Domain)
	return p
}

// CreatePool stores a new pool and returns it as stored. Without an ID it gets one, without a Schema the
// standard one, without a SigningAlgorithm RS256. Errors: fault.Invalid with every
// problem, fault.Conflict where the id or the domain is taken.
func (d *Directory) CreatePool(ctx context.Context, p Pool) (Pool, error) {
	p = d.withDefaults(p)
	if err := Problems(ValidatePool(p)).fault(); err != nil {
		return Pool{}, err
	}
	return p, d.putPool(ctx, &p, 0)
}

// UpdatePool replaces the pool of p.ID, but for the time of its creation; a pool that would not change is not
// written. Custom attributes can be added, never removed or given another type. Errors: fault.Invalid with
// every problem, fault.NotFound, fault.Conflict where the domain is taken or another writer came first.
func (d *Directory) UpdatePool(ctx context.Context, p Pool) (Pool, error) {
	old, err := d.storedPool(ctx, p.ID)
	if err != nil {
		return Pool{}, err
	}
	p = d.withDefaults(p)
	ps := Problems(ValidatePool(p))
	ps = append(ps, schemaChange(old.Value.Schema, p.Schema)...)
	if err := ps.fault(); err != nil {
		return Pool{}, err
	}
	p.Created, p.Modified = old.Value.Created, old.Value.Modified
	if len(diff(poolFields(old.Value), poolFields(p))) == 0 {
		return p, nil
	}
	return p, d.putPool(ctx, &p, old.Version)
}

func (d *Directory) putPool(ctx context.Context, p *Pool, version uint64) error {
	p.Modified = d.now()
	if version == 0 {
		p.Created = p.Modified
	}
	_, err := d.pools().Put(ctx, p, version)
	d.changed()
	operation := fmt.Sprintf("put user pool %q", p.ID)
	switch {
	case errors.Is(err, store.ErrTaken):
		return fault.New(fault.Conflict, "The domain belongs to another user pool.", fmt.Errorf("%s: %w", operation, err))
	case errors.Is(err, store.ErrConflict) && version == 0:
		return fault.New(fault.Conflict, "A user pool of this id exists already.", fmt.Errorf("%s: %w", operation, err))
	}
	return storeFault(operation, err, noPool)
}

// DeletePool removes a pool with its clients, providers, groups and users, and nothing of what other packages keep. The
// pool itself goes last, so that an interrupted deletion can be repeated; clients go
// first, so that nobody begins a sign-in meanwhile. Errors: fault.NotFound.
func (d *Directory) DeletePool(ctx context.Context, id string) error {
	if _, err := d.storedPool(ctx, id); err != nil {
		return err
	}
	defer d.changed()
	err := deleteAll(ctx, d.clients(), indexPrefix("pool", id, ""))
	if err == nil {
		err = deleteAll(ctx, d.providers(), indexPrefix("pool", id, ""))
	}
	if err == nil {
		err = deleteAll(ctx, d.groups(), indexPrefix("pool", id, ""))
	}
	if err == nil {
		err = deleteAll(ctx, d.temporaries(), indexPrefix("pool", id, ""))
	}
	if err == nil {
		err = deleteAll(ctx, d.users(), indexPrefix(defaultIndex, id, ""))
	}
	if err == nil {
		err = d.pools().Delete(ctx, id)
	}
	return storeFault(fmt.Sprintf("delete user pool %q", id), err, noPool)
}

// storedPool reads a pool past the cache.
func (d *Directory) storedPool(ctx context.Context, id string) (store.Entry[Pool], error) {
	if !validPoolID(id) {
		return store.Entry[Pool]{}, absent("user pool: malformed id", noPool)
	}
	e, err := d.pools().Get(ctx, id)
	return e, storeFault(fmt.Sprintf("user pool %q", id), err, noPool)
}

func deleteAll[T any](ctx context.Context, k *store.Kind[T], index string) error {
	return k.All(ctx, index, func(e store.Entry[T]) error {
		return k.Delete(ctx, k.KeysOf(&e.Value).Key)
	})
}
