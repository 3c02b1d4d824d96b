package poolapi

import (
	"context"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func mfaOperations() []operation {
	return []operation{
		op("GetUserPoolMfaConfig", admin, (*Service).getUserPoolMfaConfig),
		op("SetUserPoolMfaConfig", admin, (*Service).setUserPoolMfaConfig),
	}
}

func (s *Service) getUserPoolMfaConfig(_ context.Context, by Caller, _ *api.GetUserPoolMfaConfigRequest) (*api.GetUserPoolMfaConfigResponse, error) {
	out := api.GetUserPoolMfaConfigResponse(mfaOf(by.Pool.Settings))
	return &out, nil
}

// setUserPoolMfaConfig replaces the second factors: one that the request leaves out is off. How text messages are sent stays, since
// it is not for second factors alone.
func (s *Service) setUserPoolMfaConfig(ctx context.Context, _ Caller, in *api.SetUserPoolMfaConfigRequest) (*api.SetUserPoolMfaConfigResponse, error) {
	token := in.SoftwareTokenMfaConfiguration
	if in.MfaConfiguration == "OFF" && (in.SmsMfaConfiguration != nil || token != nil && token.Enabled != nil && *token.Enabled) {
		return nil, fault.New(fault.Invalid, "Invalid MFA configuration given, can't turn off MFA and configure an MFA together.", nil)
	}
	p, err := s.Directory.ChangePool(ctx, in.UserPoolID, func(p *pool.Pool) error {
		c := &p.Settings
		if in.MfaConfiguration != "" { // left out it must not turn off what people are held to
			c.MfaConfiguration = in.MfaConfiguration
		}
		c.SoftwareTokenMfa = token
		c.EmailMfa, c.WebAuthn = in.EmailMfaConfiguration, in.WebAuthnConfiguration
		if c.SmsMfa = in.SmsMfaConfiguration != nil; !c.SmsMfa {
			return nil
		}
		if in.SmsMfaConfiguration.SmsConfiguration != nil {
			c.SmsConfiguration = in.SmsMfaConfiguration.SmsConfiguration
		}
		if in.SmsMfaConfiguration.SmsAuthenticationMessage != "" {
			c.SmsAuthenticationMessage = in.SmsMfaConfiguration.SmsAuthenticationMessage
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := mfaOf(p.Settings)
	return &out, nil
}

func mfaOf(c pool.Settings) api.SetUserPoolMfaConfigResponse {
	out := api.SetUserPoolMfaConfigResponse{
		MfaConfiguration: c.MfaConfiguration, SoftwareTokenMfaConfiguration: c.SoftwareTokenMfa,
		EmailMfaConfiguration: c.EmailMfa, WebAuthnConfiguration: c.WebAuthn,
	}
	if c.SmsMfa {
		out.SmsMfaConfiguration = &api.SmsMfaConfigType{SmsConfiguration: c.SmsConfiguration, SmsAuthenticationMessage: c.SmsAuthenticationMessage}
	}
	return out
}
