package poolapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// plainDetails are a spec's details as JSON has them.
func plainDetails(s pool.ProviderSpec) body {
	out := body{}
	for k, v := range s.ProviderDetails {
		out[k] = v.Reveal()
	}
	return out
}

// newProvider is a whole input for a provider that is up.
func (r *rig) newProvider(name string) body {
	r.Helper()
	up := servertest.OIDC(r.T, r.Clock)
	return inPool(body{
		"ProviderName": name, "ProviderType": "OIDC", "ProviderDetails": plainDetails(servertest.Provider(name, up)),
		"AttributeMapping": body{"email": "email", "username": "sub"}, "IdpIdentifiers": []any{"partner.example"},
	})
}

// partner makes a provider and returns an input that names it.
func (r *rig) partner() body {
	r.Helper()
	in := inPool(body{"ProviderName": "Partner"})
	if r.call("DescribeIdentityProvider", in).Status != http.StatusOK {
		r.must("CreateIdentityProvider", r.newProvider("Partner"))
	}
	return in
}

// provider is what describing a provider gives.
func (r *rig) provider(name string) body {
	r.Helper()
	return r.must("DescribeIdentityProvider", inPool(body{"ProviderName": name}))["IdentityProvider"].(body)
}

var noProvider = refused{"no such provider", "ResourceNotFoundException", "Identity provider Nobodys does not exist.", func(_ *rig, in body) { in["ProviderName"] = "Nobodys" }}

func detailed(key string, value any) func(*rig, body) {
	return func(_ *rig, in body) {
		d := maps.Clone(in["ProviderDetails"].(body))
		d[key] = value
		in["ProviderDetails"] = d
	}
}

func providerContracts() map[string]contract {
	refusals := []refused{
		{"an issuer that is nobody", "InvalidParameterException", "ProviderDetails.oidc_issuer: 127.0.0.1 could not be reached", detailed("oidc_issuer", "http://127.0.0.1:1")},
		{"an address without discovery", "InvalidParameterException", "ProviderDetails.oidc_issuer: 127.0.0.1 has no discovery document", func(r *rig, in body) {
			srv := httptest.NewServer(http.NotFoundHandler())
			r.Cleanup(srv.Close)
			detailed("oidc_issuer", srv.URL)(r, in)
		}},
		{"a detail of no kind", "InvalidParameterException", "ProviderDetails.colour: unknown key", detailed("colour", "blue")},
		{"an identifier of another", "InvalidParameterException", "IdpIdentifiers: Another identity provider", func(_ *rig, in body) { in["IdpIdentifiers"] = []any{"Corp.Example"} }},
		{"linking by addresses without domains", "InvalidParameterException", "ProviderDetails[link_users]: email needs trusted_domains", detailed("link_users", "email")},
		{"a page that asks about addresses that nobody verified", "InvalidParameterException", "needs the attribute email", detailed("link_users", "ask")},
		{"a trusted domain that is another's identifier", "InvalidParameterException", "identifiers or trusted domains", detailed("trusted_domains", "Corp.Example")},
		{"an attribute of nobody's", "InvalidParameterException", "AttributeMapping[mail]", func(_ *rig, in body) { in["AttributeMapping"] = body{"mail": "mail"} }},
	}
	return map[string]contract{
		"CreateIdentityProvider": {
			in: func(r *rig) body { return r.newProvider("Partner") },
			check: func(r *rig, in, out body) {
				r.want(out["IdentityProvider"], in)
				if got := r.provider("Partner"); !reflect.DeepEqual(got, out["IdentityProvider"]) || got["CreationDate"] == nil {
					r.Errorf("described %v, created %v", got, out["IdentityProvider"])
				}
			},
			refusals: append(refusals,
				refused{"the name is taken", "DuplicateProviderException", "already exists", func(_ *rig, in body) { in["ProviderName"], in["IdpIdentifiers"] = "Corp", []any{} }},
				refused{"the name is taken but for case", "DuplicateProviderException", "already exists", func(_ *rig, in body) { in["ProviderName"], in["IdpIdentifiers"] = "CORP", []any{} }},
				refused{"the name looks like another", "DuplicateProviderException", "can be taken for that of another", func(_ *rig, in body) { in["ProviderName"], in["IdpIdentifiers"] = "Сorp", []any{} }},
				refused{"no details", "InvalidParameterException", "ProviderDetails.client_id: required", func(_ *rig, in body) { in["ProviderDetails"] = body{} }},
			),
		},
		"DescribeIdentityProvider": {
			in: func(*rig) body { return inPool(body{"ProviderName": "Corp"}) },
			check: func(r *rig, _, out body) {
				r.want(out["IdentityProvider"], body{"ProviderName": "Corp", "ProviderType": "OIDC", "UserPoolId": servertest.PoolID, "IdpIdentifiers": []any{"corp.example"}})
			},
			refusals: []refused{noProvider},
		},
		"UpdateIdentityProvider": {
			in: func(r *rig) body {
				in := r.partner()
				in["ProviderDetails"] = r.provider("Partner")["ProviderDetails"]
				in["AttributeMapping"], in["IdpIdentifiers"] = body{"name": "name"}, []any{"other.example"}
				detailed("authorize_scopes", "openid")(r, in)
				return in
			},
			check: checkUpdatedProvider,
			refusals: append(refusals, noProvider,
				refused{"a required detail is left out", "InvalidParameterException", "client_secret: required", func(_ *rig, in body) { delete(in["ProviderDetails"].(body), "client_secret") }}),
		},
		"DeleteIdentityProvider": {
			in: func(r *rig) body { return r.partner() },
			check: func(r *rig, in, _ body) {
				wantRefusal(r.T, "DescribeIdentityProvider", r.call("DescribeIdentityProvider", in), "ResourceNotFoundException", "does not exist")
				// Of the clients that list one it is gone too, so that they can be sent back as they are shown.
				r.must("DeleteIdentityProvider", inPool(body{"ProviderName": "Corp"}))
				if got := r.shown(webClient())["SupportedIdentityProviders"]; got != nil {
					r.Errorf("the client lists %v", got)
				}
			},
			refusals: []refused{noProvider},
		},
		"ListIdentityProviders": {
			in: func(r *rig) body {
				r.partner()
				return inPool(nil)
			},
			check: func(r *rig, in, out body) {
				r.wantPages("ListIdentityProviders", in, "Providers", "NextToken", "ProviderName", "Corp", "Partner")
				r.want(out["Providers"].([]any)[0], body{"ProviderName": "Corp", "ProviderType": "OIDC", "ProviderDetails": nil})
			},
			refusals: []refused{badToken("NextToken")},
		},
		"GetIdentityProviderByIdentifier": {
			in: func(*rig) body { return inPool(body{"IdpIdentifier": "Corp.Example"}) },
			check: func(r *rig, _, out body) {
				if got := r.provider("Corp"); !reflect.DeepEqual(out["IdentityProvider"], any(got)) {
					r.Errorf("%v, want %v", out, got)
				}
			},
			refusals: []refused{{"nobody's", "ResourceNotFoundException", "nobodys.example does not exist", func(_ *rig, in body) { in["IdpIdentifier"] = "nobodys.example" }}},
		},
	}
}

func checkUpdatedProvider(r *rig, in, out body) {
	r.want(out["IdentityProvider"], in)
	before := r.provider("Partner")
	// What is left out stays.
	r.Clock.Advance(time.Minute)
	if got := r.must("UpdateIdentityProvider", inPool(body{"ProviderName": "Partner"}))["IdentityProvider"]; !reflect.DeepEqual(got, any(before)) {
		r.Errorf("%v, want %v", got, before)
	}
	// What was shown, sent back, changes nothing, and needs no provider that is up: nothing that leads there differs.
	again := maps.Clone(before)
	for _, member := range []string{"CreationDate", "LastModifiedDate", "ProviderType"} {
		delete(again, member)
	}
	if got := r.must("UpdateIdentityProvider", again)["IdentityProvider"]; !reflect.DeepEqual(got, any(before)) {
		r.Errorf("%v, want %v", got, before)
	}
	again["AttributeMapping"], again["IdpIdentifiers"] = body{}, []any{}
	r.want(r.must("UpdateIdentityProvider", again)["IdentityProvider"], body{"AttributeMapping": body{"username": "sub"}, "IdpIdentifiers": nil})
}

// A private key is never shown, and stays where an update does not bring another one: nobody can send back what nobody is shown.
func TestPrivateKeysAreNeverShown(t *testing.T) {
	r := newRig(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	appleKey := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	in := inPool(body{"ProviderName": "SignInWithApple", "ProviderType": "SignInWithApple", "ProviderDetails": body{
		"client_id": "com.example.weir", "team_id": "TEAM123456", "key_id": "KEY1234567", "private_key": appleKey, "authorize_scopes": "email name",
	}})
	made := r.must("CreateIdentityProvider", in)["IdentityProvider"].(body)
	want := maps.Clone(in["ProviderDetails"].(body))
	delete(want, "private_key")
	if !reflect.DeepEqual(made["ProviderDetails"], any(want)) || !reflect.DeepEqual(made["AttributeMapping"], any(body{"username": "sub"})) {
		t.Errorf("%v", made)
	}
	sent := inPool(body{"ProviderName": "SignInWithApple", "ProviderDetails": maps.Clone(want)})
	detailed("authorize_scopes", "email")(r, sent)
	r.must("UpdateIdentityProvider", sent)
	stored, err := r.Directory.ProviderOf(t.Context(), servertest.PoolID, "SignInWithApple")
	if err != nil || stored.Details.Get("private_key") != appleKey || stored.Details.Get("authorize_scopes") != "email" {
		t.Errorf("details %v, error %v", stored.Details, err)
	}
	detailed("key_id", "KEY7654321")(r, sent)
	wantRefusal(t, "UpdateIdentityProvider", r.call("UpdateIdentityProvider", sent), "InvalidParameterException", "private_key: required")
}

// Of Google the original shows more than was given, and Terraform knows it by its values. What was given stands as it was given.
func TestWhatIsShownOfGoogle(t *testing.T) {
	r := newRig(t)
	given := body{"client_id": "weir", "client_secret": "s3cret", "authorize_scopes": "email", "attributes_url_add_attributes": "false"}
	r.must("CreateIdentityProvider", inPool(body{"ProviderName": "Google", "ProviderType": "Google", "ProviderDetails": given}))
	want := maps.Clone(given)
	maps.Copy(want, body{
		"attributes_url": "https://people.googleapis.com/v1/people/me?personFields=", "authorize_url": "https://accounts.google.com/o/oauth2/v2/auth",
		"oidc_issuer": "https://accounts.google.com", "token_request_method": "POST",
	})
	shown := r.provider("Google")
	if !reflect.DeepEqual(shown["ProviderDetails"], any(want)) {
		t.Errorf("%v, want %v", shown["ProviderDetails"], want)
	}
	sent := inPool(body{"ProviderName": "Google", "ProviderDetails": shown["ProviderDetails"]})
	if got := r.must("UpdateIdentityProvider", sent)["IdentityProvider"].(body); !reflect.DeepEqual(got["ProviderDetails"], any(want)) {
		t.Errorf("sent back: %v", got)
	}
}

func TestSAMLProviders(t *testing.T) {
	r := newRig(t)
	up := servertest.SAML(t, r.Clock)
	create := func(name string, details body) *servertest.Answer {
		return r.call("CreateIdentityProvider", inPool(body{"ProviderName": name, "ProviderType": "SAML", "ProviderDetails": details}))
	}
	t.Run("with an address", func(t *testing.T) {
		if ans := create("ByURL", body{"MetadataURL": up.MetadataURL()}); ans.Status != http.StatusOK {
			t.Fatal(ans.Body)
		}
		d := r.provider("ByURL")["ProviderDetails"].(body)
		if d["ActiveEncryptionCertificate"] == nil || d["MetadataURL"] != up.MetadataURL() || len(d) != 2 {
			t.Errorf("%v", d)
		}
	})
	t.Run("with a file", func(t *testing.T) {
		doc, err := up.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if ans := create("ByFile", body{"MetadataFile": string(doc), "ActiveEncryptionCertificate": "that of another time"}); ans.Status != http.StatusOK {
			t.Fatal(ans.Body)
		}
		d := r.provider("ByFile")["ProviderDetails"].(body)
		sso, _ := d["SSORedirectBindingURI"].(string)
		if _, err := url.ParseRequestURI(sso); err != nil || d["ActiveEncryptionCertificate"] == "that of another time" {
			t.Errorf("%v", d)
		}
	})
	t.Run("with an address that is no metadata", func(t *testing.T) {
		const hidden = "root:x:0:0:root"
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(hidden)) }))
		t.Cleanup(srv.Close)
		ans := create("Wrong", body{"MetadataURL": srv.URL})
		wantRefusal(t, "CreateIdentityProvider", ans, "InvalidParameterException", "ProviderDetails.MetadataURL: what 127.0.0.1 answers there is no SAML 2.0 metadata")
		if strings.Contains(ans.Body, "root") {
			t.Errorf("tells what answered: %s", ans.Body)
		}
	})
	t.Run("that is down", func(t *testing.T) {
		up.Set(samltest.Faults{Endpoints: map[samltest.Endpoint]func(http.Handler) http.Handler{samltest.EndpointMetadata: func(http.Handler) http.Handler { return http.NotFoundHandler() }}})
		wantRefusal(t, "CreateIdentityProvider", create("Down", body{"MetadataURL": up.MetadataURL()}), "InvalidParameterException", "does not answer with a document there")
		// A change that leads to no other metadata does not need it, and neither does a file.
		r.must("UpdateIdentityProvider", inPool(body{"ProviderName": "ByURL", "ProviderDetails": body{"MetadataURL": up.MetadataURL(), "IDPSignout": "true"}}))
		r.Apply(pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example", ID: servertest.OtherPool, IdentityProviders: []pool.ProviderSpec{{
			ProviderName: "Down", ProviderType: "SAML", ProviderDetails: map[string]secret.Text{"MetadataURL": secret.New(up.MetadataURL())},
		}}}}})
	})
}
