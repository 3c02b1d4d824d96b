package federation

import (
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
	return sealCookie(ring, "session\x00"+poolID, []byte(grantID))
}

func openSession(ring *secret.Ring, poolID, sealed string) (grantID string, err error) {
	plain, err := openCookie(ring, "session\x00"+poolID, sealed)
	if err != nil {
		return "", fmt.Errorf("session cookie: %w", err)
	}
	return string(plain), nil
}
