package poolapi

import (
	"context"
	"errors"
	"strings"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func linkingOperations() []operation {
	return []operation{
		op("AdminLinkProviderForUser", admin, (*Service).adminLinkProviderForUser),
		op("AdminDisableProviderForUser", admin, (*Service).adminDisableProviderForUser),
	}
}

// own reports whether a provider's name means the pool's own accounts, which the API calls Cognito.
func own(provider string) bool { return strings.EqualFold(provider, "Cognito") }

func (s *Service) adminLinkProviderForUser(
	ctx context.Context, by Caller, in *api.AdminLinkProviderForUserRequest,
) (*api.AdminLinkProviderForUserResponse, error) {
	src, err := source(*in.SourceUser, "SourceUser")
	if err != nil {
		return nil, err
	}
	name, err := s.destination(ctx, in.UserPoolID, *in.DestinationUser)
	if err != nil {
		return nil, err
	}
	u, err := s.Broker.LinkProvider(ctx, in.UserPoolID, name, src, by.By())
	if err != nil {
		return nil, linkRefused(err)
	}
	by.Note("sub", u.Sub)
	by.Note("provider", src.Provider)
	return &api.AdminLinkProviderForUserResponse{}, nil
}

// destination is the user name of the user who is to have the identity. One of the pool's own is named by user name, one of a provider by the
// provider's own identifier; the name of the attribute is ignored (AdminLinkProviderForUserRequest).
func (s *Service) destination(ctx context.Context, poolID string, to api.ProviderUserIdentifierType) (string, error) {
	if to.ProviderAttributeValue == "" || to.ProviderName == "" {
		return "", refuse("InvalidParameterException", "DestinationUser needs ProviderName and ProviderAttributeValue.", nil)
	}
	if own(to.ProviderName) {
		return to.ProviderAttributeValue, nil
	}
	u, err := s.Directory.UserByIdentity(ctx, poolID, to.ProviderName, to.ProviderAttributeValue)
	if fault.CodeOf(err) == fault.NotFound {
		return "", refuse("UserNotFoundException", "User does not exist.", err)
	}
	return u.Username, err
}

func (s *Service) adminDisableProviderForUser(
	ctx context.Context, by Caller, in *api.AdminDisableProviderForUserRequest,
) (*api.AdminDisableProviderForUserResponse, error) {
	src, err := source(*in.User, "User")
	if err != nil {
		return nil, err
	}
	by.Note("provider", src.Provider)
	if _, err := s.Broker.UnlinkProvider(ctx, in.UserPoolID, src, by.By()); err != nil {
		return nil, linkRefused(err)
	}
	return &api.AdminDisableProviderForUserResponse{}, nil
}

// source is the identity that an input names.
func source(of api.ProviderUserIdentifierType, member string) (pool.Source, error) {
	src := pool.Source{Provider: of.ProviderName, Attribute: of.ProviderAttributeName, Value: of.ProviderAttributeValue}
	if own(src.Provider) {
		src.Attribute = pool.SubjectAttribute // the user name is all there is
	}
	if src.Provider == "" || src.Attribute == "" || src.Value == "" {
		return src, refuse("InvalidParameterException", member+" needs ProviderName, ProviderAttributeName and ProviderAttributeValue.", nil)
	}
	return src, nil
}

// linkRefused gives the refusals of links the names of the model.
func linkRefused(err error) error {
	switch {
	case errors.Is(err, pool.ErrAliasExists):
		return refuse("AliasExistsException", fault.PublicOf(err), err)
	case errors.Is(err, pool.ErrNoUser):
		return refuse("UserNotFoundException", "User does not exist.", err)
	}
	return limited(err)
}
