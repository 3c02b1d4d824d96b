package response_test

import (
	"crypto"
	"encoding/base64"
	"strings"

	"github.com/weir-id/weir/saml/response"
)

// shapes are signatures that are valid, or look so, and are not what SAML's profile of them allows.
func shapes() map[string]attack {
	signedBy := func(s signing) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.assertionSigned = &s }
	}
	edit := func(old, with string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.after = r.swap(old, with) }
	}
	reshape := func(old, with string) func(*reply, *response.Expect) {
		return signedBy(signing{reshape: func(info string) string {
			if !strings.Contains(info, old) {
				panic("no " + old)
			}
			return strings.Replace(info, old, with, 1)
		}})
	}
	empty, other := "", "#_r1"
	transform := `<ds:Transform Algorithm="` + dsNS + `enveloped-signature"></ds:Transform>`
	canon := `<ds:Transform Algorithm="` + exc + `"></ds:Transform>`
	ec := func(s signing, name string) func(*reply, *response.Expect) {
		return func(r *reply, e *response.Expect) {
			s.key, e.SigningKeys = key(r.tb, name), []crypto.PublicKey{key(r.tb, name).Public()}
			r.assertionSigned = &s
		}
	}
	return map[string]attack{
		"two signatures":   {response.CheckShape, signedBy(signing{wrap: func(s string) string { return s + s }})},
		"three signatures": {response.CheckSignatureShape, signedBy(signing{wrap: func(s string) string { return s + s + s }})},
		"two SignedInfo": {response.CheckSignatureShape, signedBy(signing{wrap: func(s string) string {
			return strings.Replace(s, "<ds:SignatureValue>", "<ds:SignedInfo></ds:SignedInfo><ds:SignatureValue>", 1)
		}})},
		"SignedInfo after the SignatureValue": {response.CheckSignatureShape, signedBy(signing{wrap: func(s string) string {
			info := s[strings.Index(s, "<ds:SignedInfo>"):strings.Index(s, "<ds:SignatureValue>")]
			return strings.Replace(strings.Replace(s, info, "", 1), "<ds:KeyInfo>", info+"<ds:KeyInfo>", 1)
		}})},
		"two References (CVE-2026-33487)": {response.CheckSignatureShape, signedBy(signing{reshape: func(info string) string {
			ref := info[strings.Index(info, "<ds:Reference"):strings.Index(info, "</ds:SignedInfo>")]
			return strings.Replace(info, ref, ref+ref, 1)
		}})},
		"empty Reference URI":           {response.CheckSignatureShape, signedBy(signing{uri: &empty})},
		"Reference to the parent":       {response.CheckSignatureShape, signedBy(signing{uri: &other})},
		"no Reference URI":              {response.CheckSignatureShape, reshape(` URI="#_a1"`, "")},
		"XPath transform":               {response.CheckAlgorithm, signedBy(signing{transforms: `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>1</ds:XPath></ds:Transform>` + canon})},
		"XSLT transform":                {response.CheckAlgorithm, signedBy(signing{transforms: transform + `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"></ds:Transform>`})},
		"only the enveloped transform":  {response.CheckSignatureShape, signedBy(signing{transforms: transform})},
		"only canonicalization":         {response.CheckSignatureShape, signedBy(signing{transforms: canon})},
		"transforms in the other order": {response.CheckAlgorithm, signedBy(signing{transforms: canon + transform})},
		"a transform twice":             {response.CheckSignatureShape, signedBy(signing{transforms: transform + canon + canon})},
		"inclusive canonicalization":    {response.CheckAlgorithm, reshape(`<ds:CanonicalizationMethod Algorithm="`+exc, `<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315`)},
		"canonicalization with comments, and a comment": {response.CheckSignatureShape, func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.after = &signing{c14n: exc + "WithComments"}, r.swap("alice@corp.example</NameID>", "alice@<!---->corp.example</NameID>")
		}},
		"more prefixes than anyone uses": {response.CheckSignatureShape, signedBy(signing{prefixes: strings.Repeat("x ", 17)})},
		"an Object in the signature": {response.CheckSignatureShape, signedBy(signing{wrap: func(s string) string {
			return strings.Replace(s, "</ds:Signature>", "<ds:Object></ds:Object></ds:Signature>", 1)
		}})},
		"an HMAC output length":   {response.CheckSignatureShape, reshape(`rsa-sha256">`, `rsa-sha256"><ds:HMACOutputLength>0</ds:HMACOutputLength>`)},
		"HMAC in place of RSA":    {response.CheckAlgorithm, reshape(more+"rsa-sha256", more+"hmac-sha256")},
		"text in SignedInfo":      {response.CheckSignatureShape, reshape("<ds:Reference ", "x<ds:Reference ")},
		"elements in DigestValue": {response.CheckSignatureShape, edit("</ds:DigestValue>", "<x/></ds:DigestValue>")},
		"a broken DigestValue":    {response.CheckSignatureShape, edit("</ds:DigestValue>", "AAAA</ds:DigestValue>")},
		"no SignatureValue": {response.CheckSignatureShape, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.Replace(doc, element(r.tb, doc, "SignatureValue"), "", 1) }
		}},
		"certificate only in KeyInfo": {response.CheckSigningKey, func(r *reply, _ *response.Expect) {
			r.assertionSigned = &signing{key: key(r.tb, "attacker"), keyInfo: `<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>` +
				base64.StdEncoding.EncodeToString(rsaKey(r.tb, "attacker").N.Bytes()) + `</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>`}
		}},
		"SHA-1 signature":               {response.CheckAlgorithm, signedBy(signing{method: dsNS + "rsa-sha1"})},
		"SHA-1 digest":                  {response.CheckAlgorithm, signedBy(signing{digest: dsNS + "sha1"})},
		"MD5 signature":                 {response.CheckAlgorithm, reshape(more+"rsa-sha256", more+"rsa-md5")},
		"MD5 digest":                    {response.CheckAlgorithm, reshape(enc+"sha256", more+"md5")},
		"DSA":                           {response.CheckAlgorithm, reshape(more+"rsa-sha256", dsNS+"dsa-sha1")},
		"ECDSA as ASN.1":                {response.CheckSigningKey, ec(signing{method: more + "ecdsa-sha256", der: true}, "ec256")},
		"ECDSA key with the RSA method": {response.CheckSigningKey, ec(signing{method: more + "rsa-sha256"}, "ec256")},
		"RSA key of 1,024 bits":         {response.CheckSigningKey, ec(signing{}, "weak")},
		"a changed SignedInfo":          {response.CheckSigningKey, edit("<ds:SignedInfo>", `<ds:SignedInfo Id="x">`)},
		"a changed NameID":              {response.CheckDigest, edit("alice@corp.example</NameID>", "mallory@corp.example</NameID>")},
		"an attribute added":            {response.CheckDigest, edit("<AttributeStatement>", `<AttributeStatement><Attribute Name="x"/>`)},
		"markup added to NameID":        {response.CheckDigest, edit("alice@corp.example</NameID>", "alice@corp.example<x/></NameID>")},
		"a namespace changed":           {response.CheckDigest, edit("<AttributeStatement>", `<AttributeStatement xmlns:x="urn:x" x:y="z">`)},
		"white space added":             {response.CheckDigest, edit("<AttributeStatement>", "<AttributeStatement> ")},
		"nothing signed":                {response.CheckUnsigned, func(r *reply, _ *response.Expect) { r.assertionSigned = nil }},
		"signed by a stranger":          {response.CheckSigningKey, func(r *reply, _ *response.Expect) { r.assertionSigned = &signing{key: key(r.tb, "attacker")} }},
		"a good assertion in a badly signed Response": {response.CheckSigningKey, func(r *reply, _ *response.Expect) { r.responseSigned = &signing{key: key(r.tb, "attacker")} }},
		"a badly signed assertion in a good Response": {response.CheckSigningKey, func(r *reply, _ *response.Expect) {
			r.responseSigned, r.assertionSigned = &signing{}, &signing{key: key(r.tb, "attacker")}
		}},
		"a signature in Extensions": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				s := element(r.tb, doc, "Signature")
				return strings.Replace(strings.Replace(doc, s, "", 1), "<samlp:Status>", "<samlp:Extensions>"+s+"</samlp:Extensions><samlp:Status>", 1)
			}
		}},
	}
}
