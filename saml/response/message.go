package response

import (
	"errors"
	"strings"
	"time"

	"github.com/weir-id/weir/saml/internal/xmlsec"
	"github.com/weir-id/weir/saml/internal/xmltree"
)

// Namespaces and fixed names of SAML 2.0.
const (
	protocolNS  = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertionNS = "urn:oasis:names:tc:SAML:2.0:assertion"
	xsiNS       = "http://www.w3.org/2001/XMLSchema-instance"

	statusSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success"
	methodBearer  = "urn:oasis:names:tc:SAML:2.0:cm:bearer" //nolint:gosec // the name of a method, no credential
)

// message holds the parts of a Response that are looked at. They are nodes of the one tree.
type message struct {
	response, responseSignature   *xmltree.Node
	issuer, statusNode, encrypted *xmltree.Node
	assertion                     *xmltree.Node
	in                            assertionParts
}

// assertionParts are the children of the assertion; several of one kind are found by their parent.
type assertionParts struct {
	issuer, signature, subject, conditions *xmltree.Node
}

// rule is an element that may stand in another.
type rule struct {
	space, local string
	many         bool
}

// parts returns the first child element of n for each rule, nil where there is none. An element that no rule names, a second one of
// a kind that is not many, and text are refused: the schemas of SAML leave no room for them.
func parts(n *xmltree.Node, rules ...rule) ([]*xmltree.Node, *Refusal) {
	found := make([]*xmltree.Node, len(rules))
next:
	for c := range n.Elements() {
		for i, r := range rules {
			switch {
			case !c.Is(r.space, r.local):
				continue
			case found[i] == nil:
				found[i] = c
			case !r.many:
				return nil, refuse(CheckShape, "The response has more than one %s in its %s.", r.local, n.Local)
			}
			continue next
		}
		return nil, refuse(CheckShape, "The response has an element %s of the namespace %s in its %s. SAML has none there.", quote(c.Local), quote(c.Space), n.Local)
	}
	if !n.OnlyElements() {
		return nil, refuse(CheckShape, "The response has text between the elements of its %s.", n.Local)
	}
	return found, nil
}

// parseRefusal says what an error of the parser means for a response.
func parseRefusal(err error) *Refusal {
	if many, ok := errors.AsType[*xmltree.TooManyError](err); ok {
		switch many.Local {
		case "Assertion", "EncryptedAssertion":
			return severalAssertions().because(err)
		case "Signature", "SignedInfo", "SignatureValue", "Reference", "Transform", "DigestValue":
			return refuse(CheckSignatureShape, "The response has more signatures, or a signature has more parts, than SAML allows.").because(err)
		case "Response", "Conditions", "Subject":
			return refuse(CheckShape, "The response has more than one %s.", many.Local).because(err)
		}
	}
	if errors.Is(err, xmltree.ErrLimit) {
		return refuse(CheckLimits, "The response is larger or deeper than allowed. If the person is in very many groups, have the identity provider send fewer, or raise the limit.").because(err)
	}
	return refuse(CheckXML, "The response is not XML that this service accepts: UTF-8, one root element, no document type, no processing instructions.").because(err)
}

func severalAssertions() *Refusal {
	return refuse(CheckAssertions, "The response has more than one assertion. Exactly one is accepted.")
}

// readMessage finds the parts of the Response and makes sure of the ambiguous ones: one assertion, unique identifiers.
func (v *validation) readMessage(doc *xmltree.Document) *Refusal {
	root := doc.Root
	if !root.Is(protocolNS, "Response") {
		if root.Local == "Response" {
			return refuse(CheckVersion, "The message is a Response of the namespace %s, not of SAML 2.0. Switch the identity provider to SAML 2.0.", quote(root.Space))
		}
		return refuse(CheckShape, "The message is %s, not a SAML Response.", quote(root.Local))
	}
	if doc.Count["Assertion"]+doc.Count["EncryptedAssertion"] > 1 {
		return severalAssertions()
	}
	if _, twice := xmltree.Duplicate(doc); twice {
		return repeatedID()
	}
	p, r := parts(root,
		rule{space: assertionNS, local: "Issuer"}, rule{space: xmlsec.DSig, local: "Signature"},
		rule{space: protocolNS, local: "Extensions"}, rule{space: protocolNS, local: "Status"},
		rule{space: assertionNS, local: "Assertion"}, rule{space: assertionNS, local: "EncryptedAssertion"})
	if r != nil {
		return r
	}
	v.msg = message{response: root, issuer: p[0], responseSignature: p[1], statusNode: p[3], assertion: p[4], encrypted: p[5]}
	v.out.ResponseID, r = identifier(root)
	return r
}

func repeatedID() *Refusal {
	return refuse(CheckIDs, "Two elements of the response have the same ID.")
}

// identifier returns the ID of a Response or Assertion.
func identifier(n *xmltree.Node) (string, *Refusal) {
	id, _ := n.Attr("ID")
	if id == "" || len(id) > maxID {
		return "", refuse(CheckIDs, "The %s has no ID, or one of more than %d characters.", n.Local, maxID)
	}
	return id, nil
}

// envelope checks what the Response says about itself. It may be unsigned: this refuses, it proves nothing.
func (v *validation) envelope(*xmltree.Document) *Refusal {
	root := v.msg.response
	if r := version(root); r != nil {
		return r
	}
	destination, given := root.Attr("Destination")
	switch {
	case given && strings.TrimSpace(destination) != v.ACSURL:
		return refuse(CheckDestination, "The response was sent to %s; this pool's address is %s: set the assertion consumer service URL to it.", quote(destination), v.ACSURL)
	case !given && v.msg.responseSignature != nil:
		// saml-bindings-2.0-os section 3.5.5.2
		return refuse(CheckDestination, "The response is signed but names no Destination. It must name %s.", v.ACSURL)
	}
	if v.msg.issuer != nil {
		if r := v.issuer(v.msg.issuer); r != nil {
			return r
		}
	}
	answers, given := root.Attr("InResponseTo")
	switch {
	case v.RequestID == "" && given:
		return refuse(CheckInResponseTo, "The response answers the request %s, but came as an unsolicited one.", quote(answers))
	case v.RequestID != "" && !given:
		return refuse(CheckInResponseTo, "The response answers no request. Sign-in that starts at the identity provider must be switched on for this provider, and takes another way.")
	case answers != v.RequestID:
		return refuse(CheckInResponseTo, "The response answers the request %s; this browser sent %s. An old page may have been used, or somebody else's response.", quote(answers), v.RequestID)
	}
	_, r := v.pastInstant(root, "IssueInstant", CheckIssueInstant)
	return r
}

func version(n *xmltree.Node) *Refusal {
	if s, _ := n.Attr("Version"); s != "2.0" {
		return refuse(CheckVersion, "The %s is of version %s; only SAML 2.0 is accepted.", n.Local, quote(s))
	}
	return nil
}

// issuer checks an Issuer element.
func (v *validation) issuer(n *xmltree.Node) *Refusal {
	s, ok := n.Text()
	if s = strings.TrimSpace(s); !ok || s != v.IDPEntityID {
		return refuse(CheckIssuer, "The response is from the identity provider %s; this provider is configured for %s: compare the entity id with the metadata.", quote(s), quote(v.IDPEntityID))
	}
	return nil
}

// pastInstant returns a required instant that may not lie in the future.
func (v *validation) pastInstant(n *xmltree.Node, name string, c Check) (time.Time, *Refusal) {
	t, given, r := instant(n, name, c)
	switch {
	case r != nil:
		return t, r
	case !given:
		return t, refuse(c, "The %s has no %s.", n.Local, name)
	case t.After(v.Now.Add(v.Skew)):
		return t, refuse(c, "The %s of the %s is %s, in the future: the clock of the identity provider is ahead by more than %s, ours says %s.", name, n.Local, stamp(t), v.Skew, stamp(v.Now))
	}
	return t, nil
}

// instant returns the time in an attribute, and whether it is there. SAML's times are in UTC (saml-core-2.0-os section 1.3.3).
func instant(n *xmltree.Node, name string, c Check) (time.Time, bool, *Refusal) {
	s, given := n.Attr(name)
	if !given {
		return time.Time{}, false, nil
	}
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
	if err != nil {
		return t, true, refuse(c, "The %s of the %s is %s, which is no time with a zone.", name, n.Local, quote(s))
	}
	return t, true, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// status refuses a failure that the identity provider reports, with its codes.
func (v *validation) status(*xmltree.Document) *Refusal {
	if v.msg.statusNode == nil {
		return refuse(CheckShape, "The response has no Status.")
	}
	p, r := parts(v.msg.statusNode, rule{space: protocolNS, local: "StatusCode"},
		rule{space: protocolNS, local: "StatusMessage"}, rule{space: protocolNS, local: "StatusDetail"})
	if r != nil {
		return r
	}
	s := &Status{}
	for code := p[0]; code != nil; {
		value, _ := code.Attr("Value")
		s.Codes = append(s.Codes, cut(strings.TrimSpace(value), 200))
		inner, r := parts(code, rule{space: protocolNS, local: "StatusCode"})
		if r != nil {
			return r
		}
		code = inner[0]
	}
	if len(s.Codes) == 0 {
		return refuse(CheckShape, "The response has no StatusCode.")
	}
	if s.Codes[0] == statusSuccess {
		return nil
	}
	if p[1] != nil {
		text, _ := p[1].Text()
		s.Message = cut(strings.TrimSpace(text), 1000)
	}
	refusal := refuse(CheckStatus, "The identity provider did not sign the person in. It answered %s%s.", quote(strings.Join(s.Codes, " / ")), said(s.Message))
	refusal.Status = s
	return refusal
}

func said(message string) string {
	if message == "" {
		return " without a message; its own log says why"
	}
	return " with the message " + quote(message)
}
