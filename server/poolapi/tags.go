package poolapi

import (
	"context"

	"github.com/weir-id/weir/federation/pool/api"
)

func tagOperations() []operation {
	return []operation{
		op("TagResource", admin, (*Service).tagResource),
		op("UntagResource", admin, (*Service).untagResource),
		op("ListTagsForResource", admin, (*Service).listTagsForResource),
	}
}

// tagged is the id of the pool that an ARN names. Any partition, region and account will do, see poolOfARN.
func tagged(arn string) (string, error) {
	id, err := poolOfARN(arn)
	if err != nil {
		return "", refuse("InvalidParameterException", "ResourceArn must be the ARN of a user pool.", err)
	}
	return id, nil
}

func (s *Service) tagResource(ctx context.Context, _ Caller, in *api.TagResourceRequest) (*api.TagResourceResponse, error) {
	id, err := tagged(in.ResourceArn)
	if err == nil {
		err = s.Directory.Tag(ctx, id, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	return &api.TagResourceResponse{}, nil
}

func (s *Service) untagResource(ctx context.Context, _ Caller, in *api.UntagResourceRequest) (*api.UntagResourceResponse, error) {
	id, err := tagged(in.ResourceArn)
	if err == nil {
		err = s.Directory.Untag(ctx, id, in.TagKeys)
	}
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceResponse{}, nil
}

func (s *Service) listTagsForResource(ctx context.Context, _ Caller, in *api.ListTagsForResourceRequest) (*api.ListTagsForResourceResponse, error) {
	id, err := tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	p, err := s.Directory.Pool(ctx, id)
	if err != nil {
		return nil, err
	}
	return &api.ListTagsForResourceResponse{Tags: s.userPool(p).UserPoolTags}, nil
}
