package demo

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
)

//go:embed pages
var pageFiles embed.FS

var pageTemplates = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// contentPolicy has no form-action: browsers apply it to every redirect that follows
// the sign-in form, through the broker and on to providers nobody can list here.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

type page struct {
	Title string
	Data  any
}

// problem is a page about something that went wrong.
type problem struct {
	Text        string
	Code        string // the provider's, if it gave one
	Description string
}

func (a *app) render(w http.ResponseWriter, status int, name, title string, data any) {
	var b bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&b, name, page{Title: title, Data: data}); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // a client that is gone is not this server's fault
}

// fail shows a friendly page; the cause goes to the log alone.
func (a *app) fail(w http.ResponseWriter, r *http.Request, status int, title, text string, cause error) {
	a.cfg.Log.WarnContext(r.Context(), "page about a failure", slog.String("page", title), slog.String("cause", cause.Error()))
	a.render(w, status, "problem.html", title, problem{Text: text})
}

// clip bounds a text that came through the browser.
func clip(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func styleSheet(w http.ResponseWriter, _ *http.Request) {
	body, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		http.Error(w, "Not found.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(body) // a client that is gone is not this server's fault
}
