package login_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/server/servertest"
)

var (
	ada = servertest.As("ada")
	eve = servertest.As("eve")
)

// firstTrace is all that the first failure of a Weir writes: a trace, and the numbers of the next 32 of them.
const firstTrace = "trace 1, trace_turn 1"

// failed checks that a sign-in was recorded as failed for that reason, under the answer's reference.
func failed(t *testing.T, w *servertest.Weir, p *servertest.Page, reason string) {
	t.Helper()
	for _, e := range w.Events.Take() {
		f, ok := e.(audit.LoginFailed)
		if !ok {
			continue
		}
		if !strings.Contains(f.Reason, reason) || f.Reference != p.Header.Get("X-Request-Id") || f.Code == "" {
			t.Errorf("event %+v, want the reason %q", f, reason)
		}
		return
	}
	t.Errorf("no event login.failed; answer %d to %v", p.Status, p.Location)
}

// onPage checks that an answer is a page with its reference that leads nowhere.
func onPage(t *testing.T, p *servertest.Page, status int, part string) {
	t.Helper()
	if p.Status != status || p.Location != nil || !strings.Contains(p.Body, p.Header.Get("X-Request-Id")) || !strings.Contains(p.Body, part) {
		t.Errorf("answer %d to %v, want a page with %d and %q\n%s", p.Status, p.Location, status, part, p.Body)
	}
}

// toClient checks that an answer is an error at the application.
func toClient(t *testing.T, p *servertest.Page, code, part string) {
	t.Helper()
	if p.Location == nil || !strings.HasPrefix(p.Location.String(), servertest.WebURI+"?") {
		t.Fatalf("answer %d to %v\n%s", p.Status, p.Location, p.Body)
	}
	v := p.Params()
	if v.Get("error") != code || !strings.Contains(v.Get("error_description"), part) || v.Get("state") != "af0ifjsldkj" || v.Has("code") {
		t.Errorf("error %q (%q), state %q; want %q with %q", v.Get("error"), v.Get("error_description"), v.Get("state"), code, part)
	}
	if !strings.Contains(v.Get("error_description"), p.Header.Get("X-Request-Id")) {
		t.Errorf("no reference in %q", v.Get("error_description"))
	}
}

// altered changes the parameters of a callback.
func altered(t *testing.T, req *http.Request, change func(url.Values)) *http.Request {
	t.Helper()
	v := req.URL.Query()
	change(v)
	to := *req.URL
	to.RawQuery = v.Encode()
	out, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// posted is the same answer by form_post.
func posted(ctx context.Context, t *testing.T, req *http.Request) *http.Request {
	t.Helper()
	to := *req.URL
	to.RawQuery = ""
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(req.URL.RawQuery))
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return out
}
