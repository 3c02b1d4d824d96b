package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"github.com/google/uuid"
)

// The layout of the handles, before base64url. The grant's id leads to the document. A refresh token's family part is the
// same for all tokens of the grant: it proves that a token with a wrong last part was once valid, whereas
// the id alone is known to everybody who has seen an access token.
const (
	idSize     = 16
	secretSize = 32
	familySize = 16
	saltSize   = 16

	codeSize    = idSize + secretSize
	refreshSize = idSize + familySize + secretSize
)

// newCode returns a code and what is stored of it.
func newCode(id uuid.UUID) (code string, sum []byte) {
	b := make([]byte, codeSize)
	copy(b, id[:])
	_, _ = rand.Read(b[idSize:]) // crypto/rand.Read never fails (Go 1.24)
	return encode(b), digest("code", b)
}

func parseCode(code string) (id string, sum []byte, ok bool) {
	b, ok := decode(code, codeSize)
	if !ok {
		return "", nil, false
	}
	return uuid.UUID(b[:idSize]).String(), digest("code", b), true
}

// handle is a refresh token as bytes: id, family, secret.
type handle []byte

func newRefresh(id uuid.UUID) handle {
	h := make(handle, refreshSize)
	copy(h, id[:])
	_, _ = rand.Read(h[idSize:])
	return h
}

func parseRefresh(token string) (handle, bool) {
	b, ok := decode(token, refreshSize)
	return handle(b), ok
}

func (h handle) id() string     { return uuid.UUID(h[:idSize]).String() }
func (h handle) family() []byte { return digest("family", h[:idSize+familySize]) }
func (h handle) sum() []byte    { return digest("refresh", h) }
func (h handle) token() string  { return encode(h) }

// next is the handle that replaces h. It follows from h and a salt, so that a client that lost the answer gets the
// same one again, and from neither alone.
func (h handle) next(salt []byte) handle {
	mac := hmac.New(sha256.New, h)
	mac.Write([]byte("weir refresh next\x00"))
	mac.Write(salt)
	out := make(handle, 0, refreshSize)
	out = append(out, h[:idSize+familySize]...)
	return mac.Sum(out)
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	return salt
}

// digest is what is stored of a value with at least 128 random bits: no guess can be checked against it faster than
// against the value, so it needs neither salt nor stretching.
func digest(use string, b []byte) []byte {
	h := sha256.New()
	h.Write([]byte(use + "\x00"))
	h.Write(b)
	return h.Sum(nil)
}

// same compares in constant time. An absent value is the same as nothing.
func same(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode is strict, so that a handle has one spelling.
func decode(s string, size int) ([]byte, bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(size) {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) == size
}
