package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// The decoder must know every type that a Spec has, whatever federation/pool adds to it.
func TestEveryFieldOfAPoolFileCanBeWritten(t *testing.T) {
	var lines []string
	var walk func(typ reflect.Type, indent string)
	value := func(typ reflect.Type, indent string) string {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ == reflect.TypeFor[secret.Text](), typ.Kind() == reflect.String:
			return "text"
		case typ.Kind() == reflect.Bool:
			return "true"
		case typ.Kind() == reflect.Int:
			return "7"
		case typ.Kind() == reflect.Map:
			return "{key: text}"
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.String:
			return "[text]"
		case typ.Kind() == reflect.Slice:
			return "-" + indent
		}
		return "+" + indent
	}
	walk = func(typ reflect.Type, indent string) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			switch f.Tag.Get("yaml") {
			case "-":
				continue
			case ",inline":
				walk(f.Type, indent)
				continue
			}
			switch v := value(f.Type, indent); v[0] {
			case '-':
				lines = append(lines, indent+f.Tag.Get("yaml")+":", indent+"-")
				walk(f.Type.Elem(), indent+"  ")
			case '+':
				lines = append(lines, indent+f.Tag.Get("yaml")+":")
				walk(f.Type, indent+"  ")
			default:
				lines = append(lines, indent+f.Tag.Get("yaml")+": "+v)
			}
		}
	}
	walk(reflect.TypeFor[pool.Spec](), "")
	got, err := config.LoadPools(write(t, "pool.yaml", strings.Join(lines, "\n")), environment)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, strings.Join(lines, "\n"))
	}
	var missing func(v reflect.Value, path string)
	missing = func(v reflect.Value, path string) {
		switch {
		case v.IsZero():
			t.Errorf("%s was not read", path)
		case v.Type() == reflect.TypeFor[secret.Text]():
		case v.Kind() == reflect.Pointer:
			missing(v.Elem(), path)
		case v.Kind() == reflect.Slice:
			missing(v.Index(0), path)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.Tag.Get("yaml") != "-" {
					missing(v.Field(i), path+"."+f.Name)
				}
			}
		}
	}
	missing(reflect.ValueOf(got), "Spec")
}

func TestNumbersInTextAreTakenAsWritten(t *testing.T) {
	s, err := config.LoadPools(write(t, "pool.yaml", `
UserPools:
- PoolName: 007
  Schema: [{Name: n, AttributeDataType: Number, NumberAttributeConstraints: {MinValue: -1.50, MaxValue: 1e3}}]
`), environment)
	if err != nil {
		t.Fatal(err)
	}
	p := s.UserPools[0]
	c := p.Schema[0].NumberAttributeConstraints
	if p.PoolName != "007" || c.MinValue != "-1.50" || c.MaxValue != "1e3" {
		t.Errorf("got %q %q %q", p.PoolName, c.MinValue, c.MaxValue)
	}
}
