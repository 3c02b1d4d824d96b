// Package trace keeps what became of sign-ins, for the administrator whom somebody tells the reference of an error page.
//
// It owns the form of a trace, its bounds (7 days, 10,000 of them, a rate), how it is stored, and how it reads in plain words. It does not own
// what a trace says: the cause is an error, and one that can say more than its text is Diagnosed. A trace is a help and no record: the
// log and the audit stream have every failure, a trace may be left out.
//
// A trace holds ids, sentences and the text of errors, as the log does; never secrets, tokens, codes, assertions or addresses of people's machines.
package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode"

	"github.com/weir-id/weir/federation/fault"
)

// Life is how long a trace is kept.
const Life = 7 * 24 * time.Hour

// Kind is what was tried.
type Kind string

// The kinds.
const (
	SignIn  Kind = "sign_in"
	SignOut Kind = "sign_out" // the provider's side of it: here the session has ended
)

// Failed is the only Outcome so far.
const Failed = "failed"

// Trace is what became of one sign-in or sign-out. Its JSON form is what is stored and what `weir trace --json` prints: members are
// added, and none changes its meaning. Absent facts are left out.
type Trace struct {
	Reference string    `json:"reference"` // as the person was shown it: four groups of four
	Kind      Kind      `json:"kind"`
	Outcome   string    `json:"outcome"`
	At        time.Time `json:"at"`
	Began     time.Time `json:"began,omitzero"` // zero where nothing of ours began it

	Pool         string `json:"pool,omitempty"`
	Client       string `json:"client,omitempty"`
	Provider     string `json:"provider,omitempty"`
	ProviderType string `json:"provider_type,omitempty"` // the API model's: OIDC, SAML, Google, …
	Attempt      string `json:"attempt,omitempty"`       // joins the audit events
	Method       string `json:"method,omitempty"`
	Path         string `json:"path,omitempty"` // without a query, which carries codes

	Code  string `json:"code"`            // fault.Code
	Cause string `json:"cause,omitempty"` // the error's text, for developers
	Facts []Fact `json:"facts,omitempty"` // of the cause, where it is Diagnosed
	Shown Shown  `json:"shown"`

	// Omitted counts the traces that this process has left out before this one, because of the bounds.
	Omitted int `json:"omitted,omitempty"`
}

// Fact is a named part of a diagnosis. A name may occur several times.
type Fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Names of facts. A cause may have others.
const (
	FactCheck   = "check"          // the stable name of what failed
	FactAdvice  = "advice"         // one or two sentences that say to an administrator what is wrong and what to change
	FactStatus  = "status"         // a code that the provider answered, the outermost first
	FactMessage = "status_message" // its text, as the provider wrote it
	FactDetail  = "detail"         // for developers
)

// Shown is what the person saw.
type Shown struct {
	Where    string `json:"where"`              // one of the constants
	Sentence string `json:"sentence,omitempty"` // the public one
	Error    string `json:"error,omitempty"`    // the OAuth error code, AtClient
}

// Where people find themselves after a failure.
const (
	OnPage   = "page"   // a page of ours
	AtClient = "client" // back at the application, which got the error
	Onward   = "onward" // where they wanted to go anyway: they saw nothing of it
)

// Diagnosed is implemented by an error that can say more than its text: which check failed, what to change. It is asked for with errors.As, so
// that whoever finds a cause need not know this package.
type Diagnosed interface {
	error
	// Diagnosis yields named facts, the most telling first. They are not secret, and text of others in them is quoted and bounded.
	Diagnosis() iter.Seq2[string, string]
}

// The bounds of one trace. Text is cut until the document fits.
const (
	maxBody  = 8 << 10 // bytes, before it is sealed
	maxText  = 2000    // bytes of one text
	maxFacts = 24
)

// explain fills in what err says.
func (t *Trace) explain(err error) {
	t.Code, t.Cause = fault.CodeOf(err).String(), err.Error()
	if t.Shown.Where != Onward {
		t.Shown.Sentence = fault.PublicOf(err)
	}
	var d Diagnosed
	if !errors.As(err, &d) {
		return
	}
	for name, text := range d.Diagnosis() {
		if len(t.Facts) == maxFacts {
			return
		}
		t.Facts = append(t.Facts, Fact{Name: name, Text: text})
	}
}

// fit makes every text printable and cuts them until the document is within its bound. Printable, because a provider, or whoever poses as one,
// writes some of it, and it is going to be shown in an administrator's terminal.
func (t *Trace) fit() {
	for limit := maxText; ; limit /= 2 {
		for _, s := range []*string{&t.Reference, &t.Pool, &t.Client, &t.Provider, &t.ProviderType, &t.Attempt, &t.Method, &t.Path, &t.Code, &t.Cause,
			&t.Shown.Sentence, &t.Shown.Error} {
			*s = clip(*s, limit)
		}
		for i := range t.Facts {
			t.Facts[i] = Fact{Name: clip(t.Facts[i].Name, limit), Text: clip(t.Facts[i].Text, limit)}
		}
		if body, err := json.Marshal(t); err != nil || len(body) <= maxBody || limit < 16 {
			return // an error comes again, and to somebody who hears it, when the document is written
		}
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r): // bidirectional controls too
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// fact returns the texts of a name.
func (t *Trace) fact(name string) []string {
	var out []string
	for _, f := range t.Facts {
		if f.Name == name {
			out = append(out, f.Text)
		}
	}
	return out
}

// ErrReference: not a reference.
var ErrReference = errors.New("a reference has 16 letters and digits in groups of four, as in ABCD-EFGH-IJKL-MNOP")

// ParseReference reads a reference as people write it: in lower case, with spaces or without dashes. Errors: ErrReference.
func ParseReference(s string) (string, error) {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r == '-' || unicode.IsSpace(r):
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, s)
	if len(plain) != 16 || strings.Trim(plain, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return "", fmt.Errorf("%.40q: %w", s, ErrReference)
	}
	return plain[0:4] + "-" + plain[4:8] + "-" + plain[8:12] + "-" + plain[12:16], nil
}
