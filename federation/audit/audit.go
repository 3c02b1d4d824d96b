// Package audit is the typed stream of what happened to whom: sign-ins, tokens, sessions, keys,
// configuration. It owns the events and their field names, which outside programs
// (log pipelines) rely on; it does not own where they go.
//
// Events carry ids and never secrets, tokens, codes, assertions or attribute values.
package audit

import (
	"context"
	"log/slog"
	"time"
)

// Event is one thing that happened. Its name is stable; its attributes only grow.
type Event interface {
	Name() string
	Attrs() []slog.Attr
}

// Recorder takes events. It must not block and cannot fail a request.
type Recorder interface {
	Record(ctx context.Context, e Event)
}

// Log writes events to a logger: the message is the event's name and the attribute
// audit is true. The context's request id is added by the logger's handler.
type Log struct{ Logger *slog.Logger }

// Record implements Recorder.
func (l Log) Record(ctx context.Context, e Event) {
	attrs := append([]slog.Attr{slog.Bool("audit", true)}, e.Attrs()...)
	l.Logger.LogAttrs(ctx, slog.LevelInfo, e.Name(), attrs...) //nolint:sloglint // the names are constants of this package
}

// Recorders passes each event to all of them, in order.
type Recorders []Recorder

// Record implements Recorder.
func (rs Recorders) Record(ctx context.Context, e Event) {
	for _, r := range rs {
		r.Record(ctx, e)
	}
}

// attrs drops empty strings, so that absent facts are absent in the log.
func attrs(kv ...string) []slog.Attr {
	out := make([]slog.Attr, 0, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i+1] != "" {
			out = append(out, slog.String(kv[i], kv[i+1]))
		}
	}
	return out
}

// LoginStarted: a browser was sent to a provider.
type LoginStarted struct{ Pool, Client, Provider, Attempt string }

// Name implements Event.
func (LoginStarted) Name() string { return "login.started" }

// Attrs implements Event.
func (e LoginStarted) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "client", e.Client, "provider", e.Provider, "attempt", e.Attempt)
}

// LoginFinished: a person is signed in and an authorization code was issued.
type LoginFinished struct {
	Pool, Client, Provider, Attempt, Sub, Grant string
	Created                                     bool          // the user is new
	SSO                                         bool          // an existing session was used
	Unsolicited                                 bool          // the provider started it
	Native                                      bool          // an app brought a token of the provider; tokens were issued and no code
	Took                                        time.Duration // since LoginStarted
}

// Name implements Event.
func (LoginFinished) Name() string { return "login.finished" }

// Attrs implements Event.
func (e LoginFinished) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "client", e.Client, "provider", e.Provider, "attempt", e.Attempt, "sub", e.Sub, "grant", e.Grant),
		slog.Bool("created", e.Created), slog.Bool("sso", e.SSO), slog.Bool("unsolicited", e.Unsolicited), slog.Bool("native", e.Native),
		slog.Duration("took", e.Took))
}

// LoginFailed: a sign-in ended without a code. Reason is the private cause.
type LoginFailed struct{ Pool, Client, Provider, Attempt, Code, Reason, Reference string }

// Name implements Event.
func (LoginFailed) Name() string { return "login.failed" }

// Attrs implements Event.
func (e LoginFailed) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "client", e.Client, "provider", e.Provider, "attempt", e.Attempt,
		"code", e.Code, "reason", e.Reason, "reference", e.Reference)
}

// TokenIssued: tokens left the token endpoint.
type TokenIssued struct{ Pool, Client, Sub, Grant, GrantType string }

// Name implements Event.
func (TokenIssued) Name() string { return "token.issued" }

// Attrs implements Event.
func (e TokenIssued) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "client", e.Client, "sub", e.Sub, "grant", e.Grant, "grant_type", e.GrantType)
}

// TokenRefused: the token endpoint said no. Reason is the private cause.
type TokenRefused struct{ Pool, Client, GrantType, Error, Reason, Reference string }

// Name implements Event.
func (TokenRefused) Name() string { return "token.refused" }

// Attrs implements Event.
func (e TokenRefused) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "client", e.Client, "grant_type", e.GrantType, "error", e.Error, "reason", e.Reason, "reference", e.Reference)
}

// TokenRevoked: a refresh token and what came from it were made void by their client.
type TokenRevoked struct{ Pool, Client string }

// Name implements Event.
func (TokenRevoked) Name() string { return "token.revoked" }

// Attrs implements Event.
func (e TokenRevoked) Attrs() []slog.Attr { return attrs("pool", e.Pool, "client", e.Client) }

// SessionEnded: a person signed out of a browser session.
type SessionEnded struct {
	Pool, Client, Session string
	Provider              string // the provider that asked for it, "" where the person did
	Grants                int    // authorizations that ended with it
}

// Name implements Event.
func (SessionEnded) Name() string { return "session.ended" }

// Attrs implements Event.
func (e SessionEnded) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "client", e.Client, "provider", e.Provider, "session", e.Session), slog.Int("grants", e.Grants))
}

// LogoutFailed: the session here has ended, the provider's side of the sign-out has not been heard to. Reason is the private cause.
type LogoutFailed struct{ Pool, Provider, Reason, Reference string }

// Name implements Event.
func (LogoutFailed) Name() string { return "logout.failed" }

// Attrs implements Event.
func (e LogoutFailed) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "provider", e.Provider, "reason", e.Reason, "reference", e.Reference)
}

// MetadataChanged: a provider's metadata was renewed and differs, or could not be renewed.
type MetadataChanged struct {
	Pool, Provider, Change, Error string
}

// Name implements Event.
func (MetadataChanged) Name() string { return "provider.metadata" }

// Attrs implements Event.
func (e MetadataChanged) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "provider", e.Provider, "change", e.Change, "error", e.Error)
}

// ConfigApplied: one object of the directory was created or updated by an admin.
type ConfigApplied struct{ Action, Path, By string }

// Name implements Event.
func (ConfigApplied) Name() string { return "config.applied" }

// Attrs implements Event.
func (e ConfigApplied) Attrs() []slog.Attr {
	return attrs("action", e.Action, "path", e.Path, "by", e.By)
}

// SecretsExported: the secrets of a pool's clients and providers were written out in the clear.
type SecretsExported struct{ Pool, By string }

// Name implements Event.
func (SecretsExported) Name() string { return "secrets.exported" }

// Attrs implements Event.
func (e SecretsExported) Attrs() []slog.Attr { return attrs("pool", e.Pool, "by", e.By) }
