package binding

import (
	"time"

	"github.com/beevik/etree"
)

// NameID is who a person is to an identity provider (SAML core section 2.2.2). Keep it as the assertion
// had it, every part: a LogoutRequest has to give it back exactly, and a part that was absent has to stay
// absent (AD FS compares them all).
type NameID struct {
	Value           string `json:"v"`
	Format          string `json:"f,omitempty"`
	NameQualifier   string `json:"n,omitempty"`
	SPNameQualifier string `json:"s,omitempty"`
	SPProvidedID    string `json:"p,omitempty"`
}

func (n NameID) addTo(el *etree.Element) {
	c := el.CreateElement("saml:NameID")
	setAttr(c, "NameQualifier", n.NameQualifier)
	setAttr(c, "SPNameQualifier", n.SPNameQualifier)
	setAttr(c, "Format", n.Format)
	setAttr(c, "SPProvidedID", n.SPProvidedID)
	c.SetText(n.Value)
}

// LogoutRequest asks the other side to end a person's session (SAML core section 3.7.1).
type LogoutRequest struct {
	ID             string
	IssueInstant   time.Time
	NotOnOrAfter   time.Time // zero: not said
	Destination    string
	Issuer         string
	NameID         NameID
	SessionIndexes []string // empty: every session of that person
}

// Target implements Message.
func (r LogoutRequest) Target() string { return r.Destination }

// Parameter implements Message.
func (r LogoutRequest) Parameter() string { return paramRequest }

// Element implements Message.
func (r LogoutRequest) Element() *etree.Element {
	el := common("LogoutRequest", r.ID, r.Destination, r.Issuer, r.IssueInstant)
	if !r.NotOnOrAfter.IsZero() {
		el.CreateAttr("NotOnOrAfter", r.NotOnOrAfter.UTC().Format(timeFormat))
	}
	r.NameID.addTo(el)
	for _, index := range r.SessionIndexes {
		el.CreateElement("samlp:SessionIndex").SetText(index)
	}
	return el
}

// Status codes of a LogoutResponse (SAML core section 3.2.2.2).
const (
	StatusSuccess       = "urn:oasis:names:tc:SAML:2.0:status:Success"
	StatusRequester     = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	StatusResponder     = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	StatusPartialLogout = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
)

// LogoutResponse answers a LogoutRequest (SAML core section 3.7.2).
type LogoutResponse struct {
	ID           string
	InResponseTo string
	IssueInstant time.Time
	Destination  string
	Issuer       string
	Status       string // top-level code; StatusSuccess is the only good one
	SubStatus    string // nested code, such as StatusPartialLogout
	Message      string // for people; not to be trusted or shown to the public
}

// Target implements Message.
func (r LogoutResponse) Target() string { return r.Destination }

// Parameter implements Message.
func (r LogoutResponse) Parameter() string { return paramResponse }

// Element implements Message.
func (r LogoutResponse) Element() *etree.Element {
	el := common("LogoutResponse", r.ID, r.Destination, r.Issuer, r.IssueInstant)
	setAttr(el, "InResponseTo", r.InResponseTo)
	status := el.CreateElement("samlp:Status")
	code := status.CreateElement("samlp:StatusCode")
	code.CreateAttr("Value", r.Status)
	if r.SubStatus != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", r.SubStatus)
	}
	if r.Message != "" {
		status.CreateElement("samlp:StatusMessage").SetText(r.Message)
	}
	return el
}
