package social

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/oidc"
)

// appleDoor is where Apple's server-to-server notifications come to.
const appleDoor = "notifications"

const (
	// appleNoticeLife is how old a notification may be: Apple's are good for a day, and the clocks may differ.
	appleNoticeLife = 24*time.Hour + 5*time.Minute
	appleNoticeSkew = 5 * time.Minute
	maxAppleNotice  = 64 << 10 // bytes
	maxAppleText    = 320      // bytes of an address or a subject
)

// appleEvents are the types of events. The name account-deleted is that of Apple's first description (WWDC 2020, session 10173).
var appleEvents = map[string]federation.NoticeKind{
	"consent-revoked": federation.ConsentRevoked,
	"account-delete":  federation.AccountDeleted,
	"account-deleted": federation.AccountDeleted,
	"email-disabled":  federation.EmailDisabled,
	"email-enabled":   federation.EmailEnabled,
}

type appleNotices struct {
	apps []string // whom a notification may be for beside the client: App IDs of its group
}

// read reads a notification: the body {"payload":"<JWT>"}, whose claim events is an object, mostly in the form of a string. Errors are
// fault.Invalid where it is not Apple's word, and those of the fetch where Apple's keys are not to be had, so that Apple sends it again.
func (n appleNotices) read(ctx context.Context, api *oidc.API, door string, r federation.Response) (federation.Notice, error) {
	if door != appleDoor {
		return federation.Notice{}, federation.ErrNoNotices
	}
	var body struct {
		Payload string `json:"payload"`
	}
	if r.Method != http.MethodPost || len(r.Body) > maxAppleNotice || json.Unmarshal(r.Body, &body) != nil || body.Payload == "" {
		return federation.Notice{}, badNotice(errors.New("not a POST of an object with payload"))
	}
	claims, err := api.Signed(ctx, body.Payload, n.apps...)
	if errors.Is(err, oidc.ErrKeys) {
		return federation.Notice{}, err
	} else if err != nil {
		return federation.Notice{}, badNotice(err)
	}
	issued, ok := appleTime(claims["iat"])
	if age := api.Now().Sub(issued); !ok || age > appleNoticeLife {
		return federation.Notice{}, badNotice(fmt.Errorf("%w: issued at %v", oidc.ErrIssuedAt, claims["iat"]))
	}
	e, err := appleEvent(claims["events"])
	if err != nil {
		return federation.Notice{}, badNotice(err)
	}
	happened, ok := appleTime(e.Time)
	if !ok || happened.After(api.Now().Add(appleNoticeSkew)) || e.Subject == "" || len(e.Subject) > maxAppleText || len(e.Email) > maxAppleText {
		return federation.Notice{}, badNotice(fmt.Errorf("event at %q about %d bytes", e.Time, len(e.Subject)))
	}
	kind, known := appleEvents[e.Type]
	if !known {
		return federation.Notice{}, fmt.Errorf("%w: event of type %q", federation.ErrNoticeUnknown, e.Type[:min(len(e.Type), 64)])
	}
	id, _ := claims["jti"].(string)
	sum := sha256.Sum256([]byte(body.Payload))
	return federation.Notice{
		Kind: kind, Subject: e.Subject, Issued: happened, Email: e.Email,
		ID: cmp.Or(id, base64.RawURLEncoding.EncodeToString(sum[:])), // a second copy has to be known in any case
	}, nil
}

func badNotice(err error) *fault.Error {
	return fault.New(fault.Invalid, "The notice could not be verified.", fmt.Errorf("apple: notification: %w", err))
}

type appleEventOf struct {
	Type    string      `json:"type"`
	Subject string      `json:"sub"`
	Time    json.Number `json:"event_time"`
	Email   string      `json:"email"`
}

// appleEvent reads the claim events: Apple's documents show an object, its servers send JSON in a string.
func appleEvent(claim any) (appleEventOf, error) {
	var e appleEventOf
	text, isText := claim.(string)
	if object, ok := claim.(map[string]any); ok {
		raw, err := json.Marshal(object)
		if err != nil {
			return e, err
		}
		text = string(raw)
	} else if !isText {
		return e, fmt.Errorf("events is a %T", claim)
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, errors.New("events is not an object, or not of the known form")
	}
	return e, nil
}

// appleTime reads a time in seconds, as in JWTs and in Apple's documents, or in milliseconds, as Apple sends event_time.
func appleTime(v any) (time.Time, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	n, err := number.Int64()
	switch {
	case err != nil || n <= 0 || n > 1e14:
		return time.Time{}, false
	case n > 1e11: // in seconds it would be the year 5138
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}
