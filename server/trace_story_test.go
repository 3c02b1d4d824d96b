package server_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// random are what differs between two runs of one sign-in.
var random = []struct {
	form *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`), "REFERENCE"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), "SUB"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "HOST"},
	{regexp.MustCompile(`(attempt      |grant        |; grant |grant )[A-Za-z0-9_-]{16,}`), "${1}ID"},
	{regexp.MustCompile(`(response_id|in_response_to|assertion_id|; id|kid) [A-Za-z0-9_-]+`), "${1} ID"},
	{regexp.MustCompile(`#[0-9a-f]{8}`), "#MARK"},
	{regexp.MustCompile(`(iss: text of )[0-9]+`), "${1}N"}, // a port has as many digits as it has
	{regexp.MustCompile(`( NameID: text of [0-9]+): "[^"]*"`), `${1}: "NAMEID"`},
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, r := range random {
		got = r.form.ReplaceAllString(got, r.name)
	}
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%v; got\n%s\nwant\n%s", err, got, want)
	}
}

// newest is the one trace that there is, and both of its texts.
func newest(t *testing.T, w *servertest.Weir) (trace.Trace, string, string) {
	t.Helper()
	list, err := w.Traces.Newest(t.Context(), 10)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d traces, %v", len(list), err)
	}
	var full, redacted strings.Builder
	if err := list[0].WriteText(&full); err != nil {
		t.Fatal(err)
	}
	if err := list[0].Redacted().WriteText(&redacted); err != nil {
		t.Fatal(err)
	}
	return list[0], full.String(), redacted.String()
}

// slow is a person who takes a while at the provider.
func slow(w *servertest.Weir, b *servertest.Browser, app *servertest.App, up servertest.Upstream, pairs ...string) *servertest.Page {
	req := b.ToCallback(app.Authorize(pairs...), up)
	w.Clock.Advance(7 * time.Second)
	return b.Do(req)
}

// Whole sign-ins, and what an administrator reads of them afterwards.
func TestTheStoryOfASignIn(t *testing.T) {
	for name, run := range map[string]func(t *testing.T) *servertest.Weir{
		"oidc_first": func(t *testing.T) *servertest.Weir {
			w, _ := servertest.StartExample(t)
			w.Web().Tokens(slow(w, w.Browser(), w.Web(), ada, "login_hint", "ada@corp.example"))
			return w
		},
		"oidc_changed": func(t *testing.T) *servertest.Weir {
			w, up := servertest.StartExample(t)
			w.Web().Login(w.Browser(), ada)
			w.Clock.Advance(time.Minute)
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["name"] = "Ada King" }})
			w.Web().Tokens(slow(w, w.Browser(), w.Web(), ada))
			return w
		},
		"oidc_audience": func(t *testing.T) *servertest.Weir {
			w, up := servertest.StartExample(t)
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["aud"] = "somebody" }})
			slow(w, w.Browser(), w.Web(), ada)
			return w
		},
		"oidc_cancelled": func(t *testing.T) *servertest.Weir {
			w, _ := servertest.StartExample(t)
			slow(w, w.Browser(), w.Web(), servertest.Cancel)
			return w
		},
		"oidc_groups_tokens": func(t *testing.T) *servertest.Weir {
			w, up := servertest.StartExample(t, grouped("group_claim", "groups", "group_rules", exampleGroups, "keep_tokens", "true"))
			up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["groups"] = []any{`CORP\Domain Admins`, "everyone"} }})
			w.Web().Tokens(slow(w, w.Browser(), w.Web(), ada))
			return w
		},
		"saml_destination": func(t *testing.T) *servertest.Weir {
			w, up := servertest.StartSAML(t)
			up.Set(samltest.Faults{Document: func(doc []byte) []byte {
				return bytes.Replace(doc, []byte("login.test/saml2/idpresponse"), []byte("another.example/acs"), 1)
			}})
			slow(w, w.Browser(), w.Web(), servertest.AsSAML("ada"))
			return w
		},
		"saml_first": func(t *testing.T) *servertest.Weir {
			w, _ := servertest.StartSAML(t)
			w.Web().Tokens(slow(w, w.Browser(), w.Web(), servertest.AsSAML("ada")))
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, full, redacted := newest(t, run(t))
			golden(t, "trace_"+name, full)
			golden(t, "trace_"+name+"_redacted", redacted)
		})
	}
}
