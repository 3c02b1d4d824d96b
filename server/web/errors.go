package web

import (
	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
)

// RedirectError is a fault of an authorization request whose client and redirect URI have been
// checked: the writer sends it to the application (RFC 6749 section 4.1.2.1).
type RedirectError struct {
	Request federation.Request
	Issuer  string // RFC 9207
	Code    string // OAuth error code; "" chooses by the fault's code
	Err     error
}

// Error implements error.
func (e *RedirectError) Error() string { return "to the client: " + e.Err.Error() }

// ErrorCode is the OAuth error code that the application gets.
func (e *RedirectError) ErrorCode() string {
	if e.Code != "" {
		return e.Code
	}
	return AuthorizationErrorCode(e.Err)
}

// Unwrap returns the fault.
func (e *RedirectError) Unwrap() error { return e.Err }

// OAuthError is an error answer of a JSON endpoint (RFC 6749 section 5.2).
type OAuthError struct {
	Status    int    // HTTP status; 0 is 400, or 413 for a fault.TooLarge
	Code      string // invalid_request, invalid_client, …
	Challenge string // the scheme of WWW-Authenticate, "" for none: Basic, Bearer
	Err       error  // a *fault.Error gives the description
}

// Error implements error.
func (e *OAuthError) Error() string {
	if e.Err == nil {
		return e.Code
	}
	return e.Code + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *OAuthError) Unwrap() error { return e.Err }

// AuthorizationErrorCode is the OAuth error code for a fault on the way of a sign-in. The codes follow
// the original: what the upstream provider did wrong is invalid_request there.
func AuthorizationErrorCode(err error) string {
	switch fault.CodeOf(err) {
	case fault.Denied:
		return "access_denied"
	case fault.LoginRequired:
		return "login_required"
	case fault.Unavailable, fault.Throttled:
		return "temporarily_unavailable"
	case fault.Internal:
		return "server_error"
	default:
		return "invalid_request"
	}
}
