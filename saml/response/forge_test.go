package response_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/weir-id/weir/saml/response"
)

// The forge makes responses as text, honest and hostile ones. It canonicalizes with goxmldsig, so that what the package
// under test accepts was not made by its own code.

const (
	idp  = "http://adfs.corp.example/adfs/services/trust"
	sp   = "urn:weir:sp:local_Example01"
	acs  = "https://login.example.com/saml2/idpresponse"
	req  = "_req-5f2c9d"
	dsNS = "http://www.w3.org/2000/09/xmldsig#"
	exc  = "http://www.w3.org/2001/10/xml-exc-c14n#"
	more = "http://www.w3.org/2001/04/xmldsig-more#"
	enc  = "http://www.w3.org/2001/04/xmlenc#"
	enc1 = "http://www.w3.org/2009/xmlenc11#"
)

var now = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

func at(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04:05.000Z") }

//go:embed testdata/*.pem
var keyFiles embed.FS

// key returns a key of testdata, made for these tests. They are files because every process of a fuzzing run needs the same.
func key(tb testing.TB, name string) crypto.Signer {
	tb.Helper()
	body, err := keyFiles.ReadFile("testdata/" + name + ".pem")
	if err != nil {
		tb.Fatal(err)
	}
	block, _ := pem.Decode(body)
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return k.(crypto.Signer)
}

func rsaKey(tb testing.TB, name string) *rsa.PrivateKey {
	tb.Helper()
	return key(tb, name).(*rsa.PrivateKey)
}

func expect(tb testing.TB) response.Expect {
	tb.Helper()
	return response.Expect{
		IDPEntityID: idp, SPEntityID: sp, ACSURL: acs, RequestID: req, Now: now,
		SigningKeys:    []crypto.PublicKey{key(tb, "idp").Public()},
		DecryptionKeys: []*rsa.PrivateKey{rsaKey(tb, "sp")},
	}
}

// signing says how an element is signed. The zero value is how AD FS does it.
type signing struct {
	key        crypto.Signer
	method     string // signature method; rsa-sha256
	digest     string // digest method; SHA-256
	c14n       string // of SignedInfo and of the second transform
	transforms string // in place of both transforms
	uri        *string
	prefixes   string // PrefixList of the transform
	keyInfo    string
	der        bool // ECDSA as ASN.1
	reshape    func(signedInfo string) string
	wrap       func(signature string) string
}

func markerOf(id string) string { return "{sig:" + id + "}" }

// sign puts a signature of the element id at its marker.
func sign(tb testing.TB, doc, id string, s signing) string {
	tb.Helper()
	marker := markerOf(id)
	if strings.Count(doc, marker) != 1 {
		tb.Fatalf("the document has not one place for the signature of %s", id)
	}
	method, digest, c14n := or(s.method, more+"rsa-sha256"), or(s.digest, enc+"sha256"), or(s.c14n, exc)
	uri := "#" + id
	if s.uri != nil {
		uri = *s.uri
	}
	transforms := s.transforms
	if transforms == "" {
		list := ""
		if s.prefixes != "" {
			list = `<ec:InclusiveNamespaces xmlns:ec="` + exc + `" PrefixList="` + s.prefixes + `"></ec:InclusiveNamespaces>`
		}
		transforms = `<ds:Transform Algorithm="` + dsNS + `enveloped-signature"></ds:Transform><ds:Transform Algorithm="` + c14n + `">` + list + `</ds:Transform>`
	}
	sum := hashed(digest, canonical(tb, strings.NewReplacer(marker, "").Replace(dropMarkers(doc)), id, s.prefixes))
	// Written in canonical form, but for the declaration that the parent has.
	info := `<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + c14n + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + method + `"></ds:SignatureMethod>` +
		`<ds:Reference URI="` + uri + `"><ds:Transforms>` + transforms + `</ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + digest + `"></ds:DigestMethod>` +
		`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(sum) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	if s.reshape != nil {
		info = s.reshape(info)
	}
	value := signValue(tb, s, method, []byte(strings.Replace(info, "<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="`+dsNS+`">`, 1)))
	sig := `<ds:Signature xmlns:ds="` + dsNS + `">` + info + `<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) + `</ds:SignatureValue>` +
		or(s.keyInfo, `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>`+strings.Repeat("MIIC4DCC", 180)+`</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`) + `</ds:Signature>`
	if s.wrap != nil {
		sig = s.wrap(sig)
	}
	return strings.Replace(doc, marker, sig, 1)
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func dropMarkers(doc string) string {
	for {
		from := strings.Index(doc, "{sig:")
		if from < 0 {
			return doc
		}
		doc = doc[:from] + doc[from+strings.IndexByte(doc[from:], '}')+1:]
	}
}

func hashOf(method string) crypto.Hash {
	switch {
	case strings.HasSuffix(method, "sha1"):
		return crypto.SHA1
	case strings.HasSuffix(method, "sha384"):
		return crypto.SHA384
	case strings.HasSuffix(method, "sha512"):
		return crypto.SHA512
	}
	return crypto.SHA256
}

func hashed(method string, b []byte) []byte {
	h := hashOf(method).New()
	h.Write(b)
	return h.Sum(nil)
}

func signValue(tb testing.TB, s signing, method string, info []byte) []byte {
	tb.Helper()
	k := s.key
	if k == nil {
		k = key(tb, "idp")
	}
	sum := hashed(method, info)
	ec, isEC := k.(*ecdsa.PrivateKey)
	if !isEC || s.der {
		out, err := k.Sign(rand.Reader, sum, hashOf(method))
		if err != nil {
			tb.Fatal(err)
		}
		return out
	}
	r, ss, err := ecdsa.Sign(rand.Reader, ec, sum)
	if err != nil {
		tb.Fatal(err)
	}
	size := (ec.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), ss.FillBytes(make([]byte, size))...)
}

// canonical is exclusive canonicalization of the element id of doc, by goxmldsig.
func canonical(tb testing.TB, doc, id, prefixes string) []byte {
	tb.Helper()
	// goxmldsig stops after some 1,000 elements: many groups, which are canonical as they are, are put in afterwards.
	bulk := groupRun.FindString(doc)
	if bulk != "" {
		doc = strings.Replace(doc, bulk, "<AttributeValue>bulk</AttributeValue>", 1)
	}
	d := etree.NewDocument()
	if err := d.ReadFromString(doc); err != nil {
		tb.Fatalf("%v in %s", err, doc)
	}
	el := d.FindElement("//*[@ID='" + id + "']")
	if el == nil {
		tb.Fatalf("no element %s", id)
	}
	out, err := canonicalElement(el, prefixes)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Replace(out, []byte("<AttributeValue>bulk</AttributeValue>"), []byte(bulk), 1)
}

var groupRun = regexp.MustCompile(`(<AttributeValue>Group-[^<]*</AttributeValue>){2,}`)

func canonicalElement(el *etree.Element, prefixes string) ([]byte, error) {
	ctx, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, err
	}
	el, err = etreeutils.NSDetatch(ctx, el)
	if err != nil {
		return nil, err
	}
	return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(el)
}

// reply is a response under construction, shaped like that of AD FS. Its parts are XML text.
type reply struct {
	tb testing.TB

	namespaces, version, destination, answers, extensions string
	issued                                                time.Duration // both IssueInstants, from now
	issuer, assertionIssuer, status                       string
	subject, conditions, authn, attributes                string
	assertionAttrs                                        string

	responseSigned, assertionSigned *signing
	encrypted                       *encryption

	before func(doc string) string // edits what is signed; it sees the markers
	inner  func(doc string) string // edits the signed assertion before it is encrypted
	sealed func(doc string) string // edits the document before the Response is signed
	after  func(doc string) string // the attacker
}

const (
	confirmation = `<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData InResponseTo="` + req + `" NotOnOrAfter="{+5m}" Recipient="` + acs + `"/></SubjectConfirmation>`
	aliceID      = `<NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">alice@corp.example</NameID>`
	audience     = `<AudienceRestriction><Audience>` + sp + `</Audience></AudienceRestriction>`
	success      = `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>`
	mail         = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	groups       = "http://schemas.xmlsoap.org/claims/Group"
)

// newReply returns an honest answer: the assertion signed, the Response not.
func newReply(tb testing.TB) *reply {
	return &reply{
		tb: tb, version: "2.0", destination: ` Destination="` + acs + `"`, answers: ` InResponseTo="` + req + `"`,
		issued: -time.Second, issuer: `<Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">` + idp + `</Issuer>`, assertionIssuer: `<Issuer>` + idp + `</Issuer>`,
		status: success, subject: `<Subject>` + aliceID + confirmation + `</Subject>`,
		conditions:      `<Conditions NotBefore="{-1s}" NotOnOrAfter="{+1h}">` + audience + `</Conditions>`,
		authn:           `<AuthnStatement AuthnInstant="{-2s}" SessionIndex="_a1"><AuthnContext><AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</AuthnContextClassRef></AuthnContext></AuthnStatement>`,
		attributes:      attributes(4),
		assertionSigned: &signing{},
	}
}

func attributes(groupCount int) string {
	var b strings.Builder
	b.WriteString(`<AttributeStatement>`)
	for _, claim := range [][2]string{{"emailaddress", "alice@corp.example"}, {"givenname", "Alice"}, {"surname", "O&apos;Hara"}, {"upn", "alice@corp.example"}, {"name", `CORP\alice`}} {
		fmt.Fprintf(&b, `<Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/%s"><AttributeValue>%s</AttributeValue></Attribute>`, claim[0], claim[1])
	}
	b.WriteString(`<Attribute Name="` + groups + `">`)
	for i := range groupCount {
		fmt.Fprintf(&b, `<AttributeValue>Group-%04d-Department</AttributeValue>`, i)
	}
	b.WriteString(`</Attribute></AttributeStatement>`)
	return b.String()
}

// xml returns the document.
func (r *reply) xml() string {
	r.tb.Helper()
	doc := `<samlp:Response ID="_r1" Version="` + r.version + `" IssueInstant="` + at(r.issued) + `"` + r.destination +
		` Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified"` + r.answers + ` xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"` + r.namespaces + `>` +
		r.issuer + markerOf("_r1") + r.extensions + r.status +
		`<Assertion ID="_a1" IssueInstant="` + at(r.issued) + `" Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:assertion"` + r.assertionAttrs + `>` + r.assertionIssuer + markerOf("_a1") +
		r.subject + r.conditions + r.authn + r.attributes + `</Assertion></samlp:Response>`
	doc = r.edit(times(doc), r.before)
	if r.assertionSigned != nil {
		doc = sign(r.tb, doc, "_a1", *r.assertionSigned)
	}
	doc = r.edit(doc, r.inner)
	if r.encrypted != nil {
		clear := element(r.tb, doc, "Assertion")
		doc = strings.Replace(doc, clear, r.encrypted.seal(r.tb, dropMarkers(clear)), 1)
	}
	doc = r.edit(doc, r.sealed)
	if r.responseSigned != nil {
		doc = sign(r.tb, doc, "_r1", *r.responseSigned)
	}
	return r.edit(dropMarkers(doc), r.after)
}

func (r *reply) edit(doc string, f func(string) string) string {
	if f == nil {
		return doc
	}
	return f(doc)
}

// swap returns an edit that must find what it replaces.
func (r *reply) swap(old, with string) func(string) string {
	return func(doc string) string {
		r.tb.Helper()
		if !strings.Contains(doc, old) {
			r.tb.Fatalf("no %q in %s", old, doc)
		}
		return strings.Replace(doc, old, with, 1)
	}
}

// times replaces {+5m} and the like by instants.
func times(doc string) string {
	var b strings.Builder
	for {
		from := strings.IndexAny(doc, "{")
		if from < 0 || !strings.ContainsAny(doc[from+1:from+2], "+-") {
			if from < 0 {
				return b.String() + doc
			}
			b.WriteString(doc[:from+1])
			doc = doc[from+1:]
			continue
		}
		to := from + strings.IndexByte(doc[from:], '}')
		d, err := time.ParseDuration(doc[from+1 : to])
		if err != nil {
			panic(err)
		}
		b.WriteString(doc[:from] + at(d))
		doc = doc[to+1:]
	}
}

// element cuts the first element called name, with whatever prefix, out of doc.
func element(tb testing.TB, doc, name string) string {
	tb.Helper()
	for from := 0; from < len(doc); from++ {
		rest := doc[from:]
		if rest[0] != '<' || strings.HasPrefix(rest, "</") {
			continue
		}
		tag := rest[1 : 1+strings.IndexAny(rest[1:], " >/")]
		if tag != name && !strings.HasSuffix(tag, ":"+name) {
			continue
		}
		return rest[:strings.Index(rest, "</"+tag+">")+len("</"+tag+">")]
	}
	tb.Fatalf("no %s in %s", name, doc)
	return ""
}

func form(doc string) string { return base64.StdEncoding.EncodeToString([]byte(doc)) }

// judge validates doc, by the path that e is for.
func judge(doc string, e response.Expect) (*response.Assertion, error) {
	if e.RequestID == "" {
		return response.ValidateUnsolicited(form(doc), e)
	}
	return response.Validate(form(doc), e)
}

// verdict fails the test unless err is a refusal at check, or none where check is empty.
func verdict(tb testing.TB, a *response.Assertion, err error, check response.Check) {
	tb.Helper()
	if check == "" {
		if err != nil {
			tb.Fatalf("refused: %v", err)
		}
		return
	}
	if a != nil || err == nil {
		tb.Fatal("accepted")
	}
	refusal, ok := errors.AsType[*response.Refusal](err)
	if !ok || !errors.Is(err, check) || response.CheckOf(err) != check {
		tb.Fatalf("refused at %q, want %q: %v", response.CheckOf(err), check, err)
	}
	if len(refusal.Admin) < 20 || !strings.HasSuffix(refusal.Admin, ".") {
		tb.Errorf("no sentence for an administrator: %q", refusal.Admin)
	}
}
