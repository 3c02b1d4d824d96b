package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/server/login"
	"github.com/weir-id/weir/server/oauth"
	"github.com/weir-id/weir/server/poolapi"
	"github.com/weir-id/weir/server/web"
)

// errorWriter is the only place that turns an error into an answer. The public text of a fault
// goes out with the request's id as its reference; everything else goes to the log.
type errorWriter struct {
	pages  login.Pages
	oauth  *oauth.Service
	logger *slog.Logger
}

func (w errorWriter) write(err error, c echo.Context) {
	if c.Response().Committed {
		w.log(c, err, c.Response().Status)
		return
	}
	var re *web.RedirectError
	var oe *web.OAuthError
	switch {
	case poolapi.Asked(c):
		p := poolapi.ProblemOf(err)
		w.log(c, err, p.Status)
		err = p.Write(c)
	case errors.As(err, &re):
		w.log(c, err, http.StatusFound)
		err = w.redirect(c, re)
	case errors.As(err, &oe):
		err = w.oauthError(c, oe)
	default:
		err = w.other(c, err)
	}
	if err == nil {
		return
	}
	if c.Response().Committed { // the browser went away
		w.log(c, err, c.Response().Status)
		return
	}
	if err := w.other(c, err); err != nil { // the answer to the application could not be made
		w.log(c, err, http.StatusInternalServerError)
	}
}

// redirect tells the application (RFC 6749 section 4.1.2.1).
func (w errorWriter) redirect(c echo.Context, e *web.RedirectError) error {
	return w.oauth.Answer(c, e.Request, [][2]string{{"error", e.ErrorCode()}, {"error_description", w.describe(c, e.Err)}}, e.Issuer)
}

// describe is the public sentence with the reference, in the characters that error_description may
// have: printable ASCII without quote and backslash (RFC 6749 section 4.1.2.1).
func (w errorWriter) describe(c echo.Context, err error) string {
	text := fault.PublicOf(err) + " (reference " + web.RequestID(c.Request().Context()) + ")"
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, text)
}

type oauthErrorBody struct {
	Error       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
}

func (w errorWriter) oauthError(c echo.Context, e *web.OAuthError) error {
	status := e.Status
	switch {
	case status != 0:
	case fault.CodeOf(e.Err) == fault.TooLarge:
		status = http.StatusRequestEntityTooLarge
	default:
		status = http.StatusBadRequest
	}
	w.log(c, e, status)
	body := oauthErrorBody{Error: e.Code}
	if e.Err != nil {
		body.Description = w.describe(c, e.Err)
	}
	h := c.Response().Header()
	if e.Challenge != "" {
		value := e.Challenge + ` realm="weir"`
		if e.Code != "" && e.Challenge == "Bearer" {
			value += `, error="` + e.Code + `", error_description="` + body.Description + `"`
		}
		h.Set(echo.HeaderWWWAuthenticate, value)
	}
	if status == http.StatusServiceUnavailable {
		h.Set(echo.HeaderRetryAfter, "1")
	}
	return c.JSON(status, body)
}

var statuses = map[fault.Code]int{
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Denied:          http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Expired:         http.StatusBadRequest,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.Throttled:       http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Upstream:        http.StatusBadGateway,
	fault.UpstreamTimeout: http.StatusGatewayTimeout,
	fault.LoginRequired:   http.StatusForbidden,
}

// other writes a page to browsers and JSON to programs.
func (w errorWriter) other(c echo.Context, err error) error {
	err = routed(err)
	status, ok := statuses[fault.CodeOf(err)]
	if !ok {
		status = http.StatusInternalServerError
	}
	if he := (*echo.HTTPError)(nil); errors.As(err, &he) {
		status = he.Code
	}
	w.log(c, err, status)
	if status == http.StatusServiceUnavailable {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
	}
	if c.Request().Method == http.MethodHead {
		return c.NoContent(status)
	}
	if browser(c) {
		return w.pages.Error(c, status, err)
	}
	return c.JSON(status, oauthErrorBody{Error: fault.CodeOf(err).String(), Description: w.describe(c, err)})
}

// browserPaths are the addresses that people's browsers are sent to: their errors are pages, whatever Accept says.
var browserPaths = []string{"/oauth2/authorize", "/oauth2/idpresponse", "/saml2/", "/login", "/logout"}

func browser(c echo.Context) bool {
	for _, p := range browserPaths {
		if strings.HasPrefix(c.Request().URL.Path, p) {
			return true
		}
	}
	if strings.HasPrefix(c.Request().URL.Path, "/oauth2/notices/") && c.Request().Method != http.MethodPost {
		return true // people look there for what became of a request for deletion; what providers post is answered by JSON
	}
	return strings.Contains(c.Request().Header.Get(echo.HeaderAccept), echo.MIMETextHTML)
}

// routed gives echo's own errors (no such route, wrong method, body too large, a bad parameter) a fault with a sentence of ours.
func routed(err error) error {
	var he *echo.HTTPError
	if !errors.As(err, &he) {
		return err
	}
	switch he.Code {
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "There is nothing at this address.", err)
	case http.StatusMethodNotAllowed:
		return fault.New(fault.Invalid, "This address does not take that method.", err)
	case http.StatusRequestEntityTooLarge:
		return fault.New(fault.TooLarge, "The request is too large.", err)
	}
	return fault.New(fault.Internal, "", err)
}

func (w errorWriter) log(c echo.Context, err error, status int) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if errors.Is(err, context.Canceled) {
		level = slog.LevelInfo // the client went away
	}
	w.logger.LogAttrs(c.Request().Context(), level, "request failed",
		slog.String("path", c.Path()+poolapi.OperationOf(c)), slog.Int("status", status),
		slog.String("code", fault.CodeOf(err).String()), slog.String("error", err.Error()))
}
