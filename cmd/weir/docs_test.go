package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool/api"
)

var (
	codeBlock = regexp.MustCompile("(?ms)^ *```(\\w*)\\n(.*?)^ *```$")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	goTest    = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)")
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// guides are the pages of the documentation, by their path from the root.
func guides(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "docs/providers/*.md"} {
		names, err := fs.Glob(os.DirFS("../.."), pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			body, err := os.ReadFile(filepath.Join("../..", name))
			if err != nil {
				t.Fatal(err)
			}
			pages[name] = string(body)
		}
	}
	if len(pages) < 5 {
		t.Fatalf("found %d pages: not the whole documentation", len(pages))
	}
	return pages
}

func TestDocsLinksLeadSomewhere(t *testing.T) {
	pages := guides(t)
	for name, text := range pages {
		for _, m := range link.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s: %s is not there", name, m[1])
			} else if anchor != "" && !anchors(pages[target])[anchor] {
				t.Errorf("%s: %s has no heading #%s", name, target, anchor)
			}
		}
	}
}

// anchors are the ids that a page's headings get where it is shown.
func anchors(text string) map[string]bool {
	ids := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		ids[strings.ReplaceAll(notAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return ids
}

func TestDocsNameTestsThatExist(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		body, err := os.ReadFile(name)
		for _, m := range testFunc.FindAllSubmatch(body, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range guides(t) {
		for _, m := range goTest.FindAllStringSubmatch(text, -1) {
			if _, operation := api.TheModel().Operations[m[1]]; m[1] != "TestName" && !operation && !there[m[1]] {
				t.Errorf("%s: there is no test %s", name, m[1])
			}
		}
	}
}

func TestDocsProgramsParse(t *testing.T) {
	for name, text := range guides(t) {
		for _, m := range codeBlock.FindAllStringSubmatch(text, -1) {
			if m[1] != "go" || !strings.HasPrefix(m[2], "package ") {
				continue
			}
			if _, err := parser.ParseFile(token.NewFileSet(), name, m[2], parser.SkipObjectResolution); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestReadmeFilesLoad(t *testing.T) {
	env := func(string) (string, bool) { return "a value of more than 24 characters", true }
	loaded := map[string]error{}
	for _, m := range codeBlock.FindAllStringSubmatch(guides(t)["README.md"], -1) {
		if m[1] != "yaml" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(m[2], "# "), "\n")
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if name == "pool.yaml" {
			_, err = config.LoadPools(file, env)
		} else {
			_, err = config.Load(file, env)
		}
		loaded[name] = err
	}
	for _, name := range []string{"weir.yaml", "pool.yaml"} {
		if err, ok := loaded[name]; !ok || err != nil {
			t.Errorf("%s: in the README: %t, %v", name, ok, err)
		}
	}
}
