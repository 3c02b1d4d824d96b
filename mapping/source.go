package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// When a rule writes.
const (
	writeAlways   = "always"
	writeFirst    = "first"    // at the first sign-in of the identity
	writeEmpty    = "empty"    // while the attribute has no value
	writeUnedited = "unedited" // while the value is not an administrator's
)

// How a list becomes text.
const (
	listBrackets = "brackets"
	listJSON     = "json"
	listFirst    = "first"
	listJoined   = "joined" // which is written as the separator, in quotes
)

// options are what stands in the brackets in front of a rule.
type options struct {
	expression bool
	write      string
	clear      bool // an absent value takes the attribute away
	list       string
	separator  string // where list is listJoined
}

// HasOptions reports whether a source begins with options. Nothing else does: what begins with a bracket was always a path whose first
// name is in quotes, or refused.
func HasOptions(source string) bool {
	return strings.HasPrefix(source, "[") && !strings.HasPrefix(source, `["`)
}

// IsClaim reports whether a source is the plain form: the name of a claim or a path to one, without options.
func IsClaim(source string) bool {
	return source != "" && !strings.HasPrefix(source, "=") && !HasOptions(source)
}

var errOptions = errors.New(`the options in front do not end: want ["name"] for a path, or options such as [cel] or [write=first, list=json]`)

// parseOptions reads the options that source begins with and returns how many bytes they take.
func parseOptions(source string) (options, int, error) {
	o := options{write: writeAlways, list: listBrackets}
	seen := map[string]bool{}
	for rest := source[1:]; ; {
		item, value, left, err := nextOption(rest)
		if err != nil {
			return o, 0, err
		}
		if seen[item] {
			return o, 0, fmt.Errorf("the option %s is there twice", item)
		}
		seen[item] = true
		if err := o.set(item, value); err != nil {
			return o, 0, err
		}
		rest = left[1:]
		if left[0] == ']' {
			return o, len(source) - len(rest), nil
		}
	}
}

// nextOption takes the first option off s: its name, its value as it is written, and the rest from the comma or bracket behind it.
func nextOption(s string) (name, value, rest string, err error) {
	end := strings.IndexAny(s, "=,]\n")
	if end < 0 || s[end] == '\n' {
		return "", "", "", errOptions
	}
	name, rest = strings.TrimSpace(s[:end]), s[end:]
	if rest[0] != '=' {
		return name, "", rest, nil
	}
	rest = strings.TrimLeft(rest[1:], " ")
	end = strings.IndexAny(rest, ",]\n")
	if strings.HasPrefix(rest, `"`) {
		if end = closingQuote(rest); end >= 0 {
			end += len(rest[end:]) - len(strings.TrimLeft(rest[end:], " "))
		}
	}
	if end < 0 || end >= len(rest) || (rest[end] != ',' && rest[end] != ']') {
		return "", "", "", errOptions
	}
	return name, strings.TrimSpace(rest[:end]), rest[end:], nil
}

func (o *options) set(name, value string) error {
	switch name + "=" + value {
	case "cel=":
		o.expression = true
	case "write=" + writeAlways, "write=" + writeFirst, "write=" + writeEmpty, "write=" + writeUnedited:
		o.write = value
	case "absent=keep", "absent=clear":
		o.clear = value == "clear"
	case "list=" + listBrackets, "list=" + listJSON, "list=" + listFirst:
		o.list = value
	default:
		if name == "list" && strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &o.separator) == nil {
			o.list = listJoined
			return nil
		}
		return fmt.Errorf(`%q is no option: want cel, write=always, first, empty or unedited, absent=keep or clear, list=brackets, json, first or a separator in quotes`,
			strings.TrimSuffix(name+"="+value, "="))
	}
	return nil
}

// render makes a value text as the options say. "" is absent.
func (o options) render(v any) (string, error) {
	if o.list == listBrackets || o.list == "" || (o.list == listFirst && !isList(v)) {
		return toText(v)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v} // a SAML attribute is a list or a text by how many values a person happens to have
	}
	switch o.list {
	case listJSON:
		return jsonList(list)
	case listFirst:
		return firstText(list)
	}
	return joined(list, o.separator)
}

func isList(v any) bool {
	_, ok := v.([]any)
	return ok
}

func jsonList(list []any) (string, error) {
	if len(list) == 1 && (list[0] == nil || list[0] == "") {
		return "", nil // an absent value, not a list of nothing
	}
	kept := make([]any, 0, min(len(list), maxBytes))
	for _, v := range list {
		if v != nil {
			kept = append(kept, v)
		}
	}
	b, err := appendJSON(nil, kept, 1)
	if err != nil {
		return "", err
	}
	return bounded(string(b))
}

func firstText(list []any) (string, error) {
	for _, v := range list {
		if v == nil {
			continue
		}
		if text, err := element(v); err != nil || text != "" {
			return text, err
		}
	}
	return "", nil
}

func joined(list []any, separator string) (string, error) {
	var b strings.Builder
	for _, v := range list {
		if v == nil {
			continue
		}
		text, err := element(v)
		if err != nil {
			return "", err
		}
		if text == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		if b.WriteString(text); b.Len() > maxBytes {
			return "", errTooLong
		}
	}
	return bounded(b.String())
}
