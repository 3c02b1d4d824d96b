package metadata_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/xmlsig"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func document(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// pair makes a key with a certificate that is valid from a year before to a year behind epoch.
func pair(t testing.TB, name string) xmlsig.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return xmlsig.Signer{Key: key, Certificate: certify(t, key, name)}
}

func certify(t testing.TB, key *rsa.PrivateKey, name string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: epoch.AddDate(-1, 0, 0), NotAfter: epoch.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// shared is one key for all tests that need any.
var shared = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func sharedPair(t testing.TB) xmlsig.Signer {
	t.Helper()
	key, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return xmlsig.Signer{Key: key, Certificate: certify(t, key, "shared")}
}

func encoded(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }

func TestParseReadsTheShapesOfRealProviders(t *testing.T) {
	const adfs, entra, heath = "https://sts.fabrikam.example/adfs/ls/", "https://login.entra.example/6d1f0a9c-2a57-4a5c-9f0d-31c9f4a7f001/saml2", "https://idp.heath.example/idp/profile/SAML2/"
	const okta, harbour = "https://juniper.okta.example/app/juniper_weir_1/exk4711juniper/sso/saml", "https://sso.harbour.example/realms/harbour/protocol/saml"
	at := func(binding, location string) metadata.Endpoint {
		return metadata.Endpoint{Binding: binding, Location: location, ResponseLocation: location}
	}
	tests := []struct {
		name, file         string
		entity             string
		sso, slo           []metadata.Endpoint
		signing, encrypted []string // beginnings of fingerprints
		want               bool
		formats, problems  int
		validUntil         time.Time
		cache              time.Duration
	}{
		{
			name: "AD FS: its signer comes first, roles of WS-Federation and a service provider before the identity provider", file: "adfs",
			entity:  "http://sts.fabrikam.example/adfs/services/trust",
			sso:     []metadata.Endpoint{at(metadata.HTTPRedirect, adfs), at(metadata.HTTPPost, adfs)},
			slo:     []metadata.Endpoint{at(metadata.HTTPRedirect, adfs), at(metadata.HTTPPost, adfs)},
			signing: []string{"f8486076c5533af6"}, encrypted: []string{"c30462682003356f"}, formats: 3,
		},
		{
			name: "AD FS in a rollover: both certificates; ages of another role mean nothing", file: "adfs-rollover",
			entity:  "http://sts.fabrikam.example/adfs/services/trust",
			sso:     []metadata.Endpoint{at(metadata.HTTPRedirect, adfs), at(metadata.HTTPPost, adfs)},
			slo:     []metadata.Endpoint{at(metadata.HTTPRedirect, adfs), at(metadata.HTTPPost, adfs)},
			signing: []string{"f8486076c5533af6", "4826a762b3dc4a69"}, encrypted: []string{"c30462682003356f"}, formats: 3,
		},
		{
			name: "Entra ID: a byte order mark, Redirect logout only", file: "entra",
			entity:  "https://sts.windows.net/6d1f0a9c-2a57-4a5c-9f0d-31c9f4a7f001/",
			sso:     []metadata.Endpoint{at(metadata.HTTPRedirect, entra), at(metadata.HTTPPost, entra)},
			slo:     []metadata.Endpoint{at(metadata.HTTPRedirect, entra)},
			signing: []string{"277591ada2bb414e"},
		},
		{
			name: "Okta: lines in the certificate, POST listed before Redirect, no logout", file: "okta",
			entity:  "http://www.okta.example/exk4711juniper",
			sso:     []metadata.Endpoint{at(metadata.HTTPRedirect, okta), at(metadata.HTTPPost, okta)},
			signing: []string{"8c39a9d76c67d706"}, formats: 2,
		},
		{
			name: "Keycloak: an EntitiesDescriptor with one entity, signed requests wanted", file: "keycloak",
			entity:  "https://sso.harbour.example/realms/harbour",
			sso:     []metadata.Endpoint{at(metadata.HTTPRedirect, harbour), at(metadata.HTTPPost, harbour)},
			slo:     []metadata.Endpoint{at(metadata.HTTPRedirect, harbour), at(metadata.HTTPPost, harbour)},
			signing: []string{"e5c0e7c0891ef3d0"}, want: true, formats: 1,
		},
		{
			name: "Shibboleth: a key without use, two bad ones, a ResponseLocation, ages", file: "shibboleth",
			entity:  "https://idp.heath.example/idp/shibboleth",
			sso:     []metadata.Endpoint{at(metadata.HTTPRedirect, heath+"Redirect/SSO"), at(metadata.HTTPPost, heath+"POST/SSO")},
			slo:     []metadata.Endpoint{{Binding: metadata.HTTPRedirect, Location: heath + "Redirect/SLO", ResponseLocation: heath + "Redirect/SLO-done"}},
			signing: []string{"5c56d676fb038eb1", "22cffb0889ecd857"}, encrypted: []string{"22cffb0889ecd857"}, formats: 1, problems: 2,
			validUntil: time.Date(2049, 6, 1, 8, 30, 0, 123e6, time.UTC), cache: 150 * time.Minute,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(document(t, tt.file)), metadata.Options{Now: epoch})
			if err != nil {
				t.Fatal(err)
			}
			if m.EntityID != tt.entity || m.WantSigned != tt.want || len(m.NameIDFormats) != tt.formats || len(m.Problems) != tt.problems {
				t.Errorf("got %q, wants signed %t, formats %q, problems %q", m.EntityID, m.WantSigned, m.NameIDFormats, m.Problems)
			}
			if !slices.Equal(m.SSO, tt.sso) || !slices.Equal(m.SLO, tt.slo) {
				t.Errorf("got sign-on %v and logout %v", m.SSO, m.SLO)
			}
			if !m.ValidUntil.Equal(tt.validUntil) || m.CacheDuration != tt.cache {
				t.Errorf("got valid until %s, cached for %s", m.ValidUntil, m.CacheDuration)
			}
			wantKeys(t, "signing", m.SigningKeys, tt.signing)
			wantKeys(t, "encryption", m.EncryptionKeys, tt.encrypted)
		})
	}
}

func wantKeys(t *testing.T, use string, got []metadata.Key, want []string) {
	t.Helper()
	var prints []string
	for _, k := range got {
		prints = append(prints, k.Fingerprint[:16])
		if !k.NotAfter.Equal(k.Certificate.NotAfter) || k.PublicKey == nil {
			t.Errorf("%s key %s is incomplete", use, k.Fingerprint)
		}
	}
	if !slices.Equal(prints, want) {
		t.Errorf("%s keys: got %q, want %q", use, prints, want)
	}
}

// utf16Text returns text in UTF-16.
func utf16Text(text string, order binary.ByteOrder, mark bool) string {
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xFEFF}, units...)
	}
	out := make([]byte, 2*len(units))
	for i, u := range units {
		order.PutUint16(out[2*i:], u)
	}
	return string(out)
}

// minimal is a document with one key and one address; %s are the certificate and further parts of the role.
func minimal(cert, more string) string {
	return `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="_m" entityID="https://idp.example"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` + cert + `</X509Certificate></X509Data></KeyInfo></KeyDescriptor>` + more +
		`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>`
}

func TestParseReadsOddButGoodDocuments(t *testing.T) {
	cert := sharedPair(t).Certificate
	plain := minimal(encoded(cert), "")
	declared := `<?xml version="1.0" encoding="utf-16"?>` + "\r\n" + plain
	pemText := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	two := `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + plain + strings.ReplaceAll(plain, "https://idp.example\"", "https://other.example\"") + `</EntitiesDescriptor>`
	tests := []struct{ name, doc, entity string }{
		{"UTF-16, little end first, with its mark", utf16Text(declared, binary.LittleEndian, true), ""},
		{"UTF-16, big end first, with its mark", utf16Text(declared, binary.BigEndian, true), ""},
		{"UTF-16 without a mark", utf16Text(declared, binary.LittleEndian, false), ""},
		{"UTF-16 without a declaration", utf16Text(plain, binary.BigEndian, true), ""},
		{"an empty line before the declaration", "\n\n<?xml version='1.0' encoding='UTF-8' standalone='yes'?>" + plain, ""},
		{"comments everywhere", "<!-- a -->" + strings.Replace(plain, encoded(cert), encoded(cert)[:40]+"<!-- b -->"+encoded(cert)[40:], 1) + "<!-- c -->", ""},
		{"a certificate in PEM lines", minimal(pemText, ""), ""},
		{"a certificate with spaces and tabs", minimal(strings.ReplaceAll(encoded(cert), "A", " A\t"), ""), ""},
		{"the one entity of two that was chosen", two, "https://other.example"},
		{"a group within a group", `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + two + `</EntitiesDescriptor>`, "https://other.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(tt.doc), metadata.Options{Now: epoch, EntityID: tt.entity})
			if err != nil {
				t.Fatal(err)
			}
			want := tt.entity
			if want == "" {
				want = "https://idp.example"
			}
			if m.EntityID != want || len(m.SigningKeys) != 1 || !m.SigningKeys[0].Certificate.Equal(cert) {
				t.Errorf("got %q with %d keys", m.EntityID, len(m.SigningKeys))
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cert := encoded(sharedPair(t).Certificate)
	plain := minimal(cert, "")
	swap := func(old, with string) string {
		if !strings.Contains(plain, old) {
			t.Fatalf("%q is not in the document", old)
		}
		return strings.Replace(plain, old, with, 1)
	}
	other := strings.Replace(plain, "https://idp.example\"", "https://other.example\"", 1)
	group := func(docs ...string) string {
		return `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + strings.Join(docs, "") + `</EntitiesDescriptor>`
	}
	tests := []struct {
		name, doc, entity string
		want              error
		says              string
	}{
		{"nothing", "", "", xmlsig.ErrMalformed, ""},
		{"a page", "<html><body>Sign in</body></html>", "", metadata.ErrNotMetadata, "FederationMetadata.xml"},
		{"text", "404 not found", "", xmlsig.ErrMalformed, ""},
		{"more than a megabyte", plain + strings.Repeat(" ", metadata.MaxBytes), "", xmlsig.ErrTooLarge, ""},
		{"a document type", "<!DOCTYPE x [<!ENTITY a \"b\">]>" + plain, "", xmlsig.ErrMalformed, "document type"},
		{"a processing instruction", "<?php x?>" + plain, "", xmlsig.ErrMalformed, "processing"},
		{"deep nesting", swap("</IDPSSODescriptor>", strings.Repeat("<a>", 50)+strings.Repeat("</a>", 50)+"</IDPSSODescriptor>"), "", xmlsig.ErrTooLarge, "nested"},
		{"too many elements", swap("</IDPSSODescriptor>", strings.Repeat("<a/>", 20001)+"</IDPSSODescriptor>"), "", xmlsig.ErrTooLarge, "elements"},
		{"Latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?>` + plain, "", metadata.ErrNotMetadata, "encoding"},
		{"bytes that are no UTF-8", swap("https://idp.example\"", "https://idp.example/\xff\""), "", metadata.ErrNotMetadata, "UTF-8"},
		{"UTF-16 that is cut", utf16Text(plain, binary.LittleEndian, true) + "x", "", metadata.ErrNotMetadata, "UTF-16"},
		{"UTF-16 with half a character", "\xff\xfe<\x00\x00\xd8<\x00", "", metadata.ErrNotMetadata, "UTF-16"},
		{"an undeclared prefix", swap("<SingleSignOnService", "<x:Foo/><SingleSignOnService"), "", xmlsig.ErrMalformed, "prefix"},
		{"an attribute twice", swap(`use="signing"`, `use="signing" use="encryption"`), "", xmlsig.ErrMalformed, "twice"},
		{"a second root", plain + plain, "", xmlsig.ErrMalformed, "second root"},
		{"another namespace", swap("SAML:2.0:metadata", "SAML:1.1:metadata"), "", metadata.ErrNotMetadata, ""},
		{"no entity id", swap(` entityID="https://idp.example"`, ""), "", metadata.ErrNotMetadata, "entityID"},
		{"SAML 1.1 only", swap(`SAML:2.0:protocol"`, `SAML:1.1:protocol"`), "", metadata.ErrNoIDP, "SAML 2.0"},
		{"a service provider", strings.ReplaceAll(plain, "IDPSSODescriptor", "SPSSODescriptor"), "", metadata.ErrNoIDP, "our own metadata"},
		{"no role", `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>`, "", metadata.ErrNoIDP, ""},
		{"no certificate", swap(cert, ""), "", metadata.ErrNoKey, "X.509"},
		{"an encryption certificate only", swap(`use="signing"`, `use="encryption"`), "", metadata.ErrNoKey, ""},
		{"no browser binding", swap("bindings:HTTP-Redirect", "bindings:SOAP"), "", metadata.ErrNoSSO, ""},
		{"a script as address", swap("https://idp.example/sso", "javascript:alert(1)"), "", metadata.ErrNoSSO, "absolute"},
		{"plain http", swap("https://idp.example/sso", "http://idp.example/sso"), "", metadata.ErrNoSSO, "https://"},
		{"an expired entity", swap(` ID="_m"`, ` validUntil="2026-03-01T12:00:00Z"`), "", metadata.ErrExpired, "2026-03-01T12:00:00Z"},
		{"an expired role", swap("<IDPSSODescriptor ", `<IDPSSODescriptor validUntil="2025-03-01T12:00:00.5+01:00" `), "", metadata.ErrExpired, "2025-03-01T11:00:00Z"},
		{"an expired group", strings.Replace(group(plain), "<EntitiesDescriptor", `<EntitiesDescriptor validUntil="2020-01-01T00:00:00"`, 1), "", metadata.ErrExpired, ""},
		{"an end that is no date", swap(` ID="_m"`, ` validUntil="soon"`), "", metadata.ErrNotMetadata, "validUntil"},
		{"an entity that is not there", plain, "https://elsewhere.example", metadata.ErrEntity, `it is about "https://idp.example"`},
		{"two and no choice", group(plain, other), "", metadata.ErrEntity, `choose one by its entity id: "https://idp.example", "https://other.example"`},
		{"one twice", group(plain, plain), "https://idp.example", metadata.ErrEntity, "more than once"},
		{"an empty group", group(), "", metadata.ErrEntity, "no entity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(tt.doc), metadata.Options{Now: epoch, EntityID: tt.entity})
			if !errors.Is(err, tt.want) || m != nil {
				t.Fatalf("got %v, %v; want %v", m, err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
}

func TestParseNeverTakesAKeyThatIsNotTheProviders(t *testing.T) {
	own, foreign := sharedPair(t), pair(t, "foreign")
	authority := pair(t, "authority")
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "issued"}, NotBefore: epoch, NotAfter: epoch.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Certificate, own.Key.Public(), authority.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := base64.StdEncoding.EncodeToString(der)
	keyInfo := `<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` + encoded(foreign.Certificate) + `</X509Certificate></X509Data></KeyInfo>`
	own64 := encoded(own.Certificate)
	chain := own64 + `</X509Certificate><X509Certificate>`
	tests := []struct {
		name, doc string
		problem   string
	}{
		{"of the document's signer", strings.Replace(minimal(own64, ""), "<IDPSSO", `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">`+keyInfo+`</Signature><IDPSSO`, 1), ""},
		{"of a service provider role", strings.Replace(minimal(own64, ""), "<IDPSSO", `<SPSSODescriptor><KeyDescriptor use="signing">`+keyInfo+`</KeyDescriptor></SPSSODescriptor><IDPSSO`, 1), ""},
		{"of another use", minimal(own64, `<KeyDescriptor use="backup">`+keyInfo+`</KeyDescriptor>`), "unknown use"},
		{"in an extension", minimal(own64, `<Extensions><KeyDescriptor use="signing">`+keyInfo+`</KeyDescriptor></Extensions>`), ""},
		{"of another namespace", minimal(own64, `<KeyDescriptor xmlns="urn:x" use="signing">`+keyInfo+`</KeyDescriptor>`), ""},
		{"of the authority above it", minimal(leaf+`</X509Certificate><X509Certificate>`+encoded(authority.Certificate), ""), "authority"},
		{"the same twice", minimal(chain+own64, ""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(tt.doc), metadata.Options{Now: epoch})
			if err != nil {
				t.Fatal(err)
			}
			if len(m.SigningKeys) != 1 || !own.Key.Public().(*rsa.PublicKey).Equal(m.SigningKeys[0].PublicKey) {
				t.Errorf("got %d keys, the first %s", len(m.SigningKeys), m.SigningKeys[0].Certificate.Subject)
			}
			if got := strings.Join(m.Problems, "; "); !strings.Contains(got, tt.problem) || (tt.problem == "") != (got == "") {
				t.Errorf("got problems %q, want %q", got, tt.problem)
			}
		})
	}
}

func TestParseHoldsADocumentToItsPinnedSigner(t *testing.T) {
	signer, stranger := pair(t, "signer"), sharedPair(t)
	sign := func(doc string, s xmlsig.Signer) string {
		tree := etree.NewDocument()
		if err := tree.ReadFromString(doc); err != nil {
			t.Fatal(err)
		}
		root := tree.Root().Copy()
		if err := xmlsig.Sign(root, s, 0); err != nil {
			t.Fatal(err)
		}
		out, err := xmlsig.Bytes(root)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	plain := minimal(encoded(stranger.Certificate), "")
	good := sign(plain, signer)
	pin := func(text string) metadata.Pin {
		p, err := metadata.ParsePin(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	sum := fmt.Sprintf("%X", sha256Of(signer.Certificate.Raw))
	byCertificate, byFingerprint := pin(encoded(signer.Certificate)), pin(strings.TrimSuffix(colons(sum), ":"))
	inner := strings.Replace(good, `ID="_m"`, `ID="_n"`, 1)
	tests := []struct {
		name, doc string
		pins      []metadata.Pin
		want      error
	}{
		{"by its certificate", good, []metadata.Pin{byCertificate}, nil},
		{"by its fingerprint", good, []metadata.Pin{byFingerprint}, nil},
		{"by one of two", good, []metadata.Pin{pin(encoded(stranger.Certificate)), byCertificate}, nil},
		{"in UTF-16", utf16Text(good, binary.LittleEndian, true), []metadata.Pin{byCertificate}, nil},
		{"unsigned", plain, []metadata.Pin{byCertificate}, xmlsig.ErrUnsigned},
		{"unsigned, by fingerprint", plain, []metadata.Pin{byFingerprint}, metadata.ErrPin},
		{"by somebody else", sign(plain, stranger), []metadata.Pin{byCertificate}, xmlsig.ErrUnknownKey},
		{"by somebody else who shows our certificate", sign(plain, xmlsig.Signer{Key: stranger.Key, Certificate: signer.Certificate}), []metadata.Pin{byFingerprint}, xmlsig.ErrUnknownKey},
		{"changed", strings.Replace(good, "https://idp.example/sso", "https://evil.example/sso", 1), []metadata.Pin{byCertificate}, xmlsig.ErrSignature},
		{"of another element", inner, []metadata.Pin{byCertificate}, xmlsig.ErrSignature},
		{"within another document", `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="_o">` + good + `</EntitiesDescriptor>`, []metadata.Pin{byCertificate}, xmlsig.ErrUnsigned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(tt.doc), metadata.Options{Now: epoch, Pins: tt.pins})
			switch {
			case tt.want != nil && (!errors.Is(err, tt.want) || !errors.Is(err, metadata.ErrPin)):
				t.Errorf("got %v, want %v", err, tt.want)
			case tt.want == nil && err != nil:
				t.Error(err)
			case tt.want == nil && (!m.Pinned || m.SSO[0].Location != "https://idp.example/sso"):
				t.Errorf("got pinned %t, %v", m.Pinned, m.SSO)
			}
		})
	}
}

func colons(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		b.WriteString(digits[i:i+2] + ":")
	}
	return b.String()
}

func TestParsePinRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"a SHA-1 thumbprint":    strings.Repeat("ab", 20),
		"a word":                "certificate",
		"a cut certificate":     encoded(sharedPair(t).Certificate)[:100],
		"half of a fingerprint": hex.EncodeToString(make([]byte, 16)),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := metadata.ParsePin(text); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}
