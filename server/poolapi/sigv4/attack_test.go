package sigv4_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	missing      = "MissingAuthenticationTokenException"
	incomplete   = "IncompleteSignatureException"
	unrecognized = "UnrecognizedClientException"
	invalid      = "InvalidSignatureException"
)

// edit replaces a part of the Authorization header and of the query, which is there in one of them.
func edit(t *testing.T, from, to string) func(*http.Request) {
	return func(r *http.Request) {
		auth, query := r.Header.Get("Authorization"), r.URL.RawQuery
		if !strings.Contains(auth, from) && !strings.Contains(query, url.QueryEscape(from)) {
			t.Errorf("the request has no %q", from)
		}
		if auth != "" {
			r.Header.Set("Authorization", strings.Replace(auth, from, to, 1))
		}
		r.URL.RawQuery = strings.Replace(query, url.QueryEscape(from), url.QueryEscape(to), 1)
	}
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestEverySignedPartCounts(t *testing.T) {
	const body = `{"UserPoolId":"local_Example01"}`
	changes := map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"method":           {func(r *http.Request) { r.Method = http.MethodPut }, invalid},
		"path":             {func(r *http.Request) { r.URL.Path = "/admin" }, invalid},
		"escaped path":     {func(r *http.Request) { r.URL.Path, r.URL.RawPath = "//", "/%2F" }, invalid},
		"query":            {func(r *http.Request) { r.URL.RawQuery += "&more=1" }, invalid},
		"host":             {func(r *http.Request) { r.Host = "login.example.org" }, invalid},
		"port":             {func(r *http.Request) { r.Host += ":443" }, invalid},
		"date":             {edit(t, "20260301/", "20260302/"), invalid},
		"region":           {edit(t, "/us-east-1/", "/us-east-2/"), invalid},
		"service":          {edit(t, "/cognito-idp/", "/cognito-identity/"), invalid},
		"terminator":       {edit(t, "/aws4_request", "/aws4_response"), invalid},
		"key":              {edit(t, "WEIRADMIN", "WEIROTHER"), invalid},
		"unknown key":      {edit(t, "WEIRADMIN", "NOBODY"), unrecognized},
		"headers, without": {edit(t, "content-type;", ""), invalid},
		"headers, more":    {edit(t, "host;", "host;user-agent;"), invalid},
	}
	for form, with := range map[string]func(*http.Request) *http.Request{
		"header":    func(r *http.Request) *http.Request { return sign(t, r, body, "WEIRADMIN", adminSecret, noon) },
		"presigned": func(r *http.Request) *http.Request { return presign(t, r, body, "WEIRADMIN", adminSecret, noon, 60) },
	} {
		signed := func() *http.Request {
			r := ofClient(t, clients["aws-sdk-js-v3"], body)
			return with(r)
		}
		accepted(t, verifier(), signed(), body, "WEIRADMIN")
		for name, tt := range changes {
			t.Run(form+"/"+name, func(t *testing.T) {
				r := signed()
				tt.change(r)
				refused(t, verifier(), r, body, tt.want)
			})
		}
		t.Run(form+"/body", func(t *testing.T) {
			for _, other := range []string{"", body + " ", body[1:], strings.ToUpper(body)} {
				refused(t, verifier(), signed(), other, invalid)
			}
		})
		t.Run(form+"/headers", func(t *testing.T) {
			for name := range signed().Header {
				if name == "Authorization" || name == "User-Agent" || name == "Content-Length" {
					continue // not signed by this SDK; Content-Length is taken from the body
				}
				r := signed()
				r.Header.Set(name, "x"+r.Header.Get(name))
				want := invalid
				if name == "X-Amz-Date" {
					want = incomplete
				}
				refused(t, verifier(), r, body, want)
				r.Header.Del(name)
				refused(t, verifier(), r, body, want)
			}
		})
		t.Run(form+"/signature", func(t *testing.T) {
			for i := range 64 {
				r := signed()
				flip := func(s string) string {
					at := strings.LastIndex(s, "Signature=") + len("Signature=") + i
					digit := "0"
					if s[at] == '0' {
						digit = "1"
					}
					return s[:at] + digit + s[at+1:]
				}
				if form == "header" {
					r.Header.Set("Authorization", flip(r.Header.Get("Authorization")))
				} else {
					r.URL.RawQuery = flip(r.URL.RawQuery)
				}
				refused(t, verifier(), r, body, invalid)
			}
		})
	}
	t.Run("presigned/expiry", func(t *testing.T) {
		r := presign(t, call(t, listUsers, body), body, "WEIRADMIN", adminSecret, noon, 60)
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Expires=60", "X-Amz-Expires=61", 1)
		refused(t, verifier(), r, body, invalid)
	})
}

// Each of these is signed well but for the one thing.
func TestAttacksOnTheHeader(t *testing.T) {
	const body = "{}"
	again := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, r.Header.Get(name)) }
	}
	tests := map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"another operation": {set("X-Amz-Target", "AWSCognitoIdentityProviderService.DeleteUserPool"), invalid},
		"a second operation": {func(r *http.Request) {
			r.Header.Add("X-Amz-Target", "AWSCognitoIdentityProviderService.DeleteUserPool")
		}, invalid},
		"a second operation in another case":  {func(r *http.Request) { r.Header["x-amz-target"] = []string{"Other.DeleteUserPool"} }, invalid},
		"the operation twice":                 {again("X-Amz-Target"), invalid},
		"an x-amz header that is not signed":  {set("X-Amz-Mfa", "1"), invalid},
		"host not signed":                     {func(r *http.Request) { authorize(r, body, "us-east-1", "content-type;x-amz-date;x-amz-target") }, invalid},
		"operation not signed":                {func(r *http.Request) { authorize(r, body, "us-east-1", "content-type;host;x-amz-date") }, invalid},
		"date not signed":                     {func(r *http.Request) { authorize(r, body, "us-east-1", "content-type;host;x-amz-target") }, invalid},
		"a signed header is not there":        {func(r *http.Request) { authorize(r, body, "us-east-1", "content-md5;host;x-amz-date;x-amz-target") }, invalid},
		"names not sorted":                    {func(r *http.Request) { authorize(r, body, "us-east-1", "host;content-type;x-amz-date;x-amz-target") }, incomplete},
		"a name twice":                        {func(r *http.Request) { authorize(r, body, "us-east-1", "host;host;x-amz-date;x-amz-target") }, incomplete},
		"names in upper case":                 {func(r *http.Request) { authorize(r, body, "us-east-1", "Host;X-Amz-Date;X-Amz-Target") }, incomplete},
		"no names":                            {edit(t, "SignedHeaders=content-length;content-type;host;x-amz-date;x-amz-target", "SignedHeaders="), incomplete},
		"an empty name":                       {edit(t, "content-type;", ";"), incomplete},
		"too many names":                      {edit(t, "SignedHeaders=", "SignedHeaders="+manyNames()), incomplete},
		"authorization signed by itself":      {edit(t, "SignedHeaders=", "SignedHeaders=authorization;"), incomplete},
		"an unsigned body":                    {set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), invalid},
		"an unsigned body, and signed so":     {unsignedPayload(t, "UNSIGNED-PAYLOAD"), invalid},
		"a streamed body, and signed so":      {unsignedPayload(t, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), invalid},
		"another body's hash":                 {unsignedPayload(t, hashOf("another")), invalid},
		"the hash in upper case":              {unsignedPayload(t, strings.ToUpper(hashOf(body))), invalid},
		"a session token":                     {set("X-Amz-Security-Token", "FwoGZXIvYXdzEBYaD"), unrecognized},
		"a session token in the query":        {func(r *http.Request) { r.URL.RawQuery = "x-amz-security-token=a" }, unrecognized},
		"a header and a query":                {func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=" + strings.Repeat("0", 64) }, incomplete},
		"a header and a query in lower case":  {func(r *http.Request) { r.URL.RawQuery = "x-amz-credential=a" }, incomplete},
		"two Authorization headers":           {again("Authorization"), incomplete},
		"two Authorization headers, one good": {func(r *http.Request) { r.Header["authorization"] = []string{"Bearer x"} }, incomplete},
		"no Authorization":                    {func(r *http.Request) { r.Header.Del("Authorization") }, missing},
		"an Authorization without a value":    {func(r *http.Request) { r.Header["Authorization"] = nil }, missing},
		"an empty Authorization":              {set("Authorization", ""), missing},
		"Bearer":                              {set("Authorization", "Bearer eyJhbGciOiJub25lIn0."), missing},
		"Basic":                               {set("Authorization", "Basic V0VJUjpXRUlS"), missing},
		"version 2":                           {set("Authorization", "AWS WEIRADMIN:c2lnbmF0dXJl"), missing},
		"another algorithm":                   {edit(t, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), incomplete},
		"the algorithm of chunks":             {edit(t, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256-PAYLOAD"), incomplete},
		"the algorithm in lower case":         {edit(t, "AWS4-HMAC-SHA256", "AWS4-hmac-sha256"), incomplete},
		"the algorithm alone":                 {set("Authorization", "AWS4-HMAC-SHA256"), incomplete},
		"no Credential":                       {edit(t, "Credential=WEIRADMIN/20260301/us-east-1/cognito-idp/aws4_request, ", ""), incomplete},
		"an empty Credential":                 {edit(t, "WEIRADMIN/20260301/us-east-1/cognito-idp/aws4_request", ""), incomplete},
		"no SignedHeaders":                    {edit(t, "SignedHeaders=", "Headers="), incomplete},
		"no Signature":                        {edit(t, "Signature=", "Sig="), incomplete},
		"a parameter twice":                   {edit(t, "Credential=", "Credential=WEIROTHER/20260301/us-east-1/cognito-idp/aws4_request, Credential="), incomplete},
		"a parameter that is not known":       {edit(t, "Credential=", "Region=x, Credential="), incomplete},
		"four elements of Credential":         {edit(t, "/us-east-1/", "/"), incomplete},
		"six elements of Credential":          {edit(t, "/us-east-1/", "/us-east-1/x/"), incomplete},
		"an empty region":                     {edit(t, "/us-east-1/", "//"), incomplete},
		"a long region":                       {edit(t, "/us-east-1/", "/"+strings.Repeat("x", 65)+"/"), incomplete},
		"a key id that is not ASCII":          {edit(t, "WEIRADMIN", "WEIRÄDMIN"), incomplete},
		"an empty key id":                     {edit(t, "WEIRADMIN", ""), unrecognized},
		"a long key id":                       {edit(t, "WEIRADMIN", strings.Repeat("A", 129)), unrecognized},
		"a short signature":                   {func(r *http.Request) { a := r.Header.Get("Authorization"); r.Header.Set("Authorization", a[:len(a)-1]) }, incomplete},
		"a long signature":                    {func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")+"00") }, incomplete},
		"bad hex":                             {edit(t, "Signature=", "Signature=zz"), incomplete},
		"a long header": {func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")+strings.Repeat(" ", 8<<10))
		}, incomplete},
		"no date":                           {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, incomplete},
		"two dates":                         {again("X-Amz-Date"), incomplete},
		"a Date in its place":               {func(r *http.Request) { r.Header.Del("X-Amz-Date"); r.Header.Set("Date", noon.Format(http.TimeFormat)) }, incomplete},
		"a date with fractions":             {set("X-Amz-Date", "20260301T120000.5Z"), incomplete},
		"a date of another form":            {set("X-Amz-Date", "2026-03-01T12:00:00Z"), incomplete},
		"a date with another zone":          {set("X-Amz-Date", "20260301T130000+0100"), incomplete},
		"a day that does not exist":         {set("X-Amz-Date", "20260230T120000Z"), incomplete},
		"a signed header that is not ASCII": {set("Content-Type", "application/x-amz-json-1.1; ä"), invalid},
		"a signed header with a line break": {set("Content-Type", contentType+"\nx-amz-target:Other.DeleteUserPool"), invalid},
		"a long signed header":              {set("Content-Type", strings.Repeat("x", 8<<10+1)), invalid},
		"a query parameter twice":           {func(r *http.Request) { r.URL.RawQuery = "a=1&a=1" }, incomplete},
		"a query that cannot be parsed":     {func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, incomplete},
		"a query with a semicolon":          {func(r *http.Request) { r.URL.RawQuery = "a=1;b=2" }, incomplete},
		"a query that is not ASCII":         {func(r *http.Request) { r.URL.RawQuery = "ä=1" }, incomplete},
		"a long query":                      {func(r *http.Request) { r.URL.RawQuery = "a=" + strings.Repeat("x", 8<<10) }, incomplete},
		"another service, and signed so":    {forService("cognito-identity"), invalid},
		"two operations, and signed so":     {and(t, func(r *http.Request) { r.Header.Add("X-Amz-Target", "Other.DeleteUserPool") }), invalid},
		"two contents, and signed so":       {and(t, func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }), invalid},
		"not ASCII, and signed so":          {and(t, set("Content-Type", "application/x-amz-json-1.1; ä")), invalid},
		"a line break, and signed so":       {and(t, set("Content-Type", "a\nhost:login.example.org")), invalid},
		"a long header, and signed so":      {and(t, set("Content-Type", strings.Repeat("x", 8<<10+1))), invalid},
		"a host not ASCII, and signed so":   {and(t, func(r *http.Request) { r.Host = "lögin.example.com" }), invalid},
		"a target that is no path":          {func(r *http.Request) { r.URL.Path, r.URL.Opaque = "", "//elsewhere/" }, incomplete},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := sign(t, call(t, listUsers, body), body, "WEIRADMIN", adminSecret, noon)
			tt.change(r)
			refused(t, verifier(), r, body, tt.want)
		})
	}
}

// and signs what change makes of the request.
func and(t *testing.T, change func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		change(r)
		sign(t, r, "{}", "WEIRADMIN", adminSecret, noon)
	}
}

// forService signs well, for another service.
func forService(service string) func(*http.Request) {
	return func(r *http.Request) {
		const signed = "content-type;host;x-amz-date;x-amz-target"
		scope := noon.Format("20060102") + "/us-east-1/" + service + "/aws4_request"
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=WEIRADMIN/"+scope+", SignedHeaders="+signed+
			", Signature="+byHand(r, "{}", scope, "", strings.Split(signed, ";"), adminSecret))
	}
}

// manyNames are more names than anybody signs, in order.
func manyNames() string {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "a%03d;", i)
	}
	return b.String()
}

// unsignedPayload says another hash than the body's, and signs that it does. The canonical request ends with the body's own.
func unsignedPayload(t *testing.T, said string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("X-Amz-Content-Sha256", said)
		sign(t, r, "{}", "WEIRADMIN", adminSecret, noon)
	}
}

func TestAttacksOnThePresignedForm(t *testing.T) {
	const body = "{}"
	param := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			if q.Set(name, value); value == "" {
				q.Del(name)
			}
			r.URL.RawQuery = q.Encode()
		}
	}
	tests := map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"another operation":                  {set("X-Amz-Target", "AWSCognitoIdentityProviderService.DeleteUserPool"), invalid},
		"no operation":                       {func(r *http.Request) { r.Header.Del("X-Amz-Target") }, invalid},
		"an x-amz header that is not signed": {set("X-Amz-Mfa", "1"), invalid},
		"a date in the header":               {set("X-Amz-Date", "20260301T120000Z"), incomplete},
		"an Authorization beside it":         {set("Authorization", "Bearer x"), incomplete},
		"a session token":                    {param("X-Amz-Security-Token", "FwoG"), unrecognized},
		"a session token in the header":      {set("X-Amz-Security-Token", "FwoG"), unrecognized},
		"an unsigned body":                   {param("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), invalid},
		"an unsigned body in lower case":     {param("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), invalid},
		"an unsigned body, and signed so": {func(r *http.Request) {
			r.URL.RawQuery = "x-amz-content-sha256=UNSIGNED-PAYLOAD"
			presign(t, r, body, "WEIRADMIN", adminSecret, noon, 60)
		}, invalid},
		"another algorithm":                  {param("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"), incomplete},
		"no algorithm":                       {param("X-Amz-Algorithm", ""), incomplete},
		"no credential":                      {param("X-Amz-Credential", ""), incomplete},
		"no date":                            {param("X-Amz-Date", ""), incomplete},
		"no headers":                         {param("X-Amz-SignedHeaders", ""), incomplete},
		"no signature":                       {param("X-Amz-Signature", ""), incomplete},
		"no end":                             {param("X-Amz-Expires", ""), incomplete},
		"an end at once":                     {param("X-Amz-Expires", "0"), incomplete},
		"an end before":                      {param("X-Amz-Expires", "-60"), incomplete},
		"an end with a sign":                 {param("X-Amz-Expires", "+60"), incomplete},
		"an end in hexadecimal":              {param("X-Amz-Expires", "0x60"), incomplete},
		"an end after a week":                {param("X-Amz-Expires", "604801"), incomplete},
		"an end after ages":                  {param("X-Amz-Expires", "99999999999999999999"), incomplete},
		"a signature in upper case":          {param("X-Amz-Signature", strings.Repeat("A", 64)), incomplete},
		"a parameter twice":                  {func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Expires=604800" }, incomplete},
		"a parameter in another case":        {func(r *http.Request) { r.URL.RawQuery += "&x-amz-expires=604800" }, invalid},
		"a signature of their own beside it": {param("a&X-Amz-Signature", strings.Repeat("0", 64)), invalid},
		"one more at the end":                {param("zX-Amz-Signature", strings.Repeat("0", 64)), invalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := presign(t, call(t, listUsers, body), body, "WEIRADMIN", adminSecret, noon, 60)
			tt.change(r)
			refused(t, verifier(), r, body, tt.want)
		})
	}
}

// A signer may put X-Amz-Target into the query. That is signed, but it is not what is carried out: who then
// adds the header, adds one that is not signed.
func TestAnOperationInTheQueryIsNoHeader(t *testing.T) {
	const body = "{}"
	r := call(t, listUsers, body)
	r.Header.Del("X-Amz-Target")
	r.URL.RawQuery = "X-Amz-Target=" + listUsers
	r = presign(t, r, body, "WEIRADMIN", adminSecret, noon, 60)
	accepted(t, verifier(), r, body, "WEIRADMIN")
	r.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService.DeleteUserPool")
	refused(t, verifier(), r, body, invalid)
}

// What an eavesdropper sends again is taken again inside the window, as AWS does, and not after it.
func TestReplayEndsWithTheWindow(t *testing.T) {
	r := sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon)
	v := verifier()
	accepted(t, v, r, "{}", "WEIRADMIN")
	accepted(t, v, r, "{}", "WEIRADMIN")
	v.Now = func() time.Time { return noon.Add(5*time.Minute + time.Second) }
	refused(t, v, r, "{}", invalid)
}

// The messages are what administrators know, and what some clients look at.
func TestMessages(t *testing.T) {
	tests := map[string]struct {
		change        func(*http.Request)
		typ, contains string
	}{
		"host":       {func(r *http.Request) { authorize(r, "{}", "us-east-1", "x-amz-date;x-amz-target") }, invalid, "'Host' must be a 'SignedHeader'"},
		"target":     {func(r *http.Request) { authorize(r, "{}", "us-east-1", "host;x-amz-date") }, invalid, "Every 'X-Amz-' header must be a 'SignedHeader'"},
		"service":    {forService("iam"), invalid, "Credential should be scoped to correct service: 'cognito-idp'."},
		"terminator": {edit(t, "aws4_request", "aws5_request"), invalid, "Credential should be scoped with a valid terminator: 'aws4_request'."},
		"date":       {edit(t, "/20260301/", "/20260228/"), invalid, "Date in Credential scope does not match YYYYMMDD"},
		"signature":  {set("Content-Type", "text/plain"), invalid, "The request signature we calculated does not match the signature you provided."},
		"credential": {edit(t, "Credential=", "Cred="), incomplete, "not known"},
		"algorithm":  {edit(t, "AWS4-HMAC-SHA256", "AWS4-X"), incomplete, "Unsupported AWS 'algorithm'"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon)
			tt.change(r)
			if message := refused(t, verifier(), r, "{}", tt.typ); !strings.Contains(message, tt.contains) {
				t.Errorf("got %q, want %q", message, tt.contains)
			}
		})
	}
}
