package page_test

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/weir-id/weir/server/login/page"
)

// buttons are the links of the chooser with these providers.
func buttons(t *testing.T, p ...page.Provider) []*html.Node {
	t.Helper()
	return named(parse(t, render(t, chooser(page.Chooser{Providers: p}))), "a")
}

func TestWordsOfButtons(t *testing.T) {
	type button struct {
		name  string
		brand page.Brand
		want  string
	}
	for name, tc := range map[string][]button{
		"each brand in its own words": {
			{"Google", page.Google, "Sign in with Google"},
			{"Facebook", page.Facebook, "Continue with Facebook"},
			{"SignInWithApple", page.Apple, "Sign in with Apple"},
			{"LoginWithAmazon", page.Amazon, "Login with Amazon"},
			{"EntraID", page.Microsoft, "Sign in with Microsoft"},
			{"GitHub", page.GitHub, "Sign in with GitHub"},
			{"GitLab", page.GitLab, "Sign in with GitLab"},
			{"LinkedIn", page.LinkedIn, "Sign in with LinkedIn"},
			{"Okta", page.Okta, "Sign in with Okta"},
			{"Auth0", page.Auth0, "Sign in with Auth0"},
			{"Corp-AD", page.Plain, "Continue with Corp-AD"},
		},
		"names that add nothing": {
			{"google-oauth2", page.Google, "Sign in with Google"},
			{"AzureAD", page.Microsoft, "Sign in with Microsoft"},
			{"GITHUB", page.GitHub, "Sign in with GitHub"},
			{"linkedin.oidc", page.LinkedIn, "Sign in with LinkedIn"},
			{"okta-sso", page.Okta, "Sign in with Okta"},
			{"\u200b", page.Apple, "Sign in with Apple"},
			{"", page.GitLab, "Sign in with GitLab"},
			{"Login", page.Facebook, "Continue with Facebook"},
		},
		"a name that tells whose it is": {
			{"Contoso", page.Microsoft, "Sign in with Contoso (Microsoft)"},
			{"Riverbank", page.Okta, "Sign in with Riverbank (Okta)"},
			{"Staff", page.Facebook, "Continue with Staff (Facebook)"},
		},
		"a name that names the brand": {
			{"Contoso-GitHub", page.GitHub, "Sign in with Contoso-GitHub"},
			{"ContosoGitlab", page.GitLab, "Sign in with ContosoGitlab"},
			{"okta.contoso", page.Okta, "Sign in with okta.contoso"},
		},
		"a name that only looks like the brand": {
			{"Applebee", page.Apple, "Sign in with Applebee (Apple)"},
			{"Adin", page.Microsoft, "Sign in with Adin (Microsoft)"},
			{"Metagoogle", page.Google, "Sign in with Metagoogle (Google)"},
		},
		"two tenants of one brand": {
			{"Contoso", page.Microsoft, "Sign in with Contoso (Microsoft)"},
			{"Fabrikam", page.Microsoft, "Sign in with Fabrikam (Microsoft)"},
		},
		"one with and one without a name": {
			{"EntraID", page.Microsoft, "Sign in with Microsoft"},
			{"Contoso", page.Microsoft, "Sign in with Contoso (Microsoft)"},
		},
		"two without a name": {
			{"Microsoft", page.Microsoft, "Sign in with Microsoft"},
			{"EntraID", page.Microsoft, "Sign in with EntraID (Microsoft)"},
			{"github", page.GitHub, "Sign in with github"},
			{"GitHub", page.GitHub, "Sign in with GitHub"},
		},
		"a plain provider with a brand's name is not the brand": {
			{"Google", page.Plain, "Continue with Google"},
			{"", page.Plain, "Continue with another service"},
			{"Okta", "Unheard-of", "Continue with Okta"},
		},
		"other scripts": {
			{"リバーバンク", page.Microsoft, "Sign in with リバーバンク (Microsoft)"},
			{"שלום", page.Google, "Sign in with שלום (Google)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all []page.Provider
			for _, b := range tc {
				all = append(all, page.Provider{Name: b.name, URL: "/x", Brand: b.brand})
			}
			got := buttons(t, all...)
			for i, b := range tc {
				if words := strings.TrimPrefix(text(got[i]), initialOf(got[i])); words != b.want {
					t.Errorf("%q of %q reads %q, want %q", b.name, b.brand, words, b.want)
				}
			}
		})
	}
}

// initialOf is the letter in front of a plain button's words.
func initialOf(button *html.Node) string {
	for n := range button.Descendants() {
		if attr(n, "class") == "mark" {
			return text(n)
		}
	}
	return ""
}

func TestMarksOfButtons(t *testing.T) {
	css, err := os.ReadFile("assets/weir.css")
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range buttons(t, branded...) {
		class := "brand-" + strings.ToLower(string(brands[i]))
		if classes := strings.Fields(attr(a, "class")); !slices.Equal(classes, []string{"button", "provider", "brand", class}) {
			t.Errorf("%s: classes %q", brands[i], classes)
		}
		if !bytes.Contains(css, []byte("\n."+class+" {")) {
			t.Errorf("the style sheet has no .%s", class)
		}
		var marks []string
		for n := range a.Descendants() {
			switch {
			case n.Data == "img":
				marks = append(marks, attr(n, "src"))
			case n.Data == "source" && attr(n, "media") == "(prefers-color-scheme: dark)":
				marks = append(marks, attr(n, "srcset"))
			}
		}
		if len(marks) == 0 || initialOf(a) != "" {
			t.Errorf("%s: marks %q, initial %q", brands[i], marks, initialOf(a))
		}
		for _, m := range marks {
			if w := get(t, http.MethodGet, m); w.Code != http.StatusOK || w.Body.Len() > 1024 {
				t.Errorf("%s: %s is %d, %d bytes", brands[i], m, w.Code, w.Body.Len())
			}
		}
	}
	for _, a := range buttons(t, page.Provider{Name: "Corp", URL: "/x"}, page.Provider{Name: "Corp", URL: "/x", Brand: "Unheard-of"}) {
		if attr(a, "class") != "button provider" || initialOf(a) != "C" {
			t.Errorf("plain button: %v, %q", a.Attr, initialOf(a))
		}
	}
}

// The white drawing of a mark is the dark one in another colour; each is square and holds nothing but shapes.
func TestMarksAreDrawings(t *testing.T) {
	shape := regexp.MustCompile(`^(?:</?g|<path|<rect|<circle)$`)
	for _, file := range markFiles(t) {
		svg, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body, ok := strings.CutPrefix(string(svg), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">`)
		body, end := strings.CutSuffix(body, "</svg>\n")
		if !ok || !end {
			t.Errorf("%s is no square drawing", file)
		}
		for _, tag := range regexp.MustCompile(`</?[a-zA-Z]*`).FindAllString(body, -1) {
			if !shape.MatchString(tag) {
				t.Errorf("%s has %s", file, tag)
			}
		}
		if dark, white := strings.CutSuffix(file, "-white.svg"); white {
			other, err := os.ReadFile(dark + ".svg")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(colour.ReplaceAll(other, []byte("#ffffff")), svg) {
				t.Errorf("%s is another drawing than %s.svg", file, dark)
			}
		}
	}
}

// With forced colours (high contrast) the system decides how buttons look; only the marks keep their own ground.
func TestForcedColoursAreTheSystems(t *testing.T) {
	css, err := os.ReadFile("assets/weir.css")
	if err != nil {
		t.Fatal(err)
	}
	before, forced, ok := strings.Cut(string(css), "@media (forced-colors: active)")
	if !ok || strings.Contains(before, "forced-color-adjust") {
		t.Fatal("no rules for forced colours, or exceptions elsewhere")
	}
	if n := strings.Count(forced, "forced-color-adjust"); n != 1 || !regexp.MustCompile(`\.brand-mark \{[^}]*background: var\(--fill\);[^}]*forced-color-adjust: none`).MatchString(forced) {
		t.Errorf("%d exceptions in%s", n, forced)
	}
}
