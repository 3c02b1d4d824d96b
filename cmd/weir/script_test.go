package main_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	weir "github.com/weir-id/weir/cmd/weir"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"weir": weir.Main}) }

// patience bounds every wait for another process.
const patience = time.Minute

// TestScripts runs the command as an admin does: processes, files, signals. In the YAML files
// of a script $LISTEN, $OPS, $BUSY and $LONG stand for what setUp gives.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "status": status, "mode": mode, "term": term, "reference": reference,
		},
	})
}

func setUp(env *testscript.Env) error {
	busy, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = busy.Close() })
	vars := map[string]string{"BUSY": busy.Addr().String(), "LONG": strings.Repeat("long-name-", 12)}
	for _, name := range []string{"LISTEN", "OPS"} {
		if vars[name], err = freeAddress(); err != nil {
			return err
		}
	}
	for name, value := range vars {
		env.Setenv(name, value)
	}
	return filepath.WalkDir(env.WorkDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(os.Expand(string(body), func(name string) string { return vars[name] })), 0o600)
	})
}

// lastPort is where freeAddress looks on. The ports are below those that systems give out by themselves, so that nobody gets
// one by chance before the process under test has it.
var lastPort atomic.Int64

func freeAddress() (string, error) {
	lastPort.CompareAndSwap(0, int64(20_000+os.Getpid()%10_000))
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.FormatInt(lastPort.Add(1), 10))
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no free port up to %d", lastPort.Load())
}

// fetch returns the status of a GET, which follows no redirect, and 0 where nobody answers.
func fetch(ctx context.Context, address string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", nil //nolint:nilerr // that nobody answers is an answer here
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// awaitStatus asks until the answer has the status, 0 for nobody there.
func awaitStatus(ctx context.Context, address string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got, _, err := fetch(ctx, address)
		if err != nil || got == want {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: waited for status %d, have %d", address, want, got)
		case <-tick.C:
		}
	}
}

// await STATUS URL waits until the URL answers with the status; 0 is that nobody answers.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await STATUS URL")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(awaitStatus(context.Background(), args[1], want))
}

// status STATUS URL asks once. The answer's body is the standard output for what follows.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: status STATUS URL")
	}
	got, body, err := fetch(context.Background(), args[1])
	ts.Check(err)
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: status %d, want %s\n%s", args[1], got, args[0], body)
	}
	_, err = io.WriteString(ts.Stdout(), body)
	ts.Check(err)
}

var referenceForm = regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`)

// reference NAME FILE sets variables to the first reference in a file: NAME as it stands there, NAME_TYPED as people type it.
func reference(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: reference NAME FILE")
	}
	ref := referenceForm.FindString(ts.ReadFile(args[1]))
	if ref == "" {
		ts.Fatalf("no reference in %s", args[1])
	}
	ts.Setenv(args[0], ref)
	ts.Setenv(args[0]+"_TYPED", strings.ToLower(strings.ReplaceAll(ref, "-", "")))
}

// mode MODE FILE wants the type and permissions of a file as ls shows them.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode MODE FILE")
	}
	info, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if info.Mode().String() != args[0] {
		ts.Fatalf("%s has mode %v, want %s", args[1], info.Mode(), args[0])
	}
}

// term sends SIGTERM to the processes in the background.
func term(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: term")
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}
