package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/detail"
)

// The keys of ProviderDetails. Those of the API model:
//
//	client_id                      required
//	client_secret                  required for client_secret_basic and client_secret_post
//	oidc_issuer                    required; compared exactly with iss, a trailing slash included
//	authorize_scopes               separated by spaces; openid is added; default openid
//	attributes_request_method      GET (default) or POST, for userinfo
//	authorize_url, token_url, attributes_url, jwks_uri
//	                               each replaces what discovery says; with all of them there is no discovery
//	attributes_url_add_attributes, token_request_method
//	                               accepted and without effect unless a variant reads them, as the API model's Describe returns them
//
// Weir's own:
//
//	token_endpoint_auth_method     client_secret_basic, client_secret_post, private_key_jwt or none. Default: private_key_jwt with a
//	                               private_key; else basic, unless discovery names post and not basic
//	private_key, private_key_id    for private_key_jwt: PEM (PKCS #8, PKCS #1 or SEC 1) and the kid it is registered under
//	client_assertion_audience      issuer (default) or token_endpoint, the aud of private_key_jwt
//	id_token_signed_response_alg   allowed algorithms, separated by spaces; asymmetric ones only. Default: those
//	                               that discovery names, RS, ES, PS of 256, 384, 512 bits and EdDSA at most
//	clock_skew_seconds             0 to 300; default 60
//	callback                       shared (default) or own: see pool.IdentityProvider.CallbackPath
//	native_client_ids              separated by spaces: the audiences of ID tokens that apps may exchange; none is the default. See native.go
//	keep_tokens                    false (default) or true: the tokens of a sign-in are kept, refreshed and revoked (package federation/upstream).
//	                               A refresh token comes where authorize_scopes asks for one: offline_access at most providers
//	token_clients                  ids of the app clients that may ask for the access token, separated by spaces; needs keep_tokens
//	revocation_url                 replaces the revocation_endpoint of discovery (RFC 7009)
//	on_data_deletion               record (default) or delete: see pool.IdentityProvider.DeletesOnNotice
//	userinfo                       auto (default: asked where the provider has it), always (it must have it) or never
const (
	keyClientID          = "client_id"
	keyClientSecret      = "client_secret"
	keyIssuer            = "oidc_issuer"
	keyScopes            = "authorize_scopes"
	keyUserInfoMethod    = "attributes_request_method"
	keyAuthURL           = "authorize_url"
	keyTokenURL          = "token_url"
	keyUserInfoURL       = "attributes_url"
	keyJWKSURL           = "jwks_uri"
	keyAddAttributes     = "attributes_url_add_attributes"
	keyTokenMethod       = "token_request_method"
	keyAuthMethod        = "token_endpoint_auth_method"
	keyPrivateKey        = "private_key"
	keyPrivateKeyID      = "private_key_id"
	keyAssertionAudience = "client_assertion_audience"
	keyAlgorithms        = "id_token_signed_response_alg"
	keySkew              = "clock_skew_seconds"
	keyCallback          = "callback"
	keyNative            = "native_client_ids"
	keyKeepTokens        = "keep_tokens"
	keyTokenClients      = "token_clients"
	keyRevokeURL         = "revocation_url"
	keyUserInfo          = "userinfo"
	keyDataDeletion      = "on_data_deletion"
)

// The client authentication methods of OpenID Connect Core section 9 that this package speaks.
const (
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodJWT   = "private_key_jwt"
	methodNone  = "none"
)

// algorithms are the signatures an ID token may have. There is no symmetric one and no "none" among them:
// a public key can never be taken for a shared secret.
var algorithms = []string{"RS256", "ES256", "PS256", "EdDSA", "RS384", "ES384", "PS384", "RS512", "ES512", "PS512"}

const minRSABits = 2048 // RFC 7518 section 3.3

// settings are the details, parsed.
type settings struct {
	rules        Rules
	clientID     string
	clientSecret secret.Text
	issuer       string
	scopes       []string

	authURL, tokenURL, userInfoURL, jwksURL, revokeURL string

	method            string // "" leaves it to discovery
	signer            jose.Signer
	assertionToIssuer bool
	algorithms        []string // nil leaves it to discovery
	skew              time.Duration
	userInfo          string // auto, always, never
	userInfoMethod    string // GET, POST
	native            []string
}

// complete reports whether nothing is left to discover.
func (s *settings) complete() bool {
	return s.rules.plain() || s.authURL != "" && s.tokenURL != "" && s.jwksURL != "" && (s.userInfoURL != "" || s.userInfo == "never")
}

// Validate returns what is wrong with the details of a provider; nil if nothing is. allowPrivate is that of Options.
func (v Variant) Validate(d pool.Details, allowPrivate bool) []detail.Fault {
	_, faults := v.parse(d, allowPrivate)
	return faults
}

// Validate is that of the plain Variant.
func Validate(d pool.Details, allowPrivate bool) []detail.Fault {
	return Variant{}.Validate(d, allowPrivate)
}

func (v Variant) parse(d pool.Details, allowPrivate bool) (settings, []detail.Fault) {
	r := detail.NewReader(d, allowPrivate)
	rules := v.read(r)
	s := settings{
		rules:          rules,
		clientID:       r.Required(keyClientID),
		clientSecret:   secret.New(r.String(keyClientSecret)),
		issuer:         r.String(keyIssuer),
		scopes:         strings.Fields(r.String(keyScopes)),
		authURL:        r.URL(keyAuthURL),
		tokenURL:       r.URL(keyTokenURL),
		userInfoURL:    r.URL(keyUserInfoURL),
		jwksURL:        r.URL(keyJWKSURL),
		revokeURL:      r.URL(keyRevokeURL),
		algorithms:     allowed(r),
		skew:           time.Duration(r.Int(keySkew, 60, 0, 300)) * time.Second,
		userInfo:       r.OneOf(keyUserInfo, "auto", "always", "never"),
		userInfoMethod: r.OneOf(keyUserInfoMethod, "GET", "POST"),
		native:         strings.Fields(r.String(keyNative)),
	}
	_ = r.OneOf(keyAddAttributes, "false", "true")
	_ = r.OneOf(keyTokenMethod, "POST", "GET")
	// The directory's to read: see pool.IdentityProvider.
	_ = r.OneOf(keyCallback, "shared", "own")
	_ = r.OneOf(keyDataDeletion, "record", "delete")
	if kept := r.OneOf(keyKeepTokens, "false", "true"); r.String(keyTokenClients) != "" && kept != "true" {
		r.Fail(keyTokenClients, "needs keep_tokens: true")
	}
	s.assertionToIssuer = r.OneOf(keyAssertionAudience, "issuer", "token_endpoint") == "issuer"
	if r.URL(keyIssuer) != "" && strings.Contains(s.issuer, "?") {
		r.Fail(keyIssuer, "must not contain a query") // OpenID Connect Core section 2
	}
	if r.Has(keyAuthMethod) {
		s.method = r.OneOf(keyAuthMethod, methodBasic, methodPost, methodJWT, methodNone)
	}
	if rules.OwnAttributes {
		s.userInfoURL = ""
	}
	if rules.plain() {
		r.Require(keyAuthURL, keyTokenURL)
		if len(s.native) > 0 { // what apps bring is verified all the same
			r.Require(keyIssuer, keyJWKSURL)
		}
	} else {
		r.Require(keyIssuer)
		s.scopes = withOpenID(s.scopes)
	}
	if rules.Secret == nil {
		s.readCredentials(r)
	}
	return s, r.Faults()
}

// readCredentials reads what the client proves itself with. A public client says so with the method
// none: a forgotten secret must not become one.
func (s *settings) readCredentials(r *detail.Reader) {
	keyPEM, kid := r.Text(keyPrivateKey), r.String(keyPrivateKeyID)
	if keyPEM != "" {
		signer, err := newSigner(keyPEM, kid)
		if err != nil {
			r.Fail(keyPrivateKey, err.Error())
		}
		s.signer = signer
	} else if kid != "" {
		r.Fail(keyPrivateKeyID, "needs private_key")
	}
	if s.method == "" && keyPEM != "" {
		s.method = methodJWT
	}
	switch {
	case s.method == methodNone:
	case s.method == methodJWT:
		if keyPEM == "" {
			r.Fail(keyPrivateKey, "required for private_key_jwt")
		}
	case s.clientSecret.IsZero():
		r.Fail(keyClientSecret, "required, unless token_endpoint_auth_method is private_key_jwt or none")
	}
}

func withOpenID(s []string) []string {
	if !slices.Contains(s, "openid") {
		s = append([]string{"openid"}, s...)
	}
	return s
}

func allowed(r *detail.Reader) []string {
	algs := strings.Fields(r.String(keyAlgorithms))
	for _, alg := range algs {
		if !slices.Contains(algorithms, alg) {
			r.Fail(keyAlgorithms, "may contain "+strings.Join(algorithms, ", "))
			return nil
		}
	}
	return algs
}

// newSigner returns the signer of client assertions. Its errors do not quote the key.
func newSigner(keyPEM, kid string) (jose.Signer, error) {
	key, err := privateKey(keyPEM)
	if err != nil {
		return nil, err
	}
	var alg jose.SignatureAlgorithm
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSABits {
			return nil, errors.New("an RSA key needs 2048 bits or more")
		}
		alg = jose.RS256
	case *ecdsa.PrivateKey:
		alg = map[string]jose.SignatureAlgorithm{"P-256": jose.ES256, "P-384": jose.ES384, "P-521": jose.ES512}[k.Curve.Params().Name]
	case ed25519.PrivateKey:
		alg = jose.EdDSA
	}
	if alg == "" {
		return nil, errors.New("must be an RSA, P-256, P-384, P-521 or Ed25519 key")
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	return jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, opts)
}

func privateKey(keyPEM string) (crypto.PrivateKey, error) {
	block, rest := pem.Decode([]byte(keyPEM))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("must be one PEM block")
	}
	var key crypto.PrivateKey
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errors.New("must be a PEM block of type PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, without a passphrase")
	}
	if err != nil {
		return nil, errors.New("is not a private key that can be read")
	}
	return key, nil
}
