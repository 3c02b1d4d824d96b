package poolapi

import (
	"context"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func resourceServerOperations() []operation {
	return []operation{
		op("CreateResourceServer", admin, (*Service).createResourceServer),
		op("DescribeResourceServer", admin, (*Service).describeResourceServer),
		op("UpdateResourceServer", admin, (*Service).updateResourceServer),
		op("DeleteResourceServer", admin, (*Service).deleteResourceServer),
		op("ListResourceServers", admin, (*Service).listResourceServers),
	}
}

func resourceServer(poolID, identifier, name string, scopes []api.ResourceServerScopeType) pool.ResourceServer {
	out := pool.ResourceServer{PoolID: poolID, Identifier: identifier, Name: name}
	for _, c := range scopes {
		out.Scopes = append(out.Scopes, pool.Scope{Name: c.ScopeName, Description: c.ScopeDescription})
	}
	return out
}

func resourceServerType(s pool.ResourceServer) *api.ResourceServerType {
	out := &api.ResourceServerType{UserPoolID: s.PoolID, Identifier: s.Identifier, Name: s.Name, Scopes: []api.ResourceServerScopeType{}}
	for _, c := range s.Scopes {
		out.Scopes = append(out.Scopes, api.ResourceServerScopeType{ScopeName: c.Name, ScopeDescription: c.Description})
	}
	return out
}

func (s *Service) createResourceServer(ctx context.Context, _ Caller, in *api.CreateResourceServerRequest) (*api.CreateResourceServerResponse, error) {
	rs, err := s.Directory.CreateResourceServer(ctx, resourceServer(in.UserPoolID, in.Identifier, in.Name, in.Scopes))
	if err != nil {
		return nil, takenAs("InvalidParameterException", err)
	}
	return &api.CreateResourceServerResponse{ResourceServer: resourceServerType(rs)}, nil
}

func (s *Service) describeResourceServer(
	ctx context.Context, _ Caller, in *api.DescribeResourceServerRequest,
) (*api.DescribeResourceServerResponse, error) {
	rs, err := s.Directory.ResourceServer(ctx, in.UserPoolID, in.Identifier)
	if err != nil {
		return nil, err
	}
	return &api.DescribeResourceServerResponse{ResourceServer: resourceServerType(rs)}, nil
}

func (s *Service) updateResourceServer(ctx context.Context, _ Caller, in *api.UpdateResourceServerRequest) (*api.UpdateResourceServerResponse, error) {
	rs, err := s.Directory.UpdateResourceServer(ctx, resourceServer(in.UserPoolID, in.Identifier, in.Name, in.Scopes))
	if err != nil {
		return nil, err
	}
	return &api.UpdateResourceServerResponse{ResourceServer: resourceServerType(rs)}, nil
}

func (s *Service) deleteResourceServer(ctx context.Context, _ Caller, in *api.DeleteResourceServerRequest) (*none, error) {
	if err := s.Directory.DeleteResourceServer(ctx, in.UserPoolID, in.Identifier); err != nil {
		return nil, err
	}
	return &none{}, nil
}

// defaultServers is the size of a page where the request names none; it is the model's greatest.
const defaultServers = 50

func (s *Service) listResourceServers(ctx context.Context, _ Caller, in *api.ListResourceServersRequest) (*api.ListResourceServersResponse, error) {
	limit := defaultServers
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	page, next, err := s.Directory.ResourceServers(ctx, in.UserPoolID, in.NextToken, limit)
	if err != nil {
		return nil, err
	}
	out := &api.ListResourceServersResponse{ResourceServers: []api.ResourceServerType{}, NextToken: next}
	for _, rs := range page {
		out.ResourceServers = append(out.ResourceServers, *resourceServerType(rs))
	}
	return out, nil
}
