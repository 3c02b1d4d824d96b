package mapping_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/mapping"
)

// The files of testdata/shapes are what providers send, in the shape of the documentation that each names, with made-up people.
func TestRulesOnWhatProvidersSend(t *testing.T) {
	files, err := filepath.Glob("testdata/shapes/*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d shapes, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var shape struct {
				Documentation string
				Claims        mapping.Claims
				Rules, Want   map[string]string
			}
			dec := json.NewDecoder(bytes.NewReader(data))
			dec.UseNumber()
			dec.DisallowUnknownFields()
			if err := dec.Decode(&shape); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(shape.Documentation, "https://") || len(shape.Want) == 0 {
				t.Error("a shape names its documentation and what is expected")
			}
			r := compiledRules(t, shape.Rules).Apply(shape.Claims)
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(r.Attributes, shape.Want) {
				t.Errorf("got  %q\nwant %q\n%+v", r.Attributes, shape.Want, r.Steps)
			}
		})
	}
}
