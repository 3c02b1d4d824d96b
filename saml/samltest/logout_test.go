package samltest_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/saml/xmlsig"
)

func xmlText(s *xmlsig.Signer) string { return base64.StdEncoding.EncodeToString(s.Certificate.Raw) }

func certificates(s ...*xmlsig.Signer) []*x509.Certificate {
	var out []*x509.Certificate
	for _, one := range s {
		out = append(out, one.Certificate)
	}
	return out
}

const (
	otherID  = "urn:other"
	otherSLO = "https://other.example/slo"
)

// two is a provider with two trusts, the second of which speaks POST.
func two(t *testing.T) *samltest.Provider {
	t.Helper()
	return start(t, func(c *samltest.Config) {
		first := trust()
		first.NameID = samltest.NameIDRule{NameQualifier: "q", SPNameQualifier: spID}
		c.ServiceProviders = []samltest.ServiceProvider{first, {
			EntityID: otherID, ACS: []string{"https://other.example/acs"}, Logout: otherSLO, LogoutBinding: binding.HTTPPost, Certificates: certificates(signers()[2]),
		}}
	})
}

// signedIn is what ada's browser left at the first trust.
func signedIn(t *testing.T, c *http.Client, p *samltest.Provider) binding.LogoutRequest {
	t.Helper()
	root := answer(t, signIn(t, c, p, authn(p)))
	name := root.FindElement("//NameID")
	return binding.LogoutRequest{
		ID: binding.NewID(), IssueInstant: time.Now(), Destination: address(p), Issuer: spID,
		NameID: binding.NameID{
			Value: name.Text(), Format: name.SelectAttrValue("Format", ""),
			NameQualifier: name.SelectAttrValue("NameQualifier", ""), SPNameQualifier: name.SelectAttrValue("SPNameQualifier", ""),
		},
		SessionIndexes: []string{root.FindElement("//AuthnStatement").SelectAttrValue("SessionIndex", "")},
	}
}

func receiver(p *samltest.Provider, at string) binding.Receiver {
	return binding.Receiver{Issuer: p.EntityID(), Destinations: []string{at}, Keys: []crypto.PublicKey{signers()[0].Key.Public()}, Now: time.Now}
}

func incoming(step *samltest.Step) binding.Incoming {
	return binding.Incoming{RawQuery: step.URL.RawQuery, Form: step.Form}
}

// visit takes a message to the provider in a browser with a session.
func visit(t *testing.T, c *http.Client, m binding.Message, over string, s *xmlsig.Signer) *samltest.Step {
	t.Helper()
	out := send(t, m, over, s)
	step, err := samltest.Visit(t.Context(), c, out.URL, out.Form)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func TestLogoutFromTheServiceProvider(t *testing.T) {
	for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
		t.Run(over, func(t *testing.T) {
			p, c := two(t), browser(t)
			req := signedIn(t, c, p)
			step := visit(t, c, req, over, signers()[1])
			got, receipt, err := receiver(p, slo).LogoutResponse(incoming(step), req.ID)
			if err != nil || got.Status != binding.StatusSuccess || got.SubStatus != "" || receipt.RelayState != relay {
				t.Fatalf("got %+v, %+v, %v", got, receipt, err)
			}
			out := send(t, authn(p), binding.HTTPRedirect, nil)
			if _, err := samltest.Visit(t.Context(), c, out.URL, nil); !errors.Is(err, samltest.ErrPage) {
				t.Errorf("the session lives on: %v", err)
			}
			// Nobody is signed in any more: nothing to end is a success.
			req.ID = binding.NewID()
			if got, _, err := receiver(p, slo).LogoutResponse(incoming(visit(t, c, req, over, signers()[1])), req.ID); err != nil || got.Status != binding.StatusSuccess {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestLogoutTellsTheOtherTrusts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signer *xmlsig.Signer
		status string
		sub    string
	}{
		{"which agrees", signers()[2], binding.StatusSuccess, ""},
		{"which refuses", signers()[2], binding.StatusResponder, binding.StatusPartialLogout},
		{"whose answer is a stranger's", signers()[3], binding.StatusSuccess, binding.StatusPartialLogout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, c := two(t), browser(t)
			req := signedIn(t, c, p)
			if _, err := samltest.Visit(t.Context(), c, p.InitiateURL(otherID, ""), nil); err != nil {
				t.Fatal(err)
			}
			step := visit(t, c, req, binding.HTTPRedirect, signers()[1])
			if step.URL.String() != otherSLO || step.Form == nil {
				t.Fatalf("the other trust was not asked: %s", step.URL)
			}
			asked, _, err := receiver(p, otherSLO).LogoutRequest(incoming(step))
			if err != nil || asked.NameID.Value != "ada@corp.example" || len(asked.SessionIndexes) != 1 {
				t.Fatalf("got %+v, %v", asked, err)
			}
			step = visit(t, c, binding.LogoutResponse{
				ID: binding.NewID(), InResponseTo: asked.ID, IssueInstant: time.Now(), Destination: address(p), Issuer: otherID, Status: tt.status,
			}, binding.HTTPRedirect, tt.signer)
			got, receipt, err := receiver(p, slo).LogoutResponse(incoming(step), req.ID)
			if err != nil || got.Status != binding.StatusSuccess || got.SubStatus != tt.sub || receipt.RelayState != relay {
				t.Errorf("got %+v, %+v, %v", got, receipt, err)
			}
		})
	}
}

func TestLogoutFromTheIdentityProvider(t *testing.T) {
	p, c := two(t), browser(t)
	want := signedIn(t, c, p)
	step, err := samltest.SignOut(t.Context(), c, address(p)+"?wa=wsignout1.0")
	if err != nil {
		t.Fatal(err)
	}
	asked, receipt, err := receiver(p, slo).LogoutRequest(incoming(step))
	if err != nil || asked.NameID != want.NameID || len(asked.SessionIndexes) != 1 || asked.SessionIndexes[0] != want.SessionIndexes[0] || receipt.Binding != binding.HTTPRedirect {
		t.Fatalf("got %+v, %v", asked, err)
	}
	out := send(t, binding.LogoutResponse{
		ID: binding.NewID(), InResponseTo: asked.ID, IssueInstant: time.Now(), Destination: address(p), Issuer: spID, Status: binding.StatusSuccess,
	}, binding.HTTPPost, signers()[1])
	if _, err := samltest.Visit(t.Context(), c, out.URL, out.Form); !errors.Is(err, samltest.ErrPage) || !strings.Contains(err.Error(), "You are signed out You can close") {
		t.Errorf("got %v", err)
	}
	if _, err := samltest.Visit(t.Context(), c, out.URL, out.Form); !errors.Is(err, samltest.ErrPage) || !strings.Contains(err.Error(), "Nobody asked") {
		t.Errorf("the same answer again: %v", err)
	}
}

func TestLogoutRequestsAreHeldToWhatWasIssued(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*binding.LogoutRequest)
	}{
		{"another format", func(r *binding.LogoutRequest) { r.NameID.Format = samltest.FormatPersistent }},
		{"no qualifier", func(r *binding.LogoutRequest) { r.NameID.NameQualifier = "" }},
		{"another qualifier of ours", func(r *binding.LogoutRequest) { r.NameID.SPNameQualifier = "urn:x" }},
		{"another person", func(r *binding.LogoutRequest) { r.NameID.Value = "bob@corp.example" }},
		{"another session", func(r *binding.LogoutRequest) { r.SessionIndexes = []string{"_x"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, c := two(t), browser(t)
			req := signedIn(t, c, p)
			tt.change(&req)
			got, _, err := receiver(p, slo).LogoutResponse(incoming(visit(t, c, req, binding.HTTPRedirect, signers()[1])), req.ID)
			if err != nil || got.Status != binding.StatusRequester {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	p, c := two(t), browser(t)
	req := signedIn(t, c, p)
	for name, s := range map[string]*xmlsig.Signer{"unsigned": nil, "signed by a stranger": signers()[3]} {
		out := send(t, req, binding.HTTPPost, s)
		if step, err := samltest.Visit(t.Context(), c, out.URL, out.Form); !errors.Is(err, samltest.ErrPage) || !strings.Contains(err.Error(), "MSIS7084") {
			t.Errorf("%s: got %v, %v", name, step, err)
		}
	}
}
