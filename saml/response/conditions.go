package response

import (
	"strings"
	"time"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// From here on everything is read from the assertion that protection found signed.

// issued checks when the assertion was made.
func (v *validation) issued() *Refusal {
	t, r := v.pastInstant(v.msg.assertion, "IssueInstant", CheckIssueInstant)
	if r != nil {
		return r
	}
	v.out.IssueInstant = t
	if v.RequestID == "" && !t.After(v.Now.Add(-UnsolicitedAge)) {
		return refuse(CheckStale, "The unsolicited response was issued at %s, more than %s before %s.", stamp(t), UnsolicitedAge, stamp(v.Now))
	}
	return nil
}

// subject checks who the assertion is about and that whoever brings it may use it.
func (v *validation) subject() *Refusal {
	n := v.msg.in.subject
	if n == nil {
		return refuse(CheckSubject, "The assertion has no Subject.")
	}
	p, r := parts(n, rule{space: assertionNS, local: "NameID"}, rule{space: assertionNS, local: "BaseID"},
		rule{space: assertionNS, local: "EncryptedID"}, rule{space: assertionNS, local: "SubjectConfirmation", many: true})
	switch {
	case r != nil:
		return r
	case p[2] != nil:
		return refuse(CheckEncryptedPieces, "The NameID is encrypted by itself, which is not supported: encrypt the whole assertion instead.")
	case p[1] != nil:
		return refuse(CheckNameID, "The Subject has a BaseID, which is not supported: send a NameID.")
	}
	if r := v.nameID(p[0]); r != nil {
		return r
	}
	return v.confirmations(n)
}

func (v *validation) nameID(n *xmltree.Node) *Refusal {
	if n == nil {
		if v.NameIDOptional {
			return nil
		}
		return refuse(CheckNameID, "The assertion has no NameID. Add a claim rule that issues one (AD FS: a rule with the outgoing claim type Name ID), or choose an attribute as the subject.")
	}
	value, ok := n.Text()
	id := &NameID{Value: value}
	for name, to := range map[string]*string{"Format": &id.Format, "NameQualifier": &id.NameQualifier, "SPNameQualifier": &id.SPNameQualifier, "SPProvidedID": &id.SPProvidedID} {
		*to, _ = n.Attr(name)
		ok = ok && len(*to) <= maxName
	}
	switch {
	case !ok || len(value) > maxName:
		return refuse(CheckNameID, "The NameID holds markup, or it or a qualifier has more than %d bytes.", maxName)
	case strings.TrimSpace(value) == "":
		return refuse(CheckNameID, "The NameID is empty: the account at the identity provider lacks the value that its claim rule uses.")
	}
	v.out.NameID = id
	return nil
}

// confirmations wants one bearer confirmation that holds (saml-profiles-2.0-os section 4.1.4.3). Where none does, the
// refusal is about the last bearer one. Address is not compared: behind proxies it is not the browser's.
func (v *validation) confirmations(subject *xmltree.Node) *Refusal {
	refusal := refuse(CheckConfirmation, "The Subject has no SubjectConfirmation of the method bearer.")
	confirmed := false
	for n := range subject.Elements() {
		if n.Local != "SubjectConfirmation" {
			continue
		}
		p, r := parts(n, rule{space: assertionNS, local: "NameID"}, rule{space: assertionNS, local: "BaseID"},
			rule{space: assertionNS, local: "EncryptedID"}, rule{space: assertionNS, local: "SubjectConfirmationData"})
		if r != nil {
			return r
		}
		data := p[3]
		if data != nil && v.RequestID == "" {
			if _, given := data.Attr("InResponseTo"); given {
				return refuse(CheckInResponseTo, "The assertion answers a request, but came as an unsolicited one.")
			}
		}
		if method, _ := n.Attr("Method"); method != methodBearer {
			continue
		}
		until, r := v.bearer(data)
		switch {
		case r != nil:
			refusal = r
		default:
			confirmed = true
		}
		// Another confirmation may hold later than this one, so the longest counts for the replay cache.
		if until.After(v.out.ReplayUntil) {
			v.out.ReplayUntil = until
		}
	}
	if !confirmed {
		return refusal
	}
	v.out.ReplayUntil = v.out.ReplayUntil.Add(v.Skew)
	return nil
}

// bearer checks the data of one bearer confirmation and returns when it ends, also where it is refused.
func (v *validation) bearer(n *xmltree.Node) (time.Time, *Refusal) {
	if n == nil {
		return time.Time{}, refuse(CheckConfirmation, "The SubjectConfirmation has no SubjectConfirmationData.")
	}
	until, given, r := instant(n, "NotOnOrAfter", CheckConfirmation)
	if r != nil {
		return until, r
	}
	if !given {
		return until, refuse(CheckConfirmation, "The SubjectConfirmationData has no NotOnOrAfter.")
	}
	if recipient, _ := n.Attr("Recipient"); strings.TrimSpace(recipient) != v.ACSURL {
		return until, refuse(CheckRecipient, "The assertion is for the recipient %s; this pool's address is %s: set the assertion consumer service URL to it.", quote(recipient), v.ACSURL)
	}
	// The Response's InResponseTo was compared before. It may stand for a missing one here only where it is signed.
	answers, given := n.Attr("InResponseTo")
	switch {
	case v.RequestID == "":
	case !given && !v.out.SignedResponse:
		return until, refuse(CheckInResponseTo, "The signed assertion does not say which request it answers.")
	case given && answers != v.RequestID:
		return until, refuse(CheckInResponseTo, "The assertion answers the request %s; this browser sent %s.", quote(answers), v.RequestID)
	}
	return until, v.window(n, CheckConfirmation)
}

// window checks NotBefore and NotOnOrAfter, either of which may be absent.
func (v *validation) window(n *xmltree.Node, c Check) *Refusal {
	from, given, r := instant(n, "NotBefore", c)
	if r != nil {
		return r
	}
	if given && v.Now.Add(v.Skew).Before(from) {
		return refuse(CheckNotYetValid, "The %s holds from %s, our clock says %s: the clock of the identity provider is ahead by more than %s.", n.Local, stamp(from), stamp(v.Now), v.Skew)
	}
	until, given, r := instant(n, "NotOnOrAfter", c)
	if r != nil {
		return r
	}
	if given && !v.Now.Add(-v.Skew).Before(until) {
		return refuse(CheckExpired, "The %s held until %s, our clock says %s: the response came late, or the clocks differ by more than %s.", n.Local, stamp(until), stamp(v.Now), v.Skew)
	}
	return nil
}

// conditions checks the Conditions element. A condition that is not understood makes the assertion unusable
// (saml-core-2.0-os section 2.5.1.1). OneTimeUse asks for what the replay cache does anyway, ProxyRestriction for what we never do.
func (v *validation) conditions() *Refusal {
	n := v.msg.in.conditions
	if n == nil {
		return refuse(CheckConditions, "The assertion has no Conditions.")
	}
	if !n.OnlyElements() {
		return refuse(CheckShape, "The response has text between the elements of its Conditions.")
	}
	restricted := false
	for c := range n.Elements() {
		switch {
		case c.Is(assertionNS, "AudienceRestriction"):
			restricted = true
			if r := v.audience(c); r != nil {
				return r
			}
		case c.Is(assertionNS, "OneTimeUse"), c.Is(assertionNS, "ProxyRestriction"):
		default:
			return refuse(CheckConditions, "The assertion has a condition %s that this service does not know, so it may not be used.", quote(c.Local))
		}
	}
	if !restricted {
		return refuse(CheckAudience, "The assertion does not say which service it is for. It must have the audience %s.", quote(v.SPEntityID))
	}
	if until, given, r := instant(n, "NotOnOrAfter", CheckConditions); r == nil && given && until.Add(v.Skew).Before(v.out.ReplayUntil) {
		v.out.ReplayUntil = until.Add(v.Skew)
	}
	return v.window(n, CheckConditions)
}

// audience holds one AudienceRestriction: one of its audiences must be us. All restrictions must hold (section 2.5.1.4).
func (v *validation) audience(n *xmltree.Node) *Refusal {
	if _, r := parts(n, rule{space: assertionNS, local: "Audience", many: true}); r != nil {
		return r
	}
	var others []string
	for a := range n.Elements() {
		s, ok := a.Text()
		if s = strings.TrimSpace(s); ok && s == v.SPEntityID {
			return nil
		}
		if len(others) < 3 {
			others = append(others, quote(s))
		}
	}
	return refuse(CheckAudience, "The assertion is for audience %s; this pool is %s: set the relying party identifier to %s.", strings.Join(others, ", "), quote(v.SPEntityID), v.SPEntityID)
}
