package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// The proof goes by SAML as well: ForceAuthn is asked for, and the answer comes by a POST.
func TestAProofBySAML(t *testing.T) {
	for name, base := range map[string]string{"http": servertest.HTTP, "https": servertest.HTTPS} {
		t.Run(name, func(t *testing.T) {
			o := servertest.Options{Clock: servertest.NewClock(), BaseURL: base}
			up, ad := servertest.OIDC(t, o.Clock), servertest.SAML(t, o.Clock)
			corp := servertest.Provider("Corp", up)
			corp.ProviderDetails["link_users"] = secret.New("ask")
			o.Spec = servertest.Example(corp, servertest.SAMLProvider("AD", ad))
			a := &questioned{t: t, Weir: servertest.Start(t, o), corp: up}
			a.app = a.Web()
			a.atCorp, a.atHome = a.app.Authorize("identity_provider", "Corp"), a.app.Authorize("identity_provider", "AD")
			a.Trust(ad, servertest.PoolID, "AD")
			saml := servertest.AsSAML("ada")
			home := func(p *servertest.Page, b *servertest.Browser) *servertest.Page {
				back, err := saml(t.Context(), b, p)
				if err != nil {
					t.Fatal(err)
				}
				if p = b.Do(back); p.Location == nil { // posted once more by our own page, on plain http
					p = b.Post(p.Form())
				}
				return p
			}
			first, b := a.Browser(), a.Browser()
			a.ada = a.sub(home(first.Get(a.atHome), first))
			p := a.question(b)
			challenge := a.answer(b, p, "identity_provider", "AD")
			if action, form := challenge.Form(); challenge.Location == nil && (action == "" || form.Get("SAMLRequest") == "") {
				t.Fatalf("challenge %d %s", challenge.Status, challenge.Body)
			}
			p = a.page(b, home(challenge, b), "Link these two?")
			if got := a.sub(a.answer(b, p, "choice", "link")); got != a.ada {
				t.Errorf("signed in as %s, want %s", got, a.ada)
			}
		})
	}
}

// Where no page is possible, nobody is asked and nobody is linked.
func TestNativeSignInsAskNobody(t *testing.T) {
	a := startAsking(t, func(o *servertest.Options) {
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["native_client_ids"] = secret.New("ios-app")
	})
	now := a.Clock.Now()
	raw, err := a.corp.Token(map[string]any{
		"iss": a.corp.Issuer(), "sub": "ada-0001", "aud": "ios-app", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"name": "The ada", "email": "ada@corp.example", "email_verified": true,
	}, oidctest.SignHonestly)
	if err != nil {
		t.Fatal(err)
	}
	ans := a.app.Post("/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {raw}, "identity_provider": {"Corp"}, "scope": {"openid"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
	})
	if ans.Status != http.StatusBadRequest || !strings.Contains(ans.Text("error_description"), "has to be asked") {
		t.Errorf("answer %d %s", ans.Status, ans.Body)
	}
	a.untouched()
	if docs, err := a.Engine.List(t.Context(), "pending_sign_in", "", "", 10); err != nil || len(docs) != 0 {
		t.Errorf("%d documents, %v", len(docs), err)
	}
}

func TestUnsolicitedSignInsAskNobody(t *testing.T) {
	w, up := servertest.StartSAML(t, func(o *servertest.Options) {
		home := servertest.OIDC(t, o.Clock)
		corp := o.Spec.UserPools[0].IdentityProviders[0]
		corp.ProviderDetails["IDPInit"], corp.ProviderDetails["link_users"] = secret.New("true"), secret.New("ask")
		corp.AttributeMapping["email_verified"] = "= true"
		o.Spec = servertest.Example(corp, servertest.Provider("Home", home))
	})
	app := w.Web()
	app.Login(w.Browser(), ada, "identity_provider", "Home")
	relay := url.Values{"identity_provider": {"Corp"}, "client_id": {servertest.WebClient}, "redirect_uri": {servertest.WebURI}, "response_type": {"code"}, "scope": {"openid"}}
	b := w.Browser()
	step, err := samltest.SignIn(t.Context(), b.Client, up.InitiateURL("urn:weir:sp:"+servertest.PoolID, relay.Encode()), nil, "ada", "ada")
	if err != nil {
		t.Fatal(err)
	}
	req, err := step.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	onPage(t, b.Post(b.Do(req).Form()), http.StatusForbidden, "has to be asked")
	if users, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 10); err != nil || len(users) != 1 {
		t.Errorf("%d users, %v", len(users), err)
	}
}

// What the provider's tokens were is kept with the link, and the trace and the audit stream have the whole story without an address.
func TestTokensAndStoryOfALinkThatWasAskedAbout(t *testing.T) {
	a := startAsking(t, func(o *servertest.Options) {
		d := o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails
		d["keep_tokens"], d["authorize_scopes"] = secret.New("true"), secret.New("openid email offline_access")
	})
	// Without auth_time it is when the provider proved the identity, and not when the person answered.
	a.corp.Set(oidctest.Faults{IDToken: func(claims map[string]any) { delete(claims, "auth_time") }})
	b := a.Browser()
	asked := a.question(b)
	began := a.Clock.Now()
	a.Clock.Advance(time.Minute)
	p := a.page(b, a.prove(b, asked, ada), "Link these two?")
	a.Clock.Advance(time.Minute)
	ans := a.app.Tokens(a.answer(b, p, "choice", "link"))
	if at, _ := a.app.Claims(ans.Text("id_token"))["auth_time"].(float64); int64(at) != began.Unix() {
		t.Errorf("auth_time %v, want %d", at, began.Unix())
	}
	kept, refreshed, err := a.Broker.UpstreamToken(t.Context(), servertest.PoolID, a.ada, "Corp")
	if err != nil || refreshed || kept.Tokens.Access.IsZero() || kept.Tokens.Refresh.IsZero() {
		t.Errorf("tokens %+v, %v", kept, err)
	}
	names := map[string]int{}
	for _, e := range a.Events.Take() {
		names[e.Name()]++
		if l, ok := e.(audit.LinkProof); ok && (!l.Proven || l.Sub != a.ada || l.Provider != "Home" || l.Reason != "") {
			t.Errorf("event %+v", l)
		}
	}
	for _, name := range []string{"link.asked", "link.proof", "identity.linked_by_policy", "login.finished"} {
		if names[name] != 1 {
			t.Errorf("%d times %s in %v", names[name], name, names)
		}
	}
	a.Traces.Flush(t.Context())
	found, err := a.Traces.Newest(t.Context(), 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d traces, %v", len(found), err)
	}
	got := map[string]trace.Step{}
	for _, s := range found[0].Steps {
		got[s.Name] = s
	}
	if found[0].Outcome != trace.Succeeded || got[trace.StepAsked].Name == "" || got[trace.StepProven].Name == "" || got[trace.StepChosen].Name == "" || got[trace.StepUser].Name == "" {
		t.Errorf("trace %+v", found[0])
	}
}
