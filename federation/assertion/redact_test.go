package assertion_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

func TestRedaction(t *testing.T) {
	w := newWorld(t)
	claims := func() mapping.Claims {
		return mapping.Claims{
			"email": "ada@example.com", "upn": "ada@example.com", "other": "bob@example.com", "phone_number": "+12065550100", "birthdate": "1815-12-10",
			"employee": "000123", "n": json.Number("42"), "f": 4.5, "admin": true, "said": "true", "also": "true", "none": nil, "blank": " ", "id": "abc", "copy": "abc",
			"list": []any{"one", "two", "one", nil}, "address": map[string]any{"locality": "London", "country": "GB"}, "town": []any{"London"},
			"First name": "Ada",
		}
	}
	in := of(1)
	in.Claims = claims()
	got := w.node().Prepare(in, keeping(5, "email", "phone_number", "birthdate", "employee", "n", "f", "admin", "said", "none", "blank", "id", "list", "address.locality",
		`["First name"]`, "not.there", `["broken`))
	if !reflect.DeepEqual(in.Claims, claims()) {
		t.Fatal("the claims of the sign-in are changed")
	}
	c := got.Claims
	for name, same := range map[string]bool{
		"one value under two names":                     c["email"] == c["upn"],
		"an address is one":                             strings.Contains(c["email"].(string), "@"),
		"what is not redacted stays":                    c["other"] == "bob@example.com" && c["also"] == "true",
		"a short text elsewhere stays":                  c["copy"] == "abc" && c["id"] != "abc",
		"equal elements are equal":                      c["list"].([]any)[0] == c["list"].([]any)[2] && c["list"].([]any)[0] != c["list"].([]any)[1],
		"a list has as many":                            len(c["list"].([]any)) == 4 && c["list"].([]any)[3] == nil,
		"a path":                                        c["address"].(map[string]any)["country"] == "GB" && c["address"].(map[string]any)["locality"] == c["town"].([]any)[0],
		"nothing stays nothing":                         c["none"] == nil && c["blank"] == " ",
		"types stay":                                    reflect.TypeOf(c["n"]) == reflect.TypeFor[json.Number]() && reflect.TypeOf(c["f"]) == reflect.TypeFor[float64]() && c["admin"] == false && c["said"] == "false",
		"a phone number is one, a date and a number to": c["phone_number"].(string)[0] == '+' && len(c["birthdate"].(string)) == 10 && !strings.Contains(c["employee"].(string), "r"),
	} {
		if !same {
			t.Errorf("%s: %v", name, c)
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"ada@", "2065550100", "1815", "000123", "42", "4.5", "London", "Ada", "two"} {
		if strings.Contains(string(text), value) {
			t.Errorf("%q is kept: %s", value, text)
		}
	}
	want := []string{"First name", "address", "admin", "birthdate", "blank", "email", "employee", "f", "id", "list", "n", "phone_number", "said", "town", "upn"}
	if !slices.Equal(got.Redacted, want) {
		t.Errorf("redacted %q\nwant %q", got.Redacted, want)
	}
}

// Marks are what the checks of attributes let pass, so that a kept sign-in does not fail for want of a value.
func TestMarksPassTheChecksOfAttributes(t *testing.T) {
	w := newWorld(t)
	in := of(1)
	in.Claims = mapping.Claims{"email": "ada@example.com", "phone_number": "+12065550100", "birthdate": "1815-12-10"}
	got := w.node().Prepare(in, keeping(5, "email", "phone_number", "birthdate"))
	attrs := map[string]string{}
	for name, v := range got.Claims {
		attrs[name] = v.(string)
	}
	if problems := checkAttributes(attrs); len(problems) > 0 || len(attrs) != 3 {
		t.Errorf("%v: %v", attrs, problems)
	}
}

// FuzzRedact: whatever a provider sends, what is redacted is not in what is kept, and nothing panics.
func FuzzRedact(f *testing.F) {
	f.Add(`{"secret":"correct horse","copy":["correct horse",{"x":"correct horse"}]}`)
	f.Add(`{"secret":{"deep":[{"er":"battery staple"}]},"battery":"battery staple"}`)
	f.Add(`{"secret":["a@b","+15550100000","2020-01-01",7,true,null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var claims mapping.Claims
		if json.Unmarshal([]byte(text), &claims) != nil {
			return
		}
		in := assertion.Kept{Claims: claims}
		w := &world{t: t}
		got := w.node().Prepare(in, keeping(1, "secret"))
		var secrets []string
		leaves(claims["secret"], func(s string) { secrets = append(secrets, s) })
		leaves(map[string]any(got.Claims), func(s string) {
			for _, secret := range secrets {
				if s == secret && len(s) >= 4 && strings.TrimSpace(s) != "" && s != "false" && !strings.HasPrefix(s, "redacted-") && !strings.HasPrefix(s, "+999") && !strings.HasPrefix(s, "0") {
					t.Errorf("%q is kept in %v", s, got.Claims)
				}
			}
		})
	})
}

func leaves(v any, do func(string)) {
	switch v := v.(type) {
	case string:
		do(v)
	case []any:
		for _, e := range v {
			leaves(e, do)
		}
	case map[string]any:
		for _, e := range v {
			leaves(e, do)
		}
	}
}

func checkAttributes(attrs map[string]string) []pool.AttributeProblem {
	var schema []pool.SchemaAttribute
	for name := range attrs {
		schema = append(schema, pool.SchemaAttribute{Name: name, DataType: "String", Mutable: true})
	}
	return pool.CheckAttributes(schema, attrs)
}
