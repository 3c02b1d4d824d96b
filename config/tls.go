package config

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often at most the certificate's files are looked at, and so the age to which a replaced one may be served.
const checkEvery = time.Second

// ServerConfig opens the certificate and returns the configuration of a listener that follows its files: new ones are
// served from the first handshake a second after they changed, without a restart. A pair that does not load or does not
// match is logged and the last good one is kept.
func (t *TLS) ServerConfig(now func() time.Time, log *slog.Logger) (*tls.Config, error) {
	r := &certificate{files: t, now: now, log: log}
	stamps := r.stat()
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: the certificate in %s with the key in %s cannot be used: %w", t.CertFile, t.KeyFile, err)
	}
	r.current.Store(&pair)
	r.loaded = stamps
	r.checked.Store(now().UnixNano())
	return &tls.Config{
		MinVersion:     uint16(t.MinVersion),
		GetCertificate: r.get,
	}, nil
}

// certificate is a key pair that follows its files.
type certificate struct {
	files   *TLS
	now     func() time.Time
	log     *slog.Logger
	current atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // UnixNano

	mu      sync.Mutex // one reload at a time; guards what follows
	loaded  [2]stamp
	failure string // logged last, so that a broken pair is logged once and not every second
}

// stamp tells one state of a file from another. A missing file has the zero stamp.
type stamp struct {
	modified time.Time
	size     int64
}

// get is tls.Config.GetCertificate. It never waits for another handshake's reload.
func (r *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	now, before := r.now().UnixNano(), r.checked.Load()
	// A clock that was set back must not stop the checks.
	if (now-before >= int64(checkEvery) || now < before) && r.checked.CompareAndSwap(before, now) {
		r.reload(hello.Context())
	}
	return r.current.Load(), nil
}

func (r *certificate) reload(ctx context.Context) {
	if !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	// The stamps are taken first: files that change while they are read are read again at the next check.
	stamps := r.stat()
	if stamps == r.loaded {
		return
	}
	pair, err := tls.LoadX509KeyPair(r.files.CertFile, r.files.KeyFile)
	if err != nil {
		if text := err.Error(); text != r.failure {
			r.failure = text
			r.log.LogAttrs(ctx, slog.LevelError, "the new TLS certificate cannot be used; the one before is kept",
				slog.String("cert_file", r.files.CertFile), slog.String("key_file", r.files.KeyFile), slog.String("error", text))
		}
		return
	}
	r.current.Store(&pair)
	r.loaded, r.failure = stamps, ""
	r.log.LogAttrs(ctx, slog.LevelInfo, "the TLS certificate was reloaded",
		slog.String("cert_file", r.files.CertFile), slog.Time("not_after", pair.Leaf.NotAfter))
}

func (r *certificate) stat() (stamps [2]stamp) {
	for i, name := range []string{r.files.CertFile, r.files.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{modified: info.ModTime(), size: info.Size()}
		}
	}
	return stamps
}
