package pool

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// Directory reads and writes pools, clients, providers, users and groups in a store.
//
// Pools, clients, providers and the names of groups are read through a cache: what another process wrote is seen after
// CacheAge at the latest, what this one wrote at once. Users are never cached.
// The zero value needs Engine, Ring and Now. It is safe for concurrent use and must not be copied.
//
// Errors are *fault.Error; those of the store stay in the chain, so that errors.Is(err,
// store.ErrNotFound) holds for everything that does not exist. A refused input is a fault.Invalid
// whose cause is Problems.
type Directory struct {
	Engine store.Engine
	Ring   *secret.Ring // seals clients, providers and cursors
	Now    func() time.Time
	// Region stands in front of generated pool ids; "" is local.
	Region string
	// CacheAge is the greatest age of an answer from the cache: 0 is 5 s, a negative one turns the cache off.
	CacheAge time.Duration
	// CheckProvider, if set, checks the ProviderDetails of a provider; its paths begin at the provider.
	CheckProvider func(IdentityProvider) []Problem
	// ProbeProvider, if set, asks the provider itself, over the network, whether its details lead to what they say; its paths begin at the
	// provider, and its messages are fixed and tell nothing of what answered. CreateProvider, UpdateProvider and ChangeProvider call it
	// before they write. Plan and Apply do not: a file has to mean the same whether or not a provider is up.
	ProbeProvider func(context.Context, IdentityProvider) []Problem
	// SettleProvider, if set, brings what others keep of a provider in line with it: after each write of one that was there, and with no details at all
	// before and after it is deleted. It may be called again, and an error of it is that of the change, which is done then.
	SettleProvider func(context.Context, IdentityProvider) error

	// Resolver looks up the DNS records that prove trusted domains. Without one, nobody is linked by a domain that has to be proven.
	Resolver Resolver
	// AskPeople: whoever calls SignIn asks the person where that returns NeedsProof. Otherwise link_users: ask is refused, and counts as none.
	AskPeople bool

	proofs        cache[struct{}] // of trusted domains
	poolCache     cache[Pool]
	clientCache   cache[Client]
	providerCache cache[IdentityProvider]
	listCache     cache[[]IdentityProvider]
	groupCache    cache[GroupTable]
}

// The kinds. Their names and keys are the stored form.

func (d *Directory) pools() *store.Kind[Pool] {
	return &store.Kind[Pool]{Engine: d.Engine, Name: "pool", KeysOf: func(p *Pool) store.Keys {
		if p.gone() {
			return store.Keys{Key: p.ID, Index: []string{deletingIndex + p.ID}}
		}
		k := store.Keys{Key: p.ID, Index: []string{poolNameIndex(p.Name)}}
		for _, domain := range []string{p.Domain, p.CustomDomain} {
			if domain != "" {
				k.Unique = append(k.Unique, domainKey(domain))
			}
		}
		return k
	}}
}

func poolNameIndex(name string) string { return "name:" + cut(name) }

func (d *Directory) clients() *store.Kind[Client] {
	return &store.Kind[Client]{Engine: d.Engine, Ring: d.Ring, Name: "client", KeysOf: func(c *Client) store.Keys {
		return store.Keys{Key: c.ID, Index: []string{indexPrefix("pool", c.PoolID, "")}}
	}}
}

func (d *Directory) providers() *store.Kind[IdentityProvider] {
	return &store.Kind[IdentityProvider]{Engine: d.Engine, Ring: d.Ring, Name: "provider", KeysOf: func(p *IdentityProvider) store.Keys {
		unique := []string{providerNameKey(p.PoolID, p.Name), providerLookKey(p.PoolID, p.Name)}
		for _, s := range p.identifiers() {
			unique = append(unique, providerIdentKey(p.PoolID, s))
		}
		return store.Keys{
			Key: providerKey(p.PoolID, p.Name), Unique: unique, Index: []string{indexPrefix("pool", p.PoolID, "")},
		}
	}}
}

func (d *Directory) age() time.Duration { return cmp.Or(d.CacheAge, defaultCacheAge) }

// now is the time that documents carry: in UTC and in milliseconds, the precision of the API.
func (d *Directory) now() time.Time { return d.Now().UTC().Truncate(time.Millisecond) }

// changed forgets what the caches hold after a write of this process.
func (d *Directory) changed() {
	d.poolCache.clear()
	d.clientCache.clear()
	d.providerCache.clear()
	d.listCache.clear()
	d.groupCache.clear()
}

// cloned values keep callers from changing what the cache holds. The constraints of schema
// attributes and a pool's settings stay shared: nothing changes them in place.

func clonePool(p Pool) Pool {
	p.Schema = slices.Clone(p.Schema)
	p.UsernameAttributes, p.AliasAttributes = slices.Clone(p.UsernameAttributes), slices.Clone(p.AliasAttributes)
	p.Domains, p.Tags = maps.Clone(p.Domains), maps.Clone(p.Tags)
	return p
}

func cloneClient(c Client) Client {
	for _, list := range []*[]string{
		&c.CallbackURLs, &c.LogoutURLs, &c.Flows, &c.Scopes, &c.Providers, &c.ExplicitAuthFlows, &c.ReadAttributes, &c.WriteAttributes,
	} {
		*list = slices.Clone(*list)
	}
	c.Secrets = slices.Clone(c.Secrets)
	return c
}

func cloneProvider(p IdentityProvider) IdentityProvider {
	p.Details = maps.Clone(p.Details)
	p.AttributeMapping = maps.Clone(p.AttributeMapping)
	p.Identifiers = slices.Clone(p.Identifiers)
	return p
}

// The public sentences for what does not exist.
const (
	noPool     = "The user pool does not exist."
	noClient   = "The app client does not exist."
	noProvider = "The identity provider does not exist."
	noUser     = "User does not exist."
	noGroup    = "Group not found."
)

// storeFault turns an error of the store into a fault; missing is the sentence for store.ErrNotFound.
func storeFault(operation string, err error, missing string) error {
	if err == nil {
		return nil
	}
	cause := fmt.Errorf("%s: %w", operation, err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if missing == noUser {
			cause = fmt.Errorf("%w: %w", ErrNoUser, cause)
		}
		return fault.New(fault.NotFound, missing, cause)
	case errors.Is(err, store.ErrConflict):
		return fault.New(fault.Conflict, "It was changed by somebody else at the same time. Try again.", fmt.Errorf("%w: %w", ErrConcurrent, cause))
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded): // many writers of one document, or a slow disk
		return fault.New(fault.Unavailable, "The directory cannot be reached right now. Try again.", cause)
	}
	return fault.New(fault.Internal, "Something went wrong on our side.", cause)
}

// absent is the answer for a name that no document can have.
func absent(operation, missing string) error {
	return storeFault(operation, store.ErrNotFound, missing)
}

// checkLimit keeps a page's size within what engines allow.
func checkLimit(limit int) error {
	if limit < 1 || limit > store.MaxList {
		return fault.New(fault.Invalid, "The page size is out of range.", nil)
	}
	return nil
}

// Cursors leave the directory sealed and bound to what they page through: they hold keys, which name
// users and their e-mail addresses, and one pool's cursor must be of no use in another.

func (d *Directory) sealCursor(cursor, of string) string {
	if cursor == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(d.Ring.Seal([]byte(cursor), "pool cursor\x00"+of))
}

// SealToken seals a place in a list that the directory does not page through itself, bound to what is listed. OpenToken opens it.
func (d *Directory) SealToken(place, of string) string { return d.sealCursor(place, "list\x00"+of) }

// OpenToken returns the place in a token of SealToken. Errors: fault.Invalid for one that was made for something else, or by somebody else.
func (d *Directory) OpenToken(token, of string) (string, error) {
	return d.openCursor(token, "list\x00"+of)
}

func (d *Directory) openCursor(sealed, of string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err == nil {
		raw, err = d.Ring.Open(raw, "pool cursor\x00"+of)
	}
	if err != nil {
		return "", fault.New(fault.Invalid, "The pagination token is not valid.", err)
	}
	return string(raw), nil
}
