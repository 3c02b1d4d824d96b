package saml_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// Responses that are refused, each for its own reason. The application hears one sentence for all of them; the administrator's
// is in the log and in the audit event.
func TestRefusedResponses(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	signs := func(s samltest.Sign) *samltest.Sign { return &s }
	stranger := servertest.SAMLSigners()[1]
	inClear := func(sp *samltest.ServiceProvider) { sp.Encryption = nil }
	rename := func(a *etree.Element) { a.FindElement("Subject/NameID").SetText("bob@ad.corp.example") }
	for _, tt := range []struct {
		name   string
		faults samltest.Faults
		trust  func(*samltest.ServiceProvider)
		reason string
	}{
		{"nothing signed", samltest.Faults{Sign: signs(samltest.SignNothing)}, inClear, "(unsigned)"},
		{"nothing signed, encrypted", samltest.Faults{Sign: signs(samltest.SignNothing)}, nil, "(unsigned)"},
		{"changed after it was signed", samltest.Faults{Signed: rename}, inClear, "(digest)"},
		{"changed after it was signed, encrypted", samltest.Faults{Signed: rename}, nil, "(digest)"},
		{"signed by a stranger", samltest.Faults{Signer: &stranger}, nil, "(signing_key)"},
		{"SHA-1", samltest.Faults{Sign: signs(samltest.SignNothing), Assertion: signSHA1}, nil, "(algorithm)"},
		{"wrong Destination", samltest.Faults{Response: func(r *etree.Element) { r.CreateAttr("Destination", "https://evil.example/saml2/idpresponse") }}, nil, "(destination)"},
		{"wrong Recipient", samltest.Faults{Assertion: func(a *etree.Element) {
			a.FindElement("//SubjectConfirmationData").CreateAttr("Recipient", "https://evil.example/saml2/idpresponse")
		}}, nil, "(recipient)"},
		{"other audience", samltest.Faults{Assertion: func(a *etree.Element) { a.FindElement("//Audience").SetText("urn:weir:sp:" + servertest.OtherPool) }}, nil,
			`The assertion is for audience "urn:weir:sp:local_Example02"; this pool is "urn:weir:sp:local_Example01": set the relying party identifier to urn:weir:sp:local_Example01.`},
		{"another issuer", samltest.Faults{Response: func(r *etree.Element) { r.SelectElement("Issuer").SetText("https://evil.example") }}, nil, "(issuer)"},
		{"no answer to anything", samltest.Faults{Response: func(r *etree.Element) { r.RemoveAttr("InResponseTo") }}, nil, "(in_response_to)"},
		{"no NameID", samltest.Faults{}, func(sp *samltest.ServiceProvider) { sp.NameID.None = true }, "Add a claim rule that issues one"},
		{"a SAML name that is empty", samltest.Faults{Assertion: func(a *etree.Element) { a.FindElement("Subject/NameID").SetText(" ") }}, nil, "(name_id)"},
		{"two assertions", samltest.Faults{Document: func(d []byte) []byte {
			s := string(d)
			from := strings.Index(s, "<Assertion")
			return []byte(strings.Replace(s, "</samlp:Response>", s[from:], 1))
		}}, inClear, "(assertions)"},
		{"no XML", samltest.Faults{Document: func([]byte) []byte { return []byte("hello") }}, nil, "(xml)"},
		{"a document type", samltest.Faults{Document: func(d []byte) []byte { return append([]byte(`<!DOCTYPE x [<!ENTITY e "e">]>`), d...) }}, nil, "(xml)"},
		{"not base64", samltest.Faults{Form: func(v url.Values) { v.Set("SAMLResponse", "<x/>") }}, nil, "(base64)"},
		{"no response", samltest.Faults{Form: func(v url.Values) { v.Del("SAMLResponse") }}, nil, "saml response refused"},
		{"too large", samltest.Faults{Document: func(d []byte) []byte { return append(d, strings.Repeat(" ", 300<<10)...) }}, nil, "(limits)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.trust == nil {
				tt.trust = func(*samltest.ServiceProvider) {}
			}
			w.Clock.Advance(2 * time.Minute) // past the bound of fetches for unknown keys
			w.Trust(up, servertest.PoolID, "Corp", tt.trust)
			up.Set(tt.faults)
			w.Events.Take()
			w.Engine.Reset()
			b := w.Browser()
			p := b.SignIn(app.Authorize(), ada)
			notAccepted(t, w, p, tt.reason)
			if len(b.Cookie("weir_")) != 0 || strings.Contains(w.Engine.Written(), "user") || strings.Contains(w.Engine.Written(), "grant") {
				t.Errorf("cookies %v, written %q", b.Cookie("weir_"), w.Engine.Written())
			}
		})
	}
	t.Run("larger than any request may be", func(t *testing.T) {
		up.Set(samltest.Faults{})
		b := w.Browser()
		req := b.ToCallback(app.Authorize(), ada)
		onPage(t, b.Do(altered(t, req, func(v url.Values) { v.Set("SAMLResponse", strings.Repeat("A", 1200<<10)) })), http.StatusRequestEntityTooLarge, "too large")
		app.Code(b.Do(req))
	})
	t.Run("SHA-1 where the administrator allows it", func(t *testing.T) {
		change(w, up, nil, "AllowSHA1", "true")
		w.Trust(up, servertest.PoolID, "Corp")
		up.Set(samltest.Faults{Sign: signs(samltest.SignNothing), Assertion: signSHA1})
		app.Login(w.Browser(), ada)
	})
	t.Run("in the clear where encryption is required", func(t *testing.T) {
		change(w, up, nil, "EncryptedResponses", "true")
		up.Set(samltest.Faults{})
		app.Login(w.Browser(), ada)
		w.Trust(up, servertest.PoolID, "Corp", inClear)
		w.Events.Take()
		notAccepted(t, w, w.Browser().SignIn(app.Authorize(), ada), "(unencrypted)")
	})
}

// signSHA1 signs as AD FS did until 2012.
func signSHA1(a *etree.Element) {
	s := servertest.SAMLSigners()[0]
	ctx, err := dsig.NewSigningContext(s.Key, [][]byte{s.Certificate.Raw})
	if err != nil {
		panic(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := ctx.SetSignatureMethod(dsig.RSASHA1SignatureMethod); err != nil {
		panic(err)
	}
	sig, err := ctx.ConstructSignature(a, true)
	if err != nil {
		panic(err)
	}
	a.InsertChildAt(1, sig)
}

func TestLateResponse(t *testing.T) {
	w, _ := start(t, "ClockSkewSeconds", "60")
	app := w.Web()
	b := w.Browser()
	req := b.ToCallback(app.Authorize(), ada)
	w.Clock.Advance(6*time.Minute - time.Second) // five minutes of the confirmation and one of skew
	app.Code(b.Do(req))
	b = w.Browser()
	req = b.ToCallback(app.Authorize(), ada)
	w.Clock.Advance(6 * time.Minute)
	w.Events.Take()
	notAccepted(t, w, b.Do(req), "(expired)")
	b = w.Browser()
	req = b.ToCallback(app.Authorize(), ada)
	w.Clock.Advance(-61 * time.Second)
	w.Events.Take()
	p := b.Do(req) // the attempt itself is from the future too
	onPage(t, p, http.StatusBadRequest, "no longer valid")
}

// One response is good once, whoever brings it and however often at once.
func TestReplay(t *testing.T) {
	w, _ := start(t)
	app := w.Web()
	t.Run("the browser's attempt is spent", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(app.Authorize(), ada)
		again := altered(t, req, func(url.Values) {})
		app.Code(b.Do(req))
		w.Events.Take()
		action, fields := b.Do(again).Form() // plain http: posted once more
		p := b.Post(action, fields)
		onPage(t, p, http.StatusBadRequest, "no longer valid")
		failed(t, w, p, "no sign-in under way")
	})
	t.Run("with the cookie kept, also on another node", func(t *testing.T) {
		other := servertest.Start(t, servertest.Options{Beside: w})
		b := w.Browser()
		req := b.ToCallback(app.Authorize(), ada)
		kept := b.Cookie("weir_at_")[0]
		app.Code(b.Do(altered(t, req, func(url.Values) {})))
		for _, node := range []*servertest.Weir{w, other} {
			again := altered(t, req, func(url.Values) {})
			again.AddCookie(kept)
			node.Events.Take()
			notAccepted(t, node, node.Browser().Do(again), "used before")
		}
	})
	t.Run("32 at once", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(app.Authorize(), ada)
		kept := b.Cookie("weir_at_")[0]
		const n = 32
		pages, errs := make(chan *servertest.Page, n), make(chan error, n)
		for range n {
			one, racer := altered(t, req, func(url.Values) {}), w.Browser()
			one.AddCookie(kept)
			go func() {
				p, err := racer.Try(one)
				pages <- p
				errs <- err
			}()
		}
		won := 0
		for range n {
			p := <-pages
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
			switch v := p.Params(); {
			case v.Get("code") != "":
				won++
			case v.Get("error") != "server_error":
				t.Errorf("answer %d to %v", p.Status, p.Location)
			}
		}
		if won != 1 {
			t.Errorf("%d winners, want 1", won)
		}
	})
}

// Login CSRF and mix-ups: an answer finishes the one attempt that it answers, in the browser that began it.
func TestAnswersElsewhere(t *testing.T) {
	clock := servertest.NewClock()
	one, two := servertest.SAML(t, clock), servertest.SAML(t, clock)
	oidc := servertest.OIDC(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock, BaseURL: servertest.HTTPS, Spec: servertest.WithOther(
		servertest.Example(servertest.SAMLProvider("One", one), servertest.SAMLProvider("Two", two), servertest.Provider("Open", oidc)),
		servertest.SAMLProvider("One", one))})
	w.Trust(one, servertest.PoolID, "One")
	w.Trust(two, servertest.PoolID, "Two")
	w.Trust(one, servertest.OtherPool, "One")
	app := w.Web()
	relay := func(t *testing.T, req *http.Request) string { t.Helper(); return form(t, req).Get("RelayState") }
	at := func(name string) string { return app.Authorize("identity_provider", name) }
	t.Run("another browser", func(t *testing.T) {
		attacker, victim := w.Browser(), w.Browser()
		req := attacker.ToCallback(at("One"), eve)
		w.Events.Take()
		p := victim.Do(altered(t, req, func(url.Values) {}))
		onPage(t, p, http.StatusBadRequest, "no longer valid")
		failed(t, w, p, "no sign-in under way")
		victim.Get(at("One"))
		own := victim.Cookie("__Host-weir_at_")[0]
		mine := strings.SplitN(own.Name, "_", 6)
		w.Events.Take()
		p = victim.Do(altered(t, req, func(v url.Values) { v.Set("RelayState", mine[len(mine)-1]) }))
		if p.Location != nil {
			notAccepted(t, w, p, "(in_response_to)")
		} else {
			t.Errorf("answer %d %s", p.Status, p.Body)
		}
		app.Code(attacker.Do(req))
	})
	t.Run("another attempt of the same browser", func(t *testing.T) {
		b := w.Browser()
		first, second := b.ToCallback(at("One"), ada), b.ToCallback(at("One"), ada)
		w.Events.Take()
		notAccepted(t, w, b.Do(altered(t, first, func(v url.Values) { v.Set("RelayState", relay(t, second)) })), "(in_response_to)")
	})
	t.Run("another provider's attempt", func(t *testing.T) {
		b := w.Browser()
		first, second := b.ToCallback(at("One"), eve), b.ToCallback(at("Two"), ada)
		w.Events.Take()
		notAccepted(t, w, b.Do(altered(t, first, func(v url.Values) { v.Set("RelayState", relay(t, second)) })), "(issuer)")
	})
	t.Run("another pool's attempt, with the same provider", func(t *testing.T) {
		b := w.Browser()
		theirs := b.ToCallback(w.Other().Authorize(), eve)
		var id string
		one.Set(samltest.Faults{Response: func(r *etree.Element) { id = r.SelectAttrValue("InResponseTo", "") }})
		ours := b.ToCallback(at("One"), ada)
		// Even if the provider had answered the right request: the audience is the other pool.
		one.Set(samltest.Faults{
			Assertion: func(a *etree.Element) { a.FindElement("//SubjectConfirmationData").CreateAttr("InResponseTo", id) },
			Response:  func(r *etree.Element) { r.CreateAttr("InResponseTo", id) },
		})
		w.Trust(one, servertest.OtherPool, "One", func(sp *samltest.ServiceProvider) {
			own, err := w.SAMLKeys.Published(t.Context(), servertest.PoolID)
			if err != nil {
				t.Fatal(err)
			}
			sp.Encryption = own.Encryption
		})
		forged := b.ToCallback(w.Other().Authorize("prompt", "login"), eve)
		one.Set(samltest.Faults{})
		for reason, req := range map[string]*http.Request{"(decryption)": theirs, "(audience)": forged} {
			w.Events.Take()
			kept := b.Cookie("__Host-weir_at_")
			if reason == "(decryption)" {
				reason = "saml response refused" // by InResponseTo, before anything is opened
			}
			racer := altered(t, req, func(v url.Values) { v.Set("RelayState", relay(t, ours)) })
			for _, c := range kept {
				racer.AddCookie(c)
			}
			notAccepted(t, w, w.Browser().Do(racer), reason)
		}
	})
	t.Run("a SAML response at the OpenID callback", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(at("One"), ada)
		v := form(t, req)
		v.Set("state", v.Get("RelayState"))
		w.Events.Take()
		p := b.Post("/oauth2/idpresponse", v)
		onPage(t, p, http.StatusBadRequest, "no longer valid")
		failed(t, w, p, "another callback address")
	})
	t.Run("an OpenID answer at the SAML callback", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(at("Open"), servertest.As("ada"))
		v := req.URL.Query()
		v.Set("RelayState", v.Get("state"))
		w.Events.Take()
		p := b.Post("/saml2/idpresponse", v)
		onPage(t, p, http.StatusBadRequest, "no longer valid")
		failed(t, w, p, "another callback address")
	})
	for _, poolID := range []string{servertest.PoolID, servertest.OtherPool} {
		if list := users(t, w, poolID); poolID == servertest.OtherPool && len(list) != 0 || len(list) > 1 {
			t.Errorf("users %+v", list)
		}
	}
}

// The administrator's sentence is in the log and in the audit event under one reference, and nowhere else.
func TestDiagnosis(t *testing.T) {
	w, up := start(t)
	up.Set(samltest.Faults{Assertion: func(a *etree.Element) { a.FindElement("//Audience").SetText("urn:other") }})
	w.Events.Take()
	p := w.Browser().SignIn(w.Web().Authorize(), ada)
	const sentence = `The assertion is for audience \"urn:other\"`
	var event audit.LoginFailed
	for _, e := range w.Events.Take() {
		if f, ok := e.(audit.LoginFailed); ok {
			event = f
		}
	}
	if event.Provider != "Corp" || event.Pool != servertest.PoolID || event.Client != servertest.WebClient || event.Attempt == "" || event.Code != "upstream" ||
		!strings.Contains(event.Reason, strings.ReplaceAll(sentence, `\"`, `"`)) {
		t.Errorf("event %+v", event)
	}
	found := 0
	for _, msg := range []string{"login.failed", "request failed"} {
		for _, r := range w.Log.Records("msg", msg) {
			text, _ := r["reason"].(string)
			if msg == "request failed" {
				text, _ = r["error"].(string)
			}
			if strings.Contains(text, "urn:other") {
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("%d log records have the sentence", found)
	}
	if strings.Contains(p.Location.String(), "audience") || strings.Contains(p.Location.String(), "urn") {
		t.Errorf("the application hears %s", p.Location)
	}
}
