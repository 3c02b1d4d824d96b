package mapping

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	errTooLong = errors.New("too long")
	errTooDeep = errors.New("too deep")
	errNotText = errors.New("not text")
)

// maxBytes stops the writing of a value early: maxValue code points take at most this many bytes. The exact
// count is made at the end.
const maxBytes = maxValue * utf8.UTFMax

// toText renders a claim's value as an attribute's value.
func toText(v any) (string, error) {
	var b []byte
	var err error
	switch v := v.(type) {
	case []any:
		b, err = appendList(nil, v)
	case map[string]any:
		b, err = appendJSON(nil, v, 1)
	default:
		return scalar(v)
	}
	if err != nil {
		return "", err
	}
	return bounded(string(b))
}

func bounded(s string) (string, error) {
	if len(s) > maxBytes || (len(s) > maxValue && utf8.RuneCountInString(s) > maxValue) {
		return "", errTooLong
	}
	return s, nil
}

func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		// Length first: the check of a huge text is not worth its time.
		s, err := bounded(v)
		if err == nil && !utf8.ValidString(s) {
			err = errNotText
		}
		return s, err
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", errNotText
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case json.Number:
		return plainNumber(string(v))
	}
	return "", errNotText
}

func appendList(b []byte, list []any) ([]byte, error) {
	b = append(b, '[')
	written := 0
	for _, v := range list {
		if v == nil {
			continue
		}
		text, err := element(v)
		if err != nil {
			return nil, err
		}
		if written++; written > 1 {
			b = append(b, ',')
		}
		if b = appendForm(b, text); len(b) > maxBytes {
			return nil, errTooLong
		}
	}
	return append(b, ']'), nil
}

func element(v any) (string, error) {
	switch v.(type) {
	case []any, map[string]any:
		b, err := appendJSON(nil, v, 2)
		return string(b), err
	}
	return scalar(v)
}

// appendForm writes s in the form encoding of the original: letters, digits and .-*_ stay, a space is +,
// every other byte is %XX. url.QueryEscape would keep ~ and encode *.
func appendForm(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(".-*_", c) >= 0:
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// appendJSON writes compact JSON. encoding/json would write an exponent for large numbers, escape < > & and know no bound.
func appendJSON(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	if len(b) > maxBytes {
		return nil, errTooLong
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, e, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		// Each member takes two bytes at least; a larger object need not be sorted to be refused.
		if len(v) > maxBytes/2 {
			return nil, errTooLong
		}
		return appendObject(b, v, depth)
	}
	text, err := scalar(v)
	return append(b, text...), err
}

func appendObject(b []byte, v map[string]any, depth int) ([]byte, error) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(v)) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendString(b, name); err != nil {
			return nil, err
		}
		if b, err = appendJSON(append(b, ':'), v[name], depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendString(b []byte, s string) ([]byte, error) {
	s, err := scalar(s)
	if err != nil {
		return nil, err
	}
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c < 0x20: // RFC 8259 section 7: control characters must be escaped
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"'), nil
}

// plainNumber writes a JSON number (RFC 8259 section 6) without exponent and without loss: digits are
// moved, never computed. A number of more digits than a value may have is too long.
func plainNumber(s string) (string, error) {
	if len(s) > maxValue {
		return "", errTooLong
	}
	whole, fraction, exponent, ok := splitNumber(s)
	if !ok {
		return "", errNotText
	}
	if exponent == "" {
		return s, nil
	}
	sign := ""
	if whole[0] == '-' {
		sign, whole = "-", whole[1:]
	}
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return sign + "0", nil
	}
	e, err := strconv.Atoi(exponent)
	if err != nil || e > maxValue || e < -2*maxValue {
		return "", errTooLong
	}
	point := len(whole) + e - (len(whole) + len(fraction) - len(digits)) // where the point stands within digits
	switch {
	case point <= 0:
		digits = "0." + strings.Repeat("0", -point) + digits
	case point >= len(digits):
		digits += strings.Repeat("0", point-len(digits))
	default:
		digits = digits[:point] + "." + digits[point:]
	}
	if strings.Contains(digits, ".") {
		digits = strings.TrimRight(strings.TrimRight(digits, "0"), ".")
	}
	return bounded(sign + digits)
}

// splitNumber takes a JSON number apart; whole keeps the sign.
func splitNumber(s string) (whole, fraction, exponent string, ok bool) {
	if !json.Valid([]byte(s)) || s == "" || (s[0] != '-' && (s[0] < '0' || s[0] > '9')) || strings.TrimSpace(s) != s {
		return "", "", "", false
	}
	mantissa := s
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, fraction, _ = strings.Cut(mantissa, ".")
	return whole, fraction, exponent, true
}
