// Package response decides whether a SAML 2.0 Response proves a sign-in.
//
// It owns the whole decision about one message: limits, XML, signatures, decryption, and the conditions of the Web Browser
// SSO Profile (saml-profiles-2.0-os section 4.1.4) as a service provider must hold them. It is pure: no I/O, no clock, no store. What
// it cannot decide is the caller's: that Assertion.ID was not seen before (a replay cache until ReplayUntil), that
// the answer came back to the browser that asked, which keys an identity provider has, and what an attribute means.
//
// Everything about a person in the result comes from the element that a pinned key signed. The message is parsed once,
// into a tree that nobody changes; the digest is taken from that tree and the result is read from the same nodes, so there is no
// second look-up, by ID or by name, that could find another element (signature wrapping). Besides,
// a message with a second assertion, a repeated identifier or an element in a place where SAML has none is refused.
package response

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// Defaults and limits of Expect.
const (
	DefaultSkew        = 3 * time.Minute
	DefaultMaxBytes    = 256 << 10
	DefaultMaxElements = 5000
	// UnsolicitedAge is how long after its issue an unsolicited assertion is accepted.
	UnsolicitedAge = 6 * time.Minute
)

// Limits that nobody needs to change.
const (
	maxDepth    = 40
	maxAttrs    = 64       // of one element
	maxXMLValue = 8 << 10  // bytes of an XML attribute
	maxText     = 64 << 10 // bytes of an attribute value: a small picture
	maxName     = 1024     // bytes of a NameID and its qualifiers
	maxID       = 256      // bytes

	// senderElements bounds what Sender reads for anybody, before a provider's own bound is known. A document of DefaultMaxBytes
	// whose elements say anything has fewer.
	senderElements = 10_000
)

// Expect is what a response must be. Every field without "optional" is required.
type Expect struct {
	IDPEntityID string // of the identity provider that was asked
	SPEntityID  string // ours: the only accepted audience
	ACSURL      string // the address the response was posted to, as our metadata and request name it
	// RequestID is the ID of the AuthnRequest; ValidateUnsolicited wants it empty.
	RequestID string
	// SigningKeys are the public keys of all signing certificates in the provider's metadata. They are pinned keys: the
	// dates and issuers of the certificates mean nothing. RSA of 2,048 bits or more, P-256, P-384, P-521; others are passed over.
	SigningKeys []crypto.PublicKey
	// DecryptionKeys are ours, the newest first; optional where nothing is encrypted.
	DecryptionKeys []*rsa.PrivateKey
	Now            time.Time
	// Skew is how far the provider's clock may be from ours; 0 is DefaultSkew.
	Skew time.Duration
	// ForceAuthn asks for an authentication not before RequestTime; optional.
	ForceAuthn  bool
	RequestTime time.Time
	// AuthnContexts are the class references that were asked for with the comparison exact: one of them has to be in the answer (SAML core
	// section 3.3.2.2.1). Empty takes any, as after a request with another comparison: which context is stronger than which only the provider
	// knows. ValidateUnsolicited wants it empty, since nothing was asked for.
	AuthnContexts []string
	// Optional switches. AllowSHA1 and NameIDOptional loosen, RequireEncrypted tightens. Where NameIDOptional is set the
	// caller must find the person in the attributes.
	AllowSHA1        bool
	NameIDOptional   bool
	RequireEncrypted bool
	// MaxBytes of the XML document and MaxElements in it, for providers that send very many groups; 0 is the default.
	MaxBytes    int
	MaxElements int
	// Observe hears of the checks; optional. It decides nothing.
	Observe Observer
}

// Assertion is what the identity provider has proven.
type Assertion struct {
	ID           string // unique per Issuer: the key of the replay cache
	Issuer       string // equal to Expect.IDPEntityID
	IssueInstant time.Time
	NameID       *NameID // nil only under Expect.NameIDOptional
	SessionIndex string  // may be empty
	// SessionNotOnOrAfter is when the provider wants the session to end; zero if it does not say.
	SessionNotOnOrAfter  time.Time
	AuthnInstant         time.Time
	AuthnContextClassRef string // may be empty
	// Authorities are the AuthenticatingAuthority elements: other providers that were involved.
	Authorities []string
	// Attributes are in document order. A name may occur twice.
	Attributes []Attribute
	// ReplayUntil is when this assertion stops being acceptable, skew included. The caller must refuse its ID until then.
	ReplayUntil time.Time

	// For the login trace.
	ResponseID                                 string
	SignedResponse, SignedAssertion, Encrypted bool
}

// NameID is a saml:NameID exactly as issued, which logout needs: an absent qualifier is empty.
type NameID struct {
	Value           string // never empty; case and white space as given
	Format          string
	NameQualifier   string
	SPNameQualifier string
	SPProvidedID    string
}

// Attribute is a saml:Attribute. Values are the texts; a value that is xsi:nil or holds markup other
// than a single NameID (eduPersonTargetedID) says nothing as a text and is left out.
type Attribute struct {
	Name, FriendlyName, NameFormat string
	Values                         []string
}

// Validate checks the answer to the request e.RequestID. form is the parameter SAMLResponse of the POST binding, still in
// base64. A refused response gives a *Refusal.
func Validate(form string, e Expect) (*Assertion, error) {
	if e.RequestID == "" {
		return nil, refuse(CheckExpect, "The request that this response should answer is not known.")
	}
	return validate(form, e)
}

// ValidateUnsolicited checks a response that nobody asked for (IdP-initiated sign-in). It is a path of its own because less can be
// checked: nothing ties the message to a browser. It must name no request anywhere and be younger than UnsolicitedAge. Call it
// only where IdP-initiated sign-in is switched on.
func ValidateUnsolicited(form string, e Expect) (*Assertion, error) {
	if e.RequestID != "" {
		return nil, refuse(CheckExpect, "A response that answers a request was given to the path for unsolicited ones.")
	}
	if len(e.AuthnContexts) > 0 {
		return nil, refuse(CheckExpect, "Authentication contexts were given to the path for unsolicited responses, where none are asked for.")
	}
	return validate(form, e)
}

// Sender returns the entity id that a response gives itself, so that the providers that it may be from can be asked. It proves
// nothing. form is as with Validate. A document of more than DefaultMaxBytes or 10,000 elements, or that is no Response, gives a *Refusal.
func Sender(form string) (string, error) {
	v := &validation{Expect: Expect{MaxBytes: DefaultMaxBytes}}
	v.limits = v.treeLimits(senderElements)
	doc, r := v.parse(form)
	if r == nil {
		r = v.readMessage(doc)
	}
	if r != nil {
		return "", r
	}
	for _, n := range []*xmltree.Node{v.msg.response, v.msg.assertion} {
		if n == nil {
			continue
		}
		for issuer := range n.Elements() {
			if s, ok := issuer.Text(); ok && issuer.Is(assertionNS, "Issuer") {
				return strings.TrimSpace(s), nil
			}
		}
	}
	return "", refuse(CheckIssuer, "The response does not say which identity provider it is from.")
}

// validation is the state of one decision.
type validation struct {
	Expect
	limits xmltree.Limits
	msg    message
	out    Assertion
}

func validate(form string, e Expect) (a *Assertion, err error) {
	// Nothing here is known to panic. If something does, it is a refusal and not the end of a process that others use.
	defer func() {
		if p := recover(); p != nil {
			a, err = nil, refuse(CheckDefect, "The response could not be checked because of a defect in this software.").because(fmt.Errorf("panic: %v", p))
		}
	}()
	v := &validation{Expect: e}
	if r := v.run(form); r != nil {
		return nil, r
	}
	return &v.out, nil
}

// run makes the checks in their order: what is cheap first, then the signature, then what only a signed message can say.
func (v *validation) run(form string) *Refusal {
	if r := v.prepare(); r != nil {
		return r
	}
	doc, r := v.parse(form)
	if r != nil {
		return r
	}
	v.passed(CheckXML)
	if r := v.readMessage(doc); r != nil {
		return r
	}
	v.sawMessage()
	for _, step := range []struct {
		do     func(*xmltree.Document) *Refusal
		checks []Check // that it makes, besides those that only refuse a form
	}{
		{v.envelope, []Check{CheckDestination, CheckIssuer, CheckInResponseTo}},
		{v.status, []Check{CheckStatus}},
		{v.protection, []Check{CheckSigningKey, CheckDigest}},
	} {
		if r := step.do(doc); r != nil {
			return r
		}
		v.passed(step.checks...)
	}
	for _, step := range []struct {
		do     func() *Refusal
		checks []Check
	}{
		{v.issued, []Check{CheckIssueInstant}},
		{v.subject, []Check{CheckSubject, CheckConfirmation, CheckRecipient}},
		{v.conditions, []Check{CheckConditions, CheckAudience, CheckExpired}},
		{v.authentication, []Check{CheckAuthnStatement, CheckAuthnContext}},
		{v.attributes, []Check{CheckAttributes}},
	} {
		if r := step.do(); r != nil {
			return r
		}
		v.passed(step.checks...)
	}
	return nil
}

// prepare refuses an Expect with which a check would be void, and fills in defaults.
func (v *validation) prepare() *Refusal {
	switch {
	case v.IDPEntityID == "" || v.SPEntityID == "" || v.ACSURL == "" || v.Now.IsZero():
		return refuse(CheckExpect, "The provider's entity id, our entity id, our address and the time are needed to check a response.")
	case v.ForceAuthn && v.RequestTime.IsZero():
		return refuse(CheckExpect, "The time of the request is needed to check a forced authentication.")
	case len(v.SigningKeys) == 0:
		return refuse(CheckExpect, "No signing certificate of the identity provider is known: its metadata has none, or was not read yet.")
	case v.Skew < 0 || v.MaxBytes < 0 || v.MaxElements < 0:
		return refuse(CheckExpect, "Clock skew and limits cannot be negative.")
	}
	if v.Skew == 0 {
		v.Skew = DefaultSkew
	}
	if v.MaxBytes == 0 {
		v.MaxBytes = DefaultMaxBytes
	}
	if v.MaxElements == 0 {
		v.MaxElements = DefaultMaxElements
	}
	v.limits = v.treeLimits(v.MaxElements)
	return nil
}

func (v *validation) treeLimits(elements int) xmltree.Limits {
	return xmltree.Limits{
		Bytes: v.MaxBytes, Elements: elements, Depth: maxDepth, Attrs: maxAttrs, Value: maxXMLValue, Text: maxText,
		LongText: "CipherValue", Names: names,
	}
}

// names bounds the elements that cost the most, or that a wrapping attack repeats, wherever they stand. Response and assertion may
// both be signed; a key may be encrypted for several of our certificates.
var names = map[string]int{
	"Response": 1, "Assertion": 1, "EncryptedAssertion": 1,
	"Signature": 2, "SignedInfo": 2, "SignatureValue": 2, "Reference": 4, "Transform": 6, "DigestValue": 2,
	"EncryptedKey": 8,
	"Conditions":   1, "Subject": 1, "SubjectConfirmation": 8, "AudienceRestriction": 16, "AuthnStatement": 8,
}

// parse undoes the base64 and reads the document within the limits.
func (v *validation) parse(form string) (*xmltree.Document, *Refusal) {
	// Line ends of MIME are a fortieth of the length.
	if most := base64.StdEncoding.EncodedLen(v.MaxBytes) * 17 / 16; len(form) > most {
		return nil, refuse(CheckLimits, "The response has %d characters; %d are allowed. If the person is in very many groups, have the identity provider send fewer, or raise the limit.", len(form), most)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(form))
	if err != nil {
		return nil, refuse(CheckBase64, "The SAMLResponse parameter is not base64.").because(err)
	}
	doc, err := xmltree.Parse(raw, v.limits, nil)
	if err != nil {
		return nil, parseRefusal(err)
	}
	return doc, nil
}
