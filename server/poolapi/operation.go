package poolapi

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

// access says who may call an operation. The zero value is nobody's and is refused at start, so that it cannot be forgotten.
type access uint8

const (
	_ access = iota
	// public: anybody. What the caller proves, if anything, is up to the operation: a client's secret, a refresh token.
	public
	// accessToken: an end user with a valid access token that has the scope aws.cognito.signin.user.admin.
	accessToken
	// admin: an administrator whose key signed the request and whose policy allows it.
	admin
)

var accessNames = map[access]string{public: "public", accessToken: "access token", admin: "administrator"}

// operation is a row of the table.
type operation struct {
	name    string
	access  access
	run     func(*Service, context.Context, Caller, api.Input) (any, error) // nil: not built yet
	in, out reflect.Type
	own     bool // Weir's, and not of the published model
}

// none is the output of operations that answer with nothing at all.
type none struct{}

// op is a row of an operation that is built.
func op[I, O any](name string, a access, run func(*Service, context.Context, Caller, *I) (*O, error)) operation {
	return operation{
		name: name, access: a, in: reflect.TypeFor[I](), out: reflect.TypeFor[O](),
		run: func(s *Service, ctx context.Context, by Caller, in api.Input) (any, error) {
			req := new(I)
			if err := in.Into(req); err != nil {
				return nil, err
			}
			out, err := run(s, ctx, by, req)
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// later is a row of an operation that this release does not have. It names who could call it, so that nothing is open the day it is built.
func later(name string, a access) operation { return operation{name: name, access: a} }

// tabulate checks the rows against the model: each operation of it once, with its types, and open to no more callers than there.
func tabulate(rows []operation) (map[string]operation, error) {
	model := api.TheModel()
	table := make(map[string]operation, len(rows))
	for _, o := range rows {
		m, known := model.Operations[o.name]
		if !known {
			return nil, fmt.Errorf("poolapi: the model has no operation %q", o.name)
		}
		if _, twice := table[o.name]; twice {
			return nil, fmt.Errorf("poolapi: two rows for %s", o.name)
		}
		if accessNames[o.access] == "" {
			return nil, fmt.Errorf("poolapi: the row of %s does not say who may call it", o.name)
		}
		if m.Unsigned == (o.access == admin) {
			return nil, fmt.Errorf("poolapi: %s is for callers of the kind %q, which the model does not say", o.name, accessNames[o.access])
		}
		if o.access == accessToken && model.Shapes[m.Input].Members["AccessToken"] == "" {
			return nil, fmt.Errorf("poolapi: %s takes no access token", o.name)
		}
		if o.run != nil && (o.in.Name() != m.Input || (o.out.Name() != m.Output && !(m.Output == "" && o.out == reflect.TypeFor[none]()))) {
			return nil, fmt.Errorf("poolapi: %s is from %s to %s, in the model from %s to %q", o.name, o.in.Name(), o.out.Name(), m.Input, m.Output)
		}
		o.own = m.Own
		table[o.name] = o
	}
	for _, name := range slices.Sorted(maps.Keys(model.Operations)) {
		if _, there := table[name]; !there {
			return nil, fmt.Errorf("poolapi: no row for %s", name)
		}
	}
	return table, nil
}

// Caller is who called an operation.
type Caller struct {
	Key sigv4.Key // of an administrator

	// Pool is the one that the call is about, as the cache has it; zero where its input names none.
	Pool pool.Pool

	// Of an end user with an access token:
	Access token.Access
	User   pool.User
	Client pool.Client

	notes *[][2]string
}

// By is the caller in the audit stream.
func (by Caller) By() string {
	if by.Key.ID != "" {
		return "key " + by.Key.Who()
	}
	return "user " + by.User.Sub
}

// Note adds what an operation found out or made to its audit event: a new client's id, a user's sub. No secrets and no attribute values.
func (by Caller) Note(name, value string) {
	*by.notes = append(*by.notes, [2]string{name, value})
}
