package main_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	weir "github.com/weir-id/weir/cmd/weir"
	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func TestRequestsUnderWayAreFinishedAtTheEnd(t *testing.T) {
	d := deploy(t)
	p := d.serve()
	b := newBrowser(t)
	back := d.begin(b)

	entered, release := make(chan struct{}), make(chan struct{})
	d.provider.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
		oidctest.EndpointToken: func(honest http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				oidctest.Hang(release)(honest).ServeHTTP(w, r)
			})
		},
	}})
	type answer struct {
		page
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		at, err := b.try(http.MethodGet, back, nil)
		answered <- answer{at, err}
	}()
	<-entered
	p.interrupt()

	// Probes learn that it ends, and nobody new is let in, while the one who is in is served.
	d.awaitReady(http.StatusServiceUnavailable)
	if status, body, err := fetch(t.Context(), d.ops+"/livez"); err != nil || status != http.StatusOK {
		t.Errorf("livez while draining: %d %s %v", status, body, err)
	}
	if err := awaitStatus(t.Context(), d.base+"/login", 0); err != nil {
		t.Errorf("a new request: %v", err)
	}
	select {
	case <-p.ended:
		t.Fatal("it ended before the request did")
	default:
	}
	close(release)
	at := <-answered
	if at.err != nil || !strings.HasPrefix(at.url.String(), callback+"?") || at.url.Query().Get("code") == "" {
		t.Errorf("the request under way: %v, %s %d %s", at.err, at.url, at.status, at.body)
	}
	p.stop()
	d.awaitReady(0)
	if log := p.log.String(); strings.Contains(log, "cut off") || !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("log: %s", log)
	}
}

func TestRequestsThatDoNotEndAreCutOff(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	entered, ended := make(chan struct{}), make(chan struct{})
	hanging := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(ended)
	})
	var log buffer
	served := make(chan error, 1)
	go func() {
		served <- weir.ServeUntil(ctx, hanging, l, slog.New(slog.NewTextHandler(&log, nil)), time.Millisecond)
	}()
	asked := make(chan int, 1)
	go func() {
		status, _, err := fetch(t.Context(), "http://"+l.Addr().String())
		if err != nil {
			status = -1
		}
		asked <- status
	}()
	<-entered
	interrupt()
	if err := <-served; err != nil {
		t.Errorf("being told to stop is no error: %v", err)
	}
	<-ended
	if status := <-asked; status != 0 {
		t.Errorf("status %d, want none", status)
	}
	if !strings.Contains(log.String(), "requests were cut off") {
		t.Errorf("log: %s", log.String())
	}
}

func TestBrokenListenerEndsTheProcess(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := weir.ServeUntil(t.Context(), http.NotFoundHandler(), l, slog.New(slog.DiscardHandler), time.Minute); err == nil {
		t.Error("served at a closed listener")
	}
}

func TestRestoredStoreServesTheSameUsersAndKeys(t *testing.T) {
	d := deploy(t)
	p := d.serve()
	before := d.signIn(newBrowser(t))
	_, keys, err := fetch(t.Context(), d.base+"/"+poolID+"/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	config, copied := d.path("weir.yaml"), d.path("weir.backup")
	if status, _, stderr := run(t, "backup", "--config", config, copied); status != 0 {
		t.Fatal(stderr)
	}
	p.stop()

	// Another place with the same files and keys, but without the store.
	d.write("weir.yaml", strings.Replace(d.read("weir.yaml"), "bolt:weir.db", "bolt:restored.db", 1))
	if status, stdout, stderr := run(t, "restore", "--config", config, copied); status != 0 || stdout != "restored "+d.path("restored.db")+"\n" {
		t.Fatal(stdout, stderr)
	}
	p = d.serve()
	if _, again, err := fetch(t.Context(), d.base+"/"+poolID+"/.well-known/jwks.json"); err != nil || again != keys {
		t.Errorf("keys %s, then %s, %v", keys, again, err)
	}
	if after := d.signIn(newBrowser(t)); after.Subject != before.Subject || after.Subject == "" {
		t.Errorf("sub %q, then %q", before.Subject, after.Subject)
	}
	p.stop()
}

func TestTLSServesWholeSignInsAndNewCertificates(t *testing.T) {
	d := deploy(t, "tls: {cert_file: cert.pem, key_file: key.pem}")
	cert := d.certificate(1)
	p := d.serve()
	b := newBrowser(t)
	b.trust(cert)
	b.stopAt = d.provider.Issuer()
	started := b.open(d.oauth().AuthCodeURL("the-state") + "&code_challenge=" + strings.Repeat("A", 43) + "&code_challenge_method=S256")
	cookie := started.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-weir_at_", "; Secure", "; HttpOnly", "; SameSite=None", "; Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q without %q", cookie, want)
		}
	}
	if strings.Contains(cookie, "Domain=") || started.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v", started.header)
	}
	if token := d.signIn(b); token.Issuer != d.base+"/"+poolID {
		t.Errorf("issuer %q", token.Issuer)
	}

	next := d.certificate(2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for serial := int64(1); serial != 2; <-tick.C {
		var err error
		if serial, err = d.served(ctx); err != nil {
			t.Fatalf("waiting for the new certificate: %v", err)
		}
	}
	b = newBrowser(t)
	b.trust(next)
	d.signIn(b)
	p.stop()
}

func TestLogLinesCarryRequestIDs(t *testing.T) {
	for format, find := range map[string]func(line, id string) bool{
		"json": func(line, id string) bool {
			var fields map[string]any
			return json.Unmarshal([]byte(line), &fields) == nil && fields["request_id"] == id && fields["time"] != nil
		},
		"text": func(line, id string) bool { return strings.Contains(line, " request_id="+id) },
	} {
		t.Run(format, func(t *testing.T) {
			d := deploy(t, "log: {format: "+format+", level: info}")
			p := d.serve()
			d.signIn(newBrowser(t))
			id := newBrowser(t).open(d.base + "/login").header.Get("X-Request-Id")
			p.stop()
			seen := map[string]bool{}
			for line := range strings.Lines(p.log.String()) {
				for _, message := range []string{"request", "login.started", "login.finished", "token.issued"} {
					if strings.Contains(line, `"msg":"`+message+`"`) || strings.Contains(line, "msg="+message+" ") {
						seen[message] = true
						if !strings.Contains(line, "request_id") {
							t.Errorf("no request id: %s", line)
						}
					}
				}
				if find(line, id) {
					seen[id] = true
				}
				if format == "json" && !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
			if len(seen) != 5 || id == "" {
				t.Errorf("seen %v, want four messages and the id %q\n%s", seen, id, p.log.String())
			}
			for _, private := range []string{clientSecret, "upstream-secret", "river-otter", "ada@example.com", "the-state"} {
				if strings.Contains(p.log.String(), private) {
					t.Errorf("the log holds %q", private)
				}
			}
		})
	}
}

func TestLogLevelIsRespected(t *testing.T) {
	d := deploy(t, "log: {level: error}")
	p := d.serve()
	d.signIn(newBrowser(t))
	p.stop()
	if log := p.log.String() + p.out.String(); log != "" {
		t.Errorf("log: %s", log)
	}
}

// What a process does from time to time another one may do at once, when it has stopped in order: nothing has to run out first.
func TestLeasesAreGivenBackAtTheEnd(t *testing.T) {
	d := deploy(t)
	var before string
	for range 2 {
		p := d.serve()
		d.awaitLeases()
		p.interrupt()
		p.stop()
		log := p.log.String()
		taken, given := strings.Count(log, `"msg":"lease taken"`), strings.Count(log, `"msg":"lease given back"`)
		if taken != 4 || given != 4 || strings.Contains(log, "lease lost") || strings.Contains(log, "was not given back") {
			t.Errorf("%d leases taken, %d given back: %s", taken, given, log)
		}
		var serving struct{ Node string }
		for line := range strings.Lines(log) {
			if strings.Contains(line, `"msg":"serving"`) {
				if err := json.Unmarshal([]byte(line), &serving); err != nil {
					t.Fatal(err)
				}
			}
		}
		if serving.Node == "" || serving.Node == before {
			t.Errorf("the node is %q, the one before was %q", serving.Node, before)
		}
		before = serving.Node
	}
}

// awaitLeases waits until the process holds all leases, for less time than it takes one to run out.
func (d *deployment) awaitLeases() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), lease.Life-time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, body, err := fetch(ctx, d.ops+"/metrics")
		held := 0
		for _, name := range []string{"sweep", "deletions", "keys", "metadata"} {
			held += strings.Count(body, `weir_lease_held{lease="`+name+`"} 1`)
		}
		if held == 4 {
			return
		}
		select {
		case <-ctx.Done():
			d.t.Fatalf("leases: %v", err)
		case <-tick.C:
		}
	}
}
