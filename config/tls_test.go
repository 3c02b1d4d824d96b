package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/config"
)

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) Add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// tlsFiles are a certificate on disk and what follows it.
type tlsFiles struct {
	*config.TLS
	clock *clock
	log   bytes.Buffer
	conf  *tls.Config
}

func newTLSFiles(t *testing.T) *tlsFiles {
	t.Helper()
	dir := t.TempDir()
	f := &tlsFiles{
		TLS:   &config.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), MinVersion: tls.VersionTLS12},
		clock: &clock{now: time.Unix(1_700_000_000, 0)},
	}
	f.write(t, "first")
	conf, err := f.ServerConfig(f.clock.Now, slog.New(slog.NewTextHandler(&f.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	f.conf = conf
	return f
}

// pair makes a certificate for localhost with a common name.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Unix(1_600_000_000, 0), NotAfter: time.Unix(2_000_000_000, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// put replaces a file and gives it the clock's time, so that the test does not depend on the file system's grain.
func (f *tlsFiles) put(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, f.clock.Now(), f.clock.Now()); err != nil {
		t.Fatal(err)
	}
}

func (f *tlsFiles) write(t *testing.T, name string) {
	t.Helper()
	cert, key := pair(t, name)
	f.put(t, f.CertFile, cert)
	f.put(t, f.KeyFile, key)
}

// serves returns the common name of the certificate that a handshake gets now.
func (f *tlsFiles) serves(t *testing.T) string {
	t.Helper()
	c, err := f.conf.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.Subject.CommonName
}

func TestCertificateFollowsItsFiles(t *testing.T) {
	f := newTLSFiles(t)
	f.clock.Add(time.Minute)
	if got := f.serves(t); got != "first" || f.log.Len() != 0 {
		t.Errorf("serves %q, log %q; nothing changed", got, f.log.String())
	}
	f.clock.Add(500 * time.Millisecond)
	f.write(t, "second")
	if got := f.serves(t); got != "first" {
		t.Errorf("serves %q within the second of the last look", got)
	}
	f.clock.Add(500 * time.Millisecond)
	if got := f.serves(t); got != "second" {
		t.Errorf("serves %q, want the second", got)
	}
	if !strings.Contains(f.log.String(), "reloaded") {
		t.Errorf("log %q", f.log.String())
	}
}

func TestCertificateKeepsTheLastGoodPair(t *testing.T) {
	f := newTLSFiles(t)
	cert, key := pair(t, "second")
	for _, row := range []struct {
		name string
		do   func()
	}{
		{"only the certificate replaced", func() { f.put(t, f.CertFile, cert) }},
		{"half a file", func() { f.put(t, f.CertFile, cert[:len(cert)/2]) }},
		{"no key", func() {
			if err := os.Remove(f.KeyFile); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		f.clock.Add(time.Second)
		row.do()
		f.log.Reset()
		for range 3 {
			if got := f.serves(t); got != "first" {
				t.Errorf("%s: serves %q", row.name, got)
			}
			f.clock.Add(time.Second)
		}
		if n := strings.Count(f.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%s: %d errors in the log, want one:\n%s", row.name, n, f.log.String())
		}
	}
	f.put(t, f.CertFile, cert)
	f.put(t, f.KeyFile, key)
	f.clock.Add(time.Second)
	if got := f.serves(t); got != "second" {
		t.Errorf("serves %q, want the second once both are there", got)
	}
}

func TestCertificateIsCheckedAfterTheClockWasSetBack(t *testing.T) {
	f := newTLSFiles(t)
	f.clock.Add(-time.Hour)
	f.write(t, "second")
	if got := f.serves(t); got != "second" {
		t.Errorf("serves %q, want the second", got)
	}
}

func TestCertificateFilesThatCannotBeUsedStopTheStart(t *testing.T) {
	f := newTLSFiles(t)
	_, otherKey := pair(t, "other")
	for name, do := range map[string]func(){
		"another key": func() { f.put(t, f.KeyFile, otherKey) },
		"garbage":     func() { f.put(t, f.KeyFile, []byte("x")) },
	} {
		do()
		if conf, err := f.ServerConfig(f.clock.Now, slog.New(slog.DiscardHandler)); err == nil || conf != nil || !strings.Contains(err.Error(), f.KeyFile) {
			t.Errorf("%s: got %v, %v, want an error that names the file", name, conf, err)
		}
	}
}

func TestHandshakesWhileTheCertificateChanges(t *testing.T) {
	f := newTLSFiles(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", f.conf)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			// The client's side tells how it went.
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	}()
	handshake := func() string {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
		conn, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := handshake(); got != "first" {
		t.Errorf("served %q", got)
	}
	f.clock.Add(time.Second)
	f.write(t, "second")
	if got := handshake(); got != "second" {
		t.Errorf("served %q", got)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

func TestParallelHandshakesShareTheReload(t *testing.T) {
	f := newTLSFiles(t)
	f.clock.Add(time.Second)
	f.write(t, "second")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				if c, err := f.conf.GetCertificate(&tls.ClientHelloInfo{}); err != nil || c == nil {
					t.Errorf("got %v, %v", c, err)
				}
			}
		})
	}
	wg.Wait()
	if n := strings.Count(f.log.String(), "reloaded"); n != 1 || f.serves(t) != "second" {
		t.Errorf("%d reloads, serves %q", n, f.serves(t))
	}
}
