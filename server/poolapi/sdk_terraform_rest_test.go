package poolapi_test

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/weir-id/weir/server/servertest"
)

func TestTerraformsWayWithADomain(t *testing.T) {
	_, c := newSDKRig(t)
	made, err := c.CreateUserPool(t.Context(), &cognito.CreateUserPoolInput{PoolName: aws.String("with a domain")})
	if err != nil {
		t.Fatal(err)
	}
	pool, domain := made.UserPool.Id, aws.String("terraformed")
	// The provider asks until the state is ACTIVE, or after a deletion until there is none; what is not there is an empty description, and no error.
	describe := func() *types.DomainDescriptionType {
		t.Helper()
		out, err := c.DescribeUserPoolDomain(t.Context(), &cognito.DescribeUserPoolDomainInput{Domain: domain})
		if err != nil || out.DomainDescription == nil {
			t.Fatalf("%+v %v", out, err)
		}
		return out.DomainDescription
	}
	if d := describe(); d.Status != "" {
		t.Errorf("before: %+v", d)
	}
	if _, err := c.CreateUserPoolDomain(t.Context(), &cognito.CreateUserPoolDomainInput{Domain: domain, UserPoolId: pool}); err != nil {
		t.Fatal(err)
	}
	if d := describe(); d.Status != types.DomainStatusTypeActive || aws.ToString(d.UserPoolId) != *pool || aws.ToString(d.Domain) != *domain || d.CustomDomainConfig != nil &&
		aws.ToString(d.CustomDomainConfig.CertificateArn) != "" {
		t.Errorf("%+v", d)
	}
	p, err := c.DescribeUserPool(t.Context(), &cognito.DescribeUserPoolInput{UserPoolId: pool})
	if err != nil || aws.ToString(p.UserPool.Domain) != *domain {
		t.Errorf("the pool's domain: %+v %v", p, err)
	}
	if _, err := c.DeleteUserPoolDomain(t.Context(), &cognito.DeleteUserPoolDomainInput{Domain: domain, UserPoolId: pool}); err != nil {
		t.Fatal(err)
	}
	if d := describe(); d.Status != "" {
		t.Errorf("after: %+v", d)
	}
}

func TestTerraformsWayWithAResourceServer(t *testing.T) {
	_, c := newSDKRig(t)
	pool, identifier := aws.String(servertest.PoolID), aws.String("https://books.example.com")
	read := func() *types.ResourceServerType {
		t.Helper()
		out, err := c.DescribeResourceServer(t.Context(), &cognito.DescribeResourceServerInput{UserPoolId: pool, Identifier: identifier})
		if err != nil {
			t.Fatal(err)
		}
		return out.ResourceServer
	}
	scope := func(name string) types.ResourceServerScopeType {
		return types.ResourceServerScopeType{ScopeName: aws.String(name), ScopeDescription: aws.String("to " + name)}
	}
	sent := &cognito.CreateResourceServerInput{UserPoolId: pool, Identifier: identifier, Name: aws.String("Books"), Scopes: []types.ResourceServerScopeType{scope("read")}}
	if _, err := c.CreateResourceServer(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	wantGiven(t, sent, read(), nil)
	for _, scopes := range [][]types.ResourceServerScopeType{{scope("read"), scope("write")}, {scope("write")}, {}} {
		update := &cognito.UpdateResourceServerInput{UserPoolId: pool, Identifier: identifier, Name: sent.Name, Scopes: scopes}
		if _, err := c.UpdateResourceServer(t.Context(), update); err != nil {
			t.Fatal(err)
		}
		if got := read(); len(got.Scopes) != len(scopes) || len(scopes) > 0 && !reflect.DeepEqual(got.Scopes, scopes) {
			t.Errorf("sent %+v, read %+v", scopes, got.Scopes)
		}
	}
	gone := &cognito.DeleteResourceServerInput{UserPoolId: pool, Identifier: identifier}
	if _, err := c.DeleteResourceServer(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	_, err := c.DescribeResourceServer(t.Context(), &cognito.DescribeResourceServerInput{UserPoolId: pool, Identifier: identifier})
	_, again := c.DeleteResourceServer(t.Context(), gone)
	if !is[*types.ResourceNotFoundException](err) || !is[*types.ResourceNotFoundException](again) {
		t.Errorf("what is gone: %v, %v", err, again)
	}
}
