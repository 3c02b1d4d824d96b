// Package page owns every page that a person sees: their HTML templates, the one
// style sheet, the one script, the icons, the marks and words of the brands' buttons, the sentences on them and the HTTP headers they must be sent with.
//
// It does not own what is decided before a page is shown: which providers a client has, whether a URL is
// registered, which status an error has. Callers (package server/login) pass views that are
// already decided and write status and headers; a view holds plain values, never a request.
//
// To show a page: call SetHeaders with the page's Kind, write the status, then call the method of Renderer of the
// same name. Mount Renderer.Assets at AssetPrefix.
//
// What holds for every page: it works without JavaScript; it contains no inline script, style or event
// handler, so that the Content-Security-Policy needs no 'unsafe-inline'; whatever comes from a view is
// escaped by html/template; names are shown by way of displayName, which takes out what could disguise them.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Renderer renders pages and serves their assets. It is safe for concurrent use.
type Renderer struct {
	templates map[Kind]*template.Template
	assets    assets
	messages  Messages
}

// Kind is one page. It decides the template and the headers.
type Kind string

// The pages there are.
const (
	KindChooser   Kind = "chooser"
	KindError     Kind = "error"
	KindSignedOut Kind = "signedout"
	KindPost      Kind = "post"
	KindDeletion  Kind = "deletion"
	KindAsk       Kind = "ask"
	KindConfirm   Kind = "confirm"
)

var kinds = [...]Kind{KindChooser, KindError, KindSignedOut, KindPost, KindDeletion, KindAsk, KindConfirm}

// New parses the embedded templates and names the assets after their content. An error is a
// defect of this build, never of the configuration.
func New() (*Renderer, error) {
	as, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("page: assets: %w", err)
	}
	r := &Renderer{templates: map[Kind]*template.Template{}, assets: as, messages: English}
	for _, k := range kinds {
		t, err := template.New("layout.html").Option("missingkey=error").
			ParseFS(templateFiles, "templates/layout.html", "templates/"+string(k)+".html")
		if err != nil {
			return nil, fmt.Errorf("page: template %s: %w", k, err)
		}
		r.templates[k] = t
	}
	return r, nil
}

// frame is what layout.html and every page template are given.
type frame struct {
	M      Messages
	Title  string // of the browser's window
	CSS    string // paths of assets
	Icon   string
	Touch  string
	Script string // only on Post
	V      any    // the page's own prepared view
}

// Chooser writes the sign-in page. It fails before the first byte where a URL in the view is not one that a page may lead to.
func (r *Renderer) Chooser(w io.Writer, v Chooser) error {
	p, err := v.prepare(r.messages, r.assets)
	if err != nil {
		return fmt.Errorf("page: chooser: %w", err)
	}
	title := r.messages.SignIn
	if p.Client != "" {
		title = r.messages.SignInTitle.Around(p.Client)
	}
	if p.Email != nil && p.Email.Unknown {
		// Said first, since a screen reader announces the title before anything else.
		title = r.messages.ErrorTitle.Around(title)
	}
	return r.write(w, KindChooser, frame{Title: title, V: p})
}

// Error writes the page of a failed sign-in. It does not fail over a view: a link it may not
// show is left out, since there is no page to fall back to.
func (r *Renderer) Error(w io.Writer, v Error) error {
	p := v.prepare(r.messages)
	return r.write(w, KindError, frame{Title: p.Heading, V: p})
}

// SignedOut writes the page after a sign-out that leads nowhere else. A link it may not show is left out.
func (r *Renderer) SignedOut(w io.Writer, v SignedOut) error {
	return r.write(w, KindSignedOut, frame{Title: r.messages.SignedOut, V: v.prepare(r.messages)})
}

// Post writes a page that submits a form by itself, or by its button where there is no JavaScript. It
// fails before the first byte where the action is not one that a page may lead to.
func (r *Renderer) Post(w io.Writer, v Post) error {
	p, err := v.prepare()
	if err != nil {
		return fmt.Errorf("page: post: %w", err)
	}
	return r.write(w, KindPost, frame{Title: r.messages.OneMoment, Script: r.assets.path(scriptFile), V: p})
}

// Deletion writes what became of a request for deletion.
func (r *Renderer) Deletion(w io.Writer, v Deletion) error {
	title := r.messages.DeletionReceived
	if v.Done {
		title = r.messages.DeletionDone
	}
	return r.write(w, KindDeletion, frame{Title: title, V: v.prepare(r.messages)})
}

// write renders into memory first, so that a failing template cannot leave half a page behind.
func (r *Renderer) write(w io.Writer, k Kind, f frame) error {
	f.M = r.messages
	f.CSS, f.Icon, f.Touch = r.assets.path(styleFile), r.assets.path(iconFile), r.assets.path(touchFile)
	var b bytes.Buffer
	if err := r.templates[k].Execute(&b, f); err != nil {
		return fmt.Errorf("page: %s: %w", k, err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("page: write %s: %w", k, err)
	}
	return nil
}
