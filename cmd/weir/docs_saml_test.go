package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml"
)

var (
	detailKey  = regexp.MustCompile(`(?m)^\tkey\w+ += "(\w+)"$`)
	codeInRow  = regexp.MustCompile("`([^`]+)`")
	fileInYAML = regexp.MustCompile(`\{file: (\w+\.xml)\}`)
)

// A key that is not in the table is one that nobody finds; a row without a key is a fault for whoever believes it.
func TestDocsListTheProviderDetailsOfSAML(t *testing.T) {
	source, err := os.ReadFile("../../saml/config.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(guides(t)["docs/saml.md"], "\n## Provider details\n")
	section, _, ends := strings.Cut(section, "\n## ")
	if !found || !ends {
		t.Fatal("docs/saml.md has no section Provider details")
	}
	known := map[string]bool{}
	for _, m := range detailKey.FindAllSubmatch(source, -1) {
		known[string(m[1])] = true
		if !strings.Contains(section, "`"+string(m[1])+"`") {
			t.Errorf("docs/saml.md: %s is not in the table", m[1])
		}
	}
	if len(known) < 20 {
		t.Fatalf("found %d keys in saml/config.go", len(known))
	}
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range codeInRow.FindAllStringSubmatch(cells[1], -1) {
			if !known[m[1]] {
				t.Errorf("docs/saml.md: there is no key %s", m[1])
			}
		}
	}
}

func TestDocsSAMLProvidersAreAccepted(t *testing.T) {
	env := func(string) (string, bool) { return "", false }
	metadata, err := os.ReadFile("../../saml/metadata/testdata/adfs.xml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, page := range []string{"docs/saml.md", "docs/adfs.md"} {
		for _, m := range codeBlock.FindAllStringSubmatch(guides(t)[page], -1) {
			text := m[2]
			if !strings.Contains(text, "ProviderType: SAML") {
				continue
			}
			if strings.HasPrefix(text, "    ProviderType") {
				text = "  IdentityProviders:\n  - ProviderName: Corp\n" + text
			}
			dir := t.TempDir()
			for _, f := range fileInYAML.FindAllStringSubmatch(text, -1) {
				if err := os.WriteFile(filepath.Join(dir, f[1]), metadata, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, "pool.yaml")
			if err := os.WriteFile(file, []byte("UserPools:\n- PoolName: example\n"+text), 0o600); err != nil {
				t.Fatal(err)
			}
			spec, err := config.LoadPools(file, env)
			if err != nil {
				t.Errorf("%s: %v\n%s", page, err, text)
				continue
			}
			tried++
			for _, fault := range saml.Validate(pool.Details(spec.UserPools[0].IdentityProviders[0].ProviderDetails), false) {
				t.Errorf("%s: %v\n%s", page, fault, text)
			}
		}
	}
	if tried < 7 {
		t.Errorf("tried %d providers", tried)
	}
}

// What docs/adfs.md quotes of the log has to be what the log says, or nobody finds it there.
func TestDocsQuoteTheLogOfSAML(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{"../../saml", "../../federation", "../../server", "../../providers"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			body, err := os.ReadFile(name)
			source.Write(body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	code := source.String()
	_, section, _ := strings.Cut(guides(t)["docs/adfs.md"], "\n## What Weir's log says\n")
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := 0
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		said := cells[len(cells)-3]
		for _, m := range codeInRow.FindAllStringSubmatch(said, -1) {
			for part := range strings.SplitSeq(m[1], "…") {
				part = strings.TrimSpace(part)
				if len(part) < 12 {
					continue
				}
				quoted++
				if !strings.Contains(code, part) && !strings.Contains(code, strings.Replace(part, "The Assertion", "The %s", 1)) {
					t.Errorf("docs/adfs.md: nothing says %q", part)
				}
			}
		}
	}
	if quoted < 30 {
		t.Errorf("found %d quotations", quoted)
	}
}
