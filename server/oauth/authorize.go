package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// Authorize serves GET and POST /oauth2/authorize (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2).
func (s *Service) Authorize(c echo.Context) error {
	ctx := c.Request().Context()
	origin, answered, err := s.Site.BrowserOrigin(c)
	if answered || err != nil {
		return err
	}
	params, flaw := web.Params(c)
	if params == nil {
		return flaw
	}
	a, err := s.Parse(ctx, origin.PoolID, params, flaw)
	if err != nil {
		return err
	}
	sealed := s.Site.Session(c, a.Pool.ID)
	if sealed != "" {
		login, err := s.Broker.Continue(ctx, a.Client, a.Request, a.acceptable, sealed)
		if err == nil {
			return s.Deliver(c, login, a.Pool.ID)
		}
		if !errors.Is(err, federation.ErrNoSession) {
			return s.refusal(a, "", err)
		}
	}
	if sealed == "" && c.Request().Method == http.MethodPost && asGet(params) {
		return redirect(c, origin.URL+"/oauth2/authorize?"+params.Encode())
	}
	if slices.Contains(a.Request.Prompt, "none") {
		return s.refusal(a, "login_required", fault.New(fault.LoginRequired, "Nobody is signed in, and the request forbids to ask.", nil))
	}
	if a.Wanted == nil {
		// RawQuery of a POST is not the request, so the page gets the parameters anew.
		return redirect(c, origin.URL+"/login?"+params.Encode())
	}
	return s.start(c, a, origin)
}

// start sends the browser to the provider, with the attempt in a cookie.
func (s *Service) start(c echo.Context, a Authorization, origin web.Origin) error {
	ctx := s.Traces.With(c.Request().Context())
	c.SetRequest(c.Request().WithContext(ctx))
	st, err := s.Broker.Begin(ctx, a.Pool, *a.Wanted, a.Request, origin.URL+a.Wanted.CallbackPath())
	if err != nil {
		at := federation.Attempt{PoolID: a.Pool.ID, Provider: a.Wanted.Name, Started: s.Broker.Now(), Request: a.Request}
		return s.SignInFailed(c, at, s.refusal(a, "", err))
	}
	s.Site.SetAttempt(c, st.Attempt, st.Sealed)
	return s.Challenge(c, st.Challenge)
}

// Deliver gives a finished sign-in to the browser: the session cookie and the way back to
// the application with the code (RFC 6749 section 4.1.2).
func (s *Service) Deliver(c echo.Context, l federation.Login, poolID string) error {
	if l.Sealed != "" {
		s.Site.SetSession(c, poolID, l.Sealed, federation.SessionLife)
	}
	answer := [][2]string{{"code", l.Code}}
	return s.Answer(c, l.Request, answer, s.Issuer.URL(poolID))
}

// Answer sends parameters to the application's redirect URI in the response mode that it asked for, with state and iss (RFC 9207).
func (s *Service) Answer(c echo.Context, r federation.Request, fields [][2]string, issuer string) error {
	if r.State != "" {
		fields = append(fields, [2]string{"state", r.State})
	}
	fields = append(fields, [2]string{"iss", issuer})
	if r.ResponseMode == "form_post" {
		return s.Pages.Post(c, r.RedirectURI, fields)
	}
	q := url.Values{}
	for _, f := range fields {
		q.Set(f[0], f[1])
	}
	return redirect(c, withQuery(r.RedirectURI, q))
}

// withQuery adds parameters to a registered URI, which has no fragment. The URI itself, its query included, is kept
// byte for byte (RFC 6749 section 3.1.2).
func withQuery(uri string, q url.Values) string {
	switch {
	case !strings.Contains(uri, "?"):
		uri += "?"
	case !strings.HasSuffix(uri, "?") && !strings.HasSuffix(uri, "&"):
		uri += "&"
	}
	return uri + q.Encode()
}

// redirect: 302 after a GET, as applications expect; 303 after a POST, so that the form is not sent on.
func redirect(c echo.Context, to string) error {
	if c.Request().Method == http.MethodPost {
		return c.Redirect(http.StatusSeeOther, to)
	}
	return c.Redirect(http.StatusFound, to)
}

// maxAddress is what proxies take of an address without more ado, in bytes.
const maxAddress = 4096

// asGet reports whether a POST that came without a session should be sent on as a GET, which both endpoints for browsers take as well
// (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout section 2): the session cookie is Lax, so browsers hold
// it back when another site posts, and somebody who is signed in would look as if they were not.
func asGet(v url.Values) bool { return len(v.Encode()) <= maxAddress }

func sorted(v url.Values) [][2]string {
	out := make([][2]string, 0, len(v))
	for name := range v {
		out = append(out, [2]string{name, v.Get(name)})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return out
}

// acceptable says whether a session would do: it is of the provider that the application named, and of
// the person that id_token_hint names. A hint that names nobody of this pool makes the person sign in.
func (a Authorization) acceptable(g token.Grant) bool {
	if a.Explicit && a.Wanted != nil && a.Wanted.Name != g.Provider {
		return false
	}
	return !a.hinted || a.Request.Subject == g.Sub
}
