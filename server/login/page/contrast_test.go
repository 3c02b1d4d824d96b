package page_test

import (
	"maps"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance is the relative luminance of "#rrggbb" (WCAG 2.2).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("not a colour: %q", colour)
	}
	channel := func(shift uint) float64 {
		c := float64(v>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

var property = regexp.MustCompile(`--([a-z0-9-]+):\s*(#[0-9a-f]{6});`)

// schemes reads the custom properties of the light and of the dark scheme.
func schemes(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	css, err := os.ReadFile("assets/weir.css")
	if err != nil {
		t.Fatal(err)
	}
	const media = "@media (prefers-color-scheme: dark)"
	before, after, ok := strings.Cut(string(css), media)
	if !ok {
		t.Fatal("no dark scheme")
	}
	block, _, _ := strings.Cut(after, "\n}\n")
	read := func(s string) map[string]string {
		out := map[string]string{}
		for _, m := range property.FindAllStringSubmatch(s, -1) {
			out[m[1]] = m[2]
		}
		return out
	}
	light = read(before)
	dark = maps.Clone(light)
	maps.Copy(dark, read(block))
	for name := range light {
		if light[name] == dark[name] {
			t.Errorf("--%s has no dark value", name)
		}
	}
	return light, dark
}

func TestContrast(t *testing.T) {
	light, dark := schemes(t)
	pairs := []struct {
		fore, back string
		least      float64 // WCAG 2.2: text 4.5 (1.4.3), the edge of a field and the focus ring 3 (1.4.11)
	}{
		{"ink", "card", 4.5},
		{"ink", "hover", 4.5},
		{"ink", "mark", 4.5}, // a pressed button
		{"muted", "card", 4.5},
		{"muted", "hover", 4.5}, // the notice
		{"on-mark", "mark", 4.5},
		{"on-accent", "accent", 4.5},
		{"on-accent", "accent-hover", 4.5},
		{"problem", "card", 4.5},
		{"field-line", "card", 3},
		{"accent", "card", 3},
		{"focus", "card", 3},
		{"problem", "card", 3},
	}
	for scheme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, p := range pairs {
			got := contrast(t, colours[p.fore], colours[p.back])
			t.Logf("%s: %s on %s: %.2f", scheme, p.fore, p.back, got)
			if got < p.least {
				t.Errorf("%s: %s on %s has %.2f, at least %.1f is needed", scheme, p.fore, p.back, got, p.least)
			}
		}
	}
}

func TestContrastIsComputedAsWCAGDoes(t *testing.T) {
	if got := contrast(t, "#ffffff", "#000000"); math.Abs(got-21) > 1e-9 {
		t.Errorf("black on white: %f", got)
	}
	if got := contrast(t, "#777777", "#ffffff"); math.Abs(got-4.478) > 0.001 {
		t.Errorf("#777 on white: %f", got)
	}
}

// Colours stand only at the top, so that a brand can replace them all.
func TestColoursAreCustomProperties(t *testing.T) {
	css, err := os.ReadFile("assets/weir.css")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, ok := strings.Cut(string(css), "*, *::before")
	if !ok {
		t.Fatal("where do the rules begin?")
	}
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(`).FindAllString(rules, -1); found != nil {
		t.Errorf("colours in rules: %v", found)
	}
}
