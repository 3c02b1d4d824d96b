package response_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/weir-id/weir/saml/response"
)

// certificate wraps the identity provider's key for libraries that want one.
func certificate(tb testing.TB) *x509.Certificate {
	tb.Helper()
	k := key(tb, "idp")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ADFS Signing"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// serviceProvider is crewjam's validator, set up for the same trust.
func serviceProvider(tb testing.TB) (crewjam.ServiceProvider, url.URL) {
	tb.Helper()
	before := crewjam.TimeNow
	crewjam.TimeNow = func() time.Time { return now }
	crewjam.Clock = dsig.NewFakeClockAt(now)
	tb.Cleanup(func() { crewjam.TimeNow, crewjam.Clock = before, nil })
	here, err := url.Parse(acs)
	if err != nil {
		tb.Fatal(err)
	}
	cert := base64.StdEncoding.EncodeToString(certificate(tb).Raw)
	return crewjam.ServiceProvider{
		EntityID: sp, AcsURL: *here, Key: rsaKey(tb, "sp"),
		IDPMetadata: &crewjam.EntityDescriptor{EntityID: idp, IDPSSODescriptors: []crewjam.IDPSSODescriptor{{
			SSODescriptor: crewjam.SSODescriptor{RoleDescriptor: crewjam.RoleDescriptor{KeyDescriptors: []crewjam.KeyDescriptor{{
				Use: "signing", KeyInfo: crewjam.KeyInfo{X509Data: crewjam.X509Data{X509Certificates: []crewjam.X509Certificate{{Data: cert}}}},
			}}}},
		}}},
	}, *here
}

// adfs is a response of about 5.7 KB as AD FS sends it; with its certificate in KeyInfo.
func adfs(tb testing.TB, how *encryption) string {
	tb.Helper()
	r := newReply(tb)
	r.attributes, r.encrypted = attributes(24), how
	r.assertionSigned.keyInfo = `<KeyInfo xmlns="` + dsNS + `"><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(certificate(tb).Raw) + `</ds:X509Certificate></ds:X509Data></KeyInfo>`
	return r.xml()
}

// The forge's honest responses are what other software takes for honest: the tests would prove little otherwise.
func TestOthersAcceptTheHonestResponses(t *testing.T) {
	provider, here := serviceProvider(t)
	for name, doc := range map[string]string{"in clear": adfs(t, nil), "encrypted": adfs(t, &encryption{})} {
		t.Run(name, func(t *testing.T) {
			a, err := provider.ParseXMLResponse([]byte(doc), []string{req}, here)
			if err != nil {
				t.Fatal(err.(*crewjam.InvalidResponseError).PrivateErr) //nolint:errorlint // a test that fails either way
			}
			mine, err := judge(doc, expect(t))
			verdict(t, mine, err, "")
			if a.Subject.NameID.Value != mine.NameID.Value || a.ID != mine.ID || len(a.AttributeStatements[0].Attributes) != len(mine.Attributes) {
				t.Errorf("crewjam reads %+v, this package %+v", a.Subject.NameID, mine.NameID)
			}
		})
	}
}

// cpu reports the processor time of the whole process, garbage collection included: other work on the machine does not enter it.
func cpu(b *testing.B) func() {
	b.Helper()
	b.ReportAllocs()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkValidate(b *testing.B) {
	many := newReply(b)
	many.attributes = attributes(2500)
	manySealed := newReply(b)
	manySealed.attributes, manySealed.encrypted = attributes(2500), &encryption{}
	both := newReply(b)
	both.responseSigned = &signing{}
	for _, bench := range []struct{ name, doc string }{
		{"AD FS", adfs(b, nil)}, {"AD FS encrypted", adfs(b, &encryption{})}, {"both signed", both.xml()},
		{"2,500 groups", many.xml()}, {"2,500 groups encrypted", manySealed.xml()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			in, e := form(bench.doc), expect(b)
			b.SetBytes(int64(len(bench.doc)))
			defer cpu(b)()
			for b.Loop() {
				if _, err := response.Validate(in, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCrewjam is the comparison: the same documents through crewjam v0.5.1.
func BenchmarkCrewjam(b *testing.B) {
	provider, here := serviceProvider(b)
	for _, bench := range []struct{ name, doc string }{{"AD FS", adfs(b, nil)}, {"AD FS encrypted", adfs(b, &encryption{})}} {
		b.Run(bench.name, func(b *testing.B) {
			in := form(bench.doc)
			b.SetBytes(int64(len(bench.doc)))
			defer cpu(b)()
			for b.Loop() {
				raw, err := base64.StdEncoding.DecodeString(in)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := provider.ParseXMLResponse(raw, []string{req}, here); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGoxmldsig is the signature alone, by the library that this package does without.
func BenchmarkGoxmldsig(b *testing.B) {
	cert := certificate(b)
	d := etree.NewDocument()
	if err := d.ReadFromString(adfs(b, nil)); err != nil {
		b.Fatal(err)
	}
	el := d.FindElement("//*[@ID='_a1']")
	if info := el.FindElement("./Signature/KeyInfo"); info != nil {
		info.Parent().RemoveChild(info)
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	ctx.Clock = dsig.NewFakeClockAt(now)
	defer cpu(b)()
	for b.Loop() {
		if _, err := ctx.Validate(el); err != nil {
			b.Fatal(err)
		}
	}
}
