package servertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/audit"
)

// Clock is a clock that only the test moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock stands at noon of 4 May 2026, UTC.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)} }

// Now is the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves it on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log keeps what was logged, as JSON lines.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// Text is all of it.
func (l *Log) Text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Records are the records whose field has that value.
func (l *Log) Records(field, value string) []map[string]any {
	var out []map[string]any
	for sc := bufio.NewScanner(bytes.NewReader([]byte(l.Text()))); sc.Scan(); {
		var r map[string]any
		if json.Unmarshal(sc.Bytes(), &r) == nil && r[field] == value {
			out = append(out, r)
		}
	}
	return out
}

// Events keeps the audit stream.
type Events struct {
	mu  sync.Mutex
	all []audit.Event
}

// Record implements audit.Recorder.
func (e *Events) Record(_ context.Context, ev audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// Take returns the events since the last call.
func (e *Events) Take() []audit.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.all
	e.all = nil
	return out
}

// Names are the names of events.
func Names(events []audit.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Name())
	}
	return slices.Clip(out)
}

// pki borrows the certificate of net/http/httptest, which is for example.com and its subdomains.
var pki = sync.OnceValue(func() *httptest.Server {
	s := httptest.NewTLSServer(nil)
	s.Close()
	return s
})

func certificate() tls.Certificate { return pki().TLS.Certificates[0] }

func authority() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(pki().Certificate())
	return p
}
