package response_test

import (
	"crypto"
	"crypto/rsa"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/saml/response"
)

// attack is a response that must be refused, and the check that must refuse it.
type attack struct {
	check response.Check
	make  func(*reply, *response.Expect)
}

// attacks is the whole table.
func attacks() map[string]attack {
	all := map[string]attack{}
	for _, m := range []map[string]attack{wrapping(), shapes(), encrypted(), statements(), documents(), hostile()} {
		maps.Copy(all, m)
	}
	return all
}

func TestRefusesEveryAttack(t *testing.T) {
	table := attacks()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		t.Run(name, func(t *testing.T) {
			r, e := newReply(t), expect(t)
			table[name].make(r, &e)
			a, err := judge(r.xml(), e)
			verdict(t, a, err, table[name].check)
		})
	}
}

// The same wrapping with the assertions encrypted: what a forged one wraps is then hidden from the count of elements.
func TestRefusesWrappingInsideTheCiphertext(t *testing.T) {
	for name, edit := range map[string]func(honest, sig, bare, evil string) string{
		"the signed one inside a forged one": func(honest, _, _, evil string) string {
			return strings.Replace(evil, "</Assertion>", honest+"</Assertion>", 1)
		},
		"the signed one inside a forged one's signature": func(_, sig, bare, evil string) string {
			return strings.Replace(evil, "</Issuer>", "</Issuer>"+strings.Replace(sig, "</ds:Signature>", "<ds:Object>"+bare+"</ds:Object></ds:Signature>", 1), 1)
		},
		"the signed one in a forged one's Advice": func(honest, _, _, evil string) string {
			return strings.Replace(evil, "<AuthnStatement", "<Advice>"+honest+"</Advice><AuthnStatement", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReply(t)
			r.after = func(doc string) string {
				honest := element(t, doc, "Assertion")
				sig := element(t, honest, "Signature")
				return strings.Replace(doc, honest, encryption{}.seal(t, edit(honest, sig, strings.Replace(honest, sig, "", 1), mallory(r, doc))), 1)
			}
			a, err := judge(r.xml(), expect(t))
			verdict(t, a, err, response.CheckAssertions)
		})
	}
}

func TestStatusIsKeptForTheTrace(t *testing.T) {
	r := newReply(t)
	r.status = `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"/></samlp:StatusCode><samlp:StatusMessage>MSIS7070: no</samlp:StatusMessage><samlp:StatusDetail><x/></samlp:StatusDetail></samlp:Status>`
	r.assertionSigned = nil
	r.after = func(doc string) string { return strings.Replace(doc, element(t, doc, "Assertion"), "", 1) }
	a, err := judge(r.xml(), expect(t))
	verdict(t, a, err, response.CheckStatus)
	s := err.(*response.Refusal).Status //nolint:errorlint // verdict has seen what it is
	if len(s.Codes) != 2 || !strings.HasSuffix(s.Codes[1], ":NoAuthnContext") || s.Message != "MSIS7070: no" {
		t.Errorf("status %+v", s)
	}
}

func TestAdministratorIsToldWhatToChange(t *testing.T) {
	r := newReply(t)
	r.before = r.swap("<Audience>"+sp, "<Audience>urn:weir:sp:other")
	_, err := judge(r.xml(), expect(t))
	want := `The assertion is for audience "urn:weir:sp:other"; this pool is "` + sp + `": set the relying party identifier to ` + sp + "."
	if got := err.(*response.Refusal).Admin; got != want { //nolint:errorlint // a nil would fail the test as well
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Whatever goes wrong below the key transport gives the same words: a difference would be an oracle.
func TestDecryptionFailuresAreAlike(t *testing.T) {
	table := encrypted()
	texts := map[string]bool{}
	for _, name := range []string{"CBC length not a multiple of 16", "CBC with a wrong padding", "CBC with a changed first block", "short GCM", "changed GCM",
		"changed EncryptedKey", "EncryptedKey of another length", "content key of another length", "encrypted for somebody else", "something else encrypted"} {
		r, e := newReply(t), expect(t)
		table[name].make(r, &e)
		_, err := judge(r.xml(), e)
		if err == nil {
			t.Fatal("accepted: " + name)
		}
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different errors: %v", len(texts), texts)
	}
}

// A key that makes the standard library panic must end as a refusal.
func TestPanicsAreRefusals(t *testing.T) {
	e := expect(t)
	e.SigningKeys = []crypto.PublicKey{(*rsa.PublicKey)(nil)}
	a, err := judge(newReply(t).xml(), e)
	verdict(t, a, err, response.CheckDefect)
}

// BenchmarkDecryptionFailure shows how alike the failures are in time. What remains is how far a wrong plaintext reads as XML.
func BenchmarkDecryptionFailure(b *testing.B) {
	table := encrypted()
	for _, name := range []string{"CBC with a wrong padding", "CBC with a changed first block", "changed GCM", "changed EncryptedKey", "encrypted for somebody else"} {
		b.Run(name, func(b *testing.B) {
			r, e := newReply(b), expect(b)
			table[name].make(r, &e)
			in := form(r.xml())
			defer cpu(b)()
			for b.Loop() {
				if _, err := response.Validate(in, e); response.CheckOf(err) != response.CheckDecryption {
					b.Fatal(err)
				}
			}
		})
	}
}
