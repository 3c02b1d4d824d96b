// Command gen makes the Go types of package api from model.json and own.json.
//
// With -from it first makes model.json anew from a published service model of the user pools API in the JSON form that
// AWS's SDKs are built from. Names, types and constraints are taken over, texts are not; patches.go says where the constraints depart.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/weir-id/weir/federation/pool/api"
)

func main() {
	from := flag.String("from", "", "a published service model to make model.json from")
	flag.Parse()
	if err := run(*from); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1) //nolint:forbidigo // a command of its own
	}
}

func run(from string) error {
	if from != "" {
		published, err := os.ReadFile(from) //nolint:gosec // whoever runs the generator names the file
		if err != nil {
			return err
		}
		model, err := strip(published)
		if err != nil {
			return err
		}
		if err := os.WriteFile("model.json", model, 0o644); err != nil { //nolint:gosec // source code, for everybody to read
			return err
		}
	}
	model, err := os.ReadFile("model.json")
	if err != nil {
		return err
	}
	own, err := os.ReadFile("own.json")
	if err != nil {
		return err
	}
	types, err := Render(model, own)
	if err != nil {
		return err
	}
	return os.WriteFile("types.go", types, 0o644) //nolint:gosec // as above
}

// publishedModel is what is read of a published service model.
type publishedModel struct {
	Operations map[string]struct {
		Input, Output struct{ Shape string }
		Errors        []struct{ Shape string }
		AuthType      string `json:"authtype"`
	}
	Shapes map[string]struct {
		Type      string
		Members   map[string]struct{ Shape string }
		Required  []string
		Member    struct{ Shape string }
		Key       struct{ Shape string }
		Value     struct{ Shape string }
		Min, Max  *int
		Pattern   string
		Enum      []string
		Exception bool
		Document  bool
	}
}

// strip makes the model of package api from a published one: one line a name, so that two versions can be compared.
func strip(published []byte) ([]byte, error) {
	var in publishedModel
	if err := json.Unmarshal(published, &in); err != nil {
		return nil, err
	}
	out := api.Model{Operations: map[string]api.Operation{}, Shapes: map[string]api.Shape{}}
	for name, o := range in.Operations {
		op := api.Operation{Input: o.Input.Shape, Output: o.Output.Shape, Unsigned: o.AuthType == "none"}
		for _, e := range o.Errors {
			op.Errors = append(op.Errors, e.Shape)
		}
		out.Operations[name] = op
	}
	for name, s := range in.Shapes {
		if s.Exception {
			continue
		}
		shape := api.Shape{
			Type: s.Type, Required: s.Required, Element: s.Member.Shape, Key: s.Key.Shape, Value: s.Value.Shape,
			Min: s.Min, Max: s.Max, Pattern: s.Pattern, Enum: s.Enum,
		}
		if s.Document {
			shape.Type = "document"
		}
		for member, m := range s.Members {
			if shape.Members == nil {
				shape.Members = map[string]string{}
			}
			shape.Members[member] = m.Shape
		}
		out.Shapes[name] = shape
	}
	if err := patch(out.Shapes); err != nil {
		return nil, err
	}
	return write(out)
}

// write is the JSON of a model with a line for each operation and each shape.
func write(m api.Model) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\"operations\":{\n")
	if err := lines(&b, m.Operations); err != nil {
		return nil, err
	}
	b.WriteString("},\"shapes\":{\n")
	if err := lines(&b, m.Shapes); err != nil {
		return nil, err
	}
	b.WriteString("}}\n")
	return b.Bytes(), nil
}

func lines[T any](b *bytes.Buffer, entries map[string]T) error {
	for i, name := range sortedKeys(entries) {
		if i > 0 {
			b.WriteString(",\n")
		}
		value, err := json.Marshal(entries[name])
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "%q:%s", name, value)
	}
	b.WriteString("\n")
	return nil
}
