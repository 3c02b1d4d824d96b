package response_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
)

// encryption says how an assertion is encrypted. The zero value is AES-256-CBC with OAEP and SHA-1, AD FS's way.
type encryption struct {
	key       *rsa.PublicKey
	content   string // algorithm
	transport string // algorithm
	digest    string // DigestMethod of the transport; absent
	mgf       string // MGF of xmlenc11; absent
	mask      crypto.Hash
	label     string
	beside    bool // the EncryptedKey beside the EncryptedData, with a RetrievalMethod
	dataType  string
	mangle    func(ciphertext []byte) []byte
	keyMangle func(wrapped []byte) []byte
	session   func(key []byte) []byte // what is wrapped in place of the content key
	repeat    int                     // EncryptedKeys that are not for us, before ours
	id        string                  // of the EncryptedData
}

func random(tb testing.TB, n int) []byte {
	tb.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		tb.Fatal(err)
	}
	return b
}

// seal returns the EncryptedAssertion of plain.
func (e encryption) seal(tb testing.TB, plain string) string {
	tb.Helper()
	content := or(e.content, enc+"aes256-cbc")
	size := 32
	switch {
	case strings.Contains(content, "128"):
		size = 16
	case strings.Contains(content, "192"), strings.Contains(content, "tripledes"):
		size = 24
	}
	session := random(tb, size)
	value := e.sealContent(tb, content, session, []byte(plain))
	if e.mangle != nil {
		value = e.mangle(value)
	}
	if e.session != nil {
		session = e.session(session)
	}
	wrapped := e.wrapKey(tb, session)
	if e.keyMangle != nil {
		wrapped = e.keyMangle(wrapped)
	}
	keys := ""
	for range e.repeat {
		keys += e.keyElement(random(tb, 256), "")
	}
	keys += e.keyElement(wrapped, ` Id="_ek"`)
	inside, beside := keys, ""
	if e.beside {
		inside, beside = `<ds:RetrievalMethod Type="`+enc+`EncryptedKey" URI="#_ek"/>`, keys
	}
	return `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="` + enc + `" Type="` + or(e.dataType, enc+"Element") + `"` + e.id + `>` +
		`<xenc:EncryptionMethod Algorithm="` + content + `"/><ds:KeyInfo xmlns:ds="` + dsNS + `">` + inside + `</ds:KeyInfo>` +
		`<xenc:CipherData><xenc:CipherValue>` + base64.StdEncoding.EncodeToString(value) + `</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>` + beside + `</EncryptedAssertion>`
}

func (e encryption) keyElement(wrapped []byte, id string) string {
	inner := ""
	if e.digest != "" {
		inner = `<ds:DigestMethod xmlns:ds="` + dsNS + `" Algorithm="` + e.digest + `"/>`
	}
	if e.mgf != "" {
		inner += `<xenc11:MGF xmlns:xenc11="` + enc1 + `" Algorithm="` + e.mgf + `"/>`
	}
	if e.label != "" {
		inner += `<xenc:OAEPparams>` + base64.StdEncoding.EncodeToString([]byte(e.label)) + `</xenc:OAEPparams>`
	}
	return `<xenc:EncryptedKey xmlns:xenc="` + enc + `"` + id + `><xenc:EncryptionMethod Algorithm="` + or(e.transport, enc+"rsa-oaep-mgf1p") + `">` + inner +
		`</xenc:EncryptionMethod><ds:KeyInfo xmlns:ds="` + dsNS + `"><ds:KeyName>weir</ds:KeyName></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>` + base64.StdEncoding.EncodeToString(wrapped) +
		`</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>`
}

func (e encryption) wrapKey(tb testing.TB, session []byte) []byte {
	tb.Helper()
	pub := e.key
	if pub == nil {
		pub = &rsaKey(tb, "sp").PublicKey
	}
	var out []byte
	var err error
	if strings.HasSuffix(e.transport, "rsa-1_5") {
		out, err = rsa.EncryptPKCS1v15(rand.Reader, pub, session) //nolint:staticcheck // made to be refused
	} else {
		mask := e.mask
		if mask == 0 {
			mask = crypto.SHA1
		}
		h := crypto.SHA1
		if e.digest != "" {
			h = hashOf(e.digest)
		}
		out, err = rsa.EncryptOAEPWithOptions(rand.Reader, pub, session, &rsa.OAEPOptions{Hash: h, MGFHash: mask, Label: []byte(e.label)})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func (e encryption) sealContent(tb testing.TB, algorithm string, session, plain []byte) []byte {
	tb.Helper()
	var block cipher.Block
	var err error
	if strings.Contains(algorithm, "tripledes") {
		block, err = des.NewTripleDESCipher(session)
	} else {
		block, err = aes.NewCipher(session)
	}
	if err != nil {
		tb.Fatal(err)
	}
	if strings.HasSuffix(algorithm, "gcm") {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			tb.Fatal(err)
		}
		nonce := random(tb, aead.NonceSize())
		return aead.Seal(nonce, nonce, plain, nil)
	}
	n := block.BlockSize()
	pad := n - len(plain)%n
	// xmlenc fixes the last byte of a padding only.
	plain = append(append(plain, random(tb, pad-1)...), byte(pad))
	iv := random(tb, n)
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, plain)
	return append(iv, out...)
}
