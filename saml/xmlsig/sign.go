package xmlsig

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Names of XML Signature.
const (
	Namespace     = "http://www.w3.org/2000/09/xmldsig#"
	ExclusiveC14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
	Enveloped     = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// Signer is a key with the certificate that names it to others.
type Signer struct {
	Key         crypto.Signer // RSA or ECDSA
	Certificate *x509.Certificate
}

// Sign puts an enveloped signature over root into it, as its child number at: a protocol message wants it behind Issuer (1), metadata before
// everything (0). root must be the root of its document, have an ID attribute, and not be changed afterwards.
// SHA-256 is used with either kind of key.
func Sign(root *etree.Element, s Signer, at int) error {
	id := root.SelectAttrValue("ID", "")
	if id == "" || root.Parent() != nil {
		return errors.New("sign: not a root element with an ID")
	}
	algorithm, err := AlgorithmFor(s.Key)
	if err != nil {
		return err
	}
	data, err := canonical(root)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	h := crypto.SHA256.New()
	_, _ = h.Write(data) // hash.Hash.Write never returns an error

	sig := etree.NewElement("ds:Signature")
	sig.CreateAttr("xmlns:ds", Namespace)
	info := sig.CreateElement("ds:SignedInfo")
	info.CreateElement("ds:CanonicalizationMethod").CreateAttr("Algorithm", ExclusiveC14N)
	info.CreateElement("ds:SignatureMethod").CreateAttr("Algorithm", algorithm)
	ref := info.CreateElement("ds:Reference")
	ref.CreateAttr("URI", "#"+id)
	transforms := ref.CreateElement("ds:Transforms")
	transforms.CreateElement("ds:Transform").CreateAttr("Algorithm", Enveloped)
	transforms.CreateElement("ds:Transform").CreateAttr("Algorithm", ExclusiveC14N)
	ref.CreateElement("ds:DigestMethod").CreateAttr("Algorithm", digestSHA256)
	ref.CreateElement("ds:DigestValue").SetText(base64.StdEncoding.EncodeToString(h.Sum(nil)))

	if data, err = canonical(info); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, value, err := SignBytes(s.Key, data)
	if err != nil {
		return err
	}
	sig.CreateElement("ds:SignatureValue").SetText(base64.StdEncoding.EncodeToString(value))
	if s.Certificate != nil {
		sig.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
			SetText(base64.StdEncoding.EncodeToString(s.Certificate.Raw))
	}
	if at >= len(root.Child) {
		root.AddChild(sig)
	} else {
		root.InsertChildAt(at, sig)
	}
	return nil
}

// canonical returns the exclusive canonical form, without comments, of el where it stands (Exclusive XML
// Canonicalization section 3). el is not changed.
func canonical(el *etree.Element) ([]byte, error) {
	apex := el.Copy()
	inScope(el, apex)
	return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(apex)
}

// inScope declares on apex, a copy of el, what el's ancestors declare and el does not.
func inScope(el, apex *etree.Element) {
	declared := func(a etree.Attr) bool {
		return slices.ContainsFunc(apex.Attr, func(b etree.Attr) bool { return a.Space == b.Space && a.Key == b.Key })
	}
	for p := el.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if (a.Space == "xmlns" || (a.Space == "" && a.Key == "xmlns")) && !declared(a) {
				apex.Attr = append(apex.Attr, a)
			}
		}
	}
}

// Bytes returns the document with that root.
func Bytes(root *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(root.Copy())
	// The canonical forms of text and attribute values are the safe ones: nothing in them is lost in parsing.
	doc.WriteSettings = etree.WriteSettings{CanonicalText: true, CanonicalAttrVal: true}
	return doc.WriteToBytes()
}
