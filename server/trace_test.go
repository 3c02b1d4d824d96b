package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

var referenceForm = regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`)

// shown is what a person or the application can read of an answer.
func shown(p *servertest.Page) string {
	if p.Location != nil {
		return p.Params().Get("error_description")
	}
	return p.Body
}

// Whatever a sign-in fails at, the reference that is shown leads to its trace.
func TestEveryFailedSignInLeavesATrace(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func(*servertest.Weir, *oidctest.Provider) *servertest.Page
		want trace.Trace // of the fields that are compared below
		says string      // in the cause
	}{
		"the ID token is of another audience": {func(w *servertest.Weir, up *oidctest.Provider) *servertest.Page {
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["aud"] = "somebody" }})
			return w.Browser().SignIn(w.Web().Authorize(), ada)
		}, trace.Trace{Code: "upstream", Provider: "Corp", ProviderType: "OIDC", Method: "GET", Path: "/oauth2/idpresponse"}, "audience"},
		"the person cancels": {func(w *servertest.Weir, _ *oidctest.Provider) *servertest.Page {
			return w.Browser().SignIn(w.Web().Authorize(), servertest.Cancel)
		}, trace.Trace{Code: "denied", Provider: "Corp", ProviderType: "OIDC", Method: "GET", Path: "/oauth2/idpresponse"}, "access_denied"},
		"the provider is down before the browser is sent there": {func(w *servertest.Weir, up *oidctest.Provider) *servertest.Page {
			up.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointDiscovery: oidctest.Drop}})
			return w.Browser().Get(w.Web().Authorize())
		}, trace.Trace{Code: "upstream", Provider: "Corp", ProviderType: "OIDC", Method: "GET", Path: "/oauth2/authorize"}, "discovery"},
		"it took too long": {func(w *servertest.Weir, _ *oidctest.Provider) *servertest.Page {
			b := w.Browser()
			req := b.ToCallback(w.Web().Authorize(), ada)
			w.Clock.Advance(11 * time.Minute)
			return b.Do(req)
		}, trace.Trace{Code: "expired", Method: "GET", Path: "/oauth2/idpresponse"}, "took too long"},
		"an answer that nobody here waits for": {func(w *servertest.Weir, _ *oidctest.Provider) *servertest.Page {
			return w.Browser().Get("/oauth2/idpresponse?state=x&code=y")
		}, trace.Trace{Code: "expired", Method: "GET", Path: "/oauth2/idpresponse"}, "no sign-in under way"},
		"an answer that is too large to be read": {func(w *servertest.Weir, _ *oidctest.Provider) *servertest.Page {
			return w.Browser().Post("/oauth2/idpresponse", url.Values{"code": {strings.Repeat("x", 70<<10)}})
		}, trace.Trace{Code: "too_large", Method: "POST", Path: "/oauth2/idpresponse"}, "413"},
		"an answer that cannot be read": {func(w *servertest.Weir, _ *oidctest.Provider) *servertest.Page {
			return w.Browser().Get("/oauth2/idpresponse?state=x&state=y")
		}, trace.Trace{Code: "invalid", Method: "GET", Path: "/oauth2/idpresponse"}, "repeated parameter state"},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := servertest.StartExample(t)
			p := tt.fail(w, up)
			ref := referenceForm.FindString(shown(p))
			got, err := w.Traces.Get(t.Context(), ref)
			if err != nil {
				t.Fatalf("%v; shown %q", err, shown(p))
			}
			if got.Kind != trace.SignIn || got.Code != tt.want.Code || got.Provider != tt.want.Provider || got.ProviderType != tt.want.ProviderType ||
				got.Method != tt.want.Method || got.Path != tt.want.Path || !strings.Contains(got.Cause, tt.says) || !got.At.Equal(w.Clock.Now()) {
				t.Errorf("trace %+v", got)
			}
			if known := tt.want.Provider != ""; known != (got.Pool == servertest.PoolID) || known != (got.Client == servertest.WebClient) || known == got.Began.IsZero() {
				t.Errorf("trace %+v", got)
			}
			where := trace.Shown{Where: trace.OnPage, Sentence: got.Shown.Sentence}
			if p.Location != nil {
				where = trace.Shown{Where: trace.AtClient, Sentence: got.Shown.Sentence, Error: p.Params().Get("error")}
			}
			if got.Shown != where || got.Shown.Sentence == "" || !strings.Contains(shown(p), got.Shown.Sentence) {
				t.Errorf("shown %+v, really %q", got.Shown, shown(p))
			}
			if strings.Contains(shown(p), tt.says) && tt.says != "took too long" {
				t.Errorf("the cause is public: %q", shown(p))
			}
		})
	}
}

// What a stranger can do in a loop neither writes in a loop nor keeps real people from leaving a trace.
func TestAFloodOfGarbageAnswersIsNotWritten(t *testing.T) {
	w, up := servertest.StartExample(t)
	b := w.Browser()
	for range 300 {
		if p := b.Get("/oauth2/idpresponse?state=x&code=y"); p.Status != http.StatusBadRequest {
			t.Fatalf("status %d", p.Status)
		}
	}
	if got := w.Engine.Written(); got != "trace 30, trace_turn 1" {
		t.Errorf("written: %s", got)
	}
	w.Clock.Advance(time.Minute)
	up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["aud"] = "somebody" }})
	got, err := w.Traces.Get(t.Context(), referenceForm.FindString(shown(w.Browser().SignIn(w.Web().Authorize(), ada))))
	if err != nil || got.Omitted != 270 {
		t.Errorf("trace %+v, %v", got, err)
	}
}

// A trace that cannot be written changes nothing for the person.
func TestAFailingTraceChangesNoAnswer(t *testing.T) {
	w, _ := servertest.StartExample(t)
	cancelled := func() string {
		p := w.Browser().SignIn(w.Web().Authorize(), servertest.Cancel)
		return p.Params().Get("error") + " " + referenceForm.ReplaceAllString(shown(p), "")
	}
	want := cancelled()
	w.Engine.SetFull("trace")
	if got := cancelled(); got != want || !strings.HasPrefix(got, "access_denied ") {
		t.Errorf("the answer is %q, and %q with a trace", got, want)
	}
	if n := len(w.Log.Records("msg", "no trace of a failure was kept")); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// Every way in leaves a trace, one that went on without being asked none, and its writes are not the person's.
func TestEverySignInLeavesATrace(t *testing.T) {
	w, up := servertest.StartExample(t)
	b := w.Browser()
	w.Web().Login(b, ada)
	w.Engine.Reset()
	const n = 130
	for range n {
		w.Clock.Advance(time.Second)
		w.Web().Login(w.Browser(), ada)
	}
	if got := w.Engine.Written(); got != "grant 260" {
		t.Errorf("written before the answers: %s", got)
	}
	w.Traces.Flush(t.Context())
	if got := w.Engine.Written(); got != "grant 260, trace_batch 3, trace_turn 1" {
		t.Errorf("written for %d sign-ins: %s", n, got)
	}
	w.SPA().Tokens(b.Get(w.SPA().Authorize())) // single sign-on
	up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["aud"] = "somebody" }})
	w.Browser().SignIn(w.Web().Authorize(), ada)
	list, err := w.Traces.Newest(t.Context(), 1000)
	if err != nil || len(list) != n+2 || list[0].Outcome != trace.Failed {
		t.Fatalf("%d traces, %v", len(list), err)
	}
	// The log's lines of a sign-in lead to its trace.
	for _, r := range w.Log.Records("msg", "login.finished") {
		if r["sso"] == true {
			continue
		}
		for _, name := range []string{r["request_id"].(string), r["attempt"].(string)} {
			got, err := w.Traces.Get(t.Context(), name)
			if err != nil || got.Reference != r["request_id"] || got.Attempt != r["attempt"] || got.Sub != r["sub"] || got.Grant != r["grant"] {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}

// A sign-in that a SAML provider starts has no beginning here, and a trace all the same.
func TestAnUnsolicitedSignInLeavesATrace(t *testing.T) {
	w, up := servertest.StartSAML(t, func(o *servertest.Options) {
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["IDPInit"] = secret.New("true")
	})
	relay := url.Values{"identity_provider": {"Corp"}, "client_id": {servertest.WebClient}, "redirect_uri": {servertest.WebURI}, "response_type": {"code"}, "scope": {"openid"}}
	b := w.Browser()
	step, err := samltest.SignIn(t.Context(), b.Client, up.InitiateURL("urn:weir:sp:"+servertest.PoolID, relay.Encode()), nil, "ada", "ada")
	if err != nil {
		t.Fatal(err)
	}
	req, err := step.Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := b.Post(b.Do(req).Form()); p.Location == nil { // posted once more by our own page, on plain http
		t.Fatalf("answered %d %s", p.Status, p.Body)
	}
	got, full, _ := newest(t, w)
	if got.Outcome != trace.Succeeded || !got.Began.IsZero() || got.Attempt != "" || got.Sub == "" || !strings.Contains(full, "It is signed with a key of the provider's metadata.") {
		t.Errorf("trace %s", full)
	}
}

// Traces of people who are deleted are gone, whoever they signed in as.
func TestADeletedUserLeavesNoTrace(t *testing.T) {
	w, up := servertest.StartExample(t)
	for _, who := range []servertest.Upstream{ada, servertest.As("bob"), ada} {
		w.Clock.Advance(time.Second)
		w.Web().Login(w.Browser(), who)
	}
	tooLong := func(c map[string]any) { c["name"] = strings.Repeat("x", 3000) }
	up.Set(oidctest.Faults{IDToken: tooLong, UserInfo: tooLong}) // a failure that names her
	w.Browser().SignIn(w.Web().Authorize(), ada)
	list, err := w.Traces.Newest(t.Context(), 10)
	if err != nil || len(list) != 4 || list[0].Outcome != trace.Failed || !strings.Contains(fmt.Sprintf("%+v", list[0]), "ada@corp.example") {
		t.Fatalf("%d traces, %v: %+v", len(list), err, list[:1])
	}
	if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, list[1].Sub, "the test"); err != nil {
		t.Fatal(err)
	}
	left, err := w.Traces.Newest(t.Context(), 10)
	if err != nil || len(left) != 1 || left[0].Sub != list[2].Sub || strings.Contains(fmt.Sprintf("%+v", left), "ada") {
		t.Errorf("left %+v, %v", left, err)
	}
}

// Where a store is slow or full, people notice nothing, and somebody counts.
func TestTracesThatCannotBeKeptAreCounted(t *testing.T) {
	w, _ := servertest.StartExample(t)
	w.Engine.SetFull("trace_batch")
	w.Web().Login(w.Browser(), ada)
	w.Traces.Flush(t.Context())
	w.Engine.SetFull()
	w.Web().Login(w.Browser(), ada)
	w.Traces.Flush(t.Context())
	rec := httptest.NewRecorder()
	w.Metrics.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{`weir_signin_traces_total{outcome="dropped"} 1`, `weir_signin_traces_total{outcome="kept"} 1`} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
