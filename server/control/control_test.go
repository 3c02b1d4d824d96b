package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/control"
)

// start serves handlers at a socket until the test ends, and returns its path.
func start(t *testing.T, h control.Handlers) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.db.sock")
	serve(t, path, h)
	return path
}

func serve(t *testing.T, path string, h control.Handlers) {
	t.Helper()
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := h.Server(slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
}

// echo answers with what it was asked.
func echo() control.Handlers {
	return control.Handlers{
		Apply: func(_ context.Context, a control.Apply, out io.Writer) error {
			_, err := fmt.Fprintf(out, "%s %v %t\n", a.Path, a.Env, a.DryRun)
			return err
		},
		Backup: func(_ context.Context, b control.Backup, out io.Writer) error {
			_, _ = fmt.Fprintln(out, "half way")
			return errors.New("no space at " + b.Path)
		},
		Trace: func(_ context.Context, tr control.Trace, out io.Writer) error {
			_, err := fmt.Fprintf(out, "%s %t\n", tr.Reference, tr.JSON)
			return err
		},
		User: func(_ context.Context, u control.User, out io.Writer) error {
			_, err := fmt.Fprintf(out, "%s %s %s %t\n", u.Action, u.Pool, u.User, u.Yes)
			return err
		},
		Mapping: func(_ context.Context, m control.Mapping, out io.Writer) error {
			_, err := fmt.Fprintf(out, "%s %s %s %v %t %s %d\n", m.Action, m.Pool, m.Provider, m.Rules, m.Rules == nil, m.Claims, m.Number)
			return err
		},
	}
}

func TestCallBringsTheAnswer(t *testing.T) {
	socket := start(t, echo())
	var out bytes.Buffer
	err := control.Call(t.Context(), socket, "apply", control.Apply{Path: "/x", Env: map[string]string{"A": "b\n"}, DryRun: true}, &out)
	if want := "/x map[A:b\n] true\n"; err != nil || out.String() != want {
		t.Errorf("apply: %v, %q, want %q", err, out.String(), want)
	}
	out.Reset()
	if err := control.Call(t.Context(), socket, "trace", control.Trace{Reference: "R", JSON: true}, &out); err != nil || out.String() != "R true\n" {
		t.Errorf("trace: %v, %q", err, out.String())
	}
	out.Reset()
	ask := control.User{Action: "delete", Pool: "P", User: "U", Yes: true}
	if err := control.Call(t.Context(), socket, "user", ask, &out); err != nil || out.String() != "delete P U true\n" {
		t.Errorf("user: %v, %q", err, out.String())
	}
	out.Reset()
	try := control.Mapping{Action: "test", Pool: "P", Provider: "C", Rules: map[string]string{}, Claims: []byte("{\n}"), Number: 7}
	if err := control.Call(t.Context(), socket, "mapping", try, &out); err != nil || out.String() != "test P C map[] false {\n} 7\n" {
		t.Errorf("mapping: %v, %q", err, out.String())
	}
	out.Reset()
	err = control.Call(t.Context(), socket, "backup", control.Backup{Path: "/y"}, &out)
	if err == nil || err.Error() != "no space at /y" || out.String() != "half way\n" {
		t.Errorf("backup: %v, %q", err, out.String())
	}
}

func TestSocketIsItsOwnersAlone(t *testing.T) {
	socket := start(t, echo())
	info, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode(), os.ModeSocket|0o600; got != want {
		t.Errorf("mode %v, want %v", got, want)
	}
	left, err := os.ReadDir(filepath.Dir(socket))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v: want the socket alone", left, err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.db.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false) // as when a process is killed
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := control.Call(t.Context(), path, "apply", control.Apply{}, io.Discard); !errors.Is(err, control.ErrNotServing) {
		t.Errorf("stale: %v, want ErrNotServing", err)
	}
	serve(t, path, echo())
	if err := control.Call(t.Context(), path, "apply", control.Apply{}, io.Discard); err != nil {
		t.Errorf("replaced: %v", err)
	}
}

func TestOtherFilesAreNoSocketsAndStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.db.sock")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := control.Listen(path); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Fatalf("%v, %v", l, err)
	}
	if err := control.Call(t.Context(), path, "apply", control.Apply{}, io.Discard); !errors.Is(err, control.ErrNotServing) {
		t.Errorf("%v, want ErrNotServing", err)
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != "kept" {
		t.Errorf("%q, %v", kept, err)
	}
}

func TestNobodyThere(t *testing.T) {
	for name, path := range map[string]string{
		"no file":           filepath.Join(t.TempDir(), "weir.db.sock"),
		"no directory":      filepath.Join(t.TempDir(), "x", "weir.db.sock"),
		"an impossible one": filepath.Join(t.TempDir(), strings.Repeat("n", 150)+".sock"),
	} {
		if err := control.Call(t.Context(), path, "apply", control.Apply{}, io.Discard); !errors.Is(err, control.ErrNotServing) {
			t.Errorf("%s: %v, want ErrNotServing", name, err)
		}
	}
}

func TestListenSaysWhyItCannot(t *testing.T) {
	for name, c := range map[string]struct{ path, want string }{
		"no directory":        {filepath.Join(t.TempDir(), "x", "weir.db.sock"), "no such file or directory"},
		"a name without room": {filepath.Join(t.TempDir(), strings.Repeat("n", 150)), "too long for a Unix socket"},
	} {
		l, err := control.Listen(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

// TestOtherRequestsAreRefused: what this release does not understand is not done by half.
func TestOtherRequestsAreRefused(t *testing.T) {
	asked := 0
	count := func() error { asked++; return nil }
	socket := start(t, control.Handlers{
		Apply:  func(context.Context, control.Apply, io.Writer) error { return count() },
		Backup: func(context.Context, control.Backup, io.Writer) error { return count() },
	})
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(client.CloseIdleConnections)
	const form, js = "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct {
		method, path, contentType, body string
		want                            int
	}{
		"a GET":                {"GET", "/apply", js, "", http.StatusMethodNotAllowed},
		"another operation":    {"POST", "/delete", js, "{}", http.StatusNotFound},
		"a form":               {"POST", "/apply", form, "path=/x", http.StatusUnsupportedMediaType},
		"no type":              {"POST", "/apply", "", "{}", http.StatusUnsupportedMediaType},
		"nothing":              {"POST", "/apply", js, "", http.StatusBadRequest},
		"no JSON":              {"POST", "/apply", js, "path: /x", http.StatusBadRequest},
		"a list":               {"POST", "/apply", js, `["/x"]`, http.StatusBadRequest},
		"an unknown field":     {"POST", "/apply", js, `{"path":"/x","force":true}`, http.StatusBadRequest},
		"two values":           {"POST", "/backup", js, `{"path":"/x"}{"path":"/y"}`, http.StatusBadRequest},
		"more than is allowed": {"POST", "/backup", js, `{"path":"` + strings.Repeat("x", 1<<20) + `"}`, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, "http://weir"+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", c.contentType)
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.want {
				t.Errorf("status %d, want %d", res.StatusCode, c.want)
			}
		})
	}
	if asked != 0 {
		t.Errorf("%d of them were done", asked)
	}
	if err := control.Call(t.Context(), socket, "delete", struct{}{}, io.Discard); err == nil || !strings.Contains(err.Error(), "another release") {
		t.Errorf("call of an unknown operation: %v", err)
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	entered := make(chan struct{})
	ended := make(chan struct{})
	socket := start(t, control.Handlers{Backup: func(ctx context.Context, _ control.Backup, _ io.Writer) error {
		close(entered)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if err := control.Call(ctx, socket, "backup", control.Backup{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	<-ended
}
