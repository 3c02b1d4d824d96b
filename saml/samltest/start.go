package samltest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// TB is the part of testing.TB that Start needs. The demonstration's binary links this
// package, and must not link package testing.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Fatalf(format string, args ...any)
}

// Start serves a provider on a loopback port until the test ends, with every request
// recorded. Config.BaseURL must be empty or a bare path such as "/tenant"; the address
// is put before it.
func Start(t TB, cfg Config) *Provider {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("samltest: listen: %v", err)
	}
	cfg.BaseURL = "http://" + ln.Addr().String() + cfg.BaseURL
	cfg.Record = true
	p, err := New(cfg)
	if err != nil {
		t.Fatalf("%v", err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		// Close, not Shutdown: hanging and endless answers end with their connections.
		if err := srv.Close(); err != nil {
			t.Fatalf("samltest: close: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Fatalf("samltest: serve: %v", err)
		}
	})
	return p
}
