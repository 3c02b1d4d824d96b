package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store/migrate"
	"github.com/weir-id/weir/server"
)

// Times of a serving process.
const (
	drainTime = 20 * time.Second // for requests under way at the end
	storeTime = 5 * time.Second  // for one answer of the store; after it requests are answered with a 503
)

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve --config weir.yaml",
		Short: "Run the broker",
		Long: fmt.Sprintf(`Run the broker until it is told to stop (Ctrl-C or SIGTERM). Requests under way are then finished first, for up to
%s; a second signal stops at once.

/livez, /readyz and /metrics are on operations_listen. Pool files under apply: are applied before the first request.`, drainTime),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			n, err := openNode(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			err = n.serve(cmd.Context(), nil, func() error { return nil })
			return errors.Join(err, n.close())
		},
	}
	configFlag(cmd, &file)
	return cmd
}

// serve runs the listeners until ctx ends. public is an open listener, or nil for the configured address. ready is
// called when everything is in place; its error ends the matter.
func (n *node) serve(ctx context.Context, public net.Listener, ready func() error) error {
	doors, err := n.open(ctx, public)
	if err != nil {
		return err
	}
	defer doors.close()
	// Only now: a process that cannot listen has changed nothing.
	for _, f := range n.cfg.Apply {
		if err := n.applyAtStart(ctx, f); err != nil {
			return err
		}
	}
	if err := ready(); err != nil {
		return err
	}
	n.log.LogAttrs(ctx, slog.LevelInfo, "serving", append([]slog.Attr{
		slog.String("version", version()), slog.String("base_url", n.cfg.BaseURL)}, append(doors.attrs(), slog.String("node", n.leases.Node))...)...)
	background, stop := context.WithCancel(ctx)
	defer stop()
	var behind sync.WaitGroup
	behind.Go(func() { n.maintain(background) })
	behind.Go(func() { n.traces.Run(background) })
	err = doors.serve(ctx, n.log, drainTime)
	stop()
	behind.Wait() // they use the store, which the caller closes next
	n.log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "stopped")
	return err
}

// open opens the listeners and puts a server behind each.
func (n *node) open(ctx context.Context, public net.Listener) (_ *doors, err error) {
	srv, err := n.server()
	if err != nil {
		return nil, err
	}
	handler, err := srv.Handler()
	if err != nil {
		return nil, err
	}
	ds := &doors{}
	defer func() {
		if err != nil {
			ds.close()
		}
	}()
	if public == nil {
		if public, err = listen(ctx, "listen", n.cfg.Listen); err != nil {
			return nil, err
		}
	}
	ds.add("listen", server.HTTP(handler, n.log), public)
	if n.cfg.TLS != nil {
		if err := ds.encrypt(n.cfg.TLS, n.now, n.log); err != nil {
			return nil, err
		}
	}
	n.openControl(ctx, ds)
	if n.cfg.OperationsListen != "" {
		l, err := listen(ctx, "operations_listen", n.cfg.OperationsListen)
		if err != nil {
			return nil, err
		}
		ds.addLast("operations_listen", server.HTTP(srv.Operations(n.ready(&ds.draining)), n.log), l)
	}
	return ds, nil
}

// ready is what /readyz answers: that the store can be read and is still the one to serve, and that the process is not about to end.
func (n *node) ready(draining *atomic.Bool) server.Ready {
	return func(ctx context.Context) error {
		if draining.Load() {
			return errors.New("stopping")
		}
		if _, _, err := n.directory.Pools(ctx, "", 1); err != nil {
			return err
		}
		return migrate.Servable(ctx, n.engine) // a database may have been moved while this process has it
	}
}

// listen opens an address; setting is its name in weir.yaml.
func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	why := err.Error()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "another process listens there: stop it, or give another address."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this machine does not have that address."
	case errors.Is(err, syscall.EACCES):
		why = "this user may not listen there; ports under 1024 take a privilege: give a higher one, with a proxy or a port redirection in front."
	}
	return nil, fault.New(fault.Config, setting+": "+address+": "+why, err)
}
