package social_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/social"
)

// A folder testdata/<name> has the provider's own answers, with made-up people, in the shape that its documentation shows:
//
//	claims.json          what the ID token says; of a provider without one, what the profile endpoint answers
//	want.json            what has to come of it: see want
//	token-error.json     refusals of the token endpoint, each with the fault that it has to become: see refusal
//	authorize-error.txt  a line for each answer that says no: its query without the state, a space, the fault
//	discovery.json       the discovery document, where there is one
//	answers.json         by path: what further endpoints answer
//
// iat, exp, auth_time, aud, nonce and at_hash of claims.json are made to fit the attempt where they are there. testdata/SOURCES.md names
// the documentation.
type want struct {
	Details    map[string]string `json:"details"` // beside the client's id and secret; keyMark is a new private key
	Token      map[string]any    `json:"token"`   // further members of the answer of the token endpoint
	Mapping    map[string]string `json:"mapping"`
	Issuer     string            `json:"issuer"`
	Subject    string            `json:"subject"`
	Attributes map[string]string `json:"attributes"`
}

type refusal struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
	Fault  string          `json:"fault"`
}

// entry is a row of a table of package social.
type entry struct {
	name, kind string
	variant    oidc.Variant
}

func (e entry) folder() string { return strings.ToLower(e.name) }

// entries are the rows of both tables. A preset goes through social.OIDC, as it does in use.
func entries(t *testing.T) []entry {
	t.Helper()
	var out []entry
	for name, v := range social.Kinds() {
		out = append(out, entry{name, name, v})
	}
	for name := range social.Presets() {
		v, faults := social.OIDC(pool.Details{"preset": secret.New(name)})
		if len(faults) > 0 {
			t.Fatalf("preset %s: %v", name, faults)
		}
		out = append(out, entry{name, "OIDC", v})
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return out
}

func TestEveryProviderHasFixtures(t *testing.T) {
	sources, err := os.ReadFile("testdata/SOURCES.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, e := range entries(t) {
		known[e.folder()] = true
		for _, file := range []string{"claims.json", "want.json", "token-error.json", "authorize-error.txt"} {
			if info, err := os.Stat(filepath.Join("testdata", e.folder(), file)); err != nil || info.Size() == 0 {
				t.Errorf("%s: testdata/%s/%s is missing or empty", e.name, e.folder(), file)
			}
		}
		if !strings.Contains(string(sources), "| `"+e.folder()+"` |") {
			t.Errorf("%s: testdata/SOURCES.md has no row for `%s`", e.name, e.folder())
		}
	}
	folders, err := fs.ReadDir(os.DirFS("testdata"), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() && !known[f.Name()] {
			t.Errorf("testdata/%s belongs to no row of the tables", f.Name())
		}
	}
}

func TestFixturesBecomeAttributes(t *testing.T) {
	for _, e := range entries(t) {
		t.Run(e.name, func(t *testing.T) {
			r := newReplay(t, e)
			id, err := r.login(url.Values{"code": {"a-code"}})
			if err != nil {
				t.Fatal(err)
			}
			if id.Subject != r.want.Subject || id.Issuer != r.want.Issuer || id.ProviderType != e.kind {
				t.Errorf("subject %q, issuer %q, type %q, want %q, %q, %q", id.Subject, id.Issuer, id.ProviderType, r.want.Subject, r.want.Issuer, e.kind)
			}
			rules, err := mapping.Compile(r.want.Mapping)
			if err != nil {
				t.Fatal(err)
			}
			got := rules.Apply(id.Claims)
			if err := got.Err(); err != nil {
				t.Error(err)
			}
			if len(r.want.Attributes) == 0 || !maps.Equal(got.Attributes, r.want.Attributes) {
				t.Errorf("attributes %v, want %v", got.Attributes, r.want.Attributes)
			}
		})
	}
}

func TestFixturesOfRefusals(t *testing.T) {
	for _, e := range entries(t) {
		t.Run(e.name, func(t *testing.T) {
			r := newReplay(t, e)
			var refusals []refusal
			r.read("token-error.json", &refusals)
			faults := map[string]bool{}
			for _, refused := range refusals {
				r.refused = &refused
				faults[wantCode(t, r, url.Values{"code": {"a-code"}}, refused.Fault)] = true
			}
			if !faults["expired"] || !faults["config"] {
				t.Errorf("token-error.json has faults %v, want those of a code that is not good any more and of a wrong client too", slices.Sorted(maps.Keys(faults)))
			}
			lines, err := os.ReadFile(filepath.Join(r.dir, "authorize-error.txt"))
			if err != nil {
				t.Fatal(err)
			}
			denied := false
			for line := range strings.Lines(string(lines)) {
				query, code, _ := strings.Cut(strings.TrimSpace(line), " ")
				answer, err := url.ParseQuery(query)
				if err != nil {
					t.Fatal(err)
				}
				denied = wantCode(t, r, answer, code) == "denied" || denied
			}
			if !denied {
				t.Error("authorize-error.txt does not have what is answered where the person cancels")
			}
		})
	}
}

// wantCode is a login that has to fail with this fault, which has a sentence for the person. It returns the fault.
func wantCode(t *testing.T, r *replay, answer url.Values, code string) string {
	t.Helper()
	_, err := r.login(answer)
	var f *fault.Error
	if !errors.As(err, &f) || f.Code.String() != code || f.Public == "" {
		t.Errorf("%v: fault %v, want %s", answer, err, code)
		return ""
	}
	return code
}

// replay is one provider in use, whose counterpart is the folder.
type replay struct {
	t        *testing.T
	dir      string
	want     want
	canned   *canned
	refused  *refusal // what the token endpoint answers; nil is the good answer
	provider federation.Provider
}

func newReplay(t *testing.T, e entry) *replay {
	t.Helper()
	r := &replay{t: t, dir: filepath.Join("testdata", e.folder())}
	r.read("want.json", &r.want)
	d := pool.Details{"client_id": secret.New(clientID), "client_secret": secret.New(clientSecret)}
	if e.kind == "OIDC" {
		d["preset"] = secret.New(e.name)
	}
	for key, value := range r.want.Details {
		d[key] = secret.New(strings.ReplaceAll(value, keyMark, newKey(t)))
		if value == "" {
			delete(d, key)
		}
	}
	r.canned = newCanned(r, e.name, e.variant)
	p, err := e.variant.New(pool.IdentityProvider{PoolID: "local_Example01", Name: e.name, Type: e.kind, Details: d},
		oidc.Options{HTTP: &http.Client{Transport: r.canned}, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	r.provider = p
	return r
}

// read reads a file of the folder, which has to be there.
func (r *replay) read(file string, into any) {
	r.t.Helper()
	body, err := os.ReadFile(filepath.Join(r.dir, file))
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber() // ids of more digits than a float has
		err = dec.Decode(into)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", file, err)
	}
}

// optional is read for a file that may be missing.
func (r *replay) optional(file string, into any) {
	r.t.Helper()
	if _, err := os.Stat(filepath.Join(r.dir, file)); err == nil {
		r.read(file, into)
	}
}

// login is a whole login with the provider's answer to the browser.
func (r *replay) login(answer url.Values) (federation.Identity, error) {
	r.t.Helper()
	a := federation.Attempt{
		ID: "af0ifjsldkj", PoolID: "local_Example01", Provider: r.canned.name, Started: noon, Nonce: "n-0S6_WzA2Mj",
		Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", CallbackURL: callback,
	}
	ch, err := r.provider.Begin(r.t.Context(), a)
	if err != nil {
		r.t.Fatal(err)
	}
	if u, err := url.Parse(ch.URL); err != nil || u.Scheme != "https" || u.Query().Get("state") != a.ID || u.Query().Get("redirect_uri") != callback {
		r.t.Errorf("authorization request %s: %v", ch.URL, err)
	}
	answer.Set("state", a.ID)
	return r.provider.Finish(r.t.Context(), a, federation.Response{Method: http.MethodGet, Query: answer})
}
