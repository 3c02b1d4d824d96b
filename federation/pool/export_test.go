package pool

import "context"

// What the tests look at from outside.
var (
	IdentityKey      = identityKey
	UsernameKey      = usernameKey
	FoldName         = foldName
	Random           = random
	FederatedName    = federatedUsername
	PoolFields       = poolFields
	ClientFields     = clientFields
	ProviderFields   = providerFields
	DiffFields       = diff
	LowerAlphanumers = lowerAlphanumerics
	PoolKind         = (*Directory).pools
)

// Field is one comparable part.
type Field = field

// Temporary is what is kept of a temporary password.
type Temporary = temporary

// SetGroups writes memberships as a release without sources did.
func SetGroups(ctx context.Context, d *Directory, u User, gids []string) error {
	_, err := d.users().Update(ctx, userKey(u.PoolID, u.Sub), func(u *User) error { u.Groups = gids; return nil })
	return err
}
