package outgoing_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/outgoing"
)

// secure starts a TLS server and returns it with the options under which its certificate is good.
func secure(t *testing.T, h http.HandlerFunc) (*httptest.Server, outgoing.Options) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, outgoing.Options{AllowPrivate: true, RootCAs: roots}
}

func plain(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// do sends a request and returns the answer's body.
func do(t *testing.T, c *http.Client, method, url string, header ...string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatalf("reading an answer that is in memory: %v", err)
	}
	return string(body), nil
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello") }

func TestPrivateAddressIsRefused(t *testing.T) {
	var hits atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { hits.Add(1) }
	tlsServer, opts := secure(t, count)
	opts.AllowPrivate = false
	_, port, err := net.SplitHostPort(tlsServer.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{
		"as a literal":       tlsServer.URL,
		"behind a name":      "https://localhost:" + port, // the guard sees what the name resolved to
		"mapped into v6":     "https://[::ffff:127.0.0.1]:" + port,
		"as the unspecified": "https://0.0.0.0:" + port,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := do(t, outgoing.New(opts), http.MethodGet, url); !errors.Is(err, outgoing.ErrPrivateAddress) {
				t.Errorf("err = %v, want ErrPrivateAddress", err)
			}
		})
	}
	if hits.Load() != 0 {
		t.Errorf("the server was reached %d times", hits.Load())
	}
}

func TestAllowPrivate(t *testing.T) {
	t.Run("opens https to loopback", func(t *testing.T) {
		s, opts := secure(t, hello)
		if body, err := do(t, outgoing.New(opts), http.MethodGet, s.URL); err != nil || body != "hello" {
			t.Errorf("body %q, err %v", body, err)
		}
	})
	t.Run("opens http to loopback", func(t *testing.T) {
		s := plain(t, hello)
		if body, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, s.URL); err != nil || body != "hello" {
			t.Errorf("body %q, err %v", body, err)
		}
	})
	t.Run("does not open http to public addresses", func(t *testing.T) {
		_, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, "http://93.184.215.14/")
		if !errors.Is(err, outgoing.ErrPrivateAddress) {
			t.Errorf("err = %v, want ErrPrivateAddress", err)
		}
	})
	t.Run("does not open metadata services", func(t *testing.T) {
		_, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, "http://169.254.169.254/latest/meta-data/")
		if !errors.Is(err, outgoing.ErrPrivateAddress) {
			t.Errorf("err = %v, want ErrPrivateAddress", err)
		}
	})
}

func TestScheme(t *testing.T) {
	s := plain(t, hello)
	for name, c := range map[string]struct {
		url   string
		allow bool
	}{
		"http without AllowPrivate": {s.URL, false},
		"file":                      {"file:///etc/passwd", true},
		"ftp":                       {"ftp://127.0.0.1/", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: c.allow}), http.MethodGet, c.url)
			if !errors.Is(err, outgoing.ErrScheme) {
				t.Errorf("err = %v, want ErrScheme", err)
			}
		})
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var hits atomic.Int32
	proxy := plain(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	// net/http never proxies loopback, so the target is an address of nobody; closed, so that nothing is sent.
	_, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, "https://192.0.2.1/")
	if !errors.Is(err, outgoing.ErrPrivateAddress) || hits.Load() != 0 {
		t.Errorf("err = %v with %d requests to the proxy, want ErrPrivateAddress and none", err, hits.Load())
	}
}

func TestRedirect(t *testing.T) {
	var posts atomic.Int32
	other := plain(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "other auth=%q cookie=%q referer=%q", r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Referer())
	})
	home := plain(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/3", "/2", "/1":
			http.Redirect(w, r, fmt.Sprintf("/%c", r.URL.Path[1]-1), http.StatusFound)
		case "/4", "/loop":
			http.Redirect(w, r, map[string]string{"/4": "/3", "/loop": "/loop"}[r.URL.Path], http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		case "/post":
			http.Redirect(w, r, "/taken", http.StatusTemporaryRedirect)
		case "/taken":
			posts.Add(1)
		default:
			_, _ = fmt.Fprintf(w, "home auth=%q", r.Header.Get("Authorization"))
		}
	})
	down, opts := secure(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL, http.StatusFound) })
	c := outgoing.New(opts)

	for name, test := range map[string]struct {
		method, url string
		body        string
		err         error
	}{
		"three are followed":                        {"GET", home.URL + "/3", `home auth="Bearer t"`, nil},
		"four are not":                              {"GET", home.URL + "/4", "", outgoing.ErrRedirect},
		"a loop ends":                               {"GET", home.URL + "/loop", "", outgoing.ErrRedirect},
		"credentials stay with their origin":        {"GET", home.URL + "/away", `other auth="" cookie="" referer=""`, nil},
		"https does not become http":                {"GET", down.URL, "", outgoing.ErrRedirect},
		"a POST is not followed":                    {"POST", home.URL + "/post", "", outgoing.ErrRedirect},
		"the scheme is checked again":               {"GET", home.URL + "/file", "", outgoing.ErrScheme},
		"the address is checked again, on each hop": {"GET", home.URL + "/metadata", "", outgoing.ErrPrivateAddress},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := do(t, c, test.method, test.url, "Authorization", "Bearer t", "Cookie", "a=b")
			if !errors.Is(err, test.err) || body != test.body {
				t.Errorf("body %q, err %v; want %q, %v", body, err, test.body, test.err)
			}
		})
	}
	if posts.Load() != 0 {
		t.Error("a POST was sent on")
	}
}

func TestCredentialsDoNotComeBack(t *testing.T) {
	// Away and back again: the foreign origin chose the path it comes back to.
	var home, other *httptest.Server
	other = plain(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL+"/back", http.StatusFound) })
	home = plain(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			_, _ = fmt.Fprintf(w, "auth=%q", r.Header.Get("Authorization"))
			return
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
	})
	body, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, home.URL, "Authorization", "Bearer t")
	if err != nil || body != `auth=""` {
		t.Errorf("body %q, err %v", body, err)
	}
}

func TestBodyLimit(t *testing.T) {
	const limit = 4096
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(make([]byte, 10*limit)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if zipped.Len() >= limit {
		t.Fatalf("the compressed answer has %d bytes: too many to prove anything", zipped.Len())
	}
	s := plain(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exact":
			_, _ = fmt.Fprint(w, strings.Repeat("x", limit))
		case "/declared":
			_, _ = fmt.Fprint(w, strings.Repeat("x", limit+1))
		case "/chunked":
			for range limit + 1 {
				_, _ = fmt.Fprint(w, "x")
				w.(http.Flusher).Flush()
			}
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1024)); err != nil {
					return
				}
			}
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		}
	})
	c := outgoing.New(outgoing.Options{AllowPrivate: true, MaxBody: limit})
	for path, want := range map[string]error{
		"/exact": nil, "/declared": outgoing.ErrTooLarge, "/chunked": outgoing.ErrTooLarge,
		"/endless": outgoing.ErrTooLarge, "/gzip": outgoing.ErrTooLarge,
	} {
		t.Run(path[1:], func(t *testing.T) {
			body, err := do(t, c, http.MethodGet, s.URL+path)
			if !errors.Is(err, want) {
				t.Errorf("err = %v, want %v", err, want)
			}
			if want == nil && len(body) != limit {
				t.Errorf("%d bytes, want %d", len(body), limit)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	s := plain(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = fmt.Fprint(w, "the beginning")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, never speaks TLS
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	c := outgoing.New(outgoing.Options{AllowPrivate: true, Timeout: 50 * time.Millisecond})
	for name, url := range map[string]string{
		"headers": s.URL, "body": s.URL + "/body", "handshake": "https://" + silent.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := do(t, c, http.MethodGet, url)
			if got := outgoing.Fault(err).Code; err == nil || got != fault.UpstreamTimeout {
				t.Errorf("err = %v (%s), want a timeout", err, got)
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // G402: the server that must be refused
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	_, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true, RootCAs: roots}), http.MethodGet, s.URL)
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("err = %v, want a refused protocol version", err)
	}
}

func TestUnknownAuthorityIsRefused(t *testing.T) {
	s, _ := secure(t, hello)
	_, err := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, s.URL)
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		t.Errorf("err = %v, want an unknown authority", err)
	}
}

func TestFault(t *testing.T) {
	gone := plain(t, hello)
	gone.Close()
	_, refused := do(t, outgoing.New(outgoing.Options{AllowPrivate: true}), http.MethodGet, gone.URL)
	if refused == nil {
		t.Fatal("a closed server answered")
	}
	for name, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"address":  {fmt.Errorf("get: %w", outgoing.ErrPrivateAddress), fault.Config},
		"scheme":   {outgoing.ErrScheme, fault.Config},
		"size":     {outgoing.ErrTooLarge, fault.Upstream},
		"redirect": {outgoing.ErrRedirect, fault.Upstream},
		"deadline": {context.DeadlineExceeded, fault.UpstreamTimeout},
		"given up": {context.Canceled, fault.Unavailable},
		"down":     {refused, fault.Upstream},
	} {
		t.Run(name, func(t *testing.T) {
			f := outgoing.Fault(c.err)
			if f.Code != c.want || !errors.Is(f, c.err) || f.Public == "" {
				t.Errorf("Fault(%v) = %+v, want %s", c.err, f, c.want)
			}
		})
	}
}
