package samlsp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const (
	keysetKind = "saml_keyset"
	rsaBits    = 2048
	// certificateLife is long because the certificate is a name for a key and nothing else: an end
	// date that is passed would break trusts that pin it, and protects nobody.
	certificateLife = 10 * 365 * 24 * time.Hour
	// backdated keeps a certificate good on a machine whose clock is behind.
	backdated = 24 * time.Hour
)

// keyset is the document of a pool's key pairs: its generations in the order of UseFrom.
type keyset struct {
	PoolID      string
	Generations []generation
}

type generation struct {
	Announced, UseFrom time.Time
	Signing, Opening   storedPair
}

// storedPair is a key pair as it is kept.
type storedPair struct {
	Key         secret.Text // PKCS #8, DER
	Certificate []byte      // DER
}

type jsonKeyset struct {
	PoolID      string           `json:"pool"`
	Generations []jsonGeneration `json:"gens"`
}

type jsonGeneration struct {
	Announced time.Time `json:"announced"`
	UseFrom   time.Time `json:"use_from"`
	Signing   jsonPair  `json:"sign"`
	Opening   jsonPair  `json:"open"`
}

type jsonPair struct {
	Key         []byte `json:"key"`
	Certificate []byte `json:"cert"`
}

// MarshalStored implements store.Stored; the body is sealed by the kind.
func (s *keyset) MarshalStored() ([]byte, error) {
	pair := func(p storedPair) jsonPair { return jsonPair{Key: []byte(p.Key.Reveal()), Certificate: p.Certificate} }
	out := jsonKeyset{PoolID: s.PoolID}
	for _, g := range s.Generations {
		out.Generations = append(out.Generations, jsonGeneration{
			Announced: g.Announced, UseFrom: g.UseFrom, Signing: pair(g.Signing), Opening: pair(g.Opening),
		})
	}
	return json.Marshal(out)
}

// StoredForm implements store.Stored.
func (*keyset) StoredForm() any { return jsonKeyset{} }

// UnmarshalStored implements store.Stored.
func (s *keyset) UnmarshalStored(data []byte) error {
	var in jsonKeyset
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	pair := func(p jsonPair) storedPair {
		return storedPair{Key: secret.New(string(p.Key)), Certificate: p.Certificate}
	}
	*s = keyset{PoolID: in.PoolID}
	for _, g := range in.Generations {
		s.Generations = append(s.Generations, generation{
			Announced: g.Announced, UseFrom: g.UseFrom, Signing: pair(g.Signing), Opening: pair(g.Opening),
		})
	}
	if len(s.Generations) == 0 {
		return fmt.Errorf("the SAML key set of pool %s holds no keys", s.PoolID)
	}
	return nil
}

func (k *Keys) kind() *store.Kind[keyset] {
	return &store.Kind[keyset]{
		Engine: k.Engine, Name: keysetKind, Ring: k.Ring,
		KeysOf: func(s *keyset) store.Keys { return store.Keys{Key: s.PoolID} },
	}
}

// newest is the generation that is used last of those there are.
func (s *keyset) newest() generation { return s.Generations[len(s.Generations)-1] }

// pending reports whether a generation is announced that is not used yet.
func (s *keyset) pending(now time.Time) bool { return s.newest().UseFrom.After(now) }

// prune removes generations that are dropped and reports whether there were any.
func (s *keyset) prune(now time.Time, retain time.Duration) bool {
	var kept []generation
	for i, g := range s.Generations {
		if i == len(s.Generations)-1 || now.Before(s.Generations[i+1].UseFrom.Add(retain)) {
			kept = append(kept, g)
		}
	}
	pruned := len(kept) < len(s.Generations)
	s.Generations = kept
	return pruned
}

// generate makes a generation: two RSA keys, which takes a good part of a second.
func generate(poolID string, now time.Time) (generation, error) {
	g := generation{Announced: now}
	for use, to := range map[string]*storedPair{"signing": &g.Signing, "encryption": &g.Opening} {
		key, err := rsa.GenerateKey(rand.Reader, rsaBits)
		if err != nil {
			return g, fmt.Errorf("make a SAML key: %w", err)
		}
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // RFC 5280 section 4.1.2.2
		if err != nil {
			return g, fmt.Errorf("make a SAML key: %w", err)
		}
		usage := x509.KeyUsageDigitalSignature
		if use == "encryption" {
			usage = x509.KeyUsageKeyEncipherment
		}
		template := &x509.Certificate{
			SerialNumber: serial.Add(serial, big.NewInt(1)),
			Subject:      pkix.Name{CommonName: "Weir SAML " + use + " " + poolID}, // administrators see this name in their console
			NotBefore:    now.Add(-backdated), NotAfter: now.Add(certificateLife),
			KeyUsage: usage,
		}
		if to.Certificate, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
			return g, fmt.Errorf("make a SAML certificate: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return g, fmt.Errorf("encode a SAML key: %w", err)
		}
		to.Key = secret.New(string(der))
	}
	return g, nil
}

func (p storedPair) parse() (Pair, error) {
	key, err := x509.ParsePKCS8PrivateKey([]byte(p.Key.Reveal()))
	if err != nil {
		return Pair{}, fmt.Errorf("parse SAML key: %w", err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return Pair{}, fmt.Errorf("parse SAML key: a %T where RSA was expected", key)
	}
	cert, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return Pair{}, fmt.Errorf("parse SAML certificate: %w", err)
	}
	if !private.PublicKey.Equal(cert.PublicKey) {
		return Pair{}, errors.New("parse SAML key: the certificate is of another key")
	}
	return Pair{key: private, Certificate: cert}, nil
}
