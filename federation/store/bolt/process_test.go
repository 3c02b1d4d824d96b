//go:build unix

package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// The tests of this file need a process of their own to kill, to limit or to deprive of its rights. They run the
// test binary again with one of these roles.
var roles = map[string]func(ctx context.Context, path, arg string) error{
	"hold":         holdRole,
	"load":         loadRole,
	"full":         fullRole,
	"unprivileged": unprivilegedRole,
}

const roleVariable = "WEIR_BOLT_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := roles[role](context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// process is a child in a role.
type process struct {
	*exec.Cmd
	out   *bufio.Reader
	stdin io.Closer
}

func play(t *testing.T, role, path, arg string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), exe, path, arg)}
	p.Env = append(os.Environ(), roleVariable+"="+role)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if p.stdin, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// line returns the child's next line, "" when it has ended.
func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if strings.HasPrefix(line, "failed:") {
		t.Fatalf("child: %s", line)
	}
	return strings.TrimSuffix(line, "\n")
}

// expect asserts what the child says next.
func (p *process) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.line(t); got != want {
		t.Fatalf("child says %q, want %q", got, want)
	}
}

// kill ends the child as the kernel would: it can do nothing about it.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func (p *process) ended(t *testing.T) {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
}

func holdRole(_ context.Context, path, _ string) error {
	db, err := bolt.Open(path, options())
	if err != nil {
		return err
	}
	fmt.Println("open")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil { // until the test is through
		return err
	}
	return db.Close()
}

func TestTwoProcessesCannotOpenOneFile(t *testing.T) {
	path := newPath(t)
	p := play(t, "hold", path, "")
	p.expect(t, "open")
	_, err := bolt.Open(path, options())
	if !errors.Is(err, bolt.ErrLocked) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	for _, s := range []string{path, "another weir process has it open"} {
		if !strings.Contains(fmt.Sprint(err), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
	backup := filepath.Join(t.TempDir(), "to")
	if err := bolt.Restore(t.Context(), path, backup); err == nil {
		t.Error("a file in use was taken for a backup")
	}
	opened := make(chan error)
	go func() { // one that waits gets the file when the other one dies
		o := options()
		o.LockWait = time.Minute
		db, err := bolt.Open(path, o)
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	p.kill(t)
	if err := <-opened; err != nil {
		t.Error(err)
	}
	p.ended(t)
}

// unprivilegedRole opens the file as a user who may not.
func unprivilegedRole(_ context.Context, path, _ string) error {
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	_, err := bolt.Open(path, options())
	fmt.Println(errors.Is(err, store.ErrUnavailable), errors.Is(err, bolt.ErrDamaged), err)
	return nil
}

func TestFileThatMayNotBeWritten(t *testing.T) {
	for _, c := range []struct {
		name              string
		fileMode, dirMode os.FileMode
	}{
		{"a read-only file", 0o444, 0o755},
		{"a file that may not be read", 0o000, 0o755},
		{"a directory that may not be written", 0, 0o555},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "weir.db")
			if c.dirMode == 0o755 {
				if err := bolt.Restore(t.Context(), backupOf(t), path); err != nil {
					t.Fatal(err)
				}
				chmod(t, path, c.fileMode)
			}
			chmod(t, filepath.Dir(dir), 0o755) // the child may be another user
			chmod(t, dir, c.dirMode)
			defer chmod(t, dir, 0o755)
			p := play(t, "unprivileged", path, "")
			got := p.line(t)
			want := "true false bolt: open " + path + ": weir must be able to read and write this file and its directory: "
			if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "permission denied") {
				t.Errorf("child says %q, want %q", got, want)
			}
			p.ended(t)
		})
	}
}

func backupOf(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup")
	if err := open(t, newPath(t)).Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// fullRole meets a file size limit in both places where a full disk shows: when pages are written into the
// file, and when the file is made longer.
func fullRole(ctx context.Context, path, _ string) error {
	signal.Ignore(syscall.SIGXFSZ)
	db, err := bolt.Open(path, options())
	if err != nil {
		return err
	}
	acked := 0
	fill := func() error {
		for {
			d := store.Doc{Key: fmt.Sprintf("d%04d", acked), Unique: []string{fmt.Sprint("u", acked)}, Body: make([]byte, 100_000)}
			if _, err := db.Put(ctx, "k", d); err != nil {
				if _, getErr := db.Get(ctx, "k", d.Key); !errors.Is(getErr, store.ErrNotFound) {
					return errors.Join(errors.New("a failed write can be read"), err, getErr)
				}
				return err
			}
			acked++
		}
	}
	check := func() error {
		for i := range acked {
			if _, err := db.GetBy(ctx, "k", fmt.Sprint("u", i)); err != nil {
				return fmt.Errorf("write %d of %d: %w", i, acked, err)
			}
		}
		return errors.Join(db.Err(), db.CheckLinks(ctx))
	}
	if _, err := db.Put(ctx, "k", store.Doc{Key: "first"}); err != nil { // makes the file some megabytes long
		return err
	}
	for _, limit := range []uint64{4 << 20, 24 << 20} {
		if err := limitFiles(limit); err != nil {
			return err
		}
		before := acked
		for range 2 { // it fails again and again, and harms nothing
			err := fill()
			fmt.Println(errors.Is(err, store.ErrUnavailable), errors.Is(err, bolt.ErrDamaged), err)
			if err := check(); err != nil {
				return err
			}
		}
		fmt.Println("some written:", acked > before+10)
	}
	if err := limitFiles(1 << 30); err != nil {
		return err
	}
	if _, err := db.Put(ctx, "k", store.Doc{Key: "room again", Body: make([]byte, store.MaxBody)}); err != nil {
		return err
	}
	if err := errors.Join(check(), db.Close()); err != nil {
		return err
	}
	fmt.Println("written:", acked+2)
	return nil
}

func limitFiles(bytes uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = bytes
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

func TestFullDiskIsAnErrorAndNoDamage(t *testing.T) {
	path := newPath(t)
	p := play(t, "full", path, "")
	for _, step := range []string{"write ", "file resize error"} {
		for range 2 {
			got := p.line(t)
			for _, s := range []string{"true false bolt: put k: bolt: write " + path, step, "file too large"} {
				if !strings.Contains(got, s) {
					t.Errorf("child says %q, want %q in it", got, s)
				}
			}
		}
		p.expect(t, "some written: true")
	}
	var written int
	if _, err := fmt.Sscanf(p.line(t), "written: %d", &written); err != nil {
		t.Fatal(err)
	}
	p.ended(t)
	db := open(t, path)
	docs, err := db.List(t.Context(), "k", "", "", 1000)
	if err != nil || len(docs) != written {
		t.Errorf("%d documents, want %d; %v", len(docs), written, err)
	}
	if err := db.CheckLinks(t.Context()); err != nil {
		t.Error(err)
	}
}
