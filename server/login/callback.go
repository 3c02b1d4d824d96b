package login

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/server/login/page"
	"github.com/weir-id/weir/server/web"
)

// reposted marks a callback that our own page has posted once more.
const reposted = "weir_reposted"

// errElsewhere: the answer came to a callback address that its attempt did not name.
var errElsewhere = errors.New("the answer came to another callback address than the attempt's")

// Callback serves the addresses that upstream providers send the browser back to: GET and POST /oauth2/idpresponse,
// which a provider may have one of its own below, and POST /saml2/idpresponse. state (OAuth) or RelayState (SAML) names the attempt, and only the
// browser that holds its cookie can finish it. Until the attempt is open
// nothing names an application, so a fault is a page; afterwards the application gets it.
func (s *Service) Callback(c echo.Context) error {
	c.SetRequest(c.Request().WithContext(s.OAuth.Traces.With(c.Request().Context())))
	params, err := web.Params(c)
	if err != nil {
		return s.OAuth.SignInFailed(c, federation.Attempt{}, err)
	}
	r := c.Request()
	id := params.Get("state")
	if strings.HasPrefix(r.URL.Path, "/saml2/") {
		id = params.Get("RelayState")
	}
	sealed := s.Site.Attempt(c, id)
	if sealed == "" && s.mayRepost(c) {
		return s.repost(c, params)
	}
	if sealed == "" && unsolicited(r, id) {
		return s.unsolicited(c, params)
	}
	ans := answer(r, params)
	a, err := s.OAuth.Broker.Open(r.Context(), id, sealed)
	s.Site.DropAttempt(c, id) // one answer per attempt, good or bad
	if err != nil {
		s.Site.SetCarried(c, s.OAuth.Broker.Carry(id, sealed, ans))
		return s.OAuth.SignInFailed(c, federation.Attempt{ID: web.Clip(id)}, err)
	}
	if u, err := url.Parse(a.CallbackURL); err != nil || u.Path != r.URL.Path {
		return s.OAuth.SignInFailed(c, a, fault.New(fault.Expired, "This sign-in is no longer valid. Go back to the application and start again.", errElsewhere))
	}
	ans.Carried = s.OAuth.Broker.Carried(a, s.Site.Carried(c, a.PoolID, a.Provider))
	if a.Question != "" {
		return s.proved(c, a, ans)
	}
	login, err := s.OAuth.Broker.Finish(r.Context(), a, ans)
	if q := (*federation.Asked)(nil); errors.As(err, &q) {
		return s.ask(c, q)
	}
	if err != nil {
		if !login.Kept {
			s.Site.SetCarried(c, s.OAuth.Broker.Carry(id, sealed, ans))
		}
		re := &web.RedirectError{Request: a.Request, Issuer: s.OAuth.Issuer.URL(a.PoolID), Err: err}
		if code := fault.CodeOf(err); strings.HasPrefix(r.URL.Path, "/saml2/") && (code == fault.Upstream || code == fault.Config) {
			re.Code = "server_error" // as the original answers a response that it cannot accept
		}
		return s.OAuth.SignInFailed(c, a, re)
	}
	if login.Carried {
		s.Site.DropCarried(c, a.PoolID, a.Provider)
	}
	return s.OAuth.SignedIn(c, login, a.PoolID, a.Provider)
}

// Oversized records the answers that are refused for their size before Callback sees them: somebody in very many groups is the usual reason. It
// stands before the limit on bodies.
func (s *Service) Oversized(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		var he *echo.HTTPError
		// What Callback returns is a fault, and recorded.
		if errors.As(err, &he) && he.Code == http.StatusRequestEntityTooLarge && fault.CodeOf(err) == fault.Internal {
			return s.OAuth.SignInFailed(c, federation.Attempt{}, fault.New(fault.TooLarge, "The request is too large.", err))
		}
		return err
	}
}

// answer is the request as a provider's answer.
func answer(r *http.Request, params url.Values) federation.Response {
	a := federation.Response{Method: r.Method, RawQuery: r.URL.RawQuery}
	if r.Method == http.MethodPost {
		a.Form = params
	} else {
		a.Query = params
	}
	return a
}

// mayRepost: a cross-site POST on plain http comes without our cookies, once.
func (s *Service) mayRepost(c echo.Context) bool {
	r := c.Request()
	return r.Method == http.MethodPost && !s.Site.Secure() && r.URL.Query().Get(reposted) == ""
}

// repost answers a cross-site POST whose Lax cookie the browser held back (plain http only) with a
// page of ours that posts the same form once more, now from the same site.
func (s *Service) repost(c echo.Context, params url.Values) error {
	v := page.Post{Action: c.Request().URL.Path + "?" + reposted + "=1", Params: page.Params(params)}
	return write(c, page.KindPost, http.StatusOK, func(w io.Writer) error { return s.Renderer.Post(w, v) })
}
