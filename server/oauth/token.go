package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// grantType is one row of the token endpoint: it spends what the client presents, before
// anything is minted, and says for which grant tokens are due.
type grantType func(s *Service, ctx context.Context, c pool.Client, form url.Values) (due, error)

// due is what a grant type hands to the common end of the pipeline.
type due struct {
	grant   token.Grant
	user    pool.User
	nonce   string // only in the first ID token
	refresh string // "" leaves the client with the one that it has
	issued  string // issued_token_type of RFC 8693
}

// grantTypes is the table of what the token endpoint knows; discovery lists its keys.
var grantTypes = map[string]grantType{
	"authorization_code": (*Service).grantCode,
	"refresh_token":      (*Service).grantRefresh,
	exchangeGrant:        (*Service).grantExchange,
}

type tokenAnswer struct {
	IDToken      string `json:"id_token,omitempty"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int    `json:"expires_in"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope,omitempty"`
	IssuedType   string `json:"issued_token_type,omitempty"`
}

// Token serves POST /oauth2/token (RFC 6749 section 3.2).
func (s *Service) Token(c echo.Context) error {
	form, err := web.Params(c)
	if err != nil {
		return &web.OAuthError{Code: "invalid_request", Err: err}
	}
	ctx := c.Request().Context()
	kind := form.Get("grant_type")
	if kind == exchangeGrant { // a sign-in of its own
		ctx = s.Traces.With(ctx)
		c.SetRequest(c.Request().WithContext(ctx))
	}
	client, err := s.authenticate(c, form)
	if err != nil {
		return s.refused(ctx, client, kind, err)
	}
	answer, err := s.exchange(ctx, client, kind, form)
	if err != nil {
		refusal := s.refused(ctx, client, kind, err)
		if signIn := (failedSignIn{}); errors.As(err, &signIn) {
			s.nativeFailed(c, client, form.Get("identity_provider"), refusal)
		}
		return refusal
	}
	if kind == exchangeGrant {
		s.nativeSignedIn(c, client, form.Get("identity_provider"))
	}
	c.Response().Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1, for caches that know no Cache-Control
	return c.JSON(http.StatusOK, answer)
}

func (s *Service) exchange(ctx context.Context, client pool.Client, kind string, form url.Values) (tokenAnswer, error) {
	run, ok := grantTypes[kind]
	switch {
	case kind == "":
		return tokenAnswer{}, &web.OAuthError{Code: "invalid_request", Err: invalid("grant_type is required.")}
	case !ok:
		return tokenAnswer{}, &web.OAuthError{Code: "unsupported_grant_type", Err: invalid("grant_type must be authorization_code, refresh_token or " + exchangeGrant + ".")}
	case !client.MayUse("code"): // it may not have tokens of this endpoint at all, those of an earlier sign-in included
		return tokenAnswer{}, &web.OAuthError{Code: "unauthorized_client", Err: invalid("This client may not use OAuth: " + needsOAuth)}
	}
	d, err := run(s, ctx, client, form)
	if err != nil {
		return tokenAnswer{}, err
	}
	p, err := s.Directory.Pool(ctx, client.PoolID)
	if err != nil {
		return tokenAnswer{}, err
	}
	groups, err := s.Directory.GroupsOf(ctx, d.user)
	if err != nil {
		return tokenAnswer{}, err
	}
	t, err := s.Issuer.Mint(ctx, token.Mint{Pool: p, Client: client, User: d.user, Grant: d.grant, Groups: groups, Nonce: d.nonce})
	if err != nil {
		return tokenAnswer{}, err
	}
	s.Audit.Record(ctx, audit.TokenIssued{Pool: p.ID, Client: client.ID, Sub: d.user.Sub, Grant: d.grant.ID, GrantType: kind})
	return tokenAnswer{
		IDToken: t.ID, AccessToken: t.Access, RefreshToken: d.refresh,
		ExpiresIn: int(t.ExpiresIn / time.Second), TokenType: "Bearer", Scope: strings.Join(d.grant.Scopes, " "), IssuedType: d.issued,
	}, nil
}

// refused records a refusal and gives it its OAuth code, where the grant has not yet.
func (s *Service) refused(ctx context.Context, client pool.Client, kind string, err error) *web.OAuthError {
	var oe *web.OAuthError
	if !errors.As(err, &oe) {
		oe = &web.OAuthError{Code: "server_error", Status: http.StatusInternalServerError, Err: err}
		switch {
		case errors.Is(err, token.ErrInvalidGrant):
			oe.Code, oe.Status = "invalid_grant", http.StatusBadRequest
		case fault.CodeOf(err) == fault.Invalid, fault.CodeOf(err) == fault.TooLarge:
			oe.Code, oe.Status = "invalid_request", http.StatusBadRequest
		case fault.CodeOf(err) == fault.Unavailable, fault.CodeOf(err) == fault.Throttled:
			oe.Code, oe.Status = "temporarily_unavailable", http.StatusServiceUnavailable
		}
	}
	s.Audit.Record(ctx, audit.TokenRefused{Pool: client.PoolID, Client: client.ID, GrantType: web.Clip(kind), Error: oe.Code,
		Reason: oe.Error(), Reference: web.RequestID(ctx)})
	return oe
}

// subject loads the user of a grant. Gone, disabled or signed out everywhere since means that the grant is void: token.ErrInvalidGrant.
func (s *Service) subject(ctx context.Context, g token.Grant) (pool.User, error) {
	u, err := s.Directory.User(ctx, g.PoolID, g.Sub)
	if fault.CodeOf(err) == fault.NotFound {
		return u, fault.New(fault.Unauthenticated, "The user does not exist any more.", errors.Join(token.ErrInvalidGrant, err))
	}
	if err != nil {
		return u, err
	}
	return u, g.Check(u)
}
