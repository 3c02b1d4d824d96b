package poolapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func clientOperations() []operation {
	return []operation{
		op("CreateUserPoolClient", admin, (*Service).createClient),
		op("DescribeUserPoolClient", admin, (*Service).describeClient),
		op("UpdateUserPoolClient", admin, (*Service).updateClient),
		op("DeleteUserPoolClient", admin, (*Service).deleteClient),
		op("ListUserPoolClients", admin, (*Service).listClients),
	}
}

func (s *Service) createClient(ctx context.Context, by Caller, in *api.CreateUserPoolClientRequest) (*api.CreateUserPoolClientResponse, error) {
	spec := clientSpec(in)
	spec.ClientSecret, spec.GenerateSecret = in.ClientSecret.Text, is(in.GenerateSecret)
	if err := noAnalytics(in.AnalyticsConfiguration); err != nil {
		return nil, err
	}
	c, err := s.Directory.CreateClientFrom(ctx, in.UserPoolID, spec)
	if err != nil {
		return nil, clientRefused(err)
	}
	by.Note("client", c.ID)
	return &api.CreateUserPoolClientResponse{UserPoolClient: clientType(c)}, nil
}

func (s *Service) describeClient(ctx context.Context, _ Caller, in *api.DescribeUserPoolClientRequest) (*api.DescribeUserPoolClientResponse, error) {
	c, err := s.Directory.ClientOf(ctx, in.UserPoolID, in.ClientID)
	if err != nil {
		return nil, clientMissing(in.ClientID, err)
	}
	return &api.DescribeUserPoolClientResponse{UserPoolClient: clientType(c)}, nil
}

// updateClient replaces the client: as in the original, what a request leaves out becomes the default, but for the secrets.
func (s *Service) updateClient(ctx context.Context, _ Caller, in *api.UpdateUserPoolClientRequest) (*api.UpdateUserPoolClientResponse, error) {
	if err := noAnalytics(in.AnalyticsConfiguration); err != nil {
		return nil, err
	}
	spec := clientSpec(&api.CreateUserPoolClientRequest{
		AccessTokenValidity: in.AccessTokenValidity, AllowedOAuthFlows: in.AllowedOAuthFlows,
		AllowedOAuthFlowsUserPoolClient: in.AllowedOAuthFlowsUserPoolClient, AllowedOAuthScopes: in.AllowedOAuthScopes,
		AuthSessionValidity: in.AuthSessionValidity, CallbackURLs: in.CallbackURLs, ClientName: in.ClientName, DefaultRedirectURI: in.DefaultRedirectURI,
		EnablePropagateAdditionalUserContextData: in.EnablePropagateAdditionalUserContextData, EnableTokenRevocation: in.EnableTokenRevocation,
		ExplicitAuthFlows: in.ExplicitAuthFlows, IdTokenValidity: in.IdTokenValidity, LogoutURLs: in.LogoutURLs,
		PreventUserExistenceErrors: in.PreventUserExistenceErrors, ReadAttributes: in.ReadAttributes, RefreshTokenRotation: in.RefreshTokenRotation,
		RefreshTokenValidity: in.RefreshTokenValidity, SupportedIdentityProviders: in.SupportedIdentityProviders,
		TokenValidityUnits: in.TokenValidityUnits, WriteAttributes: in.WriteAttributes,
	})
	if spec.ClientName == "" { // the one member without a default, which a request may leave out all the same
		old, err := s.Directory.ClientOf(ctx, in.UserPoolID, in.ClientID)
		if err != nil {
			return nil, clientMissing(in.ClientID, err)
		}
		spec.ClientName = old.Name
	}
	c, err := s.Directory.UpdateClientFrom(ctx, in.UserPoolID, in.ClientID, spec)
	if err != nil {
		return nil, clientMissing(in.ClientID, clientRefused(err))
	}
	return &api.UpdateUserPoolClientResponse{UserPoolClient: clientType(c)}, nil
}

func (s *Service) deleteClient(ctx context.Context, _ Caller, in *api.DeleteUserPoolClientRequest) (*none, error) {
	return &none{}, clientMissing(in.ClientID, s.Directory.DeleteClient(ctx, in.UserPoolID, in.ClientID))
}

func (s *Service) listClients(ctx context.Context, _ Caller, in *api.ListUserPoolClientsRequest) (*api.ListUserPoolClientsResponse, error) {
	page, next, err := s.Directory.ClientPage(ctx, in.UserPoolID, in.NextToken, limitOf(in.MaxResults))
	if err != nil {
		return nil, err
	}
	out := &api.ListUserPoolClientsResponse{UserPoolClients: make([]api.UserPoolClientDescription, len(page)), NextToken: next}
	for i, c := range page {
		out.UserPoolClients[i] = api.UserPoolClientDescription{UserPoolID: c.PoolID, ClientID: c.ID, ClientName: c.Name}
	}
	return out, nil
}

// clientSpec is the client that a request describes. Lists without an entry are no lists: clients of the API send them for what they have
// read as empty, and no attribute to read or write cannot be said there.
func clientSpec(in *api.CreateUserPoolClientRequest) pool.ClientSpec {
	oauth := is(in.AllowedOAuthFlowsUserPoolClient)
	spec := pool.ClientSpec{
		ClientName: in.ClientName, CallbackURLs: listed(in.CallbackURLs), LogoutURLs: listed(in.LogoutURLs), DefaultRedirectURI: in.DefaultRedirectURI,
		AllowedOAuthFlows: listed(in.AllowedOAuthFlows), AllowedOAuthFlowsUserPoolClient: &oauth, AllowedOAuthScopes: listed(in.AllowedOAuthScopes),
		ExplicitAuthFlows: listed(in.ExplicitAuthFlows), PreventUserExistenceErrors: in.PreventUserExistenceErrors,
		PropagateUserContext:       is(in.EnablePropagateAdditionalUserContextData),
		SupportedIdentityProviders: listed(in.SupportedIdentityProviders),
		IDTokenValidity:            number(in.IdTokenValidity), AccessTokenValidity: number(in.AccessTokenValidity),
		RefreshTokenValidity: number(in.RefreshTokenValidity), AuthSessionValidity: number(in.AuthSessionValidity),
		EnableTokenRevocation: in.EnableTokenRevocation, ReadAttributes: listed(in.ReadAttributes), WriteAttributes: listed(in.WriteAttributes),
	}
	if u := in.TokenValidityUnits; u != nil {
		spec.TokenValidityUnits = pool.TokenValidityUnits{IDToken: u.IdToken, AccessToken: u.AccessToken, RefreshToken: u.RefreshToken}
	}
	if r := in.RefreshTokenRotation; r != nil {
		spec.RefreshTokenRotation = &pool.RefreshRotation{Feature: r.Feature, RetryGracePeriodSeconds: number(r.RetryGracePeriodSeconds)}
	}
	return spec
}

// clientType is the client as it was given: what was left out stays out where the original shows nothing either.
func clientType(c pool.Client) *api.UserPoolClientType {
	out := &api.UserPoolClientType{
		UserPoolID: c.PoolID, ClientID: c.ID, ClientName: c.Name, ClientSecret: api.Secret{Text: c.Secret()},
		CallbackURLs: c.CallbackURLs, LogoutURLs: c.LogoutURLs, DefaultRedirectURI: c.DefaultRedirectURI,
		AllowedOAuthFlows: c.Flows, AllowedOAuthFlowsUserPoolClient: &c.OAuth, AllowedOAuthScopes: c.Scopes,
		ExplicitAuthFlows: c.ExplicitAuthFlows, PreventUserExistenceErrors: c.PreventUserExistenceErrors,
		EnablePropagateAdditionalUserContextData: &c.PropagateUserContext, EnableTokenRevocation: &c.EnableTokenRevocation,
		SupportedIdentityProviders: c.Providers, AuthSessionValidity: new(int(c.AuthSessionValidity / time.Minute)),
		ReadAttributes: c.ReadAttributes, WriteAttributes: c.WriteAttributes,
		CreationDate: api.TimeOf(c.Created), LastModifiedDate: api.TimeOf(c.Modified),
	}
	id, access, refresh, u := c.Lifetimes()
	if id != 0 {
		out.IdTokenValidity = &id
	}
	if access != 0 {
		out.AccessTokenValidity = &access
	}
	out.RefreshTokenValidity = &refresh
	if u != (pool.TokenValidityUnits{}) {
		out.TokenValidityUnits = &api.TokenValidityUnitsType{IdToken: u.IDToken, AccessToken: u.AccessToken, RefreshToken: u.RefreshToken}
	}
	switch {
	case c.RotateRefreshTokens:
		out.RefreshTokenRotation = &api.RefreshTokenRotationType{Feature: "ENABLED", RetryGracePeriodSeconds: new(int(c.RotationGrace / time.Second))}
	case c.RotationDisabled:
		out.RefreshTokenRotation = &api.RefreshTokenRotationType{Feature: "DISABLED"}
		if c.RotationGrace > 0 {
			out.RefreshTokenRotation.RetryGracePeriodSeconds = new(int(c.RotationGrace / time.Second))
		}
	}
	return out
}

// noAnalytics refuses what would be taken for working otherwise.
func noAnalytics(a *api.AnalyticsConfigurationType) error {
	if a == nil {
		return nil
	}
	return refuse("InvalidParameterException", "AnalyticsConfiguration: campaigns of Amazon Pinpoint are not part of Weir; leave it out.", nil)
}

// clientMissing names the client that does not exist.
func clientMissing(id string, err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return refuse("ResourceNotFoundException", "User pool client "+id+" does not exist.", err)
	}
	return err
}

// clientRefused gives what is wrong with OAuth flows and scopes alone the model's own names.
func clientRefused(err error) error {
	var ps pool.Problems
	if !errors.As(err, &ps) {
		return err
	}
	for member, kind := range map[string]string{"AllowedOAuthFlows": "InvalidOAuthFlowException", "AllowedOAuthScopes": "ScopeDoesNotExistException"} {
		all := true
		for _, p := range ps {
			path, _, _ := strings.Cut(p.Path, "[")
			all = all && path == member
		}
		if all {
			return refuse(kind, fault.PublicOf(err), err)
		}
	}
	return err
}

func is(b *bool) bool { return b != nil && *b }

func number(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func listed(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}
