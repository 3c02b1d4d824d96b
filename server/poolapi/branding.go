package poolapi

import (
	"cmp"
	"context"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

func brandingOperations() []operation {
	return []operation{
		op("GetUICustomization", admin, (*Service).getUICustomization),
		op("SetUICustomization", admin, (*Service).setUICustomization),
	}
}

func (s *Service) getUICustomization(ctx context.Context, _ Caller, in *api.GetUICustomizationRequest) (*api.GetUICustomizationResponse, error) {
	l, err := s.Directory.LookOf(ctx, in.UserPoolID, cmp.Or(in.ClientID, pool.AllClients))
	if err != nil {
		return nil, err
	}
	return &api.GetUICustomizationResponse{UICustomization: uiCustomization(l)}, nil
}

func (s *Service) setUICustomization(ctx context.Context, _ Caller, in *api.SetUICustomizationRequest) (*api.SetUICustomizationResponse, error) {
	l, err := s.Directory.SetLook(ctx, in.UserPoolID, cmp.Or(in.ClientID, pool.AllClients), in.CSS, in.ImageFile)
	if err != nil {
		return nil, err
	}
	return &api.SetUICustomizationResponse{UICustomization: uiCustomization(l)}, nil
}

// uiCustomization is a look on the wire, empty where there is none. It has no ImageUrl: the image is kept and not served yet.
func uiCustomization(l pool.Look) *api.UICustomizationType {
	if l.Created.IsZero() {
		return &api.UICustomizationType{}
	}
	return &api.UICustomizationType{
		UserPoolID: l.PoolID, ClientID: l.ClientID, CSS: l.CSS, CSSVersion: l.Modified.UTC().Format("20060102150405"),
		CreationDate: api.TimeOf(l.Created), LastModifiedDate: api.TimeOf(l.Modified),
	}
}
