package login_test

import (
	"errors"
	"flag"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/servertest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestLoginPage(t *testing.T) {
	w, up := servertest.StartExample(t)
	app := w.Web()
	page := func(b *servertest.Browser, pairs ...string) *servertest.Page {
		return b.Get("/login?" + app.Request(pairs...).Encode())
	}
	t.Run("has a button per provider and a field for the e-mail address", func(t *testing.T) {
		b := w.Browser()
		p := page(b, "login_hint", "ada@nowhere.example")
		action, fields := p.Form()
		if p.Status != http.StatusOK || len(p.Links()) != 1 || action != w.URL+"/login" || !strings.Contains(p.Body, `value="ada@nowhere.example"`) {
			t.Fatalf("page %d %s", p.Status, p.Body)
		}
		if fields.Get("state") != "af0ifjsldkj" || fields.Get("code_challenge") == "" || len(p.Cookies) != 0 {
			t.Errorf("fields %v, cookies %v", fields, p.Cookies)
		}
		app.Tokens(b.SignIn(p.Links()[0], ada))
	})
	t.Run("finds the provider by the e-mail address's domain", func(t *testing.T) {
		b := w.Browser()
		_, fields := page(b).Form()
		fields.Set("email", " Ada@CORP.example ")
		p := b.Get("/login?" + fields.Encode())
		if p.Status != http.StatusSeeOther || p.Location.Path != "/oauth2/authorize" || p.Location.Host != "login.test" {
			t.Fatalf("answer %d to %v", p.Status, p.Location)
		}
		challenge := b.Get(p.Location.String())
		if challenge.Location == nil || !strings.HasPrefix(challenge.Location.String(), up.Issuer()) || challenge.Location.Query().Get("login_hint") != "Ada@CORP.example" {
			t.Errorf("goes to %v", challenge.Location)
		}
	})
	t.Run("an e-mail address that leads nowhere", func(t *testing.T) {
		for _, email := range []string{"x@unknown.example", "x", "@corp.example", "x@", `"><script>alert(1)</script>@x`} {
			p := page(w.Browser(), "email", email)
			if p.Status != http.StatusUnprocessableEntity || strings.Contains(p.Body, "<script>") || len(p.Links()) != 1 {
				t.Errorf("%q: page %d %s", email, p.Status, p.Body)
			}
		}
	})
	t.Run("open redirect", func(t *testing.T) {
		for _, pairs := range [][]string{
			{"redirect_uri", "https://evil.example/"}, {"redirect_uri", "//evil.example"}, {"client_id", "nobody"},
			{"redirect_uri", "https://evil.example/", "email", "x@corp.example"},
		} {
			onPage(t, page(w.Browser(), pairs...), http.StatusBadRequest, "")
		}
		p := page(w.Browser(), "next", "https://evil.example/", "email", "x@corp.example", "identity_provider", "")
		if p.Location == nil || p.Location.Host != "login.test" {
			t.Errorf("goes to %v", p.Location)
		}
	})
	t.Run("HEAD and POST", func(t *testing.T) {
		req := app.NewRequest(http.MethodHead, "/login?"+app.Request().Encode(), nil)
		if p := w.Browser().Do(req); p.Status != http.StatusOK || p.Body != "" {
			t.Errorf("HEAD: %d %q", p.Status, p.Body)
		}
		onPage(t, w.Browser().Post("/login", app.Request()), http.StatusMethodNotAllowed, "method")
	})
}

// Names that an admin, or somebody who got at the API, made to disturb the page.
func TestHostileNames(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	names := []string{`"><script>alert(1)</script>`, "javascript:alert(1)", "\u202eelgooG", "../../logout", "a&b=c#d?e", "https://evil.example/"}
	var specs []pool.ProviderSpec
	for _, n := range names {
		specs = append(specs, servertest.Provider(n, up))
	}
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: servertest.Example(usable(t, specs)...)})
	c, err := w.Directory.Client(t.Context(), servertest.WebClient)
	if err != nil {
		t.Fatal(err)
	}
	p := w.Browser().Get("/login?" + w.Web().Request().Encode())
	if p.Status != http.StatusOK || strings.Contains(p.Body, "<script") || strings.Contains(p.Body, "\u202e") {
		t.Fatalf("page %d %s", p.Status, p.Body)
	}
	links := p.Links()
	if len(links) != len(c.Providers) || len(links) < 4 {
		t.Fatalf("links %q", links)
	}
	for i, link := range links {
		u, err := url.Parse(link)
		if err != nil || u.Host != "login.test" || u.Path != "/oauth2/authorize" || u.Query().Get("identity_provider") != c.Providers[i] {
			t.Errorf("%q leads to %q", c.Providers[i], link)
		}
		w.Web().Tokens(w.Browser().SignIn(link, ada))
	}
}

// usable leaves out the names that the directory refuses anyway.
func usable(t *testing.T, specs []pool.ProviderSpec) []pool.ProviderSpec {
	t.Helper()
	var out []pool.ProviderSpec
	p := pool.Pool{Schema: pool.StandardSchema()}
	for _, s := range specs {
		problems, _ := pool.ValidateProvider(pool.IdentityProvider{Name: s.ProviderName, Type: s.ProviderType}, p)
		if len(problems) == 0 {
			out = append(out, s)
		}
	}
	return out
}

func TestErrorPageGolden(t *testing.T) {
	w, _ := servertest.StartExample(t)
	p := w.Browser().Get(w.Web().Authorize("redirect_uri", "https://evil.example/"))
	got := strings.ReplaceAll(p.Body, p.Header.Get("X-Request-Id"), "(reference)")
	const path = "testdata/error.golden.html"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) || strings.Contains(got, "evil.example") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
