package pool

import (
	"crypto/rand"

	"github.com/weir-id/weir/federation/secret"
)

const (
	lowerAlphanumerics = "abcdefghijklmnopqrstuvwxyz0123456789"
	alphanumerics      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + lowerAlphanumerics
)

// GeneratePoolID returns a new pool id, <region>_<9 alphanumerics>.
func GeneratePoolID(region string) string { return region + "_" + random(alphanumerics, 9) }

// GenerateClientID returns a new client id: 26 of [a-z0-9].
func GenerateClientID() string { return random(lowerAlphanumerics, 26) }

// GenerateClientSecret returns a new client secret: 52 of [a-z0-9], 268 bits.
func GenerateClientSecret() secret.Text { return secret.New(random(lowerAlphanumerics, 52)) }

// random returns n characters of the alphabet, each equally likely: bytes beyond the largest multiple of the
// alphabet's size are thrown away, since taking them modulo would favour its first characters.
func random(alphabet string, n int) string {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	buf := make([]byte, 2*n)
	for {
		_, _ = rand.Read(buf) // crypto/rand.Read never fails (Go 1.24)
		for _, b := range buf {
			if int(b) < limit {
				if out = append(out, alphabet[int(b)%len(alphabet)]); len(out) == n {
					return string(out)
				}
			}
		}
	}
}
