package store

import (
	"bytes"
	"encoding/json"
	"iter"
	"reflect"
	"slices"
	"strings"
)

// origin is the JSON that a value was read from. It may hold secrets in the clear: behind two pointers, which package fmt does not follow
// whatever the verb.
type origin struct{ data *[]byte }

// formOf returns the struct whose JSON is what is stored of v, nil where there is none or none that could be known.
func formOf(v any) reflect.Type {
	var t reflect.Type
	switch v := v.(type) {
	case Stored:
		t = reflect.TypeOf(v.StoredForm())
	case json.Marshaler, json.Unmarshaler: // a form of its own, and no word on its members
		return nil
	default:
		t = reflect.TypeOf(v).Elem()
	}
	if t.Kind() != reflect.Struct { // a map has all its members
		return nil
	}
	return t
}

// keep returns fresh, the JSON of a changed value, with the members of old that this release does not know: those of a newer one, whose nodes
// share the store during a rolling restart (docs/decisions/0034-unknown-members.md). A member that the release knows and did not write is gone: that is what the change was.
// Both are valid JSON. Whoever is not of a newer release pays for the search alone: about a microsecond.
func keep(old, fresh []byte, form reflect.Type) []byte {
	if form == nil {
		return fresh
	}
	var room [64][]byte
	written := room[:0]
	for name := range members(fresh) {
		written = append(written, name)
	}
	out := fresh
	next := 0 // in written; the order of both is nearly always the same
	for name, member := range members(old) {
		if next >= len(written) || !bytes.Equal(written[next], name) {
			i := slices.IndexFunc(written, func(w []byte) bool { return bytes.Equal(w, name) })
			if i < 0 {
				if !knows(form, unquote(name)) {
					out = withMember(out, member, len(written) == 0)
					written = append(written, nil) // so that the next one has a comma
				}
				continue
			}
			next = i
		}
		next++
	}
	return out
}

// withMember returns object with one more member at its end.
func withMember(object, member []byte, only bool) []byte {
	end := bytes.LastIndexByte(object, '}')
	out := append(make([]byte, 0, len(object)+len(member)+1), object[:end]...)
	if !only {
		out = append(out, ',')
	}
	return append(append(out, member...), object[end:]...)
}

// members yields the names of a JSON object's members, as they are written with their quotes, and the whole members. The object has to be valid; of
// anything else it yields what it likes, but ends.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, member []byte) bool) {
		var name []byte
		start, depth := 0, 0
		for i := bytes.IndexByte(object, '{') + 1; i < len(object); i++ {
			switch object[i] {
			case '"':
				end := stringEnd(object, i)
				if depth == 0 && name == nil {
					start, name = i, object[i:end]
				}
				i = end - 1
			case '{', '[':
				depth++
			case '}', ']', ',':
				if depth == 0 && name != nil && !yield(name, bytes.TrimSpace(object[start:i])) {
					return
				}
				if depth == 0 {
					name = nil
				}
				if object[i] != ',' {
					depth--
				}
			}
		}
	}
}

// stringEnd returns where the string that begins at i ends, its closing quote included.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// unquote returns the name that is meant.
func unquote(name []byte) string {
	var s string
	if json.Unmarshal(name, &s) != nil {
		return ""
	}
	return s
}

// knows reports whether values of t have a member of that name, in any case: package encoding/json reads them so.
func knows(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		called, _, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
		case f.Anonymous && called == "" && inner.Kind() == reflect.Struct:
			if knows(inner, name) {
				return true
			}
		case !f.IsExported():
		case called == "" && strings.EqualFold(f.Name, name), called != "" && strings.EqualFold(called, name):
			return true
		}
	}
	return false
}
