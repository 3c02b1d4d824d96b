package sigv4

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxValue bounds what is read of a header or a query, in bytes. What an SDK signs is a few hundred.
const maxValue = 8 << 10

// presignedNames are the query parameters of a presigned request.
var presignedNames = []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"}

// request is a request as it is signed: names of headers in lower case, and a query that every parser reads alike.
type request struct {
	*http.Request
	headers map[string][]string
	query   url.Values
}

func read(r *http.Request) (*request, error) {
	q := &request{Request: r, headers: make(map[string][]string, len(r.Header))}
	for name, values := range r.Header {
		if lower := strings.ToLower(name); len(values) > 0 {
			q.headers[lower] = append(q.headers[lower], values...)
		}
	}
	var err error
	// The signer passes over what it cannot parse, which would leave it unsigned.
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil || len(r.URL.RawQuery) > maxValue || !printable(r.URL.RawQuery) {
		return nil, fail(incomplete, "The query is too long or not well-formed.", nil) // a cause would quote it
	}
	for _, values := range q.query {
		if len(values) > 1 {
			return nil, fail(incomplete, "The query has a parameter more than once.", nil)
		}
	}
	if r.URL.Opaque != "" {
		return nil, fail(incomplete, "The request's target must be a path.", nil)
	}
	return q, nil
}

// presigned reports whether the query has anything of a signature, in whatever case.
func (q *request) presigned() bool {
	return slices.ContainsFunc(presignedNames, q.inQuery)
}

func (q *request) inQuery(name string) bool {
	for k := range q.query {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// named reports whether a header or a query parameter has the name, which is in lower case.
func (q *request) named(name string) bool {
	_, ok := q.headers[name]
	return ok || q.inQuery(name)
}

// checkCoverage checks that what decides is signed: the host, and each x-amz- header, among them the operation and the
// date. Otherwise somebody in between could exchange it and the signature would still be good. payload is the hash of the body.
func (q *request) checkCoverage(c *claim, payload string) error {
	if !slices.Contains(c.signed, "host") {
		return fail(invalidSignature, "'Host' must be a 'SignedHeader' in the AWS Authorization.", nil)
	}
	for name := range q.headers {
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(c.signed, name) {
			return fail(invalidSignature, "Every 'X-Amz-' header must be a 'SignedHeader' in the AWS Authorization.",
				errors.New("a header is not signed: "+clip(name)))
		}
	}
	for _, name := range c.signed {
		values := q.headers[name]
		switch {
		case name == "authorization":
			return fail(incomplete, "SignedHeaders has a header that cannot be signed.", nil)
		case name == "host", name == "content-length": // what the request itself has counts; see signature
		case len(values) != 1:
			// Two could be read in another order, or only the first of them, behind the signature.
			return fail(invalidSignature, "Every 'SignedHeader' must be in the request once.",
				fmt.Errorf("the header %s is there %d times", clip(name), len(values)))
		case len(values[0]) > maxValue || !printable(values[0]):
			return fail(invalidSignature, "A 'SignedHeader' is too long or not ASCII.", errors.New("header "+clip(name)))
		}
	}
	return q.checkPayload(payload)
}

// checkPayload refuses to be told another hash than the body's own: UNSIGNED-PAYLOAD and STREAMING-… are for S3.
func (q *request) checkPayload(payload string) error {
	said := q.headers["x-amz-content-sha256"]
	for name, values := range q.query {
		if strings.EqualFold(name, "x-amz-content-sha256") {
			said = append(slices.Clone(said), values...)
		}
	}
	for _, s := range said {
		if s != payload {
			return fail(invalidSignature, "The value of 'X-Amz-Content-Sha256' does not match the body.", nil)
		}
	}
	return nil
}

// signature computes what the signature of q should be, with the SDK's signer, over a request that has what c says was signed and nothing
// else. What the signer would add or leave out comes to a signature that does not fit.
//
// The signer is a new one each time. One that lives on keeps a derived key for each region that it ever saw, and strangers choose
// the region; it also looks such a key up by the access key id alone, so that a changed secret would not count, and answers
// faster for keys that were used before.
func (q *request) signature(c *claim, host, secretKey, payload string, length int64) ([]byte, error) {
	if host == "" || !printable(host) {
		return nil, errors.New("the request has no host, or one that is not ASCII")
	}
	// Without a scheme the signer leaves the port of the host as it came.
	r := (&http.Request{
		Method: q.Method, Host: host, Header: make(http.Header, len(c.signed)),
		URL: &url.URL{Path: q.URL.Path, RawPath: q.URL.RawPath, RawQuery: q.URL.RawQuery},
	}).WithContext(q.Context())
	for _, name := range c.signed {
		switch {
		case name == "host":
		case name == "content-length":
			r.ContentLength = length // the signer takes the field and not the header, and nothing at all for 0
		case name == "x-amz-date" && !c.presigned: // the signer's
		default:
			// In lower case: the signer passes over some headers by their usual names, User-Agent for one, which older SDKs sign.
			r.Header[name] = q.headers[name]
		}
	}
	who := aws.Credentials{AccessKeyID: c.keyID, SecretAccessKey: secretKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
	if !c.presigned {
		if err := signer.SignHTTP(q.Context(), who, r, payload, c.scope.service, c.scope.region, c.date); err != nil {
			return nil, err
		}
		return last(r.Header.Get("Authorization"), "Signature=")
	}
	query := maps.Clone(q.query)
	query.Del("X-Amz-Signature")
	r.URL.RawQuery = query.Encode()
	uri, _, err := signer.PresignHTTP(q.Context(), who, r, payload, c.scope.service, c.scope.region, c.date)
	if err != nil {
		return nil, err
	}
	return last(uri, "&X-Amz-Signature=")
}

// last decodes the signature behind the last mark in s. What comes before may be a stranger's.
func last(s, mark string) ([]byte, error) {
	i := strings.LastIndex(s, mark)
	if i < 0 {
		return nil, errors.New("the signer returned no signature")
	}
	sig, err := hex.DecodeString(s[i+len(mark):])
	if err != nil {
		return nil, errors.New("the signer returned no signature") // and the cause would quote it
	}
	return sig, nil
}

// printable reports whether s is ASCII without control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// clip bounds the name of a header for the log.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
