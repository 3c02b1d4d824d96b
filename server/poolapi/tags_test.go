package poolapi_test

import (
	"fmt"
	"reflect"
)

func tagContracts() map[string]contract {
	// Of an ARN the id counts; partition, region and account are another deployment's.
	arn := func(id string) string { return "arn:aws-cn:cognito-idp:eu-west-1:123456789012:userpool/" + id }
	tags := func(r *rig, arn any) body {
		r.Helper()
		return r.must("ListTagsForResource", body{"ResourceArn": arn})["Tags"].(body)
	}
	in := func(name string) func(r *rig) body {
		return func(r *rig) body {
			id := newPool(r, name)
			r.must("UpdateUserPool", body{"UserPoolId": id, "UserPoolTags": body{"a": "1", "b": "2"}})
			return body{"ResourceArn": arn(id), "Tags": body{"b": "3", "c": ""}, "TagKeys": []any{"a", "unknown"}}
		}
	}
	refusals := []refused{
		{"unknown pool", "ResourceNotFoundException", "does not exist", func(_ *rig, in body) { in["ResourceArn"] = arn("local_Nowhere01") }},
		{"not a pool", "InvalidParameterException", "ARN of a user pool", func(_ *rig, in body) { in["ResourceArn"] = "arn:aws:s3:eu-west-1:123456789012:bucket" }},
	}
	return map[string]contract{
		"TagResource": {
			in: in("tagged"),
			check: func(r *rig, in, _ body) {
				if got := tags(r, in["ResourceArn"]); !reflect.DeepEqual(got, body{"a": "1", "b": "3", "c": ""}) {
					r.Errorf("tags %v", got)
				}
			},
			refusals: append([]refused{
				{"of AWS", "InvalidParameterException", "must not begin with aws:", func(_ *rig, in body) { in["Tags"] = body{"aws:x": "y"} }},
				{"too many", "InvalidParameterException", "at most 50 tags", func(_ *rig, in body) {
					many := body{}
					for i := range 49 {
						many[fmt.Sprint(i)] = "x"
					}
					in["Tags"] = many
				}},
			}, refusals...),
		},
		"UntagResource": {
			in: in("untagged"),
			check: func(r *rig, in, _ body) {
				if got := tags(r, in["ResourceArn"]); !reflect.DeepEqual(got, body{"b": "2"}) {
					r.Errorf("tags %v", got)
				}
			},
			refusals: refusals,
		},
		"ListTagsForResource": {
			in: in("listed"),
			check: func(r *rig, _, out body) {
				if !reflect.DeepEqual(out, body{"Tags": body{"a": "1", "b": "2"}}) {
					r.Errorf("tags %v", out)
				}
			},
			refusals: refusals,
		},
	}
}
