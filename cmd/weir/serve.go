package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/server"
	"github.com/weir-id/weir/server/control"
)

// Times of a serving process.
const (
	drainTime   = 20 * time.Second // for requests under way at the end
	maintenance = time.Minute      // between sweeps of expired documents and looks at key ages
)

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve --config weir.yaml",
		Short: "Run the broker",
		Long: `Run the broker until it is told to stop (Ctrl-C or SIGTERM); requests under way are finished first.

/livez, /readyz and /metrics are on operations_listen. Pool files under apply: are applied before the first request.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			n, err := openNode(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			err = n.serve(cmd.Context(), nil)
			return errors.Join(err, n.close())
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", "", "the process's configuration, weir.yaml (required)")
	_ = cmd.MarkFlagRequired("config") // fails only for a flag that does not exist
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// serve runs the listeners until ctx ends. public is an open listener, or nil for the configured address.
func (n *node) serve(ctx context.Context, public net.Listener) error {
	for _, f := range n.cfg.Apply {
		if err := n.applyAtStart(ctx, f); err != nil {
			return fmt.Errorf("apply %s: %w", f, err)
		}
	}
	srv, err := n.server()
	if err != nil {
		return err
	}
	handler, err := srv.Handler()
	if err != nil {
		return err
	}
	if public, err = n.listen(ctx, public); err != nil {
		return err
	}
	var draining atomic.Bool
	ready := func(ctx context.Context) error {
		if draining.Load() {
			return errors.New("stopping")
		}
		_, _, err := n.directory.Pools(ctx, "", 1)
		return err
	}
	servers := map[*http.Server]net.Listener{server.HTTP(handler, n.log): public}
	if n.cfg.OperationsListen != "" {
		l, err := listen(ctx, n.cfg.OperationsListen)
		if err != nil {
			return errors.Join(err, public.Close())
		}
		servers[server.HTTP(srv.Operations(ready), n.log)] = l
	}
	if l, err := control.Listen(n.socket()); err != nil {
		// Serving goes on: only apply and backup while serving need it.
		n.log.LogAttrs(ctx, slog.LevelWarn, "no control socket", slog.String("error", err.Error()))
	} else {
		servers[server.HTTP(n.control().Handler(), n.log)] = l
	}
	n.log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("version", version()),
		slog.String("base_url", n.cfg.BaseURL), slog.String("listen", public.Addr().String()))
	err = runServers(ctx, servers, &draining, n.maintain)
	n.log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "stopped")
	return err
}

// runServers serves until ctx ends or a listener breaks, then lets requests under way finish.
func runServers(ctx context.Context, servers map[*http.Server]net.Listener, draining *atomic.Bool, background func(context.Context)) error {
	g, ctx := errgroup.WithContext(ctx)
	for s, l := range servers {
		g.Go(func() error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			draining.Store(true)
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
			defer cancel()
			return s.Shutdown(stop)
		})
	}
	g.Go(func() error { background(ctx); return nil })
	return g.Wait()
}

func (n *node) listen(ctx context.Context, public net.Listener) (net.Listener, error) {
	if public == nil {
		var err error
		if public, err = listen(ctx, n.cfg.Listen); err != nil {
			return nil, err
		}
	}
	if n.cfg.TLS == nil {
		return public, nil
	}
	tc, err := n.cfg.TLS.ServerConfig(n.now, n.log)
	if err != nil {
		return nil, errors.Join(err, public.Close())
	}
	tc.NextProtos = []string{"h2", "http/1.1"}
	return tls.NewListener(public, tc), nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// maintain does what is due from time to time until ctx ends.
func (n *node) maintain(ctx context.Context) {
	tick := time.NewTicker(maintenance)
	defer tick.Stop()
	for {
		n.maintainOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *node) maintainOnce(ctx context.Context) {
	failed := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			n.log.LogAttrs(ctx, slog.LevelError, "maintenance failed", slog.String("what", what), slog.String("error", err.Error()))
		}
	}
	_, err := n.engine.Sweep(ctx, n.now())
	failed("sweep", err)
	for after := ""; ; {
		pools, next, err := n.directory.Pools(ctx, after, 100)
		failed("list pools", err)
		for _, p := range pools {
			failed("keys of "+p.ID, n.keys.Maintain(ctx, p))
		}
		if after = next; after == "" {
			return
		}
	}
}
