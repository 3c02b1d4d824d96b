package samltest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

// instant is how AD FS writes times.
const instant = "2006-01-02T15:04:05.000Z"

// issue ends a successful sign-in: an assertion, posted to the trust.
func (p *Provider) issue(w http.ResponseWriter, req authRequest, sess session) {
	faults := p.currentFaults()
	now := p.cfg.Now().UTC()
	assertion, part := p.assertion(req, sess, now)
	if faults.Assertion != nil {
		faults.Assertion(assertion)
	}
	mode := req.sp.Sign
	if faults.Sign != nil {
		mode = *faults.Sign
	}
	signer := p.signer()
	if faults.Signer != nil {
		signer = *faults.Signer
	}
	doc, err := p.seal(req, assertion, mode, signer, now, faults)
	if err != nil {
		p.problemPage(w, http.StatusInternalServerError, err.Error())
		return
	}
	p.joined(sess.id, part)
	p.post(w, req, doc, faults)
}

// seal signs and encrypts as the trust wants it, and puts the assertion into a Response.
func (p *Provider) seal(req authRequest, assertion *etree.Element, mode Sign, signer xmlsig.Signer, now time.Time, faults Faults) ([]byte, error) {
	if mode == SignAssertion || mode == SignBoth {
		if err := xmlsig.Sign(assertion, signer, 1); err != nil {
			return nil, err
		}
	}
	if faults.Signed != nil {
		faults.Signed(assertion)
	}
	response := p.response(req, status{code: binding.StatusSuccess}, now)
	if req.sp.Encryption != nil {
		sealed, err := encrypt(assertion, req.sp.Encryption, req.sp.GCM)
		if err != nil {
			return nil, err
		}
		assertion = sealed
	}
	response.AddChild(assertion)
	return finish(response, mode, signer, faults)
}

// finish signs the Response where that is wanted and returns the document.
func finish(response *etree.Element, mode Sign, signer xmlsig.Signer, faults Faults) ([]byte, error) {
	if faults.Response != nil {
		faults.Response(response)
	}
	if mode == SignResponse || mode == SignBoth {
		if err := xmlsig.Sign(response, signer, 1); err != nil {
			return nil, err
		}
	}
	doc, err := xmlsig.Bytes(response)
	if err == nil && faults.Document != nil {
		doc = faults.Document(doc)
	}
	return doc, err
}

// respondStatus answers without an assertion. Such an answer is signed, since nothing else in it is.
func (p *Provider) respondStatus(w http.ResponseWriter, req authRequest, s status) {
	faults := p.currentFaults()
	doc, err := finish(p.response(req, s, p.cfg.Now().UTC()), SignResponse, p.signer(), faults)
	if err != nil {
		p.problemPage(w, http.StatusInternalServerError, err.Error())
		return
	}
	p.post(w, req, doc, faults)
}

func (p *Provider) post(w http.ResponseWriter, req authRequest, doc []byte, faults Faults) {
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(doc)}}
	if req.relay != "" {
		form.Set("RelayState", req.relay)
	}
	if faults.Form != nil {
		faults.Form(form)
	}
	p.postPage(w, req.acs, form)
}

// response returns a Response without an assertion, in the shape of AD FS.
func (p *Provider) response(req authRequest, s status, now time.Time) *etree.Element {
	el := etree.NewElement("samlp:Response")
	el.CreateAttr("xmlns:samlp", binding.ProtocolNS)
	el.CreateAttr("ID", binding.NewID())
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", now.Format(instant))
	el.CreateAttr("Destination", req.acs)
	el.CreateAttr("Consent", "urn:oasis:names:tc:SAML:2.0:consent:unspecified")
	if req.id != "" {
		el.CreateAttr("InResponseTo", req.id)
	}
	issuer := el.CreateElement("Issuer")
	issuer.CreateAttr("xmlns", binding.AssertionNS)
	issuer.SetText(p.cfg.EntityID)
	st := el.CreateElement("samlp:Status")
	code := st.CreateElement("samlp:StatusCode")
	code.CreateAttr("Value", s.code)
	if s.sub != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", s.sub)
	}
	if s.message != "" {
		st.CreateElement("samlp:StatusMessage").SetText(s.message)
	}
	return el
}

// assertion returns an unsigned assertion and what the trust will know of the session.
func (p *Provider) assertion(req authRequest, sess session, now time.Time) (*etree.Element, participation) {
	id := binding.NewID()
	part := participation{entityID: req.sp.EntityID, index: id} // AD FS names the session after the assertion
	el := etree.NewElement("Assertion")
	el.CreateAttr("ID", id)
	el.CreateAttr("IssueInstant", now.Format(instant))
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("xmlns", binding.AssertionNS)
	el.CreateElement("Issuer").SetText(p.cfg.EntityID)

	subject := el.CreateElement("Subject")
	if name, ok := nameID(req.sp.NameID, sess.person); ok {
		part.nameID = name
		c := subject.CreateElement("NameID")
		c.CreateAttr("Format", name.Format)
		if name.NameQualifier != "" {
			c.CreateAttr("NameQualifier", name.NameQualifier)
		}
		if name.SPNameQualifier != "" {
			c.CreateAttr("SPNameQualifier", name.SPNameQualifier)
		}
		c.SetText(name.Value)
	}
	confirmation := subject.CreateElement("SubjectConfirmation")
	confirmation.CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	data := confirmation.CreateElement("SubjectConfirmationData")
	if req.id != "" {
		data.CreateAttr("InResponseTo", req.id)
	}
	data.CreateAttr("NotOnOrAfter", now.Add(confirmationLife).Format(instant))
	data.CreateAttr("Recipient", req.acs)

	conditions := el.CreateElement("Conditions")
	conditions.CreateAttr("NotBefore", now.Format(instant)) // no margin, as AD FS has it
	conditions.CreateAttr("NotOnOrAfter", now.Add(assertionLife).Format(instant))
	conditions.CreateElement("AudienceRestriction").CreateElement("Audience").SetText(req.sp.EntityID)

	statements(el, sess, id)
	return el, part
}

func statements(el *etree.Element, sess session, index string) {
	if len(sess.person.Claims) > 0 {
		attributes := el.CreateElement("AttributeStatement")
		types := make([]string, 0, len(sess.person.Claims))
		for name := range sess.person.Claims {
			types = append(types, name)
		}
		sort.Strings(types)
		for _, name := range types {
			attribute := attributes.CreateElement("Attribute")
			attribute.CreateAttr("Name", name)
			for _, v := range values(sess.person.Claims[name]) {
				attribute.CreateElement("AttributeValue").SetText(v)
			}
		}
	}
	authn := el.CreateElement("AuthnStatement")
	authn.CreateAttr("AuthnInstant", sess.authTime.UTC().Format(instant))
	authn.CreateAttr("SessionIndex", index)
	authn.CreateElement("AuthnContext").CreateElement("AuthnContextClassRef").SetText(passwordContext)
}

// nameID applies a trust's rule. A transient name is new every time.
func nameID(rule NameIDRule, person Person) (binding.NameID, bool) {
	n := binding.NameID{Format: rule.Format, NameQualifier: rule.NameQualifier, SPNameQualifier: rule.SPNameQualifier}
	found := values(person.Claims[rule.Claim])
	switch {
	case rule.None:
		return binding.NameID{}, false
	case rule.Format == FormatTransient:
		n.Value = binding.NewID()
	case len(found) == 0:
		return binding.NameID{}, false
	default:
		n.Value = found[0]
	}
	return n, true
}

// values returns the values of a claim.
func values(claim any) []string {
	switch v := claim.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []string:
		return slices.Clone(v)
	}
	return []string{fmt.Sprint(claim)}
}
