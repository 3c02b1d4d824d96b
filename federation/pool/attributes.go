package pool

import (
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-id/weir/federation/fault"
)

var (
	numberPattern = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
	phonePattern  = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`) // E.164
	epochPattern  = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,9})?$`)
)

// AttributeProblem is what is wrong with one attribute of a user. It holds no value.
type AttributeProblem struct {
	Name    string
	Message string // a sentence: The attribute is required.
}

// CheckAttributes checks a user's attributes against the schema: the values by type and constraints, and that
// every required one is there. The problems come in the order of names, all of them.
// sub and identities are not among a user's attributes and are refused.
func CheckAttributes(schema []SchemaAttribute, attrs map[string]string) []AttributeProblem {
	found := checkValues(schema, attrs)
	for _, a := range schema {
		if a.Required && a.Name != attrSub && a.Name != attrIdentities && attrs[a.Name] == "" {
			found[a.Name] = "The attribute is required."
		}
	}
	return sorted(found)
}

// checkValues checks the given values only.
func checkValues(schema []SchemaAttribute, attrs map[string]string) map[string]string {
	found := map[string]string{}
	byName := make(map[string]SchemaAttribute, len(schema))
	for _, a := range schema {
		byName[a.Name] = a
	}
	for name, value := range attrs {
		a, ok := byName[name]
		switch {
		case !ok:
			found[name] = "The attribute is not in the schema of the user pool."
		case name == attrSub || name == attrIdentities:
			found[name] = "The attribute is set by the user pool itself."
		default:
			if m := checkValue(a, value); m != "" {
				found[name] = m
			}
		}
	}
	return found
}

// checkValue returns what is wrong with the value, "" for nothing.
func checkValue(a SchemaAttribute, v string) string {
	if !storable(v) {
		return "The value must be valid UTF-8 without NUL characters."
	}
	n := utf8.RuneCountInString(v)
	if n > maxValue {
		return "The value must not be longer than 2048 characters."
	}
	switch a.DataType {
	case "Number":
		return checkNumber(a.Number, v)
	case "Boolean":
		if v != "true" && v != "false" {
			return "The value must be true or false."
		}
		return ""
	case "DateTime":
		// The model's timestamps are epoch seconds.
		if _, err := time.Parse(time.RFC3339, v); err != nil && !epochPattern.MatchString(v) {
			return "The value must be a time as in RFC 3339, or in seconds since 1970."
		}
		return ""
	}
	if c := a.String; c != nil {
		if c.Min != nil && n < *c.Min {
			return "The value must have at least " + strconv.Itoa(*c.Min) + " characters."
		}
		if c.Max != nil && n > *c.Max {
			return "The value must not be longer than " + strconv.Itoa(*c.Max) + " characters."
		}
	}
	return checkForm(a.Name, v)
}

func checkNumber(c *NumberConstraints, v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !numberPattern.MatchString(v) {
		return "The value must be a decimal number."
	}
	if c != nil && c.Min != nil && f < *c.Min {
		return "The value must not be less than " + decimal(*c.Min) + "."
	}
	if c != nil && c.Max != nil && f > *c.Max {
		return "The value must not be greater than " + decimal(*c.Max) + "."
	}
	return ""
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// checkForm checks the standard attributes whose form is more than a length. The
// others (locale, zoneinfo, URLs) are display data and taken as providers give them.
func checkForm(name, v string) string {
	switch name {
	case "email":
		if !validEmail(v) {
			return "The value must be an e-mail address."
		}
	case "phone_number":
		if !phonePattern.MatchString(v) {
			return "The value must be a phone number in the form of E.164: +12065550100."
		}
	case "birthdate":
		if _, err := time.Parse("2006-01-02", v); err != nil {
			return "The value must be a date of the form YYYY-MM-DD."
		}
	}
	return ""
}

// validEmail accepts an addr-spec (RFC 5322 section 3.4.1, RFC 6532) without comments, quoting or address literals: what mail
// software and people agree about. Anything else is a way to be read as two addresses.
func validEmail(v string) bool {
	a, err := mail.ParseAddress(v)
	return err == nil && a.Name == "" && a.Address == v &&
		strings.Count(v, "@") == 1 && !strings.ContainsAny(v, "[]\"()<>,;:\\ \t\r\n")
}

// normalizePhone removes the visual separators of RFC 3966 section 5.1.1, which providers send: OpenID Connect Core section 5.1
// itself recommends E.164 "for example, +1 (425) 555-1212".
func normalizePhone(v string) string {
	if !strings.HasPrefix(v, "+") {
		return v
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -.()", r) {
			return -1
		}
		return r
	}, v)
}

func sorted(found map[string]string) []AttributeProblem {
	out := make([]AttributeProblem, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, AttributeProblem{Name: name, Message: found[name]})
	}
	return out
}

// attributesFault says all that is wrong with a user's attributes, nil for nothing: invalid values and missing ones, then
// those that may not be changed. The texts are those of the original; they hold names of the schema, never values.
func attributesFault(invalid []AttributeProblem, fixed []string) error {
	var parts []string
	if len(invalid) > 0 {
		said := make([]string, len(invalid))
		for i, p := range invalid {
			said[i] = p.Name + ". " + p.Message
		}
		parts = append(parts, "Invalid user attributes: "+strings.Join(said, " "))
	}
	for _, name := range fixed {
		parts = append(parts, "user."+name+": Attribute cannot be updated.")
	}
	if len(parts) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, strings.Join(parts, " "), nil)
}
