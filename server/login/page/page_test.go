package page_test

import (
	"bytes"
	"flag"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/server/login/page"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	params = page.Params(url.Values{
		"response_type": {"code"}, "client_id": {"exampleclient0000000000001"}, "state": {`"><b>&'+x`},
		"redirect_uri": {"https://app.example.com/callback?a=1&b=2"}, "email": {"old@example.com"},
	})
	three = providers("Corp AD", "Riverbank University", "GitHub Enterprise")
	app   = page.Link{Name: "Riverbank Portal", URL: "https://app.example.com/?a=1&b=2"}
)

func providers(names ...string) []page.Provider {
	var out []page.Provider
	for _, n := range names {
		out = append(out, page.Provider{Name: n, URL: "/oauth2/authorize?client_id=x&identity_provider=" + url.QueryEscape(n)})
	}
	return out
}

// brands are all brands, and branded one button of each under the name that the kind or preset suggests.
var (
	brands = []page.Brand{
		page.Google, page.Facebook, page.Apple, page.Amazon, page.Microsoft,
		page.GitHub, page.GitLab, page.LinkedIn, page.Okta, page.Auth0,
	}
	branded = withBrands(brands, "Google", "Facebook", "SignInWithApple", "LoginWithAmazon", "EntraID", "GitHub", "GitLab", "LinkedIn", "Okta", "Auth0")
)

func withBrands(b []page.Brand, names ...string) []page.Provider {
	out := providers(names...)
	for i := range out {
		out[i].Brand = b[i]
	}
	return out
}

func numbered(n int) []page.Provider {
	var names []string
	for i := range n {
		names = append(names, "Faculty "+strconv.Itoa(i+1))
	}
	return providers(names...)
}

func email(value string, unknown bool) *page.EmailForm {
	return &page.EmailForm{Action: "/login", Params: params, Value: value, Unknown: unknown}
}

type renderFunc func(*page.Renderer, io.Writer) error

func chooser(v page.Chooser) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.Chooser(w, v) }
}

func errorPage(v page.Error) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.Error(w, v) }
}

func post(v page.Post) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.Post(w, v) }
}

func signedOut(v page.SignedOut) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.SignedOut(w, v) }
}

func deletion(v page.Deletion) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.Deletion(w, v) }
}

func asked(v page.Ask) page.Ask {
	v.Action, v.Params = "/login/link", []page.Param{{Name: "question", Value: "aWQ"}, {Name: "token", Value: `"><b>`}}
	if v.Provider == "" {
		v.ClientName, v.Provider, v.Address = "Riverbank Portal", "Corp AD", "ada@corp.example"
	}
	if v.Providers == nil {
		v.Providers = three
	}
	return v
}

func ask(v page.Ask) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.Ask(w, asked(v)) }
}

func confirm(v page.Ask) renderFunc {
	return func(r *page.Renderer, w io.Writer) error { return r.Confirm(w, asked(v)) }
}

// every is each page in each of its states. Tests of what holds for all pages go over it.
var every = map[string]renderFunc{
	"chooser":            chooser(page.Chooser{ClientName: "Riverbank Portal", Providers: three, Email: email("", false)}),
	"chooser-unknown":    chooser(page.Chooser{ClientName: "Riverbank Portal", Providers: three, Email: email("ada@nowhere.example", true)}),
	"chooser-many":       chooser(page.Chooser{ClientName: "Riverbank Portal", Providers: numbered(30), Email: email("", false)}),
	"chooser-none":       chooser(page.Chooser{ClientName: "Riverbank Portal"}),
	"chooser-email-only": chooser(page.Chooser{Email: email("ada@example.com", false)}),
	"chooser-no-email":   chooser(page.Chooser{ClientName: "Riverbank Portal", Providers: three}),
	"chooser-brands":     chooser(page.Chooser{ClientName: "Riverbank Portal", Providers: append(branded[:4:4], three[:2]...), Email: email("", false)}),
	"chooser-brands-all": chooser(page.Chooser{ClientName: "Riverbank Portal", Providers: append(branded[:len(branded):len(branded)], three[0]), Email: email("", false)}),
	"error":              errorPage(page.Error{Sentence: "The identity provider's answer could not be verified.", Reference: "7F3K-92QX", Back: app}),
	"error-cancelled":    errorPage(page.Error{Problem: page.Cancelled, Sentence: "The identity provider did not let you in.", Reference: "7F3K-92QX", Again: "/login?client_id=x", Back: app}),
	"error-expired":      errorPage(page.Error{Problem: page.Expired, Sentence: "This sign-in is no longer valid.", Reference: "7F3K-92QX"}),
	"error-bare":         errorPage(page.Error{}),
	"signedout":          signedOut(page.SignedOut{}),
	"signedout-back":     signedOut(page.SignedOut{Back: app}),
	"post":               post(page.Post{Action: "https://idp.example.com/sso?x=1&y=2", Params: []page.Param{{Name: "SAMLRequest", Value: "PHNhbWw+/=="}, {Name: "RelayState", Value: "abc"}}, To: "Corp AD"}),
	"deletion":           deletion(page.Deletion{Asked: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}),
	"deletion-done":      deletion(page.Deletion{Asked: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), Done: true}),
	"ask":                ask(page.Ask{}),
	"ask-other":          ask(page.Ask{Notice: page.AskOther, Providers: branded}),
	"ask-bare":           ask(page.Ask{ClientName: " ", Provider: "\u202e", Notice: "<b>"}),
	"confirm":            confirm(page.Ask{By: "GitHub Enterprise", Account: "Ada@corp.example"}),
	"confirm-changed":    confirm(page.Ask{By: "GitHub Enterprise", Account: "Ada@corp.example", Notice: page.AskChanged}),
	"post-unnamed":       post(page.Post{Action: "/saml2/idpresponse", Params: []page.Param{{Name: "submit", Value: "1"}}}),
}

func newRenderer(t *testing.T) *page.Renderer {
	t.Helper()
	r, err := page.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t *testing.T, f renderFunc) string {
	t.Helper()
	var b bytes.Buffer
	if err := f(newRenderer(t), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hashes are left out of the goldens, so that a change of colour does not change every page.
var hashes = regexp.MustCompile(`-[0-9a-f]{16}\.`)

func TestGoldenPages(t *testing.T) {
	for name, f := range every {
		t.Run(name, func(t *testing.T) {
			got := hashes.ReplaceAllString(render(t, f), "-HASH.")
			file := filepath.Join("testdata", name+".golden.html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (run with -update and read the diff):\n%s", file, got)
			}
		})
	}
}

func TestNoGoldenWithoutPage(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".golden.html"); every[name] == nil {
			t.Errorf("%s belongs to no page", f)
		}
	}
}

// Every problem has a heading and both advices; an unknown one reads as a failure.
func TestProblemsHaveText(t *testing.T) {
	for _, p := range []page.Problem{page.Failed, page.Cancelled, page.Expired, page.Busy, page.Misconfigured, page.NotFound} {
		text := page.English.Problems[p]
		for _, s := range []string{text.Heading, text.Advice, text.AdviceAgain} {
			if s == "" {
				t.Errorf("problem %q lacks a sentence: %+v", p, text)
			}
		}
		if got := render(t, errorPage(page.Error{Problem: p})); !strings.Contains(got, "<h1>"+text.Heading+"</h1>") || !strings.Contains(got, text.Advice) {
			t.Errorf("problem %q: text missing in\n%s", p, got)
		}
		if got := render(t, errorPage(page.Error{Problem: p, Again: "/login"})); !strings.Contains(got, text.AdviceAgain) {
			t.Errorf("problem %q: advice to choose again missing in\n%s", p, got)
		}
	}
	if got := render(t, errorPage(page.Error{Problem: "other"})); !strings.Contains(got, page.English.Problems[page.Failed].Heading) {
		t.Errorf("unknown problem: no heading in\n%s", got)
	}
}

func TestParamsAreSortedAndKeepRepetition(t *testing.T) {
	got := page.Params(url.Values{"b": {"2", "1"}, "a": {""}, "email": {"x"}}, "email")
	want := []page.Param{{Name: "a"}, {Name: "b", Value: "2"}, {Name: "b", Value: "1"}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("parameter %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrorIsReturned(t *testing.T) {
	for name, f := range every {
		if err := f(newRenderer(t), brokenWriter{}); err == nil {
			t.Errorf("%s: no error from a broken writer", name)
		}
	}
}

func BenchmarkChooser(b *testing.B) {
	r, err := page.New()
	if err != nil {
		b.Fatal(err)
	}
	v := page.Chooser{ClientName: "Riverbank Portal", Providers: three, Email: email("", false)}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Chooser(io.Discard, v); err != nil {
			b.Fatal(err)
		}
	}
}
