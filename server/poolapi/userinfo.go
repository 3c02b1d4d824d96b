package poolapi

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

// How the API shows users.

// user finds the user that an administrator's input names and notes who it is for the audit stream.
func (s *Service) user(ctx context.Context, by Caller, poolID, name string) (pool.User, error) {
	u, err := s.Directory.FindUser(ctx, poolID, name)
	if fault.CodeOf(err) == fault.NotFound {
		return u, refuse("UserNotFoundException", "User does not exist.", err)
	}
	if err == nil {
		by.Note("sub", u.Sub)
	}
	return u, err
}

// userType shows a user with the named attributes only; nil is all of them.
func userType(u pool.User, only []string) api.UserType {
	return api.UserType{
		Username: u.Username, Attributes: attributes(u, only), Enabled: new(u.Enabled), UserStatus: string(u.Status),
		UserCreateDate: api.TimeOf(u.Created), UserLastModifiedDate: api.TimeOf(u.Modified),
	}
}

// attributes are a user's attributes in the order of their names, with sub and, for whoever has some, identities.
func attributes(u pool.User, only []string) []api.AttributeType {
	all := maps.Clone(u.Attributes)
	if all == nil {
		all = map[string]string{}
	}
	all["sub"] = u.Sub
	if len(u.AllIdentities()) > 0 {
		all["identities"] = identities(u)
	}
	out := make([]api.AttributeType, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if only == nil || slices.Contains(only, name) {
			out = append(out, api.AttributeType{Name: name, Value: all[name]})
		}
	}
	return out
}

// identity is an entry of the attribute identities. The claim of that name has its flag and its date as strings, the attribute has not.
type identity struct {
	UserID       string  `json:"userId"`
	ProviderName string  `json:"providerName"`
	ProviderType string  `json:"providerType"`
	Issuer       *string `json:"issuer"`
	Primary      bool    `json:"primary"`
	DateCreated  int64   `json:"dateCreated"` // milliseconds since 1970
}

func identities(u pool.User) string {
	all := u.AllIdentities()
	out := make([]identity, 0, len(all))
	for _, l := range all {
		i := identity{UserID: l.Subject, ProviderName: l.Provider, ProviderType: l.ProviderType, Primary: l.Primary, DateCreated: l.Created.UnixMilli()}
		if l.Issuer != "" {
			i.Issuer = &l.Issuer
		}
		out = append(out, i)
	}
	text, _ := json.Marshal(out) // strings, numbers and a flag: it cannot fail
	return string(text)
}
