package saml_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

var (
	ada = servertest.AsSAML("ada")
	bob = servertest.AsSAML("bob")
	eve = servertest.AsSAML("eve")
)

// start runs a Weir whose provider Corp has these details over the usual ones.
func start(t testing.TB, pairs ...string) (*servertest.Weir, *samltest.Provider) {
	t.Helper()
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: servertest.Example(servertest.SAMLProvider("Corp", up, pairs...))})
	w.Trust(up, servertest.PoolID, "Corp")
	return w, up
}

// change applies other details, or another mapping, to provider Corp of a running Weir.
func change(w *servertest.Weir, up *samltest.Provider, alter func(*pool.ProviderSpec), pairs ...string) {
	p := servertest.SAMLProvider("Corp", up, pairs...)
	if alter != nil {
		alter(&p)
	}
	w.Clock.Advance(time.Second) // the set of providers knows a change by its time
	w.Apply(servertest.Example(p))
}

// failed checks that a sign-in was recorded as failed for that reason, under the answer's reference, and that the answer
// keeps the reason to itself.
func failed(t *testing.T, w *servertest.Weir, p *servertest.Page, reason string) {
	t.Helper()
	for _, e := range w.Events.Take() {
		f, ok := e.(audit.LoginFailed)
		if !ok {
			continue
		}
		if !strings.Contains(f.Reason, reason) || f.Reference != p.Header.Get("X-Request-Id") || f.Code == "" {
			t.Errorf("event %+v, want the reason %q", f, reason)
		}
		if !strings.Contains(w.Log.Text(), f.Reference) {
			t.Error("the log does not have the reference")
		}
		answer := p.Body
		if p.Location != nil {
			answer += p.Params().Get("error_description")
		}
		if reason != "" && strings.Contains(answer, reason) {
			t.Errorf("the answer says %q: %s", reason, answer)
		}
		return
	}
	t.Errorf("no event login.failed; answer %d to %v %s", p.Status, p.Location, p.Body)
}

// onPage checks that an answer is a page with its reference that leads nowhere, and that nobody is signed in by it.
func onPage(t *testing.T, p *servertest.Page, status int, part string) {
	t.Helper()
	if p.Status != status || p.Location != nil || !strings.Contains(p.Body, p.Header.Get("X-Request-Id")) || !strings.Contains(p.Body, part) {
		t.Errorf("answer %d to %v, want a page with %d and %q\n%s", p.Status, p.Location, status, part, p.Body)
	}
	for _, c := range p.Cookies {
		if strings.Contains(c.Name, "weir_s_") && c.MaxAge >= 0 {
			t.Error("a session")
		}
	}
}

// toClient checks that an answer is an error at the application.
func toClient(t *testing.T, p *servertest.Page, code, part string) {
	t.Helper()
	if p.Location == nil || !strings.HasPrefix(p.Location.String(), servertest.WebURI+"?") {
		t.Fatalf("answer %d to %v\n%s", p.Status, p.Location, p.Body)
	}
	v := p.Params()
	if v.Get("error") != code || !strings.Contains(v.Get("error_description"), part) || v.Get("state") != "af0ifjsldkj" || v.Has("code") {
		t.Errorf("error %q (%q), state %q; want %q with %q", v.Get("error"), v.Get("error_description"), v.Get("state"), code, part)
	}
	if !strings.Contains(v.Get("error_description"), p.Header.Get("X-Request-Id")) {
		t.Errorf("no reference in %q", v.Get("error_description"))
	}
	for _, c := range p.Cookies {
		if strings.Contains(c.Name, "weir_s_") {
			t.Error("a session")
		}
	}
}

// notAccepted is what the application hears of every response that is refused, and no more.
func notAccepted(t *testing.T, w *servertest.Weir, p *servertest.Page, reason string) {
	t.Helper()
	toClient(t, p, "server_error", "The answer of the identity provider could not be accepted. (reference ")
	failed(t, w, p, reason)
}

// form reads the fields of a POST without spending its body.
func form(t *testing.T, req *http.Request) url.Values {
	t.Helper()
	body, err := req.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	v, err := url.ParseQuery(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// altered is the same POST with other fields.
func altered(t *testing.T, req *http.Request, change func(url.Values)) *http.Request {
	t.Helper()
	v := form(t, req)
	change(v)
	out, err := http.NewRequestWithContext(t.Context(), http.MethodPost, req.URL.String(), strings.NewReader(v.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return out
}

// message reads the SAML message that a browser is about to take along, over Redirect or POST.
func message(t *testing.T, p *servertest.Page) *etree.Element {
	t.Helper()
	target, fields := p.Next()
	if fields == nil {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		return decode(t, u.Query(), true)
	}
	return decode(t, fields, false)
}

func decode(t *testing.T, v url.Values, redirect bool) *etree.Element {
	t.Helper()
	text := v.Get("SAMLRequest") + v.Get("SAMLResponse")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || text == "" {
		t.Fatalf("no message in %v: %v", v, err)
	}
	if redirect {
		if raw, err = io.ReadAll(flate.NewReader(bytes.NewReader(raw))); err != nil {
			t.Fatal(err)
		}
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// users are the people of a pool.
func users(t *testing.T, w *servertest.Weir, poolID string) []pool.User {
	t.Helper()
	list, _, err := w.Directory.Users(t.Context(), poolID, "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// corp is the provider in use.
func corp(t *testing.T, w *servertest.Weir) *saml.Provider {
	t.Helper()
	idp, err := w.Directory.Provider(t.Context(), servertest.PoolID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.Broker.Providers.Provider(t.Context(), idp)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*saml.Provider)
}

// renew lets the time pass after which metadata is fetched anew, and has that done.
func renew(t *testing.T, w *servertest.Weir) {
	t.Helper()
	w.Clock.Advance(7 * time.Hour)
	if err := corp(t, w).Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
}
