package saml_test

import (
	"testing"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

const (
	mfaContext     = "http://schemas.microsoft.com/claims/multipleauthn"
	windowsContext = "urn:federation:authentication:windows"
)

// answersIn makes the provider say that people sign in in that way, whatever it was asked for; "" is that it does not say.
func answersIn(up *samltest.Provider, class string) {
	up.Set(samltest.Faults{Assertion: func(a *etree.Element) {
		ctx := a.FindElement("AuthnStatement/AuthnContext")
		if class == "" {
			ctx.RemoveChild(ctx.SelectElement("AuthnContextClassRef"))
			return
		}
		ctx.SelectElement("AuthnContextClassRef").SetText(class)
	}})
}

// With the comparison exact the answer has to name one of the contexts that were asked for (SAML core section 3.3.2.2.1).
func TestRequestedAuthnContextIsCheckedInTheAnswer(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	for _, tt := range []struct {
		name    string
		details []string
		request []string // of the application
		answer  string
		reason  string // "" is accepted
	}{
		{"nothing asked, anything answered", nil, nil, "urn:x:any", ""},
		{"nothing asked, nothing answered", nil, nil, "", ""},
		{"what the settings ask for", []string{"RequestedAuthnContext", passwordContext}, nil, passwordContext, ""},
		{"the second of what the settings ask for", []string{"RequestedAuthnContext", "urn:x:1 " + passwordContext}, nil, passwordContext, ""},
		{"another one", []string{"RequestedAuthnContext", passwordContext}, nil, windowsContext,
			`saml response refused (authn_context): The person signed in with the authentication context "` + windowsContext +
				`" (Windows Authentication), and we asked for exactly "` + passwordContext + `": have the identity provider sign people in that way`},
		{"none at all", []string{"RequestedAuthnContext", passwordContext}, nil, "", "it has no AuthnContextClassRef"},
		{"what the application asks for", nil, []string{"acr_values", "phr " + passwordContext}, passwordContext, ""},
		{"another one than the application asks for", nil, []string{"acr_values", passwordContext}, mfaContext, "(authn_context)"},
		{"the application's wish does not undo the settings", []string{"RequestedAuthnContext", passwordContext}, []string{"acr_values", mfaContext}, mfaContext, "(authn_context)"},
		{"and does not get in the way of what they ask for", []string{"RequestedAuthnContext", passwordContext}, []string{"acr_values", mfaContext}, passwordContext, ""},
		{"it chooses among them", []string{"RequestedAuthnContext", mfaContext + " " + passwordContext}, []string{"acr_values", "urn:x:1 " + passwordContext}, mfaContext, "(authn_context)"},
		{"acr_values that are no contexts ask for nothing", nil, []string{"acr_values", "phr"}, "urn:x:any", ""},
		{"minimum: the provider's word counts", []string{"RequestedAuthnContext", passwordContext, "AuthnContextComparison", "minimum"}, nil, mfaContext, ""},
		{"maximum, asked by the application", []string{"AuthnContextComparison", "maximum"}, []string{"acr_values", passwordContext}, windowsContext, ""},
		{"better", []string{"RequestedAuthnContext", passwordContext, "AuthnContextComparison", "better"}, nil, "urn:x:any", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change(w, up, nil, tt.details...)
			answersIn(up, tt.answer)
			w.Events.Take()
			if tt.reason == "" {
				app.Login(w.Browser(), ada, tt.request...)
				return
			}
			notAccepted(t, w, w.Browser().SignIn(app.Authorize(tt.request...), ada), tt.reason)
		})
	}
	t.Run("the claim can be mapped", func(t *testing.T) {
		change(w, up, func(p *pool.ProviderSpec) { p.AttributeMapping["profile"] = "AuthnContextClassRef" }, "RequestedAuthnContext", passwordContext,
			"AuthnContextComparison", "minimum")
		answersIn(up, mfaContext)
		app.Login(w.Browser(), ada)
		if got := users(t, w, servertest.PoolID)[0].Attributes["profile"]; got != mfaContext {
			t.Errorf("got %q", got)
		}
	})
	t.Run("what was asked counts, not what the settings say since", func(t *testing.T) {
		answersIn(up, mfaContext)
		change(w, up, nil)
		before := w.Browser()
		req := before.ToCallback(app.Authorize(), ada)
		change(w, up, nil, "RequestedAuthnContext", passwordContext)
		app.Code(before.Do(req))
		strict := w.Browser()
		answersIn(up, windowsContext)
		req = strict.ToCallback(app.Authorize(), ada)
		change(w, up, nil)
		w.Events.Take()
		notAccepted(t, w, strict.Do(req), "(authn_context)")
	})
	t.Run("nothing was asked for where the provider began", func(t *testing.T) {
		w, up := portal(t, nil, "RequestedAuthnContext", passwordContext)
		answersIn(up, mfaContext)
		b := w.Browser()
		if p := b.Do(initiated(t, b, up, target().Encode())); p.Params().Get("code") == "" {
			t.Errorf("answer %d to %v\n%s", p.Status, p.Location, p.Body)
		}
	})
}
