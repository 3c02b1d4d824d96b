package mapping

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

const (
	maxDepth = 16   // steps of a path, levels of a value
	maxIndex = 9999 // of a list
)

// step is one move into a nested claim: by name, or by index where name is not used.
type step struct {
	name    string
	index   int
	isIndex bool
}

var errPath = errors.New("not a claim path")

// parsePath reads the grammar of the package documentation.
func parsePath(s string) ([]step, error) {
	var steps []step
	rest := s
	for rest != "" {
		if len(steps) == maxDepth {
			return nil, errPath
		}
		next, left, err := parseStep(rest, len(steps) == 0)
		if err != nil {
			return nil, err
		}
		steps, rest = append(steps, next), left
	}
	if len(steps) == 0 {
		return nil, errPath
	}
	return steps, nil
}

func parseStep(s string, first bool) (step, string, error) {
	if s[0] == '[' {
		return parseBracket(s, first)
	}
	if !first {
		if s[0] != '.' {
			return step{}, "", errPath
		}
		s = s[1:]
	}
	end := strings.IndexAny(s, `.[]"`)
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return step{}, "", errPath
	}
	return step{name: s[:end]}, s[end:], nil
}

func parseBracket(s string, first bool) (step, string, error) {
	body := s[1:]
	if strings.HasPrefix(body, `"`) {
		end := closingQuote(body)
		var name string
		if end < 0 || !strings.HasPrefix(body[end:], "]") || json.Unmarshal([]byte(body[:end]), &name) != nil {
			return step{}, "", errPath
		}
		return step{name: name}, body[end+1:], nil
	}
	digits, rest, found := strings.Cut(body, "]")
	n, err := strconv.ParseUint(digits, 10, 16)
	if first || !found || err != nil || n > maxIndex || (len(digits) > 1 && digits[0] == '0') {
		return step{}, "", errPath
	}
	return step{index: int(n), isIndex: true}, rest, nil
}

// closingQuote returns the offset behind the JSON string that s begins with, or -1.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// lookup finds the value of a claim source. ok is false where there is none.
func (r *rule) lookup(c Claims) (v any, ok bool) {
	if !r.bracketed {
		if v, ok = c[r.body]; ok {
			return v, true
		}
	}
	if len(r.path) == 0 {
		return nil, false
	}
	if v, ok = c[r.path[0].name]; !ok {
		return nil, false
	}
	for _, s := range r.path[1:] {
		if v, ok = s.into(v); !ok {
			return nil, false
		}
	}
	return v, true
}

// into takes one step. Index 0 of a plain value is that value, because a SAML attribute is
// a list or a string by how many values a person happens to have.
func (s step) into(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		if s.isIndex {
			return nil, false
		}
		inner, ok := v[s.name]
		return inner, ok
	case []any:
		if !s.isIndex || s.index >= len(v) {
			return nil, false
		}
		return v[s.index], true
	case nil:
		return nil, false
	default:
		return v, s.isIndex && s.index == 0
	}
}
