// Package oauth is the authorization server that applications meet: authorize, token, userInfo, revoke, introspect,
// logout, discovery and JWKS (RFC 6749, 6750, 7009, 7636, 7662, 8414, 9207; OpenID Connect Core,
// Discovery and RP-Initiated Logout).
//
// It checks what applications ask and writes what they get. Who a person is, is decided in federation; the
// pages and the upstream callbacks are in server/login; errors are returned, and written by package server.
package oauth

import (
	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/server/web"
)

// Service holds what the endpoints work with.
type Service struct {
	Site      *web.Site
	Directory *pool.Directory
	Broker    *federation.Broker
	Grants    *token.Grants
	Issuer    *token.Issuer
	Keys      *token.Keys
	Audit     audit.Recorder
	Traces    *trace.Traces
	// Pages answer a browser where a redirect will not do. Implemented by server/login.
	Pages Pages
}

// Pages are the answers to a browser that are more than a redirect.
type Pages interface {
	// Post makes the browser send a form to another site.
	Post(c echo.Context, action string, fields [][2]string) error
	// SignedOut says that the person is signed out.
	SignedOut(c echo.Context) error
}
