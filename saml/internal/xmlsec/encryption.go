package xmlsec

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// Namespaces and the type of an encrypted element.
const (
	XMLEnc      = "http://www.w3.org/2001/04/xmlenc#"
	xmlEnc11    = "http://www.w3.org/2009/xmlenc11#"
	typeElement = XMLEnc + "Element"
)

// Causes of refused encryption. ErrDecrypt is one error for everything that depends on a key or on the plaintext: which
// of its reasons applied, wrong key or wrong padding, would be an oracle.
var (
	ErrEncryption = errors.New("an encryption that is not accepted")
	ErrDecrypt    = errors.New("the element cannot be decrypted")
)

// maxAttempts bounds the private-key operations of one message: 0.85 ms each with a key of 2,048 bits.
const maxAttempts = 4

type contentMethod struct {
	size int // of the key, bytes
	gcm  bool
}

var contentMethods = map[string]contentMethod{
	XMLEnc + "aes128-cbc":   {size: 16},
	XMLEnc + "aes192-cbc":   {size: 24},
	XMLEnc + "aes256-cbc":   {size: 32},
	xmlEnc11 + "aes128-gcm": {size: 16, gcm: true},
	xmlEnc11 + "aes192-gcm": {size: 24, gcm: true},
	xmlEnc11 + "aes256-gcm": {size: 32, gcm: true},
}

var maskMethods = map[string]crypto.Hash{
	xmlEnc11 + "mgf1sha1":   crypto.SHA1,
	xmlEnc11 + "mgf1sha256": crypto.SHA256,
	xmlEnc11 + "mgf1sha384": crypto.SHA384,
	xmlEnc11 + "mgf1sha512": crypto.SHA512,
}

// encryptedKey is an xenc:EncryptedKey of the accepted shape. Several options are tried where products differ.
type encryptedKey struct {
	value   []byte
	options []*rsa.OAEPOptions
}

// Decrypt returns the plaintext of holder's one EncryptedData. Its EncryptedKeys are those inside its KeyInfo and those
// beside it; what refers to them (RetrievalMethod, Recipient, key names) is not needed to find them and not read. Each is
// tried with each of keys, since during a rollover there are several.
//
// Where no key fits, a random one is used, so that a failure takes the same way through the code whatever its reason.
// The plaintext may then be garbage: reading it must end in ErrDecrypt as well.
func Decrypt(holder *xmltree.Node, keys []*rsa.PrivateKey) ([]byte, error) {
	data, beside, err := encryptedParts(holder)
	if err != nil {
		return nil, err
	}
	method, value, info, err := encryptedData(data)
	if err != nil {
		return nil, err
	}
	if info != nil {
		for c := range info.Elements() {
			if c.Is(XMLEnc, "EncryptedKey") {
				beside = append(beside, c)
			}
		}
	}
	var wrapped []encryptedKey
	for _, n := range beside {
		k, err := readEncryptedKey(n)
		if err != nil {
			return nil, err
		}
		wrapped = append(wrapped, k)
	}
	if len(wrapped) == 0 {
		return nil, fmt.Errorf("%w: no EncryptedKey", ErrEncryption)
	}
	content := make([]byte, method.size)
	if _, err := rand.Read(content); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	if k := unwrap(wrapped, keys, method.size); k != nil {
		content = k
	}
	return open(method, content, value)
}

func encryptedParts(holder *xmltree.Node) (data *xmltree.Node, keys []*xmltree.Node, err error) {
	for c := range holder.Elements() {
		switch {
		case c.Is(XMLEnc, "EncryptedData") && data == nil:
			data = c
		case c.Is(XMLEnc, "EncryptedKey"):
			keys = append(keys, c)
		default:
			return nil, nil, fmt.Errorf("%w: %.40q in %s", ErrEncryption, c.Local, holder.Local)
		}
	}
	if data == nil {
		return nil, nil, fmt.Errorf("%w: no EncryptedData", ErrEncryption)
	}
	return data, keys, nil
}

func encryptedData(n *xmltree.Node) (m contentMethod, value []byte, info *xmltree.Node, err error) {
	if t, given := n.Attr("Type"); given && t != typeElement {
		return m, nil, nil, fmt.Errorf("%w: content of type %.80q", ErrEncryption, t)
	}
	algorithm, _, info, value, err := encryptedType(n)
	if err != nil {
		return m, nil, nil, err
	}
	m, ok := contentMethods[algorithm]
	if !ok {
		return m, nil, nil, fmt.Errorf("%w: content encryption %.80q", ErrEncryption, algorithm)
	}
	return m, value, info, nil
}

// encryptedType reads what EncryptedData and EncryptedKey share (xmlenc-core 1.1 section 3.1).
func encryptedType(n *xmltree.Node) (algorithm string, method, info *xmltree.Node, value []byte, err error) {
	for c := range n.Elements() {
		switch {
		case c.Is(XMLEnc, "EncryptionMethod") && method == nil:
			method = c
			algorithm, _ = c.Attr("Algorithm")
		case c.Is(DSig, "KeyInfo") && info == nil:
			info = c
		case c.Is(XMLEnc, "CipherData") && value == nil:
			cipherValue := c.First
			for cipherValue != nil && cipherValue.Local == "" {
				cipherValue = cipherValue.Next
			}
			// CipherReference names a place to fetch the bytes from: never.
			if !cipherValue.Is(XMLEnc, "CipherValue") {
				return "", nil, nil, nil, fmt.Errorf("%w: no CipherValue", ErrEncryption)
			}
			if value, err = Base64(cipherValue); err != nil {
				return "", nil, nil, nil, fmt.Errorf("%w: CipherValue is %w", ErrEncryption, err)
			}
		case c.Is(XMLEnc, "EncryptionProperties"), c.Is(XMLEnc, "ReferenceList"), c.Is(XMLEnc, "CarriedKeyName"):
		default:
			return "", nil, nil, nil, fmt.Errorf("%w: %.40q in %s", ErrEncryption, c.Local, n.Local)
		}
	}
	if method == nil || value == nil {
		return "", nil, nil, nil, fmt.Errorf("%w: %s without method or value", ErrEncryption, n.Local)
	}
	return algorithm, method, info, value, nil
}

func readEncryptedKey(n *xmltree.Node) (encryptedKey, error) {
	algorithm, method, _, value, err := encryptedType(n)
	if err != nil {
		return encryptedKey{}, err
	}
	// Both names default to SHA-1 (xmlenc-core 1.1 section 5.5.2).
	digest, mask := crypto.SHA1, crypto.SHA1
	var label []byte
	for c := range method.Elements() {
		a, _ := c.Attr("Algorithm")
		ok := true
		switch {
		case c.Is(DSig, "DigestMethod"):
			digest, ok = digestMethods[a]
		case c.Is(xmlEnc11, "MGF") && algorithm == xmlEnc11+"rsa-oaep":
			mask, ok = maskMethods[a]
		case c.Is(XMLEnc, "OAEPparams"):
			label, err = Base64(c)
			ok = err == nil
		case c.Is(XMLEnc, "KeySize"):
		default:
			ok = false
		}
		if !ok {
			return encryptedKey{}, fmt.Errorf("%w: %.40q %.80q of key transport", ErrEncryption, c.Local, a)
		}
	}
	k := encryptedKey{value: value, options: []*rsa.OAEPOptions{{Hash: digest, MGFHash: mask, Label: label}}}
	switch algorithm {
	case xmlEnc11 + "rsa-oaep":
	case XMLEnc + "rsa-oaep-mgf1p":
		// The standard fixes the mask at SHA-1; several products let it follow the digest.
		if digest != crypto.SHA1 {
			k.options = append(k.options, &rsa.OAEPOptions{Hash: digest, MGFHash: digest, Label: label})
		}
	default:
		return encryptedKey{}, fmt.Errorf("%w: key transport %.80q", ErrEncryption, algorithm)
	}
	return k, nil
}

// unwrap returns the content key, nil where no combination opens. OAEP proves itself: a wrong key does not open.
func unwrap(wrapped []encryptedKey, keys []*rsa.PrivateKey, size int) []byte {
	attempts := 0
	for _, w := range wrapped {
		for _, key := range keys {
			if len(w.value) != key.Size() {
				continue
			}
			for _, o := range w.options {
				if attempts++; attempts > maxAttempts {
					return nil
				}
				if content, err := key.Decrypt(nil, w.value, o); err == nil && len(content) == size {
					return content
				}
			}
		}
	}
	return nil
}

// open undoes the content encryption (xmlenc-core 1.1 section 5.2). A wrong padding is not an error of its own: the
// text is given back with it, for its reader to refuse.
func open(m contentMethod, key, value []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w", ErrDecrypt)
	}
	if m.gcm {
		aead, err := cipher.NewGCM(block)
		if err != nil || len(value) < aead.NonceSize()+aead.Overhead() {
			return nil, ErrDecrypt
		}
		plain, err := aead.Open(nil, value[:aead.NonceSize()], value[aead.NonceSize():], nil)
		if err != nil {
			return nil, ErrDecrypt
		}
		return plain, nil
	}
	if len(value) < 2*aes.BlockSize || len(value)%aes.BlockSize != 0 {
		return nil, ErrDecrypt
	}
	plain := make([]byte, len(value)-aes.BlockSize)
	// CBC without authentication is what the standard has and products send.
	cipher.NewCBCDecrypter(block, value[:aes.BlockSize]).CryptBlocks(plain, value[aes.BlockSize:])
	if pad := int(plain[len(plain)-1]); pad >= 1 && pad <= aes.BlockSize {
		plain = plain[:len(plain)-pad]
	}
	return plain, nil
}
