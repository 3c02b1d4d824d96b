// Package binding makes the messages that a service provider sends to a SAML 2.0 identity provider and reads the logout
// messages that come from one.
//
// It owns AuthnRequest, LogoutRequest and LogoutResponse (SAML core sections 3.4 and 3.7) and how they travel: over
// the Redirect and the POST binding (SAML bindings sections 3.4 and 3.5), signed. Send makes a message ready for
// the browser; Receiver verifies what a browser brought; Peek names the sender of a message before its keys are
// known. Everything here is a pure function of its arguments: no network, no store.
//
// It does not own the validation of Responses (package saml), what a logout ends, or replay: whoever
// acts on a LogoutRequest remembers its ID until Expires.
package binding

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/xmlsig"
)

// Names of the bindings in metadata and in AuthnRequest.
const (
	HTTPRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	HTTPPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// Namespaces of SAML 2.0.
const (
	ProtocolNS  = "urn:oasis:names:tc:SAML:2.0:protocol"
	AssertionNS = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// MaxRelayState is what a RelayState may have, in bytes (SAML bindings section 3.4.3).
const MaxRelayState = 80

// ErrMessage: a message cannot be made from what it was given.
var ErrMessage = errors.New("saml message: cannot be sent")

// NewID returns a fresh message ID: 160 random bits behind an underscore, since an xs:ID cannot begin with a digit
// (SAML core section 1.3.4).
func NewID() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return "_" + hex.EncodeToString(b)
}

// Message is a protocol message of this package.
type Message interface {
	// Element returns the message without a signature.
	Element() *etree.Element
	// Target is where it goes: its Destination.
	Target() string
	// Parameter is the name it travels under: SAMLRequest or SAMLResponse.
	Parameter() string
}

// Names of the parameters of both bindings.
const (
	paramRequest    = "SAMLRequest"
	paramResponse   = "SAMLResponse"
	paramRelayState = "RelayState"
	paramSigAlg     = "SigAlg"
	paramSignature  = "Signature"
	paramEncoding   = "SAMLEncoding"
)

// Outgoing is a message on its way through the browser.
type Outgoing struct {
	// URL is where the browser goes.
	URL string
	// Form, where it is not nil, is posted to URL; otherwise the browser is redirected there.
	Form url.Values
}

// Send makes m ready for the browser over that binding, signed by s: for Redirect the query, for POST the XML. A nil s sends it
// unsigned. relayState is opaque and in a request at most MaxRelayState bytes; "" sends none. Errors: ErrMessage.
func Send(m Message, over, relayState string, s *xmlsig.Signer) (Outgoing, error) {
	if err := checkTarget(m.Target()); err != nil {
		return Outgoing{}, err
	}
	// An answer gives back what the other side sent, also where that is longer.
	if m.Parameter() == paramRequest && len(relayState) > MaxRelayState {
		return Outgoing{}, fmt.Errorf("%w: the RelayState has %d bytes, %d are allowed", ErrMessage, len(relayState), MaxRelayState)
	}
	switch over {
	case HTTPRedirect:
		return sendRedirect(m, relayState, s)
	case HTTPPost:
		return sendPost(m, relayState, s)
	}
	return Outgoing{}, fmt.Errorf("%w: the binding %q is not supported", ErrMessage, over)
}

func checkTarget(target string) error {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.Contains(target, "#") {
		return fmt.Errorf("%w: the destination is not an http or https URL without a fragment", ErrMessage)
	}
	return nil
}

// timeFormat is xs:dateTime in UTC (SAML core section 1.3.3).
const timeFormat = "2006-01-02T15:04:05.000Z"

// common makes the parts that every message has. Issuer is the first child.
func common(name, id, destination, issuer string, issued time.Time) *etree.Element {
	el := etree.NewElement("samlp:" + name)
	el.CreateAttr("xmlns:samlp", ProtocolNS)
	el.CreateAttr("xmlns:saml", AssertionNS)
	el.CreateAttr("ID", id)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", issued.UTC().Format(timeFormat))
	el.CreateAttr("Destination", destination)
	el.CreateElement("saml:Issuer").SetText(issuer)
	return el
}

func setAttr(el *etree.Element, name, value string) {
	if value != "" {
		el.CreateAttr(name, value)
	}
}
