package samltest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/weir-id/weir/saml/xmlsig"
)

// newSigner makes a token-signing key. AD FS gives its certificate a year.
func newSigner(baseURL string, now time.Time) (xmlsig.Signer, error) {
	host := baseURL
	if u, err := url.Parse(baseURL); err == nil {
		host = u.Host
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return xmlsig.Signer{}, fmt.Errorf("token-signing key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return xmlsig.Signer{}, fmt.Errorf("token-signing key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "ADFS Signing - " + host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return xmlsig.Signer{}, fmt.Errorf("token-signing certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return xmlsig.Signer{}, fmt.Errorf("token-signing certificate: %w", err)
	}
	return xmlsig.Signer{Key: key, Certificate: cert}, nil
}

// AnnounceKey puts a second token-signing key into the metadata, which does not sign yet; nil makes one. It is the first step of
// a rollover, SwitchKey the second and DropKey the last.
func (p *Provider) AnnounceKey(s *xmlsig.Signer) error {
	if s == nil {
		made, err := newSigner(p.cfg.BaseURL, p.cfg.Now())
		if err != nil {
			return err
		}
		s = &made
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, *s)
	return nil
}

// SwitchKey signs with the newest key from now on. The old ones stay in the metadata.
func (p *Provider) SwitchKey() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing = len(p.keys) - 1
}

// DropKey takes all keys out of the metadata but the one that signs.
func (p *Provider) DropKey() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.signing = []xmlsig.Signer{p.keys[p.signing]}, 0
}

// RollKey changes the key without announcing the new one: a rollover as it goes wrong.
func (p *Provider) RollKey(s *xmlsig.Signer) error {
	if err := p.AnnounceKey(s); err != nil {
		return err
	}
	p.SwitchKey()
	p.DropKey()
	return nil
}

func (p *Provider) signer() xmlsig.Signer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[p.signing]
}

// Certificates returns the token-signing certificates in the metadata.
func (p *Provider) Certificates() []*x509.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*x509.Certificate
	for _, k := range p.keys {
		out = append(out, k.Certificate)
	}
	return out
}

var errNotSP = errors.New("samltest: not metadata of a service provider")
