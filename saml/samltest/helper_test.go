package samltest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/saml/xmlsig"
)

const (
	spID  = "urn:weir:sp:local_Example01"
	acs   = "https://login.example/saml2/idpresponse"
	slo   = "https://login.example/saml2/logout"
	relay = "Zm9v"
)

// signers are made once: the provider's, the service provider's and a spare.
var signers = sync.OnceValue(func() []*xmlsig.Signer {
	var out []*xmlsig.Signer
	for i := range 4 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		out = append(out, &xmlsig.Signer{Key: key, Certificate: cert})
	}
	return out
})

func people() []samltest.Person {
	return []samltest.Person{{Username: "ada", Password: "ada", Claims: map[string]any{
		samltest.ClaimUPN: "ada@corp.example", samltest.ClaimEmail: "ada@corp.example", samltest.ClaimGroup: []string{"CORP\\Engineers", "A & B <c>"},
	}}, {Username: "bob", Password: "bob"}}
}

func trust() samltest.ServiceProvider {
	return samltest.ServiceProvider{EntityID: spID, Name: "Weir", ACS: []string{acs}, Logout: slo, Certificates: []*x509.Certificate{signers()[1].Certificate}}
}

func start(t *testing.T, change func(*samltest.Config)) *samltest.Provider {
	t.Helper()
	cfg := samltest.Config{Now: time.Now, People: people(), Signer: signers()[0], ServiceProviders: []samltest.ServiceProvider{trust()}}
	if change != nil {
		change(&cfg)
	}
	return samltest.Start(t, cfg)
}

func authn(p *samltest.Provider) binding.AuthnRequest {
	return binding.AuthnRequest{ID: binding.NewID(), IssueInstant: time.Now(), Destination: address(p), Issuer: spID, ACSURL: acs}
}

func address(p *samltest.Provider) string {
	return strings.TrimSuffix(p.EntityID(), "/adfs/services/trust") + string(samltest.EndpointSAML)
}

func send(t *testing.T, m binding.Message, over string, s *xmlsig.Signer) binding.Outgoing {
	t.Helper()
	out, err := binding.Send(m, over, relay, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// signIn signs ada in and returns the answer.
func signIn(t *testing.T, c *http.Client, p *samltest.Provider, req binding.AuthnRequest) *samltest.Step {
	t.Helper()
	out := send(t, req, binding.HTTPRedirect, signers()[1])
	step, err := samltest.SignIn(t.Context(), c, out.URL, out.Form, "ada", "ada")
	if err != nil {
		t.Fatal(err)
	}
	return step
}

// answer is the document in a step.
func answer(t *testing.T, step *samltest.Step) *etree.Element {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(step.Params().Get("SAMLResponse"))
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// statusOf returns the nested code, or else the top one.
func statusOf(t *testing.T, step *samltest.Step) string {
	t.Helper()
	codes := answer(t, step).FindElements("//StatusCode")
	return codes[len(codes)-1].SelectAttrValue("Value", "")
}

// otherSP is a service provider by another implementation.
func otherSP(t *testing.T, p *samltest.Provider) *crewjam.ServiceProvider {
	t.Helper()
	doc, err := p.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	idp := &crewjam.EntityDescriptor{}
	if err := xml.Unmarshal(doc, idp); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(acs)
	if err != nil {
		t.Fatal(err)
	}
	return &crewjam.ServiceProvider{EntityID: spID, AcsURL: *u, IDPMetadata: idp, Key: signers()[2].Key, Certificate: signers()[2].Certificate}
}

func read(t *testing.T, p *samltest.Provider) *metadata.Metadata {
	t.Helper()
	s := &metadata.Source{URL: p.MetadataURL(), Client: &http.Client{}, Now: time.Now, Options: metadata.Options{AllowHTTP: true}}
	m, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func private(err error) error {
	var invalid *crewjam.InvalidResponseError
	if errors.As(err, &invalid) {
		return invalid.PrivateErr
	}
	return err
}
