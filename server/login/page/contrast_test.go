package page_test

import (
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/login/page"
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
	light, dark = read(before), read(block)
	if len(dark) != len(light) {
		t.Errorf("%d light and %d dark colours", len(light), len(dark))
	}
	for name := range light {
		if dark[name] == "" {
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

// Of every brand's button the words can be read, under the pointer too, and it can be told from the page: by its fill or by its edge.
func TestContrastOfBrands(t *testing.T) {
	light, dark := schemes(t)
	for scheme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, b := range brands {
			c := strings.ToLower(string(b))
			for _, back := range []string{c, c + "-hover"} {
				if got := contrast(t, colours[c+"-text"], colours[back]); got < 4.5 {
					t.Errorf("%s: %s-text on %s has %.2f", scheme, c, back, got)
				}
				if got := max(contrast(t, colours[c+"-edge"], colours["card"]), contrast(t, colours[back], colours["card"])); got < 3 {
					t.Errorf("%s: neither the edge nor the fill %s is seen: %.2f", scheme, back, got)
				}
			}
		}
	}
}

// A mark of one colour is seen on its button. Those of several are their companies' to choose (logotypes, WCAG 2.2 section 1.4.11).
func TestContrastOfMarks(t *testing.T) {
	light, dark := schemes(t)
	single := 0
	for _, b := range branded {
		doc := render(t, chooser(page.Chooser{Providers: []page.Provider{b}}))
		img, source := named(parse(t, doc), "img"), named(parse(t, doc), "source")
		files := map[string]string{"light": attr(img[0], "src"), "dark": attr(img[0], "src")}
		if len(source) == 1 {
			files["dark"] = attr(source[0], "srcset")
		}
		for scheme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
			found := colour.FindAllString(get(t, http.MethodGet, files[scheme]).Body.String(), -1)
			slices.Sort(found)
			if found = slices.Compact(found); len(found) != 1 {
				continue
			}
			single++
			c := strings.ToLower(string(b.Brand))
			for _, back := range []string{c, c + "-hover"} {
				if got := contrast(t, found[0], colours[back]); got < 3 {
					t.Errorf("%s: the mark %s on %s has %.2f", scheme, found[0], back, got)
				}
			}
		}
	}
	if single < 2*5 {
		t.Errorf("only %d marks of one colour", single)
	}
}

var colour = regexp.MustCompile(`#[0-9a-f]+`)

func TestContrastIsComputedAsWCAGDoes(t *testing.T) {
	if got := contrast(t, "#ffffff", "#000000"); math.Abs(got-21) > 1e-9 {
		t.Errorf("black on white: %f", got)
	}
	if got := contrast(t, "#777777", "#ffffff"); math.Abs(got-4.478) > 0.001 {
		t.Errorf("#777 on white: %f", got)
	}
}

// Colours stand only at the top, so that a pool can replace them all.
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
