package mongo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

// wire lies between the driver and the server, and is cut where the test says.
type wire struct {
	net.Listener
	server string

	mu      sync.Mutex
	command string // whose next answer is lost with its connection
	cut     int
	conns   []net.Conn
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, server: server}
	t.Cleanup(w.end)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(t.Context(), c)
		}
	}()
	return w
}

// end cuts everything, and nobody connects again.
func (w *wire) end() {
	_ = w.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
}

// lose has the next answer to that command lost.
func (w *wire) lose(command string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.command, w.cut = command, 0
}

// cuts returns how many there were since lose.
func (w *wire) cuts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut
}

func (w *wire) carry(ctx context.Context, client net.Conn) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", w.server)
	if err != nil {
		_ = client.Close()
		return
	}
	w.mu.Lock()
	w.conns = append(w.conns, client, server)
	w.mu.Unlock()
	var lost sync.Map
	go func() {
		defer func() { _ = server.Close() }()
		buf := make([]byte, 1<<16)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			w.mu.Lock()
			// A message is a document whose first element is a string (type 2) of the command's name.
			if w.command != "" && bytes.Contains(buf[:n], []byte("\x02"+w.command+"\x00")) {
				lost.Store("next", true)
				w.command = ""
				w.cut++
			}
			w.mu.Unlock()
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	defer func() { _ = client.Close() }()
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf) // so the server has done it
		if _, gone := lost.Load("next"); gone || err != nil {
			return
		}
		if _, err := io.Copy(client, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

// TestCutWire does with real connections what the tests of lost answers do at the engine's calls.
func TestCutWire(t *testing.T) {
	uri := mongotest.Database(t, mongotest.Options{Ferret: true}).Reveal()
	host := strings.Split(strings.TrimPrefix(uri, "mongodb://"), "/")[0]
	w := newWire(t, host)
	through := strings.Replace(uri, host, w.Addr().String(), 1) + "&timeoutMS=2000"
	db, err := mongo.Open(t.Context(), secret.New(through), mongo.Options{Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	lost := func(command string, call func() error, want error) {
		t.Helper()
		w.lose(command)
		if err := call(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", command, err, want)
		}
		if n := w.cuts(); n != 1 {
			t.Errorf("%s: %d wires were cut", command, n)
		}
	}
	put := func(d store.Doc) func() error {
		return func() error { _, err := db.Put(t.Context(), "k", d); return err }
	}
	take := func() error { _, err := db.Take(t.Context(), "k", "a"); return err }
	lost("insert", put(store.Doc{Key: "a"}), nil)
	lost("update", put(store.Doc{Key: "a", Version: 1, Index: []string{"n:1"}}), nil)
	lost("find", func() error { _, err := db.Get(t.Context(), "k", "a"); return err }, nil) // reads are retried by the driver
	lost("delete", take, store.ErrUnavailable)                                              // it is gone, and nobody knows by whom
	if err := take(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("take again: %v", err)
	}
	if _, err := db.Put(t.Context(), "k", store.Doc{Key: "a", Unique: []string{"u"}}); err != nil {
		t.Errorf("after the cuts: %v", err)
	}
	w.end()
	var calls sync.WaitGroup
	for name, call := range map[string]func() error{"get": func() error { _, err := db.Get(t.Context(), "k", "a"); return err }, "put": put(store.Doc{Key: "b"}), "take": take} {
		calls.Go(func() {
			if err := call(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s without a server: %v", name, err)
			}
		})
	}
	calls.Wait()
}
