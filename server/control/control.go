// Package control lets the command line reach a serving process of the same machine and user: over a Unix
// socket beside the store's file, which only its owner may open. An embedded store has one process, so `weir apply`
// and `weir backup` ask the one that has it.
//
// It carries file paths and the environment variables that a pool file names, never what is in the store.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Apply asks to apply a pool file.
type Apply struct {
	Path   string            `json:"path"` // absolute
	Env    map[string]string `json:"env"`  // the variables that the file names, as the caller sees them
	DryRun bool              `json:"dry_run"`
}

// Backup asks for a copy of the store.
type Backup struct {
	Path string `json:"path"` // absolute; must not exist
}

// Handlers are what a serving process does when asked. They write for a person to read.
type Handlers struct {
	Apply  func(ctx context.Context, a Apply, out io.Writer) error
	Backup func(ctx context.Context, b Backup, out io.Writer) error
}

// maxRequest bounds a request: paths and a few variables.
const maxRequest = 1 << 20

// Listen opens the socket with mode 0600. A socket that a killed process left behind is replaced: whoever
// calls holds the store's lock, so nobody listens there.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an old control socket: %w", err)
	}
	old := syscall.Umask(0o177) // before any other goroutine creates files: see cmd/weir
	defer syscall.Umask(old)
	l, err := net.Listen("unix", path) //nolint:noctx // opening a socket file does not wait
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return l, nil
}

// Handler serves the socket.
func (h Handlers) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apply", serve(h.Apply))
	mux.HandleFunc("POST /backup", serve(h.Backup))
	return mux
}

// reply is one answer: what a person reads, and the error's text where it failed.
type reply struct {
	Output string `json:"output"`
	Error  string `json:"error,omitempty"`
}

func serve[T any](do func(context.Context, T, io.Writer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// A copy of a large store takes longer than a server's usual limit on an answer.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			http.Error(w, "no way to wait", http.StatusInternalServerError)
			return
		}
		var in T
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
			http.Error(w, "malformed request", http.StatusBadRequest)
			return
		}
		var out bytes.Buffer
		rep := reply{}
		if err := do(r.Context(), in, &out); err != nil {
			rep.Error = err.Error()
		}
		rep.Output = out.String()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(rep) // the caller is gone if this fails
	}
}

// ErrNotServing: no process listens on the socket.
var ErrNotServing = errors.New("no serving process listens there")

// Call asks the process behind the socket. op is apply or backup. The process's
// own output is written to out. Errors: ErrNotServing, and the text of what failed there.
func Call(ctx context.Context, socket, op string, in any, out io.Writer) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 10 * time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weir/"+op, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("%w: %w", ErrNotServing, err)
		}
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to the end below
	var rep reply
	if err := json.NewDecoder(res.Body).Decode(&rep); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("the serving process answered with status %d", res.StatusCode)
	}
	if _, err := io.WriteString(out, rep.Output); err != nil {
		return err
	}
	if rep.Error != "" {
		return errors.New(rep.Error)
	}
	return nil
}
