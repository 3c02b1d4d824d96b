package response_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/response"
)

// isAlice fails the test unless a is the honest assertion of the forge.
func isAlice(tb testing.TB, a *response.Assertion) {
	tb.Helper()
	if a.ID != "_a1" || a.Issuer != idp || a.NameID == nil || a.NameID.Value != "alice@corp.example" {
		tb.Fatalf("not the signed assertion: %+v", a)
	}
	if a.NameID.Format != "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" || a.NameID.NameQualifier != "" {
		tb.Errorf("NameID %+v", a.NameID)
	}
	if i := slices.IndexFunc(a.Attributes, func(x response.Attribute) bool { return x.Name == mail }); i < 0 || !slices.Equal(a.Attributes[i].Values, []string{"alice@corp.example"}) {
		tb.Errorf("attributes %+v", a.Attributes)
	}
}

// acceptances are responses that must be accepted as Alice's.
func acceptances() map[string]func(*reply, *response.Expect) {
	signedBy := func(s signing) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.assertionSigned = &s }
	}
	sealed := func(e encryption) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.encrypted = &e }
	}
	m := map[string]func(*reply, *response.Expect){
		"signed assertion only, as AD FS sends it": func(*reply, *response.Expect) {},
		"signed response only": func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.responseSigned = nil, &signing{}
		},
		"signed response and assertion": func(r *reply, _ *response.Expect) { r.responseSigned = &signing{} },
		"signed assertion, encrypted":   sealed(encryption{}),
		"signed response, encrypted unsigned assertion": func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.responseSigned, r.encrypted = nil, &signing{}, &encryption{}
		},
		"signed response and assertion, encrypted": func(r *reply, _ *response.Expect) {
			r.responseSigned, r.encrypted = &signing{}, &encryption{}
		},
		"encryption required and there": func(r *reply, e *response.Expect) {
			r.encrypted, e.RequireEncrypted = &encryption{}, true
		},
		"RSA with SHA-384": signedBy(signing{method: more + "rsa-sha384", digest: more + "sha384"}),
		"RSA with SHA-512": signedBy(signing{method: more + "rsa-sha512", digest: enc + "sha512"}),
		"SHA-1 where it is switched on": func(r *reply, e *response.Expect) {
			r.assertionSigned, e.AllowSHA1 = &signing{method: dsNS + "rsa-sha1", digest: dsNS + "sha1"}, true
		},
		"canonicalization with comments where there are none": signedBy(signing{c14n: exc + "WithComments"}),
		"PrefixList with prefixes declared on the Response": func(r *reply, _ *response.Expect) {
			r.namespaces = ` xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
			r.assertionSigned = &signing{prefixes: "xs xsi #default"}
			r.attributes = strings.ReplaceAll(r.attributes, "<AttributeValue>", `<AttributeValue xsi:type="xs:string">`)
		},
		"certificate absent from KeyInfo": signedBy(signing{keyInfo: "<ds:KeyInfo></ds:KeyInfo>"}),
		"two keys in the metadata, signed with the second": func(r *reply, e *response.Expect) {
			e.SigningKeys = []crypto.PublicKey{key(r.tb, "idp2").Public(), key(r.tb, "idp").Public()}
		},
		"bad keys beside the good one": func(r *reply, e *response.Expect) {
			e.SigningKeys = append([]crypto.PublicKey{nil, "no key", key(r.tb, "weak").Public(), key(r.tb, "ec256").Public()}, e.SigningKeys...)
		},
		"a key of ours that is being rolled over": func(r *reply, e *response.Expect) {
			r.encrypted, e.DecryptionKeys = &encryption{}, []*rsa.PrivateKey{rsaKey(r.tb, "sp2"), rsaKey(r.tb, "sp")}
		},
		"keys for others before ours":           sealed(encryption{repeat: 2}),
		"EncryptedKey beside its EncryptedData": sealed(encryption{beside: true}),
		"comment inside NameID: the full text": func(r *reply, _ *response.Expect) {
			r.after = r.swap("alice@corp.example</NameID>", "alice@<!-- x -->corp.example</NameID>")
		},
		"comment inside an attribute value: the full text": func(r *reply, _ *response.Expect) {
			r.after = r.swap("alice@corp.example</AttributeValue>", "alice@corp<!---->.example</AttributeValue>")
		},
		"CDATA: the full text": func(r *reply, _ *response.Expect) {
			r.after = r.swap("alice@corp.example</NameID>", "alice@<![CDATA[corp.]]>example</NameID>")
		},
		"references for characters": func(r *reply, _ *response.Expect) {
			r.after = r.swap("alice@corp.example</NameID>", "&#97;lice&#x40;corp.example</NameID>")
		},
		"byte order mark and XML declaration": func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return "\uFEFF<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n" + doc + "\n" }
		},
		"white space in tags": func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				return strings.ReplaceAll(r.swap(`<Assertion ID="_a1"`, "<Assertion \n  ID = '_a1'")(doc), "</Assertion>", "</Assertion >")
			}
		},
		"two audiences in one restriction, one ours": func(r *reply, _ *response.Expect) {
			r.before = r.swap("<Audience>", "<Audience>urn:other</Audience><Audience>")
		},
		"two restrictions that both name us": func(r *reply, _ *response.Expect) { r.before = r.swap(audience, audience+audience) },
		"OneTimeUse and ProxyRestriction": func(r *reply, _ *response.Expect) {
			r.before = r.swap(audience, audience+`<OneTimeUse/><ProxyRestriction Count="0"/>`)
		},
		"clock of the provider 100 s ahead":  func(r *reply, e *response.Expect) { e.Now = now.Add(-100 * time.Second) },
		"clock of the provider 100 s behind": func(r *reply, e *response.Expect) { e.Now = now.Add(5*time.Minute + 100*time.Second) },
		"a second confirmation of another kind": func(r *reply, _ *response.Expect) {
			r.before = r.swap("<SubjectConfirmation ", `<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"/><SubjectConfirmation `)
		},
		"InResponseTo only in the signed Response": func(r *reply, _ *response.Expect) {
			r.responseSigned, r.before = &signing{}, r.swap(`InResponseTo="`+req+`" NotOnOrAfter`, `NotOnOrAfter`)
		},
		"no Issuer, no Destination in an unsigned Response": func(r *reply, _ *response.Expect) { r.issuer, r.destination = "", "" },
		"ForceAuthn honoured":                               func(_ *reply, e *response.Expect) { e.ForceAuthn, e.RequestTime = true, now.Add(-time.Minute) },
		"the authentication context that was asked for":     func(_ *reply, e *response.Expect) { e.AuthnContexts = []string{asked} },
		"one of those that were asked for":                  func(_ *reply, e *response.Expect) { e.AuthnContexts = []string{"urn:x:mfa", asked} },
		"base64 in lines":                                   func(*reply, *response.Expect) {},
		"unsolicited where that is asked for": func(r *reply, e *response.Expect) {
			e.RequestID, r.answers, r.before = "", "", r.swap(` InResponseTo="`+req+`"`, "")
		},
		"an attribute statement twice, and other statements": func(r *reply, _ *response.Expect) {
			r.attributes += `<AttributeStatement><Attribute Name="x" FriendlyName="y"/></AttributeStatement><AuthzDecisionStatement Resource="" Decision="Permit"/>`
		},
		"Extensions and an ignored Advice": func(r *reply, _ *response.Expect) {
			r.extensions = `<samlp:Extensions><x:y xmlns:x="urn:x"/></samlp:Extensions>`
			r.conditions += `<Advice><x:y xmlns:x="urn:x"/></Advice>`
		},
	}
	for _, size := range []int{256, 384, 521} {
		method := map[int]string{256: "sha256", 384: "sha384", 521: "sha512"}[size]
		name := fmt.Sprint("ec", size)
		m["ECDSA P-"+fmt.Sprint(size)] = func(r *reply, e *response.Expect) {
			r.assertionSigned = &signing{key: key(r.tb, name), method: more + "ecdsa-" + method}
			e.SigningKeys = []crypto.PublicKey{key(r.tb, name).Public()}
		}
	}
	for _, bits := range []string{"128", "192", "256"} {
		m["AES-"+bits+"-CBC"] = sealed(encryption{content: enc + "aes" + bits + "-cbc"})
		m["AES-"+bits+"-GCM"] = sealed(encryption{content: enc1 + "aes" + bits + "-gcm"})
	}
	m["OAEP mgf1p with SHA-256"] = sealed(encryption{digest: enc + "sha256"})
	m["OAEP mgf1p with SHA-256 for the mask too"] = sealed(encryption{digest: enc + "sha256", mask: crypto.SHA256})
	m["OAEP with parameters"] = sealed(encryption{label: "weir"})
	m["OAEP of xmlenc11 by default"] = sealed(encryption{transport: enc1 + "rsa-oaep"})
	for name, mask := range map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512} {
		for _, digest := range []string{dsNS + "sha1", enc + "sha256", more + "sha384", enc + "sha512"} {
			m["OAEP of xmlenc11 with MGF "+name+" and "+digest] = sealed(encryption{transport: enc1 + "rsa-oaep", digest: digest, mgf: enc1 + "mgf1" + name, mask: mask})
		}
	}
	// As pysaml2 does it: signed in its place, then encrypted without the declarations around it.
	m["prefixes declared outside the EncryptedAssertion"] = func(r *reply, _ *response.Expect) {
		r.namespaces = ` xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
		r.before = func(doc string) string {
			clear := element(r.tb, doc, "Assertion")
			inner := strings.ReplaceAll(strings.ReplaceAll(clear, ` xmlns="urn:oasis:names:tc:SAML:2.0:assertion"`, ""), "<AttributeValue>", `<AttributeValue xsi:type="xs:string">`)
			inner = strings.NewReplacer("</", "</saml:", "<", "<saml:").Replace(inner)
			return strings.Replace(doc, clear, inner, 1)
		}
		r.assertionSigned, r.encrypted = &signing{prefixes: "xs"}, &encryption{}
	}
	// The plaintext is a document of its own: what the Response declares must not enter its canonical form.
	m["prefixes reused inside the EncryptedAssertion"] = func(r *reply, _ *response.Expect) {
		r.assertionSigned, r.encrypted = &signing{prefixes: "xs"}, &encryption{}
		r.sealed = r.swap(" xmlns:samlp=", ` xmlns:xs="urn:elsewhere" xmlns:samlp=`)
	}
	return m
}

func TestAcceptsWhatIsProven(t *testing.T) {
	for name, arrange := range acceptances() {
		t.Run(name, func(t *testing.T) {
			r, e := newReply(t), expect(t)
			arrange(r, &e)
			doc := r.xml()
			a, err := judge(doc, e)
			if name == "base64 in lines" {
				var lines []string
				for chunk := range slices.Chunk([]byte(form(doc)), 76) {
					lines = append(lines, string(chunk))
				}
				a, err = response.Validate(strings.Join(lines, "\r\n")+"\r\n", e)
			}
			verdict(t, a, err, "")
			isAlice(t, a)
			if a.SignedAssertion != (r.assertionSigned != nil) || a.SignedResponse != (r.responseSigned != nil) || a.Encrypted != (r.encrypted != nil) {
				t.Errorf("trace says %+v", a)
			}
		})
	}
}

func TestAssertionHoldsEverythingThatWasSaid(t *testing.T) {
	r := newReply(t)
	r.subject = `<Subject><NameID Format="urn:f" NameQualifier="q" SPNameQualifier="s" SPProvidedID="p"> Alice </NameID>` +
		strings.Replace(confirmation, "{+5m}", "{+4m}", 1) + `<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData NotOnOrAfter="{+20m}" Recipient="urn:x"/></SubjectConfirmation></Subject>`
	r.authn = `<AuthnStatement AuthnInstant="{-90s}" SessionIndex="s-1" SessionNotOnOrAfter="{+8h}"><SubjectLocality Address="192.0.2.1"/><AuthnContext><AuthnContextClassRef> urn:c </AuthnContextClassRef><AuthenticatingAuthority>urn:a</AuthenticatingAuthority><AuthenticatingAuthority>urn:b</AuthenticatingAuthority></AuthnContext></AuthnStatement>`
	r.attributes = `<AttributeStatement><Attribute Name="n" FriendlyName="f" NameFormat="urn:nf"><AttributeValue>a&amp;b</AttributeValue><AttributeValue/><AttributeValue> c </AttributeValue></Attribute>` +
		`<Attribute Name="nil"><AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></Attribute>` +
		`<Attribute Name="eptid"><AttributeValue><NameID NameQualifier="x">opaque</NameID></AttributeValue></Attribute>` +
		`<Attribute Name="markup"><AttributeValue><b xmlns="urn:h">x</b>y</AttributeValue><AttributeValue><NameID>x</NameID><NameID>y</NameID></AttributeValue></Attribute></AttributeStatement>`
	a, err := judge(r.xml(), expect(t))
	verdict(t, a, err, "")
	if want := (response.NameID{Value: " Alice ", Format: "urn:f", NameQualifier: "q", SPNameQualifier: "s", SPProvidedID: "p"}); *a.NameID != want {
		t.Errorf("NameID %+v, want %+v", *a.NameID, want)
	}
	if got, want := fmt.Sprint(a.Attributes), "[{n f urn:nf [a&b   c ]} {nil   []} {eptid   [opaque]} {markup   []}]"; got != want {
		t.Errorf("attributes %s, want %s", got, want)
	}
	if a.SessionIndex != "s-1" || a.AuthnContextClassRef != "urn:c" || !slices.Equal(a.Authorities, []string{"urn:a", "urn:b"}) || a.ResponseID != "_r1" {
		t.Errorf("got %+v", a)
	}
	for name, pair := range map[string][2]time.Time{
		"IssueInstant": {a.IssueInstant, now.Add(-time.Second)}, "AuthnInstant": {a.AuthnInstant, now.Add(-90 * time.Second)},
		"SessionNotOnOrAfter": {a.SessionNotOnOrAfter, now.Add(8 * time.Hour)},
		// The longest of the confirmations, plus the skew.
		"ReplayUntil": {a.ReplayUntil, now.Add(23 * time.Minute)},
	} {
		if !pair[0].Equal(pair[1]) {
			t.Errorf("%s %s, want %s", name, pair[0], pair[1])
		}
	}
}

func TestReplayUntilIsWhenConditionsEndIfTheyEndFirst(t *testing.T) {
	r := newReply(t)
	r.conditions = strings.Replace(r.conditions, "{+1h}", "{+2m}", 1)
	a, err := judge(r.xml(), expect(t))
	verdict(t, a, err, "")
	if want := now.Add(5 * time.Minute); !a.ReplayUntil.Equal(want) {
		t.Errorf("until %s, want %s", a.ReplayUntil, want)
	}
}

func TestNameIDMayBeAbsentOnlyWhereAnAttributeIsTheSubject(t *testing.T) {
	r := newReply(t)
	r.subject = `<Subject>` + confirmation + `</Subject>`
	doc, e := r.xml(), expect(t)
	a, err := judge(doc, e)
	verdict(t, a, err, response.CheckNameID)
	e.NameIDOptional = true
	a, err = judge(doc, e)
	verdict(t, a, err, "")
	if a.NameID != nil {
		t.Errorf("NameID %+v", a.NameID)
	}
}

func TestTwoThousandFiveHundredGroups(t *testing.T) {
	for name, how := range map[string]*encryption{"in clear": nil, "encrypted": {}} {
		t.Run(name, func(t *testing.T) {
			r := newReply(t)
			r.attributes, r.encrypted = attributes(2500), how
			a, err := judge(r.xml(), expect(t))
			verdict(t, a, err, "")
			i := slices.IndexFunc(a.Attributes, func(x response.Attribute) bool { return x.Name == groups })
			if i < 0 || len(a.Attributes[i].Values) != 2500 || a.Attributes[i].Values[2499] != "Group-2499-Department" {
				t.Error("not the 2,500 groups")
			}
		})
	}
}

func TestLimitsCanBeRaisedForVeryManyGroups(t *testing.T) {
	r := newReply(t)
	r.attributes = attributes(8000)
	doc, e := r.xml(), expect(t)
	a, err := judge(doc, e)
	verdict(t, a, err, response.CheckLimits)
	e.MaxBytes, e.MaxElements = 1<<20, 10000
	a, err = judge(doc, e)
	verdict(t, a, err, "")
	isAlice(t, a)
}

func TestSenderIsWhatTheResponseSays(t *testing.T) {
	many := newReply(t)
	many.attributes = attributes(2500)
	hidden := newReply(t)
	hidden.encrypted = &encryption{}
	for name, r := range map[string]*reply{"in clear": newReply(t), "encrypted": hidden, "with 2,500 groups": many} {
		t.Run(name, func(t *testing.T) {
			if got, err := response.Sender(form(r.xml())); err != nil || got != expect(t).IDPEntityID {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	for name, a := range hostile() {
		t.Run(name, func(t *testing.T) {
			r, e := newReply(t), expect(t)
			a.make(r, &e)
			if got, err := response.Sender(form(r.xml())); err == nil && got != e.IDPEntityID {
				t.Errorf("got %q", got)
			}
		})
	}
	if got, err := response.Sender("AAAA"); response.CheckOf(err) != response.CheckXML {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBase64IsNotTakenLoosely(t *testing.T) {
	doc := newReply(t).xml()
	for name, in := range map[string]string{
		"empty": "", "URL alphabet": "PD94_-", "no base64": "<samlp:Response/>", "unpadded": strings.TrimRight(form(doc+"."), "=") + "*",
		"not XML": base64.StdEncoding.EncodeToString([]byte{0x78, 0x9c, 1, 2, 3}),
	} {
		t.Run(name, func(t *testing.T) {
			a, err := response.Validate(in, expect(t))
			check := response.CheckBase64
			if name == "empty" || name == "not XML" {
				check = response.CheckXML
			}
			verdict(t, a, err, check)
		})
	}
}
