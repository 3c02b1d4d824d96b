package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/server"
)

// Main is the command as a process of its own, and Run the same within this one.
var (
	Main = main
	Run  = run
)

// DrainTime is what requests under way have at the end.
const DrainTime = drainTime

// Printable is what weir user shows of text that a provider sent.
var Printable = printable

// ServeUntil serves h at l until ctx ends, and then for up to drain.
func ServeUntil(ctx context.Context, h http.Handler, l net.Listener, log *slog.Logger, drain time.Duration) error {
	ds := &doors{}
	ds.add("listen", &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}, l)
	return ds.serve(ctx, log, drain)
}

// Maintain does what one node of several does from time to time, on that engine, until ctx ends.
func Maintain(ctx context.Context, cfg *config.Config, engine store.Engine, ring *secret.Ring, log *slog.Logger) {
	n := &node{cfg: cfg, log: log, now: time.Now, engine: engine, ring: ring, metrics: server.NewMetrics("test")}
	n.wire()
	n.maintain(ctx)
}
