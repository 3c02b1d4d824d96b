package response_test

import (
	"strings"

	"github.com/weir-id/weir/saml/response"
)

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
