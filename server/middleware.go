package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/server/poolapi"
	"github.com/weir-id/weir/server/web"
)

// requestID gives every request an id of ours: it is the reference on error pages and stands on
// every log line. One that a client sends is not taken over, so that nobody can write into our log.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := newReference()
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		c.SetRequest(c.Request().WithContext(web.WithRequestID(c.Request().Context(), id)))
		return next(c)
	}
}

// newReference is 16 characters of 26 in groups of four, easy to read out: 75 random bits.
func newReference() string {
	t := rand.Text() // base32, 26 characters of 128 bits
	return strings.Join([]string{t[0:4], t[4:8], t[8:12], t[12:16]}, "-")
}

// observe logs and counts each request. Queries are left out: they carry codes and states.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		took := s.Now().Sub(start)
		route := c.Path()
		if route == "" {
			route = "unrouted"
		}
		if op := poolapi.OperationOf(c); op != "" {
			route += op
		}
		s.Metrics.request(c.Request().Method, route, c.Response().Status, took)
		s.Logger.LogAttrs(c.Request().Context(), slog.LevelInfo, "request",
			slog.String("method", web.Clip(c.Request().Method)), slog.String("host", web.Clip(c.Request().Host)), slog.String("route", route),
			slog.Int("status", c.Response().Status), slog.Int64("bytes", c.Response().Size),
			slog.String("remote", c.RealIP()), slog.Duration("took", took))
		return nil
	}
}

// recovered turns a panic into an Internal error with its stack in the log.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
					panic(p)
				}
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// headers are those of every answer; pages add their own (login/page), and what may be cached says so itself.
func (s *Server) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderCacheControl, "no-store")
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
		h.Set(echo.HeaderReferrerPolicy, "no-referrer")
		if s.Site.Secure() {
			h.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000; includeSubDomains")
		}
		if c.Request().URL.Path == poolapi.Path { // SDKs report it, of answers that are no operation's too
			h.Set(poolapi.RequestIDHeader, web.RequestID(c.Request().Context()))
		}
		return next(c)
	}
}

// deadline ends a request's context, so that no upstream can hold it for longer.
func deadline(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), requestTime)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// LogHandler adds the request id of a record's context to the record.
type LogHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h LogHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := web.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return LogHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h LogHandler) WithGroup(name string) slog.Handler { return LogHandler{h.Handler.WithGroup(name)} }

// HTTP returns a server with the time limits of a public listener: slow clients are cut off, answers to fast ones are not.
func HTTP(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      requestTime + 15*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
