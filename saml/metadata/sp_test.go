package metadata_test

import (
	"crypto/x509"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/xmlsig"
)

func provider(t *testing.T) (metadata.ServiceProvider, xmlsig.Signer) {
	t.Helper()
	s, next := sharedPair(t), pair(t, "next")
	return metadata.ServiceProvider{
		EntityID: metadata.SPEntityID("local_Example01"), ACS: []string{"https://login.example/saml2/idpresponse", "https://old.example/saml2/idpresponse?a=b&c"},
		Logout: "https://login.example/saml2/logout", NameIDFormats: []string{"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"},
		AuthnRequestsSigned: true, WantAssertionsSigned: true,
		Signing: []*x509.Certificate{s.Certificate, next.Certificate}, Encryption: []*x509.Certificate{next.Certificate},
		ValidUntil: epoch.AddDate(0, 0, 14), CacheDuration: 6 * time.Hour,
	}, s
}

func TestServiceProviderMetadataIsReadByAnotherImplementation(t *testing.T) {
	p, s := provider(t)
	doc, err := p.Document(&s)
	if err != nil {
		t.Fatal(err)
	}
	var got crewjam.EntityDescriptor
	if err := xml.Unmarshal(doc, &got); err != nil {
		t.Fatal(err)
	}
	role := got.SPSSODescriptors[0]
	if got.EntityID != "urn:weir:sp:local_Example01" || !got.ValidUntil.Equal(p.ValidUntil) || got.CacheDuration != p.CacheDuration || !*role.AuthnRequestsSigned || !*role.WantAssertionsSigned {
		t.Errorf("got %+v", got)
	}
	var acs, out, keys []string
	for _, e := range role.AssertionConsumerServices {
		acs = append(acs, e.Location)
		if e.Binding != metadata.HTTPPost || (e.IsDefault != nil) != (e.Index == 0) {
			t.Errorf("got %+v", e)
		}
	}
	for _, e := range role.SingleLogoutServices {
		out = append(out, e.Binding+" "+e.Location)
	}
	for _, k := range role.KeyDescriptors {
		keys = append(keys, k.Use+" "+k.KeyInfo.X509Data.X509Certificates[0].Data)
		if (len(k.EncryptionMethods) > 0) != (k.Use == "encryption") || len(k.KeyInfo.X509Data.X509Certificates) != 1 {
			t.Errorf("got %+v", k)
		}
	}
	if !slices.Equal(acs, p.ACS) || !slices.Equal(out, []string{metadata.HTTPRedirect + " " + p.Logout, metadata.HTTPPost + " " + p.Logout}) {
		t.Errorf("got %q and %q", acs, out)
	}
	if want := []string{"signing " + encoded(p.Signing[0]), "signing " + encoded(p.Signing[1]), "encryption " + encoded(p.Encryption[0])}; !slices.Equal(keys, want) {
		t.Errorf("got keys %q", keys)
	}
}

func TestServiceProviderMetadataSignatureIsVerifiedByAnotherImplementation(t *testing.T) {
	p, s := provider(t)
	doc, err := p.Document(&s)
	if err != nil {
		t.Fatal(err)
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc); err != nil {
		t.Fatal(err)
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{s.Certificate}})
	ctx.Clock = dsig.NewFakeClockAt(epoch)
	if _, err := ctx.Validate(tree.Root()); err != nil {
		t.Errorf("goxmldsig: %v", err)
	}
	// Our own verifier, as another Weir would meet it: the document is a service provider's, but pinned all the same.
	pin, err := metadata.ParsePin(encoded(s.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metadata.Parse(doc, metadata.Options{Now: epoch, Pins: []metadata.Pin{pin}}); !errors.Is(err, metadata.ErrNoIDP) {
		t.Errorf("our own: %v", err)
	}
}

func TestServiceProviderMetadataSaysNoMoreThanItIsTold(t *testing.T) {
	doc, err := metadata.ServiceProvider{EntityID: "urn:x", ACS: []string{"https://a.example"}}.Document(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"validUntil", "cacheDuration", "Signature", "KeyDescriptor", "SingleLogout", "NameIDFormat"} {
		if strings.Contains(string(doc), absent) {
			t.Errorf("%s stands in %s", absent, doc)
		}
	}
	for name, p := range map[string]metadata.ServiceProvider{"no entity id": {ACS: []string{"https://a.example"}}, "no ACS": {EntityID: "urn:x"}} {
		if doc, err := p.Document(nil); err == nil {
			t.Errorf("%s: got %s", name, doc)
		}
	}
	if m, err := metadata.Parse(doc, metadata.Options{Now: epoch}); !errors.Is(err, metadata.ErrNoIDP) {
		t.Errorf("our own document as a provider's: got %v, %v", m, err)
	}
}
