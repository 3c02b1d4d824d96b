package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/config"
)

// doors are the listeners of a process, with what serves them. They close together.
type doors struct {
	first, last []door // last stay open until the first are empty
	draining    atomic.Bool
}

type door struct {
	name     string
	server   *http.Server
	listener net.Listener
}

func (ds *doors) add(name string, s *http.Server, l net.Listener) {
	ds.first = append(ds.first, door{name: name, server: s, listener: l})
}

// addLast is add for a door behind which people see that the rest is closing.
func (ds *doors) addLast(name string, s *http.Server, l net.Listener) {
	ds.last = append(ds.last, door{name: name, server: s, listener: l})
}

// encrypt puts TLS before the door that was added last.
func (ds *doors) encrypt(t *config.TLS, now func() time.Time, log *slog.Logger) error {
	tc, err := t.ServerConfig(now, log)
	if err != nil {
		return err
	}
	tc.NextProtos = []string{"h2", "http/1.1"}
	d := &ds.first[len(ds.first)-1]
	d.listener = tls.NewListener(d.listener, tc)
	return nil
}

func (ds *doors) all() []door { return append(ds.first[:len(ds.first):len(ds.first)], ds.last...) }

// attrs name the addresses for the log.
func (ds *doors) attrs() []slog.Attr {
	var out []slog.Attr
	for _, d := range ds.all() {
		out = append(out, slog.String(d.name, d.listener.Addr().String()))
	}
	return out
}

// close gives the addresses free. It may be called again, and after serve.
func (ds *doors) close() {
	for _, d := range ds.all() {
		_ = d.listener.Close() // nobody waits for it
	}
}

// serve answers requests until ctx ends or a listener breaks. Then those under way are finished, for up to drain; what takes
// longer is cut off, which the log says and is no error: the process was told to stop.
func (ds *doors) serve(ctx context.Context, log *slog.Logger, drain time.Duration) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range ds.all() {
		g.Go(func() error {
			if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		ds.draining.Store(true)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		shutdown(stop, ds.first, log)
		shutdown(stop, ds.last, log)
		return nil
	})
	return g.Wait()
}

// shutdown stops servers side by side and returns when their requests have ended.
func shutdown(ctx context.Context, doors []door, log *slog.Logger) {
	var wg sync.WaitGroup
	for _, d := range doors {
		wg.Go(func() {
			if err := d.server.Shutdown(ctx); err != nil {
				log.LogAttrs(ctx, slog.LevelWarn, "requests were cut off", slog.String("door", d.name), slog.String("error", err.Error()))
				_ = d.server.Close() // they had their time
			}
		})
	}
	wg.Wait()
}
