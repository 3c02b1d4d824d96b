package federation

import (
	"encoding/base64"

	"github.com/weir-id/weir/federation/secret"
)

// sealCookie returns plain as a cookie value that openCookie opens under the same context only: what
// kind of cookie it is, a NUL byte, and the id that it is found by.
func sealCookie(ring *secret.Ring, context string, plain []byte) string {
	return base64.RawURLEncoding.EncodeToString(ring.Seal(plain, context))
}

func openCookie(ring *secret.Ring, context, sealed string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, err
	}
	return ring.Open(raw, context)
}
