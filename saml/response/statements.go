package response

import (
	"slices"
	"strings"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// statements ranges over the children of the assertion that are of one kind.
func (v *validation) statements(local string, do func(*xmltree.Node) *Refusal) *Refusal {
	for n := range v.msg.assertion.Elements() {
		if n.Is(assertionNS, local) {
			if r := do(n); r != nil {
				return r
			}
		}
	}
	return nil
}

// authentication reads how the person signed in. All statements must hold; the first one is reported.
func (v *validation) authentication() *Refusal {
	first := true
	r := v.statements("AuthnStatement", func(n *xmltree.Node) *Refusal {
		r := v.authnStatement(n, first)
		first = false
		return r
	})
	if r == nil && first {
		return refuse(CheckAuthnStatement, "The assertion does not say that the person signed in (it has no AuthnStatement).")
	}
	return r
}

func (v *validation) authnStatement(n *xmltree.Node, report bool) *Refusal {
	p, r := parts(n, rule{space: assertionNS, local: "SubjectLocality"}, rule{space: assertionNS, local: "AuthnContext"})
	if r != nil {
		return r
	}
	at, r := v.pastInstant(n, "AuthnInstant", CheckAuthnStatement)
	if r != nil {
		return r
	}
	if v.ForceAuthn && at.Before(v.RequestTime.Add(-v.Skew)) {
		return refuse(CheckForceAuthn, "The person signed in at %s, before we asked for it anew at %s: the identity provider does not honour ForceAuthn.", stamp(at), stamp(v.RequestTime))
	}
	end, given, r := instant(n, "SessionNotOnOrAfter", CheckAuthnStatement)
	if r != nil {
		return r
	}
	if given && !v.Now.Add(-v.Skew).Before(end) {
		return refuse(CheckExpired, "The session at the identity provider ended at %s, our clock says %s.", stamp(end), stamp(v.Now))
	}
	index, _ := n.Attr("SessionIndex")
	if len(index) > maxName {
		return refuse(CheckLimits, "The SessionIndex has more than %d bytes.", maxName)
	}
	if !report {
		return nil
	}
	v.out.AuthnInstant, v.out.SessionNotOnOrAfter, v.out.SessionIndex = at, end, index
	return v.authnContext(p[1])
}

func (v *validation) authnContext(n *xmltree.Node) *Refusal {
	if n == nil {
		return refuse(CheckAuthnStatement, "The AuthnStatement has no AuthnContext.")
	}
	p, r := parts(n, rule{space: assertionNS, local: "AuthnContextClassRef"}, rule{space: assertionNS, local: "AuthnContextDecl"},
		rule{space: assertionNS, local: "AuthnContextDeclRef"}, rule{space: assertionNS, local: "AuthenticatingAuthority", many: true})
	if r != nil {
		return r
	}
	for c := range n.Elements() {
		s, ok := c.Text()
		s = strings.TrimSpace(s)
		switch {
		case c == p[0] && ok:
			v.out.AuthnContextClassRef = s
		case c.Local == "AuthenticatingAuthority" && ok:
			v.out.Authorities = append(v.out.Authorities, s)
		}
	}
	return v.askedFor(v.out.AuthnContextClassRef)
}

// knownContexts are class references by the names that AD FS's console has for the ways of signing in.
var knownContexts = map[string]string{
	"urn:federation:authentication:windows":                             "Windows Authentication",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos":                   "Windows Authentication",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:Password":                   "a password",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport": "Forms Authentication",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient":                  "Certificate Authentication",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:X509":                       "Certificate Authentication",
	"http://schemas.microsoft.com/claims/multipleauthn":                 "multi-factor authentication",
}

// askedFor compares how the person signed in with what was asked for, letter by letter.
func (v *validation) askedFor(class string) *Refusal {
	if len(v.AuthnContexts) == 0 || slices.Contains(v.AuthnContexts, class) {
		return nil
	}
	asked := make([]string, 0, 4)
	for _, c := range v.AuthnContexts {
		if len(asked) == 3 {
			asked = append(asked, "…")
			break
		}
		asked = append(asked, quote(c))
	}
	const remedy = "have the identity provider sign people in that way, add what it says to RequestedAuthnContext (or to the application's acr_values), or ask for nothing."
	if class == "" {
		return refuse(CheckAuthnContext, "The assertion does not say how the person signed in (it has no AuthnContextClassRef), and we asked for exactly %s: "+remedy, strings.Join(asked, ", "))
	}
	meaning := ""
	if known, ok := knownContexts[class]; ok {
		meaning = " (" + known + ")"
	}
	return refuse(CheckAuthnContext, "The person signed in with the authentication context %s%s, and we asked for exactly %s: "+remedy, quote(class), meaning, strings.Join(asked, ", "))
}

// attributes reads all attribute statements.
func (v *validation) attributes() *Refusal {
	return v.statements("AttributeStatement", func(n *xmltree.Node) *Refusal {
		p, r := parts(n, rule{space: assertionNS, local: "Attribute", many: true}, rule{space: assertionNS, local: "EncryptedAttribute", many: true})
		switch {
		case r != nil:
			return r
		case p[1] != nil:
			return refuse(CheckEncryptedPieces, "An attribute is encrypted by itself, which is not supported: encrypt the whole assertion instead.")
		}
		for a := range n.Elements() {
			if r := v.attribute(a); r != nil {
				return r
			}
		}
		return nil
	})
}

func (v *validation) attribute(n *xmltree.Node) *Refusal {
	if _, r := parts(n, rule{space: assertionNS, local: "AttributeValue", many: true}); r != nil {
		return r
	}
	var a Attribute
	a.Name, _ = n.Attr("Name")
	a.FriendlyName, _ = n.Attr("FriendlyName")
	a.NameFormat, _ = n.Attr("NameFormat")
	if a.Name == "" {
		return refuse(CheckAttributes, "An attribute of the assertion has no Name.")
	}
	count := 0
	for range n.Elements() {
		count++
	}
	a.Values = make([]string, 0, count)
	for c := range n.Elements() {
		if s, ok := attributeValue(c); ok {
			a.Values = append(a.Values, s)
		}
	}
	v.out.Attributes = append(v.out.Attributes, a)
	return nil
}

// attributeValue returns the text of a value, and whether it is one.
func attributeValue(n *xmltree.Node) (string, bool) {
	for i := range n.Attrs {
		if a := &n.Attrs[i]; a.Space == xsiNS && a.Local == "nil" && (a.Value == "true" || a.Value == "1") {
			return "", false
		}
	}
	if s, ok := n.Text(); ok {
		return s, true
	}
	var only *xmltree.Node
	for c := range n.Elements() {
		if only != nil {
			return "", false
		}
		only = c
	}
	if !n.OnlyElements() || !only.Is(assertionNS, "NameID") {
		return "", false
	}
	return only.Text()
}
