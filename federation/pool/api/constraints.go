package api

import (
	"encoding/base64"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const notNull = "Member must not be null"

// violation is a constraint that a value breaks. The texts of constraints are those that the original's clients know.
type violation struct{ path, constraint string }

// maxViolations bounds how many are spelled out, maxCounted after how many the elements of a list are no longer looked at: a stranger's body of
// a megabyte can break a constraint with every third byte.
const (
	maxViolations = 20
	maxCounted    = 1000
)

// summary is the message for all of them.
func summary(all []violation) string {
	said := make([]string, 0, len(all))
	for _, v := range all[:min(len(all), maxViolations)] {
		said = append(said, "Value at '"+v.path+"' failed to satisfy constraint: "+v.constraint)
	}
	errors := " validation errors detected: "
	if len(all) == 1 {
		errors = " validation error detected: "
	}
	return strconv.Itoa(len(all)) + errors + strings.Join(said, "; ")
}

func (s Shape) scalar() bool {
	return s.Type != "structure" && s.Type != "list" && s.Type != "map" && s.Type != "document"
}

// broken returns the constraints that a scalar of the right type breaks.
func (s Shape) broken(v any) []string {
	switch s.Type {
	case "string":
		return s.brokenText(v.(string))
	case "integer", "long":
		n, _ := whole(v)
		if s.Type == "integer" && (n < math.MinInt32 || n > math.MaxInt32) {
			return []string{"Member must have value from -2147483648 to 2147483647"}
		}
		return s.outOfBounds(int(n), "value")
	case "blob":
		data, _ := base64.StdEncoding.DecodeString(v.(string))
		return s.outOfBounds(len(data), "length")
	}
	return nil
}

func (s Shape) brokenText(text string) []string {
	out := s.outOfBounds(utf8.RuneCountInString(text), "length")
	if s.Pattern != "" && !compiled(s.Pattern).MatchString(text) {
		out = append(out, s.patternText())
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
		out = append(out, s.enumText())
	}
	return out
}

func (s Shape) outOfBounds(n int, of string) []string {
	switch {
	case s.Max != nil && n > *s.Max:
		return []string{bound(of, "less", *s.Max)}
	case s.Min != nil && n < *s.Min:
		return []string{bound(of, "greater", *s.Min)}
	}
	return nil
}

func bound(of, than string, n int) string {
	return "Member must have " + of + " " + than + " than or equal to " + strconv.Itoa(n)
}

func (s Shape) patternText() string {
	return "Member must satisfy regular expression pattern: " + s.Pattern
}

func (s Shape) enumText() string {
	return "Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"
}

// constraints is all that a scalar has to satisfy.
func (s Shape) constraints() string {
	of := "length"
	if s.Type == "integer" || s.Type == "long" {
		of = "value"
	}
	var out []string
	if s.Max != nil {
		out = append(out, bound(of, "less", *s.Max))
	}
	if s.Min != nil {
		out = append(out, bound(of, "greater", *s.Min))
	}
	if s.Pattern != "" {
		out = append(out, s.patternText())
	}
	if len(s.Enum) > 0 {
		out = append(out, s.enumText())
	}
	return strings.Join(append(out, notNull), ", ")
}

var patterns sync.Map // pattern -> *regexp.Regexp

// compiled is the pattern for a whole string. The model's patterns are Java's; those of inputs mean the same to Go, but for \s, which
// in Java has the vertical tab too, and TestPatternsCompile looks at all of them.
func compiled(pattern string) *regexp.Regexp {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(`\A(?:` + pattern + `)\z`)
	patterns.Store(pattern, re)
	return re
}

func under(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// lowerFirst is how the original writes members in messages: userPoolId for UserPoolId.
func lowerFirst(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
