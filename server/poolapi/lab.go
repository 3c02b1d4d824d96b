package poolapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/lab"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

// maxClaims bounds the claims that a mapping is tried on, in bytes.
const maxClaims = 256 << 10

func (s *Service) listKeptAssertions(ctx context.Context, _ Caller, in *api.ListKeptAssertionsRequest) (*api.ListKeptAssertionsResponse, error) {
	kept, err := s.Broker.KeptAssertions(ctx, in.UserPoolID, in.ProviderName, numbered(in.Number))
	if err != nil {
		return nil, unkept(in.ProviderName, err)
	}
	out := lab.List(kept, in.Number != nil)
	return &out, nil
}

// testAttributeMapping writes nothing, and nobody is signed in by it: what is given has not been proven.
func (s *Service) testAttributeMapping(ctx context.Context, _ Caller, in *api.TestAttributeMappingRequest) (*api.TestAttributeMappingResponse, error) {
	test := federation.MappingTest{PoolID: in.UserPoolID, Provider: in.ProviderName, Rules: in.AttributeMapping, Number: numbered(in.Number)}
	if in.ProviderDetails != nil {
		test.Details = detailsOf(in.ProviderDetails)
	}
	for key := range in.ProviderDetails {
		if !slices.Contains(pool.RuleDetails(), key) {
			return nil, refuse("InvalidParameterException", "ProviderDetails."+key+" is no part of the rules that can be tried: "+strings.Join(pool.RuleDetails(), ", ")+" are.", nil)
		}
	}
	switch {
	case in.Claims == nil && in.Subject != "":
		return nil, refuse("InvalidParameterException", "Subject says whom Claims are about: give both.", nil)
	case in.Claims != nil && in.Number != nil:
		return nil, refuse("InvalidParameterException", "Give Claims, or the Number of a kept assertion.", nil)
	case len(in.Claims) > maxClaims:
		return nil, refuse("InvalidParameterException", fmt.Sprintf("Claims may have %d bytes at most.", maxClaims), nil)
	case in.Claims != nil:
		claims, _, err := federation.ReadClaims(in.Claims)
		if err != nil {
			return nil, err
		}
		test.Given = federation.GivenClaims(claims, in.Subject)
	}
	out, err := s.Broker.TestMapping(ctx, test)
	if err != nil {
		return nil, unkept(in.ProviderName, err)
	}
	return &out, nil
}

// unkept names the provider that does not exist, and lets the sentence stand of one of which nothing is kept.
func unkept(provider string, err error) error {
	if errors.Is(err, federation.ErrNotKept) {
		return err
	}
	return providerMissing(provider, err)
}

// numbered is the number of a kept assertion; 0 is all. The model lets none below 1 through.
func numbered(n *int64) uint64 {
	if n == nil || *n < 1 {
		return 0
	}
	return uint64(*n)
}
