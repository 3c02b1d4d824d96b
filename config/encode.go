package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// WritePools writes a spec in the form that LoadPools reads. What a field leaves at its zero value is left out, the order is that of the fields, and
// secrets stand in the clear but for pool.StoredSecret. The error is of out, or of a value that no pool file can hold.
func WritePools(out io.Writer, s pool.Spec) error {
	root, err := encode(reflect.ValueOf(s), "")
	if err != nil {
		return err
	}
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(root), enc.Close()); err != nil {
		return fmt.Errorf("write pools: %w", err)
	}
	_, err = b.WriteTo(out)
	return err
}

// encode returns the node of a value, nil for one that is left out.
func encode(v reflect.Value, path string) (*yaml.Node, error) {
	if v.Type() == secretType {
		return encodeSecret(v.Interface().(secret.Text), path) //nolint:forcetypeassert // its type was just compared
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // no node is an answer here
		}
		n, err := encode(v.Elem(), path)
		if n == nil && err == nil {
			n, err = encodePresent(v.Elem(), path)
		}
		return n, err
	case reflect.Slice, reflect.Map:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // no node is an answer here
		}
		return encodePresent(v, path)
	}
	if v.IsZero() {
		return nil, nil //nolint:nilnil // no node is an answer here
	}
	return encodePresent(v, path)
}

// encodePresent returns the node of a value that is there, whatever it is.
func encodePresent(v reflect.Value, path string) (*yaml.Node, error) {
	switch v.Kind() {
	case reflect.Struct:
		return encodeStruct(v, path)
	case reflect.Map:
		return encodeMap(v, path)
	case reflect.Slice:
		return encodeList(v, path)
	case reflect.String:
		return encodeText(v.String(), path)
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}, nil
	case reflect.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}, nil
	}
	// Not reachable: a type of ours that the encoder was never taught.
	return nil, fmt.Errorf("%s: the program lacks a rule for %s", path, v.Type())
}

func encodeStruct(v reflect.Value, path string) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for name, field := range keys(v) {
		if err := put(out, name, field, join(path, name)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func encodeMap(v reflect.Value, path string) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	keys := map[string]reflect.Value{}
	for k, e := range v.Seq2() {
		keys[k.String()] = e
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if err := put(out, k, keys[k], join(path, k)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// put appends a key with its value to a mapping, unless the value is left out.
func put(out *yaml.Node, key string, v reflect.Value, path string) error {
	value, err := encode(v, path)
	if err != nil || value == nil {
		return err
	}
	k, err := encodeText(key, path)
	if err != nil {
		return err
	}
	out.Content = append(out.Content, k, value)
	return nil
}

func encodeList(v reflect.Value, path string) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	plain := true
	for i := range v.Len() {
		n, err := encodePresent(v.Index(i), path+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		plain = plain && n.Kind == yaml.ScalarNode && len(n.Value) < 24
		out.Content = append(out.Content, n)
	}
	if plain && v.Len() <= 6 {
		out.Style = yaml.FlowStyle
	}
	return out, nil
}

// encodeText writes text as text whatever it looks like, in quotes where YAML would take away from it.
func encodeText(s, path string) (*yaml.Node, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%s: is not valid UTF-8, and no pool file can hold it", path)
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	odd := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if s == "" || strings.TrimSpace(s) != s && !strings.HasSuffix(s, "\n") || strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\n") || strings.ContainsFunc(s, odd) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n, nil
}

func encodeSecret(s secret.Text, path string) (*yaml.Node, error) {
	switch {
	case s == pool.StoredSecret():
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Tag: "!!str", Value: "stored"}, {Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"},
		}}, nil
	case s.IsZero():
		return nil, nil //nolint:nilnil // no node is an answer here
	}
	return encodeText(s.Reveal(), path)
}
