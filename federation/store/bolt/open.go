package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/weir-id/weir/federation/store"
)

// format is the number of the file's layout, kept in the meta bucket. It grows when a release writes what
// an older one would misread.
const format = 1

var (
	metaBucket = []byte("meta")
	formatKey  = []byte("format")
)

// addressSpace is mapped ahead, so that a growing file need not be mapped anew: that would wait for the reads
// under way (a backup, say) and hold up all others. It costs address space, neither memory nor disk.
const addressSpace = 32 << 30

// Open opens the store in that file, and creates it with mode 0600 where there is none (its directory
// must exist). Errors wrap store.ErrUnavailable and name the path; see ErrLocked and ErrDamaged.
func Open(path string, opts Options) (*DB, error) {
	if opts.Now == nil {
		return nil, errors.New("bolt: Options.Now is missing")
	}
	db := &DB{
		path: path, now: opts.Now, logger: opts.Logger,
		maxFree: maxFreeListed,
		writes:  make(chan *write), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	var err error
	if db.bolt, err = openFile(path, false, opts.LockWait); err != nil {
		return nil, err
	}
	if err := prepare(db.bolt, path); err != nil {
		_ = db.bolt.Close() // err says more
		return nil, err
	}
	go db.run()
	return db, nil
}

// openFile opens and locks the file, after finding out whether all of it is there.
func openFile(path string, readOnly bool, lockWait time.Duration) (*bbolt.DB, error) {
	o := &bbolt.Options{
		Timeout: max(lockWait, 1), // 0 would wait for ever
		// Every commit writes the list of free pages. The array is kept in order, whereas the hash map would be sorted each time,
		// which costs more than the rest of a small commit once a large one has left thousands of free pages. Both lie on the disk alike.
		FreelistType: bbolt.FreelistArrayType,
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		// bbolt would read its list of free pages behind the end of a file that was cut off: a fault (SIGBUS), after
		// which the file stays mapped, and locked, until the process ends. This reads its first pages alone.
		probe := *o
		probe.ReadOnly = true
		b, err := guardedOpen(path, &probe)
		if err != nil {
			return nil, explain(path, err)
		}
		if err := errors.Join(checkSize(b, path), b.Close()); err != nil {
			return nil, explain(path, err)
		}
	}
	o.ReadOnly = readOnly
	if !readOnly && math.MaxInt > math.MaxInt32 {
		o.InitialMmapSize = addressSpace
	}
	b, err := guardedOpen(path, o)
	if err != nil {
		return nil, explain(path, err)
	}
	return b, nil
}

func guardedOpen(path string, o *bbolt.Options) (b *bbolt.DB, err error) {
	defer (&DB{path: path}).guard(&err)()
	return bbolt.Open(path, 0o600, o)
}

// checkSize finds a file that is shorter than what bbolt wrote.
func checkSize(b *bbolt.DB, path string) error {
	return b.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%s: %w: %d bytes where %d were written", path, ErrDamaged, info.Size(), tx.Size())
		}
		return nil
	})
}

// explain puts an error of opening into words for the admin.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("bolt: open %w", err)
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("bolt: open %s: %w", path, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum),
		errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("bolt: open %s: %w: %w", path, ErrDamaged, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("bolt: open %s: weir must be able to read and write this file and its directory: %w: %w", path, store.ErrUnavailable, err)
	default:
		return fmt.Errorf("bolt: open %s: %w: %w", path, store.ErrUnavailable, err)
	}
}

// prepare writes the format number into a new file and checks it in an old one.
func prepare(b *bbolt.DB, path string) error {
	fresh := false
	err := b.View(func(tx *bbolt.Tx) error {
		if first, _ := tx.Cursor().First(); first == nil {
			fresh = true
			return nil
		}
		return checkFormat(tx, path)
	})
	if err != nil || !fresh {
		return err
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put(formatKey, binary.BigEndian.AppendUint32(nil, format))
	})
	if err == nil {
		err = syncDir(filepath.Dir(path)) // the file's name must survive a power cut too
	}
	if err != nil {
		return explain(path, err)
	}
	return nil
}

func checkFormat(tx *bbolt.Tx, path string) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || len(meta.Get(formatKey)) != 4 {
		return fmt.Errorf("bolt: open %s: %w: the file of another program", path, ErrDamaged)
	}
	if f := binary.BigEndian.Uint32(meta.Get(formatKey)); f != format {
		return fmt.Errorf("bolt: open %s: written by a newer release of weir (file format %d, this release knows %d): %w",
			path, f, format, store.ErrUnavailable)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the directory of the admin's path
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
