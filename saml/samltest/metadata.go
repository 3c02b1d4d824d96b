package samltest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

const metadataNS = "urn:oasis:names:tc:SAML:2.0:metadata"

// offered are the claim types that the metadata describes.
var offered = []struct{ name, uri string }{
	{"E-Mail Address", ClaimEmail}, {"Given Name", ClaimGivenName}, {"Surname", ClaimSurname}, {"Name", ClaimName}, {"UPN", ClaimUPN},
	{"Name ID", ClaimNameID}, {"Group", ClaimGroup}, {"Role", ClaimRole}, {"Windows account name", ClaimWindowsAcc},
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	doc, err := p.Metadata()
	if err != nil {
		http.Error(w, "The metadata could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(doc) // a client that is gone is not this server's fault
}

// Metadata returns the provider's metadata in the shape of AD FS: its signature first, then two roles of
// WS-Federation, a service provider, the identity provider and a contact.
func (p *Provider) Metadata() ([]byte, error) {
	sum := sha256.Sum256([]byte(p.cfg.EntityID))
	root := etree.NewElement("EntityDescriptor")
	root.CreateAttr("ID", "_"+hex.EncodeToString(sum[:16]))
	root.CreateAttr("entityID", p.cfg.EntityID)
	root.CreateAttr("xmlns", metadataNS)
	certs := p.Certificates()
	p.wsFederation(root, "ApplicationServiceType", "ClaimTypesRequested", nil)
	p.wsFederation(root, "SecurityTokenServiceType", "ClaimTypesOffered", certs)

	sp := role(root, "SPSSODescriptor")
	sp.CreateAttr("WantAssertionsSigned", "true")
	describe(sp, "signing", certs)
	p.services(sp, "SingleLogoutService")
	acs := sp.CreateElement("AssertionConsumerService")
	acs.CreateAttr("Binding", binding.HTTPPost)
	acs.CreateAttr("Location", p.at(EndpointSAML))
	acs.CreateAttr("index", "0")

	idp := role(root, "IDPSSODescriptor")
	if p.cfg.WantSignedRequests {
		idp.CreateAttr("WantAuthnRequestsSigned", "true") // AD FS leaves it out otherwise
	}
	describe(idp, "signing", certs)
	p.services(idp, "SingleLogoutService")
	for _, f := range []string{FormatEmail, FormatPersistent, FormatTransient} {
		idp.CreateElement("NameIDFormat").SetText(f)
	}
	p.services(idp, "SingleSignOnService")
	for _, c := range offered {
		a := idp.CreateElement("Attribute")
		a.CreateAttr("Name", c.uri)
		a.CreateAttr("NameFormat", "urn:oasis:names:tc:SAML:2.0:attrname-format:uri")
		a.CreateAttr("FriendlyName", c.name)
		a.CreateAttr("xmlns", binding.AssertionNS)
	}
	root.CreateElement("ContactPerson").CreateAttr("contactType", "support")
	if alter := p.currentFaults().Metadata; alter != nil {
		alter(root)
	}
	if err := xmlsig.Sign(root, p.signer(), 0); err != nil {
		return nil, err
	}
	return xmlsig.Bytes(root)
}

// wsFederation adds a role that no SAML software needs and every reader meets.
func (p *Provider) wsFederation(root *etree.Element, kind, claims string, certs []*x509.Certificate) {
	el := root.CreateElement("RoleDescriptor")
	el.CreateAttr("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
	el.CreateAttr("xmlns:fed", "http://docs.oasis-open.org/wsfed/federation/200706")
	el.CreateAttr("xsi:type", "fed:"+kind)
	el.CreateAttr("protocolSupportEnumeration", "http://docs.oasis-open.org/wsfed/federation/200706")
	describe(el, "signing", certs)
	list := el.CreateElement("fed:" + claims)
	for _, c := range offered {
		t := list.CreateElement("auth:ClaimType")
		t.CreateAttr("xmlns:auth", "http://docs.oasis-open.org/wsfed/authorization/200706")
		t.CreateAttr("Uri", c.uri)
		t.CreateElement("auth:DisplayName").SetText(c.name)
	}
	ref := el.CreateElement("fed:PassiveRequestorEndpoint").CreateElement("EndpointReference")
	ref.CreateAttr("xmlns", "http://www.w3.org/2005/08/addressing")
	ref.CreateElement("Address").SetText(p.at(EndpointSAML))
}

func role(root *etree.Element, name string) *etree.Element {
	el := root.CreateElement(name)
	el.CreateAttr("protocolSupportEnumeration", binding.ProtocolNS)
	return el
}

func describe(role *etree.Element, use string, certs []*x509.Certificate) {
	for _, c := range certs {
		kd := role.CreateElement("KeyDescriptor")
		kd.CreateAttr("use", use)
		info := kd.CreateElement("KeyInfo")
		info.CreateAttr("xmlns", xmlsig.Namespace)
		info.CreateElement("X509Data").CreateElement("X509Certificate").SetText(base64.StdEncoding.EncodeToString(c.Raw))
	}
}

func (p *Provider) services(role *etree.Element, name string) {
	for _, b := range []string{binding.HTTPRedirect, binding.HTTPPost} {
		el := role.CreateElement(name)
		el.CreateAttr("Binding", b)
		el.CreateAttr("Location", p.at(EndpointSAML))
	}
}

// FromMetadata returns the trust that a service provider's metadata describes, as an administrator's import would.
func FromMetadata(doc []byte) (ServiceProvider, error) {
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc); err != nil || tree.Root() == nil {
		return ServiceProvider{}, errNotSP
	}
	role := child(tree.Root(), metadataNS, "SPSSODescriptor")
	if role == nil {
		return ServiceProvider{}, errNotSP
	}
	sp := ServiceProvider{
		EntityID:      tree.Root().SelectAttrValue("entityID", ""),
		RequireSigned: role.SelectAttrValue("AuthnRequestsSigned", "") == "true",
	}
	for _, el := range role.ChildElements() {
		switch el.Tag {
		case "AssertionConsumerService":
			sp.ACS = append(sp.ACS, el.SelectAttrValue("Location", ""))
		case "SingleLogoutService":
			if sp.Logout == "" {
				sp.Logout, sp.LogoutBinding = el.SelectAttrValue("Location", ""), el.SelectAttrValue("Binding", "")
			}
		case "KeyDescriptor":
			cert, err := keyOf(el)
			if err != nil {
				return ServiceProvider{}, err
			}
			if use := el.SelectAttrValue("use", ""); use != "encryption" {
				sp.Certificates = append(sp.Certificates, cert)
			} else if sp.Encryption == nil {
				sp.Encryption = cert
			}
		}
	}
	return sp, nil
}

func keyOf(kd *etree.Element) (*x509.Certificate, error) {
	el := kd.FindElement(".//X509Certificate")
	if el == nil {
		return nil, errNotSP
	}
	der, err := xmlsig.Base64(el.Text())
	if err != nil {
		return nil, errNotSP
	}
	return x509.ParseCertificate(der)
}
