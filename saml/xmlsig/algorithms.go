package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // registered for IdPs that an admin tolerates on purpose; see Policy
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// Signature algorithms, as SignatureMethod and SigAlg name them (RFC 9231 sections 2.3.2 and 2.3.6).
const (
	RSASHA256   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	RSASHA384   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
	RSASHA512   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	ECDSASHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	ECDSASHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
	ECDSASHA512 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"
	RSASHA1     = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	ECDSASHA1   = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
)

type method struct {
	ecdsa bool
	hash  crypto.Hash
}

var methods = map[string]method{
	RSASHA256: {false, crypto.SHA256}, RSASHA384: {false, crypto.SHA384}, RSASHA512: {false, crypto.SHA512},
	ECDSASHA256: {true, crypto.SHA256}, ECDSASHA384: {true, crypto.SHA384}, ECDSASHA512: {true, crypto.SHA512},
	RSASHA1: {false, crypto.SHA1}, ECDSASHA1: {true, crypto.SHA1},
}

const digestSHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

func (p Policy) method(algorithm string) (method, error) {
	m, ok := methods[algorithm]
	if !ok || (m.hash == crypto.SHA1 && !p.AllowSHA1) {
		return m, fmt.Errorf("%w: signature method %s", ErrAlgorithm, named(algorithm, ok))
	}
	return m, nil
}

// named quotes an algorithm only if it is one we know: anything else is the sender's text.
func named(algorithm string, known bool) string {
	if !known {
		return "that is unknown"
	}
	return algorithm + " (SHA-1)"
}

// VerifyBytes checks a signature over data with each of keys. Errors: ErrAlgorithm, ErrUnknownKey.
func VerifyBytes(algorithm string, data, signature []byte, keys []crypto.PublicKey, p Policy) error {
	m, err := p.method(algorithm)
	if err != nil {
		return err
	}
	h := m.hash.New()
	_, _ = h.Write(data) // hash.Hash.Write never returns an error
	sum := h.Sum(nil)
	for _, k := range keys {
		if m.verify(k, sum, signature) {
			return nil
		}
	}
	return fmt.Errorf("%w: %d keys tried", ErrUnknownKey, len(keys))
}

func (m method) verify(key crypto.PublicKey, sum, signature []byte) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return !m.ecdsa && rsa.VerifyPKCS1v15(k, m.hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		if !m.ecdsa {
			return false
		}
		// The standard says r || s (RFC 9231 section 2.3.6); some Java software sends DER over the redirect binding.
		n := coordinateSize(k)
		if len(signature) == 2*n {
			return ecdsa.Verify(k, sum, new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:]))
		}
		return ecdsa.VerifyASN1(k, sum, signature)
	}
	return false
}

func coordinateSize(k *ecdsa.PublicKey) int { return (k.Params().N.BitLen() + 7) / 8 }

// SignBytes signs data with SHA-256 and returns the name of the algorithm, by the kind of key: RSASHA256 or ECDSASHA256.
func SignBytes(key crypto.Signer, data []byte) (algorithm string, signature []byte, err error) {
	h := crypto.SHA256.New()
	_, _ = h.Write(data) // hash.Hash.Write never returns an error
	if signature, err = key.Sign(rand.Reader, h.Sum(nil), crypto.SHA256); err != nil {
		return "", nil, fmt.Errorf("sign: %w", err)
	}
	algorithm, err = AlgorithmFor(key)
	if err != nil {
		return "", nil, err
	}
	if k, ok := key.Public().(*ecdsa.PublicKey); ok {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(signature, &rs); err != nil {
			return "", nil, fmt.Errorf("sign: %w", err)
		}
		n := coordinateSize(k)
		signature = append(rs.R.FillBytes(make([]byte, n)), rs.S.FillBytes(make([]byte, n))...)
	}
	return algorithm, signature, nil
}

// AlgorithmFor returns the name of the algorithm that SignBytes uses with key.
func AlgorithmFor(key crypto.Signer) (string, error) {
	switch key.Public().(type) {
	case *rsa.PublicKey:
		return RSASHA256, nil
	case *ecdsa.PublicKey:
		return ECDSASHA256, nil
	}
	return "", fmt.Errorf("sign: no algorithm for a %T", key)
}
