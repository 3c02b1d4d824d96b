package response_test

import (
	"strings"

	"github.com/weir-id/weir/saml/response"
)

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
		"an unknown element in EncryptedData": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.encrypted, r.after = &encryption{}, r.swap("<xenc:CipherData>", "<xenc:Cipher/><xenc:CipherData>")
		}},
		"two EncryptedData": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.encrypted, r.after = &encryption{}, r.swap("</EncryptedAssertion>", `<xenc:EncryptedData xmlns:xenc="`+enc+`"/></EncryptedAssertion>`)
		}},
		"an empty EncryptedAssertion": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				return strings.Replace(doc, element(r.tb, doc, "Assertion"), `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/>`, 1)
			}
		}},
		"an EncryptedData without ciphertext": {response.CheckEncryption, func(r *reply, _ *response.Expect) {
			r.encrypted, r.after = &encryption{}, func(doc string) string {
				last := strings.LastIndex(doc, "<xenc:CipherData>")
				return doc[:last] + doc[last+strings.Index(doc[last:], "</xenc:EncryptedData>"):]
			}
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
