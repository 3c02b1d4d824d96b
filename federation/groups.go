package federation

import (
	"context"
	"errors"
	"strings"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// groupRuleSet keeps compiled group rules. Its zero value is ready.
type groupRuleSet struct {
	compiled compiled[pool.GroupSource, *mapping.GroupRules]
}

// of returns the provider's group rules as they are now, nil where it has none.
func (s *groupRuleSet) of(idp pool.IdentityProvider) (*mapping.GroupRules, error) {
	source := idp.GroupSource()
	if source == (pool.GroupSource{}) {
		return nil, nil //nolint:nilnil // nil rules give no groups
	}
	same := func(a, b pool.GroupSource) bool { return a == b }
	return s.compiled.of(idp, source, same, func(g pool.GroupSource) (pool.GroupSource, *mapping.GroupRules, error) {
		rules, problems := g.Compile()
		if len(problems) > 0 {
			return g, nil, problems
		}
		return g, rules, nil
	})
}

// evaluate returns what the provider's group rules make of claims; nil where it has none.
func (s *groupRuleSet) evaluate(idp pool.IdentityProvider, claims mapping.Claims) (*mapping.GroupResult, error) {
	rules, err := s.of(idp)
	if err != nil {
		return nil, fault.New(fault.Config, "The group rules of this identity provider are not valid.", err)
	}
	if rules == nil {
		return nil, nil //nolint:nilnil // see pool.SignIn
	}
	r := rules.Evaluate(claims, mapping.Provider{Name: idp.Name, Type: idp.Type})
	switch err := r.Err(); {
	case errors.Is(err, mapping.ErrGroupOverage):
		return nil, fault.New(fault.Config, "You are in too many groups for the identity provider to list. An administrator has to change the connection to it.",
			errors.Join(err, errors.New("set group_overage: graph with the preset EntraID, have the provider send the groups of the application alone, or set group_absent: keep")))
	case err != nil:
		return nil, fault.New(fault.Invalid, "The identity provider sent groups that cannot be read.", err)
	}
	return &r, nil
}

// groupsChanged records what a sign-in changed of memberships, if it did.
func (b *Broker) groupsChanged(ctx context.Context, idp pool.IdentityProvider, res pool.SignInResult) {
	joined, left := strings.Join(res.Groups.Joined(), " "), strings.Join(res.Groups.Left(), " ")
	if joined+left != "" {
		b.Audit.Record(ctx, audit.GroupsChanged{Pool: idp.PoolID, Sub: res.User.Sub, Provider: idp.Name, Joined: joined, Left: left})
	}
}
