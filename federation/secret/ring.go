package secret

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	keySize    = 32
	idSize     = 4
	saltSize   = 16
	nonceSize  = 12
	sealFormat = 1
	headerSize = 1 + idSize + saltSize + nonceSize
)

// Overhead is the number of bytes that Seal adds to a plaintext.
const Overhead = headerSize + 16

// ErrUnknownKey is returned by Open for data sealed under a key that the ring
// does not hold: another installation's data, or a key that was removed too early.
var ErrUnknownKey = errors.New("secret: sealed under a key that is not in the key ring")

// ErrTampered is returned by Open for data that is not what was sealed, or was
// sealed for another context.
var ErrTampered = errors.New("secret: sealed data is damaged or belongs elsewhere")

// Ring is an ordered set of 256-bit keys: the first seals, all of them open.
// To replace a key, put a new line on top and remove the old one when nothing
// sealed under it is left. A Ring is safe for concurrent use.
type Ring struct {
	keys []ringKey
}

type ringKey struct {
	id  [idSize]byte
	key Text // the raw bytes, unprintable like every secret
}

// ParseRing reads keys, one per line: 32 bytes in standard base64. Blank lines
// and lines that begin with # are passed over. It returns an error that names
// the line, never its content.
func ParseRing(r io.Reader) (*Ring, error) {
	ring := &Ring{}
	sc := bufio.NewScanner(io.LimitReader(r, 1<<16))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("sealing key on line %d: not base64", n)
		}
		if len(key) != keySize {
			return nil, fmt.Errorf("sealing key on line %d: %d bytes, want %d", n, len(key), keySize)
		}
		k := ringKey{key: New(string(key))}
		sum := sha256.Sum256(append([]byte("weir sealing key id\x00"), key...))
		copy(k.id[:], sum[:])
		if ring.find(k.id) != nil {
			return nil, fmt.Errorf("sealing key on line %d: the same key stands twice", n)
		}
		ring.keys = append(ring.keys, k)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("reading sealing keys: %w", err)
	}
	if len(ring.keys) == 0 {
		return nil, errors.New("no sealing key found: want at least one line with 32 bytes in base64")
	}
	return ring, nil
}

// GenerateKey returns a new random key as a line for ParseRing.
func GenerateKey() string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // crypto/rand.Read never fails (Go 1.24)
	return base64.StdEncoding.EncodeToString(key)
}

func (r *Ring) find(id [idSize]byte) []byte {
	for _, k := range r.keys {
		if k.id == id {
			return []byte(k.key.Reveal())
		}
	}
	return nil
}

// Seal encrypts plaintext with AES-256-GCM under the ring's first key and binds it to context,
// which Open must be given again. The message key is derived (HKDF-SHA-256) from
// the ring key and a random salt, so that the number of messages sealed under one ring
// key is not bounded by the 96-bit nonce (NIST SP 800-38D section 8.3).
func (r *Ring) Seal(plaintext []byte, context string) []byte {
	k := r.keys[0]
	out := make([]byte, headerSize, headerSize+len(plaintext)+16)
	out[0] = sealFormat
	copy(out[1:], k.id[:])
	_, _ = rand.Read(out[1+idSize : headerSize])
	aead, err := messageCipher([]byte(k.key.Reveal()), out[1+idSize:1+idSize+saltSize])
	if err != nil {
		panic(err) // key and salt sizes are fixed above
	}
	return aead.Seal(out, out[headerSize-nonceSize:headerSize], plaintext, additional(out[:headerSize], context))
}

// Open returns what Seal was given. Errors: ErrUnknownKey, ErrTampered.
func (r *Ring) Open(sealed []byte, context string) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != sealFormat {
		return nil, ErrTampered
	}
	key := r.find([idSize]byte(sealed[1 : 1+idSize]))
	if key == nil {
		return nil, ErrUnknownKey
	}
	aead, err := messageCipher(key, sealed[1+idSize:1+idSize+saltSize])
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	plain, err := aead.Open(nil, sealed[headerSize-nonceSize:headerSize], sealed[headerSize:], additional(sealed[:headerSize], context))
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

func messageCipher(key, salt []byte) (cipher.AEAD, error) {
	mk, err := hkdf.Key(sha256.New, key, salt, "weir seal 1", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(mk)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// additional is the authenticated data: the header, then the caller's context.
func additional(header []byte, context string) []byte {
	ad := make([]byte, 0, len(header)+len(context))
	return append(append(ad, header...), context...)
}
