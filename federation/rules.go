package federation

import (
	"maps"
	"sync"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// compiled keeps the rules that are compiled from what a provider's configuration says: an expression takes a hundred times as long to compile as to
// evaluate. It holds one for each name of a provider that was ever used, so its size is that of the configuration. Its zero value is ready.
type compiled[S, R any] struct {
	mu sync.Mutex
	m  map[ruleKey]compiledRules[S, R]
}

type ruleKey struct{ pool, provider string }

type compiledRules[S, R any] struct {
	source S
	rules  R
}

// of returns the provider's rules as source has them now: those that are kept, where they are of an equal one. What compile returns beside them is kept
// to compare with.
func (c *compiled[S, R]) of(idp pool.IdentityProvider, source S, equal func(a, b S) bool, compile func(S) (S, R, error)) (R, error) {
	key := ruleKey{idp.PoolID, idp.Name}
	c.mu.Lock()
	e, ok := c.m[key]
	c.mu.Unlock()
	if ok && equal(e.source, source) {
		return e.rules, nil
	}
	source, rules, err := compile(source)
	if err != nil {
		return rules, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[ruleKey]compiledRules[S, R]{}
	}
	c.m[key] = compiledRules[S, R]{source, rules}
	return rules, nil
}

// ruleSet keeps compiled mappings. Its zero value is ready.
type ruleSet struct {
	compiled compiled[map[string]string, *mapping.Rules]
}

// of returns the rules of the provider's mapping as it is now. Errors: fault.Config.
func (s *ruleSet) of(idp pool.IdentityProvider) (*mapping.Rules, error) {
	rules, err := s.compiled.of(idp, idp.AttributeMapping, maps.Equal, func(m map[string]string) (map[string]string, *mapping.Rules, error) {
		rules, err := mapping.Compile(m)
		return maps.Clone(m), rules, err
	})
	if err != nil {
		return nil, fault.New(fault.Config, "The attribute mapping of this identity provider is not valid.", err)
	}
	return rules, nil
}
