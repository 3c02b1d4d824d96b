package federation

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
)

// AttemptLife is how long a person may take at the provider.
const AttemptLife = 10 * time.Minute

// MaxSealed is the largest sealed attempt, in characters: with its name and attributes it must fit
// the 4,096 bytes that browsers allow a cookie (RFC 6265 section 6.1).
const MaxSealed = 3800

// The reasons for which a sealed attempt is refused.
var (
	ErrAttemptMissing = errors.New("no sign-in under way in this browser with that state")
	ErrAttemptForeign = errors.New("the sealed attempt belongs to another state")
	ErrAttemptStale   = errors.New("the sign-in took too long")
	// ErrAttemptWithdrawn: the attempt is real, but since it began its application was removed, or its redirect URI.
	ErrAttemptWithdrawn = errors.New("the application of the sign-in no longer exists, or no longer has that redirect URI")
)

const staleText = "This sign-in is no longer valid. Go back to the application and start again."

// NewID returns 128 random bits in base64url: attempt ids, nonces.
func NewID() string { return randomText(16) }

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}

// sealAttempt returns the cookie value that holds a. It fails with fault.Invalid when the application's parameters are too long to fit.
func sealAttempt(ring *secret.Ring, a Attempt) (string, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	sealed := sealCookie(ring, "attempt\x00"+a.ID, plain)
	if len(sealed) > MaxSealed {
		return "", fault.New(fault.Invalid, "The request's parameters are too long: shorten state.", nil)
	}
	return sealed, nil
}

// openAttempt is the reverse. The id is part of what is authenticated, so a cookie cannot serve another state.
func openAttempt(ring *secret.Ring, id, sealed string, now time.Time) (Attempt, error) {
	var a Attempt
	plain, err := openCookie(ring, "attempt\x00"+id, sealed)
	if err != nil {
		return a, fault.New(fault.Expired, staleText, errors.Join(ErrAttemptForeign, err))
	}
	if err := json.Unmarshal(plain, &a); err != nil {
		return a, fault.New(fault.Expired, staleText, err)
	}
	if age := now.Sub(a.Started); age > AttemptLife || age < -time.Minute {
		return Attempt{}, fault.New(fault.Expired, staleText, ErrAttemptStale)
	}
	return a, nil
}
