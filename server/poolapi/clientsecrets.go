package poolapi

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func clientSecretOperations() []operation {
	return []operation{
		op("AddUserPoolClientSecret", admin, (*Service).addClientSecret),
		op("ListUserPoolClientSecrets", admin, (*Service).listClientSecrets),
		op("DeleteUserPoolClientSecret", admin, (*Service).deleteClientSecret),
	}
}

// addClientSecret shows the value that it has made, this one time; one that the caller has brought it does not repeat.
func (s *Service) addClientSecret(ctx context.Context, by Caller, in *api.AddUserPoolClientSecretRequest) (*api.AddUserPoolClientSecretResponse, error) {
	added, err := s.Directory.AddClientSecret(ctx, in.UserPoolID, in.ClientID, in.ClientSecret.Text)
	if errors.Is(err, pool.ErrLimit) {
		return nil, refuse("LimitExceededException", fault.PublicOf(err), err)
	}
	if err != nil {
		return nil, clientMissing(in.ClientID, err)
	}
	by.Note("client_secret", added.ID)
	d := secretDescriptor(added)
	if in.ClientSecret.IsZero() {
		d.ClientSecretValue = api.Secret{Text: added.Value}
	}
	return &api.AddUserPoolClientSecretResponse{ClientSecretDescriptor: &d}, nil
}

func (s *Service) listClientSecrets(ctx context.Context, _ Caller, in *api.ListUserPoolClientSecretsRequest) (*api.ListUserPoolClientSecretsResponse, error) {
	all, err := s.Directory.ClientSecrets(ctx, in.UserPoolID, in.ClientID)
	if err != nil {
		return nil, clientMissing(in.ClientID, err)
	}
	if in.NextToken != "" { // there is one page, which leads nowhere
		return nil, fault.New(fault.Invalid, "The pagination token is not valid.", nil)
	}
	out := &api.ListUserPoolClientSecretsResponse{ClientSecrets: make([]api.ClientSecretDescriptorType, len(all))}
	for i, one := range all {
		out.ClientSecrets[i] = secretDescriptor(one)
	}
	return out, nil
}

func (s *Service) deleteClientSecret(
	ctx context.Context, _ Caller, in *api.DeleteUserPoolClientSecretRequest,
) (*api.DeleteUserPoolClientSecretResponse, error) {
	err := s.Directory.DeleteClientSecret(ctx, in.UserPoolID, in.ClientID, in.ClientSecretID)
	if err != nil && !errors.Is(err, pool.ErrUnknownSecret) {
		err = clientMissing(in.ClientID, err)
	}
	return &api.DeleteUserPoolClientSecretResponse{}, err
}

// secretDescriptor describes a secret without its value.
func secretDescriptor(s pool.ClientSecret) api.ClientSecretDescriptorType {
	return api.ClientSecretDescriptorType{ClientSecretID: s.ID, ClientSecretCreateDate: api.TimeOf(s.Created)}
}
