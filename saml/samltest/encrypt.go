package samltest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the digest of RSA-OAEP as AD FS uses it; no collision matters there
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/xmlsig"
)

const (
	xencNS  = "http://www.w3.org/2001/04/xmlenc#"
	methodC = xencNS + "aes256-cbc"
	methodG = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
)

// encrypt returns an EncryptedAssertion: AES-256 under a fresh key, which RSA-OAEP wraps (XML Encryption sections 5.2 and 5.5.2).
func encrypt(assertion *etree.Element, cert *x509.Certificate, gcm bool) (*etree.Element, error) {
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("the trust's encryption certificate is not RSA")
	}
	plain, err := xmlsig.Bytes(assertion)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (Go 1.24)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	method, sealed := methodC, cbc(block, plain)
	if gcm {
		method = methodG
		if sealed, err = gcmSeal(block, plain); err != nil {
			return nil, err
		}
	}
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, key, nil) //nolint:gosec // see the import
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	out := etree.NewElement("EncryptedAssertion")
	out.CreateAttr("xmlns", binding.AssertionNS)
	data := out.CreateElement("xenc:EncryptedData")
	data.CreateAttr("xmlns:xenc", xencNS)
	data.CreateAttr("Type", xencNS+"Element")
	data.CreateElement("xenc:EncryptionMethod").CreateAttr("Algorithm", method)
	info := data.CreateElement("KeyInfo")
	info.CreateAttr("xmlns", xmlsig.Namespace)
	ek := info.CreateElement("e:EncryptedKey")
	ek.CreateAttr("xmlns:e", xencNS)
	em := ek.CreateElement("e:EncryptionMethod")
	em.CreateAttr("Algorithm", xencNS+"rsa-oaep-mgf1p")
	em.CreateElement("DigestMethod").CreateAttr("Algorithm", xmlsig.Namespace+"sha1")
	ek.CreateElement("e:CipherData").CreateElement("e:CipherValue").SetText(base64.StdEncoding.EncodeToString(wrapped))
	data.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(base64.StdEncoding.EncodeToString(sealed))
	return out, nil
}

// cbc pads as XML Encryption section 5.2.1 says: the last byte is the number of bytes added.
func cbc(block cipher.Block, plain []byte) []byte {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := make([]byte, aes.BlockSize+len(plain)+pad)
	_, _ = rand.Read(out[:aes.BlockSize]) // never fails (Go 1.24)
	copy(out[aes.BlockSize:], plain)
	out[len(out)-1] = byte(pad)
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], out[aes.BlockSize:])
	return out
}

func gcmSeal(block cipher.Block, plain []byte) ([]byte, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails (Go 1.24)
	return aead.Seal(nonce, nonce, plain, nil), nil
}
