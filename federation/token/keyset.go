package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	keysetKind = "keyset"
	rsaBits    = 2048
	// retention is how long a generation stays published after its successor began to sign.
	retention = MaxTokenLife + skew
)

// algorithms are those that sign and verify here. It is also the allow-list of VerifyAccess.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

// keyset is the document of a pool's keys: its generations in the order of SignFrom.
//
// What a generation is used for follows from the clock alone, so that a step of a
// rotation needs no write and all nodes take it together: at a time the latest
// generation whose SignFrom has come signs, later ones are published and
// unused, and an earlier one is published until the tokens it signed are gone.
type keyset struct {
	PoolID      string
	Generations []generation
}

// generation is a pair of keys that is rotated together: one for ID tokens, one for access tokens.
type generation struct {
	Algorithm jose.SignatureAlgorithm
	Announced time.Time
	SignFrom  time.Time
	ID        secret.Text // PKCS #8, DER
	Access    secret.Text // PKCS #8, DER
}

type storedKeyset struct {
	PoolID      string             `json:"pool"`
	Generations []storedGeneration `json:"gens"`
}

type storedGeneration struct {
	Algorithm jose.SignatureAlgorithm `json:"alg"`
	Announced time.Time               `json:"announced"`
	SignFrom  time.Time               `json:"sign_from"`
	ID        []byte                  `json:"id"`
	Access    []byte                  `json:"access"`
}

// MarshalStored implements store.Stored; the body is sealed by the kind.
func (s *keyset) MarshalStored() ([]byte, error) {
	out := storedKeyset{PoolID: s.PoolID}
	for _, g := range s.Generations {
		out.Generations = append(out.Generations, storedGeneration{
			Algorithm: g.Algorithm, Announced: g.Announced, SignFrom: g.SignFrom,
			ID: []byte(g.ID.Reveal()), Access: []byte(g.Access.Reveal()),
		})
	}
	return json.Marshal(out)
}

// StoredForm implements store.Stored.
func (*keyset) StoredForm() any { return storedKeyset{} }

// UnmarshalStored implements store.Stored.
func (s *keyset) UnmarshalStored(data []byte) error {
	var in storedKeyset
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*s = keyset{PoolID: in.PoolID}
	for _, g := range in.Generations {
		s.Generations = append(s.Generations, generation{
			Algorithm: g.Algorithm, Announced: g.Announced, SignFrom: g.SignFrom,
			ID: secret.New(string(g.ID)), Access: secret.New(string(g.Access)),
		})
	}
	if len(s.Generations) == 0 {
		return fmt.Errorf("keyset of pool %s holds no keys", s.PoolID)
	}
	return nil
}

func (k *Keys) kind() *store.Kind[keyset] {
	return &store.Kind[keyset]{
		Engine: k.Engine, Name: keysetKind, Ring: k.Ring,
		KeysOf: func(s *keyset) store.Keys { return store.Keys{Key: s.PoolID} },
	}
}

// newest is the generation that signs last of those there are.
func (s *keyset) newest() generation { return s.Generations[len(s.Generations)-1] }

// pending reports whether a generation is announced that does not sign yet.
func (s *keyset) pending(now time.Time) bool { return s.newest().SignFrom.After(now) }

// prune removes generations that are published no more and reports whether there were any.
func (s *keyset) prune(now time.Time) bool {
	var kept []generation
	for i, g := range s.Generations {
		if i == len(s.Generations)-1 || published(s.Generations[i+1].SignFrom, now) {
			kept = append(kept, g)
		}
	}
	pruned := len(kept) < len(s.Generations)
	s.Generations = kept
	return pruned
}

// published reports whether a generation is still published, given when its successor began to sign.
func published(successor, now time.Time) bool { return now.Before(successor.Add(retention)) }

// generate makes a pair of keys. With RS256 this takes a good part of a second.
func generate(alg jose.SignatureAlgorithm) (generation, error) {
	g := generation{Algorithm: alg}
	for _, to := range []*secret.Text{&g.ID, &g.Access} {
		key, err := generateKey(alg)
		if err != nil {
			return g, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return g, fmt.Errorf("encode signing key: %w", err)
		}
		*to = secret.New(string(der))
	}
	return g, nil
}

func generateKey(alg jose.SignatureAlgorithm) (crypto.Signer, error) {
	switch alg {
	case jose.RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fault.New(fault.Config, "The signing algorithm of this user pool is not supported.",
		fmt.Errorf("signing algorithm %q: want one of %q", string(alg), algorithms))
}

// signingKey is a parsed key, ready to use. It is immutable and safe for concurrent use.
type signingKey struct {
	public jose.JSONWebKey // kid, alg, use=sig
	signer jose.Signer
	access bool // signs access tokens, ID tokens otherwise
}

// parseKey readies a stored key. Its kid is the RFC 7638 thumbprint (SHA-256).
func parseKey(alg jose.SignatureAlgorithm, der secret.Text, access bool) (*signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey([]byte(der.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("parse signing key: %w", err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("parse signing key: %T does not sign", parsed)
	}
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(alg), Use: "sig"}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("thumbprint of signing key: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: alg,
		Key:       jose.JSONWebKey{Key: private, KeyID: public.KeyID},
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("use signing key: %w", err)
	}
	return &signingKey{public: public, signer: signer, access: access}, nil
}

// sign returns the compact serialization (RFC 7515 section 7.1) with the header members alg and kid.
func (k *signingKey) sign(payload []byte) (string, error) {
	sig, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return sig.CompactSerialize()
}
