package oidctest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// Callback is the authorization response on its way to the relying party.
type Callback struct {
	// URL is the redirect URI; with the response in its query unless Form is set.
	URL *url.URL
	// Form is the body of a form_post response; nil for a redirect.
	Form url.Values
}

// Request returns the request with which a browser brings the response to the relying
// party: a GET, or a form POST.
func (c *Callback) Request(ctx context.Context) (*http.Request, error) {
	if c.Form == nil {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.URL.String(), nil)
	}
	return formRequest(ctx, c.URL.String(), c.Form)
}

// Params returns the response's parameters, whichever way they travel.
func (c *Callback) Params() url.Values {
	if c.Form != nil {
		return c.Form
	}
	return c.URL.Query()
}

// ErrPage is returned where the provider showed a page instead of answering the
// relying party; its text follows.
var ErrPage = errors.New("oidctest: the provider showed a page")

// SignIn goes through the provider's real form as a browser would, from the
// authorization URL to the callback, which it does not follow. client's cookie jar
// keeps the provider's session; a client without one gets a jar for this call. A page
// that is no form, or a refused password, is ErrPage.
func SignIn(ctx context.Context, client *http.Client, authorizeURL, username, password string) (*Callback, error) {
	return drive(ctx, client, authorizeURL, url.Values{"username": {username}, "password": {password}})
}

// Cancel presses the form's Cancel, which answers access_denied.
func Cancel(ctx context.Context, client *http.Client, authorizeURL string) (*Callback, error) {
	return drive(ctx, client, authorizeURL, url.Values{"cancel": {"yes"}})
}

func drive(ctx context.Context, client *http.Client, authorizeURL string, answers url.Values) (*Callback, error) {
	browser := *client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if browser.Jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, fmt.Errorf("oidctest: cookie jar: %w", err)
		}
		browser.Jar = jar
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizeURL, nil)
	if err != nil {
		return nil, fmt.Errorf("oidctest: authorization request: %w", err)
	}
	callback, form, err := visit(&browser, req)
	if err != nil || callback != nil {
		return callback, err
	}
	for name, values := range answers {
		form.fields[name] = values
	}
	if req, err = formRequest(ctx, form.action.String(), form.fields); err != nil {
		return nil, err
	}
	callback, form, err = visit(&browser, req)
	if err == nil && callback == nil {
		return nil, fmt.Errorf("%w: %s", ErrPage, form.text)
	}
	return callback, err
}

// visit sends a request to the provider and returns the callback if that is the
// answer, or else the sign-in form.
func visit(browser *http.Client, req *http.Request) (_ *Callback, _ *pageForm, err error) {
	resp, err := browser.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("oidctest: visit the provider: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		location, err := resp.Location()
		if err != nil {
			return nil, nil, fmt.Errorf("oidctest: redirect: %w", err)
		}
		return &Callback{URL: location}, nil, nil
	}
	doc, err := html.Parse(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("oidctest: parse the page: %w", err)
	}
	form := readForm(doc)
	switch form.id {
	case "form-post":
		action, err := url.Parse(form.rawAction)
		if err != nil {
			return nil, nil, fmt.Errorf("oidctest: form_post action: %w", err)
		}
		return &Callback{URL: action, Form: form.fields}, nil, nil
	case "sign-in":
		form.action, err = req.URL.Parse(form.rawAction)
		return nil, form, err
	default:
		return nil, nil, fmt.Errorf("%w: status %d: %s", ErrPage, resp.StatusCode, form.text)
	}
}

// pageForm is the last form of a page, and the text of the page's main part.
type pageForm struct {
	id        string
	rawAction string
	action    *url.URL
	fields    url.Values // hidden ones
	text      string
}

func readForm(doc *html.Node) *pageForm {
	form := &pageForm{fields: url.Values{}}
	var words []string
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.TextNode && within(n, "main"):
			words = append(words, strings.Fields(n.Data)...)
		case n.Type == html.ElementNode && n.Data == "form":
			form.id, form.rawAction, form.fields = attribute(n, "id"), attribute(n, "action"), url.Values{}
		case n.Type == html.ElementNode && n.Data == "input" && attribute(n, "type") == "hidden":
			form.fields.Add(attribute(n, "name"), attribute(n, "value"))
		}
	}
	form.text = strings.Join(words, " ")
	return form
}

func within(n *html.Node, element string) bool {
	for a := range n.Ancestors() {
		if a.Type == html.ElementNode && a.Data == element {
			return true
		}
	}
	return false
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func formRequest(ctx context.Context, target string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("oidctest: form: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}
