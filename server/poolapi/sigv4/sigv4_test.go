package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

const (
	adminSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	otherSecret = "another/secret+of/about/forty/characters"
	listUsers   = "AWSCognitoIdentityProviderService.ListUsers"
	contentType = "application/x-amz-json-1.1"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// verifier has two keys, a clock that stands at noon, and one key that must never work.
func verifier() *sigv4.Verifier {
	return &sigv4.Verifier{
		Keys: []sigv4.Key{
			{ID: "EMPTY", Allow: []string{"*"}},
			{ID: "WEIRADMIN", Name: "ada", Secret: secret.New(adminSecret), Allow: []string{"*"}},
			{ID: "WEIROTHER", Secret: secret.New(otherSecret), Allow: []string{"ListUsers"}},
		},
		Now: func() time.Time { return noon },
	}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// call is a request that is not signed yet.
func call(t testing.TB, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://login.example.com/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("User-Agent", "aws-sdk-go-v2/1.48.0 os/linux")
	return r
}

// sign signs as the SDKs do, in the header.
func sign(t testing.TB, r *http.Request, body, id, key string, at time.Time) *http.Request {
	t.Helper()
	who := aws.Credentials{AccessKeyID: id, SecretAccessKey: key}
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, hashOf(body), "cognito-idp", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	return r
}

// presign signs in the query; headers stay where they are.
func presign(t testing.TB, r *http.Request, body, id, key string, at time.Time, expires int) *http.Request {
	t.Helper()
	query := r.URL.Query()
	query.Set("X-Amz-Expires", strconv.Itoa(expires))
	r.URL.RawQuery = query.Encode()
	who := aws.Credentials{AccessKeyID: id, SecretAccessKey: key}
	uri, _, err := v4.NewSigner().PresignHTTP(t.Context(), who, r, hashOf(body), "cognito-idp", "us-east-1", at,
		func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
	if err != nil {
		t.Fatal(err)
	}
	_, r.URL.RawQuery, _ = strings.Cut(uri, "?")
	return r
}

// refused checks that r is refused with the type, and that nothing secret is in what comes back. It returns the message.
func refused(t *testing.T, v *sigv4.Verifier, r *http.Request, body, typ string) string {
	t.Helper()
	key, err := v.Verify(r, []byte(body))
	var e *sigv4.Error
	if !errors.As(err, &e) {
		t.Fatalf("got key %q and error %v, want %s", key.ID, err, typ)
	}
	if e.Type != typ {
		t.Errorf("got %v, want %s", e, typ)
	}
	if key.ID != "" || len(key.Allow) != 0 {
		t.Errorf("a refusal came with the key %q", key.ID)
	}
	_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	for _, s := range []string{adminSecret, otherSecret, signature, r.URL.Query().Get("X-Amz-Signature")} {
		if len(s) > 8 && strings.Contains(e.Error(), s) {
			t.Errorf("the error tells %q: %v", s, e)
		}
	}
	return e.Message
}

func accepted(t *testing.T, v *sigv4.Verifier, r *http.Request, body, id string) {
	t.Helper()
	if key, err := v.Verify(r, []byte(body)); err != nil || key.ID != id {
		t.Errorf("got key %q and error %v, want the key %s", key.ID, err, id)
	}
}

func TestVerifyWhatTheSDKSigns(t *testing.T) {
	bodies := map[string]string{
		"empty object": "{}", "no body": "", "text": `{"UserPoolId":"local_Example01","Filter":"name = \"Zoë\""}`,
		"large": strings.Repeat("x", 1<<20), "binary": "\x00\xff\r\n",
	}
	headers := map[string]http.Header{
		"plain":             {},
		"sdk":               {"Amz-Sdk-Invocation-Id": {"5f2d"}, "Amz-Sdk-Request": {"attempt=1; max=3"}, "X-Amz-User-Agent": {"aws-sdk-js/3.1  lang/js"}},
		"hash":              {"X-Amz-Content-Sha256": {"of the body"}},
		"spaces":            {"X-Amz-Meta-Note": {"  several   spaces  "}},
		"tracing and proxy": {"X-Amzn-Trace-Id": {"Root=1-2"}, "Expect": {"100-continue"}},
	}
	hosts := []string{"login.example.com", "LOGIN.example.com", "login.example.com:8443", "127.0.0.1:8080", "[2001:db8::1]:8080", "localhost:80"}
	for bodyName, body := range bodies {
		for headerName, extra := range headers {
			for _, host := range hosts {
				for form, with := range map[string]func(*http.Request) *http.Request{
					"header":    func(r *http.Request) *http.Request { return sign(t, r, body, "WEIRADMIN", adminSecret, noon) },
					"presigned": func(r *http.Request) *http.Request { return presign(t, r, body, "WEIRADMIN", adminSecret, noon, 60) },
				} {
					t.Run(strings.Join([]string{form, bodyName, headerName, host}, "/"), func(t *testing.T) {
						r := call(t, listUsers, body)
						r.URL.Scheme, r.Host = "", host // as a server has it, where no port is the usual one
						for name, values := range extra {
							r.Header[name] = values
						}
						if extra.Get("X-Amz-Content-Sha256") != "" {
							r.Header.Set("X-Amz-Content-Sha256", hashOf(body))
						}
						r = with(r)
						before := r.Header.Clone()
						accepted(t, verifier(), r, body, "WEIRADMIN")
						if !headersEqual(before, r.Header) {
							t.Errorf("the request was changed: %v", r.Header)
						}
					})
				}
			}
		}
	}
}

func headersEqual(a, b http.Header) bool {
	var x, y bytes.Buffer
	return a.Write(&x) == nil && b.Write(&y) == nil && x.String() == y.String()
}

// The request goes through net/http on both sides, which takes headers out and adds others.
func TestVerifyBehindAServer(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		var got sigv4.Key
		var failure error
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got, failure = verifier().Verify(r, body)
			if r.ProtoMajor == 2 != http2 {
				t.Errorf("the request came over %s", r.Proto)
			}
		}))
		s.EnableHTTP2 = http2
		s.StartTLS()
		defer s.Close()
		for _, form := range []string{"header", "presigned", "header without Content-Length"} {
			body := `{"UserPoolId":"local_Example01"}`
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("X-Amz-Target", listUsers)
			switch form {
			case "header":
				sign(t, r, body, "WEIRADMIN", adminSecret, noon)
			case "presigned":
				presign(t, r, body, "WEIRADMIN", adminSecret, noon, 60)
			default:
				r.ContentLength = -1
				sign(t, r, body, "WEIRADMIN", adminSecret, noon)
			}
			got, failure = sigv4.Key{}, errors.New("the server was not asked")
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if failure != nil || got.ID != "WEIRADMIN" {
				t.Errorf("%s, HTTP/2 %v: got %q, %v", form, http2, got.ID, failure)
			}
		}
	}
}

func TestTwoKeys(t *testing.T) {
	v := verifier()
	accepted(t, v, sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon), "{}", "WEIRADMIN")
	accepted(t, v, sign(t, call(t, listUsers, "{}"), "{}", "WEIROTHER", otherSecret, noon), "{}", "WEIROTHER")
	refused(t, v, sign(t, call(t, listUsers, "{}"), "{}", "WEIROTHER", adminSecret, noon), "{}", "InvalidSignatureException")
	refused(t, v, sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", otherSecret, noon), "{}", "InvalidSignatureException")

	// A secret that was exchanged counts at once, for the same verifier and the same day.
	v.Keys[1].Secret = secret.New("a new secret that nobody has used before")
	refused(t, v, sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon), "{}", "InvalidSignatureException")
	accepted(t, v, sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", "a new secret that nobody has used before", noon), "{}", "WEIRADMIN")
}

func TestUnknownKeys(t *testing.T) {
	for name, with := range map[string]struct{ id, key string }{
		"unknown":                           {"NOBODY", adminSecret},
		"unknown, with the stand-in secret": {"NOBODY", "the secret of no key: forty characters.."},
		"without a secret":                  {"EMPTY", ""},
		"in another case":                   {"weiradmin", adminSecret},
		"beginning of a known one":          {"WEIRADMI", adminSecret},
		"a known one and more":              {"WEIRADMIN0", adminSecret},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []*sigv4.Verifier{verifier(), {Now: func() time.Time { return noon }}} {
				for _, r := range []*http.Request{
					sign(t, call(t, listUsers, "{}"), "{}", with.id, with.key, noon),
					presign(t, call(t, listUsers, "{}"), "{}", with.id, with.key, noon, 60),
				} {
					var e *sigv4.Error
					if err := v.Announced(r); !errors.As(err, &e) || e.Type != "UnrecognizedClientException" {
						t.Errorf("before the body is read: %v", err)
					}
					message := refused(t, v, r, "{}", "UnrecognizedClientException")
					if message != "The security token included in the request is invalid." {
						t.Errorf("message %q", message)
					}
				}
			}
		})
	}
}

func TestSkew(t *testing.T) {
	tests := map[string]struct {
		signed  time.Duration // after noon
		now     time.Duration
		expires int // seconds; 0 is the header
		want    string
	}{
		"just behind":                         {-5 * time.Minute, 0, 0, ""},
		"too far behind":                      {-5*time.Minute - time.Second, 0, 0, "Signature expired: 20260301T115459Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		"behind by a part of a second":        {-5 * time.Minute, time.Nanosecond, 0, "Signature expired: "},
		"just ahead":                          {5 * time.Minute, 0, 0, ""},
		"too far ahead":                       {5*time.Minute + time.Second, 0, 0, "Signature not yet current: 20260301T120501Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)"},
		"years behind":                        {-200 * 365 * 24 * time.Hour, 0, 0, "Signature expired: "},
		"years ahead":                         {200 * 365 * 24 * time.Hour, 0, 0, "Signature not yet current: "},
		"presigned, at its end":               {-90 * time.Second, 0, 90, ""},
		"presigned, after its end":            {-91 * time.Second, 0, 90, "Signature expired: 20260301T115829Z is now earlier than 20260301T115830Z (20260301T120000Z - 90 sec.)"},
		"presigned for a week, at its end":    {-7 * 24 * time.Hour, 0, 604800, ""},
		"presigned for a week, after its end": {-7*24*time.Hour - time.Second, 0, 604800, "Signature expired: "},
		"presigned, just ahead":               {5 * time.Minute, 0, 60, ""},
		"presigned, too far ahead":            {5*time.Minute + time.Second, 0, 3600, "Signature not yet current: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := verifier()
			v.Now = func() time.Time { return noon.Add(tt.now).In(time.FixedZone("elsewhere", 3600)) }
			r := call(t, listUsers, "{}")
			if tt.expires == 0 {
				r = sign(t, r, "{}", "WEIRADMIN", adminSecret, noon.Add(tt.signed))
			} else {
				r = presign(t, r, "{}", "WEIRADMIN", adminSecret, noon.Add(tt.signed), tt.expires)
			}
			if tt.want == "" {
				accepted(t, v, r, "{}", "WEIRADMIN")
			} else if message := refused(t, v, r, "{}", "InvalidSignatureException"); !strings.HasPrefix(message, tt.want) {
				t.Errorf("got %q, want %q", message, tt.want)
			}
		})
	}
}

func TestHostThatTheClientSaw(t *testing.T) {
	r := sign(t, call(t, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon)
	r.Host = "10.0.0.7:8080" // a proxy's doing
	v := verifier()
	refused(t, v, r, "{}", "InvalidSignatureException")
	v.Host = func(*http.Request) string { return "login.example.com" }
	accepted(t, v, r, "{}", "WEIRADMIN")
	for _, host := range []string{"", "login.example.com:443", "login\nexample.com", "lögin.example.com"} {
		v.Host = func(*http.Request) string { return host }
		refused(t, v, r, "{}", "InvalidSignatureException")
	}
}

func TestPolicy(t *testing.T) {
	tests := []struct {
		allow     string
		operation string
		want      bool
	}{
		{"*", "ListUsers", true}, {"*", "AdminDeleteUser", true}, {"*", "", false},
		{"ListUsers", "ListUsers", true}, {"ListUsers", "ListUsersInGroup", false}, {"ListUsers", "listUsers", false}, {"ListUsers", "List", false},
		{"List*", "ListUsers", true}, {"List*", "List", true}, {"List*", "AdminListDevices", false}, {"List*", "list", false},
		{"*Users", "ListUsers", false}, {"Li*Users", "ListUsers", false}, {"", "ListUsers", false}, {"", "", false},
		{"AdminGetUser ListUsers", "ListUsers", true}, {"AdminGetUser List*", "DeleteUser", false},
	}
	for _, tt := range tests {
		if got := (sigv4.Key{Allow: strings.Fields(tt.allow)}).Allows(tt.operation); got != tt.want {
			t.Errorf("a key with %q allows %q: %v", tt.allow, tt.operation, got)
		}
	}
	every, one := sigv4.Key{}, sigv4.Key{Pools: []string{"local_Example01", "local_Example02"}}
	if !every.AllowsPool("local_Example01") || !every.AllowsPool("") {
		t.Error("a key without pools is not for every pool")
	}
	if !one.AllowsPool("local_Example02") || one.AllowsPool("local_Example0") || one.AllowsPool("local_example01") || one.AllowsPool("") {
		t.Error("a key for two pools is for others, or not for those")
	}
}

func TestDenied(t *testing.T) {
	e := sigv4.Denied(sigv4.Key{ID: "WEIRADMIN", Name: "ada", Secret: secret.New(adminSecret)}, "DeleteUserPool")
	if e.Type != "AccessDeniedException" || e.Message != "User: ada is not authorized to perform: cognito-idp:DeleteUserPool" {
		t.Errorf("got %+v", e)
	}
	if e := sigv4.Denied(sigv4.Key{ID: "WEIRADMIN"}, "ListUsers"); !strings.HasPrefix(e.Message, "User: WEIRADMIN is not") {
		t.Errorf("got %+v", e)
	}
	if message := refused(t, verifier(), call(t, listUsers, "{}"), "{}", "MissingAuthenticationTokenException"); message != "Missing Authentication Token" {
		t.Errorf("got %q", message)
	}
}
