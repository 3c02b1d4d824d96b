package login_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// look is what a person sees of a button, and the pictures it needs.
type look struct {
	class, words string
	marks        []string
}

func looks(t *testing.T, p *servertest.Page) []look {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	var out []look
	for n := range doc.Descendants() {
		if n.Parent != nil && n.Parent.Data == "li" && n.Data == "a" {
			out = append(out, look{})
		}
		if len(out) == 0 {
			continue
		}
		b := &out[len(out)-1]
		switch {
		case n.Type == html.TextNode && within(n, "label"):
			b.words += n.Data
		case n.Data == "a":
			b.class = attribute(n, "class")
		case n.Data == "img":
			b.marks = append(b.marks, attribute(n, "src"))
		case n.Data == "source":
			b.marks = append(b.marks, attribute(n, "srcset"))
		}
	}
	return out
}

func within(n *html.Node, class string) bool {
	for n = range n.Ancestors() {
		if attribute(n, "class") == class {
			return true
		}
	}
	return false
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// The page shows each provider as its configuration says, and what it shows can be fetched.
func TestButtonsOfBrands(t *testing.T) {
	w, up := servertest.StartExample(t)
	w.Directory.CheckProvider = nil // whether the details would do for a sign-in is not the page's question
	spec := func(name, kind, preset string) pool.ProviderSpec {
		s := servertest.Provider(name, up)
		s.ProviderType = kind
		s.AttributeMapping = nil
		if preset != "" {
			s.ProviderDetails["preset"] = secret.New(preset)
		}
		return s
	}
	want := []struct {
		spec         pool.ProviderSpec
		class, words string
	}{
		{spec("Google", "Google", ""), "brand brand-google", "Sign in with Google"},
		{spec("Facebook", "Facebook", ""), "brand brand-facebook", "Continue with Facebook"},
		{spec("SignInWithApple", "SignInWithApple", ""), "brand brand-apple", "Sign in with Apple"},
		{spec("LoginWithAmazon", "LoginWithAmazon", ""), "brand brand-amazon", "Login with Amazon"},
		{spec("Contoso", "OIDC", "EntraID"), "brand brand-microsoft", "Sign in with Contoso (Microsoft)"},
		{spec("Fabrikam", "OIDC", "EntraID"), "brand brand-microsoft", "Sign in with Fabrikam (Microsoft)"},
		{spec("GitHub", "OIDC", "GitHub"), "brand brand-github", "Sign in with GitHub"},
		{spec("GitLab", "OIDC", "GitLab"), "brand brand-gitlab", "Sign in with GitLab"},
		{spec("LinkedIn", "OIDC", "LinkedIn"), "brand brand-linkedin", "Sign in with LinkedIn"},
		{spec("Okta", "OIDC", "Okta"), "brand brand-okta", "Sign in with Okta"},
		{spec("Auth0", "OIDC", "Auth0"), "brand brand-auth0", "Sign in with Auth0"},
		{spec("Corp", "OIDC", ""), "", "Continue with Corp"},
		{spec("Microsoft", "OIDC", ""), "", "Continue with Microsoft"},
	}
	var specs []pool.ProviderSpec
	for _, b := range want {
		specs = append(specs, b.spec)
	}
	w.Apply(servertest.Example(specs...))
	request := "/login?" + w.Web().Request().Encode()
	p := w.Browser().Get(request)
	got := looks(t, p)
	if p.Status != http.StatusOK || len(got) != len(want) {
		t.Fatalf("page %d with %d buttons\n%s", p.Status, len(got), p.Body)
	}
	for i, b := range want {
		class := strings.TrimSpace("button provider " + b.class)
		if got[i].class != class || got[i].words != b.words || (len(got[i].marks) > 0) != (b.class != "") {
			t.Errorf("%s: %+v, want %q and %q", b.spec.ProviderName, got[i], class, b.words)
		}
		for _, m := range got[i].marks {
			if a := w.Browser().Get(m); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "image/svg+xml" {
				t.Errorf("%s: %d %s", m, a.Status, a.Header.Get("Content-Type"))
			}
		}
	}
	links := p.Links()

	if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Okta"); err != nil {
		t.Fatal(err)
	}
	p = w.Browser().Get(request)
	if got := looks(t, p); p.Status != http.StatusOK || len(p.Links()) != len(links)-1 || len(got) != len(want)-1 || strings.Contains(p.Body, "Okta") {
		t.Errorf("with a provider that is gone: page %d\n%s", p.Status, p.Body)
	}
}
