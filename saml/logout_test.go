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

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/saml/xmlsig"
	"github.com/weir-id/weir/server/servertest"
)

// signOut is the address at which a person signs out of the application of Example.
const signOut = "/logout?client_id=" + servertest.WebClient + "&logout_uri=" + servertest.LogoutURI

// leaves checks that a sign-out ends where the application wanted.
func leaves(t *testing.T, p *servertest.Page) {
	t.Helper()
	if p.Location == nil || p.Location.String() != servertest.LogoutURI {
		t.Errorf("answer %d to %v, want the application's logout_uri\n%s", p.Status, p.Location, p.Body)
	}
}

// ended checks that a sign-in gives nothing any more, or still does.
func ended(t *testing.T, app *servertest.App, tokens *servertest.Answer, want bool) *servertest.Answer {
	t.Helper()
	ans := app.Refresh(tokens.Text("refresh_token"))
	if got := ans.Text("error") == "invalid_grant"; got != want || !got && ans.Status != http.StatusOK {
		t.Errorf("refresh: %d %s, want ended: %t", ans.Status, ans.Body, want)
	}
	if ans.Text("refresh_token") == "" {
		return tokens
	}
	return ans
}

// logoutFailed checks that a failed sign-out was recorded for that reason, or none where reason is "".
func logoutFailed(t *testing.T, w *servertest.Weir, reason string) {
	t.Helper()
	var reasons []string
	for _, e := range w.Events.Take() {
		if f, ok := e.(audit.LogoutFailed); ok {
			reasons = append(reasons, f.Reason)
		}
	}
	if reason == "" && len(reasons) > 0 || reason != "" && (len(reasons) != 1 || !strings.Contains(reasons[0], reason)) {
		t.Errorf("failed sign-outs %q, want %q", reasons, reason)
	}
}

// signedIn reports whether a browser has a session at the provider.
func signedIn(t *testing.T, w *servertest.Weir, b *servertest.Browser) bool {
	t.Helper()
	_, err := servertest.VisitSAML(t.Context(), b, b.Get(w.Web().Authorize("prompt", "select_account")))
	if err != nil && !errors.Is(err, samltest.ErrPage) {
		t.Fatal(err)
	}
	return err == nil
}

func TestSignOutGoesOnToTheProvider(t *testing.T) {
	w, up := start(t, "IDPSignout", "true")
	app := w.Web()
	for _, over := range []string{"Redirect", "POST"} {
		t.Run(over, func(t *testing.T) {
			change(w, up, nil, "IDPSignout", "true", "RequestBinding", over)
			w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) {
				sp.NameID = samltest.NameIDRule{Format: samltest.FormatPersistent, NameQualifier: "urn:q <&>", SPNameQualifier: "urn:sp"}
				if over == "POST" {
					sp.LogoutBinding = binding.HTTPPost
				}
			})
			index := ""
			up.Set(samltest.Faults{Assertion: func(a *etree.Element) { index = a.SelectElement("AuthnStatement").SelectAttrValue("SessionIndex", "") }})
			b := w.Browser()
			tokens := app.Login(b, ada)
			w.Events.Take()
			p := b.Get(signOut)
			if (p.Location == nil) != (over == "POST") {
				t.Fatalf("answer %d to %v", p.Status, p.Location)
			}
			if len(b.Cookie("weir_s_")) != 0 {
				t.Error("the session is left to the provider's answer")
			}
			m := message(t, p)
			name := m.SelectElement("NameID")
			want := map[string]string{"Format": samltest.FormatPersistent, "NameQualifier": "urn:q <&>", "SPNameQualifier": "urn:sp", "SPProvidedID": ""}
			for attr, v := range want {
				if got := name.SelectAttrValue(attr, ""); got != v {
					t.Errorf("%s is %q, want %q", attr, got, v)
				}
			}
			if m.Tag != "LogoutRequest" || name.Text() != "ada@ad.corp.example" || len(m.SelectElements("SessionIndex")) != 1 || m.SelectElement("SessionIndex").Text() != index ||
				m.SelectElement("Issuer").Text() != entityID || m.SelectAttrValue("NotOnOrAfter", "") != w.Clock.Now().Add(5*time.Minute).Format("2006-01-02T15:04:05.000Z") {
				t.Errorf("got %q, session %q", name.Text(), index)
			}
			ended(t, app, tokens, true)
			back, err := servertest.VisitSAML(t.Context(), b, p)
			if err != nil {
				t.Fatal(err)
			}
			if (back.Method == http.MethodPost) != (over == "POST") || back.URL.Path != "/saml2/logout" {
				t.Errorf("the answer comes by %s %s", back.Method, back.URL)
			}
			leaves(t, b.Do(back))
			logoutFailed(t, w, "")
			if len(b.Cookie("weir_")) != 0 || signedIn(t, w, b) {
				t.Errorf("cookies %v, or the provider's session goes on", b.Cookie("weir_"))
			}
		})
	}
}

// Where the provider takes no part the person goes straight to the application.
func TestSignOutWithoutTheProvider(t *testing.T) {
	out := func(t *testing.T, w *servertest.Weir) {
		t.Helper()
		b := w.Browser()
		tokens := w.Web().Login(b, ada)
		w.Events.Take()
		leaves(t, b.Get(signOut))
		ended(t, w.Web(), tokens, true)
		if len(b.Cookie("weir_")) != 0 {
			t.Errorf("cookies %v", b.Cookie("weir_"))
		}
	}
	w, up := start(t)
	t.Run("IDPSignout is off by default", func(t *testing.T) {
		up.Forget()
		out(t, w)
		logoutFailed(t, w, "")
		if n := len(up.Requests(samltest.EndpointSAML)); n != 1 { // the sign-in
			t.Errorf("%d requests at the provider", n)
		}
	})
	t.Run("no NameID to name the session by", func(t *testing.T) {
		change(w, up, nil, "IDPSignout", "true", "SubjectAttribute", "email")
		w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.NameID.None = true })
		out(t, w)
		logoutFailed(t, w, "")
		w.Trust(up, servertest.PoolID, "Corp")
	})
	t.Run("a provider without single logout", func(t *testing.T) {
		up.Set(samltest.Faults{Metadata: func(root *etree.Element) {
			idp := root.SelectElement("IDPSSODescriptor")
			for _, s := range idp.SelectElements("SingleLogoutService") {
				idp.RemoveChild(s)
			}
		}})
		defer up.Set(samltest.Faults{})
		change(w, up, nil, "IDPSignout", "true")
		renew(t, w)
		out(t, w)
		logoutFailed(t, w, "")
	})
	t.Run("the provider was removed meanwhile", func(t *testing.T) {
		b := w.Browser()
		w.Web().Login(b, ada)
		if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Corp"); err != nil {
			t.Fatal(err)
		}
		w.Events.Take()
		leaves(t, b.Get(signOut))
		logoutFailed(t, w, "not")
	})
}

// Whatever the provider answers, the person ends where the application wanted: the session here is over.
func TestAnswersToSignOut(t *testing.T) {
	w, up := start(t, "IDPSignout", "true")
	app := w.Web()
	stranger := servertest.SAMLSigners()[1]
	begin := func(t *testing.T) (*servertest.Browser, *http.Request) {
		t.Helper()
		b := w.Browser()
		app.Login(b, ada)
		req, err := servertest.VisitSAML(t.Context(), b, b.Get(signOut))
		if err != nil {
			t.Fatal(err)
		}
		w.Events.Take()
		return b, req
	}
	for name, tt := range map[string]struct {
		faults samltest.Faults
		reason string
	}{
		"it refuses": {samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) {
			r.Status, r.SubStatus, r.Message = binding.StatusResponder, samltest.StatusRequestDenied, "no <b>"
		}}, "did not complete the logout"},
		"it did so in part":    {samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) { r.SubStatus = binding.StatusPartialLogout }}, ""},
		"for another request":  {samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) { r.InResponseTo = "_other" }}, "answers another request"},
		"for another address":  {samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) { r.Destination += "?x=1" }}, "for another destination"},
		"issued long ago":      {samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) { r.IssueInstant = w.Clock.Now().Add(-time.Hour) }}, "too old"},
		"from another issuer":  {samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) { r.Issuer = "https://evil.example" }}, "from another issuer"},
		"signed by a stranger": {samltest.Faults{Signer: &stranger}, "no known key"},
	} {
		t.Run(name, func(t *testing.T) {
			b, req := func() (*servertest.Browser, *http.Request) {
				b := w.Browser()
				app.Login(b, ada)
				up.Set(tt.faults)
				defer up.Set(samltest.Faults{})
				req, err := servertest.VisitSAML(t.Context(), b, b.Get(signOut))
				if err != nil {
					t.Fatal(err)
				}
				return b, req
			}()
			w.Events.Take()
			p := b.Do(req)
			leaves(t, p)
			logoutFailed(t, w, tt.reason)
			if len(b.Cookie("weir_")) != 0 {
				t.Errorf("cookies %v", b.Cookie("weir_"))
			}
		})
	}
	t.Run("unsigned", func(t *testing.T) {
		b, req := begin(t)
		v := req.URL.Query()
		v.Del("Signature")
		v.Del("SigAlg")
		leaves(t, b.Get(req.URL.Path+"?"+v.Encode()))
		logoutFailed(t, w, "signature: missing")
	})
	t.Run("in a browser that did not ask", func(t *testing.T) {
		b, req := begin(t)
		p := w.Browser().Get(req.URL.String())
		if p.Status != http.StatusOK || p.Location != nil {
			t.Errorf("answer %d to %v", p.Status, p.Location)
		}
		t.Run("nor with the cookie under another name", func(t *testing.T) {
			v := req.URL.Query()
			own := b.Cookie("weir_lo_")[0]
			forged, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/saml2/logout?SAMLResponse="+url.QueryEscape(v.Get("SAMLResponse"))+"&RelayState=other", nil)
			if err != nil {
				t.Fatal(err)
			}
			forged.AddCookie(&http.Cookie{Name: "weir_lo_other", Value: own.Value})
			if p := w.Browser().Do(forged); p.Location != nil {
				t.Errorf("goes to %v", p.Location)
			}
		})
		leaves(t, b.Do(req))
		t.Run("nor twice", func(t *testing.T) {
			if p := b.Get(req.URL.String()); p.Location != nil || p.Status != http.StatusOK {
				t.Errorf("answer %d to %v", p.Status, p.Location)
			}
		})
	})
	t.Run("on plain http a POST comes without the cookie, and again with it", func(t *testing.T) {
		w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.LogoutBinding = binding.HTTPPost })
		b, req := begin(t)
		action, fields := w.Browser().Do(altered(t, req, func(url.Values) {})).Form()
		if action != w.URL+"/saml2/logout?weir_reposted=1" {
			t.Fatalf("posts to %q", action)
		}
		leaves(t, b.Post(action, fields))
		logoutFailed(t, w, "")
	})
}

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
