package saml_test

import (
	"crypto"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/saml/xmlsig"
	"github.com/weir-id/weir/server/servertest"
)

func TestProviderSignsOut(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
		t.Run(over, func(t *testing.T) {
			w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.LogoutBinding = over })
			b, elsewhere, others := w.Browser(), w.Browser(), w.Browser()
			tokens, more, theirs := app.Login(b, ada), app.Login(elsewhere, ada), app.Login(others, bob)
			spa := w.SPA().Tokens(b.Get(w.SPA().Authorize())) // the same session, another application
			step, err := samltest.SignOut(t.Context(), b.Client, up.SignOutURL())
			if err != nil {
				t.Fatal(err)
			}
			req, err := step.Request(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.Events.Take()
			p := b.Do(req)
			if got := message(t, p); got.Tag != "LogoutResponse" || got.FindElement("Status/StatusCode").SelectAttrValue("Value", "") != binding.StatusSuccess {
				t.Errorf("answer %v", got)
			}
			if _, err := servertest.VisitSAML(t.Context(), b, p); !errors.Is(err, samltest.ErrPage) || !strings.Contains(err.Error(), "You can close this window") {
				t.Errorf("the provider says %v", err)
			}
			if !slices.Contains(servertest.Names(w.Events.Take()), "session.ended") || len(b.Cookie("weir_s_")) != 0 {
				t.Error("no event, or the cookie is left")
			}
			ended(t, app, tokens, true)
			ended(t, w.SPA(), spa, true)
			ended(t, app, more, false)
			ended(t, app, theirs, false)
		})
	}
}

// slo is a LogoutRequest of the provider for ada, which a test may alter, ready for the browser.
func slo(t *testing.T, w *servertest.Weir, up *samltest.Provider, over, relay string, signer *xmlsig.Signer, alter func(*binding.LogoutRequest)) (*http.Request, binding.LogoutRequest) {
	t.Helper()
	r := binding.LogoutRequest{ID: binding.NewID(), IssueInstant: w.Clock.Now(), NotOnOrAfter: w.Clock.Now().Add(time.Minute), Destination: w.URL + "/saml2/logout",
		Issuer: up.EntityID(), NameID: binding.NameID{Value: "ada@ad.corp.example", Format: samltest.FormatUnspecified}}
	if alter != nil {
		alter(&r)
	}
	out, err := binding.Send(r, over, relay, signer)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	to := samltest.Step{URL: u, Form: out.Form}
	to.URL.Scheme, to.URL.Host, to.URL.Path = "http", "login.test", "/saml2/logout" // whatever its Destination says
	req, err := to.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return req, r
}

func TestLogoutRequests(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	signers := servertest.SAMLSigners()
	t.Run("without a session index all of the person's sessions end, and nobody else's", func(t *testing.T) {
		same := func(a *etree.Element) { a.SelectElement("AuthnStatement").CreateAttr("SessionIndex", "same") }
		up.Set(samltest.Faults{Assertion: same})
		one, two, theirs := app.Login(w.Browser(), ada), app.Login(w.Browser(), ada), app.Login(w.Browser(), bob)
		up.Set(samltest.Faults{})
		other := app.Login(w.Browser(), ada)
		req, _ := slo(t, w, up, binding.HTTPRedirect, "", &signers[0], func(r *binding.LogoutRequest) { r.SessionIndexes = []string{"unknown", "same"} })
		w.Browser().Do(req)
		ended(t, app, one, true)
		ended(t, app, two, true)
		theirs = ended(t, app, theirs, false)
		other = ended(t, app, other, false)
		req, _ = slo(t, w, up, binding.HTTPRedirect, "", &signers[0], nil)
		w.Browser().Do(req)
		ended(t, app, other, true)
		ended(t, app, theirs, false)
	})
	t.Run("the answer is signed, and has the request's ID and RelayState", func(t *testing.T) {
		cert, err := w.SAMLKeys.Signing(t.Context(), servertest.PoolID)
		if err != nil {
			t.Fatal(err)
		}
		relay := `a=b&c <"d"> ` + strings.Repeat("x", 200)
		for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
			req, asked := slo(t, w, up, over, "short=1&2", &signers[0], nil)
			if over == binding.HTTPPost { // where no signature covers it, and the sender may be generous
				req = altered(t, req, func(v url.Values) { v.Set("RelayState", relay) })
			} else {
				relay = "short=1&2"
			}
			p := w.Browser().Do(req)
			target, fields := p.Next()
			in := binding.Incoming{Form: fields}
			if fields == nil {
				_, in.RawQuery, _ = strings.Cut(target, "?")
			}
			idp := strings.TrimSuffix(up.MetadataURL(), string(samltest.EndpointMetadata)) + string(samltest.EndpointSAML)
			v := binding.Receiver{Issuer: entityID, Destinations: []string{idp}, Keys: []crypto.PublicKey{cert.Certificate.PublicKey}, Now: w.Clock.Now}
			got, receipt, err := v.LogoutResponse(in, asked.ID)
			if err != nil || got.Status != binding.StatusSuccess || receipt.RelayState != relay || receipt.Binding != over {
				t.Errorf("%s: %+v, %+v, %v", over, got, receipt, err)
			}
			relay = `a=b&c <"d"> ` + strings.Repeat("x", 200)
		}
	})
	t.Run("the cookie goes only with its session", func(t *testing.T) {
		b := w.Browser()
		app.Login(b, ada)
		req, _ := slo(t, w, up, binding.HTTPRedirect, "", &signers[0], func(r *binding.LogoutRequest) { r.NameID.Value = "bob@ad.corp.example" })
		b.Do(req)
		if len(b.Cookie("weir_s_")) != 1 {
			t.Error("the session of another person went")
		}
		req, _ = slo(t, w, up, binding.HTTPRedirect, "", &signers[0], nil)
		b.Do(req)
		if len(b.Cookie("weir_s_")) != 0 {
			t.Error("the cookie of a session that has ended is left")
		}
	})
	t.Run("the store cannot say", func(t *testing.T) {
		b := w.Browser()
		tokens := app.Login(b, ada)
		req, _ := slo(t, w, up, binding.HTTPRedirect, "", &signers[0], nil)
		w.Engine.SetDown(true)
		p := b.Do(req)
		w.Engine.SetDown(false)
		if p.Status < 500 || p.Location != nil {
			t.Errorf("answer %d to %v", p.Status, p.Location)
		}
		ended(t, app, tokens, false)
	})
	tokens := app.Login(w.Browser(), ada)
	for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
		for name, tt := range map[string]struct {
			signer *xmlsig.Signer
			alter  func(*binding.LogoutRequest)
			says   string
			reason string
		}{
			"unsigned":            {nil, nil, "could not be accepted", "signature: missing"},
			"forged":              {&signers[1], nil, "could not be accepted", "no known key"},
			"another destination": {&signers[0], func(r *binding.LogoutRequest) { r.Destination = "https://evil.example/saml2/logout" }, "could not be accepted", "another destination"},
			"expired":             {&signers[0], func(r *binding.LogoutRequest) { r.NotOnOrAfter = w.Clock.Now().Add(-time.Hour) }, "could not be accepted", "too old"},
			"issued long ago": {&signers[0], func(r *binding.LogoutRequest) {
				r.IssueInstant, r.NotOnOrAfter = w.Clock.Now().Add(-time.Hour), time.Time{}
			}, "could not be accepted", "too old"},
			"from the future":            {&signers[0], func(r *binding.LogoutRequest) { r.IssueInstant = w.Clock.Now().Add(time.Hour) }, "could not be accepted", "future"},
			"of a provider nobody knows": {&signers[0], func(r *binding.LogoutRequest) { r.Issuer = "https://evil.example" }, "no identity provider that is known", ""},
		} {
			t.Run(name+" over "+over[strings.LastIndexByte(over, ':')+1:], func(t *testing.T) {
				req, _ := slo(t, w, up, over, "relay", tt.signer, tt.alter)
				w.Events.Take()
				onPage(t, w.Browser().Do(req), http.StatusBadRequest, tt.says)
				logoutFailed(t, w, tt.reason)
			})
		}
	}
	t.Run("replayed", func(t *testing.T) {
		req, _ := slo(t, w, up, binding.HTTPRedirect, "", &signers[0], func(r *binding.LogoutRequest) { r.NameID.Value = "nobody" })
		at := req.URL.String()
		if p := w.Browser().Get(at); p.Location == nil {
			t.Fatalf("answer %d %s", p.Status, p.Body)
		}
		w.Events.Take()
		onPage(t, w.Browser().Get(at), http.StatusBadRequest, "could not be accepted")
		logoutFailed(t, w, "used before")
	})
	t.Run("what is no message", func(t *testing.T) {
		for query, says := range map[string]string{
			"": "sign-out messages", "SAMLRequest=x&SAMLResponse=y": "sign-out messages", "SAMLRequest=x": "cannot be read",
			"SAMLRequest=" + strings.Repeat("A", 8<<10): "cannot be read", "SAMLRequest=x&SAMLRequest=y": "more than once",
		} {
			onPage(t, w.Browser().Get("/saml2/logout?"+query), http.StatusBadRequest, says)
		}
	})
	ended(t, app, tokens, false)
	t.Run("from a provider that has no address for the answer", func(t *testing.T) {
		up.Set(samltest.Faults{Metadata: func(root *etree.Element) {
			idp := root.SelectElement("IDPSSODescriptor")
			for _, s := range idp.SelectElements("SingleLogoutService") {
				idp.RemoveChild(s)
			}
		}})
		renew(t, w)
		tokens := app.Login(w.Browser(), ada)
		req, _ := slo(t, w, up, binding.HTTPRedirect, "", &signers[0], nil)
		if p := w.Browser().Do(req); p.Status != http.StatusOK || p.Location != nil {
			t.Errorf("answer %d to %v", p.Status, p.Location)
		}
		ended(t, app, tokens, true)
	})
}

// Two pools have the same provider, which knows each by its own name: the pool whose session ends is the one that answers.
func TestLogoutRequestOfOneOfTwoPools(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: servertest.WithOther(
		servertest.Example(servertest.SAMLProvider("Corp", up)), servertest.SAMLProvider("Corp", up))})
	w.Trust(up, servertest.PoolID, "Corp")
	w.Trust(up, servertest.OtherPool, "Corp")
	for poolID, app := range map[string]*servertest.App{servertest.PoolID: w.Web(), servertest.OtherPool: w.Other()} {
		t.Run(poolID, func(t *testing.T) {
			b := w.Browser()
			tokens := app.Login(b, ada)
			step, err := samltest.SignOut(t.Context(), b.Client, up.SignOutURL())
			if err != nil {
				t.Fatal(err)
			}
			req, err := step.Request(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p := b.Do(req)
			if got := message(t, p).SelectElement("Issuer").Text(); got != "urn:weir:sp:"+poolID {
				t.Errorf("%s answers", got)
			}
			ended(t, app, tokens, true)
		})
	}
}
