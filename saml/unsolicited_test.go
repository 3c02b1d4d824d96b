package saml_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

const entityID = "urn:weir:sp:" + servertest.PoolID

// portal runs a Weir on https, whose provider Corp may start sign-ins, with these details besides.
func portal(t *testing.T, alter func(*servertest.Options, *samltest.Provider), pairs ...string) (*servertest.Weir, *samltest.Provider) {
	t.Helper()
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	o := servertest.Options{Clock: clock, BaseURL: servertest.HTTPS,
		Spec: servertest.Example(servertest.SAMLProvider("Corp", up, append([]string{"IDPInit", "true"}, pairs...)...))}
	if alter != nil {
		alter(&o, up)
	}
	w := servertest.Start(t, o)
	w.Trust(up, servertest.PoolID, "Corp")
	return w, up
}

// initiated signs ada in at the provider's own page and returns what brings the browser here.
func initiated(t *testing.T, b *servertest.Browser, up *samltest.Provider, relay string) *http.Request {
	t.Helper()
	step, err := samltest.SignIn(t.Context(), b.Client, up.InitiateURL(entityID, relay), nil, "ada", "ada")
	if err != nil {
		t.Fatal(err)
	}
	req, err := step.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// target is the RelayState of the usual sign-in; pairs are as in App.Request.
func target(pairs ...string) url.Values {
	v := url.Values{"identity_provider": {"Corp"}, "client_id": {servertest.WebClient}, "redirect_uri": {servertest.WebURI},
		"response_type": {"code"}, "scope": {"openid email"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func TestUnsolicited(t *testing.T) {
	w, up := portal(t, func(o *servertest.Options, _ *samltest.Provider) {
		o.Spec.UserPools[0].IdentityProviders[0].IdpIdentifiers = []string{"corp.example"}
	})
	app := w.Web()
	for name, tt := range map[string]struct {
		relay url.Values
		scope string
	}{
		"every member":     {target("state", "s", "nonce", "n"), "openid email"},
		"without scope":    {target("scope", ""), "openid email phone profile"},
		"by an identifier": {target("identity_provider", "", "idp_identifier", "corp.example"), "openid email"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Events.Take()
			b := w.Browser()
			p := b.Do(initiated(t, b, up, tt.relay.Encode()))
			ans := app.Redeem(app.Code(p), "code_verifier", "")
			if ans.Status != http.StatusOK {
				t.Fatalf("token request: %d %s", ans.Status, ans.Body)
			}
			id, access := app.Claims(ans.Text("id_token")), app.Claims(ans.Text("access_token"))
			nonce, _ := id["nonce"].(string)
			if p.Params().Get("state") != tt.relay.Get("state") || nonce != tt.relay.Get("nonce") || access["scope"] != tt.scope || id["email"] != "ada@corp.example" {
				t.Errorf("sent %v, ID token %v, access token %v", p.Params(), id, access)
			}
			var finished audit.LoginFinished
			for _, e := range w.Events.Take() {
				if f, ok := e.(audit.LoginFinished); ok {
					finished = f
				}
			}
			if !finished.Unsolicited || finished.Provider != "Corp" || finished.Client != servertest.WebClient {
				t.Errorf("event %+v", finished)
			}
			if p := b.Get(app.Authorize()); p.Params().Get("code") == "" {
				t.Error("no session")
			}
		})
	}
	t.Run("on plain http it comes by way of a page of ours", func(t *testing.T) {
		w, up := start(t, "IDPInit", "true")
		b := w.Browser()
		action, fields := b.Do(initiated(t, b, up, target().Encode())).Form()
		w.Web().Code(b.Post(action, fields))
	})
}

// Whatever is wrong with a sign-in that nobody asked for ends on a page: there is no application that waits for it.
func TestUnsolicitedRefused(t *testing.T) {
	w, up := portal(t, func(o *servertest.Options, up *samltest.Provider) {
		o.Spec = servertest.WithOther(o.Spec, servertest.SAMLProvider("Corp", up, "IDPInit", "true"))
	})
	repeated := target()
	repeated.Add("scope", "email")
	for name, tt := range map[string]struct {
		relay  string
		status int
		says   string
		reason string
	}{
		"an unknown member":              {target("next", "https://evil.example").Encode(), 400, "does not say where to go", `"next"`},
		"PKCE, which nobody can redeem":  {target("code_challenge", servertest.Challenge(servertest.Verifier)).Encode(), 400, "does not say where to go", `"code_challenge"`},
		"a repeated member":              {repeated.Encode(), 400, "does not say where to go", `"scope"`},
		"a bad escape":                   {"client_id=%zz", 400, "does not say where to go", "RelayState"},
		"no client":                      {target("client_id", "").Encode(), 400, "client_id", ""},
		"an unknown client":              {target("client_id", "nobody").Encode(), 400, "client_id is wrong", ""},
		"no provider":                    {target("identity_provider", "").Encode(), 400, "does not say where to go", "identity_provider"},
		"an unknown provider":            {target("identity_provider", "Other").Encode(), 400, "does not offer", ""},
		"an unknown identifier":          {target("identity_provider", "", "idp_identifier", "x").Encode(), 400, "idp_identifier", ""},
		"no redirect_uri":                {target("redirect_uri", "").Encode(), 400, "names no redirect_uri", ""},
		"an unregistered redirect_uri":   {target("redirect_uri", "https://evil.example/").Encode(), 400, "not registered", ""},
		"another client's redirect_uri":  {target("redirect_uri", servertest.SPAURI).Encode(), 400, "not registered", ""},
		"a scope that is not allowed":    {target("scope", "openid admin").Encode(), 400, "scope is not allowed", ""},
		"no response_type":               {target("response_type", "").Encode(), 400, "response_type", ""},
		"the implicit flow":              {target("response_type", "token").Encode(), 400, "response_type", ""},
		"a client that needs PKCE":       {target("client_id", servertest.SPAClient, "redirect_uri", servertest.SPAURI).Encode(), 400, "must use PKCE", ""},
		"another pool's client":          {target("client_id", servertest.OtherApp, "redirect_uri", servertest.SPAURI).Encode(), 400, "must use PKCE", ""},
		"nothing, and no default client": {"", 400, "does not say where to go", "exactly one provider of that entity id must have DefaultClientId, 0 have"},
		"a name without members":         {"target", 400, "no longer valid", "no sign-in under way"},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.Browser()
			w.Events.Take()
			p := b.Do(initiated(t, b, up, tt.relay))
			onPage(t, p, tt.status, tt.says)
			failed(t, w, p, tt.reason)
		})
	}
	usual := target().Encode()
	const notAccepted = "could not be accepted"
	t.Run("more than 6 minutes old", func(t *testing.T) {
		b := w.Browser()
		req := initiated(t, b, up, usual)
		w.Clock.Advance(6 * time.Minute)
		w.Events.Take()
		p := b.Do(req)
		onPage(t, p, http.StatusBadGateway, notAccepted)
		failed(t, w, p, "(stale)")
	})
	t.Run("twice", func(t *testing.T) {
		b := w.Browser()
		req := initiated(t, b, up, usual)
		again := altered(t, req, func(url.Values) {})
		w.Web().Code(b.Do(req))
		w.Events.Take()
		p := w.Browser().Do(again)
		onPage(t, p, http.StatusBadGateway, notAccepted)
		failed(t, w, p, "used before")
	})
	t.Run("an answer that somebody else asked for", func(t *testing.T) {
		req := w.Browser().ToCallback(w.Web().Authorize(), eve)
		w.Events.Take()
		p := w.Browser().Do(altered(t, req, func(v url.Values) { v.Set("RelayState", usual) }))
		onPage(t, p, http.StatusBadGateway, notAccepted)
		failed(t, w, p, "(in_response_to)")
	})
	t.Run("an answer of which only the assertion says so", func(t *testing.T) {
		up.Set(samltest.Faults{Response: func(r *etree.Element) { r.RemoveAttr("InResponseTo") }})
		defer up.Set(samltest.Faults{})
		req := w.Browser().ToCallback(w.Web().Authorize(), eve)
		w.Events.Take()
		p := w.Browser().Do(altered(t, req, func(v url.Values) { v.Set("RelayState", usual) }))
		onPage(t, p, http.StatusBadGateway, notAccepted)
		failed(t, w, p, "(in_response_to)")
	})
	t.Run("a response for another pool of the same provider", func(t *testing.T) {
		b := w.Browser()
		up.Set(samltest.Faults{Assertion: func(a *etree.Element) { a.FindElement("//Audience").SetText("urn:weir:sp:" + servertest.OtherPool) }})
		defer up.Set(samltest.Faults{})
		req := initiated(t, b, up, usual)
		w.Events.Take()
		p := b.Do(req)
		onPage(t, p, http.StatusBadGateway, notAccepted)
		failed(t, w, p, "(audience)")
	})
	t.Run("unsigned", func(t *testing.T) {
		none := samltest.SignNothing
		up.Set(samltest.Faults{Sign: &none})
		defer up.Set(samltest.Faults{})
		b := w.Browser()
		req := initiated(t, b, up, usual)
		w.Events.Take()
		p := b.Do(req)
		onPage(t, p, http.StatusBadGateway, notAccepted)
		failed(t, w, p, "(unsigned)")
	})
	t.Run("where the provider says no", func(t *testing.T) {
		step, err := samltest.Cancel(t.Context(), w.Browser().Client, up.InitiateURL(entityID, usual), nil)
		if err != nil {
			t.Fatal(err)
		}
		req, err := step.Request(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		onPage(t, w.Browser().Do(req), http.StatusForbidden, "cancelled or refused")
	})
	t.Run("where it is off, as it is by default", func(t *testing.T) {
		for _, pairs := range [][]string{nil, {"IDPInit", "false"}} {
			change(w, up, nil, pairs...)
			b := w.Browser()
			req := initiated(t, b, up, usual)
			w.Events.Take()
			p := b.Do(req)
			onPage(t, p, http.StatusForbidden, "Start at the application")
			failed(t, w, p, "IDPInit is not true")
		}
	})
	if list := users(t, w, servertest.OtherPool); len(list) != 0 {
		t.Errorf("users %+v", list)
	}
}

func TestDefaultClient(t *testing.T) {
	second := func(name string, pairs ...string) func(*servertest.Options, *samltest.Provider) {
		return func(o *servertest.Options, up *samltest.Provider) {
			p := servertest.SAMLProvider(name, up, append([]string{"IDPInit", "true"}, pairs...)...)
			o.Spec.UserPools[0].IdentityProviders = append(o.Spec.UserPools[0].IdentityProviders, p)
		}
	}
	arrive := func(t *testing.T, w *servertest.Weir, up *samltest.Provider) *servertest.Page {
		t.Helper()
		b := w.Browser()
		req := initiated(t, b, up, "")
		w.Events.Take()
		return b.Do(req)
	}
	t.Run("with its redirect URI", func(t *testing.T) {
		w, up := portal(t, nil, "DefaultClientId", servertest.WebClient, "DefaultRedirectURI", servertest.WebURI)
		p := arrive(t, w, up)
		if ans := w.Web().Redeem(w.Web().Code(p), "code_verifier", ""); ans.Status != http.StatusOK || p.Params().Has("state") {
			t.Errorf("%d %s, sent %v", ans.Status, ans.Body, p.Params())
		}
	})
	t.Run("with the client's own redirect URI, beside a provider that has none", func(t *testing.T) {
		w, up := portal(t, func(o *servertest.Options, up *samltest.Provider) {
			second("Same")(o, up)
			o.Spec.UserPools[0].Clients[0].DefaultRedirectURI = servertest.WebURI
		}, "DefaultClientId", servertest.WebClient)
		w.Web().Code(arrive(t, w, up))
	})
	t.Run("two providers of the same entity id", func(t *testing.T) {
		w, up := portal(t, second("Same", "DefaultClientId", servertest.WebClient), "DefaultClientId", servertest.WebClient)
		p := arrive(t, w, up)
		onPage(t, p, http.StatusBadRequest, "does not say where to go")
		failed(t, w, p, "exactly one provider of that entity id must have DefaultClientId, 2 have")
	})
	t.Run("two pools with the same provider, told apart by their hosts", func(t *testing.T) {
		w, up := portal(t, func(o *servertest.Options, up *samltest.Provider) {
			o.Spec = servertest.WithOther(o.Spec, servertest.SAMLProvider("Corp", up, "IDPInit", "true",
				"DefaultClientId", servertest.OtherApp, "DefaultRedirectURI", servertest.SPAURI))
		}, "DefaultClientId", servertest.WebClient, "DefaultRedirectURI", servertest.WebURI)
		onPage(t, arrive(t, w, up), http.StatusBadRequest, "does not say where to go")
		w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.ACS = []string{"https://acme.example.com/saml2/idpresponse"} })
		w.Web().Code(arrive(t, w, up))
	})
	t.Run("a redirect URI that is not registered", func(t *testing.T) {
		w, up := portal(t, nil, "DefaultClientId", servertest.WebClient, "DefaultRedirectURI", "https://evil.example/")
		p := arrive(t, w, up)
		onPage(t, p, http.StatusBadRequest, "not registered")
		failed(t, w, p, "")
	})
	t.Run("a sender that nobody knows", func(t *testing.T) {
		w, up := portal(t, nil, "DefaultClientId", servertest.WebClient, "DefaultRedirectURI", servertest.WebURI)
		up.Set(samltest.Faults{Response: func(r *etree.Element) { r.SelectElement("Issuer").SetText("https://evil.example") }})
		p := arrive(t, w, up)
		onPage(t, p, http.StatusBadRequest, "does not say where to go")
		failed(t, w, p, "0 have")
	})
	t.Run("what is no message at all", func(t *testing.T) {
		w, _ := portal(t, nil, "DefaultClientId", servertest.WebClient, "DefaultRedirectURI", servertest.WebURI)
		for name, v := range map[string]url.Values{
			"nothing": {}, "garbage": {"SAMLResponse": {"AAAA"}}, "huge": {"SAMLResponse": {strings.Repeat("A", 400<<10)}},
			"a request": {"SAMLRequest": {"AAAA"}},
		} {
			w.Events.Take()
			p := w.Browser().Post("/saml2/idpresponse", v)
			if p.Status != http.StatusBadRequest || p.Location != nil {
				t.Errorf("%s: answer %d to %v", name, p.Status, p.Location)
			}
			failed(t, w, p, "")
		}
	})
	t.Run("a response larger than a logout message may be", func(t *testing.T) {
		w, up := portal(t, nil, "DefaultClientId", servertest.WebClient, "DefaultRedirectURI", servertest.WebURI)
		up.Set(samltest.Faults{Assertion: func(a *etree.Element) {
			groups := a.FindElement("//Attribute[@Name='" + samltest.ClaimGroup + "']")
			for range 2500 {
				groups.CreateElement("AttributeValue").SetText("CORP\\A group with a long name")
			}
		}})
		w.Web().Code(arrive(t, w, up))
	})
}
