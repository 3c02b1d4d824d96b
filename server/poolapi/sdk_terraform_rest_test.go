package poolapi_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
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

func TestTerraformsWayWithAnIdentityProvider(t *testing.T) {
	r, c := newSDKRig(t)
	pool, name := aws.String(servertest.PoolID), aws.String("Partner")
	read := func() *types.IdentityProviderType {
		t.Helper()
		out, err := c.DescribeIdentityProvider(t.Context(), &cognito.DescribeIdentityProviderInput{UserPoolId: pool, ProviderName: name})
		if err != nil {
			t.Fatal(err)
		}
		return out.IdentityProvider
	}
	for kind, sent := range map[types.IdentityProviderTypeType]*cognito.CreateIdentityProviderInput{
		types.IdentityProviderTypeTypeOidc: {
			ProviderDetails: map[string]string{"client_id": "weir", "client_secret": "a secret of weir", "oidc_issuer": servertest.OIDC(t, r.Clock).Issuer(),
				"authorize_scopes": "openid email", "attributes_request_method": "GET"},
			AttributeMapping: map[string]string{"email": "email", "username": "sub"}, IdpIdentifiers: []string{"partner.example"},
		},
		types.IdentityProviderTypeTypeGoogle: {
			ProviderDetails:  map[string]string{"client_id": "weir.apps.googleusercontent.com", "client_secret": "a secret of weir", "authorize_scopes": "openid email"},
			AttributeMapping: map[string]string{"email": "email", "username": "sub"},
		},
		// With what the original adds by itself, which people write into their configuration to have no changes in their plans.
		types.IdentityProviderTypeTypeFacebook: {
			ProviderDetails: map[string]string{"client_id": "1234567890", "client_secret": "a secret of weir", "authorize_scopes": "public_profile,email", "api_version": "v19.0",
				"attributes_url": "https://graph.facebook.com/v19.0/me?fields=", "attributes_url_add_attributes": "true",
				"authorize_url": "https://www.facebook.com/v19.0/dialog/oauth", "token_request_method": "GET",
				"token_url": "https://graph.facebook.com/v19.0/oauth/access_token"},
			AttributeMapping: map[string]string{"email": "email", "username": "id"},
		},
		types.IdentityProviderTypeTypeLoginWithAmazon: {
			ProviderDetails: map[string]string{"client_id": "amzn1.application-oa2-client.0123456789abcdef0123456789abcdef", "client_secret": "a secret of weir",
				"authorize_scopes": "profile", "attributes_url": "https://api.amazon.com/user/profile", "attributes_url_add_attributes": "false",
				"authorize_url": "https://www.amazon.com/ap/oa", "token_request_method": "POST", "token_url": "https://api.amazon.com/auth/o2/token"},
			AttributeMapping: map[string]string{"email": "email", "username": "user_id"},
		},
		types.IdentityProviderTypeTypeSaml: {
			ProviderDetails:  map[string]string{"MetadataFile": samlMetadata(t, r), "IDPSignout": "false", "EncryptedResponses": "true"},
			AttributeMapping: map[string]string{"email": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"},
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			sent.UserPoolId, sent.ProviderName, sent.ProviderType = pool, name, kind
			if _, err := c.CreateIdentityProvider(t.Context(), sent); err != nil {
				t.Fatal(err)
			}
			got := read()
			wantDetails(t, kind, sent.ProviderDetails, got.ProviderDetails)
			if !maps.Equal(got.AttributeMapping, sent.AttributeMapping) || !reflect.DeepEqual(got.IdpIdentifiers, sent.IdpIdentifiers) &&
				len(got.IdpIdentifiers)+len(sent.IdpIdentifiers) > 0 || got.ProviderType != kind || aws.ToString(got.UserPoolId) != *pool {
				t.Errorf("sent %+v, read %+v", sent, got)
			}
			// An update brings only what changes; what it leaves out stays.
			mapping := map[string]string{"email": sent.AttributeMapping["email"], "name": "name"}
			update := &cognito.UpdateIdentityProviderInput{UserPoolId: pool, ProviderName: name, AttributeMapping: mapping}
			if _, err := c.UpdateIdentityProvider(t.Context(), update); err != nil {
				t.Fatal(err)
			}
			changed := read()
			wantDetails(t, kind, sent.ProviderDetails, changed.ProviderDetails)
			if !maps.Equal(changed.AttributeMapping, mapping) || !reflect.DeepEqual(changed.IdpIdentifiers, got.IdpIdentifiers) {
				t.Errorf("after an update of the mapping: %+v", changed)
			}
			// New details are all that was read with the change in it, but for the certificate; lists and maps without an entry take all entries away.
			details := maps.Clone(changed.ProviderDetails)
			delete(details, "ActiveEncryptionCertificate")
			if kind == types.IdentityProviderTypeTypeSaml {
				details["IDPSignout"] = "true"
			} else {
				details["client_secret"] = "another secret of weir"
			}
			update = &cognito.UpdateIdentityProviderInput{UserPoolId: pool, ProviderName: name, ProviderDetails: details, AttributeMapping: map[string]string{}, IdpIdentifiers: []string{}}
			if _, err := c.UpdateIdentityProvider(t.Context(), update); err != nil {
				t.Fatal(err)
			}
			changed = read()
			wantDetails(t, kind, details, changed.ProviderDetails)
			if len(changed.IdpIdentifiers) > 0 || changed.AttributeMapping["name"] != "" {
				t.Errorf("taken away: %+v", changed)
			}
			gone := &cognito.DeleteIdentityProviderInput{UserPoolId: pool, ProviderName: name}
			if _, err := c.DeleteIdentityProvider(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
			_, err := c.DescribeIdentityProvider(t.Context(), &cognito.DescribeIdentityProviderInput{UserPoolId: pool, ProviderName: name})
			_, again := c.DeleteIdentityProvider(t.Context(), gone)
			if !is[*types.ResourceNotFoundException](err) || !is[*types.ResourceNotFoundException](again) {
				t.Errorf("what is gone: %v, %v", err, again)
			}
		})
	}
}

// wantDetails wants what was sent, and no more than the provider passes over: what is derived of SAML's metadata, and Google's addresses.
func wantDetails(t *testing.T, kind types.IdentityProviderTypeType, sent, read map[string]string) {
	t.Helper()
	passed := map[types.IdentityProviderTypeType][]string{
		types.IdentityProviderTypeTypeSaml: {"ActiveEncryptionCertificate", "SSORedirectBindingURI"},
		types.IdentityProviderTypeTypeGoogle: {
			"attributes_url", "attributes_url_add_attributes", "authorize_url", "oidc_issuer", "token_request_method", "token_url"},
	}
	left := maps.Clone(read)
	for _, key := range passed[kind] {
		if _, given := sent[key]; !given {
			delete(left, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		if left[key] != sent[key] {
			t.Errorf("%s: sent %.80q, read %.80q", key, sent[key], left[key])
		}
		delete(left, key)
	}
	if len(left) > 0 {
		t.Errorf("not sent: %.500q", fmt.Sprint(left))
	}
}

// samlMetadata is the metadata of a SAML provider as a file.
func samlMetadata(t *testing.T, r *rig) string {
	t.Helper()
	doc, err := servertest.SAML(t, r.Clock).Metadata()
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func TestTerraformsWayWithTheLooksOfThePages(t *testing.T) {
	_, c := newSDKRig(t)
	pool := aws.String(servertest.PoolID)
	for _, client := range []*string{nil, aws.String(servertest.SPAClient)} {
		read := func() *types.UICustomizationType {
			t.Helper()
			out, err := c.GetUICustomization(t.Context(), &cognito.GetUICustomizationInput{UserPoolId: pool, ClientId: client})
			if err != nil || out.UICustomization == nil {
				t.Fatalf("%+v %v", out, err)
			}
			return out.UICustomization
		}
		// An empty one is none.
		if got := read(); !reflect.DeepEqual(got, &types.UICustomizationType{}) {
			t.Errorf("before: %+v", got)
		}
		sent := &cognito.SetUICustomizationInput{UserPoolId: pool, ClientId: client, CSS: aws.String(".label-customizable { font-weight: 400; }")}
		if _, err := c.SetUICustomization(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		if got := read(); aws.ToString(got.CSS) != *sent.CSS || got.CreationDate == nil || got.LastModifiedDate == nil || aws.ToString(got.ClientId) == "" {
			t.Errorf("sent %+v, read %+v", sent, got)
		}
		if _, err := c.SetUICustomization(t.Context(), &cognito.SetUICustomizationInput{UserPoolId: pool, ClientId: client}); err != nil {
			t.Fatal(err)
		}
		if got := read(); !reflect.DeepEqual(got, &types.UICustomizationType{}) {
			t.Errorf("after: %+v", got)
		}
	}
}
