package sigv4_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

// AWS's published examples: the Signature Version 4 test suite, and the ListUsers request of the signing guide.
func TestPublishedSignatures(t *testing.T) {
	const suite, iam = "us-east-1/service", "us-east-1/iam"
	tests := map[string]struct {
		scope, method, target, host, contentType, body, signed, signature string
	}{
		"get-vanilla": {suite, "GET", "/", "example.amazonaws.com", "", "", "host;x-amz-date",
			"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"get-vanilla-query-order-key-case": {suite, "GET", "/?Param2=value2&Param1=value1", "example.amazonaws.com", "", "", "host;x-amz-date",
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"post-vanilla": {suite, "POST", "/", "example.amazonaws.com", "", "", "host;x-amz-date",
			"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-x-www-form-urlencoded": {suite, "POST", "/", "example.amazonaws.com", "application/x-www-form-urlencoded", "Param1=value1",
			"content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		"ListUsers of the guide": {iam, "GET", "/?Action=ListUsers&Version=2010-05-08", "iam.amazonaws.com",
			"application/x-www-form-urlencoded; charset=utf-8", "", "content-type;host;x-amz-date",
			"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, service, _ := strings.Cut(tt.scope, "/")
			v := &sigv4.Verifier{
				Keys:    []sigv4.Key{{ID: "AKIDEXAMPLE", Secret: secret.New("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")}},
				Now:     func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) },
				Service: service,
			}
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.target, strings.NewReader(tt.body))
			r.Host = tt.host
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/"+tt.scope+"/aws4_request, SignedHeaders="+
				tt.signed+", Signature="+tt.signature)
			accepted(t, v, r, tt.body, "AKIDEXAMPLE")
			refused(t, v, r, tt.body+" ", "InvalidSignatureException")
		})
	}
}

// byHand computes a signature as AWS's guide describes it, without the SDK's signer, for a POST to /.
func byHand(r *http.Request, body, scope, query string, signed []string, key string) string {
	mac := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	canonical := "POST\n/\n" + query + "\n"
	for _, name := range signed {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + strings.Join(strings.Fields(value), " ") + "\n"
	}
	canonical += "\n" + strings.Join(signed, ";") + "\n" + hashOf(body)
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		date = r.URL.Query().Get("X-Amz-Date")
	}
	signing := []byte("AWS4" + key)
	for part := range strings.SplitSeq(scope, "/") {
		signing = mac(signing, part)
	}
	return hex.EncodeToString(mac(signing, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hashOf(canonical)))
}

// authorize puts byHand's signature into the header.
func authorize(r *http.Request, body, region, signed string) {
	r.Header.Set("X-Amz-Date", noon.Format("20060102T150405Z"))
	scope := noon.Format("20060102") + "/" + region + "/cognito-idp/aws4_request"
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=WEIRADMIN/"+scope+", SignedHeaders="+signed+
		", Signature="+byHand(r, body, scope, "", strings.Split(signed, ";"), adminSecret))
}

// clients are the sets of headers that SDKs sign.
var clients = map[string]string{
	"botocore and the AWS CLI": "content-type;host;x-amz-date;x-amz-target",
	"aws-sdk-js-v3":            "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target;x-amz-user-agent",
	"aws-sdk-go-v2":            "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-date;x-amz-target",
	"aws-sdk-java 1":           "amz-sdk-invocation-id;content-length;content-type;host;user-agent;x-amz-date;x-amz-target",
	"aws-sdk-php":              "host;x-amz-date;x-amz-target",
}

func TestVerifyWhatClientsSign(t *testing.T) {
	for name, signed := range clients {
		for _, region := range []string{"us-east-1", "local", "eu_central-1"} {
			t.Run(name+"/"+region, func(t *testing.T) {
				body := `{"UserPoolId":"local_Example01"}`
				r := ofClient(t, signed, body)
				authorize(r, body, region, signed)
				accepted(t, verifier(), r, body, "WEIRADMIN")
			})
		}
	}
}

// ofClient is a request with all of the headers that signed names.
func ofClient(t testing.TB, signed, body string) *http.Request {
	r := call(t, listUsers, body)
	for name, value := range map[string]string{
		"amz-sdk-invocation-id": "8d0c2a9e-7e2b-4d0e-a7b1-5c6a4d0f1e2b", "amz-sdk-request": "attempt=1; max=3",
		"x-amz-content-sha256": hashOf(body), "x-amz-user-agent": "aws-sdk-js/3.900.0   ua/2.1 os/linux",
	} {
		if slices.Contains(strings.Split(signed, ";"), name) {
			r.Header.Set(name, value)
		}
	}
	if strings.Contains(signed, "content-length") {
		r.Header.Set("Content-Length", "32")
	}
	return r
}

func TestVerifyWhatClientsPresign(t *testing.T) {
	body := `{"UserPoolId":"local_Example01"}`
	r := call(t, listUsers, body)
	scope := noon.Format("20060102") + "/eu-west-1/cognito-idp/aws4_request"
	// Sorted and escaped as the guide wants it.
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape("WEIRADMIN/"+scope) +
		"&X-Amz-Date=20260301T120000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host%3Bx-amz-target&note=a%20b%2Bc~"
	r.URL.RawQuery = query
	signature := byHand(r, body, scope, query, []string{"host", "x-amz-target"}, adminSecret)
	// In another order on the wire, with the signature in between.
	first, rest, _ := strings.Cut(query, "&")
	r.URL.RawQuery = rest + "&X-Amz-Signature=" + signature + "&" + first
	accepted(t, verifier(), r, body, "WEIRADMIN")
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "note=a", "note=b", 1)
	refused(t, verifier(), r, body, "InvalidSignatureException")
}
