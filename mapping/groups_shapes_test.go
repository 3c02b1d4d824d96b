package mapping_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/mapping"
)

// readJSON decodes a file, with numbers as they are written.
func readJSON(t *testing.T, path string, into any, strict bool) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(into); err != nil {
		t.Fatal(path, err)
	}
}

// The files of testdata/groups are rules for the groups that providers send: in a file of testdata/shapes, with what is added here.
func TestGroupRulesOnWhatProvidersSend(t *testing.T) {
	files, err := filepath.Glob("testdata/groups/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			var test struct {
				Documentation, Shape, Claim string
				Claims                      mapping.Claims
				Rules, Want                 []string
				Ignored                     int
				Absent, Overage             bool
			}
			readJSON(t, file, &test, true)
			var shape struct{ Claims mapping.Claims }
			if test.Shape != "" {
				readJSON(t, "testdata/shapes/"+test.Shape+".json", &shape, false)
			} else {
				shape.Claims = mapping.Claims{}
			}
			maps.Copy(shape.Claims, test.Claims)
			r := groupRulesOf(t, test.Claim, false, test.Rules...).Evaluate(shape.Claims, mapping.Provider{})
			if errors.Is(r.Err(), mapping.ErrGroupOverage) != test.Overage || !strings.HasPrefix(test.Documentation, "https://") {
				t.Errorf("error %v, documentation %q", r.Err(), test.Documentation)
			}
			if !slices.Equal(given(r), test.Want) || r.Ignored != test.Ignored || r.Absent != test.Absent || r.Overage != test.Overage {
				t.Errorf("got %q, want %q: %+v", given(r), test.Want, r)
			}
		})
	}
}

var groupRecipe = regexp.MustCompile("(?s)\n#### ([^\n]+)\n(.*?)```yaml\n(.*?)```\n```json\n(.*?)```\n")

// What the cookbook of groups says is what happens.
func TestTheCookbookOfGroupsIsTrue(t *testing.T) {
	text := page(t)
	recipes := groupRecipe.FindAllStringSubmatch(text, -1)
	if len(recipes) < 10 || len(recipes) != strings.Count(text, "\n#### ") {
		t.Fatalf("%d recipes of %d were read", len(recipes), strings.Count(text, "\n#### "))
	}
	for _, r := range recipes {
		t.Run(r[1], func(t *testing.T) {
			var details map[string]string
			if err := yaml.Unmarshal([]byte(r[3]), &details); err != nil {
				t.Fatal(err)
			}
			rules := groupRulesOf(t, details["group_claim"], details["group_absent"] == "keep", details["group_rules"])
			dec := json.NewDecoder(strings.NewReader(r[4]))
			dec.DisallowUnknownFields()
			for n := 0; ; n++ {
				var example struct {
					Claims mapping.Claims
					Gives  []string
				}
				if err := dec.Decode(&example); errors.Is(err, io.EOF) && n > 0 {
					return
				} else if err != nil {
					t.Fatal(err)
				}
				got := rules.Evaluate(example.Claims, mapping.Provider{Name: "Corp", Type: "OIDC"})
				var groups []string
				for _, g := range got.Given {
					groups = append(groups, g.Group)
				}
				if got.Err() != nil || !slices.Equal(groups, example.Gives) {
					t.Errorf("example %d: %q, want %q; error %v", n+1, groups, example.Gives, got.Err())
				}
			}
		})
	}
}

// The fault that the page quotes is what an administrator reads.
func TestThePageQuotesAFaultOfGroupRules(t *testing.T) {
	_, faults := mapping.CompileGroupRules("groups", "# who may\n\nadmins <- regex \"admin\"", false)
	if len(faults) != 1 || !strings.Contains(page(t), "ProviderDetails[group_rules]: "+faults[0].Error()+"\n") {
		t.Errorf("%v", faults)
	}
}
