package social

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/oidc"
)

// facebookDoors are where Facebook's callbacks come to, and what they say.
var facebookDoors = map[string]federation.NoticeKind{
	"deauthorize":   federation.ConsentRevoked,
	"data-deletion": federation.DataDeletion,
}

const (
	facebookNoticeLife = 24 * time.Hour // Facebook's documentation names none
	facebookNoticeSkew = 5 * time.Minute
	maxFacebookNotice  = 8 << 10 // bytes of signed_request
)

// facebookNotice reads a signed request (developers.facebook.com: Data Deletion Request Callback; Parsing the Signed Request): the field
// signed_request of a form, base64url(signature).base64url(JSON), signed with the app's secret. Nothing of the JSON is read before the signature
// is right. Errors are fault.Invalid where it is not Facebook's word.
//
// Facebook's JavaScript SDK puts a signed request of the same form into a browser's cookie (fbsr_<app id>). That one has a code in it, and is no
// message to us: with a stolen cookie somebody could have a person signed out or deleted.
func facebookNotice(_ context.Context, api *oidc.API, door string, r federation.Response) (federation.Notice, error) {
	kind, known := facebookDoors[door]
	if !known {
		return federation.Notice{}, federation.ErrNoNotices
	}
	signed, err := signedRequest(r)
	if err != nil {
		return federation.Notice{}, badSignedRequest(err)
	}
	payload, err := openSigned(api, signed)
	if err != nil {
		return federation.Notice{}, err
	}
	var said struct {
		Algorithm string `json:"algorithm"`
		User      string `json:"user_id"`
		Issued    int64  `json:"issued_at"`
		Code      any    `json:"code"`
	}
	raw, err := unpadded(payload)
	if err != nil || json.Unmarshal(raw, &said) != nil {
		return federation.Notice{}, badSignedRequest(errors.New("the payload is not JSON of the known form"))
	}
	now, issued := api.Now(), time.Unix(said.Issued, 0)
	switch {
	case !strings.EqualFold(said.Algorithm, "HMAC-SHA256"): // said inside, so that it decides nothing
		return federation.Notice{}, badSignedRequest(fmt.Errorf("%w: algorithm %.32q", oidc.ErrSignature, said.Algorithm))
	case said.Code != nil:
		return federation.Notice{}, badSignedRequest(errors.New("it has a code: it is that of a browser's sign-in"))
	case !facebookID.MatchString(said.User):
		return federation.Notice{}, badSignedRequest(fmt.Errorf("%w: user_id of %d bytes", oidc.ErrSubject, len(said.User)))
	case said.Issued <= 0 || now.Sub(issued) > facebookNoticeLife || issued.Sub(now) > facebookNoticeSkew:
		return federation.Notice{}, badSignedRequest(fmt.Errorf("%w: issued at %d", oidc.ErrIssuedAt, said.Issued))
	}
	// Where a person removes the app, both callbacks come in the same second and may have the same text: the door tells them apart.
	id := sha256.Sum256([]byte(door + " " + payload))
	return federation.Notice{Kind: kind, Subject: said.User, Issued: issued, ID: base64.RawURLEncoding.EncodeToString(id[:])}, nil
}

// signedRequest returns the field of the form, which is there once.
func signedRequest(r federation.Response) (string, error) {
	form := r.Form
	if r.Body != nil {
		if len(r.Body) > 2*maxFacebookNotice {
			return "", fmt.Errorf("body of %d bytes", len(r.Body))
		}
		var err error
		if form, err = url.ParseQuery(string(r.Body)); err != nil {
			return "", errors.New("the body is not a form")
		}
	}
	values := form["signed_request"]
	if r.Method != http.MethodPost || len(values) != 1 || values[0] == "" || len(values[0]) > maxFacebookNotice {
		return "", errors.New("not a POST of a form with one signed_request")
	}
	return values[0], nil
}

// openSigned verifies the signature over the payload as it was sent, and returns it so.
func openSigned(api *oidc.API, signed string) (string, error) {
	key, err := api.Secret()
	if err != nil {
		return "", err
	}
	if key.IsZero() { // which readFacebook does not let happen
		return "", badSignedRequest(errors.New("no secret to verify with"))
	}
	encoded, payload, _ := strings.Cut(signed, ".")
	sent, err := unpadded(encoded)
	if err != nil {
		return "", badSignedRequest(fmt.Errorf("%w: not base64url", oidc.ErrSignature))
	}
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(payload))
	if !hmac.Equal(sent, mac.Sum(nil)) {
		return "", badSignedRequest(oidc.ErrSignature)
	}
	return payload, nil
}

func unpadded(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

func badSignedRequest(err error) *fault.Error {
	return fault.New(fault.Invalid, "The notice could not be verified.", fmt.Errorf("facebook: signed request: %w", err))
}
