package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Input is what a caller sent to an operation: the members that the model knows, under their exact names, within the model's constraints.
type Input struct {
	shape  string
	values map[string]any
}

// The types of InputError.
const (
	SerializationException    = "SerializationException"    // the input is not of the operation's type
	InvalidParameterException = "InvalidParameterException" // it is, and breaks a constraint
)

// InputError says what is wrong with an input. Its message names members and constraints and quotes no value.
type InputError struct{ Type, Message string }

// Error implements error.
func (e *InputError) Error() string { return e.Type + ": " + e.Message }

// Parse reads the body of a request for the named operation. Members that the model does not have are left out, as the original does for
// clients that are newer than it, and a null counts as absent. Errors: *InputError, with everything that breaks a constraint.
func Parse(operation string, body []byte) (Input, error) {
	m := TheModel()
	op, ok := m.Operations[operation]
	if !ok {
		return Input{}, fmt.Errorf("api: the model has no operation %q", operation)
	}
	v, err := decode(body)
	if err != nil {
		return Input{}, &InputError{SerializationException, "The body of the request must be one JSON object: " + err.Error() + "."}
	}
	c := &cleaner{model: m}
	clean := c.value(op.Input, "", v)
	if c.mistyped != "" {
		return Input{}, &InputError{SerializationException, c.mistyped}
	}
	if len(c.violations) > 0 {
		return Input{}, &InputError{InvalidParameterException, summary(c.violations)}
	}
	return Input{op.Input, clean.(map[string]any)}, nil
}

// Text returns a member of type string at the top of the input, "" where it is absent.
func (in Input) Text(member string) string {
	s, _ := in.values[member].(string)
	return s
}

// Into fills in out, a pointer to the input's generated type. It reads what Parse has looked at and nothing else: encoding/json alone would
// take userpoolid for UserPoolId, so that what is checked and what is used could differ.
func (in Input) Into(out any) error {
	data, err := json.Marshal(in.values)
	if err != nil {
		return fmt.Errorf("api: write %s again: %w", in.shape, err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("api: read %s into %T: %w", in.shape, out, err)
	}
	return nil
}

var errText = errors.New("it is not UTF-8 text")

// decode reads one JSON value; an empty body is an empty object, as some clients send it.
func decode(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errText
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, errors.New("it is not an object")
	}
	if halved(body) {
		return nil, errText
	}
	return v, nil
}

// halved reports whether valid JSON has half a character, as \ud800 without its other half is. encoding/json reads each as U+FFFD, so that two names which
// differ there alone would be one.
func halved(body []byte) bool {
	for i := bytes.IndexByte(body, '\\'); i >= 0 && i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		if i++; body[i] != 'u' {
			continue
		}
		half := escaped(body[i-1:])
		switch {
		case !utf16.IsSurrogate(half):
		case utf16.DecodeRune(half, escaped(body[i+5:])) == utf8.RuneError:
			return true
		default:
			i += 6 // the other half
		}
	}
	return false
}

// escaped is the character of an escape such as \u00e4 at the beginning of b, U+FFFD where there is none.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// cleaner walks through a value along its shape.
type cleaner struct {
	model      *Model
	mistyped   string // the first value of a wrong type
	violations []violation
}

// value returns v without what the model does not know. It goes on after the first violation, and stops at a wrong type.
func (c *cleaner) value(shape, path string, v any) any {
	s := c.model.Shapes[shape]
	switch s.Type {
	case "structure":
		return c.structure(s, path, v)
	case "list":
		return c.list(s, path, v)
	case "map":
		return c.entries(s, path, v)
	case "document":
		return v
	}
	if m := scalarFault(s, v); m != "" {
		c.wrong(path, m)
		return v
	}
	for _, broken := range s.broken(v) {
		c.violations = append(c.violations, violation{path, broken})
	}
	return plain(s, v)
}

// plain writes a whole number without its fraction or exponent, as which encoding/json would not take it.
func plain(s Shape, v any) any {
	if s.Type == "integer" || s.Type == "long" {
		n, _ := whole(v)
		return n
	}
	return v
}

func (c *cleaner) wrong(path, want string) {
	if c.mistyped == "" {
		c.mistyped = "Value at '" + path + "' must be " + want + "."
	}
}

func (c *cleaner) structure(s Shape, path string, v any) any {
	given, ok := v.(map[string]any)
	if !ok {
		c.wrong(path, "an object")
		return v
	}
	out := make(map[string]any, len(given))
	for _, name := range sortedKeys(s.Members) {
		at := under(path, lowerFirst(name))
		value := given[name]
		if value == nil {
			if slices.Contains(s.Required, name) {
				c.violations = append(c.violations, violation{at, notNull})
			}
			continue
		}
		out[name] = c.value(s.Members[name], at, value)
	}
	return out
}

func (c *cleaner) list(s Shape, path string, v any) any {
	given, ok := v.([]any)
	if !ok {
		c.wrong(path, "a list")
		return v
	}
	c.size(s, path, len(given))
	element := c.model.Shapes[s.Element]
	out := make([]any, 0, len(given))
	for i, value := range given {
		if len(c.violations) > maxCounted {
			break
		}
		switch {
		case value == nil:
			c.wrong(fmt.Sprintf("%s.%d.member", path, i+1), "something: null is not")
		case element.scalar():
			out = append(out, c.inside(element, path, "Member", value))
		default:
			out = append(out, c.value(s.Element, fmt.Sprintf("%s.%d.member", path, i+1), value))
		}
	}
	return out
}

func (c *cleaner) entries(s Shape, path string, v any) any {
	given, ok := v.(map[string]any)
	if !ok {
		c.wrong(path, "an object")
		return v
	}
	c.size(s, path, len(given))
	key, element := c.model.Shapes[s.Key], c.model.Shapes[s.Value]
	out := make(map[string]any, len(given))
	for _, name := range sortedKeys(given) {
		if given[name] == nil {
			continue
		}
		c.inside(key, path, "Map keys", name)
		if element.scalar() {
			out[name] = c.inside(element, path, "Map value", given[name])
		} else {
			out[name] = c.value(s.Value, under(path, name+".member"), given[name])
		}
	}
	return out
}

// inside checks a scalar that has no path of its own: the original reports it at the path of its list or map, once.
func (c *cleaner) inside(s Shape, path, which string, v any) any {
	if m := scalarFault(s, v); m != "" {
		c.wrong(path, "made of values of which each is "+m)
		return v
	}
	if len(s.broken(v)) > 0 {
		found := violation{path, which + " must satisfy constraint: [" + s.constraints() + "]"}
		if !slices.Contains(c.violations, found) {
			c.violations = append(c.violations, found)
		}
	}
	return plain(s, v)
}

func (c *cleaner) size(s Shape, path string, n int) {
	for _, broken := range s.outOfBounds(n, "length") {
		c.violations = append(c.violations, violation{path, broken})
	}
}

// scalarFault says what v should have been, "" where it is that.
func scalarFault(s Shape, v any) string {
	ok := false
	switch s.Type {
	case "string":
		_, ok = v.(string)
	case "boolean":
		_, ok = v.(bool)
	case "blob":
		text, isText := v.(string)
		_, err := base64.StdEncoding.DecodeString(text)
		if ok = isText && err == nil; !ok {
			return "base64 text"
		}
	case "integer", "long":
		if _, ok = whole(v); !ok {
			return "a whole number"
		}
	case "timestamp":
		_, ok = v.(json.Number)
		if !ok {
			return "a number of seconds since 1970"
		}
	}
	if ok {
		return ""
	}
	return "a " + s.Type
}

// whole is the value of a number without a fraction: 3 and 3.0, which languages with one kind of number send.
func whole(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}
