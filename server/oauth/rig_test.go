package oauth_test

import (
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// toClient checks that an answer goes to the application's redirect URI with that error, and with state and iss.
func toClient(t *testing.T, p *servertest.Page, uri, code, part string) url.Values {
	t.Helper()
	if p.Status != http.StatusFound && p.Status != http.StatusSeeOther || p.Location == nil || !strings.HasPrefix(p.Location.String(), uri+"?") {
		t.Fatalf("answer %d to %v, want an error at %s\n%s", p.Status, p.Location, uri, p.Body)
	}
	v := p.Params()
	if v.Get("error") != code || !strings.Contains(v.Get("error_description"), part) || v.Has("code") {
		t.Errorf("error %q (%q), want %q with %q", v.Get("error"), v.Get("error_description"), code, part)
	}
	if !strings.HasSuffix(v.Get("iss"), "/"+servertest.PoolID) {
		t.Errorf("iss %q", v.Get("iss"))
	}
	return v
}

// onPage checks that an answer is a page of that status with a reference, and leads nowhere.
func onPage(t *testing.T, p *servertest.Page, status int, part string) {
	t.Helper()
	if p.Status != status || p.Location != nil || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("answer %d to %v (%s), want a page with %d", p.Status, p.Location, p.Header.Get("Content-Type"), status)
	}
	if id := p.Header.Get("X-Request-Id"); id == "" || !strings.Contains(p.Body, id) {
		t.Errorf("the page does not carry its reference %q", id)
	}
	if !strings.Contains(p.Body, part) {
		t.Errorf("the page does not say %q:\n%s", part, p.Body)
	}
}

// toProvider checks that an answer sends the browser to the provider, and returns with what.
func toProvider(t *testing.T, p *servertest.Page) url.Values {
	t.Helper()
	if p.Location == nil || p.Location.Path != "/authorize" {
		t.Fatalf("answer %d to %v, want the provider\n%s", p.Status, p.Location, p.Body)
	}
	return p.Location.Query()
}

// refused checks a JSON error answer.
func refused(t *testing.T, a *servertest.Answer, status int, code, part string) {
	t.Helper()
	if a.Status != status || a.Text("error") != code || !strings.Contains(a.Text("error_description"), part) {
		t.Errorf("answer %d %s, want %d %s with %q", a.Status, a.Body, status, code, part)
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.JSON["access_token"] != nil {
		t.Errorf("headers %v of a refusal %s", a.Header, a.Body)
	}
	if code != "" && !strings.Contains(a.Text("error_description"), a.Header.Get("X-Request-Id")) {
		t.Errorf("no reference in %s", a.Body)
	}
}

var (
	ada = servertest.As("ada")
	bob = servertest.As("bob")
)
