package binding

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/saml/internal/xmltree"
	"github.com/weir-id/weir/saml/xmlsig"
)

// The reasons for which a message is refused, besides those of package xmlsig. The sentence behind one is for the administrator's
// log; it may quote the message, so it is not for the public.
var (
	ErrEncoding     = errors.New("saml message: wrongly encoded")
	ErrTooLarge     = errors.New("saml message: too large")
	ErrKind         = errors.New("saml message: of another kind")
	ErrMalformed    = errors.New("saml message: a part is missing or malformed")
	ErrIssuer       = errors.New("saml message: from another issuer")
	ErrDestination  = errors.New("saml message: for another destination")
	ErrExpired      = errors.New("saml message: too old")
	ErrFuture       = errors.New("saml message: from the future")
	ErrInResponseTo = errors.New("saml message: answers another request")
	ErrEncryptedID  = errors.New("saml message: the name id is encrypted")
)

// What a logout message may have. Real ones are below 10 KB.
const (
	maxMessage = 64 << 10 // bytes of XML
	maxEncoded = maxMessage/3*4 + 4096
)

// messageLimits also hold a message to one signature, wherever it stands.
var messageLimits = xmltree.Limits{
	Bytes: maxMessage, Depth: 24, Elements: 400, Attrs: 32, Value: 4096, Text: 16 << 10,
	Names: map[string]int{"Signature": 1, "SignedInfo": 1, "Reference": 1, "EncryptedID": 1},
}

const (
	defaultSkew = 3 * time.Minute
	// maxAge is how old a message may be that does not say itself when it ends.
	maxAge         = 10 * time.Minute
	maxIndexes     = 100
	maxNameID      = 1024 // characters of a NameID's value or of an ID
	entityIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
)

// Incoming is what the browser brought, before any check.
type Incoming struct {
	RawQuery string     // as sent: a Redirect signature covers these bytes
	Form     url.Values // the body of a POST; nil is the Redirect binding
}

// Header is what a message says of itself. Nothing in it is proven.
type Header struct {
	Kind         string // LogoutRequest, LogoutResponse or another element of the protocol
	ID           string
	Issuer       string
	Destination  string
	InResponseTo string
	RelayState   string
}

// Peek reads the header of a message, so that the sender's keys can be found. Use it for nothing else.
// Errors: ErrEncoding, ErrTooLarge, ErrMalformed.
func Peek(in Incoming) (Header, error) {
	w, err := decode(in)
	if err != nil {
		return Header{}, err
	}
	return w.header, nil
}

// Receiver verifies the logout messages of one identity provider. It is immutable and safe for concurrent use.
type Receiver struct {
	Issuer       string             // the IdP's entity id
	Destinations []string           // our own URLs at which messages arrive
	Keys         []crypto.PublicKey // the IdP's signing keys, pinned
	Policy       xmlsig.Policy
	Skew         time.Duration // between the two clocks; 3 minutes if zero
	Now          func() time.Time
}

// Receipt is what there is to know about a message that was accepted.
type Receipt struct {
	Binding    string // HTTPRedirect or HTTPPost
	RelayState string // to be given back in the answer, as it is; not proven over POST
	// Expires is when the message would no longer be accepted: until then its ID has to be
	// remembered by whoever must not act on it twice.
	Expires time.Time
}

// LogoutRequest verifies a LogoutRequest. It has to be signed (SAML profiles section 4.4.4.1).
func (v Receiver) LogoutRequest(in Incoming) (LogoutRequest, Receipt, error) {
	root, header, receipt, err := v.accept(in, "LogoutRequest", paramRequest)
	if err != nil {
		return LogoutRequest{}, Receipt{}, err
	}
	r := LogoutRequest{ID: header.ID, Destination: header.Destination, Issuer: header.Issuer}
	if r.IssueInstant, receipt.Expires, err = v.fresh(root); err != nil {
		return LogoutRequest{}, Receipt{}, err
	}
	if end := xmlsig.Attr(root, "NotOnOrAfter"); end != "" {
		if r.NotOnOrAfter, err = parseTime(end); err != nil {
			return LogoutRequest{}, Receipt{}, err
		}
		end := r.NotOnOrAfter.Add(v.skew())
		if !v.Now().Before(end) {
			return LogoutRequest{}, Receipt{}, fmt.Errorf("%w: the logout request was valid until %s", ErrExpired, r.NotOnOrAfter.Format(time.RFC3339))
		}
		if end.Before(receipt.Expires) {
			receipt.Expires = end
		}
	}
	if r.NameID, err = parseNameID(root); err != nil {
		return LogoutRequest{}, Receipt{}, err
	}
	indexes := xmlsig.Children(root, ProtocolNS, "SessionIndex")
	if len(indexes) > maxIndexes {
		return LogoutRequest{}, Receipt{}, fmt.Errorf("%w: %d session indexes", ErrTooLarge, len(indexes))
	}
	for _, el := range indexes {
		text, ok := xmlsig.Text(el)
		if !ok || text == "" || len(text) > maxNameID {
			return LogoutRequest{}, Receipt{}, fmt.Errorf("%w: SessionIndex", ErrMalformed)
		}
		r.SessionIndexes = append(r.SessionIndexes, text)
	}
	return r, receipt, nil
}

// LogoutResponse verifies the answer to the LogoutRequest with the ID inResponseTo, of whatever status.
func (v Receiver) LogoutResponse(in Incoming, inResponseTo string) (LogoutResponse, Receipt, error) {
	root, header, receipt, err := v.accept(in, "LogoutResponse", paramResponse)
	if err != nil {
		return LogoutResponse{}, Receipt{}, err
	}
	r := LogoutResponse{ID: header.ID, Destination: header.Destination, Issuer: header.Issuer, InResponseTo: header.InResponseTo}
	if r.IssueInstant, receipt.Expires, err = v.fresh(root); err != nil {
		return LogoutResponse{}, Receipt{}, err
	}
	if inResponseTo == "" || r.InResponseTo != inResponseTo {
		return LogoutResponse{}, Receipt{}, fmt.Errorf("%w: the logout response is for request %q", ErrInResponseTo, r.InResponseTo)
	}
	status := xmlsig.Children(root, ProtocolNS, "Status")
	if len(status) != 1 {
		return LogoutResponse{}, Receipt{}, fmt.Errorf("%w: Status", ErrMalformed)
	}
	codes := xmlsig.Children(status[0], ProtocolNS, "StatusCode")
	if len(codes) != 1 || xmlsig.Attr(codes[0], "Value") == "" {
		return LogoutResponse{}, Receipt{}, fmt.Errorf("%w: StatusCode", ErrMalformed)
	}
	r.Status = xmlsig.Attr(codes[0], "Value")
	if nested := xmlsig.Children(codes[0], ProtocolNS, "StatusCode"); len(nested) > 0 {
		r.SubStatus = xmlsig.Attr(nested[0], "Value")
	}
	if text := xmlsig.Children(status[0], ProtocolNS, "StatusMessage"); len(text) > 0 {
		r.Message, _ = xmlsig.Text(text[0])
	}
	return r, receipt, nil
}

// accept decodes a message, verifies its signature and checks what all kinds have in common. There is one reading of the
// message: the tree whose root it returns is the one that the signature was checked on.
func (v Receiver) accept(in Incoming, kind, param string) (*xmltree.Node, Header, Receipt, error) {
	fail := func(err error) (*xmltree.Node, Header, Receipt, error) { return nil, Header{}, Receipt{}, err }
	w, err := decode(in)
	if err != nil {
		return fail(err)
	}
	if w.header.Kind != kind || w.param != param {
		return fail(fmt.Errorf("%w: a %s in %s where a %s was expected", ErrKind, w.header.Kind, w.param, kind))
	}
	// Checked before the signature too: a message of somebody else is not by an unknown key of this one.
	if w.header.Issuer != v.Issuer {
		return fail(fmt.Errorf("%w: the message is from %q; this provider is %q", ErrIssuer, w.header.Issuer, v.Issuer))
	}
	if err := v.verify(w); err != nil {
		return fail(err)
	}
	header := w.header
	// SAML bindings sections 3.4.5.2 and 3.5.5.2: a signed message names its destination.
	if !slices.Contains(v.Destinations, header.Destination) {
		return fail(fmt.Errorf("%w: the message is for %q; this service is at %q", ErrDestination, header.Destination, strings.Join(v.Destinations, ", ")))
	}
	return w.doc.Root, header, Receipt{Binding: w.binding, RelayState: w.header.RelayState}, nil
}

func (v Receiver) verify(w wire) error {
	if w.binding == HTTPPost {
		return xmlsig.Verify(w.doc, v.Keys, v.Policy)
	}
	algorithm, encoded := w.query.val[paramSigAlg], w.query.val[paramSignature]
	if algorithm == "" || encoded == "" {
		return xmlsig.ErrUnsigned
	}
	signature, err := xmlsig.Base64(encoded)
	if err != nil {
		return fmt.Errorf("%w: the signature is not base64", xmlsig.ErrSignature)
	}
	for _, data := range w.query.signed(w.param) {
		if err = xmlsig.VerifyBytes(algorithm, []byte(data), signature, v.Keys, v.Policy); err == nil {
			return nil
		}
	}
	return err
}

func (v Receiver) skew() time.Duration {
	if v.Skew == 0 {
		return defaultSkew
	}
	return v.Skew
}

// fresh checks IssueInstant and returns it with the end of the message's life.
func (v Receiver) fresh(root *xmltree.Node) (issued, end time.Time, err error) {
	if issued, err = parseTime(xmlsig.Attr(root, "IssueInstant")); err != nil {
		return issued, end, err
	}
	now := v.Now()
	end = issued.Add(maxAge + v.skew())
	switch {
	case issued.After(now.Add(v.skew())):
		return issued, end, fmt.Errorf("%w: it was issued at %s; compare the clocks", ErrFuture, issued.Format(time.RFC3339))
	case !now.Before(end):
		return issued, end, fmt.Errorf("%w: it was issued at %s", ErrExpired, issued.Format(time.RFC3339))
	}
	return issued, end, nil
}

// wire is a message as it came.
type wire struct {
	binding string
	param   string
	doc     *xmltree.Document
	query   rawQuery
	header  Header
}

func decode(in Incoming) (w wire, err error) {
	var data []byte
	if in.Form != nil {
		w.binding = HTTPPost
		data, err = w.decodePost(in.Form)
	} else {
		w.binding = HTTPRedirect
		data, err = w.decodeRedirect(in.RawQuery)
	}
	if err != nil {
		return w, err
	}
	if w.doc, err = xmlsig.Read(data, messageLimits); err != nil {
		return w, err
	}
	relay := w.header.RelayState
	w.header, err = readHeader(w.doc.Root)
	w.header.RelayState = relay
	return w, err
}

func (w *wire) decodePost(form url.Values) ([]byte, error) {
	for _, name := range []string{paramRequest, paramResponse, paramRelayState} {
		if len(form[name]) > 1 {
			return nil, fmt.Errorf("%w: %s stands twice in the form", ErrEncoding, name)
		}
	}
	if err := w.choose(form.Has(paramRequest), form.Has(paramResponse)); err != nil {
		return nil, err
	}
	w.header.RelayState = form.Get(paramRelayState)
	return unpack(form.Get(w.param))
}

func (w *wire) decodeRedirect(query string) (_ []byte, err error) {
	if len(query) > 2*maxEncoded {
		return nil, fmt.Errorf("%w: a query of %d bytes", ErrTooLarge, len(query))
	}
	if w.query, err = parseRawQuery(query); err != nil {
		return nil, err
	}
	_, request := w.query.raw[paramRequest]
	_, response := w.query.raw[paramResponse]
	if err := w.choose(request, response); err != nil {
		return nil, err
	}
	if e, ok := w.query.val[paramEncoding]; ok && e != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
		return nil, fmt.Errorf("%w: the SAMLEncoding is not DEFLATE", ErrEncoding)
	}
	w.header.RelayState = w.query.val[paramRelayState]
	packed, err := unpack(w.query.val[w.param])
	if err != nil {
		return nil, err
	}
	return inflate(packed, maxMessage)
}

func (w *wire) choose(request, response bool) error {
	switch {
	case request == response:
		return fmt.Errorf("%w: one of SAMLRequest and SAMLResponse is required", ErrEncoding)
	case request:
		w.param = paramRequest
	default:
		w.param = paramResponse
	}
	return nil
}

func unpack(text string) ([]byte, error) {
	if len(text) > maxEncoded {
		return nil, fmt.Errorf("%w: %d characters of base64", ErrTooLarge, len(text))
	}
	data, err := base64.StdEncoding.DecodeString(text) // line breaks are passed over
	if err != nil || len(data) == 0 {
		return nil, fmt.Errorf("%w: not base64", ErrEncoding)
	}
	return data, nil
}

// readHeader checks what every message has (SAML core section 3.2).
func readHeader(root *xmltree.Node) (Header, error) {
	h := Header{
		Kind: root.Local, ID: xmlsig.Attr(root, "ID"), Destination: xmlsig.Attr(root, "Destination"),
		InResponseTo: xmlsig.Attr(root, "InResponseTo"),
	}
	if root.Space != ProtocolNS {
		return h, fmt.Errorf("%w: the root element is not of the SAML 2.0 protocol", ErrKind)
	}
	if version := xmlsig.Attr(root, "Version"); version != "2.0" {
		return h, fmt.Errorf("%w: SAML version %q; 2.0 is required", ErrKind, version)
	}
	if h.ID == "" || len(h.ID) > maxNameID {
		return h, fmt.Errorf("%w: ID", ErrMalformed)
	}
	issuers := xmlsig.Children(root, AssertionNS, "Issuer")
	if len(issuers) != 1 {
		return h, fmt.Errorf("%w: %d elements Issuer", ErrMalformed, len(issuers))
	}
	if format := xmlsig.Attr(issuers[0], "Format"); format != "" && format != entityIDFormat {
		return h, fmt.Errorf("%w: the format of Issuer", ErrMalformed)
	}
	var ok bool
	if h.Issuer, ok = xmlsig.Text(issuers[0]); !ok || h.Issuer == "" || len(h.Issuer) > maxNameID {
		return h, fmt.Errorf("%w: Issuer", ErrMalformed)
	}
	return h, nil
}

func parseNameID(root *xmltree.Node) (NameID, error) {
	if len(xmlsig.Children(root, AssertionNS, "EncryptedID")) > 0 {
		return NameID{}, fmt.Errorf("%w: set the identity provider to send a plain NameID in logout requests", ErrEncryptedID)
	}
	found := xmlsig.Children(root, AssertionNS, "NameID")
	if len(found) != 1 || len(xmlsig.Children(root, AssertionNS, "BaseID")) > 0 {
		return NameID{}, fmt.Errorf("%w: one NameID is required", ErrMalformed)
	}
	el := found[0]
	n := NameID{
		Format: xmlsig.Attr(el, "Format"), NameQualifier: xmlsig.Attr(el, "NameQualifier"),
		SPNameQualifier: xmlsig.Attr(el, "SPNameQualifier"), SPProvidedID: xmlsig.Attr(el, "SPProvidedID"),
	}
	// As given, white space and all: it is compared with what the assertion had.
	var ok bool
	if n.Value, ok = el.Text(); !ok || strings.TrimSpace(n.Value) == "" || len(n.Value) > maxNameID {
		return NameID{}, fmt.Errorf("%w: NameID", ErrMalformed)
	}
	return n, nil
}

// parseTime reads xs:dateTime. All of SAML's are in UTC (SAML core section 1.3.3), also where the zone is left out.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: a time", ErrMalformed)
}
