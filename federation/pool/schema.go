package pool

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of attributes (SchemaAttributesListType, CustomAttributeNameType and AttributeValueType of the API model).
const (
	maxCustomAttributes = 50
	maxCustomName       = 20   // characters, without the prefix
	maxValue            = 2048 // characters of any value
)

// Prefixes of custom attributes. A developer-only one carries both.
const (
	customPrefix    = "custom:"
	developerPrefix = "dev:"
)

// The attributes that only the directory itself sets.
const (
	attrSub        = "sub"
	attrIdentities = "identities"
)

const tooManyCustom = "at most 50 custom attributes are possible"

var customNamePattern = regexp.MustCompile(`^[\p{L}\p{M}\p{S}\p{N}\p{P}]+$`)

// StandardSchema returns the attributes that every pool has: those of OpenID Connect Core section 5.1, the two
// that say what has been verified, and identities, with the constraints that the original gives them.
func StandardSchema() []SchemaAttribute {
	text := func(name string) SchemaAttribute {
		return SchemaAttribute{Name: name, DataType: "String", Mutable: true, String: lengths(0, maxValue)}
	}
	flag := func(name string) SchemaAttribute {
		return SchemaAttribute{Name: name, DataType: "Boolean", Mutable: true}
	}
	zero := 0.0
	return []SchemaAttribute{
		{Name: attrSub, DataType: "String", Required: true, String: lengths(1, maxValue)},
		text("name"), text("given_name"), text("family_name"), text("middle_name"), text("nickname"),
		text("preferred_username"), text("profile"), text("picture"), text("website"),
		text("email"), flag("email_verified"), text("gender"),
		{Name: "birthdate", DataType: "String", Mutable: true, String: lengths(10, 10)},
		text("zoneinfo"), text("locale"), text("phone_number"), flag("phone_number_verified"), text("address"),
		{Name: "updated_at", DataType: "Number", Mutable: true, Number: &NumberConstraints{Min: &zero}},
		{Name: attrIdentities, DataType: "String", Mutable: true, String: &StringConstraints{}},
	}
}

func lengths(lo, hi int) *StringConstraints { return &StringConstraints{Min: &lo, Max: &hi} }

// Attribute returns the declaration of the named attribute.
func (p Pool) Attribute(name string) (SchemaAttribute, bool) {
	i := slices.IndexFunc(p.Schema, func(a SchemaAttribute) bool { return a.Name == name })
	if i < 0 {
		return SchemaAttribute{}, false
	}
	return p.Schema[i], true
}

// Custom reports whether the attribute is one that an admin added.
func (a SchemaAttribute) Custom() bool { return isCustom(a.Name) }

func isCustom(name string) bool {
	return strings.HasPrefix(name, customPrefix) || strings.HasPrefix(name, developerPrefix+customPrefix)
}

// schemaFrom returns the standard attributes as specs change them, and the custom ones of
// specs, with everything that is wrong with them; the paths count the specs.
func schemaFrom(specs []SchemaSpec) ([]SchemaAttribute, Problems) {
	var ps Problems
	schema := StandardSchema()
	standard := len(schema)
	seen := map[string]bool{}
	for i, s := range specs {
		path := at("Schema", i)
		j := slices.IndexFunc(schema[:standard], func(a SchemaAttribute) bool { return a.Name == s.Name })
		var a SchemaAttribute
		if j >= 0 {
			a = schema[j]
			ps.under(path, overrideStandard(&a, s))
			schema[j] = a
		} else {
			var found Problems
			a, found = customFrom(s)
			ps.under(path, found)
			ps.under(path, validateCustom(a))
			a.Required = false // reported; it shall not be missed in every mapping as well
			schema = append(schema, a)
		}
		ps.under(path, validateConstraints(a))
		if seen[a.Name] {
			ps.add(path+".Name", "the attribute is declared twice")
		}
		seen[a.Name] = true
	}
	if len(schema)-standard > maxCustomAttributes {
		ps.add("Schema", tooManyCustom)
	}
	return schema, ps
}

// overrideStandard applies what a spec may change of a standard attribute.
func overrideStandard(a *SchemaAttribute, s SchemaSpec) Problems {
	var ps Problems
	if a.Name == attrSub || a.Name == attrIdentities {
		ps.add("Name", "the directory sets this attribute itself: it cannot be declared")
		return ps
	}
	if s.AttributeDataType != "" && s.AttributeDataType != a.DataType {
		ps.add("AttributeDataType", "a standard attribute keeps its type "+a.DataType)
	}
	if s.DeveloperOnlyAttribute {
		ps.add("DeveloperOnlyAttribute", "a standard attribute cannot be developer-only")
	}
	if s.Mutable != nil {
		a.Mutable = *s.Mutable
	}
	a.Required = s.Required
	ps = append(ps, constraintsFrom(a, s)...)
	return ps
}

// customFrom returns the custom attribute of a spec. Mutable is true unless the spec says otherwise.
func customFrom(s SchemaSpec) (SchemaAttribute, Problems) {
	var ps Problems
	bare := strings.TrimPrefix(strings.TrimPrefix(s.Name, developerPrefix), customPrefix)
	a := SchemaAttribute{
		Name: customPrefix + bare, DataType: s.AttributeDataType, Mutable: s.Mutable == nil || *s.Mutable,
		Required: s.Required, DeveloperOnly: s.DeveloperOnlyAttribute,
	}
	if a.DeveloperOnly {
		a.Name = developerPrefix + a.Name
	} else if strings.HasPrefix(s.Name, developerPrefix) {
		ps.add("Name", "the prefix dev: belongs to developer-only attributes")
	}
	if a.DataType == "" {
		a.DataType = "String"
	}
	return a, append(ps, constraintsFrom(&a, s)...)
}

// constraintsFrom reads the spec's constraints into the attribute.
func constraintsFrom(a *SchemaAttribute, s SchemaSpec) Problems {
	var ps Problems
	if c := s.StringAttributeConstraints; c != nil {
		if a.DataType != "String" {
			ps.add("StringAttributeConstraints", "only a String has them")
		}
		a.String = &StringConstraints{
			Min: lengthFrom(c.MinLength, "StringAttributeConstraints.MinLength", &ps),
			Max: lengthFrom(c.MaxLength, "StringAttributeConstraints.MaxLength", &ps),
		}
	}
	if c := s.NumberAttributeConstraints; c != nil {
		if a.DataType != "Number" {
			ps.add("NumberAttributeConstraints", "only a Number has them")
		}
		a.Number = &NumberConstraints{
			Min: numberFrom(c.MinValue, "NumberAttributeConstraints.MinValue", &ps),
			Max: numberFrom(c.MaxValue, "NumberAttributeConstraints.MaxValue", &ps),
		}
	}
	return ps
}

func lengthFrom(s, path string, ps *Problems) *int {
	if s == "" {
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > math.MaxInt32 {
		ps.add(path, "must be a whole number from 0 to 2147483647")
		return nil
	}
	return &n
}

func numberFrom(s, path string, ps *Problems) *float64 {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !numberPattern.MatchString(s) {
		ps.add(path, "must be a decimal number")
		return nil
	}
	return &n
}

// validateSchema checks a whole schema: the standard attributes are there and custom ones are within the limits.
func validateSchema(schema []SchemaAttribute) Problems {
	var ps Problems
	seen := map[string]bool{}
	custom := 0
	for i, a := range schema {
		path := at("Schema", i)
		if seen[a.Name] {
			ps.add(path+".Name", "the attribute is declared twice")
		}
		seen[a.Name] = true
		if a.Custom() {
			custom++
			ps.under(path, validateCustom(a))
		}
		ps.under(path, validateConstraints(a))
	}
	if custom > maxCustomAttributes {
		ps.add("Schema", tooManyCustom)
	}
	for _, want := range StandardSchema() {
		i := slices.IndexFunc(schema, func(a SchemaAttribute) bool { return a.Name == want.Name })
		switch {
		case i < 0:
			ps.add("Schema", "the standard attribute "+want.Name+" is missing")
		case schema[i].DataType != want.DataType:
			ps.add(at("Schema", i)+".AttributeDataType", "a standard attribute keeps its type "+want.DataType)
		case want.Name == attrSub && (schema[i].Mutable || !schema[i].Required):
			ps.add(at("Schema", i), "sub is always required and never mutable")
		}
		delete(seen, want.Name)
	}
	for i, a := range schema {
		if seen[a.Name] && !a.Custom() {
			ps.add(at("Schema", i)+".Name", "is neither a standard attribute nor a custom one")
		}
	}
	return ps
}

func validateCustom(a SchemaAttribute) Problems {
	var ps Problems
	bare := strings.TrimPrefix(strings.TrimPrefix(a.Name, developerPrefix), customPrefix)
	if n := utf8.RuneCountInString(bare); n < 1 || n > maxCustomName || !storable(bare) || !customNamePattern.MatchString(bare) {
		ps.add("Name", "must have 1 to 20 characters (letters, digits, symbols, punctuation) besides its prefix")
	}
	if a.DeveloperOnly != strings.HasPrefix(a.Name, developerPrefix) {
		ps.add("DeveloperOnlyAttribute", "goes with the prefix dev:")
	}
	if !slices.Contains([]string{"String", "Number", "DateTime", "Boolean"}, a.DataType) {
		ps.add("AttributeDataType", "must be String, Number, DateTime or Boolean")
	}
	if a.Required {
		ps.add("Required", "a custom attribute cannot be required")
	}
	return ps
}

func validateConstraints(a SchemaAttribute) Problems {
	var ps Problems
	if c := a.String; c != nil && c.Min != nil {
		if *c.Min > maxValue {
			ps.add("StringAttributeConstraints.MinLength", "no value is longer than 2048 characters")
		} else if c.Max != nil && *c.Min > *c.Max {
			ps.add("StringAttributeConstraints.MinLength", "must not be greater than MaxLength")
		}
	}
	if c := a.Number; c != nil && c.Min != nil && c.Max != nil && *c.Min > *c.Max {
		ps.add("NumberAttributeConstraints.MinValue", "must not be greater than MaxValue")
	}
	return ps
}

// schemaChange checks that a schema may take the place of an older one: custom attributes can be added, but
// not removed or given another type, because users hold values of them.
func schemaChange(before, after []SchemaAttribute) Problems {
	var ps Problems
	for _, b := range before {
		i := slices.IndexFunc(after, func(a SchemaAttribute) bool { return a.Name == b.Name })
		if i < 0 {
			ps.add("Schema", "the custom attribute "+b.Name+" exists and cannot be removed")
		} else if after[i].DataType != b.DataType {
			ps.add(entry("Schema", b.Name)+".AttributeDataType", "the type cannot be changed from "+b.DataType)
		}
	}
	return ps
}
