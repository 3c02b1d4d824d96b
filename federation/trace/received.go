package trace

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Claim is what a provider said under one name.
type Claim struct {
	Name string `json:"name"`
	Type string `json:"type"` // text, number, boolean, list, object, null
	// Count is how many elements a list has, or members an object.
	Count int `json:"count,omitempty"`
	// Length is that of all texts together, in characters.
	Length int `json:"length,omitempty"`
	// Values are the first of them, cut to maxClaim bytes with a mark behind; of an object the names of its members. None where they are withheld.
	Values   []string `json:"values,omitempty"`
	Withheld bool     `json:"withheld,omitempty"`
}

// The bounds of what is kept of claims.
const (
	maxClaims = 40
	maxValues = 5
	maxClaim  = 200 // bytes of one value
	cutMark   = "…"
)

// withheld are what names of claims have in them that are secrets, or that bind a message to a sign-in.
var withheld = []string{"token", "secret", "password", "passwd", "nonce", "_hash", "assertion", "private_key"}

// secretName reports whether the value of a claim is not kept.
func secretName(name string) bool {
	if name == "jti" || name == "sid" {
		return true
	}
	lower := strings.ToLower(name)
	return slices.ContainsFunc(withheld, func(part string) bool { return strings.Contains(lower, part) })
}

// received returns bounded copies, by name; more says how many names there are besides.
func received(claims map[string]any) (out []Claim, more []string) {
	names := slices.Sorted(maps.Keys(claims))
	if len(names) > maxClaims {
		more = []string{FactMore, strconv.Itoa(len(names) - maxClaims)}
		names = names[:maxClaims]
	}
	out = make([]Claim, len(names))
	for i, name := range names {
		out[i] = claimOf(name, claims[name])
	}
	return out, more
}

func claimOf(name string, v any) Claim {
	c := Claim{Name: copied(name), Withheld: secretName(name)}
	switch v := v.(type) {
	case []any:
		c.Type, c.Count = "list", len(v)
		for _, e := range v {
			_, text := scalar(e)
			c.Length += utf8.RuneCountInString(text)
			if len(c.Values) < maxValues && !c.Withheld {
				c.Values = append(c.Values, copied(text))
			}
		}
	case map[string]any:
		c.Type, c.Count = "object", len(v)
		if !c.Withheld {
			members := slices.Sorted(maps.Keys(v))
			for _, m := range members[:min(len(members), maxValues)] {
				c.Values = append(c.Values, copied(m))
			}
		}
	default:
		var text string
		c.Type, text = scalar(v)
		c.Length = utf8.RuneCountInString(text)
		if !c.Withheld && c.Type != "null" {
			c.Values = []string{copied(text)}
		}
	}
	return c
}

// scalar returns the type of a value and its text; of what stands in a list and is none itself, only the type.
func scalar(v any) (kind, text string) {
	switch v := v.(type) {
	case nil:
		return "null", ""
	case string:
		return "text", v
	case bool:
		return "boolean", strconv.FormatBool(v)
	case json.Number:
		return "number", string(v)
	case float64:
		return "number", strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		return "list", fmt.Sprintf("(a list of %d)", len(v))
	case map[string]any:
		return "object", fmt.Sprintf("(an object of %d)", len(v))
	}
	return "null", ""
}

// copied is a bounded copy: the text may be a part of a large message, which a trace in the queue would keep in memory.
func copied(s string) string { return strings.Clone(bounded(s, maxClaim)) }

// bounded cuts a text and says so behind it.
func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + cutMark
}
