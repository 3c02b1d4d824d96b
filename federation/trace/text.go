package trace

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weir-id/weir/federation/fault"
)

// meanings say of a fault what it is and whose it is, where the cause does not say it better.
var meanings = map[string]struct{ happened, change string }{
	fault.Internal.String(): {"Something failed in this service itself.",
		"Nothing at the provider. If the cause is no outage of the store, it is a defect: please report it."},
	fault.Invalid.String(): {"The request, or what the provider sent, is not acceptable as it is.",
		"The administrator of the application or of the provider, by what the cause says. If the cause is an attribute: our attribute mapping or schema."},
	fault.Denied.String(): {"The person, the provider or a setting said no.",
		"Nothing, if the person cancelled. Otherwise the provider's administrator: may this person use this application there?"},
	fault.NotFound.String(): {"Something that the sign-in needs is not there.",
		"Our administrator: compare the pool file with what the cause names."},
	fault.Expired.String(): {"The answer came too late, for the second time, or in another browser than the one that began.",
		"Nothing, if it happened once: start again at the application. If it happens to many, cookies get lost: our administrator compares base_url with the address in the browser."},
	fault.TooLarge.String(): {"Something is larger than is allowed.",
		"The provider's administrator: send less, for example fewer groups."},
	fault.Unavailable.String(): {"This service could not work for a moment.",
		"Our administrator: is the store's disk full, or has it failed?"},
	fault.Upstream.String(): {"The identity provider's answer was not accepted, or the provider could not be asked.",
		"The provider's administrator, or our settings for this provider, by what the cause says."},
	fault.UpstreamTimeout.String(): {"The identity provider did not answer in time.",
		"The provider's administrator: is it slow or down? Ours: is it reached from this machine?"},
	fault.LoginRequired.String(): {"The person would have had to sign in, which the application did not allow, or another one did than it asked for.",
		"Nothing: the application sends the person again, without prompt=none or its id_token_hint."},
	fault.Config.String(): {"A setting is wrong, here or at the provider.",
		"Our administrator: the provider's settings in the pool file, by what the cause says."},
}

var kinds = map[Kind]string{SignIn: "sign-in", SignOut: "sign-out"}

const clock = "2006-01-02 15:04:05 MST"

// WriteText writes a trace in plain words.
func (t Trace) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder takes everything
	after := ""
	if took := t.At.Sub(t.Began); !t.Began.IsZero() && took >= time.Second {
		after = ", " + took.Round(time.Second).String() + " after it began"
	}
	line("%s: a %s that %s at %s%s", t.Reference, kindText(t.Kind), t.Outcome, t.At.UTC().Format(clock), after)
	line("")
	row := func(name, value string) {
		if value != "" {
			line("  %-12s %s", name, value)
		}
	}
	provider := t.Provider
	if t.ProviderType != "" {
		provider += " (" + t.ProviderType + ")"
	}
	row("provider", provider)
	row("pool", t.Pool)
	row("application", t.Client)
	row("user", strings.TrimSpace(t.Username+" "+inBrackets(t.Sub)))
	row("attempt", t.Attempt)
	row("grant", t.Grant)
	row("request", strings.TrimSpace(t.Method+" "+t.Path))
	row("fault", t.fault())
	paragraph := func(title string, texts ...string) {
		line("")
		line("%s", title)
		for _, s := range texts {
			line("  %s", s)
		}
	}
	m := meanings[t.Code]
	if m.happened != "" {
		paragraph("What happened", m.happened)
	}
	if answered := append(t.fact(FactStatus), t.fact(FactMessage)...); len(answered) > 0 {
		paragraph("What the provider answered", answered...)
	}
	if advice := t.fact(FactAdvice); len(advice) > 0 {
		paragraph("What to change", advice...)
	} else if ask := t.ask(); ask != "" {
		paragraph("What to change", ask)
	} else if m.change != "" {
		paragraph("What to change", m.change)
	}
	paragraph("What the person saw", t.Shown.text())
	writeSteps(line, t.Steps)
	if t.Cause != "" {
		paragraph("The cause, for developers", append([]string{t.Cause}, t.fact(FactDetail)...)...)
	}
	if t.Omitted > 0 {
		line("")
		line("%d failures before this one were left out, because there were too many at once. The log has them.", t.Omitted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func kindText(k Kind) string {
	if s, ok := kinds[k]; ok {
		return s
	}
	return string(k) // of a newer release
}

func (t Trace) fault() string {
	if t.Outcome == Succeeded {
		return ""
	}
	if checks := t.fact(FactCheck); len(checks) > 0 {
		return t.Code + ", check " + checks[0]
	}
	return t.Code
}

func (s Shown) text() string {
	switch {
	case s.Where == AtClient && s.Error == "":
		return "Nothing: they are signed in at the application."
	case s.Where == AtClient:
		return fmt.Sprintf("%q, at the application: it got the error %s with this sentence and the reference.", s.Sentence, s.Error)
	case s.Where == Onward:
		return "Nothing of it: they are signed out here and went on."
	}
	return fmt.Sprintf("%q, on a page with the reference.", s.Sentence)
}

// WriteList writes a line for each trace.
func WriteList(w io.Writer, list []Trace) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no traces")
		return err
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range list {
		provider := t.Provider
		if provider == "" {
			provider = "-"
		}
		// What it fails to write comes again from Flush.
		what, sentence := t.fault(), t.sentence()
		if t.Outcome == Succeeded {
			what, sentence = Succeeded, strings.TrimSpace(t.Username+" "+inBrackets(t.Sub))
		}
		_, _ = fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\n", t.At.UTC().Format(clock), t.Reference, provider, what, sentence)
	}
	return tab.Flush()
}

// sentence is the first one of what is to be said, or as much of it as a line has room for.
func (t Trace) sentence() string {
	s := t.Cause
	if advice := t.fact(FactAdvice); len(advice) > 0 {
		s = advice[0]
	}
	if first, _, more := strings.Cut(s, ". "); more {
		s = first + "."
	}
	return clip(s, 160)
}
