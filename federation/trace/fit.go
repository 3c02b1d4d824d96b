package trace

import (
	"encoding/json"
	"strings"
	"unicode"
)

// The bounds of one trace. Text is cut until the document fits.
const (
	maxBody  = 8 << 10 // bytes, before it is sealed
	maxText  = 2000    // bytes of one text
	maxShort = 140     // bytes of an id or a name, however little room there is
	maxFacts = 24
)

// fit makes every text printable and cuts them until the document is within its bound. Printable, because a provider, or whoever poses as one,
// writes some of it, and it is going to be shown in an administrator's terminal.
func (t *Trace) fit() {
	for limit := maxText; ; limit /= 2 {
		size := 0
		bound := func(limit int) func(*string) {
			return func(s *string) {
				*s = clip(*s, limit)
				size += overhead + escaped(*s)
			}
		}
		t.ids(bound(max(limit, maxShort)))
		t.texts(bound(limit))
		if size <= maxBody { // most are far from it, and are not encoded to find that out
			return
		}
		if body, err := json.Marshal(t); err != nil || len(body) <= maxBody {
			return // an error comes again, and to somebody who hears it, when the document is written
		}
		if limit < 16 {
			t.strip()
			return
		}
		if limit < maxText {
			t.thin(limit)
		}
	}
}

// overhead is what one text costs beside itself, at most: the name of its member, quotes, and its share of what stands around it.
const overhead = 48

// escaped is how long a text becomes in JSON at most, once it is printable.
func escaped(s string) int {
	n := len(s)
	for i := range len(s) {
		switch s[i] {
		case '<', '>', '&':
			n += 5
		case '"', '\\':
			n++
		}
	}
	return n
}

// ids calls f for what is short, or would be another one if it were cut short.
func (t *Trace) ids(f func(*string)) {
	for _, s := range []*string{&t.Reference, &t.Pool, &t.Client, &t.Provider, &t.ProviderType, &t.Attempt, &t.Sub, &t.Username, &t.Grant, &t.Code} {
		f(s)
	}
}

// texts calls f for every other text of the trace.
func (t *Trace) texts(f func(*string)) {
	for _, s := range []*string{&t.Method, &t.Path, &t.Cause, &t.Shown.Sentence, &t.Shown.Error} {
		f(s)
	}
	facts := func(list []Fact) {
		for i := range list {
			f(&list[i].Name)
			f(&list[i].Text)
		}
	}
	facts(t.Facts)
	for i := range t.Steps {
		s := &t.Steps[i]
		f(&s.Name)
		facts(s.Facts)
		for j := range s.Claims {
			c := &s.Claims[j]
			f(&c.Name)
			f(&c.Type)
			for k := range c.Values {
				f(&c.Values[k])
			}
		}
		for j := range s.Rules {
			for _, text := range []*string{&s.Rules[j].Attribute, &s.Rules[j].Source, &s.Rules[j].Outcome, &s.Rules[j].Note} {
				f(text)
			}
		}
	}
}

// thin leaves out claims, rules and facts beyond a number, so that short texts in great number fit as well. Names of what is left out are
// not as telling as the check that failed.
func (t *Trace) thin(limit int) {
	keep := max(4, limit/25) // 40 at first
	for i := range t.Steps {
		s := &t.Steps[i]
		s.Claims, s.Rules, s.Facts = s.Claims[:min(len(s.Claims), keep)], s.Rules[:min(len(s.Rules), keep)], s.Facts[:min(len(s.Facts), keep)]
	}
}

// strip leaves the names of the steps.
func (t *Trace) strip() {
	for i := range t.Steps {
		s := &t.Steps[i]
		s.Claims, s.Rules, s.Facts = nil, nil, nil
	}
}

// clip cuts a text and replaces what is not printable.
func clip(s string, n int) string {
	if len(s) <= n && plain(s) {
		return s
	}
	return Printable(bounded(s, n))
}

// Printable replaces what is not printable, so that what a provider wrote does nothing to a terminal: line breaks and tabs by a blank, the rest by U+FFFD.
func Printable(s string) string {
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

// plain reports whether a text is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
