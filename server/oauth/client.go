package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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

// presented is what a request says about its client.
type presented struct {
	id, secret string
	basic      bool // by HTTP Basic
}

// authenticate finds the client of a request to the token, revocation and introspection endpoints:
// client_secret_basic or client_secret_post for a client with a secret, client_id alone for one
// without (RFC 6749 section 2.3.1). Using both ways at once is refused. With an error the client has
// nothing but the ID that was tried, clipped, for the audit stream.
func (s *Service) authenticate(c echo.Context, form url.Values) (pool.Client, error) {
	readings, err := credentials(c.Request(), form)
	if err != nil {
		return pool.Client{ID: web.Clip(readings[0].id)}, err
	}
	origin, err := s.Site.Origin(c)
	if err != nil && !errors.Is(err, web.ErrUnknownHost) {
		return pool.Client{ID: web.Clip(readings[0].id)}, err
	}
	var client pool.Client
	for _, p := range readings {
		if client, err = s.identify(c.Request().Context(), origin.PoolID, p); fault.CodeOf(err) != fault.Unauthenticated {
			return client, err
		}
	}
	return client, err
}

// identify checks one reading of a request's credentials. The refusal is fault.Unauthenticated.
func (s *Service) identify(ctx context.Context, poolID string, p presented) (pool.Client, error) {
	tried := pool.Client{ID: web.Clip(p.id)}
	refuse := func(cause error) (pool.Client, error) {
		e := &web.OAuthError{Code: "invalid_client", Err: fault.New(fault.Unauthenticated, wrongClient, cause)}
		if p.basic { // RFC 6749 section 5.2
			e.Status, e.Challenge = http.StatusUnauthorized, "Basic"
		}
		return tried, e
	}
	if p.id == "" {
		return refuse(fmt.Errorf("no client_id: %w", ErrClientUnknown))
	}
	client, _, err := s.client(ctx, poolID, p.id)
	switch {
	case fault.CodeOf(err) == fault.Invalid:
		return refuse(fmt.Errorf("%w: %w", ErrClientUnknown, err))
	case err != nil:
		return tried, err
	case !client.Confidential() && p.secret == "":
		return client, nil
	case !client.SecretMatches(p.secret):
		return refuse(fmt.Errorf("client %s: %w", client.ID, ErrClientSecret))
	}
	return client, nil
}

// credentials returns the readings of a request's credentials: at least one, also with an error.
//
// The parts of HTTP Basic are form-urlencoded first (RFC 6749 section 2.3.1). Many clients leave that out, and a secret
// with + or % then means something else. So there are two readings: decoded, and where it differs, as it
// came. Both have to be equal to the whole secret, so that the second one lets nobody in who does not know it.
func credentials(r *http.Request, form url.Values) ([]presented, error) {
	header := r.Header.Get(echo.HeaderAuthorization)
	if header == "" {
		return []presented{{id: form.Get("client_id"), secret: form.Get("client_secret")}}, nil
	}
	nobody := []presented{{basic: true}}
	malformed := func(cause error) ([]presented, error) {
		return nobody, &web.OAuthError{Status: http.StatusUnauthorized, Code: "invalid_client", Challenge: "Basic",
			Err: fault.New(fault.Unauthenticated, "The Authorization header is not well-formed HTTP Basic.", cause)}
	}
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return malformed(nil)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return malformed(err)
	}
	user, pass, ok := strings.Cut(string(raw), ":")
	if !ok {
		return malformed(nil)
	}
	asItCame := presented{id: user, secret: pass, basic: true}
	decoded := presented{basic: true}
	var bad [2]error
	decoded.id, bad[0] = url.QueryUnescape(user)
	decoded.secret, bad[1] = url.QueryUnescape(pass)
	readings := []presented{decoded, asItCame}
	if errors.Join(bad[:]...) != nil || decoded == asItCame {
		readings = []presented{asItCame}
	}
	other := func(p presented) bool { return form.Get("client_id") != "" && form.Get("client_id") != p.id }
	if readings = slices.DeleteFunc(readings, other); form.Get("client_secret") != "" || len(readings) == 0 {
		return nobody, &web.OAuthError{Code: "invalid_request",
			Err: fault.New(fault.Invalid, "Use one way of client authentication only.", ErrClientMethods)}
	}
	return readings, nil
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
