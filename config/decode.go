package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// maxFaults ends the list for a file that is not what it was taken for.
const maxFaults = 100

// decoder reads one YAML file into a struct and collects what is wrong with it.
type decoder struct {
	file   string // as given, for faults
	dir    string // absolute; relative paths in the file start here
	env    func(string) (string, bool)
	pools  bool // it is a pool file
	faults Faults
	faulty map[string]bool // paths in faults
	lines  map[string]int  // path -> line, for faults found after decoding
}

// decodeFile reads path into out, a pointer to a struct whose fields carry yaml tags; fields without one are not
// in the file. Every field may be absent and then keeps its value. check runs when the document could be read.
func decodeFile(path string, limit int64, env func(string) (string, bool), out any, check func(*decoder)) error {
	d := &decoder{file: path, env: env, faulty: map[string]bool{}, lines: map[string]int{}}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("finding %s: %w", path, err)
	}
	d.dir = filepath.Dir(absolute)
	_, d.pools = out.(*pool.Spec)
	if root := d.parse(limit); root != nil {
		d.value(root, reflect.ValueOf(out).Elem(), "")
		if check != nil && root.Kind == yaml.MappingNode {
			check(d)
		}
	}
	if len(d.faults) == 0 {
		return nil
	}
	d.faults.sort()
	if more := len(d.faults) - maxFaults; more > 0 {
		d.faults = append(d.faults[:maxFaults:maxFaults], Fault{File: path, Message: fmt.Sprintf("and %d more", more)})
	}
	return d.faults
}

func (d *decoder) fault(line int, path, message string) {
	d.faulty[path] = true
	d.faults = append(d.faults, Fault{File: d.file, Line: line, Path: path, Message: message})
}

// at reports a fault of a decoded value, unless it or what holds it could not be decoded and has its fault already. A path
// that is not in the file gets the line of the nearest one above it.
func (d *decoder) at(path, message string) {
	line := 0
	for p := path; p != ""; p = p[:max(0, strings.LastIndexAny(p, ".["))] {
		if d.faulty[p] {
			return
		}
		if line == 0 {
			line = d.lines[p]
		}
	}
	if line == 0 {
		line = d.lines[""]
	}
	d.fault(line, path, message)
}

func (d *decoder) has(path string) bool { _, ok := d.lines[path]; return ok }

// syntaxLine takes the place out of the library's messages.
var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// parse returns the content of the only document, or nil after a fault.
func (d *decoder) parse(limit int64) *yaml.Node {
	data, err := readLimited(d.file, limit)
	if err != nil {
		d.fault(0, "", err.Error())
		return nil
	}
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	err = dec.Decode(&doc)
	if errors.Is(err, io.EOF) || (err == nil && len(doc.Content) == 0) {
		d.fault(0, "", "the file is empty")
		return nil
	}
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			d.fault(second.Line, "", "a second document begins here; the file must hold one")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		line, message := 0, err.Error()
		if m := syntaxLine.FindStringSubmatch(message); m != nil {
			line, _ = strconv.Atoi(m[1])
			message = m[2]
		}
		d.fault(line, "", "not valid YAML: "+message)
		return nil
	}
	return doc.Content[0]
}

// readLimited returns the content of a file. Its errors are messages for a fault.
func readLimited(path string, limit int64) (_ []byte, err error) {
	f, err := os.Open(path) //nolint:gosec // the admin names the file
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d KiB", limit/1024)
	}
	return data, nil
}

// cause drops the path from an error of package os: the fault names the place already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

var secretType = reflect.TypeFor[secret.Text]()

// value reads a node into out, by out's type.
func (d *decoder) value(n *yaml.Node, out reflect.Value, path string) {
	d.lines[path] = n.Line
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fault(n.Line, path, "anchors and aliases are not taken; write the value out")
		return
	}
	if n.ShortTag() == "!!null" {
		d.fault(n.Line, path, "has no value; give one or leave the key out")
		return
	}
	if out.Type() == secretType {
		d.secret(n, out, path, maxSecretFile)
		return
	}
	if out.Type() == storeType && n.Kind == yaml.MappingNode {
		d.storeElsewhere(n, out, path)
		return
	}
	if parse, ok := parsers[out.Type()]; ok {
		d.parsed(n, out, path, parse)
		return
	}
	switch out.Kind() {
	case reflect.Pointer:
		target := reflect.New(out.Type().Elem())
		d.value(n, target.Elem(), path)
		out.Set(target)
	case reflect.Struct:
		d.structure(n, out, path)
	case reflect.Map:
		d.mapping(n, out, path)
	case reflect.Slice:
		d.list(n, out, path)
	default:
		d.scalar(n, out, path)
	}
}

func (d *decoder) structure(n *yaml.Node, out reflect.Value, path string) {
	fields := map[string]reflect.Value{}
	var names []string
	for name, field := range keys(out) {
		fields[name] = field
		names = append(names, name)
	}
	d.pairs(n, path, func(key string, line int, v *yaml.Node) {
		field, known := fields[key]
		if known {
			d.value(v, field, join(path, key))
			return
		}
		message := "unknown key"
		if near := suggest(key, names); near != "" {
			message += "; did you mean " + near + "?"
		}
		d.fault(line, join(path, key), message)
	})
}

// inline marks a field whose keys stand among those of its struct.
const inline = ",inline"

// keys are the fields of a struct by their keys in a file, in their order.
func keys(v reflect.Value) iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) {
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Tag.Get("yaml"); name {
			case "", "-":
			case inline:
				for name, field := range keys(v.Field(i)) {
					if !yield(name, field) {
						return
					}
				}
			default:
				if !yield(name, v.Field(i)) {
					return
				}
			}
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, out reflect.Value, path string) {
	m := reflect.MakeMap(out.Type())
	d.pairs(n, path, func(key string, _ int, v *yaml.Node) {
		element := reflect.New(out.Type().Elem()).Elem()
		if at := join(path, key); out.Type().Elem() == secretType {
			d.lines[at] = v.Line
			d.secret(v, element, at, maxDetailFile)
		} else {
			d.value(v, element, at)
		}
		m.SetMapIndex(reflect.ValueOf(key), element)
	})
	out.Set(m)
}

// pairs calls each for the entries of a mapping whose keys are text and stand once.
func (d *decoder) pairs(n *yaml.Node, path string, each func(key string, line int, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.wrong(n, path, "a mapping (key: value)")
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch before, twice := first[key.Value]; {
		case key.Kind == yaml.AliasNode || key.Anchor != "" || key.ShortTag() == "!!merge":
			d.fault(key.Line, path, "anchors, aliases and merge keys are not taken; write the values out")
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.fault(key.Line, path, "a key must be text; put it in quotes")
		case twice:
			d.fault(key.Line, join(path, key.Value), fmt.Sprintf("stands twice; first on line %d", before))
		default:
			first[key.Value] = key.Line
			each(key.Value, key.Line, n.Content[i+1])
		}
	}
}

func (d *decoder) list(n *yaml.Node, out reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.wrong(n, path, "a list")
		return
	}
	s := reflect.MakeSlice(out.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, s.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	out.Set(s)
}

func (d *decoder) scalar(n *yaml.Node, out reflect.Value, path string) {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode {
		tag = ""
	}
	switch out.Kind() {
	case reflect.String:
		switch tag {
		// What looks like a number or a date is taken as it is written: MinLength: 1 means "1", as in the API model.
		case "!!str", "!!timestamp", "!!int", "!!float":
			out.SetString(n.Value)
		case "!!bool":
			d.wrong(n, path, "text; put it in quotes")
		default:
			d.wrong(n, path, "text")
		}
	case reflect.Bool:
		var b bool
		if tag != "!!bool" || n.Decode(&b) != nil {
			d.wrong(n, path, "true or false")
			return
		}
		out.SetBool(b)
	case reflect.Int:
		var i int
		if tag != "!!int" || n.Decode(&i) != nil {
			d.wrong(n, path, "a whole number")
			return
		}
		out.SetInt(int64(i))
	default:
		// Not reachable from a file: a type of ours that the decoder was never taught.
		d.fault(n.Line, path, "cannot be configured: the program lacks a rule for "+out.Type().String())
	}
}

// parsed reads a scalar of a type with its own syntax. Its message must not quote the value of a secret.
func (d *decoder) parsed(n *yaml.Node, out reflect.Value, path string, parse func(string) (any, error)) {
	if !plainScalar(n) {
		d.wrong(n, path, "text")
		return
	}
	v, err := parse(n.Value)
	if err != nil {
		d.fault(n.Line, path, err.Error())
		return
	}
	out.Set(reflect.ValueOf(v))
}

// plainScalar reports whether a node is a single value whose written form can be taken as text.
func plainScalar(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, n.ShortTag())
}

func (d *decoder) wrong(n *yaml.Node, path, want string) {
	got := "a value tagged " + n.ShortTag()
	switch n.ShortTag() {
	case "!!str":
		got = "text"
	case "!!int":
		got = "a number"
	case "!!float":
		got = "a decimal number"
	case "!!bool":
		got = "true or false"
	case "!!map":
		got = "a mapping"
	case "!!seq":
		got = "a list"
	case "!!timestamp":
		got = "a date"
	}
	d.fault(n.Line, path, "got "+got+", want "+want)
}

// join appends a key to a path, quoted where it would not read as one word.
func join(path, key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
