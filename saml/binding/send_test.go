package binding_test

import (
	"compress/flate"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

func authn() binding.AuthnRequest {
	return binding.AuthnRequest{ID: "_q1", IssueInstant: epoch, Destination: sso, Issuer: sp, ACSURL: "https://login.example/saml2/idpresponse"}
}

func TestAuthnRequestAsksForWhatIsConfigured(t *testing.T) {
	full := authn()
	full.ProviderName, full.NameIDFormat, full.ForceAuthn, full.IsPassive = "Weir & Co", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", true, true
	full.AuthnContext, full.AuthnComparison = []string{"urn:a", "urn:b"}, binding.ComparisonMinimum
	const head = `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_q1" Version="2.0" IssueInstant="2026-03-01T12:00:00.000Z" Destination="https://sts.example/adfs/ls/" AssertionConsumerServiceURL="https://login.example/saml2/idpresponse" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"`
	const issuer = `<saml:Issuer>urn:weir:sp:local_Example01</saml:Issuer>`
	for _, tt := range []struct {
		name string
		req  binding.AuthnRequest
		want string
	}{
		{"nothing: no format of the NameID, which AD FS refuses", authn(), head + `>` + issuer + `<samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>`},
		{"everything", full, head + ` ProviderName="Weir &amp; Co" ForceAuthn="true" IsPassive="true">` + issuer +
			`<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" AllowCreate="true"/><samlp:RequestedAuthnContext Comparison="minimum"><saml:AuthnContextClassRef>urn:a</saml:AuthnContextClassRef><saml:AuthnContextClassRef>urn:b</saml:AuthnContextClassRef></samlp:RequestedAuthnContext></samlp:AuthnRequest>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := xmlOf(t, send(t, tt.req, binding.HTTPPost, "", nil)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestRedirectSignsWhatItSends(t *testing.T) {
	req := authn()
	req.Destination = sso + "?client=a%20b&x"
	relay := "a+b/c=&d e"
	out, err := binding.Send(req, binding.HTTPRedirect, relay, &keys().idp)
	if err != nil || out.Form != nil {
		t.Fatalf("got %v, %v", out, err)
	}
	rest, ok := strings.CutPrefix(out.URL, sso+"?client=a%20b&x&")
	if !ok {
		t.Fatalf("the destination's own parameters are not where they were: %s", out.URL)
	}
	signed, signature, ok := strings.Cut(rest, "&Signature=")
	var names []string
	for part := range strings.SplitSeq(signed, "&") {
		name, _, _ := strings.Cut(part, "=")
		names = append(names, name)
	}
	if !ok || !slices.Equal(names, []string{"SAMLRequest", "RelayState", "SigAlg"}) {
		t.Fatalf("got parameters %q", names)
	}
	u, err := url.Parse(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("RelayState") != relay || q.Get("SigAlg") != xmlsig.RSASHA256 || strings.Contains(signature, "&") {
		t.Errorf("got %v", q)
	}
	raw, err := base64.StdEncoding.DecodeString(q.Get("Signature"))
	if err != nil {
		t.Fatal(err)
	}
	if err := xmlsig.VerifyBytes(xmlsig.RSASHA256, []byte(signed), raw, receiver().Keys, xmlsig.Policy{}); err != nil {
		t.Error(err)
	}
	packed, err := base64.StdEncoding.DecodeString(q.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := io.ReadAll(flate.NewReader(strings.NewReader(string(packed))))
	if err != nil || !strings.HasPrefix(string(doc), "<samlp:AuthnRequest ") || strings.Contains(string(doc), "Signature") {
		t.Errorf("got %s, %v", doc, err)
	}
}

func TestSendRefuses(t *testing.T) {
	to := func(destination string) binding.Message {
		r := authn()
		r.Destination = destination
		return r
	}
	tests := []struct {
		name, over, relay string
		message           binding.Message
	}{
		{"a binding for servers", "urn:oasis:names:tc:SAML:2.0:bindings:SOAP", "", authn()},
		{"a long RelayState", binding.HTTPPost, strings.Repeat("x", 81), authn()},
		{"a destination with a fragment", binding.HTTPRedirect, "", to(sso + "#x")},
		{"a destination that is a script", binding.HTTPPost, "", to("javascript:alert(1)")},
		{"a relative destination", binding.HTTPPost, "", to("/adfs/ls")},
		{"a destination that sets RelayState", binding.HTTPRedirect, "", to(sso + "?Relay%53tate=x")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, err := binding.Send(tt.message, tt.over, tt.relay, nil); !errors.Is(err, binding.ErrMessage) {
				t.Errorf("got %v, %v", out, err)
			}
		})
	}
	if _, err := binding.Send(response(), binding.HTTPPost, strings.Repeat("x", 500), nil); err != nil {
		t.Errorf("an answer gives back what it got: %v", err)
	}
}

func TestIDsAreNamesAndDiffer(t *testing.T) {
	a, b := binding.NewID(), binding.NewID()
	if a == b || len(a) != 41 || a[0] != '_' {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestPostSignatureStandsBehindIssuer(t *testing.T) {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xmlOf(t, send(t, authn(), binding.HTTPPost, "r", &keys().idp))); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, c := range doc.Root().ChildElements() {
		tags = append(tags, c.Tag)
	}
	if !slices.Equal(tags, []string{"Issuer", "Signature", "NameIDPolicy"}) {
		t.Errorf("got %q", tags)
	}
}

func BenchmarkSend(b *testing.B) {
	for name, over := range map[string]string{"redirect": binding.HTTPRedirect, "post": binding.HTTPPost} {
		for kind, s := range map[string]*xmlsig.Signer{"unsigned": nil, "RSA": &keys().idp, "ECDSA": &keys().curve} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := binding.Send(authn(), over, "Zm9vYmFyYmF6cXV4", s); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
