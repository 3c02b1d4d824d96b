package xmlsig_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/weir-id/weir/saml/internal/xmltree"
	"github.com/weir-id/weir/saml/xmlsig"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var limits = xmltree.Limits{Bytes: 64 << 10, Depth: 20, Elements: 200, Attrs: 20, Value: 4096, Text: 4096}

type keys struct{ rsa, curve, other xmlsig.Signer }

var made = sync.OnceValue(func() keys {
	signer := func(key crypto.Signer) xmlsig.Signer {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return xmlsig.Signer{Key: key, Certificate: cert}
	}
	a, errA := rsa.GenerateKey(rand.Reader, 2048)
	b, errB := rsa.GenerateKey(rand.Reader, 2048)
	c, errC := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(errA, errB, errC); err != nil {
		panic(err)
	}
	return keys{signer(a), signer(c), signer(b)}
})

// signed returns a document with a default namespace, a prefix that is not used, text that needs escapes, and a signature.
func signed(t *testing.T, s xmlsig.Signer) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(`<a xmlns="urn:a" xmlns:b="urn:b" xmlns:c="urn:c" ID="_1" z="&quot;&#9;x" b:y="&lt;"><Issuer>i &amp; j</Issuer><b:d>1 &lt; 2&#13;<e xmlns=""/></b:d></a>`); err != nil {
		t.Fatal(err)
	}
	root := doc.Root().Copy()
	if err := xmlsig.Sign(root, s, 1); err != nil {
		t.Fatal(err)
	}
	out, err := xmlsig.Bytes(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSignaturesAreVerifiedByTwoImplementations(t *testing.T) {
	k := made()
	for name, s := range map[string]xmlsig.Signer{"RSA": k.rsa, "ECDSA": k.curve} {
		doc, err := xmlsig.Read(signed(t, s), limits)
		if err != nil {
			t.Fatal(err)
		}
		if err := xmlsig.Verify(doc, []crypto.PublicKey{k.other.Key.Public(), s.Key.Public()}, xmlsig.Policy{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := xmlsig.Verify(doc, []crypto.PublicKey{k.other.Key.Public()}, xmlsig.Policy{}); !errors.Is(err, xmlsig.ErrUnknownKey) {
			t.Errorf("%s with another key: %v", name, err)
		}
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(signed(t, k.rsa)); err != nil {
		t.Fatal(err)
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{k.rsa.Certificate}})
	ctx.Clock = dsig.NewFakeClockAt(epoch)
	if _, err := ctx.Validate(tree.Root()); err != nil {
		t.Errorf("goxmldsig: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	k := made()
	good := string(signed(t, k.rsa))
	for _, tt := range []struct {
		name, old, with string
		want            error
	}{
		{"changed text", "1 &lt; 2", "1 &lt; 3", xmlsig.ErrSignature},
		{"a changed attribute", `ID="_1"`, `ID="_2"`, xmlsig.ErrSignature},
		{"an ID that stands twice", "<Issuer>", `<Issuer id="_1">`, xmlsig.ErrSignature},
		{"a signature that is not the root's", "<Issuer>", "<Issuer/></a><a>", xmlsig.ErrMalformed},
		{"another algorithm", "rsa-sha256", "rsa-sha999", xmlsig.ErrAlgorithm},
		{"SHA-1", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1", xmlsig.ErrAlgorithm},
		{"no signature", "ds:Signature", "ds:Other", xmlsig.ErrUnsigned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(good, tt.old) {
				t.Fatalf("%q is not in the document", tt.old)
			}
			text := strings.Replace(good, tt.old, tt.with, 1)
			if tt.name == "no signature" {
				text = strings.NewReplacer("<ds:Signature ", "<ds:Other ", "</ds:Signature>", "</ds:Other>").Replace(good)
			}
			doc, err := xmlsig.Read([]byte(text), limits)
			if err == nil {
				err = xmlsig.Verify(doc, []crypto.PublicKey{k.rsa.Key.Public()}, xmlsig.Policy{})
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSignaturesOverBytes(t *testing.T) {
	k := made()
	data := []byte("SAMLRequest=x")
	sum := sha256.Sum256(data)
	der, err := k.curve.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	algorithm, plain, err := xmlsig.SignBytes(k.curve.Key, data)
	if err != nil || algorithm != xmlsig.ECDSASHA256 || len(plain) != 64 {
		t.Fatalf("got %q, %d bytes, %v", algorithm, len(plain), err)
	}
	algorithm, rsaValue, err := xmlsig.SignBytes(k.rsa.Key, data)
	if err != nil || algorithm != xmlsig.RSASHA256 {
		t.Fatalf("got %q, %v", algorithm, err)
	}
	all := []crypto.PublicKey{ed25519.PublicKey(make([]byte, 32)), k.other.Key.Public(), k.rsa.Key.Public(), k.curve.Key.Public()}
	for _, tt := range []struct {
		name, algorithm string
		data, signature []byte
		want            error
	}{
		{"RSA", xmlsig.RSASHA256, data, rsaValue, nil},
		{"ECDSA as the standard has it", xmlsig.ECDSASHA256, data, plain, nil},
		{"ECDSA in DER, as Java sends it", xmlsig.ECDSASHA256, data, der, nil},
		{"other data", xmlsig.RSASHA256, []byte("SAMLRequest=y"), rsaValue, xmlsig.ErrUnknownKey},
		{"another hash", xmlsig.RSASHA512, data, rsaValue, xmlsig.ErrUnknownKey},
		{"another kind of key", xmlsig.ECDSASHA256, data, rsaValue, xmlsig.ErrUnknownKey},
		{"nothing", xmlsig.ECDSASHA256, data, nil, xmlsig.ErrUnknownKey},
		{"SHA-1", xmlsig.RSASHA1, data, rsaValue, xmlsig.ErrAlgorithm},
		{"an unknown algorithm", "none", data, rsaValue, xmlsig.ErrAlgorithm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := xmlsig.VerifyBytes(tt.algorithm, tt.data, tt.signature, all, xmlsig.Policy{}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSignRefusesWhatCannotBeReferredTo(t *testing.T) {
	if err := xmlsig.Sign(etree.NewElement("a"), made().rsa, 0); err == nil {
		t.Error("an element without an ID was signed")
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	el := etree.NewElement("a")
	el.CreateAttr("ID", "_1")
	if err := xmlsig.Sign(el, xmlsig.Signer{Key: edwards}, 0); err == nil {
		t.Error("a key without an algorithm signed")
	}
}
