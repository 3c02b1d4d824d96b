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

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

const (
	maxWhole    = 1 << 53 // up to which a float64 holds each whole number
	maxElements = 10_000  // of an expression's value, within each other
)

// Provider is what an expression sees of the identity provider.
type Provider struct {
	Name string
	Type string // ProviderType of the API model
}

// Input is all that rules see.
type Input struct {
	Claims   Claims
	Provider Provider
	User     map[string]string // the attributes that are stored; none of somebody who is new
	First    bool              // the identity has not signed in before
	Edited   []string          // the attributes whose value an administrator wrote last
}

// variables are an Input as CEL asks for it. A claim is turned into a value of CEL when the first expression names it.
type variables struct {
	in     *Input
	claims map[string]any // of ref.Val
}

// show makes the claims that e reads available.
func (v *variables) show(e *expression) {
	if v.claims == nil {
		v.claims = make(map[string]any, 8)
	}
	if e.whole {
		for name := range v.in.Claims {
			v.add(name)
		}
		return
	}
	for _, name := range e.claims {
		v.add(name)
	}
}

func (v *variables) add(name string) {
	if _, known := v.claims[name]; known {
		return
	}
	if c, ok := v.in.Claims[name]; ok {
		left := maxElements
		v.claims[name] = fromJSON(c, 1, &left)
	}
}

// ResolveName returns a variable of expressions.
func (v *variables) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		return v.claims, true
	case "user":
		return v.in.User, true
	case "provider.name":
		return v.in.Provider.Name, true
	case "provider.type":
		return v.in.Provider.Type, true
	}
	return nil, false
}

// Parent returns nil: there are no variables but these.
func (*variables) Parent() cel.Activation { return nil }

// fromJSON returns v as a value of CEL. left is how many elements it may still have. What is too much, or no JSON, is an error, on which an
// expression fails that reads it.
func fromJSON(v any, depth int, left *int) ref.Val {
	switch *left--; {
	case *left < 0:
		return types.NewErr("a list is too long")
	case depth > maxDepth+1:
		return types.NewErr("a claim is nested too deep")
	}
	switch v := v.(type) {
	case nil:
		return types.NullValue
	case bool:
		return types.Bool(v)
	case json.Number:
		return number(string(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < maxWhole {
			return types.Int(v)
		}
		return types.Double(v)
	case string:
		switch {
		case len(v) > maxText:
			return errText
		case !utf8.ValidString(v):
			return types.NewErr("a text is not UTF-8")
		}
		return types.String(v)
	case []any:
		if len(v) > *left {
			return types.NewErr("a list is too long")
		}
		list := make([]ref.Val, len(v))
		for i, e := range v {
			if list[i] = fromJSON(e, depth+1, left); types.IsError(list[i]) {
				return list[i]
			}
		}
		return types.NewRefValList(types.DefaultTypeAdapter, list)
	case map[string]any:
		if len(v) > *left {
			return types.NewErr("a list is too long")
		}
		object := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) { // so that of two errors it is always the same one
			member := fromJSON(v[name], depth+1, left)
			if types.IsError(member) {
				return member
			}
			object[name] = member
		}
		return ordered{types.NewStringInterfaceMap(types.DefaultTypeAdapter, object)}
	}
	return types.NewErr("a claim is no JSON")
}

// prices are those of functions that go over a whole text or list: of ours, and of what CEL's own model takes for a trifle.
type prices struct{}

// CallCost returns the price of a call, nil for that of CEL's model.
func (prices) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	n := uint64(1)
	switch function {
	case "@in":
		n += extent(args[1], 10)
	case "size":
		if text, ok := args[0].(types.String); ok {
			n += uint64(len(text)) / 10
		}
	case "regex.extract", "regex.extractAll", "regex.replace", "matches":
		n += extent(args[0], 4) + extent(result, 10)
	case "join", "sort", "distinct", "split", "replace", "substring", "trim", "lower", "upper", "lowerAscii", "upperAscii":
		n += extent(args[0], 10) + extent(result, 10)
	default:
		return nil
	}
	return &n
}

// extent is how much there is to go over: the elements of a list, the characters of a text by so many.
func extent(v ref.Val, by uint64) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v)) / by
	case traits.Lister:
		if size, ok := v.Size().(types.Int); ok && size > 0 {
			return uint64(size)
		}
	}
	return 0
}

// number is a JSON number: whole numbers stay whole. One that would lose digits on the way is an error and never another number.
func number(s string) ref.Val {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(n)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !strings.ContainsAny(s, ".eE") {
		return types.NewErr("a number is too large for an expression")
	}
	return types.Double(f)
}

// evaluate returns the expression's value in JSON's types, nil for null and an empty optional. Errors say where, and quote no value.
func (e *expression) evaluate(v *variables) (any, error) {
	v.show(e)
	out, _, err := e.program.Eval(v)
	if err != nil {
		return nil, e.failure(err)
	}
	left := maxElements
	return toJSON(out, 1, &left)
}

// hints are the sentences for CEL's errors, by how those begin: they may quote values, and a trace may not.
var hints = []struct{ prefix, hint string }{
	{"no such key", "a claim or key is absent; .? with orValue, or has, say what then"},
	{"no such attribute", "a claim or key is absent; .? with orValue, or has, say what then"},
	{"optional.none() dereference", "a claim or key is absent; orValue says what then"},
	{"no such overload", "a value is of another type than the function or operator takes"},
	{"unsupported index type", "a value is of another type than an index"},
	{"index out of bounds", "the list has no such element"},
	{"divi", "division by zero"},
	{"modulus", "division by zero"},
	{"a text is not", "a value is not UTF-8 text"},
	{"a number is too", "a number is too large for an expression"},
	{"a list is too", "a list is too long"},
	{"the replacement", "the replacement names a group that is not there"},
	{"a claim is nested", "a claim is nested too deep"},
	{"the text is too long", "a text is too long"},
}

// failure makes of an error of CEL one that says where and why, in words of ours.
func (e *expression) failure(err error) error {
	if cancelled := (interpreter.EvalCancelledError{}); errors.As(err, &cancelled) {
		return errors.New("the expression costs too much with these claims")
	}
	where := ""
	if failed := (*types.Err)(nil); errors.As(err, &failed) {
		where = e.place(failed.NodeID())
	}
	for _, h := range hints {
		if strings.HasPrefix(err.Error(), h.prefix) {
			return errors.New(where + h.hint)
		}
	}
	return errors.New(where + "the expression has no value with these claims")
}

// toJSON returns v in JSON's types. left is how many elements it may still have.
func toJSON(v ref.Val, depth int, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errTooLong
	}
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch v := v.(type) {
	case types.Null:
		return nil, nil //nolint:nilnil // JSON's null
	case types.String:
		return string(v), nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return json.Number(strconv.FormatInt(int64(v), 10)), nil
	case types.Double:
		return float64(v), nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil //nolint:nilnil // JSON's null
		}
		return toJSON(v.GetValue(), depth, left)
	case traits.Mapper:
		return objectOf(v, depth, left)
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			e, err := toJSON(it.Next(), depth+1, left)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	}
	return nil, errNotText
}

func objectOf(m traits.Mapper, depth int, left *int) (any, error) {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errNotText
		}
		v, err := toJSON(m.Get(key), depth+1, left)
		if err != nil {
			return nil, err
		}
		out[string(name)] = v
	}
	return out, nil
}
