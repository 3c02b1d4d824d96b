package samltest_test

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/response"
	"github.com/weir-id/weir/saml/samltest"
)

func expect(p *samltest.Provider, m *metadata.Metadata, requestID string) response.Expect {
	return response.Expect{
		IDPEntityID: p.EntityID(), SPEntityID: spID, ACSURL: acs, RequestID: requestID, SigningKeys: m.PublicKeys(),
		DecryptionKeys: []*rsa.PrivateKey{signers()[2].Key.(*rsa.PrivateKey)}, Now: time.Now(),
	}
}

func TestAnswersAreValidatedWithTheKeysOfTheMetadata(t *testing.T) {
	for _, sign := range []samltest.Sign{samltest.SignAssertion, samltest.SignResponse, samltest.SignBoth, samltest.SignNothing} {
		for _, sealed := range []string{"", "CBC", "GCM"} {
			t.Run(fmt.Sprint(sign, sealed), func(t *testing.T) {
				sp := trust()
				sp.Sign, sp.GCM = sign, sealed == "GCM"
				if sealed != "" {
					sp.Encryption = signers()[2].Certificate
				}
				p := start(t, func(c *samltest.Config) { c.ServiceProviders = []samltest.ServiceProvider{sp} })
				req := authn(p)
				step := signIn(t, browser(t), p, req)
				a, err := response.Validate(step.Form.Get("SAMLResponse"), expect(p, read(t, p), req.ID))
				if sign == samltest.SignNothing {
					if err == nil {
						t.Error("an answer that nobody signed was accepted")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if a.NameID.Value != "ada@corp.example" || a.Encrypted != (sealed != "") || a.SessionIndex == "" {
					t.Errorf("got %+v", a)
				}
				i := slices.IndexFunc(a.Attributes, func(at response.Attribute) bool { return at.Name == samltest.ClaimGroup })
				if i < 0 || !slices.Equal(a.Attributes[i].Values, []string{"CORP\\Engineers", "A & B <c>"}) {
					t.Errorf("got %+v", a.Attributes)
				}
			})
		}
	}
}

func TestAnswersNobodyAskedForAreValidatedOnTheirOwnPath(t *testing.T) {
	p := start(t, nil)
	step, err := samltest.SignIn(t.Context(), browser(t), p.InitiateURL(spID, ""), nil, "ada", "ada")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := response.ValidateUnsolicited(step.Form.Get("SAMLResponse"), expect(p, read(t, p), "")); err != nil || a.NameID.Value != "ada@corp.example" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestAKeyThatWasRolledOverAtOnceIsFoundByARefetch(t *testing.T) {
	p := start(t, nil)
	client := browser(t)
	source := &metadata.Source{URL: p.MetadataURL(), Client: client, Now: time.Now, Options: metadata.Options{AllowHTTP: true}}
	before, err := source.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.RollKey(signers()[3]); err != nil {
		t.Fatal(err)
	}
	req := authn(p)
	step := signIn(t, browser(t), p, req)
	_, err = response.Validate(step.Form.Get("SAMLResponse"), expect(p, before, req.ID))
	var refusal *response.Refusal
	if !errors.As(err, &refusal) || refusal.Check != response.CheckSigningKey {
		t.Fatalf("with the old key: %v", err)
	}
	after, fresh, err := source.Refetch(t.Context())
	if err != nil || !fresh {
		t.Fatalf("refetch: %t, %v", fresh, err)
	}
	if _, err := response.Validate(step.Form.Get("SAMLResponse"), expect(p, after, req.ID)); err != nil {
		t.Errorf("with the new key: %v", err)
	}
	if changes := metadata.Diff(before, after); len(changes) != 2 {
		t.Errorf("got %v", changes)
	}
}
