// Package poolapi is the JSON API of user pools: POST / with the operation in X-Amz-Target, as AWS's SDKs, the AWS CLI and Terraform speak it.
//
// It owns the table of operations, which says who may call each of them, and the way of a call: who is calling, is the
// input within the model's constraints, what comes back. An operation here translates between the types of the API (package api) and
// the domain, and decides nothing that package pool or federation could.
package poolapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/oauth"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/web"
)

// Service holds what the operations work with.
type Service struct {
	Site       *web.Site
	Directory  *pool.Directory
	Broker     *federation.Broker
	Grants     *token.Grants
	Issuer     *token.Issuer
	OAuth      *oauth.Service
	SAMLKeys   *samlsp.Keys
	Signatures *sigv4.Verifier
	Audit      audit.Recorder
	Now        func() time.Time
	Region     string // in ARNs; "" is pool.DefaultRegion

	operations map[string]operation
}

// Path is where the API is.
const Path = "/"

// RequestIDHeader carries the id of the request in every answer at Path; it is for the middleware to set.
const RequestIDHeader = "X-Amzn-Requestid"

// The names on the wire.
const (
	targetHeader = "X-Amz-Target"
	targetPrefix = "AWSCognitoIdentityProviderService."
	ownPrefix    = "Weir."
	contentType  = "application/x-amz-json-1.1"
)

// Prepare checks the table of operations against the model. It is called once, before the first Call; an error is a defect of this build.
func (s *Service) Prepare() error {
	table, err := tabulate(operations())
	s.operations = table
	return err
}

// CrossOrigin lets scripts of all origins call the API: no cookie is read here, and what browsers may not see without it is in the headers.
func CrossOrigin() echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: []string{"*"},
		AllowMethods: []string{http.MethodPost, http.MethodOptions},
		// The headers that the script asks for are allowed: SDKs add their own, and none has a meaning but those that are signed.
		ExposeHeaders: []string{RequestIDHeader, "X-Amzn-Errortype", "X-Amzn-Errormessage", "Date", "Retry-After"},
		MaxAge:        600,
	})
}

// Asked reports whether a request is one for the API, so that its errors are to be the API's.
func Asked(c echo.Context) bool { return c.Path() == Path && c.Request().Method == http.MethodPost }

// operationKey is where the echo.Context keeps the name of the operation.
const operationKey = "weir.operation"

// OperationOf is the name of the operation that a request was for, "" where it was for none: logs and metrics have it after the route.
func OperationOf(c echo.Context) string {
	name, _ := c.Get(operationKey).(string)
	return name
}

// Call serves POST /.
func (s *Service) Call(c echo.Context) error {
	op, body, err := s.read(c)
	if err != nil {
		return err
	}
	out, err := s.call(c, op, body)
	if err != nil {
		return err
	}
	if _, nothing := out.(*none); nothing {
		c.Response().Header().Set(echo.HeaderContentType, contentType)
		c.Response().WriteHeader(http.StatusOK)
		return nil
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("%s: write the answer: %w", op.name, err)
	}
	return c.Blob(http.StatusOK, contentType, data)
}

// read finds the operation that a request is for, and reads its body, whose size the route has bounded.
func (s *Service) read(c echo.Context) (operation, []byte, error) {
	r := c.Request()
	targets := r.Header.Values(targetHeader)
	if len(targets) != 1 {
		return operation{}, nil, refuse("UnknownOperationException", "Name one operation in the header X-Amz-Target.", nil)
	}
	op, known := s.operation(targets[0])
	if !known {
		return operation{}, nil, refuse("UnknownOperationException", "There is no such operation.", fmt.Errorf("target %.100q", targets[0]))
	}
	c.Set(operationKey, op.name)
	// Nothing but this type, which no page of another site can post without asking first: a form's body is not taken for JSON.
	if media, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || media != contentType {
		return operation{}, nil, refuse(api.SerializationException, "The Content-Type of a request must be "+contentType+".", err)
	}
	body, err := s.body(r, op)
	return op, body, err
}

// operation is the one of that target, under the prefix of its service and no other.
func (s *Service) operation(target string) (operation, bool) {
	name, own := strings.CutPrefix(target, ownPrefix)
	if !own {
		var published bool
		if name, published = strings.CutPrefix(target, targetPrefix); !published {
			return operation{}, false
		}
	}
	op, known := s.operations[name]
	return op, known && op.own == own
}

// strangersBody bounds what callers without a key may send, in bytes. All attributes of a person fit into it.
const strangersBody = 256 << 10

// body reads the body of a request: a large one from those alone who name a key.
func (s *Service) body(r *http.Request, op operation) ([]byte, error) {
	if op.access == admin {
		if err := s.Signatures.Announced(r); err != nil {
			return nil, s.refusedCall(r.Context(), op, sigv4.Key{}, err)
		}
		return readAll(r.Body)
	}
	body, err := readAll(io.LimitReader(r.Body, strangersBody+1))
	if len(body) > strangersBody {
		err = fault.New(fault.TooLarge, "The request is too large.", nil)
	}
	return body, err
}

// readAll reads a body. One that breaks off is the client's failure.
func readAll(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(r)
	var tooLarge *echo.HTTPError // of the route's bound
	if err != nil && !errors.As(err, &tooLarge) {
		err = refuse(api.SerializationException, "The body of the request could not be read.", err)
	}
	return body, err
}

// call lets the caller in, or not, and runs the operation.
func (s *Service) call(c echo.Context, op operation, body []byte) (any, error) {
	ctx := c.Request().Context()
	by := Caller{notes: new([][2]string)}
	if op.access == admin {
		var err error
		if by.Key, err = s.administrator(c, op, body); err != nil {
			return nil, err
		}
	}
	in, faulty := api.Parse(op.name, body)
	var err error
	if op.access == admin && faulty == nil {
		if err := s.withinPolicy(by.Key, op, in); err != nil {
			return nil, s.refusedCall(ctx, op, by.Key, err)
		}
	}
	if op.run == nil {
		return nil, refuse("NotImplementedException", "This release does not have the operation "+op.name+" yet.", nil)
	}
	if faulty != nil {
		return nil, faulty
	}
	if op.access == accessToken {
		if err := s.signedIn(ctx, &by, in); err != nil {
			return nil, err
		}
	}
	if by.Pool, err = s.poolOf(ctx, op, by, in); err != nil {
		return nil, err
	}
	out, err := op.run(s, ctx, by, in)
	s.recordChange(ctx, op, by, in, err)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// poolOf is the pool that a call is about. What is in a pool that does not exist does not exist either, and that is to be said of the pool; one that
// is half deleted can be deleted again.
func (s *Service) poolOf(ctx context.Context, op operation, by Caller, in api.Input) (pool.Pool, error) {
	id := cmp.Or(in.Text("UserPoolId"), by.User.PoolID)
	if id == "" || op.name == "DeleteUserPool" {
		return pool.Pool{}, nil
	}
	p, err := s.Directory.Pool(ctx, id)
	return p, poolMissing(id, err)
}

// poolMissing names the pool that does not exist, which the model's constraints have looked at.
func poolMissing(id string, err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return refuse("ResourceNotFoundException", "User pool "+id+" does not exist.", err)
	}
	return err
}

// administrator is the key that signed the request, if its policy allows the operation.
func (s *Service) administrator(c echo.Context, op operation, body []byte) (sigv4.Key, error) {
	key, err := s.Signatures.Verify(c.Request(), body)
	if err == nil && !key.Allows(op.name) {
		err = sigv4.Denied(key, op.name)
	}
	if err != nil {
		return key, s.refusedCall(c.Request().Context(), op, key, err)
	}
	return key, nil
}

// refusedCall records that the key may not make the call, and returns why.
func (s *Service) refusedCall(ctx context.Context, op operation, key sigv4.Key, why error) error {
	s.Audit.Record(ctx, audit.APIRefused{Operation: op.name, By: key.Who(), Reason: why.Error(), Reference: web.RequestID(ctx)})
	return why
}

// withinPolicy holds a key that is limited to some pools to these. Which pool an operation is for, its input says; operations that
// name none look at the key themselves.
func (s *Service) withinPolicy(key sigv4.Key, op operation, in api.Input) error {
	id := in.Text("UserPoolId")
	if arn := in.Text("ResourceArn"); arn != "" {
		id, _ = poolOfARN(arn)
	}
	if key.AllowsPool(id) || id == "" && slices.Contains(filtered, op.name) {
		return nil
	}
	return sigv4.Denied(key, op.name)
}

// filtered are the operations that name no pool and show a limited key only what it may see.
var filtered = []string{"ListUserPools", "DescribeUserPoolDomain"}

// recordChange is the audit event of an administrator's change, and of one that broke off: what it had changed until then stays. A call that was
// refused changed nothing. End users' operations have events of their own.
func (s *Service) recordChange(ctx context.Context, op operation, by Caller, in api.Input, err error) {
	brokeOff := err != nil && ProblemOf(err).Status >= http.StatusInternalServerError
	if op.access != admin || reads(op.name) || err != nil && !brokeOff {
		return
	}
	if brokeOff {
		by.Note("outcome", "broke off")
	}
	e := audit.AdminChange{Operation: op.name, By: by.By(), Pool: in.Text("UserPoolId"), Notes: *by.notes}
	for _, n := range named {
		if v := in.Text(n[0]); v != "" {
			e.Notes = append(e.Notes, [2]string{n[1], v})
		}
	}
	s.Audit.Record(ctx, e)
}

// named are the members of inputs that say what an operation changes, each with its name in the audit stream. User names are not among them, because they can be e-mail
// addresses: operations note the user's sub.
var named = [][2]string{
	{"ClientId", "client"}, {"ProviderName", "provider"}, {"GroupName", "group"}, {"Identifier", "resource_server"}, {"Domain", "domain"},
	{"ResourceArn", "arn"}, {"PoolName", "name"}, {"ClientSecretId", "client_secret"},
}

// reads reports whether an operation only looks.
func reads(name string) bool {
	for _, verb := range []string{"Get", "List", "Describe", "AdminGet", "AdminList", "Test"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return false
}

// refusal is an error of the API: a type of the model, or one of those that all of AWS's services share.
type refusal struct {
	kind, message string
	cause         error
}

// refuse returns an error of the API. The message is a fixed sentence for everybody; cause is for the log and may be nil.
func refuse(kind, message string, cause error) error { return &refusal{kind, message, cause} }

// Error implements error.
func (r *refusal) Error() string {
	if r.cause == nil {
		return r.kind + ": " + r.message
	}
	return r.kind + ": " + r.message + ": " + r.cause.Error()
}

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }
