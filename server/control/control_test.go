package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/control"
)

// serve runs the handlers behind a socket until the test ends.
func serve(t *testing.T, h control.Handlers) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "weir.db.sock")
	l, err := control.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h.Handler()}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return socket
}

func TestCall(t *testing.T) {
	var applied control.Apply
	socket := serve(t, control.Handlers{
		Apply: func(_ context.Context, a control.Apply, out io.Writer) error {
			applied = a
			_, err := fmt.Fprintln(out, "create UserPools[x]")
			return err
		},
		Backup: func(_ context.Context, b control.Backup, out io.Writer) error {
			fmt.Fprintln(out, "as far as it went")
			return errors.New(b.Path + ": exists already")
		},
	})
	t.Run("apply", func(t *testing.T) {
		var out bytes.Buffer
		in := control.Apply{Path: "/etc/weir/pool.yaml", Env: map[string]string{"WEB_SECRET": "s3cret"}, DryRun: true}
		if err := control.Call(t.Context(), socket, "apply", in, &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != "create UserPools[x]\n" || applied.Path != in.Path || applied.Env["WEB_SECRET"] != "s3cret" || !applied.DryRun {
			t.Errorf("output %q, asked %+v", out.String(), applied)
		}
	})
	t.Run("what failed comes back with what was done", func(t *testing.T) {
		var out bytes.Buffer
		err := control.Call(t.Context(), socket, "backup", control.Backup{Path: "/x"}, &out)
		if err == nil || err.Error() != "/x: exists already" || out.String() != "as far as it went\n" {
			t.Errorf("%v, output %q", err, out.String())
		}
	})
	t.Run("an operation that there is not", func(t *testing.T) {
		if err := control.Call(t.Context(), socket, "restore", control.Backup{}, io.Discard); err == nil || errors.Is(err, control.ErrNotServing) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a request too large", func(t *testing.T) {
		in := control.Apply{Path: strings.Repeat("x", 2<<20)}
		if err := control.Call(t.Context(), socket, "apply", in, io.Discard); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("%v", err)
		}
	})
	t.Run("the caller goes away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := control.Call(ctx, socket, "apply", control.Apply{}, io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestListen(t *testing.T) {
	t.Run("opens the socket for its owner only", func(t *testing.T) {
		info, err := os.Stat(serve(t, control.Handlers{}))
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	})
	t.Run("replaces what a killed process left behind", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "weir.db.sock")
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
		if err := control.Call(t.Context(), socket, "apply", control.Apply{}, io.Discard); !errors.Is(err, control.ErrNotServing) {
			t.Errorf("nobody listens, but: %v", err)
		}
		l, err := control.Listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("says what is in the way", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "dir")
		if err := os.MkdirAll(filepath.Join(socket, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := control.Listen(socket); err == nil || !strings.Contains(err.Error(), "old control socket") {
			t.Errorf("%v", err)
		}
		if _, err := control.Listen(filepath.Join(t.TempDir(), "no", "such", "place")); err == nil || !strings.Contains(err.Error(), "open the control socket") {
			t.Errorf("%v", err)
		}
	})
	t.Run("nobody serves", func(t *testing.T) {
		if err := control.Call(t.Context(), filepath.Join(t.TempDir(), "none"), "apply", control.Apply{}, io.Discard); !errors.Is(err, control.ErrNotServing) {
			t.Errorf("%v", err)
		}
	})
}
