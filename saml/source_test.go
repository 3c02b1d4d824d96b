package saml_test

import (
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

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
