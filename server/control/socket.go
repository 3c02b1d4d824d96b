package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// maxAddress is the longest name of a socket in bytes: sun_path has 108 on Linux and 104 on macOS and the BSDs, one
// of them for the NUL at its end (unix(7), unix(4)).
const maxAddress = 103

// errTooLong: the socket's path is too long for the operating system.
var errTooLong = errors.New("the path is too long for a Unix socket")

// Listen opens the socket with mode 0600. A socket that a killed process left behind is replaced: whoever
// calls holds the store's lock, so nobody listens there. Anything else of that name is left alone and an error. Closing the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("control socket %s: a file of this name is there that is no socket; move it away", path)
	}
	_, release, err := address(path) // as callers will look for it
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	release()
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return &listener{UnixListener: l, path: path}, nil
}

// listen makes the socket in a directory of its own and moves it in place when it has its mode: bind(2) makes
// sockets that others may open, and the umask, which would prevent it, belongs to all goroutines of the process.
func listen(path string) (l *net.UnixListener, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".weir-*") // mode 0700
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := filepath.Join(dir, "s")
	name, release, err := address(made)
	if err != nil {
		return nil, err
	}
	defer release()
	if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"}); err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the name is about to change
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

type listener struct {
	*net.UnixListener
	path string
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close implements net.Listener.
func (l *listener) Close() error {
	err := os.Remove(l.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.UnixListener.Close())
}

// address returns a name of path that a socket can have. Linux leads to a directory of any length through its
// descriptor, which release closes when the name is not needed any more.
func address(path string) (name string, release func(), err error) {
	if len(path) <= maxAddress {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("%w: %d bytes where %d are allowed", errTooLong, len(path), maxAddress)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	name = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if len(name) > maxAddress {
		return "", nil, errors.Join(fmt.Errorf("%w: the name of the file alone has %d bytes", errTooLong, len(filepath.Base(path))), dir.Close())
	}
	return name, func() { _ = dir.Close() }, nil // nothing was written
}
