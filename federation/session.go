package federation

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

// SessionLife is how long a browser need not sign in again.
const SessionLife = time.Hour

// Session is what the session cookie of a browser holds, sealed: a pointer to the grant that
// anchors it. What the session may do is decided from that grant, so ending it
// works even where the cookie was copied.
type Session struct {
	PoolID  string    `json:"p"`
	ID      string    `json:"s"`
	Expires time.Time `json:"e"`
}

func sealSession(ring *secret.Ring, s Session) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(ring.Seal(plain, "session\x00"+s.PoolID)), nil
}

func openSession(ring *secret.Ring, poolID, sealed string) (Session, error) {
	var s Session
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return s, fmt.Errorf("session cookie: %w", err)
	}
	plain, err := ring.Open(raw, "session\x00"+poolID)
	if err != nil {
		return s, fmt.Errorf("session cookie: %w", err)
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("session cookie: %w", err)
	}
	return s, nil
}
