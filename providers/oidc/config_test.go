package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
)

func TestValidate(t *testing.T) {
	der := func(der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key := block("PRIVATE KEY", der(x509.MarshalPKCS8PrivateKey(ec)))
	jwt := func(key string) map[string]string { return map[string]string{"client_secret": "", "private_key": key} }

	for name, c := range map[string]struct {
		set  map[string]string // over good details; "" takes one away
		want []string          // faults, by key
	}{
		"the least":                       {nil, nil},
		"everything of the API model":     {map[string]string{"authorize_scopes": "openid", "attributes_request_method": "POST", "authorize_url": "https://a.example/a", "token_url": "https://a.example/t", "attributes_url": "https://a.example/u", "jwks_uri": "https://a.example/j", "attributes_url_add_attributes": "false"}, nil},
		"everything of ours":              {map[string]string{"token_endpoint_auth_method": "client_secret_post", "id_token_signed_response_alg": "RS256 EdDSA", "clock_skew_seconds": "300", "userinfo": "never", "on_data_deletion": "delete"}, nil},
		"a public client that says so":    {map[string]string{"client_secret": "", "token_endpoint_auth_method": "none"}, nil},
		"a PKCS 8 key":                    {jwt(key), nil},
		"a SEC 1 key with white space":    {jwt("\n" + block("EC PRIVATE KEY", der(x509.MarshalECPrivateKey(ec))) + "\n"), nil},
		"a PKCS 1 key":                    {jwt(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(strong))), nil},
		"nothing":                         {map[string]string{"client_id": "", "client_secret": "", "oidc_issuer": ""}, []string{"client_id", "client_secret", "oidc_issuer"}},
		"a forgotten secret":              {map[string]string{"client_secret": ""}, []string{"client_secret"}},
		"a key and no method for it":      {map[string]string{"client_secret": "", "private_key": key, "token_endpoint_auth_method": "client_secret_post"}, []string{"client_secret"}},
		"private_key_jwt without key":     {map[string]string{"token_endpoint_auth_method": "private_key_jwt"}, []string{"private_key"}},
		"a key id without key":            {map[string]string{"private_key_id": "1"}, []string{"private_key_id"}},
		"a key that is none":              {jwt("hunter2"), []string{"private_key"}},
		"a key with junk after it":        {jwt(key + "junk"), []string{"private_key"}},
		"a broken key":                    {jwt(block("PRIVATE KEY", []byte{1})), []string{"private_key"}},
		"a public key":                    {jwt(block("PUBLIC KEY", der(x509.MarshalPKIXPublicKey(&ec.PublicKey)))), []string{"private_key"}},
		"a weak key":                      {jwt(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weak))), []string{"private_key"}},
		"a key of an odd curve":           {jwt(block("EC PRIVATE KEY", der(x509.MarshalECPrivateKey(odd)))), []string{"private_key"}},
		"unknown keys":                    {map[string]string{"clientid": "x", "secret": "x"}, []string{"clientid", "secret"}},
		"alg none":                        {map[string]string{"id_token_signed_response_alg": "none"}, []string{"id_token_signed_response_alg"}},
		"a symmetric algorithm":           {map[string]string{"id_token_signed_response_alg": "RS256 HS256"}, []string{"id_token_signed_response_alg"}},
		"values out of range":             {map[string]string{"clock_skew_seconds": "301", "userinfo": "sometimes", "on_data_deletion": "yes", "attributes_request_method": "PUT", "token_endpoint_auth_method": "tls_client_auth", "client_assertion_audience": "me", "attributes_url_add_attributes": "maybe"}, []string{"attributes_request_method", "attributes_url_add_attributes", "client_assertion_audience", "clock_skew_seconds", "on_data_deletion", "token_endpoint_auth_method", "userinfo"}},
		"addresses that are none":         {map[string]string{"authorize_url": "javascript:alert(1)", "token_url": "/token", "attributes_url": "https://u:p@a.example", "jwks_uri": "http://a.example"}, []string{"attributes_url", "authorize_url", "jwks_uri", "token_url"}},
		"an issuer with a query":          {map[string]string{"oidc_issuer": "https://a.example/?a=b"}, []string{"oidc_issuer"}},
		"an issuer on loopback":           {map[string]string{"oidc_issuer": "http://127.0.0.1:9000"}, []string{"oidc_issuer"}},
		"an issuer with space around it":  {map[string]string{"oidc_issuer": " https://a.example"}, []string{"oidc_issuer"}},
		"a secret with a newline from cp": {map[string]string{"client_secret": "s3cret\n"}, []string{"client_secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]string{"client_id": "weir", "client_secret": "s3cret", "oidc_issuer": "https://idp.example.com"}
			maps.Copy(values, c.set)
			d := pool.Details{}
			for k, v := range values {
				if v != "" {
					d[k] = secret.New(v)
				}
			}
			var got []string
			for _, f := range oidc.Validate(d, false) {
				got = append(got, f.Key)
				if v := values[f.Key]; v != "" && f.Problem != "unknown key" && strings.Contains(f.Problem, strings.TrimSpace(v)) && len(v) > 4 {
					t.Errorf("the fault quotes the value: %v", f)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("faults of %v, want %v", got, c.want)
			}
			p, err := oidc.New(pool.IdentityProvider{Details: d}, oidc.Options{HTTP: http.DefaultClient, Now: time.Now})
			if (err == nil) != (len(c.want) == 0) || (p == nil) != (err != nil) {
				t.Errorf("New = %v, %v", p, err)
			}
		})
	}
}
