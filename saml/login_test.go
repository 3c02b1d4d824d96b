package saml_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

const passwordContext = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

// Whole sign-ins, from the application's request to its tokens, in every shape that a trust may have. Whatever
// the shape, the same person is the same user.
func TestSignIn(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	plain := func(sp *samltest.ServiceProvider) { sp.Encryption = nil }
	signs := func(s samltest.Sign) func(*samltest.ServiceProvider) {
		return func(sp *samltest.ServiceProvider) { sp.Sign = s }
	}
	first := ""
	for _, tt := range []struct {
		name      string
		over      string
		encrypted bool
		trust     []func(*samltest.ServiceProvider)
	}{
		{"signed assertion, encrypted", "", true, nil},
		{"the same over POST", "POST", true, nil},
		{"encrypted with GCM", "", true, []func(*samltest.ServiceProvider){func(sp *samltest.ServiceProvider) { sp.GCM = true }}},
		{"signed response, encrypted", "Redirect", true, []func(*samltest.ServiceProvider){signs(samltest.SignResponse)}},
		{"both signed, encrypted", "POST", true, []func(*samltest.ServiceProvider){signs(samltest.SignBoth)}},
		{"signed assertion", "Redirect", false, []func(*samltest.ServiceProvider){plain}},
		{"signed response", "POST", false, []func(*samltest.ServiceProvider){plain, signs(samltest.SignResponse)}},
		{"both signed", "", false, []func(*samltest.ServiceProvider){plain, signs(samltest.SignBoth)}},
		{"requests need no signature", "POST", true, []func(*samltest.ServiceProvider){func(sp *samltest.ServiceProvider) { sp.RequireSigned = false }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change(w, up, nil, "RequestBinding", tt.over)
			w.Trust(up, servertest.PoolID, "Corp", tt.trust...)
			b := w.Browser()
			challenge := b.Get(app.Authorize())
			if post := tt.over == "POST"; (challenge.Location == nil) != post {
				t.Fatalf("answer %d to %v for binding %q", challenge.Status, challenge.Location, tt.over)
			}
			req, err := ada(t.Context(), b, challenge)
			if err != nil {
				t.Fatal(err)
			}
			if got := decode(t, form(t, req), false).FindElement("//EncryptedAssertion") != nil; got != tt.encrypted {
				t.Errorf("encrypted: %t", got)
			}
			claims := app.Claims(app.Tokens(b.Do(req)).Text("id_token"))
			sub, _ := claims["sub"].(string)
			if first == "" {
				first = sub
			}
			if sub == "" || sub != first || claims["email"] != "ada@corp.example" || claims["name"] != "The ada" || claims["cognito:username"] != "Corp_ada@ad.corp.example" {
				t.Errorf("claims %v, want sub %q", claims, first)
			}
		})
	}
	list := users(t, w, servertest.PoolID)
	if len(list) != 1 || len(list[0].Identities) != 1 {
		t.Fatalf("users %+v", list)
	}
	if id := list[0].Identities[0]; id.ProviderType != "SAML" || id.Issuer != up.EntityID() || id.Subject != "ada@ad.corp.example" {
		t.Errorf("identity %+v", id)
	}
	if list[0].Attributes["email_verified"] == "true" {
		t.Error("an e-mail address that nobody called verified is verified")
	}
}

// The request says who we are, where the answer goes and nothing that an identity provider might refuse.
func TestRequest(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	request := func(t *testing.T, pairs ...string) *etree.Element {
		t.Helper()
		return message(t, w.Browser().Get(app.Authorize(pairs...)))
	}
	r := request(t)
	for name, want := range map[string]string{
		"Destination": strings.TrimSuffix(up.MetadataURL(), string(samltest.EndpointMetadata)) + string(samltest.EndpointSAML), "AssertionConsumerServiceURL": w.URL + "/saml2/idpresponse",
		"ProtocolBinding": binding.HTTPPost, "Version": "2.0", "ForceAuthn": "", "IsPassive": "",
	} {
		if got := r.SelectAttrValue(name, ""); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := r.SelectElement("Issuer").Text(); got != "urn:weir:sp:"+servertest.PoolID {
		t.Errorf("issuer %q", got)
	}
	if p := r.SelectElement("NameIDPolicy"); p != nil && p.SelectAttrValue("Format", "") != "" || r.SelectElement("RequestedAuthnContext") != nil {
		t.Error("the request asks for a name id format or a context")
	}
	t.Run("RelayState is the attempt's name and says nothing", func(t *testing.T) {
		b := w.Browser()
		v := b.Get(app.Authorize()).Location.Query()
		if got := b.Cookie("weir_at_")[0].Name; !strings.HasSuffix(got, "_"+v.Get("RelayState")) || len(v.Get("RelayState")) != 22 {
			t.Errorf("RelayState %q, cookie %q", v.Get("RelayState"), got)
		}
		if v.Get("SigAlg") != "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" || v.Get("Signature") == "" {
			t.Errorf("query %v", v)
		}
	})
	t.Run("prompt=login and any max_age ask for a new sign-in", func(t *testing.T) {
		for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "0"}, {"max_age", "3600"}} {
			if request(t, pairs...).SelectAttrValue("ForceAuthn", "") != "true" {
				t.Errorf("%q: no ForceAuthn", pairs)
			}
		}
	})
	t.Run("acr_values that are URIs are asked for", func(t *testing.T) {
		ctx := request(t, "acr_values", "urn:x:mfa phr urn:x:mfb").SelectElement("RequestedAuthnContext")
		if ctx == nil || ctx.SelectAttrValue("Comparison", "") != "exact" || len(ctx.ChildElements()) != 2 || ctx.ChildElements()[1].Text() != "urn:x:mfb" {
			t.Errorf("got %v", ctx)
		}
		if request(t, "acr_values", "phr").SelectElement("RequestedAuthnContext") != nil {
			t.Error("a value that is no class reference was asked for")
		}
	})
	t.Run("what the provider's details ask for", func(t *testing.T) {
		change(w, up, nil, "NameIDFormat", samltest.FormatPersistent, "ForceAuthn", "true", "SPEntityID", "https://sp.example/old",
			"RequestedAuthnContext", "urn:a:1 urn:a:2", "AuthnContextComparison", "minimum")
		r := request(t)
		ctx := r.SelectElement("RequestedAuthnContext")
		if r.SelectAttrValue("ForceAuthn", "") != "true" || r.SelectElement("Issuer").Text() != "https://sp.example/old" ||
			r.SelectElement("NameIDPolicy").SelectAttrValue("Format", "") != samltest.FormatPersistent ||
			ctx.SelectAttrValue("Comparison", "") != "minimum" || len(ctx.ChildElements()) != 2 {
			t.Errorf("got %v", r)
		}
		for wish, want := range map[string]int{"urn:b:1": 2, "urn:b:1 urn:a:2": 1} {
			if got := request(t, "acr_values", wish).SelectElement("RequestedAuthnContext").ChildElements(); len(got) != want {
				t.Errorf("wish %q: %d contexts, want %d of the settings", wish, len(got), want)
			}
		}
	})
}

// A session at the provider spares the person the form, but not where a new sign-in was asked for.
func TestFreshness(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	b := w.Browser()
	app.Login(b, ada)
	w.Clock.Advance(2 * time.Hour) // the session here is over, the one there is not
	if p := b.SignIn(app.Authorize(), servertest.VisitSAML); p.Params().Get("code") == "" {
		t.Fatalf("a session at the provider did not do: %s", p.Body)
	}
	for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "600"}} {
		w.Clock.Advance(2 * time.Hour)
		if _, err := servertest.VisitSAML(t.Context(), b, b.Get(app.Authorize(pairs...))); err == nil {
			t.Errorf("%q: the provider did not ask", pairs)
		}
		claims := app.Claims(app.Login(b, ada, pairs...).Text("id_token"))
		if got := claims["auth_time"]; got != float64(w.Clock.Now().Unix()) {
			t.Errorf("%q: auth_time %v", pairs, got)
		}
	}
	t.Run("a provider that does not ask is not believed", func(t *testing.T) {
		old := w.Clock.Now().Add(-time.Hour)
		up.Set(samltest.Faults{Assertion: func(a *etree.Element) {
			a.SelectElement("AuthnStatement").CreateAttr("AuthnInstant", old.Format(time.RFC3339))
		}})
		defer up.Set(samltest.Faults{})
		for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "600"}} {
			w.Events.Take()
			notAccepted(t, w, w.Browser().SignIn(app.Authorize(pairs...), ada), "force_authn")
		}
		claims := app.Claims(app.Login(w.Browser(), ada).Text("id_token"))
		if claims["auth_time"] != float64(old.Unix()) {
			t.Errorf("auth_time %v, want %v", claims["auth_time"], old.Unix())
		}
	})
	t.Run("prompt=none asks nobody", func(t *testing.T) {
		up.Forget()
		toClient(t, w.Browser().Get(app.Authorize("prompt", "none")), "login_required", "")
		if len(up.Requests(samltest.EndpointSAML)) != 0 {
			t.Error("a request at the provider")
		}
	})
}

// What a SAML login costs in durable writes, counted at the store from authorize to tokens.
func TestDurableWrites(t *testing.T) {
	w, _ := start(t)
	app := w.Web()
	app.Login(w.Browser(), ada) // makes the user, the keys, and the copy of the metadata
	for name, tt := range map[string]struct {
		login func()
		want  string
	}{
		"a returning user's login: the grant, the code spent, and the replay record": {func() { app.Login(w.Browser(), ada) }, "grant 2, samlreplay 1"},
		"a first login: the user too": {func() { app.Login(w.Browser(), bob) }, "grant 2, samlreplay 1, user 1"},
		"a sign-in that is cancelled: its trace, and one write more for every 32": {func() { w.Browser().SignIn(app.Authorize(), servertest.CancelSAML) }, "trace 1, trace_turn 1"},
		"a sign-in that is never finished":                                        {func() { w.Browser().ToCallback(app.Authorize(), ada) }, ""},
		"a response that is refused": {func() {
			w.Browser().Do(altered(t, w.Browser().ToCallback(app.Authorize(), ada), func(v url.Values) { v.Set("SAMLResponse", "AAAA") }))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.Clock.Advance(time.Second)
			w.Engine.Reset()
			tt.login()
			if got := w.Engine.Written(); got != tt.want {
				t.Errorf("written: %q, want %q", got, tt.want)
			}
		})
	}
}

// 50 browsers sign the same person in at once, for the first time: one user.
func TestParallelFirstLogins(t *testing.T) {
	w, _ := start(t)
	app := w.Web()
	const n = 50
	pages, errs := make(chan *servertest.Page, n), make(chan error, n)
	for range n {
		b := w.Browser()
		go func() {
			p, err := b.TrySignIn(t.Context(), app.Authorize(), ada)
			pages <- p
			errs <- err
		}()
	}
	subs := map[any]int{}
	for range n {
		p := <-pages
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		subs[app.Claims(app.Tokens(p).Text("id_token"))["sub"]]++
	}
	created := 0
	for _, r := range w.Log.Records("msg", "login.finished") {
		if r["created"] == true {
			created++
		}
	}
	if list := users(t, w, servertest.PoolID); len(list) != 1 || len(subs) != 1 || created != 1 {
		t.Errorf("%d users, %d subs, %d times created", len(list), len(subs), created)
	}
}

// What the provider says no to, or fails to do, ends at the application with the right code.
func TestProviderSaysNo(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	for name, tt := range map[string]struct {
		status             samltest.Status
		code, says, reason string
	}{
		"the person failed":        {samltest.Status{Code: binding.StatusResponder, SubCode: samltest.StatusAuthnFailed}, "access_denied", "cancelled or refused", "AuthnFailed"},
		"it refuses":               {samltest.Status{Code: binding.StatusResponder, SubCode: samltest.StatusRequestDenied}, "access_denied", "cancelled or refused", "RequestDenied"},
		"it would have to ask":     {samltest.Status{Code: binding.StatusResponder, SubCode: samltest.StatusNoPassive}, "login_required", "needs you to sign in", "NoPassive"},
		"it cannot do the context": {samltest.Status{Code: binding.StatusResponder, SubCode: samltest.StatusNoAuthnContext}, "server_error", "could not be accepted", "NoAuthnContext"},
		"it has a message for the administrator": {samltest.Status{Code: binding.StatusRequester, SubCode: samltest.StatusInvalidNameIDPolicy, Message: "MSIS7070: <script>"},
			"server_error", "could not be accepted", "MSIS7070"},
	} {
		t.Run(name, func(t *testing.T) {
			up.Set(samltest.Faults{Status: &tt.status})
			defer up.Set(samltest.Faults{})
			w.Events.Take()
			b := w.Browser()
			p := b.SignIn(app.Authorize(), servertest.VisitSAML)
			toClient(t, p, tt.code, tt.says)
			failed(t, w, p, tt.reason)
			if len(b.Cookie("weir_")) != 0 {
				t.Errorf("cookies %v", b.Cookie("weir_"))
			}
		})
	}
	t.Run("the person cancels", func(t *testing.T) {
		w.Events.Take()
		p := w.Browser().SignIn(app.Authorize(), servertest.CancelSAML)
		toClient(t, p, "access_denied", "cancelled")
		failed(t, w, p, "RequestDenied")
	})
	t.Run("a context that the provider does not know", func(t *testing.T) {
		p := w.Browser().SignIn(app.Authorize("acr_values", "urn:x:mfa"), servertest.VisitSAML)
		toClient(t, p, "server_error", "")
		app.Login(w.Browser(), ada, "acr_values", passwordContext)
	})
	t.Run("the metadata has no address for the binding", func(t *testing.T) {
		up.Set(samltest.Faults{Metadata: func(root *etree.Element) {
			for _, s := range root.FindElements("//SingleSignOnService[@Binding='" + binding.HTTPPost + "']") {
				s.Parent().RemoveChild(s)
			}
		}})
		defer up.Set(samltest.Faults{})
		change(w, up, nil, "RequestBinding", "POST")
		renew(t, w)
		w.Events.Take()
		p := w.Browser().Get(app.Authorize())
		toClient(t, p, "invalid_request", "An administrator has to change it")
		failed(t, w, p, "remove RequestBinding or choose the other one")
	})
}

// On plain http a browser holds its Lax cookies back from the provider's cross-site POST: a page of ours posts it again.
func TestRepost(t *testing.T) {
	w, _ := start(t)
	app, b := w.Web(), w.Browser()
	req := b.ToCallback(app.Authorize(), ada)
	first := w.Browser().Do(altered(t, req, func(url.Values) {})) // without the cookie
	action, fields := first.Form()
	if first.Status != http.StatusOK || action != w.URL+"/saml2/idpresponse?weir_reposted=1" {
		t.Fatalf("answer %d, posts to %q", first.Status, action)
	}
	app.Code(b.Post(action, fields))
}
