package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// written is a spec as WritePools writes it.
func written(t testing.TB, s pool.Spec) string {
	t.Helper()
	var b strings.Builder
	if err := config.WritePools(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares two values, secrets in them by what they hold. StoredSecret is the same as itself alone.
func same(a, b reflect.Value) bool {
	if a.Type() == reflect.TypeFor[secret.Text]() {
		x, y := a.Interface().(secret.Text), b.Interface().(secret.Text)
		return x == y || x != pool.StoredSecret() && y != pool.StoredSecret() && x.Reveal() == y.Reveal()
	}
	switch a.Kind() {
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || same(a.Elem(), b.Elem()))
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return a.IsNil() == b.IsNil() && a.Len() == b.Len() && !slices.ContainsFunc(slices.Collect(a.Seq()), func(i reflect.Value) bool {
			return !same(a.Index(int(i.Int())), b.Index(int(i.Int())))
		})
	case reflect.Map:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for k, v := range maps.Collect(a.Seq2()) {
			if other := b.MapIndex(k); !other.IsValid() || !same(v, other) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}

func readBack(t testing.TB, text string) pool.Spec {
	t.Helper()
	s, err := config.LoadPools(write(t, "pool.yaml", text), environment)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return s
}

// Whatever a Spec can hold, WritePools writes so that LoadPools reads the same.
func TestWhatIsWrittenIsReadTheSame(t *testing.T) {
	var fill func(v reflect.Value, n *int)
	odd := []string{"true", "null", "1.5", "~", "2026-01-01", "a: b", "- x", "# no comment", " leading", "trailing ", "two\nlines", "ends with a line\n", "\ttab", "é\u200b", "'", `"`, "{x: y}", "*a", "&a", "!a", "%", "@"}
	fill = func(v reflect.Value, n *int) {
		*n++
		word := odd[*n%len(odd)]
		switch {
		case v.Type() == reflect.TypeFor[secret.Text]():
			v.Set(reflect.ValueOf(secret.New(word)))
		case v.Kind() == reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), n)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).Tag.Get("yaml") != "-" {
					fill(v.Field(i), n)
				}
			}
		case v.Kind() == reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), n)
			fill(v.Index(1), n)
		case v.Kind() == reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			for _, k := range []string{word, "plain"} {
				e := reflect.New(v.Type().Elem()).Elem()
				fill(e, n)
				v.SetMapIndex(reflect.ValueOf(k), e)
			}
		case v.Kind() == reflect.String:
			v.SetString(word)
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.Kind() == reflect.Int:
			v.SetInt(int64(*n))
		}
	}
	for start := range odd {
		var s pool.Spec
		n := start
		fill(reflect.ValueOf(&s).Elem(), &n)
		text := written(t, s)
		if got := readBack(t, text); !same(reflect.ValueOf(got), reflect.ValueOf(s)) {
			t.Fatalf("read %+v\nwritten %+v\nas\n%s", got, s, text)
		}
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	off := false
	s := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example", Clients: []pool.ClientSpec{{
		ClientName: "web", EnableTokenRevocation: &off, ReadAttributes: []string{}, ClientSecret: pool.StoredSecret(), RefreshTokenRotation: &pool.RefreshRotation{Feature: "DISABLED"},
		CallbackURLs: []string{"https://app.example.com/callback"}, AllowedOAuthFlows: []string{"code"},
	}}}}}
	want := `UserPools:
  - PoolName: example
    Clients:
      - ClientName: web
        ClientSecret: {stored: true}
        CallbackURLs:
          - https://app.example.com/callback
        AllowedOAuthFlows: [code]
        RefreshTokenRotation:
          Feature: DISABLED
        EnableTokenRevocation: false
        ReadAttributes: []
`
	if got := written(t, s); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := readBack(t, want); !same(reflect.ValueOf(got), reflect.ValueOf(s)) {
		t.Errorf("read %+v", got)
	}
	if err := config.WritePools(&strings.Builder{}, pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "\xff"}}}); err == nil {
		t.Error("text that is no text was written")
	}
}

func TestStoredSecretsAreForPoolFiles(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"false":             {"{stored: false}", "want {stored: true} and nothing beside it"},
		"beside another":    {"{stored: true, env: SET}", "want {stored: true} and nothing beside it"},
		"text":              {"{stored: yes please}", "want true or false"},
		"two of the others": {"{env: SET, file: x}", "want exactly one of env and file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.LoadPools(write(t, "pool.yaml", "UserPools: [{Clients: [{ClientSecret: "+c.value+"}]}]"), environment)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	_, err := load(t, "admin_keys: [{access_key_id: A, secret_access_key: {stored: true}, allow: ['*']}]\n")
	if err == nil || !strings.Contains(err.Error(), "secret_access_key: want exactly one of env and file") {
		t.Errorf("in weir.yaml: %v", err)
	}
}

// FuzzWritePools holds that no text is read as another one than was written.
func FuzzWritePools(f *testing.F) {
	for _, s := range []string{"true", " a", "a\n", "\na", "a\r\nb", "\u2028", "\ufeff", "---", "a #b", "\x7f", "\u0085"} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || s == "" {
			return
		}
		spec := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: s, Clients: []pool.ClientSpec{{ClientSecret: secret.New(s), CallbackURLs: []string{s, s}}},
			IdentityProviders: []pool.ProviderSpec{{AttributeMapping: map[string]string{s: s}}}}}}
		text := written(t, spec)
		path := filepath.Join(dir, "pool.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.LoadPools(path, environment)
		if err != nil || !same(reflect.ValueOf(got), reflect.ValueOf(spec)) {
			t.Fatalf("error %v, read %+v\nwritten %q\nas\n%s", err, got.UserPools, s, text)
		}
	})
}
