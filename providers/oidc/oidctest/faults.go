package oidctest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// Faults is how the provider misbehaves. The zero value is honest. Its functions may
// run on many goroutines at once and must not call the provider.
type Faults struct {
	// Endpoints wraps the answer of an endpoint: Reply, Hang, Endless, Drop,
	// RedirectTo, ContentType or a function of the test's own.
	Endpoints map[Endpoint]func(honest http.Handler) http.Handler
	// Discovery alters the discovery document before it is sent.
	Discovery func(doc map[string]any)
	// AuthorizeError, when set, answers each checked authorization request at once,
	// without a form: typically error and error_description. state and iss are added.
	AuthorizeError url.Values
	// Authorization alters the parameters of an authorization response (code, state,
	// iss, error) before they are sent.
	Authorization func(params url.Values)
	// IDToken and UserInfo alter claims before they are signed or sent.
	IDToken  func(claims map[string]any)
	UserInfo func(claims map[string]any)
	// SignIDToken and SignUserInfo replace SignHonestly.
	SignIDToken  Sign
	SignUserInfo Sign
	// TokenResponse alters a successful token response; deleting id_token omits it.
	TokenResponse func(body map[string]any)
}

// Set replaces the faults. Set(Faults{}) makes the provider honest again.
func (p *Provider) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

func (p *Provider) currentFaults() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Reply answers with this status, content type and body.
func Reply(status int, contentType, body string) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // a client that is gone is not this server's fault
		})
	}
}

// Hang sends nothing until the client gives up, or release is closed; after a release
// the honest answer follows. release may be nil.
func Hang(release <-chan struct{}) func(http.Handler) http.Handler {
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-release:
				honest.ServeHTTP(w, r)
			}
		})
	}
}

// Endless begins a JSON object and never ends it; it stops when the client does.
func Endless(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := bytes.Repeat([]byte("a"), 32<<10)
		_, err := io.WriteString(w, `{"filler":"`)
		for err == nil && r.Context().Err() == nil {
			_, err = w.Write(chunk)
		}
	})
}

// Drop closes the connection without an answer.
func Drop(http.Handler) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})
}

// RedirectTo sends the caller elsewhere with this status (302, 307, …).
func RedirectTo(status int, location string) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		})
	}
}

// ContentType sends the honest answer under another content type.
func ContentType(value string) func(http.Handler) http.Handler {
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			honest.ServeHTTP(&typedWriter{ResponseWriter: w, contentType: value}, r)
		})
	}
}

type typedWriter struct {
	http.ResponseWriter
	contentType string
}

func (w *typedWriter) WriteHeader(status int) {
	w.Header().Set("Content-Type", w.contentType)
	w.ResponseWriter.WriteHeader(status)
}

// Request is one request that reached an endpoint.
type Request struct {
	Endpoint Endpoint
	Method   string
	Header   http.Header
	Params   url.Values // query and body together
}

func (p *Provider) record(at Endpoint, r *http.Request) {
	if !p.cfg.Record {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, Request{Endpoint: at, Method: r.Method, Header: r.Header.Clone(), Params: cloneValues(r.Form)})
}

// Requests returns what arrived at an endpoint since the start or the last Forget,
// the oldest first. It is empty unless Config.Record is set.
func (p *Provider) Requests(at Endpoint) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.requests), func(r Request) bool { return r.Endpoint != at })
}

// Forget empties the record.
func (p *Provider) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

func cloneValues(v url.Values) url.Values {
	return url.Values(http.Header(v).Clone())
}
