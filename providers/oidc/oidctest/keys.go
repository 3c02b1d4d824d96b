package oidctest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// publishedKeys is how many keys the JWKS holds: the current one and the one before,
// so that tokens signed just before a rotation still verify.
const publishedKeys = 2

// RotateKeys signs from now on with a new key under a new kid. The JWKS keeps the
// key before it, too, until the next rotation.
func (p *Provider) RotateKeys() error {
	key, err := newKey(p.cfg.Algorithm, nil)
	if err != nil {
		return fmt.Errorf("oidctest: rotate keys: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append([]jose.JSONWebKey{key}, p.keys...)
	if len(p.keys) > publishedKeys {
		p.keys = p.keys[:publishedKeys]
	}
	return nil
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	set := jose.JSONWebKeySet{}
	for _, k := range p.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	p.mu.Unlock()
	writeJSON(w, http.StatusOK, set)
}

func (p *Provider) signingKey() jose.JSONWebKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0]
}

// newKey wraps signer, or a generated key where it is nil, for alg under a random kid.
func newKey(alg jose.SignatureAlgorithm, signer crypto.Signer) (jose.JSONWebKey, error) {
	if signer == nil {
		var err error
		if signer, err = generateKey(alg); err != nil {
			return jose.JSONWebKey{}, err
		}
	}
	fits := false
	switch key := signer.(type) {
	case *rsa.PrivateKey:
		fits = alg == jose.RS256 || alg == jose.PS256
	case *ecdsa.PrivateKey:
		fits = alg == jose.ES256 && key.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		fits = alg == jose.EdDSA
	}
	if !fits {
		return jose.JSONWebKey{}, fmt.Errorf("key: a %T does not sign %s", signer, alg)
	}
	return jose.JSONWebKey{Key: signer, KeyID: randomID(), Algorithm: string(alg), Use: "sig"}, nil
}

func generateKey(alg jose.SignatureAlgorithm) (key crypto.Signer, err error) {
	switch alg {
	case jose.RS256, jose.PS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("algorithm: %q is none of RS256, PS256, ES256, EdDSA", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("generate a key for %s: %w", alg, err)
	}
	return key, nil
}

// tokenHash is at_hash (OpenID Connect Core section 3.1.3.6): the left half of the hash
// that the signature algorithm uses.
func tokenHash(alg jose.SignatureAlgorithm, token string) string {
	var h hash.Hash = sha256.New()
	if alg == jose.EdDSA {
		h = sha512.New()
	}
	h.Write([]byte(token))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// A Sign turns claims into a compact JWS. key is the provider's current private key.
type Sign func(key jose.JSONWebKey, payload []byte) (string, error)

// SignHonestly signs as the provider does when nothing is set.
func SignHonestly(key jose.JSONWebKey, payload []byte) (string, error) {
	return sign(jose.SignatureAlgorithm(key.Algorithm), key, payload, "JWT")
}

// SignWithNone makes an unsecured JWS (RFC 7515 appendix A.5): alg none, no signature.
func SignWithNone(_ jose.JSONWebKey, payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + enc.EncodeToString(payload) + ".", nil
}

// SignWithPublicKeyAsSecret signs HS256 under the current kid; the secret is the PEM
// text of the public key, which a verifier that trusts the alg header would use.
func SignWithPublicKeyAsSecret(key jose.JSONWebKey, payload []byte) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		return "", fmt.Errorf("oidctest: encode the public key: %w", err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return sign(jose.HS256, jose.JSONWebKey{Key: secret, KeyID: key.KeyID}, payload, "JWT")
}

// SignWithOtherKey signs with a key nobody published, under the current kid.
func SignWithOtherKey(key jose.JSONWebKey, payload []byte) (string, error) {
	other, err := newKey(jose.SignatureAlgorithm(key.Algorithm), nil)
	if err != nil {
		return "", err
	}
	other.KeyID = key.KeyID
	return SignHonestly(other, payload)
}

// SignWithUnknownKey signs with a key nobody published, under its own kid.
func SignWithUnknownKey(key jose.JSONWebKey, payload []byte) (string, error) {
	other, err := newKey(jose.SignatureAlgorithm(key.Algorithm), nil)
	if err != nil {
		return "", err
	}
	return SignHonestly(other, payload)
}

func sign(alg jose.SignatureAlgorithm, key jose.JSONWebKey, payload []byte, typ jose.ContentType) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		return "", fmt.Errorf("oidctest: signer for %s: %w", alg, err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("oidctest: sign with %s: %w", alg, err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("oidctest: serialize: %w", err)
	}
	return compact, nil
}

// signClaims signs claims with how, or honestly where that is nil.
func (p *Provider) signClaims(claims map[string]any, how Sign) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("oidctest: encode claims: %w", err)
	}
	if how == nil {
		how = SignHonestly
	}
	return how(p.signingKey(), payload)
}

// Token signs claims as they are, as a provider's own SDK brings an ID token to an app; nil is SignHonestly.
func (p *Provider) Token(claims map[string]any, how Sign) (string, error) {
	return p.signClaims(claims, how)
}

// ownClaims returns the claims of a token this provider signed, of any age.
func (p *Provider) ownClaims(token string) (map[string]any, bool) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{p.cfg.Algorithm})
	if err != nil {
		return nil, false
	}
	p.mu.Lock()
	keys := p.keys
	p.mu.Unlock()
	for _, k := range keys {
		payload, err := jws.Verify(k.Public())
		if err != nil {
			continue
		}
		claims := map[string]any{}
		dec := json.NewDecoder(bytes.NewReader(payload))
		dec.UseNumber()
		return claims, dec.Decode(&claims) == nil
	}
	return nil, false
}
