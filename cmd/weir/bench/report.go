package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
)

// The budgets (docs/benchmarks.md).
const (
	budgetLoginRatio   = 1.3  // processor time of a login to that of its two RS256 signatures
	budgetRefreshRatio = 1.15 // the same of a refresh
	budgetLoginES      = 0.6  // milliseconds
	budgetRefreshES    = 0.25 // milliseconds
	budgetStart        = 200  // milliseconds
	budgetMemory       = 60   // MB
	budgetLarge        = 1.2  // a login with the large store to one with the small store
)

// Row is one line of the report.
type Row struct {
	What     string  `json:"what"`
	Browsers int     `json:"browsers,omitempty"` // at the same time
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	Budget   float64 `json:"budget,omitempty"` // 0: none
	OK       bool    `json:"ok"`
}

// Report is what was measured.
type Report struct {
	Go     string `json:"go"`
	System string `json:"system"`
	CPUs   int    `json:"cpus"`
	Users  int    `json:"users"`  // in the large store
	Rounds int    `json:"rounds"` // of which the figures are medians
	Logins int    `json:"logins"` // of each kind in a round
	Rows   []Row  `json:"rows"`
}

func newReport(o Options) Report {
	return Report{Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Users: o.Users, Rounds: o.Rounds, Logins: o.Logins}
}

func (r *Report) row(what string, browsers int, measured float64, unit string, budget float64) {
	r.Rows = append(r.Rows, Row{What: what, Browsers: browsers, Measured: measured, Unit: unit, Budget: budget, OK: budget == 0 || measured <= budget})
}

func (r *Report) add(t *times) {
	ms := func(what, kind string, budget float64) {
		r.row(what, t.browsers, median(t.cpu[kind]), "ms CPU", budget)
	}
	ratio := func(what, kind, to string, budget float64) {
		r.row(what, t.browsers, median(ratios(t.cpu[kind], t.cpu[to])), "x", budget)
	}
	ms("two bare RS256 signatures", pairRS, 0)
	ms("two bare ES256 signatures", pairES, 0)
	ms("login, RS256 keys", loginRS, 0)
	ratio("login, RS256 keys, to its signatures", loginRS, pairRS, budgetLoginRatio)
	ms("refresh, RS256 keys", refreshRS, 0)
	ratio("refresh, RS256 keys, to its signatures", refreshRS, pairRS, budgetRefreshRatio)
	ms("login, ES256 keys", loginES, budgetLoginES)
	ms("refresh, ES256 keys", refreshES, budgetRefreshES)
	ms("userInfo, ES256 keys", userInfo, 0)
	ratio(fmt.Sprintf("login with %d users, to %d", r.Users, SmallUsers), loginMany, loginES, budgetLarge)
	r.row("durable writes of a login, its share of a trace in them", t.browsers, t.writes, "", 2.1)
	r.row("commits of the store for a login", t.browsers, t.commits, "", 0)
}

// addMemory adds what the measured process holds at the end of the logins, with both stores open.
func (r *Report) addMemory() error {
	mb, err := privateMemory(os.Getpid())
	r.row("private memory after the logins, two stores", 0, mb, "MB", 0)
	return err
}

func (r *Report) addStarts(all []start, users int) {
	var ready, memory []float64
	for _, s := range all {
		ready, memory = append(ready, milliseconds(s.ready)), append(memory, s.memory)
	}
	r.row(fmt.Sprintf("start to ready, %d users", users), 0, median(ready), "ms", budgetStart)
	r.row(fmt.Sprintf("private memory when ready, %d users", users), 0, median(memory), "MB", budgetMemory)
}

// ratios divides round by round, so that a slow round is slow on both sides.
func ratios(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Table writes the report for a person.
func (r Report) Table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush returns the error
	line("what\tbrowsers\tmeasured\tbudget\t")
	for _, row := range r.Rows {
		browsers, budget, verdict := "", "", ""
		if row.Browsers > 0 {
			browsers = fmt.Sprint(row.Browsers)
		}
		if row.Budget > 0 {
			budget, verdict = fmt.Sprintf("%g %s", row.Budget, row.Unit), "ok"
			if !row.OK {
				verdict = "OVER"
			}
		}
		line("%s\t%s\t%.3g %s\t%s\t%s", row.What, browsers, row.Measured, row.Unit, budget, verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n"+method+"\n", r.Go, r.System, r.CPUs, r.Rounds, r.Logins)
	return err
}

const method = `%s, %s, %d processors. Medians of %d rounds of %d operations of each kind; ratios are taken within a round.
The server runs alone in the measured process, with real HTTP on the loopback address, a store with durable writes and
the log of weir serve (to the null device); browsers, application and OpenID provider run in another process. CPU is what
getrusage says of the measured process, user and system. A login is authorize, the provider's answer (code exchange, ID
token, userinfo) and the token request, of a person who was here before. Connections are kept alive; there is no TLS.`

// JSON writes the report for a program.
func (r Report) JSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
