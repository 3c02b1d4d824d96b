package page_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/weir-id/weir/server/login/page"
)

var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`,
	`{{.}}`, `{{template "email"}}`, "a\x00b", "\xff\xfe<b>", `</main></body></html>`, `<!--`, `]]>`, `javascript:alert(1)`, `&lt;script&gt;`,
}

// Whatever stands in a view, the page has the same elements as with a harmless word.
func TestHostileTextStaysText(t *testing.T) {
	pages := func(s string) map[string]renderFunc {
		return map[string]renderFunc{
			"chooser": chooser(page.Chooser{ClientName: s, Providers: []page.Provider{{Name: s, URL: "/x"}, {Name: s, URL: "/x", Brand: page.GitHub}}, Email: &page.EmailForm{
				Action: "/login", Value: s, Unknown: true, Params: []page.Param{{Name: s, Value: s}},
			}}),
			"error":     errorPage(page.Error{Sentence: s, Reference: s, Again: "/login", Back: page.Link{Name: s, URL: "/"}}),
			"signedout": signedOut(page.SignedOut{Back: page.Link{Name: s, URL: "/"}}),
			"post":      post(page.Post{Action: "/x", To: s, Params: []page.Param{{Name: s, Value: s}}}),
		}
	}
	shape := func(doc string) string {
		var b strings.Builder
		for _, n := range parse(t, doc) {
			b.WriteString(n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	harmless := pages("word")
	for _, s := range hostile {
		for name, f := range pages(s) {
			doc := render(t, f)
			if got, want := shape(doc), shape(render(t, harmless[name])); got != want {
				t.Errorf("%s with %q has other elements:\n%s", name, s, doc)
			}
			if faults := inlineFaults(parse(t, strings.ReplaceAll(doc, "javascript:alert", ""))); faults != nil {
				t.Errorf("%s with %q: %v", name, s, faults)
			}
		}
	}
}

func TestNamesCannotDisguise(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"right-to-left override":    {"Corp\u202emoc.live", "Corpmoc.live"},
		"isolates and marks":        {"\u2066a\u2069\u200f\u061cb", "ab"},
		"zero width space":          {"Goo\u200bgle\ufeff", "Google"},
		"control characters":        {"a\x07b\x1b[31m", "ab[31m"},
		"lines become spaces":       {" a\r\n\u2028 b\t", "a b"},
		"tag characters":            {"a\U000e0041b", "ab"},
		"invisible letters":         {"\u3164a\u115f", "a"},
		"private use":               {"a\ue000", "a"},
		"joiners stay":              {"می\u200cخواهم", "می\u200cخواهم"},
		"right-to-left letters":     {"שלום עולם", "שלום עולם"},
		"other scripts":             {"日本電信電話株式会社", "日本電信電話株式会社"},
		"not UTF-8":                 {"a\xffb", "a\ufffdb"},
		"nothing left":              {"\u202e\u200b ", page.English.UnnamedProvider},
		"longer than any real name": {strings.Repeat("ü", 500), strings.Repeat("ü", 128) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := parse(t, render(t, chooser(page.Chooser{Providers: providers(tc.in)})))
			bdi := named(nodes, "bdi")
			if len(bdi) != 1 || text(bdi[0]) != tc.want {
				t.Errorf("shown as %q, want %q", text(bdi[0]), tc.want)
			}
		})
	}
}

func TestMarkIsTheFirstLetter(t *testing.T) {
	for in, want := range map[string]string{"corp": "C", "<script>": "S", "שלום": "ש", "3M": "3", "éa": "É", "!!!": ""} {
		for _, n := range parse(t, render(t, chooser(page.Chooser{Providers: providers(in)}))) {
			if attr(n, "class") == "mark" && text(n) != want {
				t.Errorf("mark of %q is %q, want %q", in, text(n), want)
			}
		}
	}
}

var badURLs = []string{
	"", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example", `/\evil.example`, `\\evil.example`,
	"login", "?x", "https:evil", "https:///x", "ftp://x/", "myapp://x", "http://%zz", "/\x00", "/a\nb", " /x", "vbscript:x",
}

func TestURLsThatNoPageMayLeadTo(t *testing.T) {
	r := newRenderer(t)
	for _, u := range badURLs {
		var b bytes.Buffer
		for name, err := range map[string]error{
			"button": r.Chooser(&b, page.Chooser{Providers: []page.Provider{{Name: "x", URL: u}}}),
			"e-mail": r.Chooser(&b, page.Chooser{Email: &page.EmailForm{Action: u}}),
			"post":   r.Post(&b, page.Post{Action: u}),
		} {
			if !errors.Is(err, page.ErrURL) {
				t.Errorf("%s to %q: %v", name, u, err)
			}
		}
		if b.Len() != 0 {
			t.Errorf("%q: %d bytes written before the error", u, b.Len())
		}
		for name, f := range map[string]renderFunc{
			"error":     errorPage(page.Error{Again: u, Back: page.Link{Name: "x", URL: u}}),
			"signedout": signedOut(page.SignedOut{Back: page.Link{Name: "x", URL: u}}),
		} {
			if links := named(parse(t, render(t, f)), "a"); len(links) != 0 {
				t.Errorf("%s page links to %q", name, u)
			}
		}
	}
}

func TestURLsArriveUnchanged(t *testing.T) {
	for _, u := range []string{
		"/oauth2/authorize?redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%3Fa%3D1%26b%3D2&state=%22%3E%3Cb%3E&scope=openid+email",
		"https://idp.example.com/sso?a=1&b=2", "http://127.0.0.1:8080/x",
	} {
		link := named(parse(t, render(t, chooser(page.Chooser{Providers: []page.Provider{{Name: "x", URL: u}}}))), "a")
		form := named(parse(t, render(t, post(page.Post{Action: u}))), "form")
		if got := [2]string{attr(link[0], "href"), attr(form[0], "action")}; got != [2]string{u, u} {
			t.Errorf("%s became %q", u, got)
		}
	}
}

// A button or field of the Post page with a name would add a parameter that nobody signed.
func TestPostSendsNothingOfItsOwn(t *testing.T) {
	nodes := parse(t, render(t, every["post"]))
	var names []string
	for _, n := range nodes {
		if name := attr(n, "name"); name != "" && n.Data != "meta" {
			names = append(names, name)
		}
	}
	if got := strings.Join(names, " "); got != "SAMLRequest RelayState" {
		t.Errorf("fields: %s", got)
	}
	var value *html.Node
	for _, n := range named(nodes, "input") {
		if attr(n, "name") == "SAMLRequest" {
			value = n
		}
	}
	if value == nil || attr(value, "value") != "PHNhbWw+/==" {
		t.Error("the value did not survive")
	}
}
