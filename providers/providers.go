// Package providers is the table of kinds of identity provider and the set of those in use.
//
// It owns which ProviderType is spoken by which package, and how long a provider lives in memory. What
// a provider does is in its own package (providers/oidc, saml, …); its configuration is in federation/pool.
//
// To add a kind: write its package, add one line to kinds. Those of package social are added there.
package providers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/social"
)

// Options are what every provider gets. All fields but AllowPrivate and More are required.
type Options struct {
	HTTP         *http.Client     // of federation/outgoing
	AllowPrivate bool             // outgoing.Options.AllowPrivate
	Now          func() time.Time // the clock
	// More are the kinds of packages beside this one (saml), by ProviderType.
	More map[string]Kind
}

// Kind is one ProviderType of the API model.
type Kind struct {
	// New makes a provider. It does no I/O and keeps nothing that needs closing.
	New func(cfg pool.IdentityProvider) (federation.Provider, error)
	// Validate returns what is wrong with its details.
	Validate func(d pool.Details, allowPrivate bool) []detail.Fault
	// Probes: the provider tells where its metadata is, and is asked whether it is there, see Probe.
	Probes bool
}

// prober is a provider that can be asked whether what it was given leads anywhere.
type prober interface {
	Probe(ctx context.Context) []detail.Fault
}

// kinds is the table.
func kinds(o Options) map[string]Kind {
	known := o.kind(social.OIDC)
	known.Probes = true // the others' metadata is of the company's, and not of the administrator's
	table := map[string]Kind{"OIDC": known}
	for name, v := range social.Kinds() {
		table[name] = o.kind(func(pool.Details) (oidc.Variant, []detail.Fault) { return v, nil })
	}
	maps.Copy(table, o.More)
	return table
}

// kind is a kind of the code flow of package oidc, whose variant may depend on the details.
func (o Options) kind(variant func(pool.Details) (oidc.Variant, []detail.Fault)) Kind {
	return Kind{
		New: Make(func(cfg pool.IdentityProvider) (*oidc.Provider, error) {
			v, faults := variant(cfg.Details)
			if len(faults) > 0 {
				return nil, faults[0]
			}
			return v.New(cfg, oidc.Options{HTTP: o.HTTP, AllowPrivate: o.AllowPrivate, Now: o.Now})
		}),
		Validate: func(d pool.Details, allowPrivate bool) []detail.Fault {
			v, faults := variant(d)
			if len(faults) > 0 {
				return faults
			}
			return v.Validate(d, allowPrivate)
		},
	}
}

// Make turns a kind's constructor into Kind.New: a nil *P under an error is not a nil Provider.
func Make[P federation.Provider](f func(pool.IdentityProvider) (P, error)) func(pool.IdentityProvider) (federation.Provider, error) {
	return func(cfg pool.IdentityProvider) (federation.Provider, error) {
		p, err := f(cfg)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// ErrType is found under the error for a ProviderType that is not in the table.
var ErrType = errors.New("providers: unknown provider type")

// Set makes providers of their configurations and keeps them, because a provider keeps what it has
// fetched. It is safe for concurrent use. It holds one provider for each name that was ever used, so its size is that of the configuration.
type Set struct {
	o     Options
	kinds map[string]Kind

	mu sync.Mutex
	m  map[key]entry
}

type key struct{ pool, name string }

type entry struct {
	made     pool.IdentityProvider // of this configuration
	provider federation.Provider
}

// NewSet returns an empty set.
func NewSet(o Options) *Set { return &Set{o: o, kinds: kinds(o), m: map[key]entry{}} }

// Validate returns everything that is wrong with the type and details of cfg, by key, "ProviderType" among them; nil if nothing is. It
// does no I/O and quotes no value.
func (s *Set) Validate(cfg pool.IdentityProvider) []detail.Fault {
	k, ok := s.kinds[cfg.Type]
	if !ok {
		names := slices.Sorted(maps.Keys(s.kinds))
		return []detail.Fault{{Key: "ProviderType", Problem: "must be one of: " + strings.Join(names, ", ")}}
	}
	return k.Validate(cfg.Details, s.o.AllowPrivate)
}

// Probe asks the provider of cfg over the network whether its details lead to what they say, and returns what is wrong, by key; nil if nothing
// is, or if the kind has nothing to ask for. The provider is a new one, so that nothing that is kept answers in its place. cfg is valid.
func (s *Set) Probe(ctx context.Context, cfg pool.IdentityProvider) []detail.Fault {
	k := s.kinds[cfg.Type]
	if !k.Probes {
		return nil
	}
	p, err := k.New(cfg)
	if err != nil {
		return []detail.Fault{{Key: "ProviderType", Problem: "cannot be set up with these details"}}
	}
	if p, ok := p.(prober); ok {
		return p.Probe(ctx)
	}
	return nil
}

// same reports whether a provider of the one configuration can stand for the other. Modified alone does not tell: it has milliseconds, and a provider
// that was deleted and made again, or changed twice, within one of them, or while the clock was set back, would go on as what it was before.
func same(a, b pool.IdentityProvider) bool {
	text := func(x, y secret.Text) bool { return x.Reveal() == y.Reveal() } // nobody is measuring
	return a.Type == b.Type && a.Modified.Equal(b.Modified) && maps.EqualFunc(a.Details, b.Details, text) &&
		maps.Equal(a.AttributeMapping, b.AttributeMapping) && slices.Equal(a.Identifiers, b.Identifiers)
}

// Provider returns the provider of cfg: the kept one as long as cfg is the same, else a new one. It
// does no I/O. A configuration that cannot be used is a fault.Config.
func (s *Set) Provider(_ context.Context, cfg pool.IdentityProvider) (federation.Provider, error) {
	k, ok := s.kinds[cfg.Type]
	if !ok {
		return nil, misconfigured(cfg, fmt.Errorf("%w %q", ErrType, cfg.Type))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := key{cfg.PoolID, cfg.Name}
	if e, ok := s.m[id]; ok && same(e.made, cfg) {
		return e.provider, nil
	}
	p, err := k.New(cfg)
	if err != nil {
		return nil, misconfigured(cfg, err)
	}
	cfg.Details, cfg.AttributeMapping, cfg.Identifiers = maps.Clone(cfg.Details), maps.Clone(cfg.AttributeMapping), slices.Clone(cfg.Identifiers)
	s.m[id] = entry{made: cfg, provider: p}
	return p, nil
}

func misconfigured(cfg pool.IdentityProvider, err error) *fault.Error {
	return fault.New(fault.Config, "The connection to the identity provider is not set up correctly. An administrator has to change it.",
		fmt.Errorf("provider %q of pool %s: %w", cfg.Name, cfg.PoolID, err))
}
