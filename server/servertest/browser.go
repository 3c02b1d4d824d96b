package servertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// Browser is a person's browser: it keeps cookies and follows no redirect by itself, so that a test sees each step.
type Browser struct {
	*http.Client
	Weir *Weir
	t    testing.TB
}

// Page is an answer.
type Page struct {
	Status   int
	Header   http.Header
	Body     string
	Location *url.URL // of a redirect, absolute; nil otherwise
	Cookies  []*http.Cookie
	From     *url.URL // the address of the request
}

// Get visits an address; a path is one of Weir.
func (b *Browser) Get(at string) *Page {
	b.t.Helper()
	return b.send(http.MethodGet, at, nil)
}

// Post submits a form.
func (b *Browser) Post(at string, form url.Values) *Page {
	b.t.Helper()
	return b.send(http.MethodPost, at, form)
}

func (b *Browser) send(method, at string, form url.Values) *Page {
	b.t.Helper()
	if strings.HasPrefix(at, "/") {
		at = b.Weir.URL + at
	}
	req, err := request(b.t.Context(), method, at, form)
	b.Weir.must(err)
	return b.Do(req)
}

func request(ctx context.Context, method, at string, form url.Values) (*http.Request, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err == nil && form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// Do sends a request and reads the whole answer.
func (b *Browser) Do(req *http.Request) *Page {
	b.t.Helper()
	p, err := b.Try(req)
	b.Weir.must(err)
	return p
}

// Try is Do with its error, for goroutines, which may not end a test.
func (b *Browser) Try(req *http.Request) (_ *Page, err error) {
	res, err := b.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	p := &Page{Status: res.StatusCode, Header: res.Header, Body: string(body), Cookies: res.Cookies(), From: req.URL}
	if res.Header.Get("Location") != "" {
		p.Location, err = res.Location()
	}
	return p, err
}

// Form is the last form of a page: its action, absolute, and its hidden fields.
func (p *Page) Form() (action string, fields url.Values) {
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return "", nil
	}
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.ElementNode && n.Data == "form":
			action, fields = "", url.Values{}
			if u, err := p.From.Parse(attribute(n, "action")); err == nil {
				action = u.String()
			}
		case n.Type == html.ElementNode && n.Data == "input" && attribute(n, "type") == "hidden" && fields != nil:
			fields.Add(attribute(n, "name"), attribute(n, "value"))
		}
	}
	return action, fields
}

// Links are the addresses of a page's links, absolute.
func (p *Page) Links() []string {
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return nil
	}
	var out []string
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" {
			if u, err := p.From.Parse(attribute(n, "href")); err == nil {
				out = append(out, u.String())
			}
		}
	}
	return out
}

func attribute(n *html.Node, key string) string {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

// Params are what a page sends to an application: the query of its redirect, or the fields of its form (response_mode=form_post).
func (p *Page) Params() url.Values {
	if p.Location != nil {
		return p.Location.Query()
	}
	_, fields := p.Form()
	return fields
}

// Upstream goes from the challenge, which Weir answered to the browser (a redirect, or a page that posts itself), through the identity
// provider to the request that brings the browser back to Weir. It must not call t.Fatal: it may run in a goroutine.
type Upstream func(ctx context.Context, b *Browser, challenge *Page) (*http.Request, error)

// As signs in at a provider of OIDC as that person, whose password is the user name.
func As(username string) Upstream {
	return func(ctx context.Context, b *Browser, challenge *Page) (*http.Request, error) {
		if challenge.Location == nil {
			return nil, errors.New("servertest: not sent to a provider: " + challenge.Body)
		}
		back, err := oidctest.SignIn(ctx, b.Client, challenge.Location.String(), username, username)
		if err != nil {
			return nil, err
		}
		return back.Request(ctx)
	}
}

// Cancel presses Cancel at a provider of OIDC.
func Cancel(ctx context.Context, b *Browser, challenge *Page) (*http.Request, error) {
	back, err := oidctest.Cancel(ctx, b.Client, challenge.Location.String())
	if err != nil {
		return nil, err
	}
	return back.Request(ctx)
}

// ToCallback goes from an authorization request to the request that brings the provider's answer to Weir, without sending it.
func (b *Browser) ToCallback(authorize string, up Upstream) *http.Request {
	b.t.Helper()
	req, err := up(b.t.Context(), b, b.Get(authorize))
	b.Weir.must(err)
	return req
}

// SignIn goes from an authorization request through the provider to Weir's last answer: the redirect to the application, or
// the page with an error.
func (b *Browser) SignIn(authorize string, up Upstream) *Page {
	b.t.Helper()
	return b.Do(b.ToCallback(authorize, up))
}

// TrySignIn is SignIn for goroutines.
func (b *Browser) TrySignIn(ctx context.Context, authorize string, up Upstream) (*Page, error) {
	req, err := request(ctx, http.MethodGet, authorize, nil)
	if err != nil {
		return nil, err
	}
	challenge, err := b.Try(req)
	if err != nil {
		return nil, err
	}
	if req, err = up(ctx, b, challenge); err != nil {
		return nil, err
	}
	return b.Try(req)
}

// Cookie returns the browser's cookies at Weir whose names begin so.
func (b *Browser) Cookie(prefix string) []*http.Cookie {
	b.t.Helper()
	at, err := url.Parse(b.Weir.URL)
	b.Weir.must(err)
	return slices.DeleteFunc(b.Jar.Cookies(at), func(c *http.Cookie) bool { return !strings.HasPrefix(c.Name, prefix) })
}
