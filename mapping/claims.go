// Package mapping turns what a provider asserts into attributes of a pool user: pure
// rules, no I/O, no clock. It owns claim paths and rules; it does not own the schema
// (federation/pool checks values against it) nor who may write what.
package mapping

// Claims are the verified statements of a provider about a person, in JSON's types: string,
// float64, json.Number, bool, nil, []any and map[string]any. SAML attributes are
// string or []any of strings.
type Claims map[string]any
