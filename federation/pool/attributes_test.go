package pool_test

import (
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
)

func TestStandardSchemaIsThatOfTheOriginal(t *testing.T) {
	// Name, type, and whether it is not simply a mutable, optional one of 0 to 2,048 characters.
	want := "sub name given_name family_name middle_name nickname preferred_username profile picture website email " +
		"email_verified gender birthdate zoneinfo locale phone_number phone_number_verified address updated_at identities"
	var names []string
	for _, a := range pool.StandardSchema() {
		names = append(names, a.Name)
		if a.Mutable != (a.Name != "sub") || a.Required != (a.Name == "sub") {
			t.Errorf("%s: mutable %v, required %v", a.Name, a.Mutable, a.Required)
		}
		wantType := map[string]string{"email_verified": "Boolean", "phone_number_verified": "Boolean", "updated_at": "Number"}[a.Name]
		if wantType == "" {
			wantType = "String"
		}
		if a.DataType != wantType {
			t.Errorf("%s: type %s", a.Name, a.DataType)
		}
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("attributes\n%s, want\n%s", got, want)
	}
}

// schema is the standard one with a custom attribute of each type.
func schema() []pool.SchemaAttribute {
	return append(pool.StandardSchema(),
		pool.SchemaAttribute{Name: "custom:code", DataType: "String", Mutable: true, String: &pool.StringConstraints{Min: ptr(2), Max: ptr(4)}},
		pool.SchemaAttribute{Name: "custom:level", DataType: "Number", Mutable: true, Number: &pool.NumberConstraints{Min: ptr(-1.5), Max: ptr(10.0)}},
		pool.SchemaAttribute{Name: "custom:since", DataType: "DateTime", Mutable: true},
		pool.SchemaAttribute{Name: "custom:staff", DataType: "Boolean", Mutable: true},
	)
}

func TestAttributeValues(t *testing.T) {
	for name, c := range map[string]struct {
		attr, value string
		bad         string // part of the message, "" where the value is good
	}{
		"text":                           {"name", "Žofie Nováková", ""},
		"2,048 characters":               {"name", strings.Repeat("é", 2048), ""},
		"2,049 characters":               {"name", strings.Repeat("é", 2049), "2048"},
		"NUL":                            {"name", "a\x00b", "NUL"},
		"not UTF-8":                      {"name", "a\xff", "UTF-8"},
		"unknown attribute":              {"custom:unknown", "x", "not in the schema"},
		"sub":                            {"sub", "x", "itself"},
		"identities":                     {"identities", "[]", "itself"},
		"least length":                   {"custom:code", "ab", ""},
		"too short":                      {"custom:code", "é", "at least 2"},
		"too long":                       {"custom:code", "abcde", "longer than 4"},
		"number":                         {"custom:level", "-1.5", ""},
		"number below":                   {"custom:level", "-1.51", "less than -1.5"},
		"number above":                   {"custom:level", "11", "greater than 10"},
		"number in words":                {"custom:level", "ten", "decimal"},
		"number as NaN":                  {"custom:level", "NaN", "decimal"},
		"number in hexadecimal":          {"custom:level", "0x1", "decimal"},
		"number with an exponent":        {"custom:level", "1e0", "decimal"},
		"updated_at below zero":          {"updated_at", "-1", "less than 0"},
		"true":                           {"custom:staff", "true", ""},
		"True":                           {"custom:staff", "True", "true or false"},
		"1 as boolean":                   {"email_verified", "1", "true or false"},
		"RFC 3339":                       {"custom:since", "2026-03-01T12:00:00.5+01:00", ""},
		"epoch seconds":                  {"custom:since", "1772362800.25", ""},
		"date without a time":            {"custom:since", "2026-03-01", "RFC 3339"},
		"birthdate":                      {"birthdate", "1984-02-29", ""},
		"birthdate without the year":     {"birthdate", "0000-12-24", ""}, // OpenID Connect Core section 5.1
		"birthdate of the year alone":    {"birthdate", "1984", "at least 10"},
		"birthdate that never was":       {"birthdate", "1985-02-29", "YYYY-MM-DD"},
		"e-mail":                         {"email", "jane.o'neil+x@mail.example.com", ""},
		"e-mail in Unicode":              {"email", "žofie@bücher.example", ""},
		"e-mail of one label":            {"email", "jane@intranet", ""},
		"e-mail without a domain":        {"email", "jane@", "e-mail"},
		"e-mail with a display name":     {"email", "Jane <jane@example.com>", "e-mail"},
		"two e-mails":                    {"email", "a@example.com,b@example.com", "e-mail"},
		"quoted e-mail":                  {"email", `"a@evil.example"@example.com`, "e-mail"},
		"e-mail with a comment":          {"email", "jane(x)@example.com", "e-mail"},
		"e-mail of an address literal":   {"email", "jane@[127.0.0.1]", "e-mail"},
		"e-mail with a line break":       {"email", "jane@example.com\nBcc: x", "e-mail"},
		"phone number":                   {"phone_number", "+12065550100", ""},
		"phone number without a country": {"phone_number", "2065550100", "E.164"},
		"phone number of 16 digits":      {"phone_number", "+1234567890123456", "E.164"},
		"phone number of zero":           {"phone_number", "+0123", "E.164"},
	} {
		t.Run(name, func(t *testing.T) {
			found := pool.CheckAttributes(schema(), map[string]string{c.attr: c.value})
			switch {
			case c.bad == "" && len(found) != 0:
				t.Errorf("refused: %v", found)
			case c.bad != "" && (len(found) != 1 || found[0].Name != c.attr || !strings.Contains(found[0].Message, c.bad)):
				t.Errorf("%v, want %q", found, c.bad)
			}
		})
	}
}

func TestEveryAttributeProblemIsFoundAtOnce(t *testing.T) {
	s := schema()
	for i, a := range s {
		s[i].Required = a.Name == "sub" || a.Name == "name" || a.Name == "email"
	}
	found := pool.CheckAttributes(s, map[string]string{"email": "", "birthdate": "x", "custom:level": "x"})
	var names []string
	for _, p := range found {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "birthdate custom:level email name" {
		t.Errorf("problems of %s", got)
	}
}
