package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of group rules.
const (
	groupExact  = "exact"
	groupPrefix = "prefix"
	groupRegex  = "regex"
	groupCN     = "cn"
	groupID     = "id"
	groupValue  = "value"
)

// groupRule is one line: group <- kind ["fold"] texts.
type groupRule struct {
	line, column int // of the group's name
	text         string
	kind         string
	fold         bool
	name         string // the group, where static
	static       bool
	template     []part
	texts        []string
	under        []string // the canonical RDNs that a DN has to end with
	pattern      *regexp.Regexp
	literal      string // that every match of pattern begins with
	size         int    // of the compiled pattern, in instructions
}

// part is a literal of a group's name, or a reference where ref >= 0.
type part struct {
	literal string
	ref     int
}

// token is a word or a text of a line.
type token struct {
	text   string
	column int
	quoted bool
}

// groupFaulty is a fault at a column.
type groupFaulty struct {
	column  int
	problem string
}

func (f *groupFaulty) Error() string { return f.problem }

func faultAt(column int, format string, args ...any) error {
	return &groupFaulty{column, fmt.Sprintf(format, args...)}
}

// parseGroupRules reads the rules, one a line, and returns every fault.
func parseGroupRules(text string) (rules []groupRule, faults []GroupFault) {
	if !utf8.ValidString(text) {
		return nil, []GroupFault{{Problem: "is not UTF-8 text"}}
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		r, err := parseGroupRule(line)
		if f := (*groupFaulty)(nil); errors.As(err, &f) {
			faults = append(faults, GroupFault{Line: i + 1, Column: f.column, Problem: f.problem})
		} else if r.kind != "" {
			r.line = i + 1
			rules = append(rules, r)
		}
		if len(faults) == maxGroupFaults {
			return nil, faults
		}
	}
	switch {
	case len(rules) > maxGroupRules:
		faults = append(faults, GroupFault{Problem: fmt.Sprintf("%d rules, at most %d are possible: a rule takes several texts, and regex covers names of one form", len(rules), maxGroupRules)})
	case len(rules) == 0 && len(faults) == 0:
		faults = append(faults, GroupFault{Problem: `has no rule: want lines such as staff <- exact "Staff"`})
	}
	return rules, faults
}

const groupForm = `want group <- exact "…", prefix "…", regex "^…$", cn "…", id … or value`

// parseGroupRule reads a line; one without a rule gives a rule without a kind.
func parseGroupRule(line string) (groupRule, error) {
	if n := utf8.RuneCountInString(line); n > maxGroupLine {
		return groupRule{}, faultAt(maxGroupLine+1, "the line is longer than %d characters: make several of it, each for the same group", maxGroupLine)
	}
	tokens, err := tokens(line)
	if err != nil || len(tokens) == 0 {
		return groupRule{}, err
	}
	r := groupRule{column: tokens[0].column, text: strings.TrimSpace(line)}
	end := tokens[0].column + utf8.RuneCountInString(tokens[0].text)
	switch {
	case len(tokens) < 2 || tokens[1].quoted || tokens[1].text != "<-":
		if len(tokens) > 1 {
			end = tokens[1].column
		}
		return r, faultAt(end, "no <- behind the group's name, with a space on either side: %s", groupForm)
	case len(tokens) < 3:
		return r, faultAt(tokens[1].column+2, "no rule behind <-: %s", groupForm)
	}
	if err := r.arguments(tokens[2], tokens[3:]); err != nil {
		return r, err
	}
	return r, r.compileName(tokens[0])
}

// tokens splits a line. A text stands in " or in ', and nothing in it is escaped: so a backslash is one, in names of Windows domains and in
// regular expressions.
func tokens(line string) ([]token, error) {
	var out []token
	for rest, column := line, 1; ; {
		trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
		column += utf8.RuneCountInString(rest) - utf8.RuneCountInString(trimmed)
		if rest = trimmed; rest == "" || rest[0] == '#' {
			return out, nil
		}
		t := token{column: column}
		size := strings.IndexFunc(rest, unicode.IsSpace)
		if size < 0 {
			size = len(rest)
		}
		t.text = rest[:size]
		if rest[0] == '"' || rest[0] == '\'' {
			end := strings.IndexByte(rest[1:], rest[0])
			if end < 0 {
				return nil, faultAt(column, "the text does not end: there is no second %c", rest[0])
			}
			t.text, t.quoted, size = rest[1:end+1], true, end+2
			if after := rest[size:]; after != "" && !unicode.IsSpace(rune(after[0])) {
				return nil, faultAt(column+utf8.RuneCountInString(rest[:size]), "want a space behind the text; a text with %c in it stands in the other quotes", rest[0])
			}
		}
		if strings.ContainsFunc(t.text, unicode.IsControl) {
			return nil, faultAt(column, "a control character")
		}
		out = append(out, t)
		column += utf8.RuneCountInString(rest[:size])
		rest = rest[size:]
	}
}

// arguments reads what is behind the arrow.
func (r *groupRule) arguments(kind token, rest []token) error {
	r.kind = kind.text
	if kind.quoted || !slices.Contains([]string{groupExact, groupPrefix, groupRegex, groupCN, groupID, groupValue}, r.kind) {
		return faultAt(kind.column, "%.40q is no kind of rule: %s", kind.text, groupForm)
	}
	if len(rest) > 0 && !rest[0].quoted && rest[0].text == "fold" {
		if r.kind == groupID || r.kind == groupValue {
			return faultAt(rest[0].column, "fold is for exact, prefix, regex and cn")
		}
		r.fold, rest = true, rest[1:]
	}
	for i := 0; i < len(rest); i++ {
		t := rest[i]
		switch {
		case r.kind == groupCN && !t.quoted && t.text == "under" && i == len(rest)-2 && rest[i+1].quoted:
			rdns, ok := canonicalRDNs(rest[i+1].text)
			if !ok || len(rdns) == 0 {
				return faultAt(rest[i+1].column, `is not a distinguished name: want one such as "OU=Groups,DC=corp,DC=example"`)
			}
			r.under = rdns
			i++
		case r.kind == groupCN && !t.quoted && t.text == "under":
			return faultAt(t.column, `under stands last, with one distinguished name in quotes behind it`)
		case strings.HasSuffix(t.text, ",") && !t.quoted:
			return faultAt(t.column, "texts are separated by spaces, without commas")
		case !t.quoted && r.kind != groupID:
			return faultAt(t.column, `a text stands in quotes: "%.40s"`, t.text)
		case t.text == "":
			return faultAt(t.column, "the text is empty")
		case len(t.text) > maxGroupValue:
			return faultAt(t.column, "the text is longer than %d bytes: no value is", maxGroupValue)
		default:
			r.texts = append(r.texts, t.text)
		}
	}
	return r.checkTexts(kind, rest)
}

// checkTexts checks how many texts there are, and compiles a regular expression.
func (r *groupRule) checkTexts(kind token, rest []token) error {
	end := kind.column + len(kind.text)
	switch {
	case r.kind == groupValue && len(rest) > 0:
		return faultAt(rest[0].column, "value takes no text: it is for every value of the claim")
	case r.kind == groupValue, r.kind == groupCN:
		return nil
	case len(r.texts) == 0:
		return faultAt(end, "no text behind %s", r.kind)
	case r.kind == groupRegex && len(r.texts) > 1:
		return faultAt(rest[len(rest)-1].column, "regex takes one text: write another line, or | within (?: )")
	case r.kind == groupRegex:
		if err := r.compilePattern(); err != nil {
			return faultAt(rest[len(rest)-1].column, "%v", err)
		}
	}
	return nil
}

// compilePattern compiles a regular expression, which has to say where it begins and ends: one that is found somewhere in a value would take
// not-admins for admins.
func (r *groupRule) compilePattern() error {
	flags := syntax.Perl
	source := r.texts[0]
	if r.fold {
		source = "(?i)" + source
	}
	tree, err := syntax.Parse(source, flags)
	if err != nil {
		return err
	}
	if !anchored(tree) {
		return errors.New("the regular expression must begin with ^ and end with $, around everything: ^(?:a|b)$")
	}
	r.literal = literalPrefix(tree)
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return err
	}
	if r.size = len(program.Inst); r.size > maxPattern {
		return fmt.Errorf("the regular expression is too large: %d instructions, at most %d are possible", r.size, maxPattern)
	}
	r.pattern, err = regexp.Compile(source)
	return err
}

// anchored reports whether the expression can match a whole value only.
func anchored(tree *syntax.Regexp) bool {
	for tree.Op == syntax.OpCapture {
		tree = tree.Sub[0]
	}
	return tree.Op == syntax.OpConcat && len(tree.Sub) > 1 && tree.Sub[0].Op == syntax.OpBeginText && tree.Sub[len(tree.Sub)-1].Op == syntax.OpEndText
}

// literalPrefix returns the text that every match begins with, as far as it is plain to see.
func literalPrefix(tree *syntax.Regexp) string {
	for tree.Op == syntax.OpCapture {
		tree = tree.Sub[0]
	}
	if next := tree.Sub[1]; next.Op == syntax.OpLiteral && next.Flags&syntax.FoldCase == 0 {
		return string(next.Rune)
	}
	return ""
}

// compileName reads the group's name: text with $0, which is what the rule took (of cn the name, otherwise the value), and $1 to $9, the rest
// behind a prefix or the groups of a regular expression. \1 is the same as $1, and $$ a dollar sign.
func (r *groupRule) compileName(name token) error {
	refs := 0
	switch r.kind {
	case groupPrefix:
		refs = 1
	case groupRegex:
		refs = r.pattern.NumSubexp()
	}
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			r.template = append(r.template, part{literal.String(), -1})
			literal.Reset()
		}
	}
	r.static = true
	for s := name.text; s != ""; {
		ref, size := reference(s)
		switch {
		case strings.HasPrefix(s, "$$"):
			literal.WriteByte('$')
			size = 2
		case size == 0 && s[0] == '$':
			return faultAt(name.column, "$ in a group's name is followed by a digit; a dollar sign is $$")
		case size == 0:
			literal.WriteByte(s[0])
			size = 1
		case ref > refs:
			return faultAt(name.column, "$%d: the rule has %d", ref, refs)
		default:
			flush()
			r.template, r.static = append(r.template, part{ref: ref}), false
		}
		s = s[size:]
	}
	flush()
	switch {
	case len(r.template) == 0:
		return faultAt(name.column, "the group's name is empty")
	case r.static && (r.kind == groupValue || r.kind == groupCN && len(r.texts) == 0 && r.under == nil):
		return faultAt(name.column, "whoever has any value would be in the group: want $0 in its name, which is the value")
	case r.static:
		r.name = r.template[0].literal
		if n := utf8.RuneCountInString(r.name); n > maxGroupName || strings.ContainsFunc(r.name, unicode.IsSpace) {
			return faultAt(name.column, "a group's name has 1 to %d characters and no space", maxGroupName)
		}
	}
	return nil
}

// reference reads $1, ${1} or \1 at the beginning of s. size is 0 where there is none.
func reference(s string) (ref, size int) {
	digit := func(i int) bool { return i < len(s) && s[i] >= '0' && s[i] <= '9' }
	switch {
	case (s[0] == '$' || s[0] == '\\') && digit(1):
		return int(s[1] - '0'), 2
	case strings.HasPrefix(s, "${") && digit(2) && len(s) > 3 && s[3] == '}':
		return int(s[2] - '0'), 4
	}
	return 0, 0
}
