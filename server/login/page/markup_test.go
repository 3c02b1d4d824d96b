package page_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/weir-id/weir/server/login/page"
)

// parse parses a page and returns its elements in document order.
func parse(t *testing.T, doc string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	var out []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func named(nodes []*html.Node, name string) []*html.Node {
	var out []*html.Node
	for _, n := range nodes {
		if n.Data == name {
			out = append(out, n)
		}
	}
	return out
}

// unbalanced returns the first tag that does not close what is open; the parser itself forgives everything.
func unbalanced(doc string) string {
	void := map[string]bool{"meta": true, "link": true, "input": true, "img": true, "source": true}
	var open []string
	z := html.NewTokenizer(strings.NewReader(doc))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				return z.Err().Error()
			}
			return strings.Join(open, " ")
		case html.StartTagToken:
			if name, _ := z.TagName(); !void[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				return "</" + string(name) + ">"
			}
			open = open[:len(open)-1]
		}
	}
}

func TestEveryPageIsWellFormedAndNamed(t *testing.T) {
	for name, f := range every {
		t.Run(name, func(t *testing.T) {
			doc := render(t, f)
			if !strings.HasPrefix(doc, "<!DOCTYPE html>\n") {
				t.Error("no doctype")
			}
			if bad := unbalanced(doc); bad != "" {
				t.Errorf("unbalanced: %s", bad)
			}
			nodes := parse(t, doc)
			for _, one := range []string{"html", "title", "main", "h1"} {
				if got := named(nodes, one); len(got) != 1 || (text(got[0]) == "") {
					t.Errorf("want one %s with content, got %d", one, len(got))
				}
			}
			if lang := attr(named(nodes, "html")[0], "lang"); lang != "en" {
				t.Errorf("lang = %q", lang)
			}
			ids := map[string]bool{}
			for _, n := range nodes {
				id := attr(n, "id")
				if id != "" && ids[id] {
					t.Errorf("id %q twice", id)
				}
				ids[id] = true
			}
			labels := map[string]bool{}
			for _, l := range named(nodes, "label") {
				labels[attr(l, "for")] = text(l) != ""
			}
			for _, in := range named(nodes, "input") {
				if attr(in, "type") != "hidden" && !labels[attr(in, "id")] {
					t.Errorf("input %q has no label", attr(in, "name"))
				}
				if d := attr(in, "aria-describedby"); d != "" && !ids[d] {
					t.Errorf("described by %q, which is not there", d)
				}
			}
			for _, n := range append(named(nodes, "a"), named(nodes, "button")...) {
				if text(n) == "" {
					t.Errorf("<%s> without text", n.Data)
				}
			}
			for _, svg := range named(nodes, "svg") {
				if attr(svg, "aria-hidden") != "true" {
					t.Error("a drawing is read out")
				}
			}
			for _, img := range named(nodes, "img") {
				if !slices.Contains(img.Attr, html.Attribute{Key: "alt"}) {
					t.Errorf("a picture is read out: %v", img.Attr)
				}
			}
		})
	}
}

func inlineFaults(nodes []*html.Node) []string {
	var out []string
	for _, n := range nodes {
		if n.Data == "style" || n.Data == "base" || (n.Data == "script" && (attr(n, "src") == "" || text(n) != "")) {
			out = append(out, "<"+n.Data+">")
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:") {
				out = append(out, n.Data+" "+a.Key)
			}
		}
	}
	return out
}

// The policy has no 'unsafe-inline': inline style or script would silently not work.
func TestPagesHaveNothingInline(t *testing.T) {
	for name, f := range every {
		nodes := parse(t, render(t, f))
		for _, fault := range inlineFaults(nodes) {
			t.Errorf("%s: %s", name, fault)
		}
		scripts := len(named(nodes, "script"))
		if isPost := strings.HasPrefix(name, "post"); isPost != (scripts == 1) {
			t.Errorf("%s: %d scripts", name, scripts)
		}
	}
	files, err := filepath.Glob("templates/*.html")
	if err != nil || len(files) == 0 {
		t.Fatalf("templates: %v, %v", files, err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"<style", " style=", " onload", " onclick", " onsubmit"} {
			if strings.Contains(string(src), word) {
				t.Errorf("%s has %q", file, word)
			}
		}
	}
}

func TestInlineFaultsAreFound(t *testing.T) {
	doc := `<style>a{}</style><script>x()</script><p style="a:b" onclick="x()"></p><a href=" JavaScript:x()">x</a><base href="/">`
	if got := inlineFaults(parse(t, doc)); len(got) != 6 {
		t.Errorf("found %v", got)
	}
	if unbalanced("<p><b></p></b>") == "" || unbalanced("<p>") == "" {
		t.Error("unbalanced markup passes")
	}
}

func TestChooserOrdersFieldAndButtons(t *testing.T) {
	places := func(n int) (field, list int) {
		doc := render(t, chooser(page.Chooser{Providers: numbered(n), Email: email("", false)}))
		return strings.Index(doc, "<form"), strings.Index(doc, "<ul")
	}
	if e, l := places(6); e < l {
		t.Error("few providers: the buttons come first")
	}
	if e, l := places(7); e > l {
		t.Error("many providers: the field comes first, or nobody finds it")
	}
}

func TestUnknownDomainIsTiedToTheField(t *testing.T) {
	nodes := parse(t, render(t, every["chooser-unknown"]))
	var field, alert *html.Node
	for _, n := range nodes {
		if attr(n, "type") == "email" {
			field = n
		}
		if attr(n, "role") == "alert" {
			alert = n
		}
	}
	if field == nil || alert == nil {
		t.Fatal("no field or no alert")
	}
	if attr(field, "aria-invalid") != "true" || attr(field, "aria-describedby") != attr(alert, "id") || attr(field, "value") != "ada@nowhere.example" {
		t.Errorf("field: %v", field.Attr)
	}
	if text(alert) != page.English.UnknownDomain {
		t.Errorf("alert: %q", text(alert))
	}
	if title := text(named(nodes, "title")[0]); !strings.HasPrefix(title, "Error: ") {
		t.Errorf("title %q does not say that there is an error", title)
	}
}

// What the form sends is what the view says, byte for byte, and the field's name only once.
func TestHiddenParametersSurvive(t *testing.T) {
	nodes := parse(t, render(t, every["chooser"]))
	got := map[string]string{}
	for _, n := range named(nodes, "input") {
		if _, twice := got[attr(n, "name")]; twice {
			t.Errorf("%s twice", attr(n, "name"))
		}
		got[attr(n, "name")] = attr(n, "value")
	}
	for _, p := range params {
		want := p.Value
		if p.Name == page.EmailParam {
			want = ""
		}
		if got[p.Name] != want {
			t.Errorf("%s = %q, want %q", p.Name, got[p.Name], want)
		}
	}
	if len(got) != len(params) {
		t.Errorf("parameters %v", got)
	}
}
