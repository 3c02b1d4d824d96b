package saml_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/response"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

var _ trace.Diagnosed = (*response.Refusal)(nil)

const audienceAdvice = `The assertion is for audience "urn:other"; this pool is "urn:weir:sp:local_Example01": set the relying party identifier to urn:weir:sp:local_Example01.`

// otherAudience issues assertions for another service.
func otherAudience(a *etree.Element) { a.FindElement("//Audience").SetText("urn:other") }

// traced returns the trace of the reference that somebody was shown.
func traced(t *testing.T, w *servertest.Weir, shown string) trace.Trace {
	t.Helper()
	ref := regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`).FindString(shown)
	got, err := w.Traces.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("%v, of %q", err, shown)
	}
	return got
}

// texts are the facts of a name.
func texts(tr trace.Trace, name string) []string {
	var out []string
	for _, f := range tr.Facts {
		if f.Name == name {
			out = append(out, f.Text)
		}
	}
	return out
}

// What a person or an application is shown leads an administrator to the sentence that says what to change, and does not hold it.
func TestTheReferenceLeadsToTheAdministratorsSentence(t *testing.T) {
	t.Run("in error_description", func(t *testing.T) {
		w, up := start(t)
		up.Set(samltest.Faults{Assertion: otherAudience})
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		attempt := form(t, req).Get("RelayState")
		w.Clock.Advance(7 * time.Second)
		p := b.Do(req)
		if p.Location == nil {
			t.Fatalf("answer %d\n%s", p.Status, p.Body)
		}
		description := p.Params().Get("error_description")
		got := traced(t, w, description)
		now := w.Clock.Now()
		if got.Kind != trace.SignIn || got.Outcome != trace.Failed || !got.At.Equal(now) || !got.Began.Equal(now.Add(-7*time.Second)) || got.Attempt != attempt ||
			got.Pool != servertest.PoolID || got.Client != servertest.WebClient || got.Provider != "Corp" || got.ProviderType != "SAML" ||
			got.Method != http.MethodPost || got.Path != "/saml2/idpresponse" || got.Code != "upstream" {
			t.Errorf("trace %+v", got)
		}
		if !slices.Equal(texts(got, trace.FactCheck), []string{"audience"}) || !slices.Equal(texts(got, trace.FactAdvice), []string{audienceAdvice}) {
			t.Errorf("facts %+v", got.Facts)
		}
		if got.Shown != (trace.Shown{Where: trace.AtClient, Sentence: "The answer of the identity provider could not be accepted.", Error: p.Params().Get("error")}) ||
			!strings.HasPrefix(description, got.Shown.Sentence) {
			t.Errorf("shown %+v, really %q", got.Shown, description)
		}
		hidden(t, p)
		var text strings.Builder
		if err := got.WriteText(&text); err != nil || !strings.Contains(text.String(), "What to change\n  "+audienceAdvice+"\n") {
			t.Errorf("text\n%s", text.String())
		}
	})
	t.Run("on the page", func(t *testing.T) {
		w, up := portal(t, nil)
		up.Set(samltest.Faults{Assertion: otherAudience})
		b := w.Browser()
		p := b.Do(initiated(t, b, up, target().Encode()))
		got := traced(t, w, p.Body)
		if !slices.Equal(texts(got, trace.FactAdvice), []string{audienceAdvice}) || got.Provider != "Corp" || got.ProviderType != "SAML" || got.Client != servertest.WebClient ||
			!got.Began.IsZero() || got.Shown.Where != trace.OnPage || !strings.Contains(p.Body, got.Shown.Sentence) {
			t.Errorf("trace %+v", got)
		}
		hidden(t, p)
	})
	t.Run("what the provider answered", func(t *testing.T) {
		w, up := start(t)
		up.Set(samltest.Faults{Status: &samltest.Status{Code: binding.StatusRequester, SubCode: samltest.StatusInvalidNameIDPolicy, Message: "MSIS7070: \x1b[31m<b>"}})
		p := w.Browser().SignIn(w.Web().Authorize(), servertest.VisitSAML)
		got := traced(t, w, p.Params().Get("error_description"))
		if !slices.Equal(texts(got, trace.FactStatus), []string{binding.StatusRequester, samltest.StatusInvalidNameIDPolicy}) || len(texts(got, trace.FactMessage)) != 1 ||
			strings.Contains(texts(got, trace.FactMessage)[0], "\x1b") || !strings.Contains(texts(got, trace.FactMessage)[0], "MSIS7070") {
			t.Errorf("facts %+v", got.Facts)
		}
	})
	t.Run("who a person is cannot be told", func(t *testing.T) {
		w, up := start(t)
		w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.NameID.Format = samltest.FormatTransient })
		p := w.Browser().SignIn(w.Web().Authorize(), ada)
		if got := traced(t, w, p.Params().Get("error_description")); got.Code != "config" || !strings.Contains(got.Cause, "or name an attribute in SubjectAttribute") {
			t.Errorf("trace %+v", got)
		}
	})
}

// hidden checks that an answer says nothing of why.
func hidden(t *testing.T, p *servertest.Page) {
	t.Helper()
	public := p.Body
	if p.Location != nil {
		public += p.Location.String()
	}
	for _, part := range []string{"audience", "urn:other", "relying party", "urn%3A"} {
		if strings.Contains(public, part) {
			t.Errorf("the answer holds %q: %s", part, public)
		}
	}
}

// Nothing of a trace could be used by whoever reads it: no assertion, no attribute value, no name of a person.
func TestTracesHoldNoAssertion(t *testing.T) {
	w, up := start(t)
	w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.Encryption = nil })
	for _, f := range []samltest.Faults{
		{Assertion: otherAudience},
		{Signed: func(a *etree.Element) { a.FindElement("Subject/NameID").SetText("bob@ad.corp.example") }},
		{Form: nil, Response: func(r *etree.Element) { r.CreateAttr("Destination", "https://evil.example/") }},
	} {
		up.Set(f)
		w.Clock.Advance(2 * time.Minute)
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		assertion := form(t, req).Get("SAMLResponse")
		got := traced(t, w, b.Do(req).Params().Get("error_description"))
		var text strings.Builder
		if err := got.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"ada@", "bob@", "The ada", "CORP", assertion[200:240], "SAMLResponse"} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("the trace holds %q\n%s", secret, text.String())
			}
		}
	}
}

// The provider's side of a sign-out that fails leaves a trace under the reference of that request.
func TestFailedSignOutsAreTraced(t *testing.T) {
	w, up := start(t, "IDPSignout", "true")
	b := w.Browser()
	w.Web().Login(b, ada)
	up.Set(samltest.Faults{LogoutResponse: func(r *binding.LogoutResponse) { r.Status = binding.StatusResponder }})
	back, err := servertest.VisitSAML(t.Context(), b, b.Get(signOut))
	if err != nil {
		t.Fatal(err)
	}
	p := b.Do(back)
	leaves(t, p)
	got := traced(t, w, p.Header.Get("X-Request-Id"))
	if got.Kind != trace.SignOut || got.Provider != "Corp" || got.ProviderType != "SAML" || got.Shown != (trace.Shown{Where: trace.Onward}) || !strings.Contains(got.Cause, "did not complete the logout") {
		t.Errorf("trace %+v", got)
	}
}
