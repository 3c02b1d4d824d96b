// Package servertest runs a whole Weir inside a test: the real handler on a loopback port, the embedded store in a
// file of the test, real providers behind the guarded client. Only the clock is the test's.
//
// What to call: Start with the content of the pools; OIDC for an OpenID provider upstream; Weir.Browser for a
// person and Weir.App for an application. It judges nothing by itself: what an answer should be, the test says.
//
// It is for tests only, and puts the parts together as cmd/weir does.
package servertest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/erasure"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/federation/pending"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/federation/upstream"
	"github.com/weir-id/weir/providers"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/saml"
	"github.com/weir-id/weir/server"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/web"
)

// The base URLs of Options. Browsers of this package reach every host under them, and every other name, at Weir's
// listener; addresses in digits are dialled as they are.
const (
	HTTP  = "http://login.test"
	HTTPS = "https://example.com" // the name in the certificate of net/http/httptest
)

// Options say what runs. The zero value is an empty Weir on plain http.
type Options struct {
	Spec           pool.Spec
	BaseURL        string // HTTP (the default), HTTPS, or another one with a name as its host
	TrustedProxies []netip.Prefix
	// UpstreamTimeout bounds a fetch from a provider; 0 is the default of package outgoing.
	UpstreamTimeout time.Duration
	// StoreTime bounds a call of the store; 0 is 5 seconds, as in a process.
	StoreTime time.Duration
	// SealingKeys, the current one first; none generates one. See secret.ParseRing.
	SealingKeys []string
	// Clock is shared with upstream providers; nil makes one.
	Clock *Clock
	// AdminKeys count beside AdminKey.
	AdminKeys []sigv4.Key
	// Beside makes the new Weir another node on the store of that one, with its sealing keys and clock (unless it has others): with everything in memory
	// fresh, it is also what a restart leaves.
	Beside *Weir
	// Wrap changes the handler of the public listener, to put something in front of it.
	Wrap func(http.Handler) http.Handler
}

// Weir is a running broker with everything that it is made of.
type Weir struct {
	URL       string // the base URL
	Addr      string // of the public listener: 127.0.0.1:port
	Clock     *Clock
	Engine    *Engine
	Ring      *secret.Ring
	Directory *pool.Directory
	Keys      *token.Keys
	Issuer    *token.Issuer
	Grants    *token.Grants
	Once      *once.Memory
	Broker    *federation.Broker
	SAMLKeys  *samlsp.Keys
	Traces    *trace.Traces
	Server    *server.Server
	Handler   http.Handler
	Log       *Log
	Events    *Events
	Metrics   *server.Metrics

	store store.Engine // Engine as this node reaches it
	t     testing.TB
}

// Start runs a Weir until the test ends.
func Start(t testing.TB, o Options) *Weir {
	t.Helper()
	w := &Weir{URL: o.BaseURL, Clock: o.Clock, Log: &Log{}, Events: &Events{}, Metrics: server.NewMetrics("test"), t: t}
	if w.URL == "" {
		w.URL = HTTP
	}
	w.open(o)
	w.must(store.CheckRing(t.Context(), w.Engine, w.Ring))
	w.wire(o)
	w.Apply(o.Spec)
	var err error
	w.Handler, err = w.Server.Handler()
	w.must(err)
	if o.Wrap != nil {
		w.Handler = o.Wrap(w.Handler)
	}
	w.serve()
	w.Engine.Reset()
	return w
}

// open gives w its clock, sealing keys and store.
func (w *Weir) open(o Options) {
	w.t.Helper()
	if o.Beside != nil {
		w.Ring, w.Engine = o.Beside.Ring, o.Beside.Engine
		if w.Clock == nil {
			w.Clock = o.Beside.Clock
		}
		if len(o.SealingKeys) > 0 {
			w.Ring = ring(w.t, o.SealingKeys)
		}
		return
	}
	if w.Clock == nil {
		w.Clock = NewClock()
	}
	w.Ring = ring(w.t, o.SealingKeys)
	db, err := bolt.Open(filepath.Join(w.t.TempDir(), "weir.db"), bolt.Options{Now: w.Clock.Now})
	w.must(err)
	w.Engine = &Engine{Engine: db, writes: map[string]int{}, reads: map[string]int{}}
	w.t.Cleanup(func() { w.must(w.Engine.Close()) })
}

func (w *Weir) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("servertest: %v", err)
	}
}

func ring(t testing.TB, keys []string) *secret.Ring {
	t.Helper()
	if len(keys) == 0 {
		keys = []string{secret.GenerateKey()}
	}
	r, err := secret.ParseRing(strings.NewReader(strings.Join(keys, "\n")))
	if err != nil {
		t.Fatalf("servertest: %v", err)
	}
	return r
}

func (w *Weir) wire(o Options) {
	w.t.Helper()
	base, err := url.Parse(w.URL)
	w.must(err)
	now := w.Clock.Now
	w.store = store.Limited{Engine: w.Engine, Most: cmp.Or(o.StoreTime, 5*time.Second)}
	logger := slog.New(server.LogHandler{Handler: slog.NewJSONHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	recorder := audit.Recorders{audit.Log{Logger: logger}, w.Metrics, w.Events}
	client := outgoing.New(outgoing.Options{AllowPrivate: true, Timeout: o.UpstreamTimeout})
	w.SAMLKeys = &samlsp.Keys{Engine: w.store, Ring: w.Ring, Now: now}
	samlOptions := saml.Options{HTTP: client, AllowPrivate: true, Now: now, Keys: w.SAMLKeys,
		Replays: &replay.Messages{Engine: w.store}, Copies: &samlsp.Copies{Engine: w.store},
		Audit: recorder}
	set := providers.NewSet(providers.Options{HTTP: client, AllowPrivate: true, Now: now, More: map[string]providers.Kind{
		"SAML": {
			New:      providers.Make(func(cfg pool.IdentityProvider) (*saml.Provider, error) { return saml.New(cfg, samlOptions) }),
			Validate: saml.Validate, Probes: true,
		},
	}})
	w.Directory = &pool.Directory{Engine: w.store, Ring: w.Ring, Now: now, AskPeople: true,
		CheckProvider: func(ip pool.IdentityProvider) []pool.Problem { return detailProblems(set.Validate(ip)) },
		ProbeProvider: func(ctx context.Context, ip pool.IdentityProvider) []pool.Problem {
			return detailProblems(set.Probe(ctx, ip))
		},
	}
	assertions := &assertion.Keeper{Engine: w.store, Ring: w.Ring, Now: now}
	w.Directory.SettleProvider = assertions.Settle
	w.Keys = &token.Keys{Engine: w.store, Ring: w.Ring, Now: now}
	w.Issuer = &token.Issuer{Keys: w.Keys, BaseURL: w.URL, Now: now}
	w.Grants = &token.Grants{Engine: w.store, Ring: w.Ring, Now: now}
	w.Once = &once.Memory{Engine: w.store, Ring: w.Ring, Now: now}
	w.Traces = &trace.Traces{Engine: w.store, Ring: w.Ring, Now: now, Logger: logger, SignIns: 1000, Watch: w.Metrics}
	w.Broker = &federation.Broker{Assertions: assertions, Traces: w.Traces, Directory: w.Directory, Providers: set, Grants: w.Grants, Ring: w.Ring,
		Once: w.Once, Pending: &pending.SignIns{Engine: w.store, Ring: w.Ring}, Upstream: &upstream.Keeper{Engine: w.store, Ring: w.Ring, Now: now},
		Replays: &replay.Messages{Engine: w.store}, Erasures: &erasure.Requests{Engine: w.store, Ring: w.Ring, Now: now}, Audit: recorder, Now: now,
		Forget: []func(context.Context, string) error{w.Keys.DeletePool, w.SAMLKeys.DeletePool, (&samlsp.Copies{Engine: w.store}).DeletePool, w.Traces.DeletePool}}
	w.Server = &server.Server{
		Site:      &web.Site{Base: base, Directory: w.Directory, TrustedProxies: o.TrustedProxies},
		Directory: w.Directory, Broker: w.Broker, Grants: w.Grants, Issuer: w.Issuer, Keys: w.Keys, SAMLKeys: w.SAMLKeys,
		Audit: recorder, Traces: w.Traces, Logger: logger, Metrics: w.Metrics, Now: now, TrustedProxies: o.TrustedProxies,
		AdminKeys: append([]sigv4.Key{AdminKey}, o.AdminKeys...),
	}
}

func detailProblems(faults []detail.Fault) []pool.Problem {
	var out []pool.Problem
	for _, f := range faults {
		out = append(out, pool.Problem{Path: "ProviderDetails." + f.Key, Message: f.Problem})
	}
	return out
}

// Apply creates or updates what spec names.
func (w *Weir) Apply(spec pool.Spec) {
	w.t.Helper()
	plan, err := w.Directory.Plan(w.t.Context(), spec)
	w.must(err)
	w.must(w.Directory.Apply(w.t.Context(), plan))
}

// serve listens with the limits of the real listener, on TLS where the base URL says so.
func (w *Weir) serve() {
	w.t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	w.must(err)
	w.Addr = l.Addr().String()
	if w.secure() {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate()}, MinVersion: tls.VersionTLS12})
	}
	srv := server.HTTP(w.Handler, w.Server.Logger)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	w.t.Cleanup(func() {
		w.must(srv.Close())
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.t.Errorf("servertest: serve: %v", err)
		}
	})
}

func (w *Weir) secure() bool { return strings.HasPrefix(w.URL, "https:") }

// Transport reaches Weir under every name; addresses in digits are dialled as they are.
func (w *Weir) Transport() *http.Transport {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(addr); err != nil || net.ParseIP(host) == nil {
				addr = w.Addr
			}
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
		TLSClientConfig: &tls.Config{RootCAs: authority(), MinVersion: tls.VersionTLS12},
	}
	w.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// Client is an http.Client without cookies that follows no redirect.
func (w *Weir) Client() *http.Client {
	return &http.Client{Transport: w.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Browser is a new browser with an empty cookie jar.
func (w *Weir) Browser() *Browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	w.must(err)
	c := w.Client()
	c.Jar = jar
	return &Browser{Client: c, Weir: w, t: w.t}
}
