package pool

import (
	"strconv"
	"strings"
	"time"
)

// The keys of ProviderDetails about the assertions that are kept, which providers of every type have.
const (
	DetailKeepAssertions     = "keep_assertions"
	DetailKeepAssertionsDays = "keep_assertions_days"
	DetailRedactAssertions   = "redact_assertions"
)

// The bounds of Keeping.
const (
	MaxKeptAssertions     = 100
	MaxKeptAssertionsDays = 30
	keptAssertionsDays    = 7
)

// Keeping says what is kept of a provider's assertions: see package federation/assertion. The zero value is nothing.
type Keeping struct {
	Number int           // the last so many
	For    time.Duration // each
	Redact []string      // claims, or paths into them, whose values are not kept
}

// KeepsAssertions returns what is kept of the assertions of a provider. A detail that does not say it clearly keeps nothing.
func (p IdentityProvider) KeepsAssertions() Keeping {
	number, err := strconv.Atoi(p.Details.Get(DetailKeepAssertions))
	if err != nil || number < 1 || number > MaxKeptAssertions {
		return Keeping{}
	}
	days := keptAssertionsDays
	if text := p.Details.Get(DetailKeepAssertionsDays); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > MaxKeptAssertionsDays {
			return Keeping{}
		}
	}
	return Keeping{Number: number, For: time.Duration(days) * 24 * time.Hour, Redact: ClaimSources(p.Details.Get(DetailRedactAssertions))}
}

// ClaimSources splits a list of claims at white space, but not within quotes: ["First name"] is one.
func ClaimSources(list string) []string {
	var out []string
	var b strings.Builder
	quoted, escaped := false, false
	for _, r := range list + " " {
		if !quoted && strings.ContainsRune(" \t\r\n", r) {
			if b.Len() > 0 {
				out = append(out, b.String())
				b.Reset()
			}
			continue
		}
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		}
		b.WriteRune(r)
	}
	if b.Len() > 0 { // a quote that does not end: whoever reads it finds no claim there
		out = append(out, b.String())
	}
	return out
}
