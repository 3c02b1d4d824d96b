package oauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/web"
)

// The reasons for which a client is not authenticated.
var (
	ErrClientUnknown = errors.New("unknown client")
	ErrClientSecret  = errors.New("wrong client secret")
	ErrClientMethods = errors.New("two ways of client authentication in one request")
)

const wrongClient = "The client is not known, or its secret is wrong."

// authenticate finds the client of a request to the token, revocation and introspection endpoints:
// client_secret_basic or client_secret_post for a client with a secret, client_id alone for one
// without (RFC 6749 section 2.3.1). Using both ways at once is refused. With an error the client has
// nothing but the ID that was tried, clipped, for the audit stream.
func (s *Service) authenticate(c echo.Context, form url.Values) (pool.Client, error) {
	id, given, basic, err := credentials(c.Request(), form)
	tried := pool.Client{ID: web.Clip(id)}
	if err != nil {
		return tried, err
	}
	refuse := func(cause error) (pool.Client, error) {
		e := &web.OAuthError{Code: "invalid_client", Err: fault.New(fault.Unauthenticated, wrongClient, cause)}
		if basic { // RFC 6749 section 5.2
			e.Status, e.Challenge = http.StatusUnauthorized, "Basic"
		}
		return tried, e
	}
	if id == "" {
		return refuse(fmt.Errorf("no client_id: %w", ErrClientUnknown))
	}
	origin, err := s.Site.Origin(c)
	if err != nil && !errors.Is(err, web.ErrUnknownHost) {
		return tried, err
	}
	client, _, err := s.client(c.Request().Context(), origin.PoolID, id)
	switch {
	case fault.CodeOf(err) == fault.Invalid:
		return refuse(fmt.Errorf("%w: %w", ErrClientUnknown, err))
	case err != nil:
		return tried, err
	case client.Secret.IsZero() && given == "":
		return client, nil
	case !client.Secret.Equal(given):
		return refuse(fmt.Errorf("client %s: %w", client.ID, ErrClientSecret))
	}
	return client, nil
}

func credentials(r *http.Request, form url.Values) (id, given string, basic bool, err error) {
	header := r.Header.Get(echo.HeaderAuthorization)
	if header == "" {
		return form.Get("client_id"), form.Get("client_secret"), false, nil
	}
	malformed := func(cause error) error {
		return &web.OAuthError{Status: http.StatusUnauthorized, Code: "invalid_client", Challenge: "Basic",
			Err: fault.New(fault.Unauthenticated, "The Authorization header is not well-formed HTTP Basic.", cause)}
	}
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", true, malformed(nil)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", true, malformed(err)
	}
	user, pass, ok := strings.Cut(string(raw), ":")
	if !ok {
		return "", "", true, malformed(nil)
	}
	// Both parts are form-urlencoded first (RFC 6749 section 2.3.1). Clients that leave it out are understood
	// as long as nothing in them needs encoding, which holds for generated ids and secrets.
	if id, err = url.QueryUnescape(user); err != nil {
		return "", "", true, malformed(err)
	}
	if given, err = url.QueryUnescape(pass); err != nil {
		return "", "", true, malformed(err)
	}
	if form.Has("client_secret") || form.Has("client_id") && form.Get("client_id") != id {
		return "", "", true, &web.OAuthError{Code: "invalid_request",
			Err: fault.New(fault.Invalid, "Use one way of client authentication only.", ErrClientMethods)}
	}
	return id, given, true, nil
}

// unauthorized gives a refused client the status 401 however it tried (RFC 7009 section 2.2.1, RFC 7662 section 2.3); the
// token endpoint has it for HTTP Basic only, as RFC 6749 section 5.2 and the original do.
func unauthorized(err error) error {
	var e *web.OAuthError
	if errors.As(err, &e) && e.Code == "invalid_client" {
		e.Status, e.Challenge = http.StatusUnauthorized, "Basic"
	}
	return err
}
