package samltest_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/saml/xmlsig"
)

func TestSignInIsAcceptedByAnotherImplementation(t *testing.T) {
	for _, tt := range []struct {
		name, over string
		change     func(*samltest.ServiceProvider)
	}{
		{"a Redirect request", binding.HTTPRedirect, func(*samltest.ServiceProvider) {}},
		{"a POST request", binding.HTTPPost, func(*samltest.ServiceProvider) {}},
		{"signed requests required, over Redirect", binding.HTTPRedirect, func(sp *samltest.ServiceProvider) { sp.RequireSigned = true }},
		{"signed requests required, over POST", binding.HTTPPost, func(sp *samltest.ServiceProvider) { sp.RequireSigned = true }},
		{"the Response signed", binding.HTTPPost, func(sp *samltest.ServiceProvider) { sp.Sign = samltest.SignResponse }},
		{"both signed", binding.HTTPPost, func(sp *samltest.ServiceProvider) { sp.Sign = samltest.SignBoth }},
		{"encrypted", binding.HTTPRedirect, func(sp *samltest.ServiceProvider) { sp.Encryption = signers()[2].Certificate }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sp := trust()
			tt.change(&sp)
			p := start(t, func(c *samltest.Config) { c.ServiceProviders = []samltest.ServiceProvider{sp} })
			req := authn(p)
			out := send(t, req, tt.over, signers()[1])
			step, err := samltest.SignIn(t.Context(), browser(t), out.URL, out.Form, "ada", "ada")
			if err != nil {
				t.Fatal(err)
			}
			if step.URL.String() != acs || step.Form.Get("RelayState") != relay {
				t.Errorf("got %s, %q", step.URL, step.Form.Get("RelayState"))
			}
			if got := answer(t, step).FindElement("//EncryptedAssertion") != nil; got != (sp.Encryption != nil) {
				t.Errorf("encrypted: %t", got)
			}
			r, err := step.Request(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := r.ParseForm(); err != nil {
				t.Fatal(err)
			}
			assertion, err := otherSP(t, p).ParseResponse(r, []string{req.ID})
			if err != nil {
				t.Fatal(private(err))
			}
			groups := assertion.AttributeStatements[0].Attributes[0]
			if assertion.Subject.NameID.Value != "ada@corp.example" || groups.Name != samltest.ClaimGroup || len(groups.Values) != 2 || groups.Values[1].Value != "A & B <c>" {
				t.Errorf("got %+v", assertion.Subject.NameID)
			}
		})
	}
}

func TestMetadataIsThatOfADFS(t *testing.T) {
	p := start(t, func(c *samltest.Config) { c.BaseURL = "/tenant"; c.WantSignedRequests = true })
	doc, err := p.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, el := range tree.Root().ChildElements() {
		tags = append(tags, el.Tag)
	}
	if want := []string{"Signature", "RoleDescriptor", "RoleDescriptor", "SPSSODescriptor", "IDPSSODescriptor", "ContactPerson"}; !slices.Equal(tags, want) {
		t.Errorf("got %q", tags)
	}
	m := read(t, p)
	if m.EntityID != p.EntityID() || !m.WantSigned || len(m.SSO) != 2 || len(m.SLO) != 2 || len(m.Problems) != 0 {
		t.Errorf("got %+v", m)
	}
	pin, err := metadata.ParsePin(m.SigningKeys[0].Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := metadata.Parse(doc, metadata.Options{Now: time.Now(), AllowHTTP: true, Pins: []metadata.Pin{pin}}); err != nil || !m.Pinned {
		t.Errorf("its signature: %v", err)
	}
}

func TestRequestsThatAreRefusedOnAPage(t *testing.T) {
	change := func(f func(*binding.AuthnRequest)) func(*samltest.Provider) binding.AuthnRequest {
		return func(p *samltest.Provider) binding.AuthnRequest {
			r := authn(p)
			f(&r)
			return r
		}
	}
	s := signers()
	for _, tt := range []struct {
		name    string
		request func(*samltest.Provider) binding.AuthnRequest
		signer  *xmlsig.Signer
		require bool
		says    string
	}{
		{"an unknown application", change(func(r *binding.AuthnRequest) { r.Issuer = "urn:x" }), s[1], false, "MSIS3111"},
		{"another address for the answer", change(func(r *binding.AuthnRequest) { r.ACSURL = acs + "/" }), s[1], false, "MSIS3200"},
		{"no signature where one is required", authn, nil, true, "MSIS7084"},
		{"a stranger's signature", authn, s[2], false, "no known key"},
		{"an old request", change(func(r *binding.AuthnRequest) { r.IssueInstant = time.Now().Add(-time.Hour) }), s[1], false, "too long ago"},
		{"no ID", change(func(r *binding.AuthnRequest) { r.ID = "" }), nil, false, "a part is missing"},
	} {
		for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
			t.Run(tt.name+over[38:], func(t *testing.T) {
				p := start(t, func(c *samltest.Config) { c.WantSignedRequests = tt.require })
				out := send(t, tt.request(p), over, tt.signer)
				step, err := samltest.SignIn(t.Context(), browser(t), out.URL, out.Form, "ada", "ada")
				if !errors.Is(err, samltest.ErrPage) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, %v", step, err)
				}
			})
		}
	}
}

func TestRequestsThatAreAnsweredWithAStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*binding.AuthnRequest)
		want   string
	}{
		{"a format that the rule does not issue (MSIS7070)", func(r *binding.AuthnRequest) { r.NameIDFormat = samltest.FormatTransient }, samltest.StatusInvalidNameIDPolicy},
		{"a context that nobody reaches", func(r *binding.AuthnRequest) {
			r.AuthnContext = []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:X509"}
		}, samltest.StatusNoAuthnContext},
		{"passive while nobody is signed in", func(r *binding.AuthnRequest) { r.IsPassive = true }, samltest.StatusNoPassive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, nil)
			req := authn(p)
			tt.change(&req)
			step := signIn(t, browser(t), p, req)
			if got := statusOf(t, step); got != tt.want || answer(t, step).FindElement("//Assertion") != nil {
				t.Errorf("got %q", got)
			}
		})
	}
	p := start(t, nil)
	out := send(t, authn(p), binding.HTTPRedirect, nil)
	step, err := samltest.Cancel(t.Context(), browser(t), out.URL, out.Form)
	if err != nil || statusOf(t, step) != samltest.StatusRequestDenied {
		t.Errorf("cancelled: got %v, %v", step, err)
	}
	if step, err := samltest.SignIn(t.Context(), browser(t), out.URL, nil, "ada", "wrong"); !errors.Is(err, samltest.ErrPage) || !strings.Contains(err.Error(), "not right") {
		t.Errorf("a wrong password: got %v, %v", step, err)
	}
}

func TestSessionsAreUsedUnlessASignInIsForced(t *testing.T) {
	p := start(t, nil)
	c := browser(t)
	signIn(t, c, p, authn(p))
	again := send(t, authn(p), binding.HTTPPost, signers()[1])
	if _, err := samltest.Visit(t.Context(), c, again.URL, again.Form); err != nil {
		t.Errorf("signed in already: %v", err)
	}
	forced := authn(p)
	forced.ForceAuthn = true
	out := send(t, forced, binding.HTTPRedirect, nil)
	if step, err := samltest.Visit(t.Context(), c, out.URL, nil); !errors.Is(err, samltest.ErrPage) {
		t.Errorf("forced: got %v, %v", step, err)
	}
}

func TestIdPInitiatedSignInAnswersNoRequest(t *testing.T) {
	p := start(t, nil)
	step, err := samltest.SignIn(t.Context(), browser(t), p.InitiateURL(spID, "client_id=x"), nil, "ada", "ada")
	if err != nil {
		t.Fatal(err)
	}
	root := answer(t, step)
	if root.SelectAttr("InResponseTo") != nil || root.FindElement("//SubjectConfirmationData").SelectAttr("InResponseTo") != nil || step.Form.Get("RelayState") != "client_id=x" {
		t.Errorf("got %v", step.Form)
	}
	if _, err := samltest.Visit(t.Context(), browser(t), p.InitiateURL("urn:x", ""), nil); !errors.Is(err, samltest.ErrPage) {
		t.Errorf("an unknown application: %v", err)
	}
}

func TestNameIDFollowsTheRule(t *testing.T) {
	for _, tt := range []struct {
		name, person string
		rule         samltest.NameIDRule
		want         string // beginning; "" is none
	}{
		{"the UPN by default", "ada", samltest.NameIDRule{}, "ada@corp.example"},
		{"another claim", "ada", samltest.NameIDRule{Claim: samltest.ClaimGroup, Format: samltest.FormatPersistent}, "CORP\\Engineers"},
		{"transient", "bob", samltest.NameIDRule{Format: samltest.FormatTransient}, "_"},
		{"a person without the claim", "bob", samltest.NameIDRule{}, ""},
		{"no rule", "ada", samltest.NameIDRule{None: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sp := trust()
			sp.NameID = tt.rule
			p := start(t, func(c *samltest.Config) { c.ServiceProviders = []samltest.ServiceProvider{sp} })
			out := send(t, authn(p), binding.HTTPRedirect, nil)
			step, err := samltest.SignIn(t.Context(), browser(t), out.URL, nil, tt.person, tt.person)
			if err != nil {
				t.Fatal(err)
			}
			el := answer(t, step).FindElement("//NameID")
			if (el == nil) != (tt.want == "") || el != nil && !strings.HasPrefix(el.Text(), tt.want) {
				t.Errorf("got %v", el)
			}
		})
	}
}

func TestKeyRollover(t *testing.T) {
	p := start(t, nil)
	signedBy := func() int {
		t.Helper()
		step := signIn(t, browser(t), p, authn(p))
		text := answer(t, step).FindElement("//Assertion").FindElement(".//X509Certificate").Text()
		for i, s := range signers() {
			if xmlText(s) == text {
				return i
			}
		}
		return -1
	}
	check := func(step string, published, signer int) {
		t.Helper()
		if n := len(read(t, p).SigningKeys); n != published || signedBy() != signer {
			t.Errorf("%s: %d keys in the metadata", step, n)
		}
	}
	check("before", 1, 0)
	if err := p.AnnounceKey(signers()[3]); err != nil {
		t.Fatal(err)
	}
	check("announced", 2, 0)
	p.SwitchKey()
	check("switched", 2, 3)
	p.DropKey()
	check("dropped", 1, 3)
	if err := p.RollKey(signers()[0]); err != nil {
		t.Fatal(err)
	}
	check("rolled at once", 1, 0)
}

func TestFaultsReachTheAnswer(t *testing.T) {
	p := start(t, nil)
	nothing := samltest.SignNothing
	p.Set(samltest.Faults{
		Assertion: func(a *etree.Element) { a.FindElement(".//Audience").SetText("urn:other") },
		Sign:      &nothing,
		Form:      func(f url.Values) { f["RelayState"] = []string{"changed"} },
	})
	step := signIn(t, browser(t), p, authn(p))
	root := answer(t, step)
	if root.FindElement("//Audience").Text() != "urn:other" || root.FindElement("//Signature") != nil || step.Form.Get("RelayState") != "changed" {
		t.Errorf("got %v", step.Form)
	}
	p.Set(samltest.Faults{Status: &samltest.Status{Code: binding.StatusResponder, SubCode: samltest.StatusAuthnFailed}})
	if got := statusOf(t, signIn(t, browser(t), p, authn(p))); got != samltest.StatusAuthnFailed {
		t.Errorf("got %q", got)
	}
	p.Set(samltest.Faults{Endpoints: map[samltest.Endpoint]func(http.Handler) http.Handler{samltest.EndpointMetadata: samltest.Reply(http.StatusTeapot, "text/plain", "no")}})
	s := &metadata.Source{URL: p.MetadataURL(), Client: &http.Client{}, Now: time.Now}
	if _, err := s.Get(t.Context()); !errors.Is(err, metadata.ErrFetch) || !strings.Contains(err.Error(), "418") {
		t.Errorf("got %v", err)
	}
	if n := len(p.Requests(samltest.EndpointMetadata)); n != 1 {
		t.Errorf("%d requests recorded", n)
	}
}

func TestPagesHaveAStrictPolicyAndNoInlineScript(t *testing.T) {
	p := start(t, func(c *samltest.Config) { c.ShowPeople = true })
	out := send(t, authn(p), binding.HTTPRedirect, nil)
	for _, target := range []string{out.URL, address(p) + "?SAMLRequest=x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := browser(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got policy %q", policy)
		}
		if page := string(body); strings.Contains(page, "<script>") || strings.Contains(page, "style=") || !strings.Contains(page, `<html lang="en">`) {
			t.Errorf("got page %s", page)
		}
	}
}

func TestNewTellsEveryFault(t *testing.T) {
	_, err := samltest.New(samltest.Config{BaseURL: "ftp://x/", People: []samltest.Person{{}}, ServiceProviders: []samltest.ServiceProvider{{}, {EntityID: "x"}, {EntityID: "x", ACS: []string{acs}, RequireSigned: true}}})
	for _, says := range []string{"baseURL", "now", "people[0]", "serviceProviders[0].entityID", "serviceProviders[1].acs", "serviceProviders[2].certificates"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

func TestTrustIsReadFromOurMetadata(t *testing.T) {
	s := signers()
	doc, err := metadata.ServiceProvider{
		EntityID: spID, ACS: []string{acs}, Logout: slo, AuthnRequestsSigned: true,
		Signing: certificates(s[1], s[2]), Encryption: certificates(s[3]),
	}.Document(s[1])
	if err != nil {
		t.Fatal(err)
	}
	sp, err := samltest.FromMetadata(doc)
	if err != nil {
		t.Fatal(err)
	}
	if sp.EntityID != spID || !slices.Equal(sp.ACS, []string{acs}) || sp.Logout != slo || !sp.RequireSigned || len(sp.Certificates) != 2 || !sp.Encryption.Equal(s[3].Certificate) {
		t.Errorf("got %+v", sp)
	}
}
