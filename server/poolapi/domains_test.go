package poolapi_test

import (
	"reflect"

	"github.com/weir-id/weir/server/servertest"
)

const certificateARN = "arn:aws:acm:us-east-1:123456789012:certificate/a"

func domainContracts() map[string]contract {
	return map[string]contract{
		"CreateUserPoolDomain": createDomainContract(),
		"DescribeUserPoolDomain": {
			in: func(*rig) body { return body{"Domain": "acme"} },
			check: func(r *rig, _, out body) {
				wantMembers(r, body{"Domain": "acme", "UserPoolId": servertest.PoolID, "Status": "ACTIVE", "AWSAccountId": "000000000000",
					"CloudFrontDistribution": "login.test", "ManagedLoginVersion": 1, "CustomDomainConfig": body{}}, out["DomainDescription"].(body))
				// What nobody has is an answer, not an error.
				if got := r.must("DescribeUserPoolDomain", body{"Domain": "unknown"}); !reflect.DeepEqual(got, body{"DomainDescription": body{}}) {
					r.Errorf("unknown: %v", got)
				}
			},
		},
		"UpdateUserPoolDomain": {
			in: func(r *rig) body {
				id := newPool(r, "with a custom domain")
				r.must("CreateUserPoolDomain", body{"UserPoolId": id, "Domain": "update.example.com", "CustomDomainConfig": body{"CertificateArn": certificateARN}})
				return body{"UserPoolId": id, "Domain": "update.example.com", "ManagedLoginVersion": 2,
					"CustomDomainConfig": body{"CertificateArn": certificateARN + "b"}}
			},
			check: func(r *rig, in, out body) {
				wantMembers(r, body{"CloudFrontDomain": "login.test", "ManagedLoginVersion": 2}, out)
				got := r.must("DescribeUserPoolDomain", body{"Domain": in["Domain"]})["DomainDescription"].(body)
				wantMembers(r, in, got)
				r.must("UpdateUserPoolDomain", body{"UserPoolId": in["UserPoolId"], "Domain": in["Domain"]}) // what is left out stays
				wantMembers(r, in, r.must("DescribeUserPoolDomain", body{"Domain": in["Domain"]})["DomainDescription"].(body))
			},
			refusals: []refused{
				{"another pool's", "InvalidParameterException", "No such domain or user pool exists.", func(_ *rig, in body) { in["Domain"] = "acme" }},
				{"a version that is none", "InvalidParameterException", "ManagedLoginVersion must be 1 or 2", func(_ *rig, in body) { in["ManagedLoginVersion"] = 0 }},
			},
		},
		"DeleteUserPoolDomain": {
			in: func(r *rig) body {
				in := body{"UserPoolId": newPool(r, "with a prefix"), "Domain": "given-up"}
				r.must("CreateUserPoolDomain", in)
				return in
			},
			check: func(r *rig, in, _ body) {
				if got := describe(r, in["UserPoolId"].(string)); got["Domain"] != nil {
					r.Errorf("domain %v", got["Domain"])
				}
				r.must("CreateUserPoolDomain", body{"UserPoolId": newPool(r, "next"), "Domain": in["Domain"]})
			},
			refusals: []refused{
				{"another pool's", "InvalidParameterException", "No such domain or user pool exists.", func(_ *rig, in body) { in["Domain"] = "acme" }},
			},
		},
	}
}

func createDomainContract() contract {
	const invalid = "InvalidParameterException"
	return contract{
		in: func(r *rig) body {
			return body{"UserPoolId": newPool(r, "to get a domain"), "Domain": "login.example.com", "ManagedLoginVersion": 2,
				"CustomDomainConfig": body{"CertificateArn": certificateARN}}
		},
		check: func(r *rig, in, out body) {
			wantMembers(r, body{"CloudFrontDomain": "login.test", "ManagedLoginVersion": 2}, out)
			if got := r.must("CreateUserPoolDomain", body{"UserPoolId": in["UserPoolId"], "Domain": "beside"}); got["CloudFrontDomain"] != nil {
				r.Errorf("a prefix: %v", got)
			}
			wantMembers(r, body{"Domain": "beside", "CustomDomain": "login.example.com"}, describe(r, in["UserPoolId"].(string)))
			wantMembers(r, in, r.must("DescribeUserPoolDomain", body{"Domain": in["Domain"]})["DomainDescription"].(body))
		},
		refusals: []refused{
			{"another pool's", invalid, "Domain already associated with another user pool.", func(_ *rig, in body) {
				in["Domain"] = "acme"
				delete(in, "CustomDomainConfig")
			}},
			{"a second one", invalid, "Domain already exists.", func(r *rig, in body) {
				r.must("CreateUserPoolDomain", in)
				in["Domain"] = "more.example.com"
			}},
			{"a reserved word", invalid, "Domain cannot contain reserved word: cognito", func(_ *rig, in body) {
				in["Domain"] = "my-cognito"
				delete(in, "CustomDomainConfig")
			}},
			{"a custom domain without a certificate", invalid, "invalid character", func(_ *rig, in body) { delete(in, "CustomDomainConfig") }},
			{"a prefix with one", invalid, "must be a full domain name", func(_ *rig, in body) { in["Domain"] = "login" }},
			{"under our own host", invalid, "use a prefix", func(_ *rig, in body) { in["Domain"] = "acme.login.test" }},
			{"routing", invalid, "failover between regions is not supported", func(_ *rig, in body) {
				in["Routing"] = body{"Failover": body{"SecondaryRegion": "eu-west-1", "PrimaryRoute53HealthCheckId": "abcdefab-1234-1234-1234-abcdefabcdef"}}
			}},
		},
	}
}
