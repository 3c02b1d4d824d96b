package login

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/login/page"
	"github.com/weir-id/weir/server/web"
)

// Notice serves POST /oauth2/notices/<pool>/<provider>/<door>, where providers report what happens to people's accounts. Its answers
// are for programs. A provider sends again what was not answered by 200: that is what an outage of the store or of the provider's keys has to lead
// to, and what a notice of an unknown sort must not.
func (s *Service) Notice(c echo.Context) error {
	idp, origin, err := s.noticed(c)
	if err != nil {
		return noticeError(err)
	}
	r, err := notice(c.Request())
	if err != nil {
		return noticeError(err)
	}
	ctx, door := c.Request().Context(), param(c, "door")
	out, err := s.OAuth.Broker.Notice(ctx, idp, door, r)
	unknown := errors.Is(err, federation.ErrNoticeUnknown)
	if unknown || fault.CodeOf(err) == fault.Invalid {
		s.OAuth.Audit.Record(ctx, audit.ProviderNoticeRefused{
			Pool: idp.PoolID, Provider: idp.Name, Door: web.Clip(door), Reason: err.Error(), Reference: web.RequestID(ctx),
		})
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	switch {
	case unknown:
		return c.NoContent(http.StatusOK)
	case err != nil:
		return noticeError(err)
	case out.Code.IsZero():
		return c.NoContent(http.StatusOK)
	}
	code := out.Code.Reveal()
	return c.JSON(http.StatusOK, confirmation{URL: origin.URL + idp.NoticesPath() + "/deletion?code=" + url.QueryEscape(code), Code: code})
}

// confirmation is the answer to a request for deletion, in the form that Facebook documents (Data Deletion Request Callback).
type confirmation struct {
	URL  string `json:"url"`
	Code string `json:"confirmation_code"`
}

// Deletion serves GET /oauth2/notices/<pool>/<provider>/deletion, where a person sees what became of their request. The code is all that
// leads there, and nothing of the person is shown.
func (s *Service) Deletion(c echo.Context) error {
	idp, _, err := s.noticed(c)
	if err != nil {
		return err
	}
	d, err := s.OAuth.Broker.Deletion(c.Request().Context(), idp.PoolID, idp.Name, secret.New(c.QueryParam("code")))
	if err != nil {
		return err
	}
	v := page.Deletion{Asked: d.Asked, Done: d.Done}
	return write(c, page.KindDeletion, http.StatusOK, func(w io.Writer) error { return s.Renderer.Deletion(w, v) })
}

// noticed returns the provider that the address names. On a pool's own host only its own are there. Every error is the same fault.NotFound,
// so that nobody finds out which pools and providers there are, or an outage.
func (s *Service) noticed(c echo.Context) (pool.IdentityProvider, web.Origin, error) {
	origin, err := s.Site.OriginOrBase(c)
	if err != nil {
		return pool.IdentityProvider{}, origin, err
	}
	poolID := param(c, "pool")
	if origin.PoolID != "" && origin.PoolID != poolID {
		return pool.IdentityProvider{}, origin, nothingHere(errors.New("a notice for another pool than the host's"))
	}
	idp, err := s.OAuth.Directory.Provider(c.Request().Context(), poolID, param(c, "provider"))
	if fault.CodeOf(err) == fault.NotFound {
		err = nothingHere(err)
	}
	return idp, origin, err
}

func nothingHere(cause error) error {
	return fault.New(fault.NotFound, "There is nothing at this address.", cause)
}

// param is a part of the path. The router leaves it escaped where the path has escapes that matter.
func param(c echo.Context, name string) string {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v
	}
	plain, err := url.PathUnescape(v)
	if err != nil {
		return ""
	}
	return plain
}

// notice is a request as a provider's notice: the bytes as sent, and the form that they are where the content type says so. None is demanded.
func notice(r *http.Request) (federation.Response, error) {
	out := federation.Response{Method: r.Method, RawQuery: r.URL.RawQuery, Query: r.URL.Query()}
	var err error
	if out.Body, err = io.ReadAll(r.Body); err != nil {
		if he := (*echo.HTTPError)(nil); errors.As(err, &he) && he.Code == http.StatusRequestEntityTooLarge { // the length was not announced
			return out, fault.New(fault.TooLarge, "The request is too large.", err)
		}
		return out, fault.New(fault.Invalid, "The request could not be read.", err)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err == nil && kind == echo.MIMEApplicationForm {
		if out.Form, err = url.ParseQuery(string(out.Body)); err != nil {
			return out, fault.New(fault.Invalid, "The request's form is not well-formed.", err)
		}
	}
	return out, nil
}

// noticeError is the answer to a notice of which nothing came.
func noticeError(err error) error {
	if errors.Is(err, federation.ErrNoNotices) {
		err = nothingHere(err)
	}
	switch fault.CodeOf(err) {
	case fault.Invalid:
		return &web.OAuthError{Status: http.StatusBadRequest, Code: "invalid_request", Err: err}
	case fault.TooLarge:
		return &web.OAuthError{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Err: err}
	case fault.NotFound:
		return &web.OAuthError{Status: http.StatusNotFound, Code: "not_found", Err: err}
	case fault.Unavailable, fault.Upstream, fault.UpstreamTimeout, fault.Throttled:
		return &web.OAuthError{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Err: err}
	}
	return &web.OAuthError{Status: http.StatusInternalServerError, Code: "server_error", Err: err}
}
