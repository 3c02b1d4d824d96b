package federation

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

// SessionLife is how long a browser need not sign in again.
const SessionLife = time.Hour

// The session cookie of a browser holds, sealed for one pool, the id of the grant that began the session, and nothing
// more. What the session may do, and until when, is decided from that grant, so that ending it works
// even where the cookie was copied.

func sealSession(ring *secret.Ring, poolID, grantID string) string {
	return base64.RawURLEncoding.EncodeToString(ring.Seal([]byte(grantID), "session\x00"+poolID))
}

func openSession(ring *secret.Ring, poolID, sealed string) (grantID string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return "", fmt.Errorf("session cookie: %w", err)
	}
	plain, err := ring.Open(raw, "session\x00"+poolID)
	if err != nil {
		return "", fmt.Errorf("session cookie: %w", err)
	}
	return string(plain), nil
}
