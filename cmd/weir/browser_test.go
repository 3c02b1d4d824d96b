package main_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser keeps cookies, follows redirects and reads forms and links, as far as people do.
type browser struct {
	t      *testing.T
	client http.Client
	// stopAt is where redirects are not followed any more: the page is then empty and its url that address.
	stopAt string
}

type page struct {
	url    *url.URL
	status int
	body   string
	doc    *html.Node
	header http.Header
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, client: http.Client{Jar: jar, Transport: &http.Transport{}}}
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if b.stopAt != "" && strings.HasPrefix(r.URL.String(), b.stopAt) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

func (b *browser) open(address string) page {
	b.t.Helper()
	return b.visit(http.MethodGet, address, nil)
}

func (b *browser) visit(method, address string, form url.Values) page {
	b.t.Helper()
	p, err := b.try(method, address, form)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// try is visit for goroutines other than the test's.
func (b *browser) try(method, address string, form url.Values) (page, error) {
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return page{}, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		return page{}, err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return page{}, err
	}
	p := page{url: res.Request.URL, status: res.StatusCode, body: string(body), header: res.Header}
	if location, err := res.Location(); err == nil {
		p.url = location
	}
	p.doc, err = html.Parse(strings.NewReader(p.body))
	return p, err
}

// click follows the link that has the text.
func (b *browser) click(p page, text string) page {
	b.t.Helper()
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" && strings.Contains(textOf(n), text) {
			return b.open(p.address(b.t, attribute(n, "href")))
		}
	}
	b.t.Fatalf("%s: no link %q\n%s", p.url, text, p.body)
	return page{}
}

// submit fills the form with the button in and presses it. Fields are name, value, name, value.
func (b *browser) submit(p page, button string, fields ...string) page {
	b.t.Helper()
	for n := range p.doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" {
			continue
		}
		form, found := url.Values{}, false
		for c := range n.Descendants() {
			switch {
			case c.Type != html.ElementNode:
			case c.Data == "input":
				form.Set(attribute(c, "name"), attribute(c, "value"))
			case c.Data == "button":
				found = found || textOf(c) == button
			}
		}
		if !found {
			continue
		}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		return b.visit(strings.ToUpper(attribute(n, "method")), p.address(b.t, attribute(n, "action")), form)
	}
	b.t.Fatalf("%s: no form with a button %q\n%s", p.url, button, p.body)
	return page{}
}

func (p page) address(t *testing.T, ref string) string {
	t.Helper()
	u, err := p.url.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// claim is what the sample application shows of a token.
func (p page) claim(section, name string) string {
	for s := range p.doc.Descendants() {
		if attribute(s, "id") != section {
			continue
		}
		for row := range s.Descendants() {
			if attribute(row, "data-claim") != name {
				continue
			}
			for cell := range row.ChildNodes() {
				if attribute(cell, "class") == "value" {
					return textOf(cell)
				}
			}
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var words []string
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			words = append(words, strings.Fields(c.Data)...)
		}
	}
	return strings.Join(words, " ")
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
