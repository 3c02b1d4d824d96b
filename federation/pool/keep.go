package pool

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/weir-id/weir/mapping"
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

// maxRedacted bounds the claims of redact_assertions.
const maxRedacted = 50

// checkKeeping checks the keys about assertions that are kept.
func checkKeeping(ps *Problems, ip IdentityProvider) {
	number := func(key string, low, high int) {
		text := ip.Details.Get(key)
		if n, err := strconv.Atoi(text); text != "" && (err != nil || n < low || n > high) {
			ps.add(entry("ProviderDetails", key), fmt.Sprintf("must be a number from %d to %d", low, high))
		}
	}
	number(DetailKeepAssertions, 0, MaxKeptAssertions)
	number(DetailKeepAssertionsDays, 1, MaxKeptAssertionsDays)
	path, sources := entry("ProviderDetails", DetailRedactAssertions), ClaimSources(ip.Details.Get(DetailRedactAssertions))
	if len(sources) > maxRedacted {
		ps.add(path, fmt.Sprintf("at most %d claims are possible", maxRedacted))
	}
	for _, s := range sources {
		if _, err := mapping.CompileRule("", s); err != nil || !mapping.IsClaim(s) {
			ps.add(path, `must be claims or claim paths, separated by spaces; a name with a space is written as ["First name"]`)
			return
		}
	}
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

// RuleDetails are the keys of ProviderDetails that are rules, as the attribute mapping is: they can be tried before they are live.
func RuleDetails() []string { return []string{detailGroupClaim, detailGroupRules, detailGroupAbsent} }

// WithRules returns the provider with other rules: the attribute mapping, unless it is nil, and those of its details that are rules, unless they are
// nil.
func (p IdentityProvider) WithRules(attributes map[string]string, details Details) IdentityProvider {
	p = cloneProvider(p)
	if attributes != nil {
		p.AttributeMapping = maps.Clone(attributes)
	}
	if details == nil {
		return p
	}
	if p.Details == nil {
		p.Details = Details{}
	}
	for _, key := range RuleDetails() {
		delete(p.Details, key)
		if v, given := details[key]; given {
			p.Details[key] = v
		}
	}
	return p
}
