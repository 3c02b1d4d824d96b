package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
)

// providerPart is a part of a provider in a pool file.
type providerPart struct {
	AttributeMapping map[string]string      `yaml:"AttributeMapping"`
	ProviderDetails  map[string]secret.Text `yaml:"ProviderDetails"`
}

// LoadMapping reads an attribute mapping that is to be tried: a bare one (attribute: rule), the key AttributeMapping as in a pool file, or a whole pool
// file, of which it is that of the provider in the pool. Each rule is compiled, and a faulty one is told with its line, and with line and column within the
// rule. The error is Faults where the file is wrong. Secrets in the file are not needed, so a variable that is not set is none of them.
func LoadMapping(path, poolID, provider string, env func(string) (string, bool)) (map[string]string, error) {
	lenient := func(name string) (string, bool) {
		if v, ok := env(name); ok {
			return v, true
		}
		return "not needed", true
	}
	var rules map[string]string
	switch shape, err := shapeOf(path); {
	case err != nil:
		return nil, err
	case shape == "pool":
		var s pool.Spec
		err := decodeFile(path, maxPoolFile, lenient, &s, func(d *decoder) {
			var at string
			if rules, at = d.pick(s, poolID, provider); at != "" {
				d.checkRules(at, rules)
			}
		})
		return rules, err
	case shape == "part":
		var part providerPart
		err := decodeFile(path, maxPoolFile, lenient, &part, func(d *decoder) {
			for name := range part.ProviderDetails {
				d.at(join("ProviderDetails", name), "is no part of the rules that can be tried")
			}
			d.checkRules("AttributeMapping", part.AttributeMapping)
		})
		return present(part.AttributeMapping), err
	}
	err := decodeFile(path, maxPoolFile, lenient, &rules, func(d *decoder) { d.checkRules("", rules) })
	return present(rules), err
}

// present tells a mapping without rules, which can be tried, from none.
func present(rules map[string]string) map[string]string {
	if rules == nil {
		return map[string]string{}
	}
	return rules
}

// shapeOf tells what a file is by the keys at its top. What is no YAML at all is for the decoder to say.
func shapeOf(path string) (shape string, err error) {
	f, err := os.Open(path) //nolint:gosec // the admin names the file
	if err != nil {
		return "", Faults{{File: path, Message: fmt.Sprintf("cannot be read: %v", cause(err))}}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var doc yaml.Node
	if yaml.NewDecoder(io.LimitReader(f, maxPoolFile+1)).Decode(&doc) != nil || len(doc.Content) == 0 {
		return "", nil
	}
	for i := 0; i+1 < len(doc.Content[0].Content); i += 2 {
		switch doc.Content[0].Content[i].Value {
		case "UserPools":
			return "pool", nil
		case "AttributeMapping", "ProviderDetails":
			return "part", nil
		}
	}
	return "", nil
}

// pick returns the mapping of a provider in a pool file, and where it is.
func (d *decoder) pick(s pool.Spec, poolID, provider string) (map[string]string, string) {
	for i, p := range s.UserPools {
		if p.ID != poolID {
			continue
		}
		for j, ip := range p.IdentityProviders {
			if ip.ProviderName == provider {
				return present(ip.AttributeMapping), fmt.Sprintf("UserPools[%d].IdentityProviders[%d].AttributeMapping", i, j)
			}
		}
		d.at(fmt.Sprintf("UserPools[%d]", i), "has no identity provider "+provider)
		return nil, ""
	}
	d.at("UserPools", "has no user pool with the Id "+poolID)
	return nil, ""
}

// checkRules reports every rule that does not compile.
func (d *decoder) checkRules(at string, rules map[string]string) {
	for _, attribute := range slices.Sorted(maps.Keys(rules)) {
		if _, err := mapping.CompileRule(attribute, rules[attribute]); err != nil {
			d.at(join(at, attribute), err.Error())
		}
	}
}
