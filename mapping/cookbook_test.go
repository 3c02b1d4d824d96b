package mapping_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/mapping"
)

var recipe = regexp.MustCompile("(?s)\n### ([0-9]+)\\. ([^\n]+)\n(.*?)```yaml\n(.*?)```\n```json\n(.*?)```\n")

func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What the cookbook says is what happens.
func TestTheCookbookIsTrue(t *testing.T) {
	text := page(t)
	recipes := recipe.FindAllStringSubmatch(text, -1)
	if len(recipes) < 20 || len(recipes) != strings.Count(text, "\n### ") {
		t.Fatalf("%d recipes of %d were read", len(recipes), strings.Count(text, "\n### "))
	}
	for i, r := range recipes {
		t.Run(r[2], func(t *testing.T) {
			if r[1] != strconv.Itoa(i+1) {
				t.Errorf("recipe %s is the %d.", r[1], i+1)
			}
			var m map[string]string
			if err := yaml.Unmarshal([]byte(r[4]), &m); err != nil {
				t.Fatal(err)
			}
			rules := compiledRules(t, m)
			dec := json.NewDecoder(strings.NewReader(r[5]))
			dec.UseNumber()
			dec.DisallowUnknownFields()
			for n := 0; ; n++ {
				var example struct {
					Claims mapping.Claims
					User   map[string]string
					First  bool
					Edited []string
					Gives  map[string]string
					Clears []string
				}
				if err := dec.Decode(&example); errors.Is(err, io.EOF) && n > 0 {
					return
				} else if err != nil {
					t.Fatal(err)
				}
				got := rules.Evaluate(mapping.Input{Claims: example.Claims, User: example.User, First: example.First, Edited: example.Edited,
					Provider: mapping.Provider{Name: "Corp", Type: "OIDC"}})
				if got.Err() != nil || !maps.Equal(got.Attributes, example.Gives) || !slices.Equal(got.Clear, example.Clears) {
					t.Errorf("example %d: %q, clears %q, want %q, %q: %+v", n+1, got.Attributes, got.Clear, example.Gives, example.Clears, got.Steps)
				}
			}
		})
	}
}

func TestThePageNamesEveryFunction(t *testing.T) {
	_, text, found := strings.Cut(page(t), "\n## Functions\n")
	text, _, _ = strings.Cut(text, "\n## ")
	if !found {
		t.Fatal("no section on functions")
	}
	for _, f := range mapping.Functions() {
		if name := f[strings.LastIndexByte(f, '.')+1:]; !strings.Contains(text, f+"(") && !strings.Contains(text, "."+name+"(") && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/mapping.md does not name %s", f)
		}
	}
}

// The two errors that the page quotes are what an administrator reads.
func TestThePageQuotesErrors(t *testing.T) {
	text := page(t)
	_, err := mapping.CompileRule("name", "[cel]\n  clams.a")
	if err == nil || !strings.Contains(text, "AttributeMapping[name]: "+err.Error()+"\n") {
		t.Errorf("at saving: %v", err)
	}
	err = compiledRules(t, map[string]string{"nickname": "[cel] claims.name + claims.department"}).Apply(mapping.Claims{"name": "Ada"}).Err()
	if err == nil || !strings.Contains(text, strings.TrimPrefix(err.Error(), "attribute mapping: ")+"\n") {
		t.Errorf("at a sign-in: %v", err)
	}
}
