package federation

import (
	"maps"
	"sync"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// ruleSet keeps compiled mappings: an expression takes a hundred times as long to compile as to evaluate. It holds one for each name of a
// provider that was ever used, so its size is that of the configuration. Its zero value is ready.
type ruleSet struct {
	mu sync.Mutex
	m  map[ruleKey]ruleEntry
}

type ruleKey struct{ pool, provider string }

type ruleEntry struct {
	source map[string]string
	rules  *mapping.Rules
}

// of returns the rules of the provider's mapping as it is now.
func (s *ruleSet) of(idp pool.IdentityProvider) (*mapping.Rules, error) {
	key := ruleKey{idp.PoolID, idp.Name}
	s.mu.Lock()
	e, ok := s.m[key]
	s.mu.Unlock()
	if ok && maps.Equal(e.source, idp.AttributeMapping) {
		return e.rules, nil
	}
	rules, err := mapping.Compile(idp.AttributeMapping)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[ruleKey]ruleEntry{}
	}
	s.m[key] = ruleEntry{maps.Clone(idp.AttributeMapping), rules}
	return rules, nil
}
