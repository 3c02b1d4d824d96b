// Package confusable tells whether two texts look alike to a person: the skeletons of Unicode Technical Standard 39, section 4.
//
// It owns the table and the transformation, and does not decide what may be named how.
package confusable

//go:generate go run ./gen -from confusables.txt

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed prototypes.txt
var prototypesText string

// prototypes is read when the first name outside ASCII's plain letters is looked at: a process without such a call has no need of it.
var prototypes = sync.OnceValue(func() map[rune]string {
	m, err := Read(prototypesText)
	if err != nil {
		panic("confusable: prototypes.txt, which is part of the program: " + err.Error())
	}
	return m
})

// Read reads a table: lines of a character and its prototype in hexadecimal, with a semicolon between them; # begins a comment. It takes the
// published form as well, which has a class and a comment behind. Errors: what is no such line, with its number.
func Read(text string) (map[rune]string, error) {
	m := map[rune]string{}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		fields := strings.Split(line, ";")
		if len(fields) < 2 {
			return nil, fmt.Errorf("line %d: no semicolon", n)
		}
		from, err := characters(fields[0])
		if err != nil || len(from) != 1 {
			return nil, fmt.Errorf("line %d: want one character in hexadecimal, not %q", n, fields[0])
		}
		to, err := characters(fields[1])
		if err != nil || len(to) == 0 {
			return nil, fmt.Errorf("line %d: want characters in hexadecimal, not %q", n, fields[1])
		}
		m[from[0]] = string(to)
	}
	return m, nil
}

func characters(s string) ([]rune, error) {
	var out []rune
	for f := range strings.FieldsSeq(s) {
		v, err := strconv.ParseInt(f, 16, 32)
		if err != nil {
			return nil, err
		}
		out = append(out, rune(v))
	}
	return out, nil
}

// Skeleton returns what all texts have in common that look like s. It is for comparisons and never shown. Two texts look alike where their
// skeletons are equal; "paypal" and the same with a Cyrillic а do, 0 and O, and m and rn. Case is not folded. Bytes that are not UTF-8 all look alike.
func Skeleton(s string) string {
	table := prototypes()
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToValidUTF8(s, "\uFFFD")) {
		if ignorable(r) {
			continue
		}
		if to, ok := table[r]; ok {
			b.WriteString(to)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFD.String(b.String())
}

// ignorable reports whether a character is shown as nothing at all: those of Default_Ignorable_Code_Point that can be in a text.
func ignorable(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf)
}
