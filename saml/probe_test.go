package saml_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

func TestProbe(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.SAML(t, clock)
	const hidden = "the database password is hunter2"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			_, _ = w.Write([]byte(strings.Repeat(hidden, 1<<19)))
			return
		}
		_, _ = w.Write([]byte("<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='x'>" + hidden + "</EntityDescriptor>"))
	}))
	t.Cleanup(srv.Close)
	without := func(part string) func(*etree.Element) {
		return func(e *etree.Element) {
			for _, found := range e.FindElements("./IDPSSODescriptor/" + part) {
				found.Parent().RemoveChild(found)
			}
		}
	}
	for name, c := range map[string]struct {
		url     string
		alter   func(*etree.Element)
		private bool
		more    []string
		want    string // "": nothing is wrong
	}{
		"a provider that is up":  {up.MetadataURL(), nil, true, nil, ""},
		"a private address":      {up.MetadataURL(), nil, false, nil, "127.0.0.1 is not an address that may be called"},
		"nobody":                 {"http://127.0.0.1:1/", nil, true, nil, "127.0.0.1 could not be reached"},
		"a page that is missing": {up.MetadataURL() + "/missing", nil, true, nil, "127.0.0.1 does not answer with a document there"},
		"no identity provider":   {srv.URL, nil, true, nil, "the metadata at 127.0.0.1 is not of an identity provider"},
		"too large":              {srv.URL + "/large", nil, true, nil, "127.0.0.1 gave an answer that is too large"},
		"another entity":         {up.MetadataURL(), nil, true, []string{"IDPEntityID", "urn:other"}, "the metadata at 127.0.0.1 has no such entity"},
		"no certificates":        {up.MetadataURL(), without("KeyDescriptor"), true, nil, "the metadata at 127.0.0.1 has no signing certificate"},
		"nowhere to sign in":     {up.MetadataURL(), without("SingleSignOnService"), true, nil, "the metadata at 127.0.0.1 has no single sign-on address"},
		"expired": {up.MetadataURL(), func(e *etree.Element) { e.CreateAttr("validUntil", clock.Now().Add(-time.Hour).Format(time.RFC3339)) }, true, nil,
			"the metadata at 127.0.0.1 has expired"},
		"another signature": {up.MetadataURL(), nil, true, []string{"MetadataSigningCertificate", strings.Repeat("ab", 32)}, "the metadata at 127.0.0.1 is not signed by"},
	} {
		t.Run(name, func(t *testing.T) {
			up.Set(samltest.Faults{Metadata: c.alter})
			p, err := saml.New(pool.IdentityProvider{Name: "Corp", Type: "SAML", Details: details(append([]string{"MetadataURL", c.url}, c.more...)...)}, saml.Options{
				HTTP: outgoing.New(outgoing.Options{AllowPrivate: c.private}), AllowPrivate: true, Now: clock.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range p.Probe(t.Context()) {
				got += f.Problem
			}
			if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) || strings.Contains(got, "hunter2") {
				t.Errorf("says %q, want %q", got, c.want)
			}
		})
	}
}
