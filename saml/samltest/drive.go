package samltest

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

// Step is where a page or a redirect of the provider sends the browser: a message on its way to a service provider.
type Step struct {
	// URL is the address; with the message in its query unless Form is set.
	URL *url.URL
	// Form is the body of a POST; nil for a redirect.
	Form url.Values
}

// Request returns the request with which a browser takes the step: a GET, or a form POST.
func (s *Step) Request(ctx context.Context) (*http.Request, error) {
	return request(ctx, s.URL.String(), s.Form)
}

// Params returns the message's parameters, whichever way they travel.
func (s *Step) Params() url.Values {
	if s.Form != nil {
		return s.Form
	}
	return s.URL.Query()
}

// ErrPage is returned where the provider showed a page instead of sending the browser on; its text follows.
var ErrPage = errors.New("samltest: the provider showed a page")

// SignIn brings a message to the provider as a browser would (a GET of target, or a POST of form if that is not nil), goes through the real
// sign-in form if there is one, and returns the step to the service provider, which it does not take. client's cookie jar keeps
// the provider's session; a client without one gets a jar for this call. A page that is no form, or a refused
// password, is ErrPage.
func SignIn(ctx context.Context, client *http.Client, target string, form url.Values, username, password string) (*Step, error) {
	return drive(ctx, client, target, form, "sign-in", url.Values{"username": {username}, "password": {password}})
}

// Cancel presses the form's Cancel, which answers RequestDenied.
func Cancel(ctx context.Context, client *http.Client, target string, form url.Values) (*Step, error) {
	return drive(ctx, client, target, form, "sign-in", url.Values{"cancel": {"yes"}})
}

// SignOut signs out at the provider's own page. The step is the first LogoutRequest; without one it is ErrPage.
func SignOut(ctx context.Context, client *http.Client, target string) (*Step, error) {
	return drive(ctx, client, target, nil, "sign-out", url.Values{})
}

// Visit brings a message to the provider and returns where that sends the browser without a form: logout messages, or a
// sign-in in a browser that has a session.
func Visit(ctx context.Context, client *http.Client, target string, form url.Values) (*Step, error) {
	return drive(ctx, client, target, form, "", nil)
}

func drive(ctx context.Context, client *http.Client, target string, form url.Values, id string, answers url.Values) (*Step, error) {
	browser := *client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if browser.Jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, fmt.Errorf("samltest: cookie jar: %w", err)
		}
		browser.Jar = jar
	}
	req, err := request(ctx, target, form)
	if err != nil {
		return nil, err
	}
	step, shown, err := visit(&browser, req)
	if err != nil || step != nil {
		return step, err
	}
	if shown.id != id || id == "" {
		return nil, fmt.Errorf("%w: %s", ErrPage, shown.text)
	}
	for name, values := range answers {
		shown.fields[name] = values
	}
	if req, err = request(ctx, shown.action.String(), shown.fields); err != nil {
		return nil, err
	}
	step, shown, err = visit(&browser, req)
	if err == nil && step == nil {
		return nil, fmt.Errorf("%w: %s", ErrPage, shown.text)
	}
	return step, err
}

// visit sends a request to the provider and returns the step if it sends the browser on, or else the form it shows.
func visit(browser *http.Client, req *http.Request) (_ *Step, _ *pageForm, err error) {
	resp, err := browser.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("samltest: visit the provider: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		location, err := resp.Location()
		if err != nil {
			return nil, nil, fmt.Errorf("samltest: redirect: %w", err)
		}
		return &Step{URL: location}, nil, nil
	}
	doc, err := html.Parse(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("samltest: parse the page: %w", err)
	}
	form := readForm(doc)
	switch form.id {
	case "saml-post":
		action, err := url.Parse(form.rawAction)
		if err != nil {
			return nil, nil, fmt.Errorf("samltest: action: %w", err)
		}
		return &Step{URL: action, Form: form.fields}, nil, nil
	case "sign-in", "sign-out":
		form.action, err = req.URL.Parse(form.rawAction)
		return nil, form, err
	}
	return nil, nil, fmt.Errorf("%w: status %d: %s", ErrPage, resp.StatusCode, form.text)
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

// request is a GET of target, or a POST of form if that is not nil.
func request(ctx context.Context, target string, form url.Values) (*http.Request, error) {
	if form == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return nil, fmt.Errorf("samltest: request: %w", err)
		}
		return req, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("samltest: form: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}
