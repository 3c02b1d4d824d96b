package saml_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
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
	t.Run("a name that is too long to be kept: the sign-in stands, and the sign-out says why it went no further", func(t *testing.T) {
		change(w, up, nil, "IDPSignout", "true")
		for _, tt := range []struct {
			qualifier int
			reason    string
		}{
			{700, ""},
			{1000, "too long to be kept for the provider's logout: 1"},
		} {
			w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) {
				sp.NameID = samltest.NameIDRule{Format: samltest.FormatPersistent, NameQualifier: strings.Repeat("q", tt.qualifier)}
			})
			b := w.Browser()
			tokens := w.Web().Login(b, ada)
			w.Events.Take()
			p := b.Get(signOut)
			if tt.reason == "" {
				if target, _ := p.Next(); !strings.Contains(target, "SAMLRequest=") {
					t.Errorf("%d bytes: the provider is not asked: %d to %q", tt.qualifier, p.Status, target)
				}
			} else {
				leaves(t, p)
			}
			logoutFailed(t, w, tt.reason)
			ended(t, w.Web(), tokens, true)
		}
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
