package poolapi

import (
	"context"
	"strings"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func domainOperations() []operation {
	return []operation{
		op("CreateUserPoolDomain", admin, (*Service).createUserPoolDomain),
		op("DescribeUserPoolDomain", admin, (*Service).describeUserPoolDomain),
		op("UpdateUserPoolDomain", admin, (*Service).updateUserPoolDomain),
		op("DeleteUserPoolDomain", admin, (*Service).deleteUserPoolDomain),
	}
}

// target is what the name of a custom domain has to point to: the host of this deployment. Certificates are its administrator's affair.
func (s *Service) target() string { return s.Site.Base.Hostname() }

// domainSettings are those of a request. Routing between regions does not exist here, and storing it would look as if it did.
func domainSettings(c *api.CustomDomainConfigType, version *int, routing *api.RoutingType) (pool.DomainSettings, error) {
	var out pool.DomainSettings
	if routing != nil && routing.Failover != nil {
		return out, fault.New(fault.Invalid, "Routing: failover between regions is not supported.", nil)
	}
	if version != nil {
		if *version != 1 && *version != 2 {
			return out, fault.New(fault.Invalid, "ManagedLoginVersion must be 1 or 2.", nil)
		}
		out.ManagedLoginVersion = *version
	}
	if c != nil {
		out.CertificateArn, out.SecurityPolicy = c.CertificateArn, c.SecurityPolicy
	}
	return out, nil
}

func (s *Service) createUserPoolDomain(ctx context.Context, _ Caller, in *api.CreateUserPoolDomainRequest) (*api.CreateUserPoolDomainResponse, error) {
	settings, err := domainSettings(in.CustomDomainConfig, in.ManagedLoginVersion, in.Routing)
	if err != nil {
		return nil, err
	}
	if host := s.target(); in.Domain == host || strings.HasSuffix(in.Domain, "."+host) {
		return nil, fault.New(fault.Invalid, "A custom domain cannot be a name under this deployment's own host: use a prefix.", nil)
	}
	p, err := s.Directory.CreateDomain(ctx, in.UserPoolID, in.Domain, settings)
	if err != nil {
		return nil, takenAs("InvalidParameterException", err)
	}
	out := &api.CreateUserPoolDomainResponse{ManagedLoginVersion: managedLogin(p, in.Domain)}
	if in.CustomDomainConfig != nil {
		out.CloudFrontDomain = s.target()
	}
	return out, nil
}

func managedLogin(p pool.Pool, domain string) *int {
	return new(max(p.Domains[domain].ManagedLoginVersion, 1))
}

// describeUserPoolDomain answers with an empty description where no pool has the domain, or none that the key may see.
func (s *Service) describeUserPoolDomain(
	ctx context.Context, by Caller, in *api.DescribeUserPoolDomainRequest,
) (*api.DescribeUserPoolDomainResponse, error) {
	out := &api.DescribeUserPoolDomainResponse{DomainDescription: &api.DomainDescriptionType{}}
	p, err := s.Directory.PoolByDomain(ctx, in.Domain)
	if fault.CodeOf(err) == fault.NotFound || err == nil && !by.Key.AllowsPool(p.ID) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	*out.DomainDescription = api.DomainDescriptionType{
		Domain: in.Domain, UserPoolID: p.ID, AWSAccountID: account, CloudFrontDistribution: s.target(), Status: active,
		ManagedLoginVersion: managedLogin(p, in.Domain), CustomDomainConfig: &api.CustomDomainConfigType{},
	}
	if c := p.Domains[in.Domain]; c.CertificateArn != "" {
		out.DomainDescription.CustomDomainConfig = &api.CustomDomainConfigType{CertificateArn: c.CertificateArn, SecurityPolicy: c.SecurityPolicy}
	}
	return out, nil
}

func (s *Service) updateUserPoolDomain(ctx context.Context, _ Caller, in *api.UpdateUserPoolDomainRequest) (*api.UpdateUserPoolDomainResponse, error) {
	settings, err := domainSettings(in.CustomDomainConfig, in.ManagedLoginVersion, in.Routing)
	if err != nil {
		return nil, err
	}
	p, err := s.Directory.UpdateDomain(ctx, in.UserPoolID, in.Domain, settings)
	if err != nil {
		return nil, err
	}
	out := &api.UpdateUserPoolDomainResponse{ManagedLoginVersion: managedLogin(p, in.Domain)}
	if p.Domains[in.Domain].CertificateArn != "" {
		out.CloudFrontDomain = s.target()
	}
	return out, nil
}

func (s *Service) deleteUserPoolDomain(ctx context.Context, _ Caller, in *api.DeleteUserPoolDomainRequest) (*api.DeleteUserPoolDomainResponse, error) {
	if err := s.Directory.DeleteDomain(ctx, in.UserPoolID, in.Domain); err != nil {
		return nil, err
	}
	return &api.DeleteUserPoolDomainResponse{}, nil
}
