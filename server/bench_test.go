package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers"
	"github.com/weir-id/weir/server"
	"github.com/weir-id/weir/server/web"
)

const (
	benchBase     = "https://login.example.com"
	benchCallback = "https://app.example.com/callback"
	benchPool     = "local_Bench0001"
	benchClient   = "benchclient000000000000001"
	benchIssuer   = "https://idp.example.com"
	benchVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// benchProvider is an OpenID provider without HTTP. Its codes are the subject and the nonce that
// the ID token is to have, so that it keeps nothing; its own signature (ES256) is the only dear thing in it.
type benchProvider struct {
	b      *testing.B
	signer jose.Signer
	jwks   []byte
}

func newBenchProvider(b *testing.B) *benchProvider {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := &benchProvider{b: b, signer: signer}
	p.jwks = p.encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Use: "sig"}}})
	return p
}

func (p *benchProvider) encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		p.b.Error(err)
	}
	return body
}

// RoundTrip implements http.RoundTripper.
func (p *benchProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	switch r.URL.Path {
	case "/jwks":
		body = p.jwks
	case "/token":
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		subject, nonce, _ := strings.Cut(r.PostForm.Get("code"), "~")
		now := time.Now().Unix()
		jws, err := p.signer.Sign(p.encode(map[string]any{"iss": benchIssuer, "sub": subject, "aud": "weir", "nonce": nonce, "iat": now, "exp": now + 300,
			"email": subject + "@example.com", "email_verified": true, "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe"}))
		if err != nil {
			return nil, err
		}
		id, err := jws.CompactSerialize()
		if err != nil {
			return nil, err
		}
		body = p.encode(map[string]any{"access_token": subject, "token_type": "Bearer", "expires_in": 3600, "id_token": id})
	case "/userinfo":
		subject := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		body = p.encode(map[string]any{"sub": subject, "email": subject + "@example.com", "email_verified": true})
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// benchRig is the whole server on a real store, called without sockets.
type benchRig struct {
	b       *testing.B
	handler http.Handler
}

func newBenchRig(b *testing.B, alg string) *benchRig {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	engine, err := bolt.Open(filepath.Join(b.TempDir(), "weir.db"), bolt.Options{Now: time.Now})
	must(err)
	b.Cleanup(func() { must(engine.Close()) })
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	must(err)
	// A log that costs what a log costs, its system calls included.
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	must(err)
	b.Cleanup(func() { must(sink.Close()) })
	log := slog.New(server.LogHandler{Handler: slog.NewJSONHandler(sink, nil)})
	metrics := server.NewMetrics("bench")
	events := audit.Recorders{audit.Log{Logger: log}, metrics}
	directory := &pool.Directory{Engine: engine, Ring: ring, Now: time.Now, Region: "local"}
	plan, err := directory.Plan(b.Context(), benchSpec(alg))
	must(err)
	must(directory.Apply(b.Context(), plan))
	keys := &token.Keys{Engine: engine, Ring: ring, Now: time.Now}
	grants := &token.Grants{Engine: engine, Ring: ring, Now: time.Now}
	upstream := providers.NewSet(providers.Options{HTTP: &http.Client{Transport: newBenchProvider(b)}, Now: time.Now})
	base, err := url.Parse(benchBase)
	must(err)
	traces := &trace.Traces{Engine: engine, Ring: ring, Now: time.Now, Logger: log, SignIns: trace.DefaultSignIns, Watch: metrics}
	behind, stop := context.WithCancel(b.Context())
	var writing sync.WaitGroup
	writing.Go(func() { traces.Run(behind) })
	b.Cleanup(func() {
		stop()
		writing.Wait()
	})
	srv := &server.Server{
		Site: &web.Site{Base: base, Directory: directory}, Directory: directory, Grants: grants, Keys: keys,
		Issuer: &token.Issuer{Keys: keys, BaseURL: benchBase, Now: time.Now},
		Broker: &federation.Broker{Directory: directory, Providers: upstream, Grants: grants, Ring: ring, Audit: events, Now: time.Now},
		Audit:  events, Traces: traces, Logger: log, Metrics: metrics, Now: time.Now,
	}
	r := &benchRig{b: b}
	r.handler, err = srv.Handler()
	must(err)
	r.login("warm-up") // signing keys, discovery of nothing, caches
	return r
}

func benchSpec(alg string) pool.Spec {
	text := func(s string) secret.Text { return secret.New(s) }
	return pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "bench", ID: benchPool, SigningAlgorithm: alg,
		IdentityProviders: []pool.ProviderSpec{{
			ProviderName: "Corp", ProviderType: "OIDC",
			ProviderDetails: map[string]secret.Text{
				"client_id": text("weir"), "client_secret": text("s3cret"), "oidc_issuer": text(benchIssuer), "authorize_scopes": text("openid email profile"),
				"authorize_url": text(benchIssuer + "/authorize"), "token_url": text(benchIssuer + "/token"),
				"attributes_url": text(benchIssuer + "/userinfo"), "jwks_uri": text(benchIssuer + "/jwks"),
			},
			AttributeMapping: map[string]string{"email": "email", "email_verified": "email_verified", "name": "name", "given_name": "given_name", "family_name": "family_name"},
		}},
		Clients: []pool.ClientSpec{{
			ClientName: "web", ClientID: benchClient, ClientSecret: text("app-s3cret"), CallbackURLs: []string{benchCallback},
			AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email", "profile"}, SupportedIdentityProviders: []string{"Corp"},
		}},
	}}}
}

// send makes one request and returns the answer, whose status must be want.
func (r *benchRig) send(method, target string, form url.Values, want int, header http.Header) *httptest.ResponseRecorder {
	r.b.Helper()
	req := httptest.NewRequestWithContext(r.b.Context(), method, benchBase+target, strings.NewReader(form.Encode()))
	for name, values := range header {
		req.Header[name] = values
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	if rec.Code != want {
		r.b.Fatalf("%s %s: status %d, want %d: %s", method, target, rec.Code, want, rec.Body)
	}
	return rec
}

// location returns the parameters of a redirect.
func (r *benchRig) location(rec *httptest.ResponseRecorder) url.Values {
	r.b.Helper()
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil {
		r.b.Fatal(err)
	}
	return to.Query()
}

type benchTokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

// login is a whole one: authorize, the provider's answer, the code.
func (r *benchRig) login(subject string) benchTokens {
	r.b.Helper()
	sum := sha256.Sum256([]byte(benchVerifier))
	begun := r.send(http.MethodGet, "/oauth2/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {benchClient}, "redirect_uri": {benchCallback}, "scope": {"openid email profile"}, "state": {"af0ifjsldkj"},
		"nonce": {"n-0S6_WzA2Mj"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil, http.StatusFound, nil)
	asked := r.location(begun)
	var cookies []string
	for _, set := range begun.Header().Values("Set-Cookie") {
		pair, _, _ := strings.Cut(set, ";")
		cookies = append(cookies, pair)
	}
	back := r.send(http.MethodGet, "/oauth2/idpresponse?"+url.Values{"code": {subject + "~" + asked.Get("nonce")}, "state": {asked.Get("state")}}.Encode(),
		nil, http.StatusFound, http.Header{"Cookie": {strings.Join(cookies, "; ")}})
	return r.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {r.location(back).Get("code")},
		"redirect_uri": {benchCallback}, "code_verifier": {benchVerifier}})
}

func (r *benchRig) tokens(form url.Values) (t benchTokens) {
	r.b.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(benchClient + ":app-s3cret"))
	resp := r.send(http.MethodPost, "/oauth2/token", form, http.StatusOK, http.Header{"Authorization": {"Basic " + basic}})
	if err := json.Unmarshal(resp.Body.Bytes(), &t); err != nil || t.Access == "" || t.ID == "" {
		r.b.Fatalf("answer without tokens: %v", err)
	}
	return t
}

// bench runs f for each algorithm and reports, beside the time, the processor time of the process: the time holds waits for the disk.
func bench(b *testing.B, f func(b *testing.B, r *benchRig) func(i int)) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			do := f(b, newBenchRig(b, alg))
			b.ReportAllocs()
			before := processorTime(b)
			i := 0
			for b.Loop() {
				i++
				do(i)
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(i), "cpu-ns/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLogin is the first login of a person each time; BenchmarkLoginReturning is what most logins are.
// Both hold what the provider does in this process: an ES256 signature and some JSON.
func BenchmarkLogin(b *testing.B) {
	bench(b, func(_ *testing.B, r *benchRig) func(int) {
		return func(i int) { r.login("person-" + strconv.Itoa(i)) }
	})
}

func BenchmarkLoginReturning(b *testing.B) {
	bench(b, func(_ *testing.B, r *benchRig) func(int) { return func(int) { r.login("warm-up") } })
}

func BenchmarkRefresh(b *testing.B) {
	bench(b, func(_ *testing.B, r *benchRig) func(int) {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.login("warm-up").Refresh}}
		return func(int) { r.tokens(form) }
	})
}

func BenchmarkUserInfo(b *testing.B) {
	bench(b, func(_ *testing.B, r *benchRig) func(int) {
		header := http.Header{"Authorization": {"Bearer " + r.login("warm-up").Access}}
		return func(int) { r.send(http.MethodGet, "/oauth2/userInfo", nil, http.StatusOK, header) }
	})
}
