package mapping_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weir-id/weir/mapping"
)

// FuzzApply holds what every caller relies on: no panic, the same result twice, a step for every rule, values within
// their limit, and no verified flag that the claim did not give.
func FuzzApply(f *testing.F) {
	f.Add(`{"a": {"b": ["c", 1e5, null]}, "v": true, "e": "x@y"}`, "a.b[0]", "v")
	f.Add(`{"a": 1e999999}`, "a", "= true")
	f.Add(`{"a\"]": [[[{}]]]}`, `["a\"]"][0][0]`, "e")
	f.Add(`{"": ""}`, `[""]`, "[")
	f.Fuzz(func(t *testing.T, text, source, flag string) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var c mapping.Claims
		if dec.Decode(&c) != nil {
			return
		}
		m := map[string]string{"email": source, "email_verified": flag, "name": "e"}
		rules, err := mapping.Compile(m)
		if err != nil {
			return
		}
		r, again := rules.Apply(c), rules.Apply(c)
		if !maps.Equal(r.Attributes, again.Attributes) || !slices.Equal(r.Steps, again.Steps) {
			t.Fatalf("two results: %+v and %+v", r, again)
		}
		if len(r.Steps) != len(m) {
			t.Fatalf("%d steps for %d rules", len(r.Steps), len(m))
		}
		for name, v := range r.Attributes {
			if n := utf8.RuneCountInString(v); n < 1 || n > 2048 || !utf8.ValidString(v) {
				t.Fatalf("%s has %d characters, valid UTF-8: %v", name, n, utf8.ValidString(v))
			}
		}
		v, written := r.Attributes["email_verified"]
		if _, addressed := r.Attributes["email"]; written && !addressed {
			t.Fatalf("email_verified = %q without an email", v)
		}
		if literal, there := c[flag]; there && v == "true" && flag[0] != '=' && flag[0] != '[' && literal != true && literal != "true" {
			t.Fatalf("email_verified is true from %v", literal)
		}
	})
}

func BenchmarkApply20Rules(b *testing.B) {
	c := claims(b, `{"sub": "1", "name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true,
		"address": {"locality": "London", "country": "GB"}, "realm_access": {"roles": ["admin", "user", "a b"]}, "n": 12345}`)
	m := map[string]string{"email": "email", "email_verified": "email_verified", "name": "name", "locality": "address.locality",
		"roles": "realm_access.roles", "first": "realm_access.roles[0]", "org": "= example", "n": "n", "address": "address"}
	for len(m) < 20 {
		m["custom:"+strconv.Itoa(len(m))] = "name"
	}
	rules, err := mapping.Compile(m)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := rules.Apply(c); len(r.Attributes) != 20 {
			b.Fatal(r)
		}
	}
}

func BenchmarkCompile20Rules(b *testing.B) {
	m := map[string]string{}
	for len(m) < 20 {
		m["custom:"+strconv.Itoa(len(m))] = "realm_access.roles[0]"
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mapping.Compile(m); err != nil {
			b.Fatal(err)
		}
	}
}
