package sigv4

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	dateForm   = "20060102T150405Z"
	// maxExpires is the longest time for which a request can be presigned: seven days, in seconds.
	maxExpires = 604800
	// maxSigned bounds SignedHeaders, in bytes. The SDKs sign about ten headers.
	maxSigned = 1 << 10
)

// The texts that a claim is made of. All of them are ASCII and bounded.
var (
	keyIDShape     = regexp.MustCompile(`^[A-Za-z0-9_]{1,128}$`) // as package config has it
	scopeShape     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	headersShape   = regexp.MustCompile(`^[a-z0-9_.-]+(;[a-z0-9_.-]+)*$`)
	signatureShape = regexp.MustCompile(`^[0-9a-f]{64}$`)
	expiresShape   = regexp.MustCompile(`^[1-9][0-9]{0,5}$`)
)

// claim is what a request says of its signature. Its fields have the right form; whether they are true is not known yet.
type claim struct {
	presigned bool
	keyID     string
	scope     scope
	signed    []string // names of headers in lower case, ascending, each one once
	signature []byte
	date      time.Time
	expires   time.Duration // of a presigned request
}

type scope struct{ date, region, service, terminator string }

// fields are the parts of a claim as they were written, from the header or from the query.
type fields struct{ credential, signedHeaders, signature, date, expires string }

// claim finds the signature of a request, in one of its two places and not in both.
func (q *request) claim() (*claim, error) {
	auth, inHeader := q.headers["authorization"]
	inQuery := q.presigned()
	switch {
	case !inHeader && !inQuery:
		return nil, fail(missingToken, noToken, nil)
	case inHeader && inQuery:
		return nil, fail(incomplete, "The request is signed in its header and in its query.", nil)
	case len(auth) > 1:
		return nil, fail(incomplete, "The request has more than one Authorization header.", nil)
	case q.named("x-amz-security-token"):
		// A token belongs to temporary credentials, and there are none here.
		return nil, fail(unrecognized, badToken, errors.New("the request has a session token"))
	}
	var f fields
	var err error
	if inQuery {
		f, err = q.presignedFields()
	} else {
		f, err = q.headerFields(auth[0])
	}
	if err != nil {
		return nil, err
	}
	return f.claim(inQuery)
}

// headerFields reads the Authorization header: the algorithm, then Credential, SignedHeaders and Signature once each, in any order.
func (q *request) headerFields(auth string) (f fields, err error) {
	scheme, params, _ := strings.Cut(auth, " ")
	switch {
	case !strings.HasPrefix(scheme, "AWS4-"): // Bearer, Basic: as good as none
		return f, fail(missingToken, noToken, errors.New("the Authorization header is of another scheme"))
	case scheme != algorithm:
		return f, fail(incomplete, unsupported, nil)
	case len(auth) > maxValue || !printable(auth):
		return f, fail(incomplete, "The Authorization header is too long or not ASCII.", nil)
	}
	seen := map[string]string{}
	for part := range strings.SplitSeq(params, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " "), "=")
		if _, twice := seen[name]; !ok || twice {
			return f, fail(incomplete, "The Authorization header wants key=value pairs, each once.", nil)
		}
		seen[name] = value
	}
	for name := range seen {
		if name != "Credential" && name != "SignedHeaders" && name != "Signature" {
			return f, fail(incomplete, "The Authorization header has a parameter that is not known.", nil)
		}
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if seen[name] == "" {
			return f, fail(incomplete, "Authorization header requires '"+name+"' parameter.", nil)
		}
	}
	date := q.headers["x-amz-date"]
	if len(date) != 1 {
		// AWS takes Date as well. The SDKs send X-Amz-Date, and the signer knows nothing else.
		return f, fail(incomplete, "Authorization header requires existence of one 'X-Amz-Date' header.", nil)
	}
	return fields{credential: seen["Credential"], signedHeaders: seen["SignedHeaders"], signature: seen["Signature"], date: date[0]}, nil
}

// presignedFields reads the query, which names every parameter once at most.
func (q *request) presignedFields() (f fields, err error) {
	if alg := q.query.Get("X-Amz-Algorithm"); alg != "" && alg != algorithm {
		return f, fail(incomplete, unsupported, nil)
	}
	for _, name := range presignedNames {
		if q.query.Get(name) == "" {
			return f, fail(incomplete, "AWS query-string parameters must include '"+name+"'.", nil)
		}
	}
	if _, ok := q.headers["x-amz-date"]; ok {
		return f, fail(incomplete, "The request is dated in its header and in its query.", nil)
	}
	return fields{
		credential: q.query.Get("X-Amz-Credential"), signedHeaders: q.query.Get("X-Amz-SignedHeaders"),
		signature: q.query.Get("X-Amz-Signature"), date: q.query.Get("X-Amz-Date"), expires: q.query.Get("X-Amz-Expires"),
	}, nil
}

const unsupported = "Unsupported AWS 'algorithm' (only " + algorithm + " for now)."

// claim checks the form of the fields.
func (f fields) claim(presigned bool) (*claim, error) {
	c := &claim{presigned: presigned}
	parts := strings.Split(f.credential, "/")
	if len(parts) != 5 {
		return nil, fail(incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.", nil)
	}
	for _, s := range parts[1:] {
		if !scopeShape.MatchString(s) {
			return nil, fail(incomplete, "Credential has an element that is not well-formed.", nil)
		}
	}
	if !keyIDShape.MatchString(parts[0]) {
		return nil, fail(unrecognized, badToken, errors.New("the access key id is not well-formed"))
	}
	c.keyID, c.scope = parts[0], scope{date: parts[1], region: parts[2], service: parts[3], terminator: parts[4]}

	if len(f.signedHeaders) > maxSigned || !headersShape.MatchString(f.signedHeaders) {
		return nil, fail(incomplete, "SignedHeaders wants a short list of names in lower case, separated by semicolons.", nil)
	}
	c.signed = strings.Split(f.signedHeaders, ";")
	for i := range c.signed[1:] {
		if c.signed[i] >= c.signed[i+1] {
			return nil, fail(incomplete, "SignedHeaders wants its names sorted, each once.", nil)
		}
	}
	if !signatureShape.MatchString(f.signature) {
		return nil, fail(incomplete, "Signature wants 64 hexadecimal digits in lower case.", nil)
	}
	c.signature, _ = hex.DecodeString(f.signature) // of the right form

	var err error
	// Parse takes fractions of a second, which the signer would not write again.
	if c.date, err = time.Parse(dateForm, f.date); err != nil || c.date.Format(dateForm) != f.date {
		return nil, fail(incomplete, "Date must be in ISO-8601 'basic format', such as 20150830T123600Z.", nil)
	}
	if presigned {
		n, err := strconv.Atoi(f.expires)
		if err != nil || !expiresShape.MatchString(f.expires) || n > maxExpires {
			return nil, fail(incomplete, "X-Amz-Expires must be a number of seconds from 1 to 604800.", nil)
		}
		c.expires = time.Duration(n) * time.Second
	}
	return c, nil
}

// checkScope compares the credential scope with the request. Any region will do: a deployment's label is no region of AWS, and
// clients refuse to sign for what is none, so theirs is whatever they were given. It is part of the signing key all the same.
func (c *claim) checkScope(service string) error {
	switch {
	case c.scope.service != service:
		return fail(invalidSignature, "Credential should be scoped to correct service: '"+service+"'.", nil)
	case c.scope.terminator != terminator:
		return fail(invalidSignature, "Credential should be scoped with a valid terminator: '"+terminator+"'.", nil)
	case c.scope.date != c.date.Format("20060102"):
		return fail(invalidSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.", nil)
	}
	return nil
}

// checkTime allows a clock that is wrong by maxSkew. A presigned request is good until its own end, without
// anything on top.
func (c *claim) checkTime(now time.Time) error {
	past := maxSkew
	if c.presigned {
		past = c.expires
	}
	now = now.UTC()
	stamp := func(t time.Time) string { return t.Format(dateForm) }
	// The wording is that of AWS's services, which people look for; the SDKs go by the type and the Date header.
	if earliest := now.Add(-past); c.date.Before(earliest) {
		return fail(invalidSignature, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s)",
			stamp(c.date), stamp(earliest), stamp(now), span(past)), nil)
	}
	if latest := now.Add(maxSkew); c.date.After(latest) {
		return fail(invalidSignature, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s)",
			stamp(c.date), stamp(latest), stamp(now), span(maxSkew)), nil)
	}
	return nil
}

func span(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min."
	}
	return strconv.Itoa(int(d/time.Second)) + " sec."
}
