package mapping

import (
	"regexp"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// compiledPatterns have the functions of regular expressions use a pattern (RE2: time is linear in the text) that was compiled with the rule.
func compiledPatterns() []*interpreter.RegexOptimization {
	return []*interpreter.RegexOptimization{
		compiled("matches", func(re *regexp.Regexp, args []string) ref.Val { return types.Bool(re.MatchString(args[0])) }),
		compiled("regex.extract", extract), compiled("regex.extractAll", extractAll), compiled("regex.replace", replacePattern),
	}
}

func compiled(function string, use func(*regexp.Regexp, []string) ref.Val) *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{Function: function, RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
			re, err := regexp.Compile(pattern)
			if err != nil {
				return nil, err
			}
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
				texts := make([]string, len(args))
				for i, a := range args {
					text, ok := a.(types.String)
					if !ok {
						return types.MaybeNoSuchOverloadErr(a)
					}
					if texts[i] = string(text); len(text) > maxText {
						return errText
					}
				}
				return use(re, texts)
			}), nil
		}}
}

// late stands for a function whose pattern is compiled with the rule, which every one is: see expression.call.
func late(...ref.Val) ref.Val { return types.NewErr("the regular expression is not compiled") }

func late2(_, _ ref.Val) ref.Val { return late() }

// extract is the first match, or its group where there is one.
func extract(re *regexp.Regexp, args []string) ref.Val {
	m := re.FindStringSubmatch(args[0])
	if m == nil || (len(m) > 1 && m[1] == "") {
		return types.OptionalNone
	}
	return types.OptionalOf(types.String(m[len(m)-1]))
}

// extractAll is all matches, or their groups. Groups that match nothing are left out.
func extractAll(re *regexp.Regexp, args []string) ref.Val {
	out := []string{}
	for _, m := range re.FindAllStringSubmatch(args[0], -1) {
		if last := m[len(m)-1]; len(m) == 1 || last != "" {
			out = append(out, last)
		}
	}
	return types.NewStringList(types.DefaultTypeAdapter, out)
}

// replacePattern replaces all matches. In the replacement \1 to \9 are groups, \0 is the match and \\ is a backslash.
func replacePattern(re *regexp.Regexp, args []string) ref.Val {
	text, with := args[0], args[2]
	var b strings.Builder
	end := 0
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:m[0]])
		for i := 0; i < len(with); i++ {
			if with[i] != '\\' {
				b.WriteByte(with[i])
				continue
			}
			i++
			switch group := group(with, i); {
			case i < len(with) && with[i] == '\\':
				b.WriteByte('\\')
			case group < 0 || 2*group >= len(m):
				return types.NewErr("the replacement names a group that is not there")
			case m[2*group] >= 0:
				b.WriteString(text[m[2*group]:m[2*group+1]])
			}
			if b.Len() > maxText {
				return errText
			}
		}
		if end = m[1]; b.Len() > maxText {
			return errText
		}
	}
	b.WriteString(text[end:])
	return types.String(b.String())
}

// group is the digit of s at i, or -1.
func group(s string, i int) int {
	if i < len(s) && s[i] >= '0' && s[i] <= '9' {
		return int(s[i] - '0')
	}
	return -1
}
