// Package control lets the command line reach a serving process of the same machine and user: over a Unix
// socket beside the store's file, which only its owner may open. An embedded store has one process, so `weir apply`,
// `weir export`, `weir backup`, `weir trace`, `weir user` and `weir mapping` ask the one that has it.
//
// It carries file paths, the environment variables that a pool file names, traces, and what is known of a user and of a provider's assertions, which is personal;
// secrets of the store where an export asks for them, which its owner can read anyway, and otherwise none but one that was generated just now. It owns the socket and the form of questions and answers, not what is done about them.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
)

// Apply asks to apply a pool file.
type Apply struct {
	Path   string            `json:"path"` // absolute
	Env    map[string]string `json:"env"`  // the variables that the file names, as the caller sees them
	DryRun bool              `json:"dry_run"`
}

// Export asks for a pool file.
type Export struct {
	Pools   []string `json:"pools"`   // ids; none is all
	Secrets bool     `json:"secrets"` // in the clear
}

// Backup asks for a copy of the store.
type Backup struct {
	Path string `json:"path"` // absolute; must not exist
}

// Trace asks what became of a sign-in, or of the newest that fit.
type Trace struct {
	Reference string    `json:"reference"` // or an attempt's id; "" asks for the newest
	JSON      bool      `json:"json"`
	Redacted  bool      `json:"redacted,omitempty"`
	Pool      string    `json:"pool,omitempty"`
	User      string    `json:"user,omitempty"` // as in User, of that pool
	Provider  string    `json:"provider,omitempty"`
	Client    string    `json:"client,omitempty"`
	Failed    bool      `json:"failed,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Most      int       `json:"most,omitempty"` // of a list; 0 is 20
}

// User asks to show a user, or to act on one.
type User struct {
	Action string `json:"action"` // show, sign-out, disable, enable, delete, merge, unmerge
	Pool   string `json:"pool"`
	User   string `json:"user"` // a sub, a user name or an e-mail address
	Yes    bool   `json:"yes"`  // really delete
	// Of merge and unmerge, where User is the one that is merged:
	Into   string `json:"into,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
	JSON   bool   `json:"json,omitempty"`
}

// Mapping asks what a provider's rules do with assertions, or which of them are kept. The answer is JSON.
type Mapping struct {
	Action   string            `json:"action"` // test, list
	Pool     string            `json:"pool"`
	Provider string            `json:"provider"`
	Rules    map[string]string `json:"rules"`   // attribute mapping; null is the live one
	Details  map[string]string `json:"details"` // that are rules; null is the live ones
	Claims   []byte            `json:"claims"`  // JSON, a token or a SAML response; null is what is kept
	Number   uint64            `json:"number"`  // of the only kept one that is meant; 0 is all
}

// Handlers are what a serving process does when asked. They write for a person to read, and the text of their errors is shown
// to that person as it is.
type Handlers struct {
	Apply  func(ctx context.Context, a Apply, out io.Writer) error
	Export func(ctx context.Context, e Export, out io.Writer) error
	Backup func(ctx context.Context, b Backup, out io.Writer) error
	Trace  func(ctx context.Context, t Trace, out io.Writer) error
	User   func(ctx context.Context, u User, out io.Writer) error

	Mapping func(ctx context.Context, m Mapping, out io.Writer) error
}

// maxRequest bounds a request: paths and a few variables.
const maxRequest = 1 << 20

// reply is one answer: what a person reads, and the error's text where it failed.
type reply struct {
	Output string `json:"output"`
	Error  string `json:"error,omitempty"`
}

// Server serves the socket. Questions have to come quickly; answers may take as long as a backup of a large store does.
func (h Handlers) Server(log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apply", serve(h.Apply))
	mux.HandleFunc("POST /export", serve(h.Export))
	mux.HandleFunc("POST /backup", serve(h.Backup))
	mux.HandleFunc("POST /trace", serve(h.Trace))
	mux.HandleFunc("POST /user", serve(h.User))
	mux.HandleFunc("POST /mapping", serve(h.Mapping))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func serve[T any](do func(context.Context, T, io.Writer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// A copy of a large store takes longer than a server's usual limit on an answer.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			http.Error(w, "no way to wait", http.StatusInternalServerError)
			return
		}
		var in T
		if status, err := read(http.MaxBytesReader(w, r.Body, maxRequest), r.Header.Get("Content-Type"), &in); err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		var out strings.Builder
		var rep reply
		if err := do(r.Context(), in, &out); err != nil {
			rep.Error = err.Error()
		}
		rep.Output = out.String()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(rep) // the caller is gone if this fails
	}
}

// read takes exactly one JSON value without unknown fields: what this release does not understand, it must not do by half.
func read(body io.Reader, contentType string, in any) (status int, err error) {
	if mt, _, err := mime.ParseMediaType(contentType); err != nil || mt != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("want application/json")
	}
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return http.StatusBadRequest, errors.New("malformed request")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return http.StatusBadRequest, errors.New("more than one value")
	}
	return 0, nil
}
