package poolapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

func poolOperations() []operation {
	return []operation{
		op("CreateUserPool", admin, (*Service).createUserPool),
		op("DescribeUserPool", admin, (*Service).describeUserPool),
		op("UpdateUserPool", admin, (*Service).updateUserPool),
		op("DeleteUserPool", admin, (*Service).deleteUserPool),
		op("ListUserPools", admin, (*Service).listUserPools),
		op("AddCustomAttributes", admin, (*Service).addCustomAttributes),
		op("GetSigningCertificate", admin, (*Service).getSigningCertificate),
	}
}

// takenAs gives a name that is somebody else's the error that the original has for it; other errors stay what they are.
func takenAs(kind string, err error) error {
	if errors.Is(err, pool.ErrTaken) {
		return refuse(kind, fault.PublicOf(err), err)
	}
	return err
}

const active = "ACTIVE"

func (s *Service) createUserPool(ctx context.Context, by Caller, in *api.CreateUserPoolRequest) (*api.CreateUserPoolResponse, error) {
	settings, err := settingsOf(in)
	if err != nil {
		return nil, err
	}
	schema, err := pool.SchemaFrom(schemaSpecs(in.Schema))
	if err != nil {
		return nil, err
	}
	settings.SmsMfa = settings.Mfa() && settings.SmsConfiguration != nil
	p, err := s.Directory.CreatePool(ctx, pool.Pool{
		Name: in.PoolName, Schema: schema, UsernameAttributes: in.UsernameAttributes, AliasAttributes: in.AliasAttributes,
		DeletionProtection: in.DeletionProtection == active, Tags: in.UserPoolTags, Settings: settings,
	})
	if err != nil {
		return nil, err
	}
	by.Note("pool", p.ID)
	out := s.userPool(p)
	out.EstimatedNumberOfUsers = new(0)
	return &api.CreateUserPoolResponse{UserPool: out}, nil
}

// settingsOf are the settings in a request. The members of pool.Settings have the names of the requests', so they are read by name.
func settingsOf(request any) (pool.Settings, error) {
	var out pool.Settings
	data, err := json.Marshal(request)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return out, fmt.Errorf("read the settings of a user pool: %w", err)
	}
	return out, nil
}

func (s *Service) describeUserPool(ctx context.Context, by Caller, in *api.DescribeUserPoolRequest) (*api.DescribeUserPoolResponse, error) {
	out := s.userPool(by.Pool)
	n, err := s.Directory.EstimateUsers(ctx, in.UserPoolID)
	if err != nil {
		return nil, err
	}
	out.EstimatedNumberOfUsers = &n
	return &api.DescribeUserPoolResponse{UserPool: out}, nil
}

// updateUserPool replaces all settings: what the request leaves out goes to its default, as the original documents it. Second factors but
// for MfaConfiguration are SetUserPoolMfaConfig's, and what is fixed for ever stays. Tags that are not sent stay too: Terraform's provider sends none, and
// finds its own afterwards.
func (s *Service) updateUserPool(ctx context.Context, _ Caller, in *api.UpdateUserPoolRequest) (*api.UpdateUserPoolResponse, error) {
	settings, err := settingsOf(in)
	if err != nil {
		return nil, err
	}
	_, err = s.Directory.ChangePool(ctx, in.UserPoolID, func(p *pool.Pool) error {
		old, next := p.Settings, settings
		next.UsernameConfiguration = old.UsernameConfiguration
		next.SoftwareTokenMfa, next.EmailMfa, next.WebAuthn = old.SoftwareTokenMfa, old.EmailMfa, old.WebAuthn
		next.SmsMfa = next.SmsConfiguration != nil && (old.SmsMfa || !old.Mfa() && next.Mfa())
		p.Settings, p.DeletionProtection = next, in.DeletionProtection == active
		if in.UserPoolTags != nil {
			p.Tags = in.UserPoolTags
		}
		if in.PoolName != "" {
			p.Name = in.PoolName
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateUserPoolResponse{}, nil
}

func (s *Service) deleteUserPool(ctx context.Context, _ Caller, in *api.DeleteUserPoolRequest) (*none, error) {
	if err := s.Broker.DeletePool(ctx, in.UserPoolID); err != nil {
		return nil, err
	}
	return &none{}, nil
}

func (s *Service) listUserPools(ctx context.Context, by Caller, in *api.ListUserPoolsRequest) (*api.ListUserPoolsResponse, error) {
	page, next, err := s.poolsOf(ctx, by.Key, in.NextToken, *in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &api.ListUserPoolsResponse{UserPools: []api.UserPoolDescriptionType{}, NextToken: next}
	for _, p := range page {
		out.UserPools = append(out.UserPools, api.UserPoolDescriptionType{
			ID: p.ID, Name: p.Name, LambdaConfig: &api.LambdaConfigType{}, CreationDate: api.TimeOf(p.Created), LastModifiedDate: api.TimeOf(p.Modified),
		})
	}
	return out, nil
}

// poolsOf is a page of the pools that a key may see. One for some pools names them, so that the others' are not read to be left out.
func (s *Service) poolsOf(ctx context.Context, key sigv4.Key, token string, limit int) ([]pool.Pool, string, error) {
	if len(key.Pools) == 0 {
		return s.Directory.Pools(ctx, token, limit)
	}
	var own []pool.Pool
	for _, id := range slices.Compact(slices.Sorted(slices.Values(key.Pools))) {
		p, err := s.Directory.Pool(ctx, id)
		if err == nil {
			own = append(own, p)
		} else if fault.CodeOf(err) != fault.NotFound {
			return nil, "", err
		}
	}
	return pageOf(s, own, "pools of the key "+key.ID, token, limit)
}

func (s *Service) addCustomAttributes(ctx context.Context, _ Caller, in *api.AddCustomAttributesRequest) (*api.AddCustomAttributesResponse, error) {
	if _, err := s.Directory.AddAttributes(ctx, in.UserPoolID, schemaSpecs(in.CustomAttributes)); err != nil {
		return nil, err
	}
	return &api.AddCustomAttributesResponse{}, nil
}

func (s *Service) getSigningCertificate(ctx context.Context, _ Caller, in *api.GetSigningCertificateRequest) (*api.GetSigningCertificateResponse, error) {
	pair, err := s.SAMLKeys.Signing(ctx, in.UserPoolID)
	if err != nil {
		return nil, err
	}
	return &api.GetSigningCertificateResponse{Certificate: base64.StdEncoding.EncodeToString(pair.Certificate.Raw)}, nil
}

// schemaSpecs are the attributes of a request.
func schemaSpecs(in []api.SchemaAttributeType) []pool.SchemaSpec {
	var out []pool.SchemaSpec
	for _, a := range in {
		spec := pool.SchemaSpec{
			Name: a.Name, AttributeDataType: a.AttributeDataType, Mutable: a.Mutable,
			DeveloperOnlyAttribute: is(a.DeveloperOnlyAttribute), Required: is(a.Required),
		}
		// Terraform sends both kinds of constraints where an attribute has neither, so an empty one says nothing.
		if c := a.StringAttributeConstraints; c != nil && *c != (api.StringAttributeConstraintsType{}) {
			spec.StringAttributeConstraints = &pool.StringConstraint{MinLength: c.MinLength, MaxLength: c.MaxLength}
		}
		if c := a.NumberAttributeConstraints; c != nil && *c != (api.NumberAttributeConstraintsType{}) {
			spec.NumberAttributeConstraints = &pool.NumberConstraint{MinValue: c.MinValue, MaxValue: c.MaxValue}
		}
		out = append(out, spec)
	}
	return out
}

// userPool is a pool on the wire, without the number of its users.
func (s *Service) userPool(p pool.Pool) *api.UserPoolType {
	c := p.Settings
	out := &api.UserPoolType{
		ID: p.ID, Name: p.Name, Arn: s.arnOf(p.ID), CreationDate: api.TimeOf(p.Created), LastModifiedDate: api.TimeOf(p.Modified),
		DeletionProtection: "INACTIVE", UserPoolTags: p.Tags, LambdaConfig: c.LambdaConfig,
		UsernameAttributes: p.UsernameAttributes, AliasAttributes: p.AliasAttributes, AutoVerifiedAttributes: c.AutoVerifiedAttributes,
		Policies: c.Policies, AdminCreateUserConfig: c.AdminCreateUserConfig, UsernameConfiguration: c.UsernameConfiguration,
		VerificationMessageTemplate: c.VerificationMessageTemplate, SmsVerificationMessage: c.SmsVerificationMessage,
		EmailVerificationMessage: c.EmailVerificationMessage, EmailVerificationSubject: c.EmailVerificationSubject,
		SmsAuthenticationMessage: c.SmsAuthenticationMessage, UserAttributeUpdateSettings: c.UserAttributeUpdateSettings,
		DeviceConfiguration: c.DeviceConfiguration, EmailConfiguration: c.EmailConfiguration, SmsConfiguration: c.SmsConfiguration,
		AccountRecoverySetting: c.AccountRecoverySetting, UserPoolAddOns: c.UserPoolAddOns, UserPoolTier: c.UserPoolTier,
		MfaConfiguration: c.MfaConfiguration, KeyConfiguration: c.KeyConfiguration, IssuerConfiguration: c.IssuerConfiguration,
	}
	out.Domain, out.CustomDomain = p.PrefixAndCustom()
	if p.DeletionProtection {
		out.DeletionProtection = active
	}
	// The original says that there are none, and clients look into them.
	if out.UserPoolTags == nil {
		out.UserPoolTags = map[string]string{}
	}
	if out.LambdaConfig == nil {
		out.LambdaConfig = &api.LambdaConfigType{}
	}
	for _, a := range p.Schema {
		out.SchemaAttributes = append(out.SchemaAttributes, schemaAttribute(a))
	}
	return out
}

func schemaAttribute(a pool.SchemaAttribute) api.SchemaAttributeType {
	out := api.SchemaAttributeType{
		Name: a.Name, AttributeDataType: a.DataType, Mutable: &a.Mutable, Required: &a.Required, DeveloperOnlyAttribute: &a.DeveloperOnly,
	}
	switch a.DataType {
	case "String":
		c := &api.StringAttributeConstraintsType{}
		if a.String != nil {
			c.MinLength, c.MaxLength = text(a.String.Min, strconv.Itoa), text(a.String.Max, strconv.Itoa)
		}
		out.StringAttributeConstraints = c
	case "Number":
		c := &api.NumberAttributeConstraintsType{}
		decimal := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
		if a.Number != nil {
			c.MinValue, c.MaxValue = text(a.Number.Min, decimal), text(a.Number.Max, decimal)
		}
		out.NumberAttributeConstraints = c
	}
	return out
}

func text[T any](v *T, format func(T) string) string {
	if v == nil {
		return ""
	}
	return format(*v)
}
