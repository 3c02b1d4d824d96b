package pool

import (
	"maps"
	"strings"
	"time"
)

// SourceKind says who wrote a value.
type SourceKind string

// The kinds.
const (
	FromProvider SourceKind = "provider" // a sign-in through an identity provider, by a rule of its mapping
	FromNotice   SourceKind = "notice"   // what a provider reported of the account there
	FromAdmin    SourceKind = "admin"
	FromPerson   SourceKind = "person" // the person, through an application
)

// ValueSource is where the value of an attribute is from: who wrote it last, and when. A sign-in that brings the same value again writes nothing, so it
// is not a new source either.
type ValueSource struct {
	Kind     SourceKind `json:"kind"`
	Provider string     `json:"provider,omitempty"` // of FromProvider and FromNotice
	// Rule is the right side of the mapping as it was, its first 256 bytes. It is empty where no rule wrote the value: a verified flag that
	// fell because its address changed.
	Rule string    `json:"rule,omitempty"`
	At   time.Time `json:"at"`
}

// maxRuleKept bounds what of a rule stands in each user's document, in bytes.
const maxRuleKept = 256

// source is where the values that a sign-in writes are from.
func (in SignIn) source(attribute string, at time.Time) ValueSource {
	return ValueSource{Kind: FromProvider, Provider: in.Provider.Name, Rule: keptRule(in.Provider.AttributeMapping[attribute]), At: at}
}

// keptRule is a rule as it stands in a user's document.
func keptRule(rule string) string {
	if len(rule) > maxRuleKept {
		return strings.ToValidUTF8(rule[:maxRuleKept-len("…")], "") + "…"
	}
	return rule
}

// setSources says of the attributes names that they were written by what source returns. One that has no value any more has no source, and
// neither has one that an older release wrote.
func (u *User) setSources(names []string, source func(attribute string) ValueSource) {
	if len(names) == 0 {
		return
	}
	after := make(map[string]ValueSource, len(u.Attributes))
	maps.Copy(after, u.Sources)
	for _, name := range names {
		after[name] = source(name)
	}
	maps.DeleteFunc(after, func(name string, _ ValueSource) bool { return u.Attributes[name] == "" })
	u.Sources = after
}
