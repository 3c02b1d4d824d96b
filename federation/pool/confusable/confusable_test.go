package confusable_test

import (
	"os"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool/confusable"
)

func TestSkeletons(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		alike bool
	}{
		{"Corp", "Corp", true},
		{"paypal", "pаypal", true},          // Cyrillic а
		{"scope", "ѕсоре", true},            // all Cyrillic
		{"Corp", "C0rp", false},             // 0 looks like O, not like o
		{"CORP", "C0RP", true},              //
		{"Modern", "Modem", true},           // rn and m
		{"Okta1", "Oktal", true},            //
		{"OktaI", "Okta|", true},            //
		{"Corp", "C\u034forp", true},        // a combining grapheme joiner is not seen
		{"Corp", "Corp\ufe0f", true},        // a variation selector
		{"Corp", "C\u00adorp", true},        // a soft hyphen
		{"Zoë", "Zoe\u0308", true},          // composed or not
		{"Zoë", "Zoe", false},               //
		{"Corp-A", "Corp\u2010A", true},     // hyphens
		{"Corp", "𝐂𝐨𝐫𝐩", true},              // mathematical bold
		{"Corp", "Crop", false},             //
		{"日本", "曰本", true},                  // sun and say
		{"", "\u200b", true},                // nothing
		{"Entra", "Εntra", true},            // Greek capital epsilon
		{"Riverbank", "Rivеrbаnk", true},    // two Cyrillic letters
		{"Corp", "corp", false},             // case is for the caller
		{"AB", "A\u200dB", true},            // a joiner
		{"office", "oﬃce", true},            // a ligature
		{"Straße", "Straβe", true},          // a Greek beta
		{"\U0010FFFF", "\U0010FFFE", false}, // not characters
	} {
		if got := confusable.Skeleton(c.a) == confusable.Skeleton(c.b); got != c.alike {
			t.Errorf("%q and %q: alike %v, want %v (%q, %q)", c.a, c.b, got, c.alike, confusable.Skeleton(c.a), confusable.Skeleton(c.b))
		}
	}
}

func TestFaultyTables(t *testing.T) {
	for in, want := range map[string]string{
		"0041":            "line 1: no semicolon",
		"# x\n0041 0042;": "line 2: want one character",
		"XY;0041":         "line 1: want one character",
		"0041;":           "line 1: want characters",
		"0041;zz":         "line 1: want characters",
	} {
		if _, err := confusable.Read(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// A skeleton is its own skeleton, whatever the text: otherwise two that look alike could have different keys.
func FuzzSkeleton(f *testing.F) {
	for _, s := range []string{"Corp", "ﬃ", "\u0344", "𝐂", "ǰ", "\xff", "\u212b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := confusable.Skeleton(s)
		if twice := confusable.Skeleton(once); twice != once {
			t.Errorf("%q: %q, then %q", s, once, twice)
		}
	})
}

// What stands for others stands for itself, for every character of the table.
func TestPrototypesAreFinal(t *testing.T) {
	text, err := os.ReadFile("prototypes.txt")
	if err != nil {
		t.Fatal(err)
	}
	table, err := confusable.Read(string(text))
	if err != nil || len(table) < 6000 {
		t.Fatalf("%d characters, %v", len(table), err)
	}
	for r := range table {
		once := confusable.Skeleton(string(r))
		if twice := confusable.Skeleton(once); twice != once {
			t.Errorf("%U: %q, then %q", r, once, twice)
		}
	}
}
