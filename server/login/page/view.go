package page

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// EmailParam is the name under which the e-mail form sends the address.
const EmailParam = "email"

// ErrURL is returned for a view with a URL that a page may not lead to: neither a path of this host ("/login?…") nor
// an absolute http or https URL.
var ErrURL = errors.New("not a path of this host nor an http or https URL")

// Param is one parameter of a form.
type Param struct{ Name, Value string }

// Params lists v's parameters, sorted by name and in their order under one name, without those named in except.
func Params(v url.Values, except ...string) []Param {
	var out []Param
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(except, name) {
			continue
		}
		for _, value := range v[name] {
			out = append(out, Param{name, value})
		}
	}
	return out
}

// Chooser is the view of the sign-in page.
type Chooser struct {
	// ClientName is the application, as its administrator named it; empty leaves the line out.
	ClientName string
	// Providers are the buttons, in this order.
	Providers []Provider
	// Email is the form that finds a provider by e-mail domain; nil leaves it out.
	Email *EmailForm
}

// Provider is one button.
type Provider struct {
	Name  string // as shown
	URL   string // where a GET starts the sign-in with it
	Brand Brand  // whose button it is
}

// EmailForm is the form that finds a provider by the domain of an e-mail address.
type EmailForm struct {
	Action string // receives a GET with Params and EmailParam
	// Params are the authorization request's parameters, carried along. One named EmailParam is dropped: the field is it.
	Params []Param
	Value  string // what the person typed before, or the application's login_hint
	// Unknown tells the person that no provider answers for Value's domain.
	Unknown bool
}

// Problem is what went wrong, as far as a person needs to know: it chooses the page's heading and advice.
type Problem string

// The problems with a text of their own. The zero value is a failure that trying again may mend.
const (
	Failed        Problem = ""
	Cancelled     Problem = "cancelled"     // the person or the provider said no
	Expired       Problem = "expired"       // it was valid once
	Busy          Problem = "busy"          // overloaded, throttled, or a provider that does not answer
	Misconfigured Problem = "misconfigured" // trying again will not help: an admin or a developer has to change something
	NotFound      Problem = "notfound"      // no such page
)

// Error is the view of a failed sign-in.
type Error struct {
	Problem Problem
	// Sentence is a fault's public text (fault.PublicOf); never a cause.
	Sentence string
	// Reference leads the administrator to the log record; empty leaves it out.
	Reference string
	// Again is the sign-in page with the same request, where the person can choose once more; optional.
	Again string
	// Back is the application; optional. The caller has checked that it belongs to the client: a link
	// out of a request's unchecked parameter would make this page an open redirect.
	Back Link
}

// Link is a named address.
type Link struct {
	Name string // of the application
	URL  string
}

// SignedOut is the view of the page after a sign-out.
type SignedOut struct {
	Back Link // the application; optional, checked by the caller as in Error
}

// Post is the view of a form that submits itself.
//
// A browser turns a lone line feed in a value into CR LF, and a zero byte cannot be carried at all (HTML section
// 4.10.21.7); the base64 of SAML and the parameters of OAuth survive that.
type Post struct {
	Action string
	Params []Param
	To     string // name of who receives it, as shown; may be empty
}

// Deletion is the view of a request for deletion: nothing in it says whose.
type Deletion struct {
	Asked time.Time
	Done  bool
}

type deletionData struct {
	Date, Day string // for programs, and for people
	Done      bool
}

func (v Deletion) prepare(m Messages) deletionData {
	at := v.Asked.UTC()
	return deletionData{Date: at.Format(time.DateOnly), Day: at.Format(m.Day), Done: v.Done}
}

type chooserData struct {
	Client    string
	Providers []providerData
	Many      bool
	Email     *emailData
}

// providerData is a button: with an Initial, or with the brand's class and its marks (paths of assets).
type providerData struct {
	label
	URL, Initial, Class, Light, Dark string
	Value                            string // what a form sends for it
}

type emailData struct {
	Action, Field, Value string
	Params               []Param
	Unknown              bool
}

// manyProviders is the number of buttons from which the e-mail field comes first and the list is set in two columns:
// fewer fit on a phone's screen together with the field.
const manyProviders = 7

// buttons are those of the providers, whose names are as they are shown, in their order. What each does is for the page to add.
func (m Messages) buttons(shown []Provider, as assets) []providerData {
	var out []providerData
	for i, l := range m.labels(shown) {
		b := providerData{label: l}
		if k, ok := looks[shown[i].Brand]; ok {
			b.Class = strings.ToLower(string(shown[i].Brand))
			b.Light, b.Dark = as.path(markFile(k.light)), as.path(markFile(k.dark))
		} else {
			b.Initial = initial(l.Name)
		}
		out = append(out, b)
	}
	return out
}

func (v Chooser) prepare(m Messages, as assets) (chooserData, error) {
	d := chooserData{Client: displayName(v.ClientName), Many: len(v.Providers) >= manyProviders}
	shown := slices.Clone(v.Providers)
	for i := range shown {
		if !mayLeadTo(shown[i].URL) {
			return chooserData{}, ErrURL
		}
		shown[i].Name = displayName(shown[i].Name)
	}
	d.Providers = m.buttons(shown, as)
	for i := range d.Providers {
		d.Providers[i].URL = shown[i].URL
	}
	if v.Email == nil {
		return d, nil
	}
	if !mayLeadTo(v.Email.Action) {
		return chooserData{}, ErrURL
	}
	d.Email = &emailData{Action: v.Email.Action, Field: EmailParam, Value: v.Email.Value, Unknown: v.Email.Unknown}
	for _, p := range v.Email.Params {
		if p.Name != EmailParam {
			d.Email.Params = append(d.Email.Params, p)
		}
	}
	return d, nil
}

type errorData struct {
	Heading, Sentence, Advice, Reference, Again string
	Back                                        Link
}

func (v Error) prepare(m Messages) errorData {
	t, ok := m.Problems[v.Problem]
	if !ok {
		t = m.Problems[Failed]
	}
	d := errorData{Heading: t.Heading, Sentence: v.Sentence, Advice: t.Advice, Reference: v.Reference, Back: v.Back.prepare(m)}
	if mayLeadTo(v.Again) {
		d.Again, d.Advice = v.Again, t.AdviceAgain
	}
	if d.Sentence == d.Heading || d.Sentence == d.Heading+"." {
		d.Sentence = "" // said already
	}
	return d
}

func (v SignedOut) prepare(m Messages) Link { return v.Back.prepare(m) }

func (l Link) prepare(m Messages) Link {
	if !mayLeadTo(l.URL) {
		return Link{}
	}
	name := displayName(l.Name)
	if name == "" {
		name = m.TheApplication
	}
	return Link{Name: name, URL: l.URL}
}

func (v Post) prepare() (Post, error) {
	if !mayLeadTo(v.Action) {
		return Post{}, ErrURL
	}
	v.To = displayName(v.To)
	return v, nil
}

// mayLeadTo holds scripts ("javascript:"), other schemes and look-alikes of a path ("//host", "/\host") away from links
// and forms. html/template filters schemes too, but replaces them silently.
func mayLeadTo(raw string) bool {
	if strings.ContainsRune(raw, '\\') {
		return false // browsers read it as a slash (URL Standard, special authority slashes state)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return false
	case u.Scheme == "":
		return u.Host == "" && strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//")
	default:
		return (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	}
}
