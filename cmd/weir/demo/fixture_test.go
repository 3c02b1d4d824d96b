package demo_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/cmd/weir/demo"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

const logoutURL = "http://weir.example/logout"

// fixture is the application, a provider, and a browser. Its clock can be moved.
type fixture struct {
	t        *testing.T
	provider *oidctest.Provider
	app      *httptest.Server
	browser  *http.Client
	ahead    atomic.Int64 // seconds
}

func (f *fixture) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load()) * time.Second) }

func newFixture(t *testing.T, change func(*oidctest.Client)) *fixture {
	t.Helper()
	f := &fixture{t: t, app: httptest.NewUnstartedServer(nil)}
	base := "http://" + f.app.Listener.Addr().String()
	client := oidctest.Client{
		ID: "harbour", Name: "Harbour Books", Secret: "s3cret", RedirectURIs: []string{base + demo.CallbackPath},
		AlwaysRefresh: true, JWTAccessToken: true,
	}
	if change != nil {
		change(&client)
	}
	f.provider = oidctest.Start(t, oidctest.Config{
		Clients: []oidctest.Client{client}, Now: f.now, Algorithm: jose.ES256,
		People: []oidctest.Person{{
			Username: "ada", Password: "river-otter", Subject: "subject-ada",
			Claims: map[string]any{
				"name": "Ada <b>Brook</b>", "email": "ada@riverbank.example", "email_verified": true, "custom:shelf": "B7",
			},
		}},
	})
	handler, err := demo.NewApp(demo.AppConfig{
		Issuer: f.provider.Issuer(), ClientID: client.ID, ClientSecret: "s3cret", BaseURL: base, LogoutURL: logoutURL, Now: f.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.app.Config.Handler = handler
	f.app.Start()
	t.Cleanup(f.app.Close)
	f.browser = newBrowser(t)
	return f
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type answer struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (f *fixture) do(browser *http.Client, method, path string, headers ...string) answer {
	f.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = f.app.URL + path
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, target, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := browser.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		f.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Location"), resp.Header, string(body)}
}

// authorize begins a sign-in and brings it to the callback, which is not visited.
func (f *fixture) authorize() *url.URL {
	f.t.Helper()
	start := f.do(f.browser, "POST", "/sign-in")
	callback, err := oidctest.SignIn(f.t.Context(), f.browser, start.location, "ada", "river-otter")
	if err != nil {
		f.t.Fatalf("from %d %q: %v", start.status, start.location, err)
	}
	return callback.URL
}

func (f *fixture) signIn() {
	f.t.Helper()
	if got := f.do(f.browser, "GET", f.authorize().String()); got.status != http.StatusSeeOther || got.location != "/" {
		f.t.Fatalf("callback: %d %q %s", got.status, got.location, got.body)
	}
}

func (f *fixture) home() string {
	f.t.Helper()
	return f.do(f.browser, "GET", "/").body
}

func (f *fixture) signedIn() bool { return strings.Contains(f.home(), "Sign out") }

// claim is the value that a section of the page shows for a claim.
func claim(page, section, name string) string {
	_, page, _ = strings.Cut(page, `id="`+section+`"`)
	page, _, _ = strings.Cut(page, "</section>")
	m := regexp.MustCompile(`data-claim="` + regexp.QuoteMeta(name) + `">.*?class="value">([^<]*)<`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return m[1]
}
