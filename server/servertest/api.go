package servertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

// AdminKey may do everything in every Weir of this package.
var AdminKey = sigv4.Key{ID: "WEIRADMIN", Name: "ada", Secret: secret.New("the secret of the administrator ada"), Allow: []string{"*"}}

// API is a caller of the JSON API that knows it by HTTP only.
type API struct {
	Weir *Weir
	Key  sigv4.Key // signs; the zero Key does not
	HTTP *http.Client
}

// Admin calls the JSON API as AdminKey.
func (w *Weir) Admin() *API { return &API{Weir: w, Key: AdminKey, HTTP: w.Client()} }

// Anybody calls the JSON API without a signature.
func (w *Weir) Anybody() *API { return &API{Weir: w, HTTP: w.Client()} }

// Request makes the request of an operation, not signed yet. body is JSON text, or a value that is written as JSON.
func (a *API) Request(operation string, body any) *http.Request {
	a.Weir.t.Helper()
	text, ok := body.(string)
	if !ok {
		data, err := json.Marshal(body)
		a.Weir.must(err)
		text = string(data)
	}
	req, err := http.NewRequestWithContext(a.Weir.t.Context(), http.MethodPost, a.Weir.URL+"/", bytes.NewReader([]byte(text)))
	a.Weir.must(err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target(operation))
	return req
}

// Sign signs a request at the time of the test's clock.
func (a *API) Sign(req *http.Request) *http.Request {
	a.Weir.t.Helper()
	body, err := req.GetBody()
	a.Weir.must(err)
	data, err := io.ReadAll(body)
	a.Weir.must(err)
	sum := sha256.Sum256(data)
	by := aws.Credentials{AccessKeyID: a.Key.ID, SecretAccessKey: a.Key.Secret.Reveal()}
	a.Weir.must(v4.NewSigner().SignHTTP(a.Weir.t.Context(), by, req, hex.EncodeToString(sum[:]), "cognito-idp", "local", a.Weir.Clock.Now()))
	return req
}

// Call calls an operation.
func (a *API) Call(operation string, body any) *Answer {
	a.Weir.t.Helper()
	req := a.Request(operation, body)
	if a.Key.ID != "" {
		a.Sign(req)
	}
	return (&App{Weir: a.Weir, HTTP: a.HTTP}).Send(req)
}

// Must is Call of an operation that has to succeed; out, if it is not nil, is filled with the answer.
func (a *API) Must(operation string, body, out any) {
	a.Weir.t.Helper()
	ans := a.Call(operation, body)
	if ans.Status != http.StatusOK {
		a.Weir.t.Fatalf("%s: %d %s", operation, ans.Status, ans.Body)
	}
	if out != nil {
		a.Weir.must(json.Unmarshal([]byte(ans.Body), out))
	}
}

// target is an operation's name on the wire.
func target(operation string) string {
	if api.TheModel().Operations[operation].Own {
		return "Weir." + operation
	}
	return "AWSCognitoIdentityProviderService." + operation
}
