package binding_test

import (
	"reflect"
	"testing"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

// The fuzzers hold one key's signatures over one request and one answer, so whatever is accepted must be these, to the letter.

func mustBeSigned(t *testing.T, in binding.Incoming) {
	t.Helper()
	if r, receipt, err := receiver().LogoutRequest(in); err == nil && (!reflect.DeepEqual(r, request()) || receipt.Key != 1) {
		t.Fatalf("accepted %+v", r)
	} else if err != nil && receipt != (binding.Receipt{}) {
		t.Fatalf("a receipt came with the error %v", err)
	}
	if r, _, err := receiver().LogoutResponse(in, "_q1"); err == nil && r != response() {
		t.Fatalf("accepted %+v", r)
	}
	if h, err := binding.Peek(in); err == nil && (h.ID == "" || h.Issuer == "") {
		t.Fatalf("peeked %+v", h)
	}
}

func FuzzLogoutRequest(f *testing.F) {
	for _, m := range []binding.Message{request(), response()} {
		for _, s := range []*xmlsig.Signer{&keys().idp, &keys().stranger, nil} {
			f.Add(xmlOf(f, send(f, m, binding.HTTPPost, "", s)))
		}
	}
	f.Add(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`)
	f.Fuzz(func(t *testing.T, doc string) {
		in := post(doc)
		mustBeSigned(t, in)
		in.Form["SAMLResponse"] = in.Form["SAMLRequest"]
		delete(in.Form, "SAMLRequest")
		mustBeSigned(t, in)
	})
}

func FuzzRedirect(f *testing.F) {
	for _, m := range []binding.Message{request(), response()} {
		for _, s := range []*xmlsig.Signer{&keys().idp, &keys().stranger, nil} {
			f.Add(send(f, m, binding.HTTPRedirect, "relay", s).RawQuery)
		}
	}
	f.Add("SAMLRequest=a&SAMLRequest=b&Relay%53tate=c")
	f.Fuzz(func(t *testing.T, query string) {
		mustBeSigned(t, binding.Incoming{RawQuery: query})
	})
}

func BenchmarkReceive(b *testing.B) {
	for name, over := range map[string]string{"redirect": binding.HTTPRedirect, "post": binding.HTTPPost} {
		in := send(b, request(), over, "relay", &keys().idp)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := receiver().LogoutRequest(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
