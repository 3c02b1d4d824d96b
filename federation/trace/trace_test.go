package trace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/trace"
)

var epoch = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// world is a store with a clock.
type world struct {
	t      *testing.T
	engine *counted
	ring   *secret.Ring
	log    logged
	mu     sync.Mutex
	now    time.Time
}

// logged is a log that several nodes write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// counted counts the writes of a store.
type counted struct {
	store.Engine
	mu     sync.Mutex
	writes map[string]int
}

func (e *counted) Put(ctx ctx, kind string, d store.Doc) (uint64, error) {
	v, err := e.Engine.Put(ctx, kind, d)
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.writes[kind]++
	}
	return v, err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ring: ring, now: epoch}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w.engine = &counted{Engine: db, writes: map[string]int{}}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// node is a process on the store, fresh in memory.
func (w *world) node() *trace.Traces {
	return &trace.Traces{Engine: w.engine, Ring: w.ring, Now: w.clock, Logger: slog.New(slog.NewTextHandler(&w.log, nil))}
}

// ref is the n-th reference.
func ref(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b strings.Builder
	for i := range 16 {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[n%32])
		n /= 32
	}
	return b.String()
}

// refusal is an error as package saml has them, which this package does not know.
type refusal struct{ facts [][2]string }

func (r *refusal) Error() string { return "refused" }

func (r *refusal) Diagnosis() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range r.facts {
			if !yield(f[0], f[1]) {
				return
			}
		}
	}
}

var errUpstream = fault.New(fault.Upstream, "The answer of the identity provider could not be accepted.", errors.New("because"))

// failure is the n-th one, from an address of its own.
func failure(n int) trace.Failure {
	return trace.Failure{Trace: trace.Trace{Reference: ref(n), Kind: trace.SignIn, Shown: trace.Shown{Where: trace.OnPage}}, Err: errUpstream,
		Address: fmt.Sprintf("192.0.%d.%d", n/250, n%250), Ours: true}
}

// has reports whether a trace is there.
func (w *world) has(n int) bool {
	w.t.Helper()
	_, err := w.node().Get(w.t.Context(), ref(n))
	if err != nil && !errors.Is(err, trace.ErrUnknown) {
		w.t.Fatal(err)
	}
	return err == nil
}

func TestTraceSaysWhatIsKnown(t *testing.T) {
	w := newWorld(t)
	traces := w.node()
	diagnosed := &refusal{[][2]string{{"check", "audience"}, {"advice", "Set the identifier."}, {"status", "urn:a"}, {"status", "urn:b"}, {"novel", "x"}}}
	told := trace.Trace{
		Reference: ref(1), Kind: trace.SignIn, Began: epoch.Add(-7 * time.Second), Pool: "local_Example01", Client: "c", Provider: "Corp", ProviderType: "SAML",
		Attempt: "a", Method: "POST", Path: "/saml2/idpresponse", Shown: trace.Shown{Where: trace.AtClient, Error: "server_error"},
	}
	err := fault.New(fault.Upstream, "Not accepted.", fmt.Errorf("response: %w", diagnosed))
	traces.Record(t.Context(), trace.Failure{Trace: told, Err: err, Address: "192.0.2.7", Ours: true})

	want := told
	want.Outcome, want.At, want.Code, want.Cause, want.Shown.Sentence = trace.Failed, epoch, "upstream", "upstream: Not accepted.: response: refused", "Not accepted."
	want.Facts = []trace.Fact{{"check", "audience"}, {"advice", "Set the identifier."}, {"status", "urn:a"}, {"status", "urn:b"}, {"novel", "x"}}
	got, gerr := traces.Get(t.Context(), strings.ToLower(strings.ReplaceAll(ref(1), "-", "")))
	if gerr != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, gerr, want)
	}
	text, _ := json.Marshal(got)
	if strings.Contains(string(text), "192.0.2.7") {
		t.Error("the address is kept")
	}
	if list, err := traces.Newest(t.Context(), 20); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("list %+v, %v", list, err)
	}
}

func TestAPlainErrorIsInternalAndShowsNothing(t *testing.T) {
	w := newWorld(t)
	f := failure(1)
	f.Err = errors.New("dial tcp: refused")
	w.node().Record(t.Context(), f)
	got, err := w.node().Get(t.Context(), ref(1))
	if err != nil || got.Code != "internal" || got.Cause != "dial tcp: refused" || got.Shown.Sentence != "Something went wrong on our side." {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := w.node().Get(t.Context(), ref(2)); !errors.Is(err, trace.ErrUnknown) || !strings.Contains(err.Error(), ref(2)+": ") ||
		!strings.Contains(err.Error(), "7 days") || !strings.Contains(err.Error(), "a bounded number") {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestTheFirstFailureOfAReferenceCounts(t *testing.T) {
	w := newWorld(t)
	traces := w.node()
	traces.Record(t.Context(), failure(1))
	again := failure(1)
	again.Err = errors.New("later")
	traces.Record(t.Context(), again)
	if got, err := traces.Get(t.Context(), ref(1)); err != nil || got.Code != "upstream" {
		t.Errorf("got %+v, %v", got, err)
	}
	if w.log.String() != "" {
		t.Errorf("log %s", w.log.String())
	}
}

func TestTracesAreSealedAndEnd(t *testing.T) {
	w := newWorld(t)
	w.node().Record(t.Context(), failure(1))
	doc, err := w.engine.GetBy(t.Context(), "trace", ref(1))
	if err != nil || bytes.Contains(doc.Body, []byte("because")) || bytes.Contains(doc.Body, []byte("upstream")) {
		t.Errorf("body %q, %v", doc.Body, err)
	}
	w.advance(trace.Life - time.Second)
	if !w.has(1) {
		t.Error("gone before its time")
	}
	w.advance(time.Second)
	if w.has(1) {
		t.Error("there after 7 days")
	}
	if list, err := w.node().Newest(t.Context(), 20); err != nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
	// Its slot is free, whether the sweep came by or not.
	w.node().Record(t.Context(), failure(2))
	if !w.has(2) {
		t.Error("nothing is kept any more")
	}
}

// Some of the text is a stranger's: it is bounded, and nothing in it moves an administrator's terminal.
func TestHostileTextIsBoundedAndPrintable(t *testing.T) {
	w := newWorld(t)
	hostile := strings.Repeat("\x1b]0;x\x07\u202e\u009b31m\"<&>\xff", 4000)
	facts := make([][2]string, 100)
	for i := range facts {
		facts[i] = [2]string{hostile, hostile}
	}
	f := failure(1)
	f.Err = fault.New(fault.Upstream, "Not accepted.", errors.Join(errors.New(hostile), &refusal{facts}))
	f.Provider, f.Attempt, f.Path, f.Client = hostile, hostile, hostile, hostile
	w.node().Record(t.Context(), f)
	got, err := w.node().Get(t.Context(), ref(1))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(got)
	if err != nil || len(body) > trace.MaxBody || len(got.Cause) < 16 || got.Shown.Sentence != "Not accepted." {
		t.Errorf("%d bytes, cause %q, %v", len(body), got.Cause, err)
	}
	var text bytes.Buffer
	if err := errors.Join(got.WriteText(&text), trace.WriteList(&text, []trace.Trace{got})); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "\x07", "\u202e", "\u009b", "\xff"} {
		if strings.Contains(text.String(), bad) || bytes.Contains(body, []byte(bad)) {
			t.Errorf("%q is in it", bad)
		}
	}
}

func TestReferencesAreReadAsPeopleWriteThem(t *testing.T) {
	for in, want := range map[string]string{
		"ABCD-EFGH-IJKL-MNOP": "ABCD-EFGH-IJKL-MNOP", "abcdefghijklmnop": "ABCD-EFGH-IJKL-MNOP", " abcd efgh ijkl mn27\n": "ABCD-EFGH-IJKL-MN27",
		"": "", "ABCD-EFGH-IJKL-MNO": "", "ABCD-EFGH-IJKL-MNOPQ": "", "ABCD-EFGH-IJKL-MNO1": "", "ABCD-EFGH-IJKL-MNÖ": "", "../../../../../..": "",
	} {
		got, err := trace.ParseReference(in)
		if got != want || (want == "") != errors.Is(err, trace.ErrReference) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestTracesReadInPlainWords(t *testing.T) {
	saml := trace.Trace{
		Reference: ref(1), Kind: trace.SignIn, Outcome: trace.Failed, At: epoch, Began: epoch.Add(-65 * time.Second), Pool: "local_Example01", Client: "c", Provider: "Corp",
		ProviderType: "SAML", Attempt: "a", Method: "POST", Path: "/saml2/idpresponse", Code: "upstream", Cause: "the cause",
		Facts: []trace.Fact{{trace.FactCheck, "status"}, {trace.FactAdvice, "Set the identifier. Then try."}, {trace.FactStatus, "urn:Responder"}, {trace.FactMessage, "MSIS7070"}, {trace.FactDetail, "the detail"}},
		Shown: trace.Shown{Where: trace.AtClient, Sentence: "Not accepted.", Error: "server_error"}, Omitted: 3,
	}
	for name, tt := range map[string]struct {
		trace trace.Trace
		want  []string
	}{
		"a SAML refusal": {saml, []string{
			ref(1) + ": a sign-in that failed at 2026-05-04 12:00:00 UTC, 1m5s after it began\n", "  provider     Corp (SAML)\n", "  pool         local_Example01\n", "  application  c\n",
			"  request      POST /saml2/idpresponse\n", "  fault        upstream, check status\n", "What the provider answered\n  urn:Responder\n  MSIS7070\n",
			"What to change\n  Set the identifier. Then try.\n", "  \"Not accepted.\", at the application: it got the error server_error", "for developers\n  the cause\n  the detail\n", "\n3 failures before this one",
		}},
		"a cancelled sign-in": {trace.Trace{Kind: trace.SignIn, Outcome: trace.Failed, Code: "denied", Shown: trace.Shown{Where: trace.OnPage, Sentence: "Cancelled."}}, []string{
			"said no.\n", "What to change\n  Nothing, if the person cancelled.", "  \"Cancelled.\", on a page with the reference.\n"}},
		"a sign-out":                 {trace.Trace{Kind: trace.SignOut, Outcome: trace.Failed, Code: "internal", Shown: trace.Shown{Where: trace.Onward}}, []string{": a sign-out that failed at ", "they are signed out here and went on"}},
		"what a newer release wrote": {trace.Trace{Kind: "novel", Outcome: "finished", Code: "novel"}, []string{": a novel that finished at "}},
	} {
		var b strings.Builder
		if err := tt.trace.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, b.String())
			}
		}
	}
	var b strings.Builder
	second := trace.Trace{Reference: ref(2), At: epoch, Code: "expired", Cause: strings.Repeat("long ", 100)}
	if err := trace.WriteList(&b, []trace.Trace{saml, second}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 2 || lines[0] != "2026-05-04 12:00:00 UTC  "+ref(1)+"  Corp  upstream, check status  Set the identifier." || len(lines[1]) > 260 {
		t.Errorf("got\n%s", b.String())
	}
	if err := saml.WriteText(brokenPipe{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a terminal that went away: %v", err)
	}
	if err := trace.WriteList(brokenPipe{}, []trace.Trace{saml}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a terminal that went away: %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
