package saml_test

import (
	"crypto/x509"
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
