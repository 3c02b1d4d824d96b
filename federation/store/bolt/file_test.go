package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

// filled writes a store of some hundred pages and closes it.
func filled(t *testing.T) string {
	t.Helper()
	path := newPath(t)
	db, err := bolt.Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		put(t, db, store.Doc{Key: fmt.Sprintf("d%03d", i), Unique: []string{fmt.Sprint("u", i)}, Body: bytes.Repeat([]byte{byte(i)}, 8000)})
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T) string
		want error
		says string
	}{
		{"a text file", func(t *testing.T) string {
			path := newPath(t)
			write(t, path, bytes.Repeat([]byte("weir.yaml: not a store\n"), 1000))
			return path
		}, bolt.ErrDamaged, "not a store of weir"},
		{"a short file", func(t *testing.T) string {
			path := newPath(t)
			write(t, path, []byte("short"))
			return path
		}, bolt.ErrDamaged, "not a store of weir"},
		{"a file of zeroes", func(t *testing.T) string {
			path := newPath(t)
			write(t, path, make([]byte, 1<<20))
			return path
		}, bolt.ErrDamaged, "not a store of weir"},
		{"a file cut in half", func(t *testing.T) string {
			path := filled(t)
			if err := os.Truncate(path, 400<<10); err != nil {
				t.Fatal(err)
			}
			return path
		}, bolt.ErrDamaged, "damaged"},
		{"a file with only its first pages", func(t *testing.T) string {
			path := filled(t)
			if err := os.Truncate(path, 16<<10); err != nil {
				t.Fatal(err)
			}
			return path
		}, bolt.ErrDamaged, "damaged"},
		{"a bbolt file of another program", func(t *testing.T) string {
			path := newPath(t)
			b, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = b.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("others"))
				return err
			})
			if err := errors.Join(err, b.Close()); err != nil {
				t.Fatal(err)
			}
			return path
		}, bolt.ErrDamaged, "another program"},
		{"a newer format", func(t *testing.T) string {
			path := newPath(t)
			db := open(t, path)
			if err := errors.Join(db.WriteFormat(2), db.Close()); err != nil {
				t.Fatal(err)
			}
			return path
		}, store.ErrUnavailable, "newer release of weir (file format 2, this release knows 1)"},
		{"a missing directory", func(t *testing.T) string {
			return filepath.Join(t.TempDir(), "missing", "weir.db")
		}, store.ErrUnavailable, "no such file or directory"},
		{"a directory", func(t *testing.T) string { return t.TempDir() }, store.ErrUnavailable, "is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.make(t)
			for range 2 { // the first refusal must not leave the file locked
				db, err := bolt.Open(path, options())
				if err == nil {
					_ = db.Close()
					t.Fatal("opened")
				}
				if !errors.Is(err, c.want) || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, bolt.ErrLocked) {
					t.Errorf("error %v", err)
				}
				if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %q, want it to name the path and say %q", err, c.says)
				}
			}
		})
	}
}

func TestOpenWantsAClock(t *testing.T) {
	path := newPath(t)
	if _, err := bolt.Open(path, bolt.Options{}); err == nil || !strings.Contains(err.Error(), "Now") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestAnEmptyFileBecomesAStore(t *testing.T) {
	path := newPath(t)
	write(t, path, nil)
	put(t, open(t, path), store.Doc{Key: "a"})
}

func TestAFileCutWhileItIsOpenIsAnErrorAndNoCrash(t *testing.T) {
	path := filled(t)
	var log bytes.Buffer
	db, err := bolt.Open(path, bolt.Options{Now: func() time.Time { return start }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 16<<10); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(t.Context(), "k", "d050"); !errors.Is(err, bolt.ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("get: %v", err)
	}
	for range 2 {
		if _, err := db.Put(t.Context(), "k", store.Doc{Key: "new"}); !errors.Is(err, bolt.ErrDamaged) {
			t.Errorf("put: %v", err)
		}
	}
	if err := db.Err(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Err() = %v", err)
	}
	if !strings.Contains(log.String(), "store file damaged") {
		t.Errorf("log: %s", log.String())
	}
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// After a great sweep the list of free pages is long. It must not be a part of every commit, and the store must be
// whole without it: after a clean end and after a crash.
func TestALongListOfFreePagesIsNotWritten(t *testing.T) {
	perPut := map[int]float64{}
	for _, maxFree := range []int{100, 1 << 20} {
		path := filled(t)
		db := open(t, path)
		db.SetMaxFree(maxFree)
		put(t, db, store.Doc{Key: "large", Body: make([]byte, store.MaxBody)})
		for i := range 12 {
			put(t, db, store.Doc{Key: fmt.Sprint("large", i), Body: make([]byte, store.MaxBody)})
		}
		for i := range 12 {
			if err := db.Delete(t.Context(), "k", fmt.Sprint("large", i)); err != nil {
				t.Fatal(err)
			}
		}
		before := db.Stats()
		for i := range 20 {
			put(t, db, store.Doc{Key: fmt.Sprint("small", i)})
		}
		perPut[maxFree] = float64(db.Stats().Pages-before.Pages) / 20

		crashed := newPath(t) // what a crash at this moment would leave
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, crashed, content)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, crashed} {
			db := open(t, path)
			if err := db.CheckLinks(t.Context()); err != nil {
				t.Error(err)
			}
			if docs, err := db.List(t.Context(), "k", "", "", 1000); err != nil || len(docs) != 121 {
				t.Errorf("%d documents, %v", len(docs), err)
			}
			put(t, db, store.Doc{Key: "goes on"})
			size := db.Stats().Bytes
			for i := range 8 { // the free pages are found and used again
				put(t, db, store.Doc{Key: fmt.Sprint("again", i), Body: make([]byte, store.MaxBody)})
			}
			if grown := db.Stats().Bytes - size; grown != 0 {
				t.Errorf("the file has grown by %d bytes beside its free pages", grown)
			}
		}
	}
	if perPut[100] > perPut[1<<20]-4 {
		t.Errorf("pages per write: %v", perPut)
	}
}

func TestTheSameProcessCannotOpenTwice(t *testing.T) {
	path := newPath(t)
	open(t, path)
	if _, err := bolt.Open(path, options()); !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("error %v", err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
