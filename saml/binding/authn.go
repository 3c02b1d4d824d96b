package binding

import (
	"time"

	"github.com/beevik/etree"
)

// Comparisons of RequestedAuthnContext (SAML core section 3.3.2.2.1).
const (
	ComparisonExact   = "exact"
	ComparisonMinimum = "minimum"
	ComparisonMaximum = "maximum"
	ComparisonBetter  = "better"
)

// AuthnRequest asks an identity provider to authenticate a person (SAML core section 3.4.1).
type AuthnRequest struct {
	ID           string // see NewID
	IssueInstant time.Time
	Destination  string // the IdP's single sign-on URL
	Issuer       string // our entity id
	ACSURL       string // where the Response is to be posted
	ProviderName string // shown by some IdPs; "" is left out

	// NameIDFormat asks for a format of the NameID. Leave it empty unless the IdP is known to want it: AD FS answers a format
	// that its claim rules do not issue with InvalidNameIDPolicy (event MSIS7070).
	NameIDFormat string

	ForceAuthn bool // the person has to sign in anew
	IsPassive  bool // the IdP may not ask the person anything

	// AuthnContext lists class references, the best first; empty asks for none. AuthnComparison is one of
	// the Comparison constants, exact where it is empty.
	AuthnContext    []string
	AuthnComparison string
}

// Target implements Message.
func (r AuthnRequest) Target() string { return r.Destination }

// Parameter implements Message.
func (r AuthnRequest) Parameter() string { return paramRequest }

// Element implements Message.
func (r AuthnRequest) Element() *etree.Element {
	el := common("AuthnRequest", r.ID, r.Destination, r.Issuer, r.IssueInstant)
	el.CreateAttr("AssertionConsumerServiceURL", r.ACSURL)
	el.CreateAttr("ProtocolBinding", HTTPPost)
	setAttr(el, "ProviderName", r.ProviderName)
	if r.ForceAuthn {
		el.CreateAttr("ForceAuthn", "true")
	}
	if r.IsPassive {
		el.CreateAttr("IsPassive", "true")
	}
	policy := el.CreateElement("samlp:NameIDPolicy")
	setAttr(policy, "Format", r.NameIDFormat)
	policy.CreateAttr("AllowCreate", "true")
	if len(r.AuthnContext) > 0 {
		context := el.CreateElement("samlp:RequestedAuthnContext")
		setAttr(context, "Comparison", r.AuthnComparison)
		for _, class := range r.AuthnContext {
			context.CreateElement("saml:AuthnContextClassRef").SetText(class)
		}
	}
	return el
}
