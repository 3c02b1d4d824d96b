package oauth

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/server/web"
)

// SignInFailed records, in the audit stream and as a trace, that a sign-in ends without a code, and returns err, which is on its way to the writer of
// errors. a is what is known of the attempt: one that was opened, or is being made, has its start.
func (s *Service) SignInFailed(c echo.Context, a federation.Attempt, err error) error {
	ctx := c.Request().Context()
	s.Audit.Record(ctx, audit.LoginFailed{Pool: a.PoolID, Client: a.Request.ClientID, Provider: a.Provider, Attempt: a.ID,
		Code: fault.CodeOf(err).String(), Reason: err.Error(), Reference: web.RequestID(ctx)})
	shown := trace.Shown{Where: trace.OnPage}
	cause := err
	if re := (*web.RedirectError)(nil); errors.As(err, &re) {
		shown = trace.Shown{Where: trace.AtClient, Error: re.ErrorCode()}
		cause = re.Err
	}
	s.trace(c, trace.Failure{
		Trace: trace.Trace{Kind: trace.SignIn, Began: a.Started, Pool: a.PoolID, Client: a.Request.ClientID, Provider: a.Provider, Attempt: a.ID, Shown: shown},
		Err:   cause, Ours: !a.Started.IsZero(),
	})
	return err
}

// nativeFailed records, as SignInFailed does, that an app's sign-in with a provider's token ends without tokens. A client without a secret can be anybody.
func (s *Service) nativeFailed(c echo.Context, client pool.Client, provider string, err *web.OAuthError) {
	ctx := c.Request().Context()
	provider = web.Clip(provider)
	s.Audit.Record(ctx, audit.LoginFailed{Pool: client.PoolID, Client: client.ID, Provider: provider,
		Code: fault.CodeOf(err).String(), Reason: err.Error(), Reference: web.RequestID(ctx)})
	s.trace(c, trace.Failure{
		Trace: trace.Trace{Kind: trace.SignIn, Pool: client.PoolID, Client: client.ID, Provider: provider,
			Shown: trace.Shown{Where: trace.AtClient, Error: err.Code}},
		Err: err.Err, Ours: client.Confidential(),
	})
}

// SignOutFailure says of a failed sign-out what the error does not.
type SignOutFailure struct {
	PoolID, Provider string
	// Ours: a session or a sign-out of ours was part of it. The other case is a message of a provider, which anybody can write.
	Ours bool
	// Refused: the person is shown the error. Otherwise they go on and see nothing of it.
	Refused bool
}

// SignOutFailed records that a provider's side of a sign-out failed.
func (s *Service) SignOutFailed(c echo.Context, f SignOutFailure, err error) {
	ctx := c.Request().Context()
	s.Audit.Record(ctx, audit.LogoutFailed{Pool: f.PoolID, Provider: f.Provider, Reason: err.Error(), Reference: web.RequestID(ctx)})
	shown := trace.Shown{Where: trace.Onward}
	if f.Refused {
		shown.Where = trace.OnPage
	}
	s.trace(c, trace.Failure{
		Trace: trace.Trace{Kind: trace.SignOut, Pool: f.PoolID, Provider: f.Provider, Shown: shown}, Err: err, Ours: f.Ours,
	})
}

// SignedIn gives a sign-in that a provider has just proven to the browser, and keeps a trace of it. One from a session has none: nothing was
// proven anew, and the audit stream has it.
func (s *Service) SignedIn(c echo.Context, l federation.Login, poolID, provider string) error {
	if err := s.Deliver(c, l, poolID); err != nil {
		return err
	}
	s.finished(c, trace.Trace{Began: l.Attempt.Started, Pool: poolID, Client: l.Request.ClientID, Provider: provider, Attempt: l.Attempt.ID, Grant: l.Grant.ID})
	return nil
}

// nativeSignedIn keeps a trace of an app's sign-in with a provider's token.
func (s *Service) nativeSignedIn(c echo.Context, client pool.Client, provider string) {
	s.finished(c, trace.Trace{Pool: client.PoolID, Client: client.ID, Provider: provider})
}

func (s *Service) finished(c echo.Context, t trace.Trace) {
	t.Kind, t.Shown = trace.SignIn, trace.Shown{Where: trace.AtClient}
	s.request(c, &t)
	s.Traces.Finished(c.Request().Context(), t)
}

// trace adds what the request says.
func (s *Service) trace(c echo.Context, f trace.Failure) {
	f.Address = c.RealIP()
	s.request(c, &f.Trace)
	s.Traces.Record(c.Request().Context(), f)
}

func (s *Service) request(c echo.Context, t *trace.Trace) {
	r := c.Request()
	t.Reference, t.Method, t.Path = web.RequestID(r.Context()), web.Clip(r.Method), web.Clip(r.URL.Path)
	if t.Pool != "" && t.Provider != "" {
		// Out of the directory's cache. A provider that is gone has no type any more.
		if idp, err := s.Directory.Provider(r.Context(), t.Pool, t.Provider); err == nil {
			t.ProviderType = idp.Type
		}
	}
}
