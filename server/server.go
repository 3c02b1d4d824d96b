// Package server is the public HTTP listener and the operations listener: routes, middleware, metrics and the one
// error writer. What the routes do is in server/oauth, server/login and server/poolapi; package server knows no store and takes no decision about a login.
package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/server/login"
	"github.com/weir-id/weir/server/login/page"
	"github.com/weir-id/weir/server/oauth"
	"github.com/weir-id/weir/server/poolapi"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/web"
)

// Server holds what the public listener works with.
type Server struct {
	Site      *web.Site
	Directory *pool.Directory
	Broker    *federation.Broker
	Grants    *token.Grants
	Issuer    *token.Issuer
	Keys      *token.Keys
	SAMLKeys  *samlsp.Keys
	Audit     audit.Recorder
	Traces    *trace.Traces
	Logger    *slog.Logger
	Metrics   *Metrics
	Now       func() time.Time
	// AdminKeys may call the administrative operations of the JSON API; without one nobody may.
	AdminKeys []sigv4.Key
	// Region is the label in the ARNs of user pools.
	Region string
	// TrustedProxies are the networks whose X-Forwarded-For is believed; none by default.
	TrustedProxies []netip.Prefix
}

// Bounds of one request.
const (
	requestTime = 30 * time.Second // until its context ends, upstream calls included
	smallBody   = "64K"            // of all others: what is read stays in memory while the rest is awaited
	samlBody    = "1M"             // a SAML response of 512 KB in base64, with room
	apiBody     = "1M"             // metadata of 128 KB, an image of 128 KB in base64, with room
)

// Handler returns the public listener's handler. An error is a defect of this build.
func (s *Server) Handler() (http.Handler, error) {
	renderer, err := page.New()
	if err != nil {
		return nil, err
	}
	pages := login.Pages{Renderer: renderer}
	oa := &oauth.Service{Site: s.Site, Directory: s.Directory, Broker: s.Broker, Grants: s.Grants, Issuer: s.Issuer,
		Keys: s.Keys, Audit: s.Audit, Traces: s.Traces, Pages: pages}
	lo := &login.Service{Site: s.Site, OAuth: oa, Renderer: renderer}
	pa := &poolapi.Service{Site: s.Site, Directory: s.Directory, Broker: s.Broker, Grants: s.Grants, Issuer: s.Issuer, OAuth: oa, SAMLKeys: s.SAMLKeys,
		Signatures: &sigv4.Verifier{Keys: s.AdminKeys, Now: s.Now, Host: s.Site.Host}, Audit: s.Audit, Now: s.Now, Region: s.Region}
	if err := pa.Prepare(); err != nil {
		return nil, err
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = s.ipExtractor()
	e.HTTPErrorHandler = errorWriter{pages: pages, oauth: oa, logger: s.Logger}.write
	e.Pre(requestID)
	e.Use(s.observe, recovered, s.headers, deadline)
	s.routes(e, oa, lo, renderer)
	api := poolapi.CrossOrigin()
	e.POST(poolapi.Path, pa.Call, api, middleware.BodyLimit(apiBody))
	e.OPTIONS(poolapi.Path, pa.Call, api)
	return e, nil
}

func (s *Server) routes(e *echo.Echo, oa *oauth.Service, lo *login.Service, renderer *page.Renderer) {
	read := []string{http.MethodGet, http.MethodHead}
	both := []string{http.MethodGet, http.MethodPost}
	small, saml := middleware.BodyLimit(smallBody), middleware.BodyLimit(samlBody)

	e.Match(both, "/oauth2/authorize", oa.Authorize, small)
	e.Match(both, "/oauth2/idpresponse", lo.Callback, lo.Oversized, small)
	e.Match(both, "/oauth2/idpresponse/*", lo.Callback, lo.Oversized, small) // pool.IdentityProvider.CallbackPath
	e.POST("/saml2/idpresponse", lo.Callback, lo.Oversized, saml)
	e.Match(both, "/saml2/logout", lo.UpstreamLogout, saml)
	e.Match(read, "/saml2/metadata", lo.Describe)
	e.Match(read, "/login", lo.Login)
	e.Match(read, login.AskPath, lo.Question)
	e.POST(login.AskPath, lo.AnswerQuestion, small)
	e.Match(both, "/logout", oa.Logout, small)
	e.Match(read, page.AssetPrefix+"*", echo.WrapHandler(renderer.Assets()))
	e.POST("/oauth2/notices/:pool/:provider/:door", lo.Notice, small) // pool.IdentityProvider.NoticesPath
	e.Match(read, "/oauth2/notices/:pool/:provider/deletion", lo.Deletion)
	e.POST("/oauth2/introspect", oa.Introspect, small)
	e.GET("/oauth2/upstreamToken", oa.UpstreamToken)

	// What browsers' scripts of other origins may call: no cookie is read at any of these.
	open := crossOrigin()
	for path, h := range map[string]echo.HandlerFunc{
		"/:pool/.well-known/openid-configuration":       oa.Discovery,
		"/.well-known/oauth-authorization-server/:pool": oa.Discovery, // RFC 8414 section 3.1
		"/:pool/.well-known/oauth-authorization-server": oa.Discovery, // where Nimbus looks for it
		"/:pool/.well-known/jwks.json":                  oa.JWKS,
	} {
		e.Match(read, path, h, open)
		e.OPTIONS(path, h, open)
	}
	for path, h := range map[string]echo.HandlerFunc{"/oauth2/token": oa.Token, "/oauth2/revoke": oa.Revoke} {
		e.POST(path, h, open, small)
		e.OPTIONS(path, h, open)
	}
	e.Match(both, "/oauth2/userInfo", oa.UserInfo, open, small)
	e.OPTIONS("/oauth2/userInfo", oa.UserInfo, open)
}

func crossOrigin() echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: []string{"*"},
		AllowMethods: []string{http.MethodGet, http.MethodPost, http.MethodOptions},
		// The headers that the script asks for are allowed: SDKs and tracing add their own, and none has a meaning here.
		ExposeHeaders: []string{echo.HeaderWWWAuthenticate, echo.HeaderXRequestID},
		MaxAge:        600,
	})
}

func (s *Server) ipExtractor() echo.IPExtractor {
	if len(s.TrustedProxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, n := range s.TrustedProxies {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: n.Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), n.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// Ready reports whether the process can serve; its error says why not.
type Ready func(ctx context.Context) error

// Operations returns the handler of the operations listener: /livez, /readyz, /metrics.
func (s *Server) Operations(ready Ready) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := ready(ctx); err != nil {
			s.Logger.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.String("error", err.Error()))
			answer(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", s.Metrics.Handler())
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a probe that went away needs no answer
}
