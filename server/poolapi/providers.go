package poolapi

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
)

func providerOperations() []operation {
	return []operation{
		op("CreateIdentityProvider", admin, (*Service).createProvider),
		op("DescribeIdentityProvider", admin, (*Service).describeProvider),
		op("UpdateIdentityProvider", admin, (*Service).updateProvider),
		op("DeleteIdentityProvider", admin, (*Service).deleteProvider),
		op("ListIdentityProviders", admin, (*Service).listProviders),
		op("GetIdentityProviderByIdentifier", admin, (*Service).providerByIdentifier),
	}
}

func (s *Service) createProvider(ctx context.Context, _ Caller, in *api.CreateIdentityProviderRequest) (*api.CreateIdentityProviderResponse, error) {
	ip, err := s.Directory.CreateProvider(ctx, pool.IdentityProvider{
		PoolID: in.UserPoolID, Name: in.ProviderName, Type: in.ProviderType, Details: detailsOf(in.ProviderDetails),
		AttributeMapping: in.AttributeMapping, Identifiers: in.IdpIdentifiers,
	})
	if errors.Is(err, pool.ErrProviderExists) {
		return nil, refuse("DuplicateProviderException", "A provider with the name "+in.ProviderName+" already exists in this user pool.", err)
	}
	if errors.Is(err, pool.ErrLooksAlike) {
		return nil, refuse("DuplicateProviderException", fault.PublicOf(err), err)
	}
	if err != nil {
		return nil, identifierTaken(err)
	}
	return &api.CreateIdentityProviderResponse{IdentityProvider: s.written(ctx, ip)}, nil
}

func (s *Service) describeProvider(ctx context.Context, _ Caller, in *api.DescribeIdentityProviderRequest) (*api.DescribeIdentityProviderResponse, error) {
	ip, err := s.Directory.ProviderOf(ctx, in.UserPoolID, in.ProviderName)
	if err != nil {
		return nil, providerMissing(in.ProviderName, err)
	}
	shown, err := s.providerType(ctx, ip)
	return &api.DescribeIdentityProviderResponse{IdentityProvider: shown}, err
}

func (s *Service) updateProvider(ctx context.Context, _ Caller, in *api.UpdateIdentityProviderRequest) (*api.UpdateIdentityProviderResponse, error) {
	ip, err := s.Directory.ChangeProvider(ctx, in.UserPoolID, in.ProviderName, pool.ProviderChange{
		Details: detailsOf(in.ProviderDetails), AttributeMapping: in.AttributeMapping, Identifiers: in.IdpIdentifiers,
	})
	if err != nil {
		return nil, providerMissing(in.ProviderName, identifierTaken(err))
	}
	return &api.UpdateIdentityProviderResponse{IdentityProvider: s.written(ctx, ip)}, nil
}

func (s *Service) deleteProvider(ctx context.Context, _ Caller, in *api.DeleteIdentityProviderRequest) (*none, error) {
	return &none{}, providerMissing(in.ProviderName, s.Directory.DeleteProvider(ctx, in.UserPoolID, in.ProviderName))
}

func (s *Service) listProviders(ctx context.Context, _ Caller, in *api.ListIdentityProvidersRequest) (*api.ListIdentityProvidersResponse, error) {
	page, next, err := s.Directory.ProviderPage(ctx, in.UserPoolID, in.NextToken, limitOf(in.MaxResults))
	if err != nil {
		return nil, err
	}
	out := &api.ListIdentityProvidersResponse{Providers: make([]api.ProviderDescription, len(page)), NextToken: next}
	for i, ip := range page {
		out.Providers[i] = api.ProviderDescription{
			ProviderName: ip.Name, ProviderType: ip.Type, CreationDate: api.TimeOf(ip.Created), LastModifiedDate: api.TimeOf(ip.Modified),
		}
	}
	return out, nil
}

func (s *Service) providerByIdentifier(
	ctx context.Context, _ Caller, in *api.GetIdentityProviderByIdentifierRequest,
) (*api.GetIdentityProviderByIdentifierResponse, error) {
	ip, err := s.Directory.ProviderByIdentifier(ctx, in.UserPoolID, in.IdpIdentifier)
	if err != nil {
		return nil, providerMissing(in.IdpIdentifier, err)
	}
	shown, err := s.providerType(ctx, ip)
	return &api.GetIdentityProviderByIdentifierResponse{IdentityProvider: shown}, err
}

// written is a provider that has just been stored. What its kind adds may be missing: an error would say that nothing was stored.
func (s *Service) written(ctx context.Context, ip pool.IdentityProvider) *api.IdentityProviderType {
	shown, _ := s.providerType(ctx, ip) // always there
	return shown
}

// providerType shows a provider as it was given, without its private key, and with what its kind adds.
func (s *Service) providerType(ctx context.Context, ip pool.IdentityProvider) (*api.IdentityProviderType, error) {
	out := &api.IdentityProviderType{
		UserPoolID: ip.PoolID, ProviderName: ip.Name, ProviderType: ip.Type, AttributeMapping: ip.ShownMapping(), IdpIdentifiers: listed(ip.Identifiers),
		ProviderDetails: map[string]api.Secret{}, CreationDate: api.TimeOf(ip.Created), LastModifiedDate: api.TimeOf(ip.Modified),
	}
	for k, v := range ip.Shown() {
		out.ProviderDetails[k] = api.Secret{Text: v}
	}
	p, err := s.Broker.Providers.Provider(ctx, ip)
	if err != nil {
		return out, nil //nolint:nilerr // one that a new release cannot set up any more has to be looked at, and repaired
	}
	a, ok := p.(federation.Annotated)
	if !ok {
		return out, nil
	}
	more, err := a.Annotations(ctx)
	for k, v := range more {
		out.ProviderDetails[k] = api.NewSecret(v)
	}
	return out, err
}

// detailsOf takes the values as they are; nil stays nil, which is no details at all.
func detailsOf(in map[string]api.Secret) pool.Details {
	if in == nil {
		return nil
	}
	out := make(map[string]secret.Text, len(in))
	for k, v := range in {
		out[k] = v.Text
	}
	return out
}

// identifierTaken is no conflict with another writer: trying again does not help.
func identifierTaken(err error) error {
	if errors.Is(err, pool.ErrTaken) {
		return refuse("InvalidParameterException", "IdpIdentifiers: "+fault.PublicOf(err), err)
	}
	return err
}

// providerMissing names the provider that does not exist.
func providerMissing(name string, err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return refuse("ResourceNotFoundException", "Identity provider "+name+" does not exist.", err)
	}
	return err
}
