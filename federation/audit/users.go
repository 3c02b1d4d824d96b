package audit

import "log/slog"

// UserSignedOut: all that a user's sign-ins until now gave was ended. By says on whose word.
type UserSignedOut struct {
	Pool, Sub, By string
	Grants        int // that ended with it
}

// Name implements Event.
func (UserSignedOut) Name() string { return "user.signed_out" }

// Attrs implements Event.
func (e UserSignedOut) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "sub", e.Sub, "by", e.By), slog.Int("grants", e.Grants))
}

// UserEnabled: a user may sign in again.
type UserEnabled struct {
	Pool, Sub, By string
}

// Name implements Event.
func (UserEnabled) Name() string { return "user.enabled" }

// Attrs implements Event.
func (e UserEnabled) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "by", e.By)
}

// UserDisabled: a user may not sign in any more.
type UserDisabled struct {
	Pool, Sub, By string
	Grants        int // that ended with it
}

// Name implements Event.
func (UserDisabled) Name() string { return "user.disabled" }

// Attrs implements Event.
func (e UserDisabled) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "sub", e.Sub, "by", e.By), slog.Int("grants", e.Grants))
}

// UserDeleted: a user is gone.
type UserDeleted struct {
	Pool, Sub, By string
	Grants        int // that ended with it
}

// Name implements Event.
func (UserDeleted) Name() string { return "user.deleted" }

// Attrs implements Event.
func (e UserDeleted) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "sub", e.Sub, "by", e.By), slog.Int("grants", e.Grants))
}

// UpstreamToken: an application was given a provider's access token.
type UpstreamToken struct {
	Pool, Client, Sub, Provider string
	Refreshed                   bool // for this
}

// Name implements Event.
func (UpstreamToken) Name() string { return "upstream.token" }

// Attrs implements Event.
func (e UpstreamToken) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "client", e.Client, "sub", e.Sub, "provider", e.Provider), slog.Bool("refreshed", e.Refreshed))
}

// UpstreamTokenRefused: an application asked for a provider's access token and was given none. Reason is the private cause.
type UpstreamTokenRefused struct {
	Pool, Client, Sub, Provider, Error, Reason, Reference string
}

// Name implements Event.
func (UpstreamTokenRefused) Name() string { return "upstream.token_refused" }

// Attrs implements Event.
func (e UpstreamTokenRefused) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "client", e.Client, "sub", e.Sub, "provider", e.Provider, "error", e.Error, "reason", e.Reason, "reference", e.Reference)
}

// UpstreamNotKept: somebody signed in, and the provider's tokens could not be kept. Reason is the private cause.
type UpstreamNotKept struct {
	Pool, Sub, Provider, Reason string
}

// Name implements Event.
func (UpstreamNotKept) Name() string { return "upstream.not_kept" }

// Attrs implements Event.
func (e UpstreamNotKept) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "reason", e.Reason)
}

// UpstreamRevoked: a provider ended the tokens that it had issued.
type UpstreamRevoked struct {
	Pool, Sub, Provider string
}

// Name implements Event.
func (UpstreamRevoked) Name() string { return "upstream.revoked" }

// Attrs implements Event.
func (e UpstreamRevoked) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider)
}

// UpstreamRevokeFailed: tokens are no longer kept here, and their provider has not confirmed that it ended them. Reason is the private cause.
type UpstreamRevokeFailed struct {
	Pool, Sub, Provider, Reason string
}

// Name implements Event.
func (UpstreamRevokeFailed) Name() string { return "upstream.revoke_failed" }

// Attrs implements Event.
func (e UpstreamRevokeFailed) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "reason", e.Reason)
}
