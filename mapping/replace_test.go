package mapping_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/weir-id/weir/mapping"
)

func TestReplace(t *testing.T) {
	claims := func() mapping.Claims {
		return mapping.Claims{
			"a": "x", "a.b": "dotted", "o": map[string]any{"p": []any{"one", map[string]any{"q": "deep"}}, "z": "kept"}, "odd.name": "odd", "nothing": nil, "list": []any{"l", "m"},
		}
	}
	for source, want := range map[string]struct {
		name string
		at   func(mapping.Claims) any
		old  any
	}{
		"a":              {"a", func(c mapping.Claims) any { return c["a"] }, "x"},
		"a[0]":           {"a", func(c mapping.Claims) any { return c["a"] }, "x"},
		"a.b":            {"a.b", func(c mapping.Claims) any { return c["a.b"] }, "dotted"},
		"o.p[1].q":       {"o", func(c mapping.Claims) any { return c["o"].(map[string]any)["p"].([]any)[1].(map[string]any)["q"] }, "deep"},
		"o.p[0]":         {"o", func(c mapping.Claims) any { return c["o"].(map[string]any)["p"].([]any)[0] }, "one"},
		`["odd.name"]`:   {"odd.name", func(c mapping.Claims) any { return c["odd.name"] }, "odd"},
		"list":           {"list", func(c mapping.Claims) any { return c["list"] }, []any{"l", "m"}},
		"list[1]":        {"list", func(c mapping.Claims) any { return c["list"].([]any)[1] }, "m"},
		"o.none":         {},
		"none":           {},
		"nothing":        {},
		"list[7]":        {},
		"=x":             {},
		"[write=first]a": {},
		"":               {},
	} {
		in := claims()
		var old any
		out, name := mapping.Replace(in, source, func(v any) any { old = v; return "replaced" })
		if !reflect.DeepEqual(in, claims()) {
			t.Errorf("%q: the input is changed: %v", source, in)
		}
		switch {
		case name != want.name || !reflect.DeepEqual(old, want.old):
			t.Errorf("%q: %q, %v", source, name, old)
		case want.at == nil:
			if !reflect.DeepEqual(out, claims()) {
				t.Errorf("%q: %v", source, out)
			}
		case want.at(out) != "replaced":
			t.Errorf("%q: %v", source, out)
		}
	}
}

func TestReading(t *testing.T) {
	rules, err := mapping.Compile(map[string]string{
		"name": "a", "nickname": "a.b", "email": "mail", "email_verified": "email_verified", "profile": "=mail", "locale": `[cel] claims.?mail.orValue("")`,
		"zoneinfo": "[cel] string(size(claims))", "website": `["mail"][0]`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"mail": {"email", "locale", "website", "zoneinfo"}, "a": {"name", "nickname", "zoneinfo"}, "a.b": {"nickname", "zoneinfo"}, "other": {"zoneinfo"},
		"email": {"email_verified", "zoneinfo"}, // what a flag vouches for
	} {
		if got := rules.Reading([]string{name}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := fmt.Sprint(rules.Reading(nil), (*mapping.Rules)(nil).Reading([]string{"a"})); got != "[] []" {
		t.Error(got)
	}
}
