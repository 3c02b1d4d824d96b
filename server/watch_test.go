package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server"
	"github.com/weir-id/weir/server/servertest"
)

// The audit stream of a person's day: the events in their order, with ids that lead from one to the next.
func TestAuditStream(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, b := w.Web(), w.Browser()
	req := b.ToCallback(web.Authorize(), ada)
	w.Clock.Advance(7 * time.Second)
	ans := web.Tokens(b.Do(req))
	sub, _ := web.Claims(ans.Text("id_token"))["sub"].(string)
	grant, _ := web.Claims(ans.Text("access_token"))["origin_jti"].(string)
	sso, _ := web.Claims(web.Tokens(b.Get(web.Authorize())).Text("access_token"))["origin_jti"].(string)
	web.Refresh(ans.Text("refresh_token"))
	refusal := web.Redeem("x")
	b.Get("/logout?client_id=" + web.ClientID)

	p, c, attempt := servertest.PoolID, web.ClientID, req.URL.Query().Get("state")
	want := []audit.Event{
		audit.LoginStarted{Pool: p, Client: c, Provider: "Corp", Attempt: attempt},
		audit.LoginFinished{Pool: p, Client: c, Provider: "Corp", Attempt: attempt, Sub: sub, Grant: grant, Created: true, Took: 7 * time.Second},
		audit.TokenIssued{Pool: p, Client: c, Sub: sub, Grant: grant, GrantType: "authorization_code"},
		audit.LoginFinished{Pool: p, Client: c, Provider: "Corp", Sub: sub, Grant: sso, SSO: true},
		audit.TokenIssued{Pool: p, Client: c, Sub: sub, Grant: sso, GrantType: "authorization_code"},
		audit.TokenIssued{Pool: p, Client: c, Sub: sub, Grant: grant, GrantType: "refresh_token"},
		audit.TokenRefused{Pool: p, Client: c, GrantType: "authorization_code", Error: "invalid_grant", Reference: refusal.Header.Get("X-Request-Id")},
		audit.SessionEnded{Pool: p, Client: c, Session: grant, Grants: 2},
	}
	got := w.Events.Take()
	if len(got) != len(want) {
		t.Fatalf("events %q", servertest.Names(got))
	}
	for i := range want {
		g := got[i]
		if r, ok := g.(audit.TokenRefused); ok && r.Reason != "" {
			r.Reason = ""
			g = r
		}
		if g != want[i] {
			t.Errorf("event %d: %#v, want %#v", i, g, want[i])
		}
	}
	records := w.Log.Records("msg", "login.finished")
	if len(records) != 2 || records[0]["audit"] != true || records[0]["grant"] != grant || records[0]["request_id"] == "" {
		t.Errorf("log %v", records)
	}
}

// Nothing that could be used by whoever reads the log or the traces of failures is in them.
func TestLogHoldsNoSecret(t *testing.T) {
	w, up := servertest.StartExample(t)
	web, b := w.Web(), w.Browser()
	req := b.ToCallback(web.Authorize("state", "the-apps-state-0123", "nonce", "the-apps-nonce-0123", "login_hint", "hint@corp.example"), ada)
	sealed := b.Cookie("weir_at_")[0].Value
	done := b.Do(req)
	ans := web.Tokens(done)
	secrets := map[string]string{
		"the upstream code": req.URL.Query().Get("code"), "our code": web.Code(done), "the attempt": sealed, "the session": b.Cookie("weir_s_")[0].Value,
		"the ID token": ans.Text("id_token"), "the access token": ans.Text("access_token"), "the refresh token": ans.Text("refresh_token"),
		"the client secret": servertest.WebSecret, "the verifier": servertest.Verifier, "the application's state": "the-apps-state-0123",
		"the application's nonce": "the-apps-nonce-0123", "an e-mail address": "@corp.example",
	}
	for _, r := range up.Requests(oidctest.EndpointToken) {
		secrets["the upstream verifier"] = r.Params.Get("code_verifier")
		secrets["the upstream authentication"] = strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
	}
	for _, r := range up.Requests(oidctest.EndpointUserInfo) {
		secrets["the upstream access token"] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	// And now everything goes wrong with all of it.
	web.Redeem(web.Code(done))
	web.Refresh(ans.Text("refresh_token"))
	web.UserInfo(ans.Text("access_token"))
	web.Post("/oauth2/revoke", url.Values{"token": {ans.Text("refresh_token")}})
	web.Post("/oauth2/introspect", url.Values{"token": {ans.Text("access_token")}})
	w.App(servertest.PoolID, "nobody", servertest.WebSecret, "").Redeem(web.Code(done))
	w.SPA().Post("/oauth2/token", url.Values{"client_secret": {servertest.WebSecret}, "code": {web.Code(done)}})
	b.Get(req.URL.RequestURI())
	b.Get("/logout?id_token_hint=" + ans.Text("id_token") + "x&client_id=" + web.ClientID)
	b.Get("/nothing?code=" + web.Code(done))
	up.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
		oidctest.EndpointToken: oidctest.Reply(400, "application/json", `{"error":"`+servertest.WebSecret[:8]+`"}`)}})
	failing := w.Browser().ToCallback(web.Authorize("state", "the-apps-state-0123"), ada)
	secrets["a failing upstream code"] = failing.URL.Query().Get("code")
	w.Browser().Do(failing)

	traces, err := w.Traces.Newest(t.Context(), 100)
	if err != nil || len(traces) < 2 {
		t.Fatalf("%d traces, %v", len(traces), err)
	}
	kept, err := json.Marshal(traces)
	if err != nil {
		t.Fatal(err)
	}
	log := w.Log.Text() + string(kept)
	for name, s := range secrets {
		if len(s) < 8 {
			t.Errorf("%s is %q: the test does not work", name, s)
		}
		where := log
		if name == "an e-mail address" { // what a provider says of people is in its sealed trace, and not in the log
			where = w.Log.Text()
		}
		for _, form := range []string{s, url.QueryEscape(s)} {
			if strings.Contains(where, form) {
				t.Errorf("the log holds %s", name)
			}
		}
	}
	if strings.Contains(log, "code_verifier") || strings.Contains(log, "?code=") || strings.Contains(log, "redirect_uri=") {
		t.Error("the log holds query strings")
	}
	if len(w.Log.Records("msg", "request")) < 10 {
		t.Error("nothing was logged: the test does not work")
	}
}

// The reference that a person or a program is shown leads to the record with the cause.
func TestReferenceLeadsToTheLog(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web, b := w.Web(), w.Browser()
	reference := regexp.MustCompile(`[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}`)
	for name, tt := range map[string]struct{ shown, cause string }{
		"page":     {b.Get(web.Authorize("redirect_uri", "https://evil.example/x")).Body, "https://evil.example/x"},
		"redirect": {b.Get(web.Authorize("scope", "forbidden")).Params().Get("error_description"), "forbidden"},
		"JSON":     {web.Redeem("x").Body, "no such code"},
	} {
		ref := reference.FindString(tt.shown)
		records := w.Log.Records("request_id", ref)
		if ref == "" || !slices.ContainsFunc(records, func(r map[string]any) bool {
			text, _ := r["error"].(string)
			return r["msg"] == "request failed" && strings.Contains(text, tt.cause)
		}) {
			t.Errorf("%s: reference %q leads to %v", name, ref, records)
		}
		if strings.Contains(tt.shown, tt.cause) {
			t.Errorf("%s shows the cause: %s", name, tt.shown)
		}
	}
	req := web.NewRequest(http.MethodGet, "/nothing", nil)
	req.Header.Set("X-Request-Id", "chosen-by-the-client")
	if ans := web.Send(req); !reference.MatchString(ans.Header.Get("X-Request-Id")) || strings.Contains(w.Log.Text(), "chosen-by") {
		t.Errorf("a client chose the reference: %v", ans.Header)
	}
}

func TestMetrics(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web := w.Web()
	web.Login(w.Browser(), ada)
	w.Browser().Get("/some/random/path")
	w.Browser().Get("/" + strings.Repeat("x", 50) + "/.well-known/jwks.json")
	weird := web.NewRequest("BREW", "/coffee", nil)
	web.Send(weird)
	ops := w.Server.Operations(func(context.Context) error { return nil })
	body := get(t, ops, "/metrics").Body.String()
	for _, line := range []string{
		`weir_http_requests_total{method="GET",route="/oauth2/authorize",status="302"} 1`,
		`weir_http_requests_total{method="GET",route="/oauth2/idpresponse",status="302"} 1`,
		`weir_http_requests_total{method="POST",route="/oauth2/token",status="200"} 1`,
		`weir_http_requests_total{method="GET",route="unrouted",status="404"} 1`,
		`weir_http_requests_total{method="GET",route="/:pool/.well-known/jwks.json",status="404"} 1`,
		`weir_http_requests_total{method="other",route="unrouted",status="404"} 1`,
		`weir_http_request_duration_seconds_count{route="/oauth2/token"} 1`,
		`weir_events_total{event="login.started"} 1`,
		`weir_events_total{event="login.finished"} 1`,
		`weir_events_total{event="token.issued"} 1`,
		`weir_build_info{version="test"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return rec
}

func TestOperations(t *testing.T) {
	w, _ := servertest.StartExample(t)
	ops := w.Server.Operations(func(ctx context.Context) error {
		_, _, err := w.Directory.Pools(ctx, "", 1)
		return err
	})
	if rec := get(t, ops, "/livez"); rec.Code != http.StatusOK || rec.Body.String() != "ok\n" {
		t.Errorf("livez: %d %s", rec.Code, rec.Body)
	}
	if rec := get(t, ops, "/readyz"); rec.Code != http.StatusOK || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("readyz: %d %v", rec.Code, rec.Header())
	}
	if err := w.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	if rec := get(t, ops, "/readyz"); rec.Code != http.StatusServiceUnavailable || rec.Body.String() != "not ready\n" {
		t.Errorf("readyz of a closed store: %d %s", rec.Code, rec.Body)
	}
	if rec := get(t, ops, "/livez"); rec.Code != http.StatusOK {
		t.Errorf("livez: %d", rec.Code)
	}
	if len(w.Log.Records("msg", "not ready")) != 1 {
		t.Error("the reason is not in the log")
	}
	for path, want := range map[string]int{"/": 404, "/metricsx": 404, "/debug/pprof/": 404} {
		if rec := get(t, ops, path); rec.Code != want {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	// None of it is on the public listener.
	for _, path := range []string{"/metrics", "/livez", "/readyz"} {
		if p := w.Browser().Get(path); p.Status != http.StatusNotFound {
			t.Errorf("public %s: %d", path, p.Status)
		}
	}
}

// panicking is a provider with a defect.
type panicking struct{}

func (panicking) Provider(context.Context, pool.IdentityProvider) (federation.Provider, error) {
	panic("the secret detail")
}

// outspoken is a provider whose fault has awkward words in it.
type outspoken struct{}

func (outspoken) Provider(context.Context, pool.IdentityProvider) (federation.Provider, error) {
	return nil, fault.New(fault.Denied, "It said \"no\" \\ né\n", nil)
}

// error_description has printable ASCII only, without quote and backslash (RFC 6749 section 4.1.2.1).
func TestErrorDescriptionKeepsToItsCharacters(t *testing.T) {
	w, _ := servertest.StartExample(t)
	w.Broker.Providers = outspoken{}
	got := w.Browser().Get(w.Web().Authorize()).Params()
	if d := got.Get("error_description"); !strings.HasPrefix(d, "It said 'no' ' n?? (reference ") || got.Get("error") != "access_denied" {
		t.Errorf("error_description %q", d)
	}
}

func TestPanicIsAPageWithoutDetail(t *testing.T) {
	w, _ := servertest.StartExample(t)
	w.Broker.Providers = panicking{}
	p := w.Browser().Get(w.Web().Authorize())
	if p.Status != http.StatusInternalServerError || p.Location != nil || strings.Contains(p.Body, "secret detail") || strings.Contains(p.Body, ".go:") {
		t.Errorf("answer %d %s", p.Status, p.Body)
	}
	if !strings.Contains(p.Body, p.Header.Get("X-Request-Id")) {
		t.Error("no reference")
	}
	records := w.Log.Records("request_id", p.Header.Get("X-Request-Id"))
	if !slices.ContainsFunc(records, func(r map[string]any) bool {
		text, _ := r["error"].(string)
		return r["level"] == "ERROR" && strings.Contains(text, "the secret detail") && strings.Contains(text, "watch_test.go")
	}) {
		t.Errorf("log %v", records)
	}
	if p := w.Browser().Get("/" + servertest.PoolID + "/.well-known/jwks.json"); p.Status != http.StatusOK {
		t.Errorf("afterwards: %d", p.Status)
	}
}

// A server that is told to stop finishes the request under way.
func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		w.WriteHeader(http.StatusTeapot)
	})
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = server.HTTP(h, slog.New(slog.DiscardHandler))
	ts.Start()
	defer ts.Close()
	status := make(chan int, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ts.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		res, err := ts.Client().Do(req)
		if err != nil {
			status <- 0
			return
		}
		if err := res.Body.Close(); err != nil {
			status <- 0
			return
		}
		status <- res.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- ts.Config.Shutdown(t.Context()) }()
	close(release)
	if got := <-status; got != http.StatusTeapot {
		t.Errorf("status %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	for _, limit := range []time.Duration{ts.Config.ReadHeaderTimeout, ts.Config.ReadTimeout, ts.Config.WriteTimeout, ts.Config.IdleTimeout} {
		if limit <= 0 {
			t.Error("a time limit is missing")
		}
	}
}
