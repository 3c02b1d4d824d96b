package samltest

import (
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

// Faults is how the provider misbehaves. The zero value is honest. Its functions may run on many goroutines at once and must
// not call the provider.
type Faults struct {
	// Endpoints wraps the answer of an endpoint: Reply, Hang, Drop or a function of the test's own.
	Endpoints map[Endpoint]func(honest http.Handler) http.Handler
	// Metadata alters the metadata before it is signed.
	Metadata func(entity *etree.Element)
	// Status, when set, answers each checked AuthnRequest at once, without a form.
	Status *Status
	// Assertion alters the assertion before it is signed: conditions, subject, statements, times.
	Assertion func(assertion *etree.Element)
	// Signed alters the assertion after it was signed and before it is encrypted.
	Signed func(assertion *etree.Element)
	// Response alters the Response with its assertion before it is signed, if it is.
	Response func(response *etree.Element)
	// Document alters the finished document.
	Document func(doc []byte) []byte
	// Form alters the parameters that the browser posts.
	Form func(form url.Values)
	// Sign replaces the trust's own choice, and Signer the provider's key.
	Sign   *Sign
	Signer *xmlsig.Signer
	// LogoutRequest and LogoutResponse alter these before they are signed.
	LogoutRequest  func(*binding.LogoutRequest)
	LogoutResponse func(*binding.LogoutResponse)
}

// Status is an answer without an assertion.
type Status struct{ Code, SubCode, Message string }

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

// Hang sends nothing until the client gives up, or release is closed; after a release the honest answer follows.
// release may be nil.
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

// Drop closes the connection without an answer.
func Drop(http.Handler) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})
}

// Request is one request that reached an endpoint.
type Request struct {
	Endpoint Endpoint
	Method   string
	RawQuery string
	Header   http.Header
	Params   url.Values // query and body together
}

func (p *Provider) record(at Endpoint, r *http.Request) {
	if !p.cfg.Record {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, Request{
		Endpoint: at, Method: r.Method, RawQuery: r.URL.RawQuery, Header: r.Header.Clone(), Params: url.Values(http.Header(r.Form).Clone()),
	})
}

// Requests returns what arrived at an endpoint since the start or the last Forget, the oldest first. It is empty unless
// Config.Record is set.
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
