package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/store"
)

// Provider returns the provider of that exact name. Errors: fault.NotFound.
func (d *Directory) Provider(ctx context.Context, poolID, name string) (IdentityProvider, error) {
	if !validPoolID(poolID) || !characters(name, 1, maxProviderName) || !storable(name) {
		return IdentityProvider{}, absent("identity provider: malformed name", noProvider)
	}
	key := providerKey(poolID, name)
	p, err := d.providerCache.get(d.Now(), d.age(), "name:"+key, func() (IdentityProvider, error) {
		e, err := d.providers().Get(ctx, key)
		return e.Value, err
	})
	if err != nil {
		return IdentityProvider{}, storeFault(fmt.Sprintf("identity provider %q", key), err, noProvider)
	}
	return cloneProvider(p), nil
}

// Providers returns every provider of a pool in the order of their names.
func (d *Directory) Providers(ctx context.Context, poolID string) ([]IdentityProvider, error) {
	if !validPoolID(poolID) {
		return nil, absent("list identity providers: malformed user pool id", noPool)
	}
	all, err := d.listCache.get(d.Now(), d.age(), poolID, func() ([]IdentityProvider, error) {
		return list(ctx, d.providers(), poolID, "list identity providers")
	})
	if err != nil {
		return nil, err
	}
	out := make([]IdentityProvider, len(all))
	for i, p := range all {
		out[i] = cloneProvider(p)
	}
	return out, nil
}

// ProviderByIdentifier returns the provider that has the identifier, in any case: an e-mail domain or another name.
// Errors: fault.NotFound.
func (d *Directory) ProviderByIdentifier(ctx context.Context, poolID, identifier string) (IdentityProvider, error) {
	// An internationalized domain is longer in the ASCII form that the identifier has.
	if !validPoolID(poolID) || !characters(identifier, 1, maxDomain) || !storable(identifier) {
		return IdentityProvider{}, absent("identity provider: malformed identifier", noProvider)
	}
	key := providerIdentKey(poolID, identifier)
	p, err := d.providerCache.get(d.Now(), d.age(), key, func() (IdentityProvider, error) {
		e, err := d.providers().GetBy(ctx, key)
		if err == nil && !e.Value.hasIdentifier(identifier) { // it is a trusted domain, and leads nobody to the provider
			err = store.ErrNotFound
		}
		return e.Value, err
	})
	if err != nil {
		return IdentityProvider{}, storeFault(fmt.Sprintf("identity provider of identifier %q", key), err, noProvider)
	}
	return cloneProvider(p), nil
}

// CreateProvider stores a new provider and returns it as stored. Errors: fault.Invalid with every problem, fault.NotFound
// for the pool, fault.Conflict where the name or an identifier is taken, names that differ in case or width only included.
func (d *Directory) CreateProvider(ctx context.Context, ip IdentityProvider) (IdentityProvider, error) {
	if err := d.checkProvider(ctx, ip); err != nil {
		return IdentityProvider{}, err
	}
	if err := d.probe(ctx, ip, IdentityProvider{}); err != nil {
		return IdentityProvider{}, err
	}
	if err := d.proveSaved(ctx, ip, IdentityProvider{}); err != nil {
		return IdentityProvider{}, err
	}
	return ip, d.putProvider(ctx, &ip, store.Entry[IdentityProvider]{})
}

// UpdateProvider replaces the provider of ip.PoolID and ip.Name, but for its type and the time of its creation; a provider
// that would not change is not written. Users stay linked to it by name and subject: whoever
// points it at another issuer vouches that the subjects mean the same people.
// Errors: fault.Invalid with every problem, fault.NotFound, fault.Conflict where an
// identifier is taken or another writer came first.
func (d *Directory) UpdateProvider(ctx context.Context, ip IdentityProvider) (IdentityProvider, error) {
	key := providerKey(ip.PoolID, ip.Name)
	if len(key) > store.MaxKey || !storable(key) {
		return IdentityProvider{}, absent("identity provider: malformed name", noProvider)
	}
	old, err := d.providers().Get(ctx, key)
	if err != nil {
		return IdentityProvider{}, storeFault(fmt.Sprintf("update identity provider %q", key), err, noProvider)
	}
	return d.replaceProvider(ctx, ip, old)
}

// replaceProvider puts ip in the place of old, unless they are the same.
func (d *Directory) replaceProvider(ctx context.Context, ip IdentityProvider, old store.Entry[IdentityProvider]) (IdentityProvider, error) {
	if ip.Type != old.Value.Type {
		return IdentityProvider{}, typeChanged("ProviderType").fault()
	}
	if err := d.checkProvider(ctx, ip); err != nil {
		return IdentityProvider{}, err
	}
	if err := d.probe(ctx, ip, old.Value); err != nil {
		return IdentityProvider{}, err
	}
	if err := d.proveSaved(ctx, ip, old.Value); err != nil {
		return IdentityProvider{}, err
	}
	ip.Created, ip.Modified = old.Value.Created, old.Value.Modified
	if len(diff(providerFields(old.Value), providerFields(ip))) == 0 {
		return ip, nil
	}
	return ip, d.putProvider(ctx, &ip, old)
}

func typeChanged(path string) Problems {
	return Problems{{Path: path, Message: "the type of an existing identity provider cannot be changed"}}
}

// DeleteProvider removes a provider, and its name from the clients that list it. Its users stay, without a way to sign in. A deletion that was cut
// short is repeated by calling it again. Errors: fault.NotFound.
func (d *Directory) DeleteProvider(ctx context.Context, poolID, name string) error {
	if !validPoolID(poolID) || !characters(name, 1, maxProviderName) || !storable(name) {
		return absent("delete identity provider: malformed name", noProvider)
	}
	key := providerKey(poolID, name)
	operation := fmt.Sprintf("delete identity provider %q", key)
	if _, err := d.providers().Get(ctx, key); err != nil {
		return storeFault(operation, err, noProvider)
	}
	defer d.changed()
	if err := d.settleProvider(ctx, IdentityProvider{PoolID: poolID, Name: name}); err != nil {
		return storeFault(operation, err, noProvider)
	}
	// Before, so that a deletion that ends here can be repeated; and after, for a client that was written meanwhile.
	if err := d.delist(ctx, poolID, name); err != nil {
		return storeFault(operation, err, noProvider)
	}
	if _, err := d.providers().Take(ctx, key); err != nil { // of several callers one has deleted it
		return storeFault(operation, err, noProvider)
	}
	err := errors.Join(d.delist(ctx, poolID, name), d.settleProvider(ctx, IdentityProvider{PoolID: poolID, Name: name}))
	return storeFault(operation, err, noProvider)
}

func (d *Directory) settleProvider(ctx context.Context, ip IdentityProvider) error {
	if d.SettleProvider == nil {
		return nil
	}
	return d.SettleProvider(ctx, ip)
}

func (d *Directory) checkProvider(ctx context.Context, ip IdentityProvider) error {
	p, err := d.storedPool(ctx, ip.PoolID)
	if err != nil {
		return err
	}
	problems, _ := d.validateProvider(ip, p.Value)
	return problems.fault()
}

// validateProvider is ValidateProvider and the check of the details.
func (d *Directory) validateProvider(ip IdentityProvider, p Pool) (problems, warnings Problems) {
	problems, warnings = ValidateProvider(ip, p)
	if ip.LinkPolicy().Kind == LinkAsk && !d.AskPeople {
		problems = append(problems, Problem{Path: entry("ProviderDetails", detailLinkUsers), Message: "ask is not possible yet: nothing asks people in this release. Use none, and link users as an administrator"})
	}
	if d.CheckProvider != nil {
		problems = append(problems, d.CheckProvider(ip)...)
	}
	return problems, warnings
}

func (d *Directory) putProvider(ctx context.Context, ip *IdentityProvider, old store.Entry[IdentityProvider]) error {
	ip.Modified = d.now()
	if old.Version == 0 {
		ip.Created = ip.Modified
	}
	_, err := d.providers().Replace(ctx, old, ip)
	d.changed()
	operation := fmt.Sprintf("put identity provider %q", providerKey(ip.PoolID, ip.Name))
	switch {
	case errors.Is(err, store.ErrTaken):
		// Which of its names it is, the one who holds the provider's own can tell.
		if holder, look := d.providers().GetBy(ctx, providerNameKey(ip.PoolID, ip.Name)); look == nil && holder.Value.Name != ip.Name {
			return taken("Another identity provider of the user pool has this name, but for case.", operation, fmt.Errorf("%w: %w", ErrProviderExists, err))
		}
		if holder, look := d.providers().GetBy(ctx, providerLookKey(ip.PoolID, ip.Name)); look == nil && holder.Value.Name != ip.Name {
			return taken("The name can be taken for that of another identity provider of the user pool.", operation,
				fmt.Errorf("%w: %q looks like %q: %w", ErrLooksAlike, ip.Name, holder.Value.Name, err))
		}
		return taken("Another identity provider of the user pool has one of these identifiers or trusted domains.", operation, err)
	case errors.Is(err, store.ErrConflict) && old.Version == 0:
		return taken("An identity provider of this name exists already.", operation, fmt.Errorf("%w: %w", ErrProviderExists, err))
	case err != nil:
		return storeFault(operation, err, noProvider)
	case old.Version != 0:
		return storeFault(operation, d.settleProvider(ctx, *ip), noProvider)
	}
	return d.created(ctx, ip.PoolID, func(ctx context.Context) error {
		return d.providers().Delete(ctx, providerKey(ip.PoolID, ip.Name))
	})
}

func providerNames(all []IdentityProvider) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return names
}
