package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/web"
)

// The names of RFC 8693 sections 2.1 and 3.
const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenTypeID     = "urn:ietf:params:oauth:token-type:id_token"     //nolint:gosec // a name, no credential
	tokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // the same
)

// grantExchange is the token exchange of RFC 8693 for one purpose: an app brings the ID token that a provider's own SDK gave it, and
// the person of the token is signed in. The parameter identity_provider is ours, with the meaning that it has at the authorization endpoint; nonce
// is what the app gave the SDK. What is issued is an access token with the ID and refresh token of the code grant beside it. There is no
// delegation, and no choice of an audience: a pool's tokens are for the client.
func (s *Service) grantExchange(ctx context.Context, c pool.Client, form url.Values) (due, error) {
	if err := exchangeRequest(form); err != nil {
		return due{}, err
	}
	asked, err := scopes(c, form.Get("scope"))
	if err != nil {
		return due{}, &web.OAuthError{Code: "invalid_scope", Err: err}
	}
	req := federation.Request{ClientID: c.ID, Scopes: asked}
	login, err := s.Broker.Exchange(ctx, c, form.Get("identity_provider"), req, secret.New(form.Get("subject_token")), form.Get("nonce"))
	if err != nil {
		return due{}, failedSignIn{exchangeError(err)}
	}
	return due{grant: login.Grant, user: login.User, refresh: login.Refresh, issued: tokenTypeAccess}, nil
}

// exchangeRequest refuses what cannot be meant, before anything is looked at.
func exchangeRequest(form url.Values) error {
	refuse := func(code, public string) error { return &web.OAuthError{Code: code, Err: invalid(public)} }
	wanted := form.Get("requested_token_type")
	switch {
	case form.Get("subject_token") == "":
		return refuse("invalid_request", "subject_token is required.")
	case form.Get("subject_token_type") != tokenTypeID:
		return refuse("invalid_request", "subject_token_type must be "+tokenTypeID+".")
	case form.Get("identity_provider") == "":
		return refuse("invalid_request", "identity_provider is required.")
	case wanted != "" && wanted != tokenTypeAccess:
		return refuse("invalid_request", "requested_token_type must be "+tokenTypeAccess+": an ID and a refresh token come with it.")
	case form.Get("actor_token") != "" || form.Get("actor_token_type") != "":
		return refuse("invalid_request", "An actor_token is not supported.")
	case form.Get("resource") != "" || form.Get("audience") != "":
		return refuse("invalid_target", "A resource or audience cannot be chosen.") // RFC 8693 section 2.2.2
	case len(form.Get("nonce")) > maxNonce:
		return refuse("invalid_request", "nonce is too long.")
	}
	return nil
}

// failedSignIn is the refusal of a sign-in that had begun, and not of the form of a request.
type failedSignIn struct{ error }

// Unwrap returns the refusal.
func (f failedSignIn) Unwrap() error { return f.error }

// exchangeError gives a refusal the code of RFC 8693 section 2.2.2: invalid_request for a subject token that is invalid or unacceptable
// for any reason.
func exchangeError(err error) error {
	var oe *web.OAuthError
	switch code := fault.CodeOf(err); {
	case errors.As(err, &oe):
		return err
	case errors.Is(err, federation.ErrNotNative):
		return &web.OAuthError{Code: "unauthorized_client", Err: err}
	case code == fault.Denied, code == fault.Invalid, code == fault.Conflict, code == fault.LoginRequired: // the last: nobody can be asked here
		return &web.OAuthError{Code: "invalid_request", Err: err}
	case code == fault.Upstream, code == fault.UpstreamTimeout:
		return &web.OAuthError{Code: "temporarily_unavailable", Status: http.StatusServiceUnavailable, Err: err}
	}
	return err
}
