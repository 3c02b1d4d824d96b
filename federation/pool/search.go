package pool

import (
	"context"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation/fault"
)

// maxFilter is the most characters of a filter (UserFilterType of the API model).
const maxFilter = 256

// Filter selects the users of a pool by one attribute. Case makes no difference. The zero value selects everybody.
type Filter struct {
	// Name is username, sub, email, phone_number, name, given_name, family_name, preferred_username, cognito:user_status, status
	// (Enabled or Disabled), or a custom attribute with its prefix.
	Name  string
	Value string
	Exact bool // the whole value is Value; otherwise it begins with it
}

// The refusals of filters. They never quote the filter, which holds personal data.
const (
	badFilter    = `The filter is not valid: it has the form name = "value" or name ^= "value", and in the value \" stands for a quotation mark and \\ for a backslash.`
	badName      = "Users cannot be listed by this attribute."
	badStatus    = "The filter is not valid: status is Enabled or Disabled."
	filterLength = "The filter is not valid: it must not be longer than 256 characters."
)

func badRequest(message string) error { return fault.New(fault.Invalid, message, nil) }

// ParseFilter reads the Filter of ListUsers (ListUsersRequest of the API model): name = "value" for the whole value, name ^= "value" for its
// beginning, with or without spaces around, one attribute only; an empty one is everybody. Within the value \" is a quotation
// mark and \\ a backslash. Custom attributes can be named too, which the original does not allow.
// Errors: fault.Invalid with a sentence that says what is wrong and quotes nothing.
func (p Pool) ParseFilter(s string) (Filter, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return Filter{}, nil
	case !storable(s):
		return Filter{}, badRequest(badFilter)
	case !characters(s, 1, maxFilter):
		return Filter{}, badRequest(filterLength)
	}
	// The name of a custom attribute may hold any punctuation, signs of equality included, but no space: so the names that there are decide
	// where it ends, the longest first.
	names := p.searchable()
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		rest, ok := strings.CutPrefix(s, name)
		if !ok {
			continue
		}
		if f, ok := parseCondition(rest); ok {
			f.Name = name
			return f, p.checkFilter(f)
		}
	}
	if name, _, _ := strings.Cut(strings.NewReplacer("^", " ", "=", " ", `"`, " ").Replace(s), " "); !slices.Contains(names, name) {
		return Filter{}, badRequest(badName)
	}
	return Filter{}, badRequest(badFilter)
}

// parseCondition reads what follows the name.
func parseCondition(s string) (Filter, bool) {
	s = strings.TrimSpace(s)
	s, prefix := strings.CutPrefix(s, "^")
	s, ok := strings.CutPrefix(s, "=")
	if !ok {
		return Filter{}, false
	}
	s, ok = strings.CutPrefix(strings.TrimSpace(s), `"`)
	if !ok {
		return Filter{}, false
	}
	var value strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return Filter{Value: value.String(), Exact: !prefix}, i == len(s)-1
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			value.WriteByte(s[i])
		case c == '\\':
			return Filter{}, false
		default:
			value.WriteByte(c)
		}
	}
	return Filter{}, false
}

// searchable are the names that users of the pool can be listed by.
func (p Pool) searchable() []string {
	names := userIndexes()
	for _, a := range p.Schema {
		if a.Custom() {
			names = append(names, a.Name)
		}
	}
	return names
}

func (p Pool) checkFilter(f Filter) error {
	switch {
	case !slices.Contains(p.searchable(), f.Name) || !storable(f.Value):
		return badRequest(badName)
	case f.Name == "status" && f.Exact && Fold(f.Value) != statusEnabled && Fold(f.Value) != statusDisabled:
		return badRequest(badStatus)
	}
	return nil
}

// SearchUsers returns a page of up to limit (1 to 1,000) users of a pool, in the order of the values that the filter is about, and the cursor
// of the next page, "" at the end. Without a filter it is everybody, in the order of user names.
//
// A cursor is a place in that order: users who come or go meanwhile neither hide others nor make them come twice. It is valid for the
// pool and the filter it came from. A page may be shorter than limit, or empty, before the end.
// Errors: fault.NotFound for the pool; fault.Invalid for an attribute that is not searched, a limit, or a cursor that is not valid.
func (d *Directory) SearchUsers(ctx context.Context, poolID string, f Filter, after string, limit int) ([]User, string, error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return nil, "", err
	}
	if f.Name == "" {
		f = Filter{Name: defaultIndex}
	}
	if err := p.checkFilter(f); err != nil {
		return nil, "", err
	}
	return d.search(ctx, poolID, f, after, limit)
}

func (d *Directory) search(ctx context.Context, poolID string, f Filter, after string, limit int) ([]User, string, error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	want := foldIndexed(f.Name, f.Value)
	of := "users\x00" + poolID + "\x00" + f.Name + "\x00" + want
	if f.Exact {
		of += "\x00exact"
	}
	after, err := d.openCursor(after, of)
	if err != nil {
		return nil, "", err
	}
	page, next, err := d.users().List(ctx, indexPrefix(indexName(f.Name), poolID, want), after, limit)
	if err != nil {
		return nil, "", storeFault("list users", err, noPool)
	}
	users := make([]User, 0, len(page))
	for _, e := range page {
		has, _ := indexedValue(&e.Value, f.Name)
		switch {
		case f.Exact && cut(has) != cut(want):
			return users, "", nil // equal values come first: from here on they are longer
		case f.Exact && has == want, !f.Exact && strings.HasPrefix(has, want):
			users = append(users, e.Value)
		}
	}
	return users, d.sealCursor(next, of), nil
}
