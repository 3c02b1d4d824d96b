package poolapi

import "github.com/weir-id/weir/federation/pool/api"

// Row is what tests see of a row of the table.
type Row struct {
	Name, Access string
	Built        bool
	Reads        bool
}

// Table is the table of operations.
func Table() []Row {
	var out []Row
	for _, o := range operations() {
		out = append(out, Row{o.name, accessNames[o.access], o.run != nil, reads(o.name)})
	}
	return out
}

// TabulateWith checks the table with one row changed, or with another one added.
func TabulateWith(name string, change func(*Access), more ...string) error {
	rows := operations()
	for i := range rows {
		if rows[i].name == name {
			change(&rows[i].access)
		}
	}
	for _, name := range more {
		rows = append(rows, later(name, admin))
	}
	_, err := tabulate(rows)
	return err
}

// TabulateWithout checks the table without a row.
func TabulateWithout(name string) error {
	var rows []operation
	for _, o := range operations() {
		if o.name != name {
			rows = append(rows, o)
		}
	}
	_, err := tabulate(rows)
	return err
}

// TabulateMistyped checks a table in which an operation has another's types.
func TabulateMistyped() error {
	rows := operations()
	for i := range rows {
		if rows[i].name == "GlobalSignOut" {
			rows[i] = op[api.GetUserRequest, api.GetUserResponse]("GlobalSignOut", accessToken, nil)
		}
	}
	_, err := tabulate(rows)
	return err
}

// Access is the column of access.
type Access = access

// The values of the column.
const (
	Nobody      Access = 0
	Public             = public
	AccessToken        = accessToken
	Admin              = admin
)

// CommonErrors are the types that operations may answer with though the model does not name them for each.
var CommonErrors = []string{
	"InvalidParameterException", "SerializationException", "UnknownOperationException", "NotImplementedException", "AccessDeniedException",
	"MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException", "UnrecognizedClientException",
	"ConcurrentModificationException", "InternalErrorException", "ServiceUnavailableException", "RequestEntityTooLargeException",
	"ResourceNotFoundException", "NotAuthorizedException",
	"AliasExistsException", // of AdminCreateUser, which has it in its documentation and not among its errors
}

// PoolOfARN is the id in the ARN of a user pool.
func PoolOfARN(arn string) (string, error) { return poolOfARN(arn) }
