package binding_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

// fuzzKeys are the sender's key and a stranger's. They are the same in every process, since the seeds are signed in one and
// verified in others, and on a curve, since the fuzzer's instrumentation makes RSA keys slow to find.
var fuzzKeys = sync.OnceValue(func() (out [2]xmlsig.Signer) {
	for i := range out {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{byte(i + 1)}, 32))
		if err != nil {
			panic(err)
		}
		out[i].Key = key
	}
	return out
})

// The fuzzers hold one key's signatures over one request and one answer, so whatever is accepted must be these, to the letter.

func mustBeSigned(t *testing.T, in binding.Incoming) {
	t.Helper()
	v := binding.Receiver{Issuer: idp, Destinations: []string{logout}, Keys: []crypto.PublicKey{fuzzKeys()[0].Key.Public()}, Now: func() time.Time { return epoch }}
	if r, receipt, err := v.LogoutRequest(in); err == nil && !reflect.DeepEqual(r, request()) {
		t.Fatalf("accepted %+v", r)
	} else if err != nil && receipt != (binding.Receipt{}) {
		t.Fatalf("a receipt came with the error %v", err)
	}
	if r, _, err := v.LogoutResponse(in, "_q1"); err == nil && r != response() {
		t.Fatalf("accepted %+v", r)
	}
	if h, err := binding.Peek(in); err == nil && (h.ID == "" || h.Issuer == "") {
		t.Fatalf("peeked %+v", h)
	}
}

func seedSigners() []*xmlsig.Signer {
	k := fuzzKeys()
	return []*xmlsig.Signer{&k[0], &k[1], nil}
}

func FuzzLogoutRequest(f *testing.F) {
	for _, m := range []binding.Message{request(), response()} {
		for _, s := range seedSigners() {
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
		for _, s := range seedSigners() {
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

func TestFuzzSeedsAreAccepted(t *testing.T) {
	v := receiver()
	v.Keys = []crypto.PublicKey{fuzzKeys()[0].Key.Public()}
	for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
		if _, _, err := v.LogoutRequest(send(t, request(), over, "relay", seedSigners()[0])); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkHostile is what a stranger can make a node do with one message.
func BenchmarkHostile(b *testing.B) {
	bomb := url.QueryEscape(deflated(b, "<a>"+strings.Repeat(" ", 60<<20)+"</a>"))
	attributes := "<a"
	for i := range 3000 {
		attributes += fmt.Sprintf(" a%d=''", i)
	}
	for name, in := range map[string]binding.Incoming{
		"deflate bomb":   {RawQuery: "SAMLRequest=" + bomb},
		"nesting":        post(strings.Repeat("<a>", 16<<10)),
		"elements":       post("<a>" + strings.Repeat("<b/>", 16<<10-10) + "</a>"),
		"attributes":     post(attributes + "/>"),
		"long name":      post(strings.Replace(xmlOf(b, send(b, request(), binding.HTTPPost, "", nil)), "CORP", strings.Repeat("A", 60<<10), 1)),
		"long query":     {RawQuery: strings.Repeat("&", 1<<20)},
		"many variables": {RawQuery: strings.Repeat("a=b&", 40<<10)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := receiver().LogoutRequest(in); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
