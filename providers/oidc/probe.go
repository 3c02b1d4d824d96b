package oidc

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"

	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/providers/detail"
)

// Probe fetches the discovery document, where one is needed, and returns what keeps it from being used. Its sentences are
// fixed but for the host, which the administrator gave: they tell nothing of what answered there.
func (p *Provider) Probe(ctx context.Context) []detail.Fault {
	if p.static != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	_, err := p.discover(ctx)
	if err == nil {
		return nil
	}
	host := "the host"
	if u, bad := url.Parse(cmp.Or(p.s.rules.Discovery, p.s.issuer)); bad == nil {
		host = u.Hostname()
	}
	problem := host + " has no discovery document that can be used (/.well-known/openid-configuration); without one, " +
		"authorize_url, token_url, attributes_url and jwks_uri have to be given"
	switch why := outgoing.Why(err); {
	case errors.Is(err, ErrIssuer):
		problem = "the discovery document at " + host + " is another issuer's: the value must be exactly the provider's own, a slash at the end included"
	case why != "":
		problem = host + " " + why
	case errors.Is(err, errMetadata):
		problem = "the discovery document at " + host + " lacks an endpoint or an algorithm that is needed, or names an endpoint that may not be called"
	}
	return []detail.Fault{{Key: keyIssuer, Problem: problem}}
}

// Annotations implements federation.Annotated: the details that hold for every provider of the kind, and were not given. One that was
// given is not touched: a client of the API that saw another value than its own would change it for ever.
func (p *Provider) Annotations(context.Context) (map[string]string, error) {
	more := maps.Clone(p.shown)
	for k := range p.cfg.Details {
		delete(more, k)
	}
	return more, nil
}
