package social

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/secret"
)

// Apple takes client secrets of up to 15,777,000 seconds (half a year). A short one is worth less to whoever gets hold of it.
const (
	appleSecretLife  = time.Hour
	appleSecretFresh = 30 * time.Minute // for which one is used: half of its life is left for clocks that differ
)

// appleSecret makes client secrets: JWTs of the team about the client, signed with the team's key. It is safe for concurrent use.
type appleSecret struct {
	team, client, audience string
	signer                 jose.Signer

	mu    sync.Mutex
	made  secret.Text
	since time.Time
}

// sign sets the key. Its errors do not quote it.
func (s *appleSecret) sign(text, keyID string) error {
	key, err := appleKey(text)
	if err != nil {
		return err
	}
	s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, nil)
	return err
}

// at returns a secret that is good at that time and for a while after.
func (s *appleSecret) at(now time.Time) (secret.Text, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.since); !s.made.IsZero() && age >= 0 && age < appleSecretFresh {
		return s.made, nil
	}
	payload, err := json.Marshal(map[string]any{
		"iss": s.team, "sub": s.client, "aud": s.audience, "iat": now.Unix(), "exp": now.Add(appleSecretLife).Unix(),
	})
	if err != nil {
		return secret.Text{}, err
	}
	jws, err := s.signer.Sign(payload)
	if err != nil {
		return secret.Text{}, err
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		return secret.Text{}, err
	}
	s.made, s.since = secret.New(raw), now
	return s.made, nil
}

// appleKey reads a .p8 file, which is PKCS #8 in PEM, in the forms that people paste: whole, on one line, with \n for the ends of lines as in
// files of environment variables, or its base64 alone, as the original wants it.
func appleKey(text string) (*ecdsa.PrivateKey, error) {
	const begin, end = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
	errForm := errors.New("must be the content of the .p8 file that Apple made: a PEM block of type PRIVATE KEY, or its base64 alone")
	text = strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
	if rest, ok := strings.CutPrefix(text, begin); ok {
		if text, ok = strings.CutSuffix(rest, end); !ok {
			return nil, errForm
		}
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errForm
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errForm
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("must be a P-256 key, as those that Apple makes are")
	}
	return key, nil
}
