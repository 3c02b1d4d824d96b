package samltest

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed pages
var pageFiles embed.FS

var pageTemplates = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// contentPolicy has no form-action: the answer is posted to trusts, and browsers apply it to the redirects behind
// a form too.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"

// page is what every template gets.
type page struct {
	Title   string
	Name    string // of the provider
	Initial string // of its name, for the mark
	Path    string // of the base URL, before every local URL
	Data    any
}

type signInData struct {
	Interaction string
	Client      string
	Username    string // prefilled
	Problem     string
	Continue    string   // whose session the form offers to continue; empty: none
	People      []Person // nil: not shown
}

type signOutData struct {
	Interaction string
	Person      string
}

type postData struct {
	Action string
	Params url.Values
}

func (p *Provider) render(w http.ResponseWriter, status int, name, title string, data any) {
	var b bytes.Buffer
	err := pageTemplates.ExecuteTemplate(&b, name, page{
		Title: title, Name: p.cfg.Name, Initial: string([]rune(p.cfg.Name)[:1]), Path: p.path, Data: data,
	})
	if err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // a client that is gone is not this server's fault
}

func (p *Provider) signInPage(w http.ResponseWriter, status int, data signInData) {
	if p.cfg.ShowPeople {
		data.People = p.cfg.People
	}
	p.render(w, status, "sign-in.html", "Sign in", data)
}

func (p *Provider) signOutPage(w http.ResponseWriter, id string, person Person) {
	p.render(w, http.StatusOK, "sign-out.html", "Sign out?", signOutData{Interaction: id, Person: person.Username})
}

// postPage posts a message to a trust: by its script, or by its button where scripts are off.
func (p *Provider) postPage(w http.ResponseWriter, action string, params url.Values) {
	p.render(w, http.StatusOK, "post.html", "Back to the application", postData{Action: action, Params: params})
}

func (p *Provider) messagePage(w http.ResponseWriter, status int, title, message string) {
	p.render(w, status, "message.html", title, message)
}

// problemPage is for faults that must not be sent to an address that a message names.
func (p *Provider) problemPage(w http.ResponseWriter, status int, problem string) {
	p.messagePage(w, status, "This request cannot be answered", problem)
}

func (p *Provider) index(w http.ResponseWriter, _ *http.Request) {
	p.messagePage(w, http.StatusOK, p.cfg.Name,
		"This is a SAML identity provider for demonstrations. Its metadata is at "+p.MetadataURL()+".")
}

func asset(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			http.Error(w, "Not found.", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(body) // a client that is gone is not this server's fault
	}
}
