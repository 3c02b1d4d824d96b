package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

func TestBackupWhileServingIsOneMoment(t *testing.T) {
	db := open(t, newPath(t))
	stop, busy := make(chan struct{}), make(chan struct{}, 8)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				d := store.Doc{Key: fmt.Sprintf("%d-%06d", w, i), Unique: []string{fmt.Sprint("u", w, "-", i)}, Index: []string{"n:x"}, Body: make([]byte, 2000)}
				if _, err := db.Put(t.Context(), "k", d); err != nil {
					t.Errorf("put: %v", err)
					return
				}
				if i == 20 {
					busy <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-busy
	}
	dir := t.TempDir()
	backup, restored := filepath.Join(dir, "weir.backup"), filepath.Join(dir, "weir.db")
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	close(stop)
	wg.Wait()
	if err := bolt.Restore(t.Context(), backup, restored); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{backup, restored} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	copied := open(t, restored)
	if err := copied.CheckLinks(t.Context()); err != nil {
		t.Error(err)
	}
	for w := range 8 { // each writer waited for its writes, so there is no gap
		n := 0
		for after := ""; ; {
			docs, err := copied.List(t.Context(), "k", "", after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				if strings.HasPrefix(d.Key, fmt.Sprint(w, "-")) {
					if d.Key != fmt.Sprintf("%d-%06d", w, n) {
						t.Fatalf("write %d of writer %d is not in the backup", n, w)
					}
					n++
				}
			}
			if len(docs) < 1000 {
				break
			}
			after = docs[999].Key
		}
		if n < 21 {
			t.Errorf("%d writes of writer %d, at least 21 came before the backup", n, w)
		}
	}
	put(t, copied, store.Doc{Key: "goes on", Body: make([]byte, 1<<20)})
}

func TestBackupIsAStoreItself(t *testing.T) {
	path := filled(t)
	backup := filepath.Join(t.TempDir(), "weir.backup")
	if err := open(t, path).Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	db := open(t, backup)
	for i := range 20 {
		put(t, db, store.Doc{Key: fmt.Sprint("new", i), Body: make([]byte, 100000)})
	}
	if err := db.CheckLinks(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBackupAndRestoreOverwriteNothing(t *testing.T) {
	db := open(t, filled(t))
	dir := t.TempDir()
	backup, there := filepath.Join(dir, "weir.backup"), filepath.Join(dir, "there")
	write(t, there, []byte("precious"))
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), there); !errors.Is(err, fs.ErrExist) {
		t.Errorf("backup: %v", err)
	}
	if err := bolt.Restore(t.Context(), backup, there); !errors.Is(err, fs.ErrExist) {
		t.Errorf("restore: %v", err)
	}
	if got, err := os.ReadFile(there); err != nil || string(got) != "precious" {
		t.Errorf("the file is %q now, %v", got, err)
	}
	holds(t, dir, "there", "weir.backup")
}

func TestAbandonedBackupLeavesNothing(t *testing.T) {
	db := open(t, filled(t))
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ctx, filepath.Join(dir, "weir.backup")); !errors.Is(err, context.Canceled) {
		t.Errorf("backup: %v", err)
	}
	// A context that ends in the middle of the copy.
	ctx, cancel = context.WithCancel(t.Context())
	var some cancelling = func() { cancel() }
	if n, err := db.BackupTo(ctx, some); !errors.Is(err, context.Canceled) || n > 100_000 {
		t.Errorf("%d bytes, %v", n, err)
	}
	holds(t, dir)
	if err := db.Backup(t.Context(), filepath.Join(dir, "missing", "weir.backup")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("backup into a missing directory: %v", err)
	}
}

type cancelling func()

func (c cancelling) Write(p []byte) (int, error) { c(); return len(p), nil }

func TestRestoreRefusesEveryChangedBackup(t *testing.T) {
	var whole bytes.Buffer
	n, err := open(t, filled(t)).BackupTo(t.Context(), &whole)
	if err != nil || n != int64(whole.Len()) {
		t.Fatalf("%d bytes of %d, %v", n, whole.Len(), err)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	size := whole.Len()
	changed := map[string][]byte{
		"empty":             {},
		"without last byte": whole.Bytes()[:size-1],
		"without trailer":   whole.Bytes()[:size-bolt.TrailerSize],
		"only the trailer":  whole.Bytes()[size-bolt.TrailerSize:],
		"half":              whole.Bytes()[:size/2],
		"longer":            append(bytes.Clone(whole.Bytes()), 'x'),
		"twice":             append(bytes.Clone(whole.Bytes()), whole.Bytes()...),
	}
	for i := range 40 {
		at := (size - 1) * i / 39
		b := bytes.Clone(whole.Bytes())
		b[at] ^= 1 << (i % 8)
		changed[fmt.Sprint("a bit at ", at)] = b
	}
	for what, content := range changed {
		write(t, from, content)
		if err := bolt.Restore(t.Context(), from, to); !errors.Is(err, bolt.ErrDamaged) || !strings.Contains(err.Error(), from) {
			t.Errorf("%s: %v", what, err)
		}
		holds(t, dir, "from")
	}
	write(t, from, whole.Bytes())
	if err := bolt.Restore(t.Context(), from, to); err != nil {
		t.Error(err)
	}
	holds(t, dir, "from", "to")
	if err := bolt.Restore(t.Context(), filepath.Join(dir, "missing"), filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing backup: %v", err)
	}
}

func TestRestoreRefusesANewerFormat(t *testing.T) {
	db := open(t, newPath(t))
	if err := db.WriteFormat(9); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	if err := db.Backup(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	err := bolt.Restore(t.Context(), from, filepath.Join(dir, "to"))
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "newer release") {
		t.Errorf("error %v", err)
	}
	holds(t, dir, "from")
}

// holds asserts that the directory has these entries and no others.
func holds(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("the directory holds %q, want %q", got, want)
	}
}
