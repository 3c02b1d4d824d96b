// Package sigv4 verifies AWS Signature Version 4 on requests to the JSON API: which administrator's key signed a request,
// and that nothing that matters was changed since. The signature may be in the Authorization header or in the query (presigned).
//
// It owns the rules for what has to be signed, when a signature is good, and what a key may do. It does not own the
// computation, which is the AWS SDK's own signer, nor the operations: package poolapi asks Verify first, then
// Allows and AllowsPool, and writes the errors. It knows neither echo nor a store, and keeps no state.
//
// A signature is not single use: whoever reads a request can send it again as it is for as long as its date is good. It is so
// with AWS as well; what keeps requests from being read is TLS.
//
// Sources: AWS's "Signature Version 4 for API requests" and "Troubleshoot Signature Version 4 signing" in the IAM user guide, and
// the SDKs, which are what has to work.
package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

const (
	// maxSkew is how far a client's clock may be off, in both directions, to the second. AWS documents five minutes.
	maxSkew = 5 * time.Minute
	// service is what clients of user pools put into the credential scope.
	service = "cognito-idp"
	// unknownSecret signs in the place of the secret that an unknown key does not have. Nothing is accepted for it.
	unknownSecret = "the secret of no key: forty characters.."
)

// Key is an administrator's key with its policy.
type Key struct {
	ID     string // the access key id, which every request names
	Name   string // who it is, for the audit stream and for refusals; ID where it is empty
	Secret secret.Text
	Allow  []string // operations: *, a name, or a name's beginning and * (List*); none allows nothing
	Pools  []string // ids of the pools that the key is for; none is every pool
}

// Who is the key's name, or its id where it has none.
func (k Key) Who() string { return cmp.Or(k.Name, k.ID) }

// Allows reports whether the key may call operation, such as ListUsers.
func (k Key) Allows(operation string) bool {
	return operation != "" && slices.ContainsFunc(k.Allow, func(entry string) bool {
		if prefix, ok := strings.CutSuffix(entry, "*"); ok {
			return strings.HasPrefix(operation, prefix)
		}
		return entry == operation
	})
}

// AllowsPool reports whether the key may touch the pool. Of operations that name no pool (CreateUserPool, ListUserPools)
// ask with "": only a key for every pool may call them.
func (k Key) AllowsPool(poolID string) bool {
	return len(k.Pools) == 0 || slices.Contains(k.Pools, poolID)
}

// Verifier finds out who signed a request. It is safe for concurrent use.
type Verifier struct {
	// Keys are the keys that count; their ids differ. A key without a secret is as good as not there.
	Keys []Key
	// Now is the clock. Required.
	Now func() time.Time
	// Host says which host the client sent the request to, where a proxy in front puts another one into it. It has to believe
	// nobody but that proxy. Nil is the request's Host.
	Host func(*http.Request) string
	// Service is the service of the credential scope; empty is cognito-idp.
	Service string
}

// Verify returns the key that signed r. body is the whole body, which the caller has read and bounded. r is not changed.
// Every error is an *Error. The caller still has to ask the key whether it allows the operation and the pool.
//
// The operation is what the header X-Amz-Target says, and no query parameter: that header is known to be signed.
func (v *Verifier) Verify(r *http.Request, body []byte) (Key, error) {
	q, err := read(r)
	if err != nil {
		return Key{}, err
	}
	c, err := q.claim()
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if err := q.checkCoverage(c, payload); err != nil {
		return Key{}, err
	}
	if err := c.checkScope(cmp.Or(v.Service, service)); err != nil {
		return Key{}, err
	}
	if err := c.checkTime(v.Now()); err != nil {
		return Key{}, err
	}
	key, known := v.find(c.keyID)
	want, err := q.signature(c, v.host(r), key.Secret.Reveal(), payload, int64(len(body)))
	good := err == nil && hmac.Equal(want, c.signature)
	switch {
	case !known:
		return Key{}, unknownKey(c)
	case err != nil:
		return Key{}, fail(invalidSignature, mismatch, err)
	case !good:
		return Key{}, fail(invalidSignature, mismatch, fmt.Errorf("wrong signature for the key %s", c.keyID))
	}
	return key, nil
}

// Announced returns the refusal that is certain before the body is there, nil for none: no signature, one that is not well-formed or of another time,
// or one of no key. Whoever has large bodies to read asks it first, so that strangers cannot have them read. It is an *Error, and
// Verify has to be called all the same.
func (v *Verifier) Announced(r *http.Request) error {
	q, err := read(r)
	if err != nil {
		return err
	}
	c, err := q.claim()
	if err != nil {
		return err
	}
	if err := c.checkScope(cmp.Or(v.Service, service)); err != nil {
		return err
	}
	if err := c.checkTime(v.Now()); err != nil {
		return err
	}
	if _, known := v.find(c.keyID); !known {
		return unknownKey(c)
	}
	return nil
}

func unknownKey(c *claim) error {
	return fail(unrecognized, badToken, fmt.Errorf("no key %s", c.keyID))
}

// find looks at all keys and always returns one to compute with, so that an unknown key costs what a known one does.
// The error tells the two apart, as AWS's does: ids are no secrets.
func (v *Verifier) find(id string) (Key, bool) {
	found, known := Key{Secret: secret.New(unknownSecret)}, false
	for _, k := range v.Keys {
		// Without a secret anybody could sign.
		if subtle.ConstantTimeCompare([]byte(k.ID), []byte(id)) == 1 && !k.Secret.IsZero() && !known {
			found, known = k, true
		}
	}
	return found, known
}

func (v *Verifier) host(r *http.Request) string {
	if v.Host != nil {
		return v.Host(r)
	}
	return r.Host
}

// Error is a refusal in AWS's terms. Type and Message may be sent to anybody; Cause is for the log and holds
// neither secrets nor signatures.
type Error struct {
	Type, Message string
	Cause         error
}

// Error is the private text: it includes the cause. Never send it to a client.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Type + ": " + e.Message
	}
	return e.Type + ": " + e.Message + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// The types of AWS's common errors. The SDKs correct their clock by the answer's Date header and try again when they read
// InvalidSignatureException (aws-sdk-js-v3: CLOCK_SKEW_ERROR_CODES; aws-sdk-go-v2: clockSkewCodes).
const (
	missingToken     = "MissingAuthenticationTokenException"
	incomplete       = "IncompleteSignatureException"
	unrecognized     = "UnrecognizedClientException"
	invalidSignature = "InvalidSignatureException"
	accessDenied     = "AccessDeniedException"
)

// The messages that people know from AWS, without what AWS adds to some of them: the canonical request, which would help
// somebody who is guessing, and the Authorization header.
const (
	noToken  = "Missing Authentication Token"
	badToken = "The security token included in the request is invalid."
	mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

func fail(typ, message string, cause error) *Error {
	return &Error{Type: typ, Message: message, Cause: cause}
}

// Denied is the refusal of an operation, or of a pool, that key does not allow. operation is a name of the API.
func Denied(key Key, operation string) *Error {
	return fail(accessDenied, fmt.Sprintf("User: %s is not authorized to perform: %s:%s", key.Who(), service, operation),
		errors.New("the policy of the key "+key.ID))
}
