package bolt

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// A backup is the file as it was at one moment, and behind it a line with the SHA-256 of all before. The
// line makes sure that a copy is whole and that no bit of it has changed; bbolt has no checksums of data.
const (
	trailerStart = "\nweir backup sha256 "
	trailerSize  = len(trailerStart) + 2*sha256.Size + 1
)

// Backup writes a consistent copy of the store to a new file of mode 0600 while the store goes on serving.
// The file appears under its name when it is complete and on the disk. It is an error that wraps fs.ErrExist
// when there is one already. While a backup runs, the space of deleted documents is not reused.
func (db *DB) Backup(ctx context.Context, path string) error {
	err := writeNew(path, func(f *os.File) error {
		_, err := db.BackupTo(ctx, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("bolt: back up to %s: %w", path, err)
	}
	return nil
}

// BackupTo writes a backup to w and returns the number of its bytes. What arrived before an
// error is of no use; Restore would refuse it.
func (db *DB) BackupTo(ctx context.Context, w io.Writer) (int64, error) {
	sum := sha256.New()
	var n int64
	err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
		n, err = tx.WriteTo(&contextWriter{ctx: ctx, w: io.MultiWriter(w, sum)})
		return err
	})
	if err != nil {
		return n, fmt.Errorf("copy: %w", errors.Join(ctx.Err(), err)) // bbolt keeps the text of an error alone
	}
	m, err := io.WriteString(w, trailer(sum))
	return n + int64(m), err
}

// Restore puts a backup in place as the store file to, which must not exist. It reads the whole backup and
// verifies its checksum, its format and bbolt's structure. ErrDamaged: it is not a whole backup.
func Restore(ctx context.Context, from, to string) error {
	if err := restore(ctx, from, to); err != nil {
		return fmt.Errorf("bolt: restore %s: %w", from, err)
	}
	return nil
}

func restore(ctx context.Context, from, to string) error {
	in, err := os.Open(from) //nolint:gosec // the path is the admin's
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	size := info.Size() - int64(trailerSize)
	if size <= 0 {
		return fmt.Errorf("%w: too short for a backup", ErrDamaged)
	}
	return writeNew(to, func(f *os.File) error {
		sum := sha256.New()
		if _, err := io.CopyN(&contextWriter{ctx: ctx, w: io.MultiWriter(f, sum)}, in, size); err != nil {
			return err
		}
		line, err := io.ReadAll(io.LimitReader(in, int64(trailerSize)))
		if err != nil {
			return err
		}
		if !bytes.Equal(line, []byte(trailer(sum))) {
			return fmt.Errorf("%w: its checksum is missing or wrong, so the backup is incomplete or has changed", ErrDamaged)
		}
		return verify(ctx, f.Name())
	})
}

// verify opens a store file and checks its format and structure.
func verify(ctx context.Context, path string) error {
	b, err := openFile(path, true, 0)
	if err != nil {
		return err
	}
	err = b.View(func(tx *bbolt.Tx) error {
		if err := checkFormat(tx, path); err != nil {
			return err
		}
		var first error
		for err := range tx.Check() { // to its end, or its goroutine would stay
			if first == nil {
				first = fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		return errors.Join(first, ctx.Err())
	})
	return errors.Join(err, b.Close())
}

func trailer(sum hash.Hash) string {
	return trailerStart + hex.EncodeToString(sum.Sum(nil)) + "\n"
}

// writeNew lets fill write a file beside path, and names it path when it is on the disk and nothing else has that name.
func writeNew(path string, fill func(*os.File) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := path + "." + rand.Text() + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the path is the admin's
	if err != nil {
		return err
	}
	defer os.Remove(tmp) //nolint:errcheck // gone already where all went well under the name path
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A link, other than a rename, does not replace what came into being meanwhile. Where the file system has none, a
	// rename must do.
	if err := os.Link(tmp, path); errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

// contextWriter ends a long copy with its context.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
