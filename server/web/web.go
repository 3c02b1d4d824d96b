// Package web is what the handlers of the public listener share: which pool and origin a request is for, the cookies
// of attempts and sessions, request ids, and the errors that the one writer in package server understands.
//
// It knows echo and the directory, and nothing of OAuth or of pages.
package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// Site is one deployment as browsers see it.
type Site struct {
	Base      *url.URL // base_url of the configuration: scheme and host
	Directory *pool.Directory
	// TrustedProxies are the peers whose X-Forwarded-Host is believed; none by default.
	TrustedProxies []netip.Prefix
}

// Secure reports whether browsers reach the site over https.
func (s *Site) Secure() bool { return s.Base.Scheme == "https" }

// BaseURL is the base URL without a trailing slash.
func (s *Site) BaseURL() string { return s.Base.Scheme + "://" + s.Base.Host }

// Origin is the scheme and host under which a request came, where the host is one of ours.
type Origin struct {
	URL    string // scheme://host[:port]
	PoolID string // the pool of a prefix or custom domain, "" on the base host
}

// ErrUnknownHost: the request's host is neither the base host nor a domain of a pool.
var ErrUnknownHost = errors.New("host is not served here")

// Origin finds out for which host a request is meant. Only hosts that the
// configuration or the directory names are ever returned, so the result may be
// put into URLs. Errors: ErrUnknownHost, and the directory's.
func (s *Site) Origin(c echo.Context) (Origin, error) {
	host := strings.TrimSuffix(strings.ToLower(s.host(c)), s.defaultPort())
	base := strings.ToLower(s.Base.Host)
	if host == base {
		return Origin{URL: s.BaseURL()}, nil
	}
	domain, isPrefix := strings.CutSuffix(host, "."+base)
	if !isPrefix {
		domain = host
		if port := s.Base.Port(); port != "" { // another port is another service: its address must not come out of here
			domain = strings.TrimSuffix(host, ":"+port)
		}
	}
	if isPrefix == strings.Contains(domain, ".") { // a prefix has no dot, a custom domain has one
		return Origin{}, ErrUnknownHost
	}
	p, err := s.Directory.PoolByDomain(c.Request().Context(), domain)
	if fault.CodeOf(err) == fault.NotFound {
		return Origin{}, ErrUnknownHost
	}
	if err != nil {
		return Origin{}, err
	}
	return Origin{URL: s.Base.Scheme + "://" + host, PoolID: p.ID}, nil
}

// defaultPort is the port that a host may name and that changes nothing.
func (s *Site) defaultPort() string {
	if s.Secure() {
		return ":443"
	}
	return ":80"
}

func (s *Site) host(c echo.Context) string { return s.Host(c.Request()) }

// Host is the host that a client sent its request to, as it wrote it: what a trusted proxy says, otherwise what the request says.
func (s *Site) Host(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) }) {
		// The proxy next to us appends its own value last.
		if h := r.Header.Values("X-Forwarded-Host"); len(h) > 0 {
			parts := strings.Split(h[len(h)-1], ",")
			return strings.TrimSpace(parts[len(parts)-1])
		}
	}
	return r.Host
}

// OriginOrBase is Origin where the host does not matter: an unknown one counts as the base host.
func (s *Site) OriginOrBase(c echo.Context) (Origin, error) {
	o, err := s.Origin(c)
	if errors.Is(err, ErrUnknownHost) {
		return Origin{URL: s.BaseURL()}, nil
	}
	return o, err
}

// sentCookie says that this browser was sent to the base URL a moment ago.
const sentCookie = "weir_sent_to_base"

// BrowserOrigin is Origin for the addresses that people's browsers are sent to. Under an unknown host (an IP address,
// localhost) it redirects to the same page at the base URL: cookies belong to one host, so a sign-in
// begun elsewhere could not be finished. answered reports that it did; a form that was posted there is refused.
//
// A reverse proxy may put its own host into the request without being trusted to name the right one. Then the browser
// is at the base URL already and a redirect would go round for ever: whoever comes back at once is served.
func (s *Site) BrowserOrigin(c echo.Context) (o Origin, answered bool, err error) {
	o, err = s.Origin(c)
	if !errors.Is(err, ErrUnknownHost) {
		return o, false, err
	}
	r := c.Request()
	if _, err := c.Cookie(sentCookie); err == nil {
		return Origin{URL: s.BaseURL()}, false, nil
	}
	if r.Method == http.MethodPost {
		return o, false, fault.New(fault.Invalid, "This service is not reached under this host name.",
			fmt.Errorf("%w: %s", err, Clip(r.Host)))
	}
	s.set(c, sentCookie, "1", 10*time.Second)
	return o, true, c.Redirect(http.StatusFound, s.BaseURL()+r.URL.RequestURI())
}

// Params returns the parameters of a GET's query or a POST's form, never both. One without a value is left out, as if
// it had not been sent (RFC 6749 sections 3.1 and 3.2). A parameter
// that is named twice (the same sections) or is not UTF-8 is a fault that comes with the parameters, so that
// an application can be told; without parameters the request could not be read at all.
func Params(c echo.Context) (url.Values, error) {
	v, err := rawParams(c.Request())
	if err != nil {
		return nil, err
	}
	for name, values := range v {
		if len(values) > 1 {
			return v, fault.New(fault.Invalid, "A parameter is named more than once.", errors.New("repeated parameter "+Clip(name)))
		}
		// What is not UTF-8 would be altered on its way through the sealed attempt.
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return v, fault.New(fault.Invalid, "A parameter is not UTF-8.", errors.New("not UTF-8: parameter "+Clip(name)))
		}
		if values[0] == "" {
			delete(v, name)
		}
	}
	return v, nil
}

func rawParams(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		v, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, fault.New(fault.Invalid, "The address of this request is not well-formed.", err)
		}
		return v, nil
	}
	if ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(ct), echo.MIMEApplicationForm) {
		return nil, fault.New(fault.Invalid, "The request's content type must be application/x-www-form-urlencoded.", nil)
	}
	if err := r.ParseForm(); err != nil {
		var he *echo.HTTPError // of echo's BodyLimit, where the length was not announced
		if errors.As(err, &he) && he.Code == http.StatusRequestEntityTooLarge {
			return nil, fault.New(fault.TooLarge, "The request is too large.", err)
		}
		return nil, fault.New(fault.Invalid, "The request's form is not well-formed.", err)
	}
	return r.PostForm, nil
}

// Clip bounds foreign text for the log: 128 bytes, the longest client id.
func Clip(s string) string {
	if len(s) > 128 {
		return s[:128] + "…"
	}
	return s
}

type ctxKey struct{}

// WithRequestID returns ctx carrying the id of its request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, ctxKey{}, id)
}

// RequestID returns the id of ctx's request, "" outside one. It is the reference
// that error pages show.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(ctxKey{}).(string)
	return id
}
