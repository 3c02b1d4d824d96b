package response

import (
	"errors"
	"maps"

	"github.com/weir-id/weir/saml/internal/xmlsec"
	"github.com/weir-id/weir/saml/internal/xmltree"
)

// protection makes sure that the assertion is signed, by itself or as a part of the Response, and opens it where it is encrypted.
//
// The Response's signature comes first: where there is one, nothing is decrypted that its issuer did not
// send, which leaves an attacker no ciphertext of his own to try (padding oracles).
func (v *validation) protection(doc *xmltree.Document) *Refusal {
	m := &v.msg
	if m.assertion == nil && m.encrypted == nil {
		return refuse(CheckAssertions, "The response has no assertion.")
	}
	if m.assertion != nil {
		if v.RequireEncrypted {
			return refuse(CheckUnencrypted, "The assertion is not encrypted, and this provider is set to accept encrypted ones only: give the identity provider our encryption certificate.")
		}
		if r := v.readAssertion(m.assertion); r != nil {
			return r
		}
	}
	if m.responseSignature != nil {
		if r := v.verify(doc, m.response, m.responseSignature); r != nil {
			return r
		}
		v.out.SignedResponse = true
	}
	if m.encrypted != nil {
		return v.decrypt(doc)
	}
	if m.in.signature == nil && !v.out.SignedResponse {
		return unsigned()
	}
	return v.assertionSignature(doc)
}

func unsigned() *Refusal {
	return refuse(CheckUnsigned, "Neither the response nor the assertion is signed. Have the identity provider sign at least one of them.")
}

func (v *validation) assertionSignature(doc *xmltree.Document) *Refusal {
	if v.msg.in.signature == nil {
		return nil
	}
	if r := v.verify(doc, v.msg.assertion, v.msg.in.signature); r != nil {
		return r
	}
	v.out.SignedAssertion = true
	return nil
}

// verify checks one signature and says what a failure means.
func (v *validation) verify(doc *xmltree.Document, el, signature *xmltree.Node) *Refusal {
	v.sawSignature(el, signature)
	err := xmlsec.Verify(doc, el, signature, xmlsec.Trust{Keys: v.SigningKeys, SHA1: v.AllowSHA1})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, xmlsec.ErrAlgorithm):
		return refuse(CheckAlgorithm, "The %s is signed with an algorithm that is not accepted. Use RSA or ECDSA with SHA-256 (AD FS: Set-AdfsRelyingPartyTrust -SignatureAlgorithm http://www.w3.org/2001/04/xmldsig-more#rsa-sha256).", el.Local).because(err)
	case errors.Is(err, xmlsec.ErrKey):
		return refuse(CheckSigningKey, "The %s is not signed with any of the %d signing keys in the identity provider's metadata. If its token-signing certificate has changed, the metadata must be read again.", el.Local, len(v.SigningKeys)).because(err)
	case errors.Is(err, xmlsec.ErrDigest):
		return refuse(CheckDigest, "The %s was changed after the identity provider signed it.", el.Local).because(err)
	}
	return refuse(CheckSignatureShape, "The signature of the %s does not have the form that SAML prescribes.", el.Local).because(err)
}

// decrypt opens the encrypted assertion and checks the signature inside.
//
// Some products sign and encrypt an assertion in its place, so that prefixes declared on the Response apply to it, others as a
// document of its own. Either reading is of the same names or fails: what differs is which declarations a PrefixList puts
// into the canonical form. So the first is tried, and the second only where it fails.
func (v *validation) decrypt(doc *xmltree.Document) *Refusal {
	if len(v.DecryptionKeys) == 0 {
		return refuse(CheckDecryption, "The assertion is encrypted, but this provider has no decryption key: switch encryption off at the identity provider, or on here.")
	}
	plain, err := xmlsec.Decrypt(v.msg.encrypted, v.DecryptionKeys)
	switch {
	case errors.Is(err, xmlsec.ErrDecrypt):
		return undecryptable()
	case err != nil:
		return refuse(CheckEncryption, "The assertion is encrypted in a way that is not accepted. Use AES (CBC or GCM) with RSA-OAEP.").because(err)
	}
	v.out.Encrypted = true
	v.passed(CheckDecryption)
	first := v.opened(doc, plain, v.msg.encrypted)
	if first == nil || v.out.SignedResponse && v.msg.in.signature == nil {
		return first
	}
	if v.opened(doc, plain, nil) == nil {
		return nil
	}
	return first
}

// undecryptable is the one refusal for wrong keys, wrong paddings and wrong plaintexts.
func undecryptable() *Refusal {
	return refuse(CheckDecryption, "The encrypted assertion cannot be read with this pool's keys. If our encryption certificate was renewed, let the identity provider read our metadata again.")
}

// innerNames are names for a decrypted assertion, which may have one signature and no other assertion in it.
var innerNames = func() map[string]int {
	m := maps.Clone(names)
	m["Response"], m["EncryptedAssertion"], m["Signature"], m["SignedInfo"], m["Reference"] = 0, 0, 1, 1, 1
	return m
}()

// opened reads a decrypted assertion as if it stood in within and checks its signature.
func (v *validation) opened(outer *xmltree.Document, plain []byte, within *xmltree.Node) *Refusal {
	limits := v.limits
	limits.Names = innerNames
	inner, err := xmltree.Parse(plain, limits, within)
	switch {
	case errors.Is(err, xmltree.ErrLimit):
		return parseRefusal(err)
	case err != nil, !inner.Root.Is(assertionNS, "Assertion"):
		return undecryptable()
	}
	if _, twice := xmltree.Duplicate(outer, inner); twice {
		return repeatedID()
	}
	v.msg.assertion = inner.Root
	if r := v.readAssertion(inner.Root); r != nil {
		return r
	}
	if v.msg.in.signature == nil && !v.out.SignedResponse {
		return unsigned()
	}
	return v.assertionSignature(inner)
}

// readAssertion finds the parts of the assertion. Its version and issuer are checked before the signature because they explain
// a wrong key best; they are what they are in the signed element as well.
func (v *validation) readAssertion(n *xmltree.Node) *Refusal {
	if r := version(n); r != nil {
		return r
	}
	p, r := parts(n,
		rule{space: assertionNS, local: "Issuer"}, rule{space: xmlsec.DSig, local: "Signature"},
		rule{space: assertionNS, local: "Subject"}, rule{space: assertionNS, local: "Conditions"},
		rule{space: assertionNS, local: "Advice"}, rule{space: assertionNS, local: "Statement", many: true},
		rule{space: assertionNS, local: "AuthnStatement", many: true},
		rule{space: assertionNS, local: "AuthzDecisionStatement", many: true},
		rule{space: assertionNS, local: "AttributeStatement", many: true})
	if r != nil {
		return r
	}
	v.msg.in = assertionParts{issuer: p[0], signature: p[1], subject: p[2], conditions: p[3]}
	if v.out.ID, r = identifier(n); r != nil {
		return r
	}
	if p[0] == nil {
		return refuse(CheckIssuer, "The assertion has no Issuer.")
	}
	v.out.Issuer = v.IDPEntityID
	return v.issuer(p[0])
}
