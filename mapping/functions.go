package mapping

import (
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxText is how long, in bytes, a text may be that a function takes or makes: many times what an attribute holds. CEL counts what a call cost
// when it is over, so each function stops by itself. See prices for what they cost.
const maxText = 16 << 10

var errText = types.NewErr("the text is too long")

// ownFunctions are the functions besides CEL's standard ones. Those of CEL's libraries have their names and meaning, but for
// substring, which has no errors; first, list and join are for
// claims that are one value or a list by how many a person happens to have, lower and upper for names that are not ASCII.
func ownFunctions(env *cel.Env) (*cel.Env, error) {
	text, texts, dyns := cel.StringType, cel.ListType(cel.StringType), cel.ListType(cel.DynType)
	var err error
	for _, o := range []cel.EnvOption{
		cel.Function("first", cel.Overload("first_dyn", []*cel.Type{cel.DynType}, cel.OptionalType(cel.DynType), cel.UnaryBinding(first))),
		cel.Function("list", cel.Overload("list_dyn", []*cel.Type{cel.DynType}, dyns, cel.UnaryBinding(asList))),
		cel.Function("join", cel.Overload("join_dyn", []*cel.Type{cel.DynType, text}, text, cel.BinaryBinding(join)),
			cel.MemberOverload("list_join", []*cel.Type{dyns, text}, text, cel.BinaryBinding(join))),
		change("lower", strings.ToLower), change("upper", strings.ToUpper), change("lowerAscii", lowerASCII), change("upperAscii", upperASCII),
		change("trim", strings.TrimSpace),
		cel.Function("replace", cel.MemberOverload("string_replace", []*cel.Type{text, text, text}, text, cel.FunctionBinding(replace))),
		cel.Function("split", cel.MemberOverload("string_split", []*cel.Type{text, text}, texts, cel.BinaryBinding(split))),
		cel.Function("substring", cel.MemberOverload("string_substring", []*cel.Type{text, cel.IntType}, text, cel.FunctionBinding(substring)),
			cel.MemberOverload("string_substring_end", []*cel.Type{text, cel.IntType, cel.IntType}, text, cel.FunctionBinding(substring))),
		cel.Function("sort", cel.MemberOverload("list_sort", []*cel.Type{dyns}, dyns, cel.UnaryBinding(sorted))),
		cel.Function("distinct", cel.MemberOverload("list_distinct", []*cel.Type{dyns}, dyns, cel.UnaryBinding(distinct))),
		cel.Function("regex.extract", cel.Overload("regex_extract", []*cel.Type{text, text}, cel.OptionalType(text), cel.BinaryBinding(late2))),
		cel.Function("regex.extractAll", cel.Overload("regex_extract_all", []*cel.Type{text, text}, texts, cel.BinaryBinding(late2))),
		cel.Function("regex.replace", cel.Overload("regex_replace", []*cel.Type{text, text, text}, text, cel.FunctionBinding(late))),
	} {
		if env, err = o(env); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// change is a method that makes another text of a text.
func change(name string, f func(string) string) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(func(v ref.Val) ref.Val {
		s := string(v.(types.String))
		if len(s) > maxText {
			return errText
		}
		return types.String(f(s))
	})))
}

func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}, s)
}

// asList is x as a list: of one where it is a plain value, of none where it is null or an empty optional.
func asList(x ref.Val) ref.Val {
	switch x := x.(type) {
	case *types.Optional:
		if !x.HasValue() {
			return types.NewRefValList(types.DefaultTypeAdapter, nil)
		}
		return asList(x.GetValue())
	case types.Null:
		return types.NewRefValList(types.DefaultTypeAdapter, nil)
	case traits.Lister:
		return x
	}
	return types.NewRefValList(types.DefaultTypeAdapter, []ref.Val{x})
}

// each calls f for the elements of list(x) that are not null until it returns an error of CEL.
func each(x ref.Val, f func(ref.Val) ref.Val) ref.Val {
	left := maxElements
	for it := asList(x).(traits.Lister).Iterator(); it.HasNext() == types.True; {
		v := it.Next()
		switch left--; {
		case types.IsUnknownOrError(v):
			return v
		case left < 0:
			return types.NewErr("a list is too long")
		case v.Type() == types.NullType:
			continue
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// first is the first element of list(x) that is not null, if there is one.
func first(x ref.Val) ref.Val {
	for it := asList(x).(traits.Lister).Iterator(); it.HasNext() == types.True; {
		switch v := it.Next(); {
		case types.IsUnknownOrError(v):
			return v
		case v.Type() != types.NullType:
			return types.OptionalOf(v)
		}
	}
	return types.OptionalNone
}

// join is the elements of list(x) with a separator between them. null and the empty text are left out.
func join(x, separator ref.Val) ref.Val {
	var b strings.Builder
	err := each(x, func(v ref.Val) ref.Val {
		switch v.Type() {
		case types.StringType, types.BoolType, types.IntType, types.DoubleType:
			v = v.ConvertToType(types.StringType)
		}
		text, ok := v.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(v)
		}
		if text == "" {
			return nil
		}
		if b.Len() > 0 {
			b.WriteString(string(separator.(types.String)))
		}
		if b.WriteString(string(text)); b.Len() > maxText {
			return errText
		}
		return nil
	})
	if err != nil {
		return err
	}
	return types.String(b.String())
}

// replace is s.replace(old, new).
func replace(args ...ref.Val) ref.Val {
	s, from, to := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
	if len(s) > maxText || len(s)+strings.Count(s, from)*(len(to)-len(from)) > maxText {
		return errText
	}
	return types.String(strings.ReplaceAll(s, from, to))
}

func split(s, separator ref.Val) ref.Val {
	if len(s.(types.String)) > maxText {
		return errText
	}
	return types.NewStringList(types.DefaultTypeAdapter, strings.Split(string(s.(types.String)), string(separator.(types.String))))
}

// substring is s.substring(start) and s.substring(start, end), in characters from 0. What lies outside of the text is empty and no error.
func substring(args ...ref.Val) ref.Val {
	s := string(args[0].(types.String))
	if len(s) > maxText {
		return errText
	}
	length := int64(utf8.RuneCountInString(s))
	end := length
	if len(args) > 2 {
		end = int64(args[2].(types.Int))
	}
	start := min(max(int64(args[1].(types.Int)), 0), length)
	end = min(max(end, start), length)
	return types.String(string([]rune(s)[start:end]))
}

// sorted is a list of texts, or of numbers, in order.
func sorted(x ref.Val) ref.Val {
	var out []ref.Val
	if err := each(x, func(v ref.Val) ref.Val {
		if _, ok := v.(traits.Comparer); !ok || (len(out) > 0 && types.IsUnknownOrError(v.(traits.Comparer).Compare(out[0]))) {
			return types.MaybeNoSuchOverloadErr(v)
		}
		out = append(out, v)
		return nil
	}); err != nil {
		return err
	}
	slices.SortStableFunc(out, func(a, b ref.Val) int {
		order, _ := a.(traits.Comparer).Compare(b).(types.Int)
		return int(order)
	})
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// distinct is a list of texts, numbers and booleans without what was there before.
func distinct(x ref.Val) ref.Val {
	var out []ref.Val
	seen := map[ref.Val]bool{}
	if err := each(x, func(v ref.Val) ref.Val {
		switch v.(type) {
		case types.String, types.Int, types.Double, types.Bool:
		default:
			return types.MaybeNoSuchOverloadErr(v)
		}
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
		return nil
	}); err != nil {
		return err
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}
