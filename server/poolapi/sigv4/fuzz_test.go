package sigv4_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

// Nobody has the secret here, so nothing may be accepted, whatever the texts are, and every error has a type.
func FuzzVerifyAcceptsNothingWithoutTheSecret(f *testing.F) {
	v := verifier()
	for i := range v.Keys {
		v.Keys[i].Secret = secret.New(rand.Text())
	}
	good := sign(f, call(f, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon)
	query := presign(f, call(f, listUsers, "{}"), "{}", "WEIRADMIN", adminSecret, noon, 60).URL.RawQuery
	f.Add(good.Header.Get("Authorization"), good.Header.Get("X-Amz-Date"), "", "X-Amz-Meta-A", "b", "{}")
	f.Add("", "", query, "x-amz-security-token", "x", "{}")
	f.Add("AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;,Signature=", "00000000T000000Z", "a=%zz&;", "Host", "\x00", "")
	f.Fuzz(func(t *testing.T, auth, date, query, name, value, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://login.example.com/", nil)
		r.URL.RawQuery = query
		r.Header = http.Header{"X-Amz-Target": {listUsers}, "Content-Type": {contentType}, name: {value}}
		for header, text := range map[string]string{"Authorization": auth, "X-Amz-Date": date} {
			if text != "" {
				r.Header[header] = []string{text}
			}
		}
		key, err := v.Verify(r, []byte(body))
		var e *sigv4.Error
		if !errors.As(err, &e) || e.Type == "" || e.Message == "" || key.ID != "" {
			t.Errorf("got the key %q and %v", key.ID, err)
		}
	})
}

// A signature is good for the request that was signed. What differs and is accepted may differ in nothing but spaces and the order of the query.
func FuzzVerifyAcceptsOnlyWhatWasSigned(f *testing.F) {
	const body, query = `{"UserPoolId":"local_Example01"}`, "a=1&b=%20"
	original := call(f, listUsers, body)
	original.URL.RawQuery = query
	original = sign(f, original, body, "WEIRADMIN", adminSecret, noon)
	f.Add(listUsers, body, "login.example.com", query, "/", "X-Amz-Meta-A", "b")
	f.Add(listUsers+" ", body, "login.example.com ", "b=+&a=1", "/", "Accept", "b")
	f.Add("AWSCognitoIdentityProviderService.DeleteUserPool", "{}", "login.example.com:443", "a=1&a=1", "//", "x-amz-target", listUsers)
	f.Fuzz(func(t *testing.T, target, sent, host, sentQuery, path, name, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://login.example.com/", nil)
		r.Host, r.URL.Path, r.URL.RawQuery = host, path, sentQuery
		r.Header = original.Header.Clone()
		r.Header.Set("X-Amz-Target", target)
		r.Header[name] = append(r.Header[name], value)
		if _, err := verifier().Verify(r, []byte(sent)); err != nil {
			return
		}
		if err := verifier().Announced(r); err != nil {
			t.Errorf("accepted, and refused before its body is read: %v", err)
		}
		was, _ := url.ParseQuery(query)
		is, err := url.ParseQuery(sentQuery)
		if err != nil || !reflect.DeepEqual(was, is) {
			t.Errorf("accepted with the query %q", sentQuery)
		}
		if strings.Join(strings.Fields(target), " ") != listUsers || sent != body || strings.Trim(host, " ") != "login.example.com" || (path != "/" && path != "") {
			t.Errorf("accepted with %q, %q, %q, %q", target, sent, host, path)
		}
		if len(r.Header.Values("X-Amz-Target")) != 1 || strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			t.Errorf("accepted with the header %q: %q", name, value)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	const body = `{"UserPoolId":"local_Example01","Username":"ada"}`
	for name, keys := range map[string]int{"1 key": 1, "100 keys": 100} {
		b.Run(name, func(b *testing.B) {
			v := &sigv4.Verifier{Now: func() time.Time { return noon }}
			for range keys - 1 {
				v.Keys = append(v.Keys, sigv4.Key{ID: "WEIR" + rand.Text(), Secret: secret.New(rand.Text())})
			}
			v.Keys = append(v.Keys, sigv4.Key{ID: "WEIRADMIN", Secret: secret.New(adminSecret)})
			r := sign(b, ofClient(b, clients["aws-sdk-js-v3"], body), body, "WEIRADMIN", adminSecret, noon)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r, []byte(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
