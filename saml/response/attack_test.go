package response_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/response"
)

// attack is a response that must be refused, and the check that must refuse it.
type attack struct {
	check response.Check
	make  func(*reply, *response.Expect)
}

// mallory is the text of a forged assertion: the honest one of doc, unsigned, about another person.
func mallory(r *reply, doc string) string {
	honest := element(r.tb, doc, "Assertion")
	if strings.Contains(honest, "<ds:Signature") {
		honest = strings.Replace(honest, element(r.tb, honest, "Signature"), "", 1)
	}
	return strings.ReplaceAll(strings.Replace(honest, `ID="_a1"`, `ID="_evil"`, 1), "alice@", "mallory@")
}

// wrapping are the eight variants of signature wrapping (Somorovsky et al., "On Breaking SAML", 2012), and their relatives.
func wrapping() map[string]attack {
	onResponse := func(edit func(r *reply, doc, signature, bare string) string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.responseSigned = nil, &signing{}
			r.after = func(doc string) string {
				sig := element(r.tb, doc, "Signature")
				return edit(r, doc, sig, strings.Replace(doc, sig, "", 1))
			}
		}
	}
	onAssertion := func(edit func(doc, honest, sig, bare, evil string) string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				honest := element(r.tb, doc, "Assertion")
				sig := element(r.tb, honest, "Signature")
				return edit(doc, honest, sig, strings.Replace(honest, sig, "", 1), mallory(r, doc))
			}
		}
	}
	into := func(outer, inner, before string) string { return strings.Replace(outer, before, inner+before, 1) }
	signedEvil := func(evil, sig string) string {
		return strings.Replace(evil, "</Issuer>", "</Issuer>"+sig, 1)
	}
	evilResponse := func(r *reply, bare string) string {
		return strings.ReplaceAll(strings.Replace(bare, `ID="_r1"`, `ID="_evil"`, 1), "alice@", "mallory@")
	}
	return map[string]attack{
		"XSW 1: the signed Response inside the signature of a forged one": {response.CheckShape, onResponse(func(r *reply, doc, sig, bare string) string {
			return into(evilResponse(r, doc), bare, "</ds:Signature>")
		})},
		"XSW 2: the signed Response beside its detached signature": {response.CheckShape, onResponse(func(r *reply, _, sig, bare string) string {
			return strings.Replace(evilResponse(r, bare), "</Issuer>", "</Issuer>"+bare+sig, 1)
		})},
		"XSW 3: a forged assertion before the signed one": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, evil+honest, 1)
		})},
		"XSW 4: the signed assertion inside a forged one": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, into(evil, honest, "</Assertion>"), 1)
		})},
		"XSW 5: a forged assertion with the signature, the signed one after it": {response.CheckAssertions, onAssertion(func(doc, honest, sig, bare, evil string) string {
			return strings.Replace(doc, honest, signedEvil(evil, sig)+bare, 1)
		})},
		"XSW 6: the signed assertion inside the signature of a forged one": {response.CheckAssertions, onAssertion(func(doc, honest, sig, bare, evil string) string {
			return strings.Replace(doc, honest, signedEvil(evil, into(sig, bare, "</ds:Signature>")), 1)
		})},
		"XSW 7: a forged assertion in Extensions": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, "<samlp:Extensions>"+evil+"</samlp:Extensions>"+honest, 1)
		})},
		"XSW 8: the signed assertion in an Object of a forged one's signature": {response.CheckAssertions, onAssertion(func(doc, honest, sig, bare, evil string) string {
			return strings.Replace(doc, honest, signedEvil(evil, into(sig, "<ds:Object>"+bare+"</ds:Object>", "</ds:Signature>")), 1)
		})},
		"a forged assertion after the signed one": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, honest+evil, 1)
		})},
		"a forged assertion around the signed one, in its Advice": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, into(evil, "<Advice>"+honest+"</Advice>", "<AuthnStatement"), 1)
		})},
		"the signed assertion in an attribute of a forged one": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, into(evil, "<AttributeValue>"+honest+"</AttributeValue>", "</Attribute>"), 1)
		})},
		"the signature moved to a forged assertion": {response.CheckSignatureShape, onAssertion(func(doc, honest, sig, _, evil string) string {
			return strings.Replace(doc, honest, signedEvil(evil, sig), 1)
		})},
		"a forged assertion with the ID of the signed one, and its signature": {response.CheckDigest, onAssertion(func(doc, honest, sig, _, evil string) string {
			return strings.Replace(doc, honest, signedEvil(strings.Replace(evil, "_evil", "_a1", 1), sig), 1)
		})},
		"the signature on the Response, over the assertion": {response.CheckSignatureShape, onAssertion(func(doc, honest, sig, bare, _ string) string {
			return strings.Replace(strings.Replace(doc, honest, bare, 1), "</Issuer>", "</Issuer>"+sig, 1)
		})},
		"another element with the assertion's ID": {response.CheckIDs, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "<samlp:Status>", `<samlp:Extensions><x:y xmlns:x="urn:x" ID="_a1"/></samlp:Extensions><samlp:Status>`, 1)
		})},
		"another element with the ID, written xml:id": {response.CheckIDs, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "<samlp:StatusCode", `<samlp:StatusCode xml:id="_a1"`, 1)
		})},
		"another element with the ID, written Id": {response.CheckIDs, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "<ds:KeyInfo", `<ds:KeyInfo Id="_a1"`, 1)
		})},
		"another element with the ID, written id": {response.CheckIDs, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "<samlp:Status>", `<samlp:Status id="_a1">`, 1)
		})},
		"Response and assertion with one ID": {response.CheckIDs, onAssertion(func(doc, _, _, _, _ string) string { return strings.Replace(doc, `ID="_r1"`, `ID="_a1"`, 1) })},
		"a forged assertion of another namespace": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, evil string) string {
			return strings.Replace(doc, honest, honest+strings.Replace(evil, ":2.0:assertion", ":2.0:assertion ", 1), 1)
		})},
		"the only assertion of another namespace": {response.CheckShape, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, `Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:assertion"`, `Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:Assertion"`, 1)
		})},
		"the prefix of the protocol rebound": {response.CheckShape, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "<samlp:Status>", `<samlp:Status xmlns:samlp="urn:evil">`, 1)
		})},
		"an unknown element beside the assertion": {response.CheckShape, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "</samlp:Response>", `<saml:Assertions xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/></samlp:Response>`, 1)
		})},
		"text beside the assertion": {response.CheckShape, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "</samlp:Response>", "x</samlp:Response>", 1)
		})},
		"a second Subject": {response.CheckShape, onAssertion(func(doc, _, _, _, _ string) string {
			return strings.Replace(doc, "<Conditions", "<Subject/><Conditions", 1)
		})},
		"two validly signed assertions": {response.CheckAssertions, onAssertion(func(doc, honest, _, _, _ string) string {
			return strings.Replace(doc, honest, honest+strings.ReplaceAll(honest, "_a1", "_a2"), 1)
		})},
		"an encrypted assertion beside the signed one": {response.CheckAssertions, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				honest := element(r.tb, doc, "Assertion")
				return strings.Replace(doc, honest, honest+encryption{}.seal(r.tb, mallory(r, doc)), 1)
			}
		}},
	}
}

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

// encrypted are attacks on and with encryption.
func encrypted() map[string]attack {
	sealed := func(e encryption) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.encrypted = &e }
	}
	inner := func(old, with string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.encrypted, r.inner = &encryption{}, r.swap(old, with) }
	}
	gcm := enc1 + "aes256-gcm"
	flip := func(i int) func([]byte) []byte {
		return func(b []byte) []byte { b[(i+len(b))%len(b)] ^= 0x55; return b }
	}
	return map[string]attack{
		"an unsigned response around an encrypted unsigned assertion": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.encrypted = nil, &encryption{}
		}},
		"an encrypted forged assertion with a moved signature": {response.CheckDigest, inner("alice@corp.example</NameID>", "mallory@corp.example</NameID>")},
		"an encrypted assertion that reuses the Response's ID": {response.CheckIDs, func(r *reply, _ *response.Expect) {
			r.encrypted = &encryption{}
			r.sealed = r.swap(`ID="_r1"`, `ID="_a1"`)
		}},
		"an encrypted assertion with the ID of its EncryptedData": {response.CheckIDs, sealed(encryption{id: ` Id="_a1"`})},
		"two assertions in one ciphertext": {response.CheckDecryption, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				clear := element(r.tb, doc, "Assertion")
				return strings.Replace(doc, clear, encryption{}.seal(r.tb, clear+mallory(r, doc)), 1)
			}
		}},
		"two EncryptedAssertions": {response.CheckAssertions, func(r *reply, _ *response.Expect) {
			r.encrypted = &encryption{}
			r.after = func(doc string) string {
				e := element(r.tb, doc, "EncryptedAssertion")
				return strings.Replace(doc, e, e+e, 1)
			}
		}},
		"a document type in the plaintext": {response.CheckDecryption, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				clear := element(r.tb, doc, "Assertion")
				return strings.Replace(doc, clear, encryption{}.seal(r.tb, `<!DOCTYPE a [<!ENTITY e "x">]>`+clear), 1)
			}
		}},
		"something else encrypted": {response.CheckDecryption, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				c := element(r.tb, doc, "Assertion")
				return strings.Replace(doc, c, encryption{}.seal(r.tb, "<a/>"), 1)
			}
		}},
		"CBC length not a multiple of 16": {response.CheckDecryption, sealed(encryption{mangle: func(b []byte) []byte { return b[:len(b)-1] }})},
		"CBC of one block":                {response.CheckDecryption, sealed(encryption{mangle: func(b []byte) []byte { return b[:16] }})},
		"CBC with a wrong padding":        {response.CheckDecryption, sealed(encryption{mangle: flip(-17)})},
		"CBC with a changed first block":  {response.CheckDecryption, sealed(encryption{mangle: flip(0)})},
		"short GCM":                       {response.CheckDecryption, sealed(encryption{content: gcm, mangle: func(b []byte) []byte { return b[:27] }})},
		"changed GCM":                     {response.CheckDecryption, sealed(encryption{content: gcm, mangle: flip(20)})},
		"changed EncryptedKey":            {response.CheckDecryption, sealed(encryption{keyMangle: flip(7)})},
		"EncryptedKey of another length":  {response.CheckDecryption, sealed(encryption{keyMangle: func(b []byte) []byte { return b[:200] }})},
		"content key of another length":   {response.CheckDecryption, sealed(encryption{session: func(b []byte) []byte { return b[:16] }})},
		"encrypted for somebody else":     {response.CheckDecryption, func(r *reply, _ *response.Expect) { r.encrypted = &encryption{key: &rsaKey(r.tb, "sp2").PublicKey} }},
		"encrypted, and we have no key":   {response.CheckDecryption, func(r *reply, e *response.Expect) { r.encrypted, e.DecryptionKeys = &encryption{}, nil }},
		"3DES":                            {response.CheckEncryption, sealed(encryption{content: enc + "tripledes-cbc"})},
		"RSA 1.5 key transport":           {response.CheckEncryption, sealed(encryption{transport: enc + "rsa-1_5"})},
		"OAEP with MD5": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.encrypted = &encryption{digest: enc + "sha256"}
			r.after = r.swap(`<ds:DigestMethod xmlns:ds="`+dsNS+`" Algorithm="`+enc+"sha256", `<ds:DigestMethod xmlns:ds="`+dsNS+`" Algorithm="`+more+"md5")
		}},
		"encrypted content in place of an element": {response.CheckEncryption, sealed(encryption{dataType: enc + "Content"})},
		"a reference to ciphertext elsewhere": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.encrypted = &encryption{}
			r.after = r.swap("<xenc:CipherData><xenc:CipherValue>", `<xenc:CipherData><xenc:CipherReference URI="http://127.0.0.1/"/><xenc:CipherValue>`)
		}},
		"no EncryptedKey": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.encrypted = &encryption{}
			r.after = func(doc string) string { return strings.Replace(doc, element(r.tb, doc, "EncryptedKey"), "", 1) }
		}},
		"plain where encryption is required": {response.CheckUnencrypted, func(_ *reply, e *response.Expect) { e.RequireEncrypted = true }},
		"changed ciphertext in a signed Response": {response.CheckDigest, func(r *reply, _ *response.Expect) {
			r.responseSigned, r.encrypted = &signing{}, &encryption{}
			r.after = func(doc string) string {
				other := encryption{}.seal(r.tb, "<x/>")
				return strings.Replace(doc, element(r.tb, doc, "EncryptedAssertion"), other, 1)
			}
		}},
		"EncryptedID": {response.CheckEncryptedPieces, func(r *reply, _ *response.Expect) { r.before = r.swap(aliceID, "<EncryptedID/>") }},
		"EncryptedAttribute": {response.CheckEncryptedPieces, func(r *reply, _ *response.Expect) {
			r.before = r.swap("</AttributeStatement>", "<EncryptedAttribute/></AttributeStatement>")
		}},
	}
}

// statements are well signed and say the wrong thing.
func statements() map[string]attack {
	signed := func(old, with string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.before = r.swap(old, with) }
	}
	later := func(d time.Duration) func(*reply, *response.Expect) {
		return func(_ *reply, e *response.Expect) { e.Now = now.Add(d) }
	}
	unsolicited := func(age time.Duration) func(*reply, *response.Expect) {
		return func(r *reply, e *response.Expect) {
			e.RequestID, r.answers, r.before, r.issued = "", "", r.swap(` InResponseTo="`+req+`"`, ""), age
		}
	}
	return map[string]attack{
		"wrong Issuer of the Response":        {response.CheckIssuer, func(r *reply, _ *response.Expect) { r.issuer = strings.Replace(r.issuer, idp, "urn:other", 1) }},
		"wrong Issuer of the assertion":       {response.CheckIssuer, func(r *reply, _ *response.Expect) { r.assertionIssuer = "<Issuer>urn:other</Issuer>" }},
		"no Issuer of the assertion":          {response.CheckIssuer, func(r *reply, _ *response.Expect) { r.assertionIssuer = "<!-- </Issuer> -->" }},
		"wrong Audience":                      {response.CheckAudience, signed("<Audience>"+sp, "<Audience>urn:weir:sp:other")},
		"our audience as a part of another":   {response.CheckAudience, signed("<Audience>"+sp, "<Audience>"+sp+"2")},
		"no AudienceRestriction":              {response.CheckAudience, signed(audience, "")},
		"an empty AudienceRestriction":        {response.CheckAudience, signed(audience, "<AudienceRestriction/>")},
		"two restrictions, one not ours":      {response.CheckAudience, signed(audience, audience+strings.Replace(audience, sp, "urn:other", 1))},
		"an unknown condition":                {response.CheckConditions, signed(audience, audience+`<Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"/>`)},
		"a condition of another namespace":    {response.CheckConditions, signed(audience, audience+`<OneTimeUse xmlns="urn:x"/>`)},
		"no Conditions":                       {response.CheckConditions, func(r *reply, _ *response.Expect) { r.conditions = "" }},
		"wrong Recipient":                     {response.CheckRecipient, signed(`Recipient="`+acs, `Recipient="https://other.example/acs`)},
		"no Recipient":                        {response.CheckRecipient, signed(` Recipient="`+acs+`"`, "")},
		"wrong Destination":                   {response.CheckDestination, func(r *reply, _ *response.Expect) { r.destination = ` Destination="https://other.example/acs"` }},
		"an empty Destination":                {response.CheckDestination, func(r *reply, _ *response.Expect) { r.destination = ` Destination=""` }},
		"no Destination in a signed Response": {response.CheckDestination, func(r *reply, _ *response.Expect) { r.destination, r.responseSigned = "", &signing{} }},
		"expired confirmation":                {response.CheckExpired, later(8 * time.Minute)},
		"expired Conditions":                  {response.CheckExpired, func(r *reply, e *response.Expect) { r.conditions = strings.Replace(r.conditions, "{+1h}", "{-3m}", 1) }},
		"Conditions not yet valid": {response.CheckNotYetValid, func(r *reply, e *response.Expect) {
			r.conditions = strings.Replace(r.conditions, "{-1s}", "{+181s}", 1)
		}},
		"confirmation not yet valid":                  {response.CheckNotYetValid, signed("<SubjectConfirmationData", `<SubjectConfirmationData NotBefore="`+at(4*time.Minute)+`"`)},
		"IssueInstant in the future":                  {response.CheckIssueInstant, func(r *reply, _ *response.Expect) { r.issued = 181 * time.Second }},
		"IssueInstant of the assertion in the future": {response.CheckIssueInstant, signed(`<Assertion ID="_a1" IssueInstant="2026`, `<Assertion ID="_a1" IssueInstant="2027`)},
		"IssueInstant without a zone":                 {response.CheckIssueInstant, signed(`00Z" Version="2.0" xmlns=`, `00" Version="2.0" xmlns=`)},
		"no IssueInstant":                             {response.CheckIssueInstant, signed(` IssueInstant="`+at(-time.Second)+`" Version="2.0" xmlns`, ` Version="2.0" xmlns`)},
		"no Subject":                                  {response.CheckSubject, func(r *reply, _ *response.Expect) { r.subject = "" }},
		"no NameID":                                   {response.CheckNameID, func(r *reply, _ *response.Expect) { r.subject = "<Subject>" + confirmation + "</Subject>" }},
		"an empty NameID":                             {response.CheckNameID, signed(">alice@corp.example</NameID>", "> </NameID>")},
		"a NameID of 100,000 characters":              {response.CheckLimits, signed("alice@corp.example</NameID>", strings.Repeat("a", 100000)+"</NameID>")},
		"a NameID of 1,025 characters":                {response.CheckNameID, signed("alice@corp.example</NameID>", strings.Repeat("a", 1025)+"</NameID>")},
		"a long qualifier":                            {response.CheckNameID, signed("<NameID ", `<NameID NameQualifier="`+strings.Repeat("a", 1025)+`" `)},
		"markup in NameID":                            {response.CheckNameID, signed("alice@corp.example</NameID>", "alice@corp.example<b/></NameID>")},
		"two NameIDs":                                 {response.CheckShape, signed(aliceID, aliceID+aliceID)},
		"a BaseID":                                    {response.CheckNameID, signed(aliceID, "<BaseID/>")},
		"no SubjectConfirmation":                      {response.CheckConfirmation, func(r *reply, _ *response.Expect) { r.subject = "<Subject>" + aliceID + "</Subject>" }},
		"sender-vouches":                              {response.CheckConfirmation, signed("cm:bearer", "cm:sender-vouches")},
		"holder-of-key":                               {response.CheckConfirmation, signed("cm:bearer", "cm:holder-of-key")},
		"no SubjectConfirmationData":                  {response.CheckConfirmation, signed(times(confirmation), `<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>`)},
		"no NotOnOrAfter":                             {response.CheckConfirmation, signed(` NotOnOrAfter="`+at(5*time.Minute)+`" Recipient`, " Recipient")},
		"Version 2.1":                                 {response.CheckVersion, func(r *reply, _ *response.Expect) { r.version = "2.1" }},
		"an assertion of version 1.1":                 {response.CheckVersion, signed(`Version="2.0" xmlns=`, `Version="1.1" xmlns=`)},
		"SAML 1.1": {response.CheckVersion, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.ReplaceAll(doc, "SAML:2.0:protocol", "SAML:1.0:protocol") }
		}},
		"a LogoutResponse": {response.CheckShape, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.ReplaceAll(doc, "samlp:Response", "samlp:LogoutResponse") }
		}},
		"no assertion": {response.CheckAssertions, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.Replace(doc, element(r.tb, doc, "Assertion"), "", 1) }
		}},
		"unsolicited where that is off":   {response.CheckInResponseTo, func(r *reply, _ *response.Expect) { r.answers, r.before = "", r.swap(` InResponseTo="`+req+`"`, "") }},
		"an answer to another request":    {response.CheckInResponseTo, func(_ *reply, e *response.Expect) { e.RequestID = "_other" }},
		"Response and assertion disagree": {response.CheckInResponseTo, signed(`<SubjectConfirmationData InResponseTo="`+req, `<SubjectConfirmationData InResponseTo="_other`)},
		"InResponseTo changed in the Response": {response.CheckInResponseTo, func(r *reply, e *response.Expect) {
			r.after, e.RequestID = r.swap(`InResponseTo="`+req+`" xmlns`, `InResponseTo="_mine" xmlns`), "_mine"
		}},
		"InResponseTo only in the unsigned Response":          {response.CheckInResponseTo, signed(`<SubjectConfirmationData InResponseTo="`+req+`"`, "<SubjectConfirmationData")},
		"InResponseTo only in the assertion":                  {response.CheckInResponseTo, func(r *reply, _ *response.Expect) { r.answers = "" }},
		"an unsolicited response 10 minutes old":              {response.CheckStale, unsolicited(-10 * time.Minute)},
		"an unsolicited response 6 minutes old":               {response.CheckStale, unsolicited(-6 * time.Minute)},
		"an answer on the unsolicited path":                   {response.CheckInResponseTo, func(_ *reply, e *response.Expect) { e.RequestID = "" }},
		"an answer on the unsolicited path, by its assertion": {response.CheckInResponseTo, func(r *reply, e *response.Expect) { e.RequestID, r.answers = "", "" }},
		"an answer on the unsolicited path, to nothing":       {response.CheckInResponseTo, func(r *reply, e *response.Expect) { unsolicited(-time.Second)(r, e); r.answers = ` InResponseTo=""` }},
		"no AuthnStatement":                                   {response.CheckAuthnStatement, func(r *reply, _ *response.Expect) { r.authn = "" }},
		"no AuthnContext":                                     {response.CheckAuthnStatement, func(r *reply, _ *response.Expect) { r.authn = `<AuthnStatement AuthnInstant="{-2s}"/>` }},
		"no AuthnInstant":                                     {response.CheckAuthnStatement, signed(` AuthnInstant="`+at(-2*time.Second)+`"`, "")},
		"AuthnInstant in the future":                          {response.CheckAuthnStatement, func(r *reply, _ *response.Expect) { r.authn = strings.Replace(r.authn, "{-2s}", "{+1h}", 1) }},
		"a session that has ended":                            {response.CheckExpired, signed("<AuthnStatement", `<AuthnStatement SessionNotOnOrAfter="`+at(-time.Hour)+`"`)},
		"a long SessionIndex":                                 {response.CheckLimits, signed(`SessionIndex="`, `SessionIndex="`+strings.Repeat("x", 1025))},
		"ForceAuthn not honoured": {response.CheckForceAuthn, func(_ *reply, e *response.Expect) {
			e.ForceAuthn, e.RequestTime = true, now.Add(4*time.Minute)
			e.Now = now.Add(270 * time.Second)
		}},
		"an attribute without a name":         {response.CheckAttributes, signed("<AttributeStatement>", "<AttributeStatement><Attribute/>")},
		"an unknown element in the assertion": {response.CheckShape, signed("<AttributeStatement>", "<Statements/><AttributeStatement>")},
		"no ID of the assertion": {response.CheckIDs, func(r *reply, _ *response.Expect) {
			r.assertionSigned = nil
			r.responseSigned = &signing{}
			r.before = r.swap(`<Assertion ID="_a1"`, "<Assertion")
		}},
		"a long ID":                 {response.CheckIDs, func(r *reply, _ *response.Expect) { r.after = r.swap(`ID="_r1"`, `ID="`+strings.Repeat("x", 257)+`"`) }},
		"no Status":                 {response.CheckShape, func(r *reply, _ *response.Expect) { r.status = "" }},
		"a Status without a code":   {response.CheckShape, func(r *reply, _ *response.Expect) { r.status = "<samlp:Status/>" }},
		"status other than Success": {response.CheckStatus, func(r *reply, _ *response.Expect) { r.status = strings.Replace(r.status, "Success", "Responder", 1) }},
		"no clock":                  {response.CheckExpect, func(_ *reply, e *response.Expect) { e.Now = time.Time{} }},
		"no keys":                   {response.CheckExpect, func(_ *reply, e *response.Expect) { e.SigningKeys = nil }},
		"no entity id of ours":      {response.CheckExpect, func(_ *reply, e *response.Expect) { e.SPEntityID = "" }},
		"ForceAuthn without a time": {response.CheckExpect, func(_ *reply, e *response.Expect) { e.ForceAuthn = true }},
		"a negative skew":           {response.CheckExpect, func(_ *reply, e *response.Expect) { e.Skew = -1 }},
	}
}

// documents are bytes that no XML library should have to see.
func documents() map[string]attack {
	edit := func(old, with string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.after = r.swap(old, with) }
	}
	around := func(before, after string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.after = func(doc string) string { return before + doc + after } }
	}
	return map[string]attack{
		"text outside the root, before":         {response.CheckXML, around("x", "")},
		"text outside the root, after":          {response.CheckXML, around("", "x")},
		"two roots":                             {response.CheckXML, around("", "<x/>")},
		"a document type":                       {response.CheckXML, around(`<!DOCTYPE x [<!ENTITY e "x">]>`, "")},
		"a document type after the declaration": {response.CheckXML, around(`<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1/">`, "")},
		"an unknown entity":                     {response.CheckXML, edit("alice@corp.example</NameID>", "&xxe;</NameID>")},
		"a processing instruction in NameID":    {response.CheckXML, edit("alice@corp.example</NameID>", "alice@<?x y?>corp.example</NameID>")},
		"a stylesheet":                          {response.CheckXML, around(`<?xml-stylesheet href="x"?>`, "")},
		"UTF-16": {response.CheckXML, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return "\xff\xfe" + strings.Join(strings.Split(doc, ""), "\x00") + "\x00" }
		}},
		"an encoding other than UTF-8":       {response.CheckXML, around(`<?xml version="1.0" encoding="ISO-8859-1"?>`, "")},
		"UTF-7":                              {response.CheckXML, around(`<?xml version="1.0" encoding="utf-7"?>`, "")},
		"XML 1.1":                            {response.CheckXML, around(`<?xml version="1.1"?>`, "")},
		"invalid UTF-8":                      {response.CheckXML, edit("alice@", "alice\xff@")},
		"a zero byte":                        {response.CheckXML, edit("alice@", "alice\x00@")},
		"a reference to a zero byte":         {response.CheckXML, edit("alice@", "alice&#0;@")},
		"an undeclared prefix":               {response.CheckXML, edit("<samlp:Status>", "<x:y/><samlp:Status>")},
		"an attribute twice":                 {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" ID="_r1"`)},
		"an attribute twice by two prefixes": {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" xmlns:a="urn:x" xmlns:b="urn:x" a:c="" b:c=""`)},
		"the prefix xml rebound":             {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" xmlns:xml="urn:x"`)},
		"the prefix xmlns bound":             {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" xmlns:xmlns="urn:x"`)},
		"a prefix undeclared":                {response.CheckXML, edit(`ID="_a1"`, `ID="_a1" xmlns:samlp=""`)},
		"tags that cross":                    {response.CheckXML, edit("</Subject>", "</Subjects>")},
		"a name in other letters":            {response.CheckXML, edit("<Subject>", "<Sub\u0458ect>")},
		"an end tag too many":                {response.CheckXML, around("", "</x>")},
		"an end too early":                   {response.CheckXML, edit("</samlp:Response>", "")},
		"a comment with two hyphens":         {response.CheckXML, edit("<samlp:Status>", "<!-- a -- b --><samlp:Status>")},
		"an attribute without quotes":        {response.CheckXML, edit(`Version="2.0"`, "Version=2.0")},
		"a tag in an attribute":              {response.CheckXML, edit(`Version="2.0"`, `Version="<"`)},
		"65 attributes":                      {response.CheckLimits, edit(`Version="2.0"`, `Version="2.0"`+manyAttributes(65))},
		"an XML attribute of 9 KB":           {response.CheckLimits, edit(`ID="_r1"`, `ID="_r1" x="`+strings.Repeat("x", 9<<10)+`"`)},
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i) + `=""`)
	}
	return b.String()
}

// attacks is the whole table.
func attacks() map[string]attack {
	all := map[string]attack{}
	for _, m := range []map[string]attack{wrapping(), shapes(), encrypted(), statements(), documents(), hostile()} {
		maps.Copy(all, m)
	}
	return all
}

func TestRefusesEveryAttack(t *testing.T) {
	table := attacks()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		t.Run(name, func(t *testing.T) {
			r, e := newReply(t), expect(t)
			table[name].make(r, &e)
			a, err := judge(r.xml(), e)
			verdict(t, a, err, table[name].check)
		})
	}
}

// The same wrapping with the assertions encrypted: what a forged one wraps is then hidden from the count of elements.
func TestRefusesWrappingInsideTheCiphertext(t *testing.T) {
	for name, edit := range map[string]func(honest, sig, bare, evil string) string{
		"the signed one inside a forged one": func(honest, _, _, evil string) string {
			return strings.Replace(evil, "</Assertion>", honest+"</Assertion>", 1)
		},
		"the signed one inside a forged one's signature": func(_, sig, bare, evil string) string {
			return strings.Replace(evil, "</Issuer>", "</Issuer>"+strings.Replace(sig, "</ds:Signature>", "<ds:Object>"+bare+"</ds:Object></ds:Signature>", 1), 1)
		},
		"the signed one in a forged one's Advice": func(honest, _, _, evil string) string {
			return strings.Replace(evil, "<AuthnStatement", "<Advice>"+honest+"</Advice><AuthnStatement", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReply(t)
			r.after = func(doc string) string {
				honest := element(t, doc, "Assertion")
				sig := element(t, honest, "Signature")
				return strings.Replace(doc, honest, encryption{}.seal(t, edit(honest, sig, strings.Replace(honest, sig, "", 1), mallory(r, doc))), 1)
			}
			a, err := judge(r.xml(), expect(t))
			verdict(t, a, err, response.CheckAssertions)
		})
	}
}

func TestStatusIsKeptForTheTrace(t *testing.T) {
	r := newReply(t)
	r.status = `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"/></samlp:StatusCode><samlp:StatusMessage>MSIS7070: no</samlp:StatusMessage><samlp:StatusDetail><x/></samlp:StatusDetail></samlp:Status>`
	r.assertionSigned = nil
	r.after = func(doc string) string { return strings.Replace(doc, element(t, doc, "Assertion"), "", 1) }
	a, err := judge(r.xml(), expect(t))
	verdict(t, a, err, response.CheckStatus)
	s := err.(*response.Refusal).Status //nolint:errorlint // verdict has seen what it is
	if len(s.Codes) != 2 || !strings.HasSuffix(s.Codes[1], ":NoAuthnContext") || s.Message != "MSIS7070: no" {
		t.Errorf("status %+v", s)
	}
}

func TestAdministratorIsToldWhatToChange(t *testing.T) {
	r := newReply(t)
	r.before = r.swap("<Audience>"+sp, "<Audience>urn:weir:sp:other")
	_, err := judge(r.xml(), expect(t))
	want := `The assertion is for audience "urn:weir:sp:other"; this pool is "` + sp + `": set the relying party identifier to ` + sp + "."
	if got := err.(*response.Refusal).Admin; got != want { //nolint:errorlint // a nil would fail the test as well
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Whatever goes wrong below the key transport gives the same words: a difference would be an oracle.
func TestDecryptionFailuresAreAlike(t *testing.T) {
	table := encrypted()
	texts := map[string]bool{}
	for _, name := range []string{"CBC length not a multiple of 16", "CBC with a wrong padding", "CBC with a changed first block", "short GCM", "changed GCM",
		"changed EncryptedKey", "EncryptedKey of another length", "content key of another length", "encrypted for somebody else", "something else encrypted"} {
		r, e := newReply(t), expect(t)
		table[name].make(r, &e)
		_, err := judge(r.xml(), e)
		if err == nil {
			t.Fatal("accepted: " + name)
		}
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different errors: %v", len(texts), texts)
	}
}

// A key that makes the standard library panic must end as a refusal.
func TestPanicsAreRefusals(t *testing.T) {
	e := expect(t)
	e.SigningKeys = []crypto.PublicKey{(*rsa.PublicKey)(nil)}
	a, err := judge(newReply(t).xml(), e)
	verdict(t, a, err, response.CheckDefect)
}
