// Package outgoing is the one way out: the HTTP client of every fetch whose address comes from a
// configuration or from somebody else's document (discovery, JWKS, token, userinfo, SAML metadata, hooks).
//
// It owns the rules of such a fetch: which addresses may be dialled, which schemes, how redirects
// are followed, how large an answer may be and how long it may take. It does not own what an answer means.
//
// The guard against server-side request forgery stands where the connection is made, on the address
// that was resolved, so a name that resolves differently the second time gains nothing. A consequence: no proxy is taken
// from the environment. Behind a proxy the guard would see the proxy's address only, and the
// proxy would resolve the name; a variable set for some other program must not switch the guard off.
//
// Answers are read whole, inside the round trip, before the caller sees them. So every failure of
// the transport (too large, too slow, cut off) is the error of Do, with its type, also in libraries that
// flatten the errors of reading a body, and no caller can leave a connection open.
package outgoing

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// What a fetch can be refused for. They are found with errors.Is in what http.Client.Do returns.
var (
	// ErrPrivateAddress: the name resolved to an address that may not be dialled. See CheckAddr.
	ErrPrivateAddress = errors.New("outgoing: address is not allowed")
	// ErrScheme: the URL is not https, nor http where that is allowed.
	ErrScheme = errors.New("outgoing: scheme is not allowed")
	// ErrTooLarge: the answer, after decompression, is larger than Options.MaxBody.
	ErrTooLarge = errors.New("outgoing: answer is too large")
	// ErrRedirect: the answer redirects where it may not.
	ErrRedirect = errors.New("outgoing: redirect is not allowed")
)

// Defaults and fixed limits.
const (
	// DefaultTimeout bounds a whole fetch: dial, TLS, redirects and body.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxBody bounds an answer, in bytes after decompression.
	DefaultMaxBody = 1 << 20

	maxRedirects      = 3
	maxHeader         = 64 << 10
	dialTimeout       = 5 * time.Second
	handshakeTimeout  = 5 * time.Second
	idleTimeout       = 60 * time.Second
	idleConns         = 128
	idleConnsPerHost  = 32
	totalConnsPerHost = 256 // a provider that hangs must not take every file descriptor
)

// Options are the choices of a client. The zero value is the strict one.
type Options struct {
	// AllowPrivate opens the guard to loopback, private (RFC 1918, RFC 4193) and shared (RFC 6598)
	// addresses, and plain http to those addresses only. What stays closed is listed at CheckAddr.
	AllowPrivate bool
	// Timeout bounds a whole fetch; 0 is DefaultTimeout.
	Timeout time.Duration
	// MaxBody bounds an answer in bytes, after decompression; 0 is DefaultMaxBody.
	MaxBody int64
	// RootCAs are the authorities that servers are verified with; nil is the system's.
	RootCAs *x509.CertPool
}

// New returns a client for fetches to the outside. Make one and share it: it owns a connection pool.
//
// Redirects: a POST is never redirected (it carries credentials and codes). A GET is, at most three times, never from
// https to http, and its Authorization and Cookie headers end with the first change of origin.
func New(o Options) *http.Client {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	g := &gate{secure: transport(o, func(a reach) bool { return a == public || a == private && o.AllowPrivate }), max: o.MaxBody}
	if o.AllowPrivate {
		// A transport of its own: what is sent in the clear never leaves for a public address.
		g.plain = transport(o, func(a reach) bool { return a == private })
	}
	return &http.Client{Transport: g, CheckRedirect: checkRedirect, Timeout: o.Timeout}
}

// transport returns a transport that dials only what allow admits.
func transport(o Options, allow func(reach) bool) *http.Transport {
	dialer := &net.Dialer{Timeout: min(dialTimeout, o.Timeout), Control: guard(allow)}
	return &http.Transport{
		Proxy:                  nil, // see the package comment
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    min(handshakeTimeout, o.Timeout),
		ResponseHeaderTimeout:  o.Timeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConnsPerHost,
		MaxConnsPerHost:        totalConnsPerHost,
		IdleConnTimeout:        idleTimeout,
		ForceAttemptHTTP2:      true,
	}
}

// gate checks the scheme of every hop and reads the answer within the limit.
type gate struct {
	secure *http.Transport
	plain  *http.Transport // nil: http is refused
	max    int64
}

// RoundTrip implements http.RoundTripper. The body of the response is in memory, whole.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	t := g.secure
	switch {
	case req.URL.Scheme == "https":
	case req.URL.Scheme == "http" && g.plain != nil:
		t = g.plain
	default:
		if req.Body != nil { // obligation of a RoundTripper, also on errors
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("%w: %q", ErrScheme, req.URL.Scheme)
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > g.max {
		return nil, errors.Join(ErrTooLarge, resp.Body.Close())
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, g.max+1))
	// The answer is judged by what was read; an error of closing adds nothing to it.
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if int64(len(body)) > g.max {
		return nil, ErrTooLarge
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (g *gate) CloseIdleConnections() {
	g.secure.CloseIdleConnections()
	if g.plain != nil {
		g.plain.CloseIdleConnections()
	}
}

// checkRedirect implements the rules stated at New. net/http already drops Authorization for foreign
// domains, but keeps it for subdomains and for other ports of a host.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return fmt.Errorf("%w: answer to %s", ErrRedirect, first.Method)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d", ErrRedirect, maxRedirects)
	}
	if last.URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w: from https to %q", ErrRedirect, req.URL.Scheme)
	}
	elsewhere := func(hop *http.Request) bool {
		return hop.URL.Scheme != first.URL.Scheme || hop.URL.Host != first.URL.Host
	}
	if elsewhere(req) || slices.ContainsFunc(via, elsewhere) {
		req.Header.Del("Authorization")
		req.Header.Del("Cookie")
	}
	req.Header.Del("Referer")
	return nil
}
