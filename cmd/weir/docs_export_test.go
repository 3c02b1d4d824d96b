package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/servertest"
)

// Whatever the guides have people write comes out of an export as a file that changes nothing, and with secrets as one that makes the same again.
func TestDocsPoolFilesSurviveAnExport(t *testing.T) {
	metadata, err := os.ReadFile("../../saml/metadata/testdata/adfs.xml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for page, body := range guides(t) {
		for _, m := range codeBlock.FindAllStringSubmatch(body, -1) {
			text := m[2]
			switch {
			case strings.Contains(text, "UserPools:"):
			case strings.HasPrefix(text, "# pool.yaml, within the pool\n"), strings.Contains(text, "  IdentityProviders:\n"):
				text = "UserPools:\n- PoolName: example\n" + text
			default:
				continue
			}
			dir := t.TempDir()
			for _, f := range fileInYAML.FindAllStringSubmatch(text, -1) {
				if err := os.WriteFile(filepath.Join(dir, f[1]), metadata, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text = keyFile.ReplaceAllString(text, "{file: "+newKeyFile(t)+"}")
			if spec, ok := poolFile(t, filepath.Join(dir, "pool.yaml"), text); ok && survives(t, page, dir, spec) {
				tried++
			}
		}
	}
	if tried < 15 {
		t.Errorf("tried %d files", tried)
	}
}

// poolFile reads a pool file, and reports whether it is one.
func poolFile(t *testing.T, path, text string) (pool.Spec, bool) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.LoadPools(path, func(string) (string, bool) { return "a-value-of-more-than-24-characters", true })
	return s, err == nil
}

// survives applies a spec, exports it and applies that. It reports whether the spec can be applied by itself: of some, the guides show a part.
func survives(t *testing.T, page, dir string, spec pool.Spec) bool {
	t.Helper()
	w, other := servertest.Start(t, servertest.Options{}), servertest.Start(t, servertest.Options{})
	plan, err := w.Directory.Plan(t.Context(), spec)
	if err != nil {
		return false
	}
	if err := w.Directory.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	for _, secrets := range []bool{false, true} {
		exported, _, err := w.Directory.Export(t.Context(), nil, secrets)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := config.WritePools(&text, exported); err != nil {
			t.Fatal(err)
		}
		back, ok := poolFile(t, filepath.Join(dir, "exported.yaml"), text.String())
		if !ok {
			t.Fatalf("%s: the export is no pool file:\n%s", page, text.String())
		}
		again, err := w.Directory.Plan(t.Context(), back)
		if err != nil || again.Pending() != 0 {
			t.Errorf("%s: error %v, %d pending: %+v\n%s", page, err, again.Pending(), again.Changes, text.String())
		}
		if secrets {
			other.Apply(back)
			copied, _, err := other.Directory.Export(t.Context(), nil, true)
			var same strings.Builder
			if err != nil || config.WritePools(&same, copied) != nil || same.String() != text.String() {
				t.Errorf("%s: error %v, exported\n%s\nfrom the copy\n%s", page, err, text.String(), same.String())
			}
		}
	}
	return true
}
