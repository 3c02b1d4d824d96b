package pool

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
