package response_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/saml/response"
)

// proven is what a signature must vouch for, as text: all of an assertion but the notes for the trace.
func proven(tb testing.TB, a *response.Assertion) string {
	tb.Helper()
	said := *a
	said.ResponseID, said.SignedResponse, said.SignedAssertion, said.Encrypted = "", false, false, false
	out, err := json.Marshal(said)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// fuzzExpect is one Expect for all seeds: whatever the identity provider's key signed for us.
func fuzzExpect(tb testing.TB) response.Expect {
	tb.Helper()
	e := expect(tb)
	for _, name := range []string{"idp2", "ec256", "ec384", "ec521"} {
		e.SigningKeys = append(e.SigningKeys, key(tb, name).Public())
	}
	e.DecryptionKeys = []*rsa.PrivateKey{rsaKey(tb, "sp"), rsaKey(tb, "sp2")}
	return e
}

// FuzzValidate holds the one promise: what comes out is what an identity provider's key signed, whatever was done to the bytes.
func FuzzValidate(f *testing.F) {
	e := fuzzExpect(f)
	honest := map[string]bool{}
	add := func(doc string, mayBeAccepted bool) {
		if len(doc) > 20<<10 {
			return // mutations of large documents find nothing that those of small ones do not
		}
		f.Add([]byte(doc))
		if a, err := judge(doc, e); err == nil && mayBeAccepted {
			honest[proven(f, a)] = true
		} else if err == nil {
			f.Fatal("an attack is accepted under other expectations")
		}
	}
	good := acceptances()
	for _, name := range slices.Sorted(maps.Keys(good)) {
		r, own := newReply(f), e
		good[name](r, &own)
		add(r.xml(), true)
	}
	if len(honest) < 2 {
		f.Fatalf("%d kinds of honest responses", len(honest))
	}
	bad := attacks()
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		r, own := newReply(f), e
		bad[name].make(r, &own)
		// An attack of the table may lie in what is expected, and be honest here.
		_, err := judge(r.xml(), e)
		add(r.xml(), err == nil)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, id := range []string{req, ""} {
			e.RequestID = id
			a, err := judge(string(doc), e)
			switch {
			case err == nil && !honest[proven(t, a)]:
				t.Fatalf("nobody signed this: %s", proven(t, a))
			case err != nil && (a != nil || response.CheckOf(err) == "" || response.CheckOf(err) == response.CheckDefect):
				t.Fatalf("not a refusal: %v, %v", a, err)
			}
		}
	})
}

// FuzzPlaintext puts any bytes into an encrypted assertion: only a signature inside may make them count.
func FuzzPlaintext(f *testing.F) {
	e, r := expect(f), newReply(f)
	doc := r.xml()
	good, err := judge(doc, e)
	verdict(f, good, err, "")
	whole, clear := proven(f, good), element(f, doc, "Assertion")
	for _, plain := range []string{clear, mallory(r, doc), "<?xml version=\"1.0\"?>" + clear, clear + mallory(r, doc), ""} {
		f.Add([]byte(plain))
	}
	how := encryption{content: enc1 + "aes128-gcm"}
	var session []byte
	how.session = func(k []byte) []byte { session = k; return k }
	sealed := how.seal(f, "x")
	last := strings.LastIndex(sealed, "<xenc:CipherValue>")
	if strings.Contains(sealed[last:], "EncryptedKey") {
		f.Fatal("the content is not the last CipherValue")
	}
	before, after, _ := strings.Cut(strings.Replace(doc, clear, sealed[:last]+"{here}"+sealed[last+strings.Index(sealed[last:], "</xenc:CipherValue>"):], 1), "{here}")
	f.Fuzz(func(t *testing.T, plain []byte) {
		value := base64.StdEncoding.EncodeToString(how.sealContent(t, how.content, session, plain))
		a, err := judge(before+"<xenc:CipherValue>"+value+after, e)
		if err == nil && proven(t, a) != whole {
			t.Fatalf("nobody signed this: %s", proven(t, a))
		}
		if string(plain) == clear && err != nil {
			t.Fatalf("the honest one is refused: %v", err)
		}
	})
}
