package binding_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

func TestLogoutMessagesArriveAsTheyWereSent(t *testing.T) {
	for name, s := range map[string]xmlsig.Signer{"RSA": keys().idp, "ECDSA": keys().curve} {
		for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
			for _, relay := range []string{"", "a b&c=+/é"} {
				t.Run(name+over[38:]+relay, func(t *testing.T) {
					got, receipt, err := receiver().LogoutRequest(send(t, request(), over, relay, &s))
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(got, request()) {
						t.Errorf("got %+v", got)
					}
					if receipt.Binding != over || receipt.RelayState != relay || !receipt.Expires.Equal(epoch.Add(8*time.Minute)) {
						t.Errorf("got %+v", receipt)
					}
					answer, receipt, err := receiver().LogoutResponse(send(t, response(), over, relay, &s), "_q1")
					if err != nil || answer != response() || receipt.RelayState != relay {
						t.Errorf("got %+v, %+v, %v", answer, receipt, err)
					}
				})
			}
		}
	}
}

func TestReceiverAcceptsWhatOthersSend(t *testing.T) {
	bare := request()
	bare.NameID, bare.SessionIndexes, bare.NotOnOrAfter = binding.NameID{Value: "ada"}, nil, time.Time{}
	redirect := send(t, request(), binding.HTTPRedirect, "r", &keys().idp).RawQuery
	parts := strings.Split(redirect, "&")
	tests := []struct {
		name string
		in   binding.Incoming
	}{
		{"no more than is required", send(t, bare, binding.HTTPPost, "", &keys().idp)},
		{"parameters in another order", binding.Incoming{RawQuery: strings.Join([]string{parts[3], parts[2], "x=y", parts[1], parts[0]}, "&")}},
		{"lower-case escapes, as .NET writes them", lowerEscapes(t)},
		{"an empty RelayState that is signed", handSigned(t, "&RelayState=", "&RelayState=")},
		{"an empty RelayState that is not", handSigned(t, "&RelayState=", "")},
		{"base64 in lines", inLines(send(t, request(), binding.HTTPPost, "", &keys().idp))},
		{"a clock two minutes ahead", send(t, altered{request(), set("IssueInstant", "2026-03-01T12:02:00Z")}, binding.HTTPPost, "", &keys().idp)},
		{"seven digits of a second, and a zone", send(t, altered{request(), set("IssueInstant", "2026-03-01T12:59:59.1234567+01:00")}, binding.HTTPPost, "", &keys().idp)},
		{"no zone", send(t, altered{request(), set("IssueInstant", "2026-03-01T12:00:00")}, binding.HTTPRedirect, "", &keys().idp)},
		{"an encoding that is named", binding.Incoming{RawQuery: redirect + "&SAMLEncoding=urn%3Aoasis%3Anames%3Atc%3ASAML%3A2.0%3Abindings%3AURL-Encoding%3ADEFLATE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _, err := receiver().LogoutRequest(tt.in)
			if err != nil || r.NameID.Value == "" || r.Issuer != idp {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// handSigned is a query whose signature covers a RelayState other than the one it has.
func handSigned(t *testing.T, relay, signedRelay string) binding.Incoming {
	t.Helper()
	message := "SAMLRequest=" + url.QueryEscape(deflated(t, xmlOf(t, send(t, request(), binding.HTTPPost, "", nil))))
	tail := "&SigAlg=" + url.QueryEscape(xmlsig.RSASHA256)
	return sealed(t, message+relay+tail, message+signedRelay+tail)
}

func sealed(t *testing.T, query, signed string) binding.Incoming {
	t.Helper()
	_, signature, err := xmlsig.SignBytes(keys().idp.Key, []byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	return binding.Incoming{RawQuery: query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))}
}

func lowerEscapes(t *testing.T) binding.Incoming {
	t.Helper()
	message := "SAMLRequest=" + url.QueryEscape(deflated(t, xmlOf(t, send(t, request(), binding.HTTPPost, "", nil)))) + "&SigAlg=" + url.QueryEscape(xmlsig.RSASHA256)
	message = strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%3D", "%3d", "%3A", "%3a").Replace(message)
	return sealed(t, message, message)
}

func inLines(in binding.Incoming) binding.Incoming {
	text := in.Form.Get("SAMLRequest")
	in.Form.Set("SAMLRequest", text[:76]+"\r\n"+text[76:152]+"\n"+text[152:])
	return in
}

func TestReceiverRefuses(t *testing.T) {
	k := keys()
	good := send(t, request(), binding.HTTPRedirect, "r", &k.idp).RawQuery
	goodPost := xmlOf(t, send(t, request(), binding.HTTPPost, "", &k.idp))
	in := func(query string) binding.Incoming { return binding.Incoming{RawQuery: query} }
	signedPost := func(m binding.Message) binding.Incoming { return send(t, m, binding.HTTPPost, "", &k.idp) }
	change := func(old, with string) binding.Incoming {
		if !strings.Contains(goodPost, old) {
			t.Fatalf("%q is not in the message", old)
		}
		return post(strings.Replace(goodPost, old, with, 1))
	}
	with := func(name, value string) binding.Incoming { return signedPost(altered{request(), set(name, value)}) }
	add := func(name string) binding.Incoming {
		return signedPost(altered{request(), func(el *etree.Element) { el.CreateElement(name).SetText("x") }})
	}
	signature := goodPost[strings.Index(goodPost, "<ds:Signature ") : strings.Index(goodPost, "</ds:Signature>")+len("</ds:Signature>")]
	unsigned := strings.Replace(goodPost, signature, "", 1)
	stranger := xmlOf(t, send(t, request(), binding.HTTPPost, "", &k.stranger))
	tests := []struct {
		name string
		in   binding.Incoming
		want error
	}{
		{"nothing", in(""), binding.ErrEncoding},
		{"no form", binding.Incoming{Form: url.Values{}}, binding.ErrEncoding},
		{"a request and a response", in(good + "&SAMLResponse=x"), binding.ErrEncoding},
		{"the message twice", in(good + "&" + strings.Split(good, "&")[0]), binding.ErrEncoding},
		{"the RelayState twice", in("RelayState=evil&" + good), binding.ErrEncoding},
		{"the signature twice", in(good + "&Signature=AAAA"), binding.ErrEncoding},
		{"a disguised name", in(strings.Replace(good, "RelayState", "Relay%53tate", 1)), binding.ErrEncoding},
		{"a message twice in a form", binding.Incoming{Form: url.Values{"SAMLRequest": {"a", "b"}}}, binding.ErrEncoding},
		{"another encoding", in(good + "&SAMLEncoding=none"), binding.ErrEncoding},
		{"no base64", in("SAMLRequest=%21"), binding.ErrEncoding},
		{"no DEFLATE", in("SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(goodPost)))), binding.ErrEncoding},
		{"data behind the DEFLATE", in("SAMLRequest=" + url.QueryEscape(deflated(t, goodPost)[:len(deflated(t, goodPost))/4*4-4]+"AAAAAAAA")), binding.ErrEncoding},
		{"a bomb", in("SAMLRequest=" + url.QueryEscape(deflated(t, "<a>"+strings.Repeat(" ", 10<<20)+"</a>"))), binding.ErrTooLarge},
		{"a long query", in("SAMLRequest=" + strings.Repeat("A", 1<<20)), binding.ErrTooLarge},
		{"a long form", post(strings.Repeat("<a>", 100_000)), binding.ErrTooLarge},
		{"deep nesting", post(strings.Repeat("<a>", 100)), xmlsig.ErrTooLarge},
		{"many elements", post("<a>" + strings.Repeat("<b/>", 1000) + "</a>"), xmlsig.ErrTooLarge},
		{"a document type", post(`<!DOCTYPE a><a/>`), xmlsig.ErrMalformed},
		{"a processing instruction", change("<saml:NameID", "<?x y?><saml:NameID"), xmlsig.ErrMalformed},
		{"text behind the end", post(goodPost + "x"), xmlsig.ErrMalformed},

		{"no signature over Redirect", in(strings.Split(good, "&")[0]), xmlsig.ErrUnsigned},
		{"no signature over POST", post(unsigned), xmlsig.ErrUnsigned},
		{"a signature over Redirect in a form", post(strings.Replace(unsigned, "<x/>", "", 1)), xmlsig.ErrUnsigned},
		{"another RelayState", in(strings.Replace(good, "RelayState=r", "RelayState=evil", 1)), xmlsig.ErrUnknownKey},
		{"a RelayState that was taken out", in(strings.Replace(good, "&RelayState=r", "", 1)), xmlsig.ErrUnknownKey},
		{"a RelayState that was put in", in(send(t, request(), binding.HTTPRedirect, "", &k.idp).RawQuery + "&RelayState=evil"), xmlsig.ErrUnknownKey},
		{"another algorithm named", in(strings.Replace(good, "rsa-sha256", "rsa-sha512", 1)), xmlsig.ErrUnknownKey},
		{"HMAC", in(strings.Replace(good, "rsa-sha256", "hmac-sha256", 1)), xmlsig.ErrAlgorithm},
		{"SHA-1 over Redirect", sha1Query(t), xmlsig.ErrAlgorithm},
		{"by a stranger", send(t, request(), binding.HTTPPost, "", &k.stranger), xmlsig.ErrUnknownKey},
		{"by a stranger over Redirect", send(t, request(), binding.HTTPRedirect, "", &k.stranger), xmlsig.ErrUnknownKey},
		{"changed after it was signed", change("CORP\\ada", "CORP\\eve"), xmlsig.ErrSignature},
		{"another Destination after it was signed", change(`Destination="`+logout, `Destination="https://other.example/saml2/logout`), xmlsig.ErrSignature},
		{"a signature of another element", change(`ID="_r1"`, `ID="_r2"`), xmlsig.ErrSignature},
		{"two signatures", change("</ds:Signature>", "</ds:Signature>"+signature), xmlsig.ErrTooLarge},
		{"two references", change("</ds:Reference>", "</ds:Reference><ds:Reference/>"), xmlsig.ErrTooLarge},
		{"two SignedInfo", change("<ds:SignedInfo>", "<ds:SignedInfo/><ds:SignedInfo>"), xmlsig.ErrTooLarge},
		{"a reference to everything", change(`URI="#_r1"`, `URI=""`), xmlsig.ErrSignature},
		{"an XPath transform", change("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xpath-19991116"), xmlsig.ErrAlgorithm},
		{"a third transform", change("</ds:Transforms>", `<ds:Transform Algorithm="`+xmlsig.ExclusiveC14N+`"/></ds:Transforms>`), xmlsig.ErrSignature},
		{"inclusive canonicalization", change(`CanonicalizationMethod Algorithm="`+xmlsig.ExclusiveC14N, `CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315`), xmlsig.ErrAlgorithm},
		{"a digest of another method", change("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"), xmlsig.ErrSignature},
		{"an ID that stands twice", change("</saml:NameID>", `</saml:NameID><x Id="_r1"/>`), xmlsig.ErrSignature},
		{"the signed message wrapped in another", post(`<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_e" Version="2.0"><saml:Issuer>` + idp + `</saml:Issuer>` + goodPost + `</samlp:LogoutRequest>`), xmlsig.ErrUnsigned},
		{"a forged message around the signature", post(strings.Replace(stranger, stranger[strings.Index(stranger, "<ds:Signature "):strings.Index(stranger, "</ds:Signature>")+15], strings.Replace(signature, "</ds:Signature>", "<ds:Object>"+unsigned+"</ds:Object></ds:Signature>", 1), 1)), xmlsig.ErrSignature},

		{"another kind", signedPost(altered{request(), func(el *etree.Element) { el.Tag = "AuthnRequest" }}), binding.ErrKind},
		{"a response", send(t, response(), binding.HTTPPost, "", &k.idp), binding.ErrKind},
		{"a request that calls itself a response", binding.Incoming{Form: url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(goodPost))}}}, binding.ErrKind},
		{"SAML 1.1", with("Version", "1.1"), binding.ErrKind},
		{"another protocol", with("xmlns:samlp", "urn:oasis:names:tc:SAML:1.0:protocol"), binding.ErrKind},
		{"no ID", send(t, altered{request(), set("ID", "")}, binding.HTTPRedirect, "", &k.idp), binding.ErrMalformed},
		{"another issuer", signedPost(altered{request(), func(el *etree.Element) { el.ChildElements()[0].SetText("http://evil.example") }}), binding.ErrIssuer},
		{"no issuer", signedPost(altered{request(), func(el *etree.Element) { el.RemoveChildAt(0) }}), binding.ErrMalformed},
		{"two issuers", add("saml:Issuer"), binding.ErrMalformed},
		{"an issuer of another format", signedPost(altered{request(), func(el *etree.Element) { el.ChildElements()[0].CreateAttr("Format", "urn:x") }}), binding.ErrMalformed},
		{"another destination", with("Destination", "https://login.example/saml2/logout/"), binding.ErrDestination},
		{"no destination", signedPost(altered{request(), func(el *etree.Element) { el.RemoveAttr("Destination") }}), binding.ErrDestination},
		{"issued in the future", with("IssueInstant", "2026-03-01T12:03:01Z"), binding.ErrFuture},
		{"issued long ago", with("IssueInstant", "2026-03-01T11:47:00Z"), binding.ErrExpired},
		{"issued at no time", with("IssueInstant", "now"), binding.ErrMalformed},
		{"at its end", with("NotOnOrAfter", "2026-03-01T11:57:00Z"), binding.ErrExpired},
		{"with an end that is no time", with("NotOnOrAfter", "never"), binding.ErrMalformed},
		{"nobody", signedPost(altered{request(), func(el *etree.Element) { el.RemoveChild(el.ChildElements()[1]) }}), binding.ErrMalformed},
		{"two people", add("saml:NameID"), binding.ErrMalformed},
		{"a person and a base id", add("saml:BaseID"), binding.ErrMalformed},
		{"an encrypted name", add("saml:EncryptedID"), binding.ErrEncryptedID},
		{"a name of a hundred thousand characters", signedPost(altered{request(), func(el *etree.Element) { el.ChildElements()[1].SetText(strings.Repeat("a", 2000)) }}), binding.ErrMalformed},
		{"an element in a name", signedPost(altered{request(), func(el *etree.Element) { el.ChildElements()[1].CreateElement("b") }}), binding.ErrMalformed},
		{"an empty session index", signedPost(altered{request(), func(el *etree.Element) { el.CreateElement("samlp:SessionIndex") }}), binding.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, receipt, err := receiver().LogoutRequest(tt.in)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if !reflect.DeepEqual(r, binding.LogoutRequest{}) || receipt != (binding.Receipt{}) {
				t.Errorf("something came with the error: %+v, %+v", r, receipt)
			}
		})
	}
}

func sha1Query(t *testing.T) binding.Incoming {
	t.Helper()
	signed := "SAMLRequest=" + url.QueryEscape(deflated(t, xmlOf(t, send(t, request(), binding.HTTPPost, "", nil)))) + "&SigAlg=" + url.QueryEscape(xmlsig.RSASHA1)
	sum := sha1.Sum([]byte(signed))
	signature, err := keys().idp.Key.Sign(rand.Reader, sum[:], crypto.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	return binding.Incoming{RawQuery: signed + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))}
}

func TestReceiverTakesSHA1OnlyWhereItIsTolerated(t *testing.T) {
	v := receiver()
	v.Policy.AllowSHA1 = true
	if _, _, err := v.LogoutRequest(sha1Query(t)); err != nil {
		t.Error(err)
	}
}

func TestACommentDoesNotCutAName(t *testing.T) {
	doc := strings.Replace(xmlOf(t, send(t, request(), binding.HTTPPost, "", &keys().idp)), "CORP\\ada", "CORP\\<!-- x -->ada", 1)
	// The signature is by canonicalization without comments, so a comment does not break it.
	r, _, err := receiver().LogoutRequest(post(doc))
	if err != nil || r.NameID != request().NameID {
		t.Errorf("got %+v, %v", r.NameID, err)
	}
}

func TestLogoutResponseAnswersOneRequest(t *testing.T) {
	in := send(t, response(), binding.HTTPRedirect, "", &keys().idp)
	for _, id := range []string{"", "_q2"} {
		if r, _, err := receiver().LogoutResponse(in, id); !errors.Is(err, binding.ErrInResponseTo) {
			t.Errorf("for request %q: got %+v, %v", id, r, err)
		}
	}
	unasked := response()
	unasked.InResponseTo = ""
	if r, _, err := receiver().LogoutResponse(send(t, unasked, binding.HTTPPost, "", &keys().idp), ""); !errors.Is(err, binding.ErrInResponseTo) {
		t.Errorf("unasked: got %+v, %v", r, err)
	}
}

func TestPeekNamesTheSender(t *testing.T) {
	for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
		h, err := binding.Peek(send(t, response(), over, "r", nil))
		want := binding.Header{Kind: "LogoutResponse", ID: "_a1", Issuer: idp, Destination: logout, InResponseTo: "_q1", RelayState: "r"}
		if err != nil || h != want {
			t.Errorf("got %+v, %v", h, err)
		}
	}
}
