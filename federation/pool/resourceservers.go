package pool

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// ResourceServer is an API with the scopes that applications may ask for (ResourceServerType of the API model). In a token a scope
// is called identifier/name.
type ResourceServer struct {
	PoolID     string    `json:"pool"`
	Identifier string    `json:"id"`   // 1 to 256 printable ASCII characters without spaces, " and \
	Name       string    `json:"name"` // 1 to 256 characters of [\w\s+=,.@-]
	Scopes     []Scope   `json:"scopes,omitempty"`
	Created    time.Time `json:"created"`
	Modified   time.Time `json:"modified"`
}

// Scope is one scope of a resource server.
type Scope struct {
	Name        string `json:"name"` // 1 to 256 printable ASCII characters without spaces, ", \ and /
	Description string `json:"text"` // 1 to 256 characters
}

// The limits of ResourceServerType.
const (
	maxServerScopes = 100
	maxServerText   = 256
)

var (
	serverIDPattern   = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,256}$`)          // ResourceServerIdentifierType
	serverNamePattern = regexp.MustCompile(`^[\w\s+=,.@-]{1,256}$`)                      // ResourceServerNameType
	scopeNamePattern  = regexp.MustCompile(`^[\x21\x23-\x2E\x30-\x5B\x5D-\x7E]{1,256}$`) // ResourceServerScopeNameType
)

// ErrNoScope: a client names a scope that no resource server of its pool has.
var ErrNoScope = errors.New("no such scope")

const noServer = "Resource server does not exist."

func (d *Directory) servers() *store.Kind[ResourceServer] {
	return &store.Kind[ResourceServer]{Engine: d.Engine, Name: "resource_server", KeysOf: func(s *ResourceServer) store.Keys {
		return store.Keys{Key: serverKey(s.PoolID, s.Identifier), Index: []string{indexPrefix("pool", s.PoolID, "")}}
	}}
}

func serverKey(poolID, identifier string) string { return poolID + "/" + identifier }

// ValidateResourceServer returns everything that is wrong with a resource server.
func ValidateResourceServer(s ResourceServer) []Problem {
	var ps Problems
	if !serverIDPattern.MatchString(s.Identifier) {
		ps.add("Identifier", `must have 1 to 256 printable ASCII characters without spaces, " and \`)
	}
	if !serverNamePattern.MatchString(s.Name) {
		ps.add("Name", "must have 1 to 256 characters of letters, digits, spaces and _+=,.@-")
	}
	if len(s.Scopes) > maxServerScopes {
		ps.add("Scopes", "at most 100 are possible")
	}
	var names []string
	for i, scope := range s.Scopes {
		if !scopeNamePattern.MatchString(scope.Name) {
			ps.add(at("Scopes", i)+".ScopeName", `must have 1 to 256 printable ASCII characters without spaces, ", \ and /`)
		} else if !scopePattern.MatchString(s.scope(scope.Name)) {
			ps.add(at("Scopes", i)+".ScopeName", "is too long: identifier/scope must not have more than 256 characters")
		}
		if !characters(scope.Description, 1, maxServerText) || !storable(scope.Description) {
			ps.add(at("Scopes", i)+".ScopeDescription", "must have 1 to 256 characters")
		}
		names = append(names, scope.Name)
	}
	noRepeats(&ps, "Scopes", names)
	return ps
}

func (s ResourceServer) scope(name string) string { return s.Identifier + "/" + name }

func (s ResourceServer) hasScope(scope string) bool {
	return slices.ContainsFunc(s.Scopes, func(c Scope) bool { return s.scope(c.Name) == scope })
}

// CreateResourceServer stores a new resource server. Errors: fault.Invalid with every problem, fault.NotFound for the pool, fault.Conflict
// with ErrTaken where the pool has one of that identifier.
func (d *Directory) CreateResourceServer(ctx context.Context, s ResourceServer) (ResourceServer, error) {
	if _, err := d.storedPool(ctx, s.PoolID); err != nil {
		return ResourceServer{}, err
	}
	if err := Problems(ValidateResourceServer(s)).fault(); err != nil {
		return ResourceServer{}, err
	}
	return s, d.putServer(ctx, &s, store.Entry[ResourceServer]{})
}

func (d *Directory) putServer(ctx context.Context, s *ResourceServer, old store.Entry[ResourceServer]) error {
	s.Modified = d.now()
	if old.Version == 0 {
		s.Created = s.Modified
	}
	_, err := d.servers().Replace(ctx, old, s)
	operation := fmt.Sprintf("put resource server %q", serverKey(s.PoolID, s.Identifier))
	switch {
	case errors.Is(err, store.ErrConflict) && old.Version == 0:
		return taken(s.Identifier+" already exists in user pool "+s.PoolID+".", operation, err)
	case err != nil || old.Version != 0:
		return storeFault(operation, err, noServer)
	}
	return d.created(ctx, s.PoolID, func(ctx context.Context) error {
		return d.servers().Delete(ctx, serverKey(s.PoolID, s.Identifier))
	})
}

// ResourceServer returns the resource server of that identifier, from the store. Errors: fault.NotFound.
func (d *Directory) ResourceServer(ctx context.Context, poolID, identifier string) (ResourceServer, error) {
	e, err := d.storedServer(ctx, poolID, identifier)
	return e.Value, err
}

func (d *Directory) storedServer(ctx context.Context, poolID, identifier string) (store.Entry[ResourceServer], error) {
	if _, err := d.storedPool(ctx, poolID); err != nil {
		return store.Entry[ResourceServer]{}, err
	}
	if !serverIDPattern.MatchString(identifier) {
		return store.Entry[ResourceServer]{}, absent("resource server: malformed identifier", noServer)
	}
	e, err := d.servers().Get(ctx, serverKey(poolID, identifier))
	return e, storeFault("resource server", err, noServer)
}

// ResourceServers returns a page of up to limit (1 to 1,000) resource servers of a pool in the order of their identifiers, and the cursor of the next
// page, "" at the end. Errors: fault.NotFound for the pool, fault.Invalid for a limit or a cursor.
func (d *Directory) ResourceServers(ctx context.Context, poolID, after string, limit int) ([]ResourceServer, string, error) {
	return pageOf(ctx, d, d.servers(), poolID, "resource servers", after, limit)
}

// UpdateResourceServer replaces name and scopes of a resource server. Clients lose the scopes that it has no more, see DeleteResourceServer.
// Errors: fault.Invalid with every problem, fault.NotFound, fault.Conflict with ErrConcurrent where another writer came first every time.
func (d *Directory) UpdateResourceServer(ctx context.Context, s ResourceServer) (ResourceServer, error) {
	old, err := d.storedServer(ctx, s.PoolID, s.Identifier)
	if err != nil {
		return ResourceServer{}, err
	}
	if err := Problems(ValidateResourceServer(s)).fault(); err != nil {
		return ResourceServer{}, err
	}
	lost := func(scope string) bool { return old.Value.hasScope(scope) && !s.hasScope(scope) }
	if err := d.dropScopes(ctx, s.PoolID, lost); err != nil { // see DeleteResourceServer
		return ResourceServer{}, err
	}
	e, err := d.servers().Update(ctx, serverKey(s.PoolID, s.Identifier), func(have *ResourceServer) error {
		if old.Value = *have; len(diff(serverFields(*have), serverFields(s))) == 0 {
			return store.ErrUnchanged
		}
		have.Name, have.Scopes, have.Modified = s.Name, s.Scopes, d.now()
		return nil
	})
	if err != nil {
		return ResourceServer{}, storeFault("update resource server", err, noServer)
	}
	return e.Value, d.dropScopes(ctx, s.PoolID, lost)
}

// DeleteResourceServer removes a resource server, and its scopes from the clients that list them: in the original nobody gets a token with such
// a scope from then on. Errors: fault.NotFound.
func (d *Directory) DeleteResourceServer(ctx context.Context, poolID, identifier string) error {
	e, err := d.storedServer(ctx, poolID, identifier)
	if err != nil {
		return err
	}
	// Before, so that a deletion that ends here can be repeated; and after, for a client that was written meanwhile.
	if err := d.dropScopes(ctx, poolID, e.Value.hasScope); err != nil {
		return err
	}
	if _, err := d.servers().Take(ctx, serverKey(poolID, identifier)); err != nil {
		return storeFault("delete resource server", err, noServer)
	}
	return d.dropScopes(ctx, poolID, e.Value.hasScope)
}

// dropScopes takes scopes from all clients of a pool.
func (d *Directory) dropScopes(ctx context.Context, poolID string, drop func(scope string) bool) error {
	defer d.changed()
	err := d.clients().All(ctx, indexPrefix("pool", poolID, ""), func(e store.Entry[Client]) error {
		if !slices.ContainsFunc(e.Value.Scopes, drop) {
			return nil
		}
		_, err := d.clients().Update(ctx, e.Value.ID, func(c *Client) error {
			c.Scopes, c.Modified = slices.DeleteFunc(c.Scopes, drop), d.now()
			return nil
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return storeFault("take scopes from clients", err, noPool)
}

// allServers returns all resource servers of a pool.
func (d *Directory) allServers(ctx context.Context, poolID string) ([]ResourceServer, error) {
	return list(ctx, d.servers(), poolID, "list resource servers")
}

// undeclared are the scopes of a client that are neither standard ones nor those of a resource server, with their places.
func undeclared(scopes []string, servers []ResourceServer) Problems {
	var ps Problems
	for i, scope := range scopes {
		if slices.Contains(standardScopes, scope) || !strings.Contains(scope, "/") { // without a slash is reported where clients are validated
			continue
		}
		if !slices.ContainsFunc(servers, func(s ResourceServer) bool { return s.hasScope(scope) }) {
			ps.add(at("AllowedOAuthScopes", i), "no resource server of the user pool has this scope")
		}
	}
	return ps
}

// checkScopes refuses a client that names a scope which does not exist, unless it did so before: a file may have declared it so.
func (d *Directory) checkScopes(ctx context.Context, c, old Client) error {
	added := slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return slices.Contains(old.Scopes, s) })
	if !slices.ContainsFunc(added, func(s string) bool { return strings.Contains(s, "/") }) {
		return nil
	}
	servers, err := d.allServers(ctx, c.PoolID)
	if err != nil {
		return err
	}
	if ps := undeclared(added, servers); len(ps) > 0 {
		i := slices.IndexFunc(added, func(scope string) bool { return len(undeclared([]string{scope}, servers)) > 0 })
		return fault.New(fault.Invalid, "Invalid scope requested: "+added[i], errors.Join(ErrNoScope, ps))
	}
	return nil
}

func serverFields(s ResourceServer) []field {
	fields := []field{{name: "Name", value: s.Name}}
	for _, scope := range s.Scopes {
		fields = append(fields, field{name: entry("Scopes", scope.Name), value: scope.Description})
	}
	return fields
}
