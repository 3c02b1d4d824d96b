// Package login is what a person meets: the sign-in page, the callbacks by which upstream providers
// send the browser back, and the pages of errors. The pages themselves are in login/page.
package login

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/login/page"
	"github.com/weir-id/weir/server/oauth"
	"github.com/weir-id/weir/server/web"
)

// Pages writes pages. It implements oauth.Pages.
type Pages struct{ Renderer *page.Renderer }

// Post makes the browser send a form to another site.
func (p Pages) Post(c echo.Context, action string, fields [][2]string) error {
	v := page.Post{Action: action}
	for _, f := range fields {
		v.Params = append(v.Params, page.Param{Name: f[0], Value: f[1]})
	}
	return write(c, page.KindPost, http.StatusOK, func(w io.Writer) error { return p.Renderer.Post(w, v) })
}

// SignedOut says that the person is signed out.
func (p Pages) SignedOut(c echo.Context) error {
	return write(c, page.KindSignedOut, http.StatusOK, func(w io.Writer) error { return p.Renderer.SignedOut(w, page.SignedOut{}) })
}

// Error shows a fault: its public sentence and the reference that leads to the log.
func (p Pages) Error(c echo.Context, status int, err error) error {
	v := page.Error{
		Problem:   problemOf(err),
		Sentence:  fault.PublicOf(err),
		Reference: web.RequestID(c.Request().Context()),
	}
	return write(c, page.KindError, status, func(w io.Writer) error { return p.Renderer.Error(w, v) })
}

func problemOf(err error) page.Problem {
	switch fault.CodeOf(err) {
	case fault.Denied:
		return page.Cancelled
	case fault.Expired:
		return page.Expired
	case fault.Unavailable, fault.Throttled, fault.UpstreamTimeout:
		return page.Busy
	case fault.Config, fault.Invalid:
		return page.Misconfigured
	case fault.NotFound:
		return page.NotFound
	default:
		return page.Failed
	}
}

// write sends a page, or nothing where it cannot be rendered, so that an error can still be answered.
func write(c echo.Context, k page.Kind, status int, render func(io.Writer) error) error {
	var b bytes.Buffer
	if err := render(&b); err != nil {
		return err
	}
	page.SetHeaders(c.Response().Header(), k)
	c.Response().WriteHeader(status)
	_, err := c.Response().Write(b.Bytes())
	return err
}

// Service serves the sign-in page and the callbacks.
type Service struct {
	Site     *web.Site
	OAuth    *oauth.Service
	Renderer *page.Renderer
}

// Login serves GET /login: one button per provider of the client and a field that finds the
// provider by the domain of an e-mail address. It takes the parameters of /oauth2/authorize and leads back there, so that it holds no state.
func (s *Service) Login(c echo.Context) error {
	origin, answered, err := s.Site.BrowserOrigin(c)
	if answered || err != nil {
		return err
	}
	params, flaw := web.Params(c)
	if params == nil {
		return flaw
	}
	email := strings.TrimSpace(params.Get(page.EmailParam))
	params.Del(page.EmailParam)
	ctx := c.Request().Context()
	a, err := s.OAuth.Parse(ctx, origin.PoolID, params, flaw)
	if err != nil {
		return err
	}
	for _, name := range []string{"identity_provider", "idp_identifier"} {
		params.Del(name) // the choice is made anew here
	}
	view := page.Chooser{ClientName: a.Client.Name}
	if email != "" {
		idp, err := s.OAuth.ByEmail(ctx, a, email)
		if err != nil {
			return err
		}
		if idp != nil {
			params.Set("login_hint", email)
			return c.Redirect(http.StatusSeeOther, authorizeURL(params, idp.Name))
		}
	}
	offered, err := s.offered(ctx, a)
	if err != nil {
		return err
	}
	for _, idp := range offered {
		view.Providers = append(view.Providers, page.Provider{Name: idp.Name, URL: authorizeURL(params, idp.Name), Brand: page.Brand(idp.Brand())})
	}
	if anyIdentifier(offered) || email != "" {
		view.Email = &page.EmailForm{Action: "/login", Params: page.Params(params), Value: email, Unknown: email != ""}
		if email == "" {
			view.Email.Value = a.Request.LoginHint
		}
	}
	status := http.StatusOK
	if email != "" {
		status = http.StatusUnprocessableEntity
	}
	return write(c, page.KindChooser, status, func(w io.Writer) error { return s.Renderer.Chooser(w, view) })
}

// offered returns the client's providers, in its order. Of one that the directory no longer has, only the name is known: its
// button stays, and leads to the page that says what is wrong.
func (s *Service) offered(ctx context.Context, a oauth.Authorization) ([]pool.IdentityProvider, error) {
	all, err := s.OAuth.Directory.Providers(ctx, a.Pool.ID)
	if err != nil {
		return nil, err
	}
	var out []pool.IdentityProvider
	for _, name := range a.Client.Providers {
		if name == pool.LocalProvider {
			continue // local accounts bring their own form
		}
		idp := pool.IdentityProvider{PoolID: a.Pool.ID, Name: name}
		if i := slices.IndexFunc(all, func(p pool.IdentityProvider) bool { return p.Name == name }); i >= 0 {
			idp = all[i]
		}
		out = append(out, idp)
	}
	return out, nil
}

// anyIdentifier reports whether an e-mail address could lead to any of the providers: otherwise the field would be a trap.
func anyIdentifier(offered []pool.IdentityProvider) bool {
	return slices.ContainsFunc(offered, func(p pool.IdentityProvider) bool { return len(p.Identifiers) > 0 })
}

func authorizeURL(params url.Values, provider string) string {
	v := url.Values{}
	for name, values := range params {
		v[name] = values
	}
	v.Set("identity_provider", provider)
	return "/oauth2/authorize?" + v.Encode()
}
