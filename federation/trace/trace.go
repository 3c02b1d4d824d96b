// Package trace keeps what became of sign-ins, step by step, for the administrator whom somebody tells the reference of an error page, or who wonders
// what a sign-in that succeeded did.
//
// It owns the form of a trace, its bounds (7 days, a number, a rate), how it is stored, how it reads in plain words, and what of it
// may be shown to another company. It does not own what a trace says: whoever takes part in a sign-in adds steps to the Login in its context, and the
// cause of a failure is an error, of which one that can say more than its text is Diagnosed. A trace is a help and no record: the
// log and the audit stream have every sign-in, a trace may be left out.
//
// A failure is written before it is answered, a success afterwards, with others in one document: see Finished.
//
// A trace holds ids, sentences and the text of errors, as the log does, and what the provider said of the person, sealed like everything else; never
// secrets, tokens, codes, assertions or addresses of people's machines. What it holds of a person goes when the user is deleted: see Forget.
package trace

import (
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

// The outcomes of a trace.
const (
	Failed    = "failed"
	Succeeded = "succeeded"
)

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

	// Whom it is about, where that was known. Reference and attempt join the log; grant joins the token endpoint's events.
	Sub      string `json:"sub,omitempty"`
	Username string `json:"username,omitempty"`
	Grant    string `json:"grant,omitempty"`
	Identity string `json:"identity,omitempty"` // a hash of provider and subject, by which it is found when the user is deleted

	Steps []Step `json:"steps,omitempty"` // in their order; none of a trace that an earlier release wrote
	// Salt makes the short hashes of the redacted form, which say that values of one trace are equal and nothing else. It is in no redacted form.
	Salt string `json:"salt,omitempty"`

	Code  string `json:"code,omitempty"`  // fault.Code of a failure
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
	FactMore    = "more"           // how many there are besides those that are kept
)

// Shown is what the person saw.
type Shown struct {
	Where    string `json:"where"`              // one of the constants
	Sentence string `json:"sentence,omitempty"` // the public one
	Error    string `json:"error,omitempty"`    // the OAuth error code, AtClient
}

// Where people find themselves in the end.
const (
	OnPage   = "page"   // a page of ours
	AtClient = "client" // back at the application, which got the error, or the code
	Onward   = "onward" // where they wanted to go anyway: they saw nothing of it
)

// Diagnosed is implemented by an error that can say more than its text: which check failed, what to change. It is asked for with errors.As, so
// that whoever finds a cause need not know this package.
type Diagnosed interface {
	error
	// Diagnosis yields named facts, the most telling first. They are not secret, and text of others in them is quoted and bounded.
	Diagnosis() iter.Seq2[string, string]
}

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
