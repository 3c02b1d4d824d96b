package metadata

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-id/weir/saml/internal/xmltree"
	"github.com/weir-id/weir/saml/xmlsig"
)

// Sizes of keys that are used: below is too weak (NIST SP 800-131A), above costs whoever verifies.
const (
	minRSABits = 2048
	maxRSABits = 8192
	minECBits  = 256
)

// keys takes the certificates of the role's own KeyDescriptors. Those elsewhere in the document are others': of
// its signer, of other roles and other entities.
func (m *Metadata) keys(idp *xmltree.Node) {
	count := 0
	for _, kd := range xmlsig.Children(idp, Namespace, "KeyDescriptor") {
		use := xmlsig.Attr(kd, "use")
		if use != "" && use != "signing" && use != "encryption" {
			m.problem("a KeyDescriptor has the unknown use %q", short(use))
			continue
		}
		texts := x509Texts(kd)
		if len(texts) == 0 {
			m.problem("a KeyDescriptor holds no X509Certificate")
		}
		for _, data := range texts {
			var above []Key // of the same X509Data
			for _, text := range data {
				if count++; count > maxCertificates {
					m.problem("only the first %d certificates were looked at", maxCertificates)
					return
				}
				k, err := parseKey(text)
				switch {
				case err != nil:
					m.problem("a certificate %s", err)
				case issued(k, above):
					m.problem("the certificate of the authority %q was left out: it is not a key of the provider", short(k.Certificate.Subject.String()))
				default:
					above = append(above, k)
				}
			}
			for _, k := range above {
				m.addKey(k, use)
			}
		}
	}
}

func (m *Metadata) addKey(k Key, use string) {
	add := func(to []Key) []Key {
		for _, have := range to {
			if have.Fingerprint == k.Fingerprint {
				return to
			}
		}
		return append(to, k)
	}
	if use != "encryption" {
		m.SigningKeys = add(m.SigningKeys)
	}
	if use != "signing" {
		m.EncryptionKeys = add(m.EncryptionKeys)
	}
}

// issued reports whether k is the authority that issued one of the keys: then X509Data holds a chain (XML Signature section
// 4.5.4), and an authority must not sign for its customers.
func issued(k Key, keys []Key) bool {
	for _, below := range keys {
		if bytes.Equal(below.Certificate.RawIssuer, k.Certificate.RawSubject) && !bytes.Equal(below.Certificate.RawIssuer, below.Certificate.RawSubject) {
			return true
		}
	}
	return false
}

// x509Texts returns the text of the certificates in an element with a KeyInfo, by X509Data.
func x509Texts(el *xmltree.Node) [][]string {
	var out [][]string
	for _, info := range xmlsig.Children(el, xmlsig.Namespace, "KeyInfo") {
		for _, data := range xmlsig.Children(info, xmlsig.Namespace, "X509Data") {
			var texts []string
			for _, c := range xmlsig.Children(data, xmlsig.Namespace, "X509Certificate") {
				text, _ := xmlsig.Text(c)
				texts = append(texts, text)
			}
			if len(texts) > 0 {
				out = append(out, texts)
			}
		}
	}
	return out
}

// parseKey reads a certificate in base64, with white space anywhere and, as some people paste it, within PEM lines.
func parseKey(text string) (Key, error) {
	cert, err := parseCertificate(text)
	if err != nil {
		return Key{}, err
	}
	if err := usable(cert.PublicKey); err != nil {
		return Key{}, fmt.Errorf("%q %w", short(cert.Subject.String()), err)
	}
	sum := sha256.Sum256(cert.Raw)
	return Key{Certificate: cert, PublicKey: cert.PublicKey, NotAfter: cert.NotAfter, Fingerprint: hex.EncodeToString(sum[:])}, nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	var der []byte
	if block, _ := pem.Decode([]byte(text)); block != nil && block.Type == "CERTIFICATE" {
		der = block.Bytes
	} else {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "-----BEGIN CERTIFICATE-----", ""), "-----END CERTIFICATE-----", "")
		var err error
		if der, err = xmlsig.Base64(text); err != nil {
			return nil, errors.New("is not base64")
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("cannot be read as X.509")
	}
	return cert, nil
}

func usable(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("has an RSA key of %d bits; %d to %d are used", bits, minRSABits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if bits := k.Params().N.BitLen(); bits < minECBits {
			return fmt.Errorf("has an elliptic-curve key of %d bits; %d or more are used", bits, minECBits)
		}
		return nil
	}
	return errors.New("has a key that is neither RSA nor ECDSA")
}

// Pin is a certificate that the signature of a whole document has to be made with.
type Pin struct {
	certificate *x509.Certificate
	fingerprint [sha256.Size]byte
}

// ParsePin reads a certificate (PEM or base64) or the SHA-256 fingerprint of one (64 hexadecimal digits, with or
// without colons or spaces).
func ParsePin(text string) (Pin, error) {
	bare := strings.NewReplacer(":", "", " ", "", "\t", "", "\r", "", "\n", "").Replace(text)
	if raw, err := hex.DecodeString(bare); err == nil {
		switch len(raw) {
		case sha256.Size:
			return Pin{fingerprint: [sha256.Size]byte(raw)}, nil
		case 20:
			return Pin{}, errors.New("is a SHA-1 thumbprint; give the SHA-256 fingerprint or the certificate itself")
		}
	}
	cert, err := parseCertificate(text)
	if err != nil {
		return Pin{}, errors.New("is neither a certificate (PEM or base64) nor a SHA-256 fingerprint (64 hexadecimal digits)")
	}
	if err := usable(cert.PublicKey); err != nil {
		return Pin{}, fmt.Errorf("the certificate %w", err)
	}
	return Pin{certificate: cert, fingerprint: sha256.Sum256(cert.Raw)}, nil
}

// match returns the pinned certificate, from the pin or, by its fingerprint, from those the signature carries.
func (p Pin) match(inside []*x509.Certificate) *x509.Certificate {
	if p.certificate != nil {
		return p.certificate
	}
	for _, c := range inside {
		if sha256.Sum256(c.Raw) == p.fingerprint && usable(c.PublicKey) == nil {
			return c
		}
	}
	return nil
}

// signerCertificates returns what the document's own signature names as its key. Without a pin they mean nothing.
func signerCertificates(root *xmltree.Node) []*x509.Certificate {
	var out []*x509.Certificate
	for _, sig := range xmlsig.Children(root, xmlsig.Namespace, "Signature") {
		for _, data := range x509Texts(sig) {
			for _, text := range data[:min(len(data), maxCertificates)] {
				if c, err := parseCertificate(text); err == nil {
					out = append(out, c)
				}
			}
		}
	}
	return out
}
