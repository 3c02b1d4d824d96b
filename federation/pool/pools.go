package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
		e, err := d.livePool(ctx, id)
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
		if err == nil && e.Value.gone() {
			err = store.ErrNotFound
		}
		return ready(e.Value), err
	})
	if err != nil {
		return Pool{}, storeFault(fmt.Sprintf("user pool of domain %q", domain), err, noPool)
	}
	return clonePool(p), nil
}

// Pools returns a page of up to limit (1 to 1,000) pools in the order of their ids, and the cursor
// of the next page, "" at the end. A page may be shorter than limit before the end.
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
	pools := slices.DeleteFunc(values(page), Pool.gone)
	for i := range pools {
		pools[i] = ready(pools[i])
	}
	return pools, d.sealCursor(next, of), nil
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
	p.Domain, p.CustomDomain = domainKey(p.Domain), domainKey(p.CustomDomain)
	p.Deleting = time.Time{} // only a deletion sets it
	p.Settings = p.Settings.withDefaults()
	p.Domains = p.ownDomains()
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
	return p, d.putPool(ctx, &p, store.Entry[Pool]{})
}

// UpdatePool replaces the pool of p.ID, but for the time of its creation; a pool that would not change is not
// written. Custom attributes can be added, never removed or given another type. Errors: fault.Invalid with
// every problem, fault.NotFound, fault.Conflict where the domain is taken or another writer came first.
func (d *Directory) UpdatePool(ctx context.Context, p Pool) (Pool, error) {
	old, err := d.storedPool(ctx, p.ID)
	if err != nil {
		return Pool{}, err
	}
	p, err = d.replacing(old.Value, p)
	if errors.Is(err, store.ErrUnchanged) {
		return p, nil
	}
	if err != nil {
		return Pool{}, err
	}
	return p, d.putPool(ctx, &p, old)
}

// ChangePool reads a pool, lets change alter it, and writes it back in one step, again from the start when another writer came
// between; change may be called several times. What it does not alter stays, whoever else writes. A pool that would not change is not written.
// Errors: as UpdatePool, and what change returns.
func (d *Directory) ChangePool(ctx context.Context, id string, change func(*Pool) error) (Pool, error) {
	if !validPoolID(id) {
		return Pool{}, absent("user pool: malformed id", noPool)
	}
	operation := fmt.Sprintf("change user pool %q", id)
	var refused error
	e, err := d.pools().Update(ctx, id, func(p *Pool) error {
		before := clonePool(*p)
		if p.gone() {
			refused = absent(operation, noPool)
			return refused
		}
		if refused = change(p); refused != nil {
			return refused
		}
		p.ID = before.ID
		next, err := d.replacing(before, *p)
		if err != nil && !errors.Is(err, store.ErrUnchanged) {
			refused = err
			return err
		}
		if next.Modified = before.Modified; err == nil {
			next.Modified = d.now()
		}
		*p = next
		return err
	})
	d.changed()
	if refused != nil {
		return Pool{}, refused
	}
	return e.Value, poolFault(operation, err, false)
}

// replacing returns p as it takes the place of old. Errors: fault.Invalid with every problem; store.ErrUnchanged, with the pool, where nothing changes.
func (d *Directory) replacing(old, p Pool) (Pool, error) {
	p = d.withDefaults(p)
	ps := Problems(ValidatePool(p))
	ps = append(ps, poolChange(old, p)...)
	if err := ps.fault(); err != nil {
		return Pool{}, err
	}
	p.Created, p.Modified = old.Created, old.Modified
	if len(diff(poolFields(ready(old)), poolFields(p))) == 0 {
		return p, store.ErrUnchanged
	}
	return p, nil
}

// poolChange checks that a pool may take the place of another. How people are named is for ever: what they sign in with would become
// somebody else's otherwise.
func poolChange(old, p Pool) Problems {
	ps := schemaChange(old.Schema, p.Schema)
	for path, lists := range map[string][2][]string{
		"AliasAttributes":    {old.AliasAttributes, p.AliasAttributes},
		"UsernameAttributes": {old.UsernameAttributes, p.UsernameAttributes},
	} {
		a, b := slices.Sorted(slices.Values(lists[0])), slices.Sorted(slices.Values(lists[1]))
		if !slices.Equal(a, b) {
			ps.add(path, "cannot be changed once the user pool exists")
		}
	}
	return ps
}

func (d *Directory) putPool(ctx context.Context, p *Pool, old store.Entry[Pool]) error {
	p.Modified = d.now()
	if old.Version == 0 {
		p.Created = p.Modified
	}
	_, err := d.pools().Replace(ctx, old, p)
	d.changed()
	return poolFault(fmt.Sprintf("put user pool %q", p.ID), err, old.Version == 0)
}

// poolFault is storeFault for a write of a pool.
func poolFault(operation string, err error, creating bool) error {
	switch {
	case errors.Is(err, store.ErrTaken):
		return taken("Domain already associated with another user pool.", operation, err)
	case errors.Is(err, store.ErrConflict) && creating:
		return taken("A user pool of this id exists already, or is being deleted.", operation, err)
	}
	return storeFault(operation, err, noPool)
}

// storedPool reads a pool past the cache.
func (d *Directory) storedPool(ctx context.Context, id string) (store.Entry[Pool], error) {
	if !validPoolID(id) {
		return store.Entry[Pool]{}, absent("user pool: malformed id", noPool)
	}
	e, err := d.livePool(ctx, id)
	return e, storeFault(fmt.Sprintf("user pool %q", id), err, noPool)
}

// livePool reads a pool that is not being deleted.
func (d *Directory) livePool(ctx context.Context, id string) (store.Entry[Pool], error) {
	e, err := d.pools().Get(ctx, id)
	if err == nil && e.Value.gone() {
		return store.Entry[Pool]{}, store.ErrNotFound
	}
	e.Value = ready(e.Value)
	return e, err
}

// ready fills in what a pool's document does not have because it is older than the settings are.
func ready(p Pool) Pool {
	p.Settings = p.Settings.withDefaults()
	return p
}
