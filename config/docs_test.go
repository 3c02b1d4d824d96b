package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

func guide(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestGuideNamesEveryKey(t *testing.T) {
	text := guide(t)
	seen := map[reflect.Type]bool{reflect.TypeFor[netip.Prefix](): true}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			switch key := f.Tag.Get("yaml"); key {
			case "", "-":
			case ",inline":
				walk(f.Type)
			default:
				if !strings.Contains(text, "`"+key+"`") {
					t.Errorf("docs/configuration.md does not name the key %s", key)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[config.Config]())
	walk(reflect.TypeFor[pool.Spec]())
}

func TestGuideExamplesLoad(t *testing.T) {
	env := func(string) (string, bool) { return "a value of more than 24 characters", true }
	dir := t.TempDir()
	loaded := map[string]bool{}
	for i, block := range strings.Split(guide(t), "```") {
		yaml, ok := strings.CutPrefix(block, "yaml\n")
		if i%2 == 0 || !ok {
			continue
		}
		name := strings.TrimPrefix(strings.SplitN(yaml, "\n", 2)[0], "# ")
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		loaded[name] = true
		if name == "weir.yaml" {
			if c, err := config.Load(path, env); err != nil || len(c.Warnings) != 0 {
				t.Errorf("%v, %+v", err, c)
			}
			continue
		}
		s, err := config.LoadPools(path, env)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mapping.Compile(s.UserPools[0].IdentityProviders[0].AttributeMapping); err != nil {
			t.Error(err)
		}
	}
	if !loaded["weir.yaml"] || !loaded["pool.yaml"] {
		t.Errorf("loaded %v, want both files", loaded)
	}
}

func TestMappingsFromTheGuideAreReadAsWritten(t *testing.T) {
	s, err := config.LoadPools(write(t, "pool.yaml", `
UserPools:
- IdentityProviders:
  - AttributeMapping:
      email: http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress
      email_verified: = true
      name: '["odd.name"].x'
      custom:roles: realm_access.roles[0]
      custom:org: = Example Ltd
`), environment)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := mapping.Compile(s.UserPools[0].IdentityProviders[0].AttributeMapping)
	if err != nil {
		t.Fatal(err)
	}
	got := rules.Apply(mapping.Claims{
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "ada@example.com",
		"odd.name":     map[string]any{"x": "Ada"},
		"realm_access": map[string]any{"roles": []any{"admin"}},
	}).Attributes
	want := map[string]string{"email": "ada@example.com", "email_verified": "true", "name": "Ada", "custom:roles": "admin", "custom:org": "Example Ltd"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
