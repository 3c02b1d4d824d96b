// Package api is the user pools API as its published service model describes it: the operations with their errors, the types of
// what they take and return, and the constraints on inputs with the messages of those who break them. Beside it stand Weir's own operations,
// for what that API has no words for, described in the same form.
//
// The types are generated from model.json and own.json, so that no name on the wire is written twice; they carry the field names
// of pool.yaml as well. The package decides nothing: what an operation does is package poolapi's, what a value means package pool's.
package api

//go:generate go run ./gen

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

var (
	//go:embed model.json
	modelJSON []byte
	//go:embed own.json
	ownJSON []byte
)

// Model is a service model without its texts.
type Model struct {
	Operations map[string]Operation `json:"operations"`
	Shapes     map[string]Shape     `json:"shapes"`
}

// Operation is an operation of the API.
type Operation struct {
	Input  string   `json:"in,omitempty"`  // the shape of what it takes
	Output string   `json:"out,omitempty"` // the shape of what it returns; "" is nothing at all
	Errors []string `json:"errors,omitempty"`
	// Unsigned: the operation is for end users, who prove themselves with a token or not at all. Every other one needs a signature.
	Unsigned bool `json:"unsigned,omitempty"`
	// Own: the operation is Weir's and not in the published model. On the wire it has another prefix.
	Own bool `json:"-"`
}

// Shape is a type of the model with its constraints.
type Shape struct {
	Type     string            `json:"type"`              // structure, list, map, string, integer, long, boolean, timestamp, blob, document
	Members  map[string]string `json:"members,omitempty"` // of a structure: name -> shape
	Required []string          `json:"required,omitempty"`
	Element  string            `json:"element,omitempty"` // of a list
	Key      string            `json:"key,omitempty"`     // of a map
	Value    string            `json:"value,omitempty"`
	// Min and Max bound the length of a string in characters, of a list or map in entries, of a blob in bytes, and the value of a number.
	Min     *int     `json:"min,omitempty"`
	Max     *int     `json:"max,omitempty"`
	Pattern string   `json:"pattern,omitempty"` // of the whole string
	Enum    []string `json:"enum,omitempty"`
}

// ReadModel reads a published model and adds the operations and shapes of own, which may use those of the published one. Errors: what is no
// model, and a name that both have.
func ReadModel(published, own []byte) (*Model, error) {
	m, add := &Model{}, &Model{}
	if err := json.Unmarshal(published, m); err != nil {
		return nil, fmt.Errorf("read the published model: %w", err)
	}
	if err := json.Unmarshal(own, add); err != nil {
		return nil, fmt.Errorf("read the model of our own operations: %w", err)
	}
	for name, op := range add.Operations {
		if _, both := m.Operations[name]; both {
			return nil, fmt.Errorf("the operation %s is in both models", name)
		}
		op.Own = true
		m.Operations[name] = op
	}
	for name, s := range add.Shapes {
		if _, both := m.Shapes[name]; both {
			return nil, fmt.Errorf("the shape %s is in both models", name)
		}
		m.Shapes[name] = s
	}
	return m, nil
}

// TheModel returns the model that this release speaks. It is read once and must not be changed.
var TheModel = sync.OnceValue(func() *Model {
	m, err := ReadModel(modelJSON, ownJSON)
	if err != nil {
		panic("api: the model, which is part of the program: " + err.Error())
	}
	return m
})

// OperationNames are the names of all operations, sorted.
func OperationNames() []string { return slices.Sorted(maps.Keys(TheModel().Operations)) }
