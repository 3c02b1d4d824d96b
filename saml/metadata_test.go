package saml_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// volatile is what differs between two runs: keys, and what is signed with them.
var volatile = regexp.MustCompile(`(<ds:(X509Certificate|SignatureValue|DigestValue)>)[^<]+`)

func TestOurMetadataGolden(t *testing.T) {
	w, _ := start(t, "NameIDFormat", samltest.FormatPersistent)
	p := w.Browser().Get(servertest.MetadataAt(servertest.PoolID, "Corp"))
	if p.Status != http.StatusOK || p.Header.Get("Content-Type") != "application/samlmetadata+xml" || p.Header.Get("Cache-Control") != "public, max-age=300" || len(p.Cookies) != 0 {
		t.Fatalf("answer %d, %v", p.Status, p.Header)
	}
	got := volatile.ReplaceAllString(p.Body, "$1…")
	const path = "testdata/sp.golden.xml"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o750), os.WriteFile(path, []byte(got), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// described is our metadata as an administrator's software reads it, its signature verified by another implementation.
func described(t *testing.T, w *servertest.Weir, at string) *etree.Element {
	t.Helper()
	p := w.Browser().Get(at)
	doc := etree.NewDocument()
	if err := doc.ReadFromString(p.Body); err != nil || p.Status != http.StatusOK {
		t.Fatalf("answer %d %s: %v", p.Status, p.Body, err)
	}
	published, err := w.SAMLKeys.Signing(t.Context(), servertest.PoolID)
	if err != nil {
		t.Fatal(err)
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{published.Certificate}})
	ctx.Clock = dsig.NewFakeClockAt(w.Clock.Now())
	root, err := ctx.Validate(doc.Root())
	if err != nil {
		t.Fatalf("the signature: %v", err)
	}
	return root
}

func locations(root *etree.Element) []string {
	var out []string
	for _, el := range root.FindElements("//[@Location]") {
		out = append(out, el.Tag+" "+el.SelectAttrValue("Location", ""))
	}
	return out
}

func TestOurMetadata(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	spec := servertest.WithOther(servertest.Example(
		servertest.SAMLProvider("Corp", up), servertest.SAMLProvider("Kept", up, "SPEntityID", "https://old.example/sp"),
		servertest.Provider("Open", servertest.OIDC(t, clock))), servertest.SAMLProvider("Corp", up))
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: spec})
	t.Run("names the pool's service", func(t *testing.T) {
		root := described(t, w, servertest.MetadataAt(servertest.PoolID, "Corp"))
		want := []string{"SingleLogoutService " + w.URL + "/saml2/logout", "SingleLogoutService " + w.URL + "/saml2/logout", "AssertionConsumerService " + w.URL + "/saml2/idpresponse"}
		if got := locations(root); root.SelectAttrValue("entityID", "") != entityID || !slices.Equal(got, want) {
			t.Errorf("got %q at %q", root.SelectAttrValue("entityID", ""), got)
		}
	})
	t.Run("with an entity id that is kept from before", func(t *testing.T) {
		root := described(t, w, servertest.MetadataAt(servertest.PoolID, "Kept"))
		if got := root.SelectAttrValue("entityID", ""); got != "https://old.example/sp" {
			t.Errorf("got %q", got)
		}
		w.Trust(up, servertest.PoolID, "Kept")
		w.Web().Login(w.Browser(), ada, "identity_provider", "Kept")
	})
	t.Run("under the pool's own host, at which it works", func(t *testing.T) {
		root := described(t, w, "http://acme.login.test"+servertest.MetadataAt(servertest.PoolID, "Corp"))
		for _, l := range locations(root) {
			if !strings.Contains(l, " http://acme.login.test/saml2/") {
				t.Errorf("got %q", l)
			}
		}
		b := w.Browser()
		p := b.Get("http://acme.login.test" + servertest.MetadataAt(servertest.PoolID, "Corp"))
		sp, err := samltest.FromMetadata([]byte(p.Body))
		if err == nil {
			err = up.PutServiceProvider(sp)
		}
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Replace(w.Web().Authorize("identity_provider", "Corp"), w.URL, "http://acme.login.test", 1)
		w.Web().Tokens(b.SignIn(at, ada))
	})
	t.Run("is not there", func(t *testing.T) {
		for name, tt := range map[string]struct {
			at     string
			status int
		}{
			"an unknown pool":             {servertest.MetadataAt("local_Nobody001", "Corp"), 404},
			"an unknown provider":         {servertest.MetadataAt(servertest.PoolID, "Nobody"), 404},
			"a provider of OpenID":        {servertest.MetadataAt(servertest.PoolID, "Open"), 404},
			"at the host of another":      {"http://other.login.test" + servertest.MetadataAt(servertest.PoolID, "Corp"), 404},
			"no pool":                     {"/saml2/metadata?identity_provider=Corp", 400},
			"no provider":                 {"/saml2/metadata?user_pool_id=" + servertest.PoolID, 400},
			"two providers":               {servertest.MetadataAt(servertest.PoolID, "Corp") + "&identity_provider=Kept", 400},
			"a pool that is an injection": {servertest.MetadataAt("x/y\x00", "Corp"), 404},
		} {
			t.Run(name, func(t *testing.T) { onPage(t, w.Browser().Get(tt.at), tt.status, "") })
		}
	})
	t.Run("does not need the provider's", func(t *testing.T) {
		up.Set(samltest.Faults{Endpoints: map[samltest.Endpoint]func(http.Handler) http.Handler{samltest.EndpointMetadata: samltest.Drop}})
		defer up.Set(samltest.Faults{})
		described(t, servertest.Start(t, servertest.Options{Beside: w}), servertest.MetadataAt(servertest.PoolID, "Corp"))
	})
}

// Our keys roll over: the next certificate is announced, then it signs and is encrypted for, then the old one goes. Sign-ins
// work at every step with what the provider imported at the step before.
func TestOurRollover(t *testing.T) {
	w, up := start(t, "IDPSignout", "true")
	app := w.Web()
	if _, err := w.SAMLKeys.Rotate(t.Context(), servertest.PoolID); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	var signing, encryption []string
	for _, step := range []struct {
		name           string
		wait           time.Duration
		signing        int
		switched, late bool // the provider imports before this step's sign-in only where late is false
	}{
		{"announced", time.Minute, 2, false, false},
		{"the day before the switch", 29 * day, 2, false, true},
		{"switched", day, 2, true, true},
		{"switched and imported", time.Minute, 2, true, false},
		{"dropped", 30 * day, 1, true, true},
		{"dropped and imported", time.Minute, 1, true, false},
	} {
		t.Run(step.name, func(t *testing.T) {
			w.Clock.Advance(step.wait)
			if err := w.SAMLKeys.Maintain(t.Context(), servertest.PoolID); err != nil {
				t.Fatal(err)
			}
			if !step.late {
				w.Trust(up, servertest.PoolID, "Corp")
			}
			root := described(t, w, servertest.MetadataAt(servertest.PoolID, "Corp"))
			certs := func(use string) (out []string) {
				for _, k := range root.FindElements("//KeyDescriptor[@use='" + use + "']") {
					out = append(out, k.FindElement(".//X509Certificate").Text())
				}
				return out
			}
			if signing == nil {
				signing, encryption = certs("signing"), certs("encryption")
			}
			nowSigning, nowEncryption := certs("signing"), certs("encryption")
			if len(nowSigning) != step.signing || len(nowEncryption) != 1 || (nowSigning[0] != signing[0]) != step.switched || (nowEncryption[0] != encryption[0]) != step.switched {
				t.Errorf("%d signing and %d encryption certificates", len(nowSigning), len(nowEncryption))
			}
			b := w.Browser()
			req := b.ToCallback(app.Authorize(), ada)
			if decode(t, form(t, req), false).FindElement("//EncryptedAssertion") == nil {
				t.Error("not encrypted")
			}
			app.Tokens(b.Do(req))
			back, err := servertest.VisitSAML(t.Context(), b, b.Get(signOut)) // a signed request that the provider verifies
			if err != nil {
				t.Fatal(err)
			}
			leaves(t, b.Do(back))
		})
	}
}

func metadataEvents(w *servertest.Weir) (changes, faults []string) {
	for _, e := range w.Events.Take() {
		if m, ok := e.(audit.MetadataChanged); ok && m.Provider == "Corp" && m.Pool == servertest.PoolID {
			if m.Change != "" {
				changes = append(changes, m.Change)
			}
			if m.Error != "" {
				faults = append(faults, m.Error)
			}
		}
	}
	return changes, faults
}

func contains(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}

func at(f func(http.Handler) http.Handler) samltest.Faults {
	return samltest.Faults{Endpoints: map[samltest.Endpoint]func(http.Handler) http.Handler{samltest.EndpointMetadata: f}}
}

func TestMetadataIsDown(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock, UpstreamTimeout: 500 * time.Millisecond, Spec: servertest.Example(servertest.SAMLProvider("Corp", up))})
	w.Trust(up, servertest.PoolID, "Corp")
	app := w.Web()
	for name, f := range map[string]func(http.Handler) http.Handler{
		"does not answer": samltest.Drop, "hangs": samltest.Hang(nil), "fails": samltest.Reply(500, "text/plain", "no"),
	} {
		t.Run(name+" at the first sign-in", func(t *testing.T) {
			w.Clock.Advance(time.Minute)
			up.Set(at(f))
			w.Events.Take()
			b := w.Browser()
			p := b.Get(app.Authorize())
			toClient(t, p, "invalid_request", "is not available right now")
			if len(b.Cookie("")) != 0 {
				t.Errorf("cookies %v", b.Cookie(""))
			}
			failed(t, w, p, "could not be fetched")
			if got := len(w.Log.Records("msg", "provider.metadata")); got == 0 {
				t.Error("not in the audit log")
			}
		})
	}
	t.Run("sends something else", func(t *testing.T) {
		w.Clock.Advance(time.Minute)
		up.Set(at(samltest.Reply(200, "text/html", "<p>Sign in</p>")))
		w.Events.Take()
		p := w.Browser().Get(app.Authorize())
		toClient(t, p, "invalid_request", "An administrator has to change it")
		failed(t, w, p, "metadata")
	})
	t.Run("is not asked again and again", func(t *testing.T) {
		up.Forget()
		for range 5 {
			w.Browser().Get(app.Authorize())
		}
		if n := len(up.Requests(samltest.EndpointMetadata)); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("works again without a restart", func(t *testing.T) {
		up.Set(samltest.Faults{})
		w.Clock.Advance(11 * time.Second)
		app.Login(w.Browser(), ada)
	})
	t.Run("down once more, and this process restarts: the last good copy serves", func(t *testing.T) {
		up.Set(at(samltest.Drop))
		up.Forget()
		node := servertest.Start(t, servertest.Options{Beside: w})
		node.Web().Login(node.Browser(), ada)
		w.Clock.Advance(12 * time.Hour)
		if err := corp(t, node).Maintain(t.Context()); err == nil {
			t.Error("a renewal did not fail")
		}
		if _, faults := metadataEvents(node); !contains(faults, "could not be fetched") {
			t.Errorf("events %q", faults)
		}
		node.Web().Login(node.Browser(), ada)
	})
	t.Run("a copy of another address is not taken", func(t *testing.T) {
		other := servertest.SAML(t, w.Clock)
		other.Set(at(samltest.Drop))
		change(w, other, nil)
		toClient(t, w.Browser().Get(app.Authorize()), "invalid_request", "is not available right now")
	})
}

// The provider's key changes: announced, as it should be, or not.
func TestProviderRollover(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	signers := servertest.SAMLSigners()
	app.Login(w.Browser(), ada)
	t.Run("announced, switched, dropped", func(t *testing.T) {
		if err := up.AnnounceKey(&signers[1]); err != nil {
			t.Fatal(err)
		}
		app.Login(w.Browser(), ada)
		w.Events.Take()
		renew(t, w)
		if changes, _ := metadataEvents(w); len(changes) != 1 || !contains(changes, "signing certificate") || !contains(changes, "was added") {
			t.Errorf("events %q", changes)
		}
		up.Forget()
		up.SwitchKey()
		app.Login(w.Browser(), ada)
		up.DropKey()
		app.Login(w.Browser(), ada)
		if n := len(up.Requests(samltest.EndpointMetadata)); n != 0 {
			t.Errorf("%d fetches", n)
		}
		renew(t, w)
		if changes, _ := metadataEvents(w); len(changes) != 1 || !contains(changes, "was removed") {
			t.Errorf("events %q", changes)
		}
	})
	t.Run("unannounced: fetched at once, and not more than once a minute", func(t *testing.T) {
		w.Clock.Advance(time.Hour)
		up.Forget()
		if err := up.RollKey(&signers[0]); err != nil {
			t.Fatal(err)
		}
		app.Login(w.Browser(), ada)
		if n := len(up.Requests(samltest.EndpointMetadata)); n != 1 {
			t.Errorf("%d fetches", n)
		}
		if changes, _ := metadataEvents(w); len(changes) != 2 {
			t.Errorf("events %q", changes)
		}
		if err := up.RollKey(&signers[1]); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.Events.Take()
			notAccepted(t, w, w.Browser().SignIn(app.Authorize(), ada), "(signing_key)")
		}
		if n := len(up.Requests(samltest.EndpointMetadata)); n != 1 {
			t.Errorf("%d fetches", n)
		}
		w.Clock.Advance(time.Minute)
		app.Login(w.Browser(), ada)
	})
	t.Run("in a logout request", func(t *testing.T) {
		for i, over := range []string{binding.HTTPPost, binding.HTTPRedirect, binding.HTTPPost} {
			w.Clock.Advance(time.Minute)
			tokens := app.Login(w.Browser(), ada)
			next := &signers[i%2]
			if err := up.RollKey(next); err != nil {
				t.Fatal(err)
			}
			req, _ := slo(t, w, up, over, "", next, nil)
			w.Browser().Do(req)
			ended(t, app, tokens, true)
		}
	})
	t.Run("the last certificate's end", func(t *testing.T) {
		end, err := corp(t, w).CertificateEnd(t.Context())
		if err != nil || !end.Equal(signers[0].Certificate.NotAfter) {
			t.Errorf("got %s, %v", end, err)
		}
		w.Clock.Advance(end.Sub(w.Clock.Now()) + 24*time.Hour) // a certificate is a pinned key: its dates mean nothing
		app.Login(w.Browser(), ada)
	})
}

func TestMetadataChanges(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	app.Login(w.Browser(), ada)
	t.Run("what changed is audited", func(t *testing.T) {
		up.Set(samltest.Faults{Metadata: func(root *etree.Element) {
			slo := root.SelectElement("IDPSSODescriptor").SelectElement("SingleLogoutService")
			slo.CreateAttr("Location", "https://new.example/slo")
		}})
		w.Events.Take()
		renew(t, w)
		if changes, _ := metadataEvents(w); len(changes) != 2 || !contains(changes, "https://new.example/slo (HTTP-Redirect) was added") {
			t.Errorf("events %q", changes)
		}
		renew(t, w)
		if changes, _ := metadataEvents(w); len(changes) != 0 {
			t.Errorf("events for nothing: %q", changes)
		}
	})
	t.Run("a faulty document changes nothing", func(t *testing.T) {
		up.Set(samltest.Faults{Metadata: func(root *etree.Element) { root.RemoveChild(root.SelectElement("IDPSSODescriptor")) }})
		w.Clock.Advance(7 * time.Hour)
		if err := corp(t, w).Maintain(t.Context()); err == nil {
			t.Error("accepted")
		}
		if changes, faults := metadataEvents(w); len(changes) != 0 || !contains(faults, "identity provider") {
			t.Errorf("events %q, %q", changes, faults)
		}
		app.Login(w.Browser(), ada)
	})
}

func TestMetadataFile(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	doc, err := up.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	spec := func(pairs ...string) pool.Spec {
		return servertest.Example(servertest.SAMLProvider("Corp", up, append([]string{"MetadataURL", "", "MetadataFile", string(doc)}, pairs...)...))
	}
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: spec()})
	w.Trust(up, servertest.PoolID, "Corp")
	w.Web().Login(w.Browser(), ada)
	if n := len(up.Requests(samltest.EndpointMetadata)); n != 0 {
		t.Errorf("%d fetches", n)
	}
	const path = "UserPools[0].IdentityProviders[0].ProviderDetails."
	for name, tt := range map[string]struct {
		pairs []string
		says  string
	}{
		"no XML":                   {[]string{"MetadataFile", "hello"}, path + "MetadataFile: cannot be used"},
		"another document":         {[]string{"MetadataFile", "<html/>"}, "for AD FS the address is https://<server>/FederationMetadata/2007-06/FederationMetadata.xml"},
		"not of a provider":        {[]string{"MetadataFile", strings.ReplaceAll(string(doc), "IDPSSODescriptor", "PDPDescriptor")}, path + "MetadataFile: cannot be used: metadata: not of an identity provider"},
		"no signing certificate":   {[]string{"MetadataFile", strings.ReplaceAll(string(doc), `use="signing"`, `use="encryption"`)}, "no usable signing certificate"},
		"another entity":           {[]string{"IDPEntityID", "urn:x"}, "the entity is not there"},
		"pinned to another signer": {[]string{"MetadataSigningCertificate", certificate(1)}, "not signed by the pinned certificate"},
		"a file and an address":    {[]string{"MetadataURL", up.MetadataURL()}, path + "MetadataFile: give either this or MetadataURL"},
		"neither file nor address": {[]string{"MetadataFile", ""}, path + "MetadataFile: required, or MetadataURL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Directory.Plan(t.Context(), spec(tt.pairs...))
			if fault.CodeOf(err) != fault.Invalid || !strings.Contains(fault.PublicOf(err), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
	t.Run("pinned to its signer", func(t *testing.T) {
		w.Clock.Advance(time.Second)
		w.Apply(spec("MetadataSigningCertificate", certificate(0)))
		w.Web().Login(w.Browser(), ada)
	})
	t.Run("with a key that it does not have: a new file is needed", func(t *testing.T) {
		next := servertest.SAMLSigners()[1]
		if err := up.RollKey(&next); err != nil {
			t.Fatal(err)
		}
		w.Events.Take()
		notAccepted(t, w, w.Browser().SignIn(w.Web().Authorize(), ada), "(signing_key)")
	})
}

// certificate is that of a signer of servertest, in PEM.
func certificate(i int) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: servertest.SAMLSigners()[i].Certificate.Raw}))
}
