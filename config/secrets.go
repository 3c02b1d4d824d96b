package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

const (
	maxSecretFile = 64 << 10 // bytes of a file that holds one secret
	maxDetailFile = 1 << 20  // bytes of a file in ProviderDetails: AD FS writes metadata of more than 64 KiB
)

// reference is a secret that stands elsewhere.
type reference struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"`
	// Stored is for pool files: the secret that is in the store already.
	Stored bool `yaml:"stored"`
}

// secret reads a secret.Text: a literal, {env: NAME}, {file: PATH} or, in a pool file, {stored: true}. A literal number or boolean counts as
// the text that was written, because the API model has strings only.
func (d *decoder) secret(n *yaml.Node, out reflect.Value, path string, limit int64) {
	if n.Kind == yaml.MappingNode {
		var ref reference
		before := len(d.faults)
		d.value(n, reflect.ValueOf(&ref).Elem(), path)
		if len(d.faults) > before {
			return
		}
		if d.pools && d.has(join(path, "stored")) {
			d.storedSecret(n, ref, out, path)
			return
		}
		if text, ok := d.resolve(ref, path, limit); ok {
			out.Set(reflect.ValueOf(secret.New(text)))
		}
		return
	}
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		d.fault(n.Line, path, "anchors and aliases are not taken; write the value out")
	case n.ShortTag() == "!!null" || (plainScalar(n) && n.Value == ""):
		d.fault(n.Line, path, "is empty; give a value or leave the key out")
	case !plainScalar(n):
		d.wrong(n, path, "text, {env: NAME} or {file: PATH}")
	default:
		out.Set(reflect.ValueOf(secret.New(n.Value)))
	}
}

// storeElsewhere reads a store's address that is {env: NAME} or {file: PATH}, since a connection string may hold a password.
func (d *decoder) storeElsewhere(n *yaml.Node, out reflect.Value, path string) {
	var ref reference
	before := len(d.faults)
	d.value(n, reflect.ValueOf(&ref).Elem(), path)
	if len(d.faults) > before {
		return
	}
	text, ok := d.resolve(ref, path, maxSecretFile)
	if !ok {
		return
	}
	s, err := ParseStore(text)
	if err != nil {
		d.fault(n.Line, path, err.Error())
		return
	}
	out.Set(reflect.ValueOf(s))
}

// storedSecret reads {stored: true}. Whether there is one, federation/pool finds out.
func (d *decoder) storedSecret(n *yaml.Node, ref reference, out reflect.Value, path string) {
	if !ref.Stored || len(n.Content) != 2 {
		d.at(path, "want {stored: true} and nothing beside it")
		return
	}
	out.Set(reflect.ValueOf(pool.StoredSecret()))
}

func (d *decoder) resolve(ref reference, path string, limit int64) (string, bool) {
	byEnv, byFile := d.has(join(path, "env")), d.has(join(path, "file"))
	switch {
	case byEnv == byFile:
		d.at(path, "want exactly one of env and file")
		return "", false
	case byEnv:
		text, ok := d.env(ref.Env)
		if !ok || text == "" {
			d.at(join(path, "env"), "the environment variable "+ref.Env+" is not set or empty")
			return "", false
		}
		return text, true
	}
	if ref.File == "" {
		d.at(join(path, "file"), "is empty; want a path")
		return "", false
	}
	data, err := readLimited(d.resolvePath(ref.File), limit)
	if err != nil {
		d.at(join(path, "file"), ref.File+": "+err.Error())
		return "", false
	}
	text := string(data)
	if line, ok := strings.CutSuffix(text, "\n"); ok { // what editors and echo add
		text = strings.TrimSuffix(line, "\r")
	}
	if text == "" {
		d.at(join(path, "file"), ref.File+": the file is empty")
		return "", false
	}
	return text, true
}
