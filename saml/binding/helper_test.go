package binding_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	idp    = "http://sts.example/adfs/services/trust"
	sp     = "urn:weir:sp:local_Example01"
	logout = "https://login.example/saml2/logout"
	sso    = "https://sts.example/adfs/ls/"
)

// keyRing holds the IdP's keys, one of them on a curve, and a stranger's. It is made once.
type keyRing struct{ idp, other, curve, stranger xmlsig.Signer }

var keys = sync.OnceValue(func() *keyRing {
	k := &keyRing{}
	for _, to := range []*xmlsig.Signer{&k.idp, &k.other, &k.stranger} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		to.Key = key
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	k.curve.Key = key
	return k
})

func receiver() binding.Receiver {
	return binding.Receiver{
		Issuer: idp, Destinations: []string{logout, "https://other.example/saml2/logout"},
		Keys: []crypto.PublicKey{keys().other.Key.Public(), keys().idp.Key.Public(), keys().curve.Key.Public()},
		Now:  func() time.Time { return epoch },
	}
}

func request() binding.LogoutRequest {
	return binding.LogoutRequest{
		ID: "_r1", IssueInstant: epoch.Add(-time.Second), NotOnOrAfter: epoch.Add(5 * time.Minute), Destination: logout, Issuer: idp,
		NameID:         binding.NameID{Value: "CORP\\ada & <co>", Format: "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", NameQualifier: "q", SPNameQualifier: sp, SPProvidedID: "p"},
		SessionIndexes: []string{"_s1", "_s2"},
	}
}

func response() binding.LogoutResponse {
	return binding.LogoutResponse{
		ID: "_a1", InResponseTo: "_q1", IssueInstant: epoch, Destination: logout, Issuer: idp,
		Status: binding.StatusResponder, SubStatus: binding.StatusPartialLogout, Message: "one application did not answer",
	}
}

// altered is a message whose element is changed before it is signed.
type altered struct {
	binding.Message
	change func(*etree.Element)
}

func (a altered) Element() *etree.Element {
	el := a.Message.Element()
	a.change(el)
	return el
}

func set(name, value string) func(*etree.Element) {
	return func(el *etree.Element) { el.CreateAttr(name, value) }
}

func send(t testing.TB, m binding.Message, over, relay string, s *xmlsig.Signer) binding.Incoming {
	t.Helper()
	out, err := binding.Send(m, over, relay, s)
	if err != nil {
		t.Fatal(err)
	}
	return incoming(out)
}

// incoming is what the browser brings where out sent it.
func incoming(out binding.Outgoing) binding.Incoming {
	if out.Form != nil {
		return binding.Incoming{Form: out.Form}
	}
	_, query, _ := strings.Cut(out.URL, "?")
	return binding.Incoming{RawQuery: query}
}

// xmlOf returns the document in a POST.
func xmlOf(t testing.TB, in binding.Incoming) string {
	t.Helper()
	doc, err := base64.StdEncoding.DecodeString(in.Form.Get("SAMLRequest") + in.Form.Get("SAMLResponse"))
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func post(doc string) binding.Incoming {
	return binding.Incoming{Form: url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(doc))}}}
}

func deflated(t testing.TB, doc string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
