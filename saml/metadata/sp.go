package metadata

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/xmlsig"
)

// ContentType is the media type of metadata (SAML metadata appendix A).
const ContentType = "application/samlmetadata+xml"

// SPEntityID returns the entity id of a pool's service provider where the configuration names no other.
func SPEntityID(poolID string) string { return "urn:weir:sp:" + poolID }

// ServiceProvider is what an identity provider is told about us.
type ServiceProvider struct {
	EntityID string
	// ACS are the addresses that take Responses over POST, the default first. At least one.
	ACS []string
	// Logout takes logout messages over Redirect and POST; "" offers no single logout.
	Logout string
	// NameIDFormats that are asked for; empty leaves the choice to the identity provider.
	NameIDFormats []string
	// AuthnRequestsSigned: our requests are signed. WantAssertionsSigned asks that the assertion itself
	// is, and not only the Response around it.
	AuthnRequestsSigned, WantAssertionsSigned bool
	// Signing certificates are all that requests may be signed with, now and after the next rotation.
	Signing []*x509.Certificate
	// Encryption certificates are those that assertions may be encrypted for. AD FS begins to encrypt
	// when it sees one.
	Encryption []*x509.Certificate
	// ValidUntil and CacheDuration tell how long the document holds; zero leaves them out.
	ValidUntil    time.Time
	CacheDuration time.Duration
}

// encryptionMethods are those that we open, the best first (XML Encryption 1.1 sections 5.2 and 5.5).
var encryptionMethods = []string{
	"http://www.w3.org/2009/xmlenc11#aes256-gcm",
	"http://www.w3.org/2009/xmlenc11#aes128-gcm",
	"http://www.w3.org/2001/04/xmlenc#aes256-cbc",
	"http://www.w3.org/2001/04/xmlenc#aes128-cbc",
	"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
}

// Document returns the metadata, signed by s (RSA-SHA256) unless that is nil. The ID of the document follows from the entity id.
func (p ServiceProvider) Document(s *xmlsig.Signer) ([]byte, error) {
	if p.EntityID == "" || len(p.EntityID) > maxText || len(p.ACS) == 0 {
		return nil, errors.New("service provider metadata: an entity id of at most 1024 characters and an ACS address are required")
	}
	sum := sha256.Sum256([]byte(p.EntityID))
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", Namespace)
	root.CreateAttr("ID", "_"+hex.EncodeToString(sum[:20]))
	root.CreateAttr("entityID", p.EntityID)
	if !p.ValidUntil.IsZero() {
		root.CreateAttr("validUntil", p.ValidUntil.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if p.CacheDuration > 0 {
		root.CreateAttr("cacheDuration", "PT"+strconv.Itoa(int(p.CacheDuration/time.Second))+"S")
	}
	role := root.CreateElement("md:SPSSODescriptor")
	role.CreateAttr("AuthnRequestsSigned", strconv.FormatBool(p.AuthnRequestsSigned))
	role.CreateAttr("WantAssertionsSigned", strconv.FormatBool(p.WantAssertionsSigned))
	role.CreateAttr("protocolSupportEnumeration", protocolNS)
	for _, c := range p.Signing {
		describeKey(role, "signing", c)
	}
	for _, c := range p.Encryption {
		kd := describeKey(role, "encryption", c)
		for _, m := range encryptionMethods {
			kd.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", m)
		}
	}
	// The order of the schema: logout, formats, assertion consumers (SAML metadata section 2.4.2).
	if p.Logout != "" {
		service(role, "SingleLogoutService", HTTPRedirect, p.Logout)
		service(role, "SingleLogoutService", HTTPPost, p.Logout)
	}
	for _, f := range p.NameIDFormats {
		role.CreateElement("md:NameIDFormat").SetText(f)
	}
	for i, location := range p.ACS {
		el := service(role, "AssertionConsumerService", HTTPPost, location)
		el.CreateAttr("index", strconv.Itoa(i))
		if i == 0 {
			el.CreateAttr("isDefault", "true")
		}
	}
	if s != nil {
		if err := xmlsig.Sign(root, *s, 0); err != nil {
			return nil, fmt.Errorf("service provider metadata: %w", err)
		}
	}
	doc, err := xmlsig.Bytes(root)
	if err != nil {
		return nil, fmt.Errorf("service provider metadata: %w", err)
	}
	return append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"), doc...), nil
}

// describeKey gives a certificate a KeyDescriptor of its own: of several in one KeyInfo some software takes the first only.
func describeKey(role *etree.Element, use string, c *x509.Certificate) *etree.Element {
	kd := role.CreateElement("md:KeyDescriptor")
	kd.CreateAttr("use", use)
	info := kd.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", xmlsig.Namespace)
	info.CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(c.Raw))
	return kd
}

func service(role *etree.Element, name, binding, location string) *etree.Element {
	el := role.CreateElement("md:" + name)
	el.CreateAttr("Binding", binding)
	el.CreateAttr("Location", location)
	return el
}
