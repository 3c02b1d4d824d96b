// Package secret keeps confidential strings from being printed by accident and
// seals documents at rest.
//
// Text holds a value that no formatting verb, logger or marshaller shows. Ring
// holds the keys under which stored documents and cookies are sealed. Comparing
// a Text with user input goes through Equal, which takes constant time.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// redacted is what every printer shows in place of a secret.
const redacted = "[secret]"

// ErrMarshal is returned by every marshaller that meets a Text. Whoever wants
// to store a secret seals it on purpose: see Ring.
var ErrMarshal = errors.New("secret: refusing to marshal a secret value")

// Text is an unprintable string. The zero value is the empty secret.
//
// It holds a pointer, because fmt does not call the methods of a value in an
// unexported field: there it prints the address and not the text.
type Text struct{ p *string }

// New returns s as a Text.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{p: &s}
}

// Reveal returns the secret. Each call is a place to review.
func (t Text) Reveal() string {
	if t.p == nil {
		return ""
	}
	return *t.p
}

// IsZero reports whether the secret is empty.
func (t Text) IsZero() bool { return t.p == nil || *t.p == "" }

// Equal reports whether s is the secret, in time that depends on neither. The
// empty secret equals nothing, so a client without a secret cannot be
// impersonated with an empty one.
func (t Text) Equal(s string) bool {
	if t.IsZero() {
		return false
	}
	a, b := sha256.Sum256([]byte(*t.p)), sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String implements fmt.Stringer without the value.
func (t Text) String() string { return redacted }

// GoString implements fmt.GoStringer without the value.
func (t Text) GoString() string { return redacted }

// Format implements fmt.Formatter: every verb prints the same.
func (t Text) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer without the value.
func (t Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON refuses.
func (t Text) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalText refuses. It also stops encoders of maps and XML attributes.
func (t Text) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// MarshalBinary refuses. It also stops gob.
func (t Text) MarshalBinary() ([]byte, error) { return nil, ErrMarshal }

// MarshalYAML refuses.
func (t Text) MarshalYAML() (any, error) { return nil, ErrMarshal }
