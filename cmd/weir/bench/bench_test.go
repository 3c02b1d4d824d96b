package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/weir-id/weir/cmd/weir/bench"
)

func TestTableSaysWhatIsOverItsBudget(t *testing.T) {
	rep := bench.Report{Go: "go1.26", Rows: []bench.Row{
		{What: "kept", Browsers: 32, Measured: 1.25, Unit: "x", Budget: 1.3, OK: true},
		{What: "missed", Measured: 210, Unit: "ms", Budget: 200},
		{What: "unbudgeted", Measured: 0.5, Unit: "ms CPU", OK: true},
	}}
	var out bytes.Buffer
	if err := rep.Table(&out); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"kept": "32 1.25 x 1.3 x ok", "missed": "210 ms 200 ms OVER", "unbudgeted": "0.5 ms CPU"}
	for line := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(strings.Join(strings.Fields(line), " "), " ")
		if w, ok := want[name]; ok && rest != w {
			t.Errorf("%s: %q, want %q", name, rest, w)
		}
		delete(want, name)
	}
	if len(want) > 0 || !strings.Contains(out.String(), "getrusage") {
		t.Errorf("rows %v or the method are missing in\n%s", want, &out)
	}
	out.Reset()
	if err := rep.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var back bench.Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || len(back.Rows) != 3 || back.Rows[1].OK || back.Rows[1].Budget != 200 {
		t.Errorf("JSON: %v, %+v", err, back)
	}
}

// The peers answer every order with one line, and end with their input.
func TestPeersAnswerOrdersUntilTheirInputEnds(t *testing.T) {
	orders, give := io.Pipe()
	take, answers := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- bench.RunPeers(t.Context(), orders, answers) }()
	lines := bufio.NewScanner(take)
	answer := func() (a struct{ Issuer, Error string }) {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("no answer")
		}
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if hello := answer(); !strings.HasPrefix(hello.Issuer, "http://127.0.0.1:") {
		t.Errorf("first line: %+v, want the issuer", hello)
	}
	for _, tt := range []struct{ order, fault string }{
		{`{"op":"register","base":"http://127.0.0.1:1","step":1}`, ""},
		{`{"op":"dance"}`, `unknown order "dance"`},
		{`{"op":"login","base":"http://127.0.0.1:1","client":"c","browsers":1,"count":1,"step":1}`, "127.0.0.1:1"},
	} {
		if _, err := io.WriteString(give, tt.order+"\n"); err != nil {
			t.Fatal(err)
		}
		if a := answer(); tt.fault == "" && a.Error != "" || !strings.Contains(a.Error, tt.fault) {
			t.Errorf("%s: error %q, want %q", tt.order, a.Error, tt.fault)
		}
	}
	if err := give.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("end: %v", err)
	}
}
