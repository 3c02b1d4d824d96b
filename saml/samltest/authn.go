package samltest

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

// Nested status codes (SAML core section 3.2.2.2).
const (
	StatusAuthnFailed         = "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"
	StatusInvalidNameIDPolicy = "urn:oasis:names:tc:SAML:2.0:status:InvalidNameIDPolicy"
	StatusNoAuthnContext      = "urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"
	StatusNoPassive           = "urn:oasis:names:tc:SAML:2.0:status:NoPassive" //nolint:gosec // the name of a status
	StatusRequestDenied       = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied"
)

// passwordContext is how everybody signs in here.
const passwordContext = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport" //nolint:gosec // the name of a class

// maxRequest bounds a request, in bytes of XML.
const maxRequest = 64 << 10

// authRequest is an AuthnRequest whose sender and assertion consumer are known, or an IdP-initiated sign-in.
type authRequest struct {
	sp      ServiceProvider
	id      string // "" is IdP-initiated
	acs     string
	relay   string
	format  string // of NameIDPolicy
	force   bool
	passive bool
	classes []string // RequestedAuthnContext
}

// status is an answer without an assertion.
type status struct{ code, sub, message string }

func (p *Provider) message(w http.ResponseWriter, r *http.Request) {
	in := binding.Incoming{RawQuery: r.URL.RawQuery}
	if r.Method == http.MethodPost {
		in.Form = r.PostForm
	}
	if in.Form == nil && r.URL.Query().Get("wa") == "wsignout1.0" { // how people sign out of AD FS
		p.askSignOut(w, r)
		return
	}
	header, err := binding.Peek(in)
	if err != nil {
		p.problemPage(w, http.StatusBadRequest, err.Error())
		return
	}
	switch header.Kind {
	case "AuthnRequest":
		p.authorize(w, r, in)
	case "LogoutRequest":
		p.logoutRequest(w, r, in, header)
	case "LogoutResponse":
		p.logoutResponse(w, r, in, header)
	default:
		p.problemPage(w, http.StatusBadRequest, "The message is of a kind that is not answered here.")
	}
}

// authorize answers an AuthnRequest. Problems with who asks and where the answer would go are shown on a page of our own.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request, in binding.Incoming) {
	req, err := p.readRequest(in)
	if err != nil {
		p.problemPage(w, http.StatusBadRequest, err.Error())
		return
	}
	if s := p.currentFaults().Status; s != nil {
		p.respondStatus(w, req, status{s.Code, s.SubCode, s.Message})
		return
	}
	if bad := req.unmet(); bad != nil {
		p.respondStatus(w, req, *bad)
		return
	}
	sess, signedIn := p.currentSession(r)
	switch {
	case signedIn && !req.force && (req.passive || !p.cfg.ConfirmSession):
		p.issue(w, req, sess)
	case req.passive:
		p.respondStatus(w, req, status{binding.StatusResponder, StatusNoPassive, ""})
	case signedIn && !req.force:
		p.startSignIn(w, r, req, sess)
	default:
		p.startSignIn(w, r, req, session{})
	}
}

// initiate begins an IdP-initiated sign-in.
func (p *Provider) initiate(w http.ResponseWriter, r *http.Request) {
	sp, ok := p.trust(r.Form.Get("loginToRp"))
	if !ok {
		p.problemPage(w, http.StatusBadRequest, "The application is not known here (loginToRp).")
		return
	}
	req := authRequest{sp: sp, acs: sp.ACS[0], relay: r.Form.Get("RelayState")}
	sess, signedIn := p.currentSession(r)
	if signedIn && !p.cfg.ConfirmSession {
		p.issue(w, req, sess)
		return
	}
	p.startSignIn(w, r, req, sess)
}

// readRequest decodes and checks an AuthnRequest.
func (p *Provider) readRequest(in binding.Incoming) (req authRequest, err error) {
	root, signature, err := decodeRequest(in)
	if err != nil {
		return req, err
	}
	var issuer string
	if el := child(root, binding.AssertionNS, "Issuer"); el != nil {
		issuer = el.Text()
	}
	var known bool
	if req.sp, known = p.trust(issuer); !known {
		return req, fmt.Errorf("MSIS3111: the relying party trust %q is not known here", issuer)
	}
	if err := p.checkSignature(root, signature, req.sp); err != nil {
		return req, err
	}
	req.id, req.relay = root.SelectAttrValue("ID", ""), signature.relay
	req.force, req.passive = root.SelectAttrValue("ForceAuthn", "") == "true", root.SelectAttrValue("IsPassive", "") == "true"
	issued, err := time.Parse(time.RFC3339Nano, root.SelectAttrValue("IssueInstant", ""))
	age := p.cfg.Now().Sub(issued)
	switch {
	case req.id == "" || root.SelectAttrValue("Version", "") != "2.0" || err != nil:
		return req, errors.New("the request's ID, Version or IssueInstant is missing or malformed")
	case age > 10*time.Minute || age < -10*time.Minute:
		return req, errors.New("the request was issued too long ago, or in the future")
	case root.SelectAttrValue("Destination", "") != p.at(EndpointSAML):
		return req, errors.New("the request's Destination is not this service")
	}
	switch acs := root.SelectAttrValue("AssertionConsumerServiceURL", ""); {
	case acs == "":
		req.acs = req.sp.ACS[0]
	case slices.Contains(req.sp.ACS, acs):
		req.acs = acs
	default:
		return req, errors.New("MSIS3200: the AssertionConsumerServiceURL of the request is not one of the trust's")
	}
	if b := root.SelectAttrValue("ProtocolBinding", ""); b != "" && b != binding.HTTPPost {
		return req, errors.New("the ProtocolBinding of the request is not supported")
	}
	if el := child(root, binding.ProtocolNS, "NameIDPolicy"); el != nil {
		req.format = el.SelectAttrValue("Format", "")
	}
	if el := child(root, binding.ProtocolNS, "RequestedAuthnContext"); el != nil {
		for _, class := range el.ChildElements() {
			req.classes = append(req.classes, class.Text())
		}
	}
	return req, nil
}

// unmet returns the answer to a request for what this provider does not do.
func (req authRequest) unmet() *status {
	switch {
	case req.format != "" && req.format != FormatUnspecified && req.format != req.sp.NameID.Format:
		return &status{binding.StatusRequester, StatusInvalidNameIDPolicy, "MSIS7070: the NameIDPolicy asks for another format than the claim rules issue"}
	case len(req.classes) > 0 && !slices.Contains(req.classes, passwordContext):
		return &status{binding.StatusResponder, StatusNoAuthnContext, ""}
	}
	return nil
}

// querySignature is what came beside the message over Redirect.
type querySignature struct {
	redirect  bool
	relay     string
	algorithm string
	value     string
	data      string // what the signature has to cover
}

// decodeRequest is written apart from package binding, which it helps to test.
func decodeRequest(in binding.Incoming) (*etree.Element, querySignature, error) {
	var q querySignature
	if in.Form != nil {
		q.relay = in.Form.Get("RelayState")
		doc, err := base64.StdEncoding.DecodeString(in.Form.Get("SAMLRequest"))
		if err != nil {
			return nil, q, errors.New("the SAMLRequest is not base64")
		}
		root, err := parse(doc)
		return root, q, err
	}
	values, err := url.ParseQuery(in.RawQuery)
	if err != nil {
		return nil, q, errors.New("the query is malformed")
	}
	q = querySignature{redirect: true, relay: values.Get("RelayState"), algorithm: values.Get("SigAlg"), value: values.Get("Signature")}
	raw := map[string]string{}
	for part := range strings.SplitSeq(in.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		raw[name] = part
	}
	var covered []string
	for _, name := range []string{"SAMLRequest", "RelayState", "SigAlg"} {
		if part, ok := raw[name]; ok {
			covered = append(covered, part)
		}
	}
	q.data = strings.Join(covered, "&")
	packed, err := base64.StdEncoding.DecodeString(values.Get("SAMLRequest"))
	if err != nil {
		return nil, q, errors.New("the SAMLRequest is not base64")
	}
	doc, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxRequest+1))
	if err != nil {
		return nil, q, errors.New("the SAMLRequest is not DEFLATE data")
	}
	root, err := parse(doc)
	return root, q, err
}

func parse(doc []byte) (*etree.Element, error) {
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc); len(doc) > maxRequest || err != nil || tree.Root() == nil {
		return nil, errors.New("the request is no XML, or too large")
	}
	return tree.Root(), nil
}

// child returns the first child of that name, nil if there is none.
func child(el *etree.Element, namespace, local string) *etree.Element {
	for _, c := range el.ChildElements() {
		if c.Tag == local && c.NamespaceURI() == namespace {
			return c
		}
	}
	return nil
}

// checkSignature verifies the signature that there is, and demands one where one is required.
func (p *Provider) checkSignature(root *etree.Element, q querySignature, sp ServiceProvider) error {
	embedded := child(root, xmlsig.Namespace, "Signature") != nil
	if (q.redirect && q.value == "") || (!q.redirect && !embedded) {
		if sp.RequireSigned || p.cfg.WantSignedRequests {
			return errors.New("MSIS7084: the request must be signed")
		}
		return nil
	}
	keys := publicKeys(sp)
	if len(keys) == 0 {
		return nil // nothing to verify it with, and nobody asked for it
	}
	if !q.redirect {
		return verifyEnveloped(root, sp.Certificates)
	}
	signature, err := base64.StdEncoding.DecodeString(q.value)
	if err != nil {
		return errors.New("the Signature is not base64")
	}
	return xmlsig.VerifyBytes(q.algorithm, []byte(q.data), signature, keys, xmlsig.Policy{})
}

// verifyEnveloped uses another library than package saml does. Certificates are pinned, whatever their dates.
func verifyEnveloped(root *etree.Element, certs []*x509.Certificate) error {
	for _, c := range certs {
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
		ctx.Clock = dsig.NewFakeClockAt(c.NotBefore.Add(time.Second))
		if _, err := ctx.Validate(root); err == nil {
			return nil
		}
	}
	return errors.New("the signature of the request is by no known key of the trust, or not valid")
}

func publicKeys(sp ServiceProvider) []crypto.PublicKey {
	var keys []crypto.PublicKey
	for _, c := range sp.Certificates {
		keys = append(keys, c.PublicKey)
	}
	return keys
}

// startSignIn shows the form; offered is the session it offers to continue, if any.
func (p *Provider) startSignIn(w http.ResponseWriter, r *http.Request, req authRequest, offered session) {
	id := p.ask(w, r, interaction{request: req, sid: offered.id})
	p.signInPage(w, http.StatusOK, signInData{Interaction: id, Client: req.sp.Name, Continue: offered.person.Username})
}

func (p *Provider) signIn(w http.ResponseWriter, r *http.Request) {
	username, cancel := r.PostForm.Get("username"), r.PostForm.Has("cancel")
	person, known := p.person(username)
	right := subtle.ConstantTimeCompare([]byte(person.Password), []byte(r.PostForm.Get("password"))) == 1
	proven := known && right
	sess, signedIn := p.currentSession(r)
	resume := func(f interaction) bool {
		return r.PostForm.Has("continue") && signedIn && f.sid != "" && f.sid == sess.id
	}
	form, ok := p.takeInteraction(r, func(f interaction) bool { return !f.signOut && (cancel || proven || resume(f)) })
	switch {
	case !ok || form.signOut:
		p.problemPage(w, http.StatusBadRequest, "This sign-in form is no longer valid. Go back to the application and start again.")
	case cancel:
		p.respondStatus(w, form.request, status{binding.StatusResponder, StatusRequestDenied, "The person cancelled the sign-in."})
	case resume(form):
		p.issue(w, form.request, sess)
	case !proven:
		p.signInPage(w, http.StatusUnauthorized, signInData{
			Interaction: r.PostForm.Get("interaction"), Client: form.request.sp.Name, Username: username,
			Problem: "The username or the password is not right. Please try again.",
		})
	default:
		p.issue(w, form.request, p.startSession(w, r, person))
	}
}
