package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

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

// Rules are what of a provider is tried before it is live. Nil is what is live.
type Rules struct {
	AttributeMapping map[string]string
	Details          map[string]secret.Text // those that are rules: pool.RuleDetails
}

// LoadRules reads rules that are to be tried: a bare attribute mapping (attribute: rule), the keys AttributeMapping and ProviderDetails as in a pool file,
// or a whole pool file, of which it is those of the provider in the pool. Each rule is compiled, and a faulty one is told with its line, and with line and
// column within the rule. The error is Faults where the file is wrong. Secrets in the file are not needed, so a variable that is not set is none of them.
func LoadRules(path, poolID, provider string, env func(string) (string, bool)) (Rules, error) {
	lenient := func(name string) (string, bool) {
		if v, ok := env(name); ok {
			return v, true
		}
		return "not needed", true
	}
	shape, err := shapeOf(path)
	if err != nil {
		return Rules{}, err
	}
	var out Rules
	switch shape {
	case "pool":
		var s pool.Spec
		err = decodeFile(path, maxPoolFile, lenient, &s, func(d *decoder) {
			if ip, at := d.pick(s, poolID, provider); at != "" {
				out = Rules{AttributeMapping: present(ip.AttributeMapping), Details: map[string]secret.Text{}}
				for key, v := range ip.ProviderDetails {
					if slices.Contains(pool.RuleDetails(), key) {
						out.Details[key] = v
					}
				}
				d.checkRules(at, out)
			}
		})
	case "part":
		var part providerPart
		err = decodeFile(path, maxPoolFile, lenient, &part, func(d *decoder) {
			for _, key := range slices.Sorted(maps.Keys(part.ProviderDetails)) {
				if !slices.Contains(pool.RuleDetails(), key) {
					d.at(join("ProviderDetails", key), "is no part of the rules that can be tried: "+strings.Join(pool.RuleDetails(), ", ")+" are")
				}
			}
			out = Rules{AttributeMapping: part.AttributeMapping, Details: part.ProviderDetails}
			d.checkRules("", out)
		})
	default:
		err = decodeFile(path, maxPoolFile, lenient, &out.AttributeMapping, func(d *decoder) { d.checkMapping("", out.AttributeMapping) })
		out.AttributeMapping = present(out.AttributeMapping)
	}
	if err != nil {
		return Rules{}, err
	}
	return out, nil
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

// pick returns a provider of a pool file, and where it is; "" is nowhere, which is a fault then.
func (d *decoder) pick(s pool.Spec, poolID, provider string) (pool.ProviderSpec, string) {
	for i, p := range s.UserPools {
		if p.ID != poolID {
			continue
		}
		for j, ip := range p.IdentityProviders {
			if ip.ProviderName == provider {
				return ip, fmt.Sprintf("UserPools[%d].IdentityProviders[%d]", i, j)
			}
		}
		d.at(fmt.Sprintf("UserPools[%d]", i), "has no identity provider "+provider)
		return pool.ProviderSpec{}, ""
	}
	d.at("UserPools", "has no user pool with the Id "+poolID)
	return pool.ProviderSpec{}, ""
}

// checkRules reports every rule that does not compile.
func (d *decoder) checkRules(at string, r Rules) {
	d.checkMapping(join(at, "AttributeMapping"), r.AttributeMapping)
	details := pool.Details{}
	for key, v := range r.Details {
		if slices.Contains(pool.RuleDetails(), key) {
			details[key] = v
		}
	}
	_, problems := pool.IdentityProvider{Details: details}.GroupSource().Compile()
	for _, p := range problems {
		path := strings.ReplaceAll(strings.ReplaceAll(p.Path, "[", "."), "]", "") // names of keys are words
		if at != "" {
			path = at + "." + path
		}
		d.at(path, p.Message)
	}
}

func (d *decoder) checkMapping(at string, rules map[string]string) {
	for _, attribute := range slices.Sorted(maps.Keys(rules)) {
		if _, err := mapping.CompileRule(attribute, rules[attribute]); err != nil {
			d.at(join(at, attribute), err.Error())
		}
	}
}
