package page

import (
	"strings"
	"unicode"
)

// maxName bounds a shown name, in code points. The API model allows 128 for a client's name and 32 for a provider's.
const maxName = 128

// displayName returns name as it is safe to show: without control, format and invisible characters, among them the bidirectional
// overrides that make one name read as another (Unicode UTS 39 and UAX 9 section 2), with single
// spaces, and bounded. The zero-width joiner and non-joiner stay, since Persian, Indic scripts and emoji need them.
// Templates put names in <bdi>, so that a right-to-left name does not reorder the sentence around it.
func displayName(name string) string {
	const zwnj, zwj = '\u200c', '\u200d'
	var b strings.Builder
	n, space := 0, false
	for _, c := range strings.ToValidUTF8(name, "\ufffd") {
		switch {
		case unicode.IsSpace(c):
			space = n > 0
			continue
		case c == zwnj || c == zwj:
		case !unicode.IsGraphic(c), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c):
			continue
		}
		if n >= maxName {
			b.WriteRune('…')
			break
		}
		if space {
			b.WriteByte(' ')
			n++
		}
		b.WriteRune(c)
		n, space = n+1, false
	}
	return b.String()
}

// initial returns the letter of the mark in front of a provider's name: the first letter or digit, or empty.
func initial(name string) string {
	for _, c := range name {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return string(unicode.ToUpper(c))
		}
	}
	return ""
}
