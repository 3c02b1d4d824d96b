package audit

import "log/slog"

// AssertionNotKept: an assertion that the provider's configuration has kept was not. The sign-in went on all the same.
type AssertionNotKept struct {
	Pool, Provider, Sub string
	Reason              string
}

// Name implements Event.
func (AssertionNotKept) Name() string { return "assertion.not_kept" }

// Attrs implements Event.
func (e AssertionNotKept) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "provider", e.Provider, "sub", e.Sub, "reason", e.Reason)
}
