package social_test

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"path"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/providers/oidc"
)

// keyMark in the details of want.json stands for a new private key: PEM, PKCS #8, P-256.
const keyMark = "{P-256 private key}"

const theAccessToken = "an-access-token"

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newKey(t *testing.T) string {
	t.Helper()
	return keyOn(t, elliptic.P256())
}

// keyOn makes a private key on a curve: PEM, PKCS #8.
func keyOn(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// canned answers with the files of a folder, at the provider's own addresses. It is not strict: that is what the stand-ins are for.
type canned struct {
	r         *replay
	name      string
	key       *ecdsa.PrivateKey
	claims    map[string]any
	discovery map[string]any
	answers   map[string]any // by path
	defaults  map[string]string
}

func newCanned(r *replay, name string, v oidc.Variant) *canned {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &canned{r: r, name: name, key: key, defaults: v.Defaults}
	r.read("claims.json", &c.claims)
	r.optional("discovery.json", &c.discovery)
	r.optional("answers.json", &c.answers)
	return c
}

// endpoint is the address of an endpoint: of the details, the variant's, or of the discovery document.
func (c *canned) endpoint(detail, member string) string {
	found, _ := c.discovery[member].(string)
	return cmp.Or(c.r.want.Details[detail], c.defaults[detail], found)
}

// RoundTrip implements http.RoundTripper.
func (c *canned) RoundTrip(req *http.Request) (*http.Response, error) {
	at := *req.URL
	at.RawQuery = ""
	answer, other := c.answers[req.URL.Path]
	switch {
	case path.Base(at.Path) == "openid-configuration" && c.discovery != nil:
		doc := maps.Clone(c.discovery)
		doc["id_token_signing_alg_values_supported"] = []string{"ES256"} // a key of RSA takes long to make
		return reply(req, http.StatusOK, doc)
	case at.String() == c.endpoint("jwks_uri", "jwks_uri"):
		return reply(req, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	case at.String() == c.endpoint("token_url", "token_endpoint"):
		return c.token(req)
	case other:
		return reply(req, http.StatusOK, answer)
	case req.Method == http.MethodGet && c.claims["iss"] == nil:
		return reply(req, http.StatusOK, c.claims)
	}
	c.r.t.Errorf("%s %s is in no file", req.Method, at.String())
	return reply(req, http.StatusNotFound, map[string]any{})
}

func (c *canned) token(req *http.Request) (*http.Response, error) {
	if refused := c.r.refused; refused != nil {
		return reply(req, refused.Status, refused.Body)
	}
	body := map[string]any{"access_token": theAccessToken, "token_type": "Bearer", "expires_in": 3599}
	maps.Copy(body, c.r.want.Token)
	if c.claims["iss"] != nil {
		token, err := c.idToken()
		if err != nil {
			return nil, err
		}
		body["id_token"] = token
	}
	return reply(req, http.StatusOK, body)
}

// idToken is claims.json, signed, as of this attempt.
func (c *canned) idToken() (string, error) {
	claims := maps.Clone(c.claims)
	sum := sha256.Sum256([]byte(theAccessToken))
	for name, value := range map[string]any{
		"iat": noon.Unix(), "nbf": noon.Unix(), "exp": noon.Add(time.Hour).Unix(), "auth_time": noon.Unix(), "aud": clientID, "azp": clientID,
		"nonce": "n-0S6_WzA2Mj", "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	} {
		if claims[name] != nil {
			claims[name] = value
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.key, KeyID: "k"}}, nil)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func reply(req *http.Request, status int, body any) (*http.Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(data)), ContentLength: int64(len(data)), Request: req,
	}, nil
}
