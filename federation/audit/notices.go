package audit

import "log/slog"

// ProviderNotice: a provider reported something about a person, and what follows from it was done.
type ProviderNotice struct {
	Pool, Provider, Kind string
	Sub                  string // "" where the person is not known here
	Grants               int    // that ended with it
	Deleted              bool   // the user is gone
}

// Name implements Event.
func (ProviderNotice) Name() string { return "provider.notice" }

// Attrs implements Event.
func (e ProviderNotice) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "provider", e.Provider, "kind", e.Kind, "sub", e.Sub), slog.Int("grants", e.Grants), slog.Bool("deleted", e.Deleted))
}

// ProviderNoticeRefused: a message that came where a provider's notices come to had no effect: it did not prove where it is from, or is of a sort
// that nothing is done about. Reason is the private cause.
type ProviderNoticeRefused struct{ Pool, Provider, Door, Reason, Reference string }

// Name implements Event.
func (ProviderNoticeRefused) Name() string { return "provider.notice_refused" }

// Attrs implements Event.
func (e ProviderNoticeRefused) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "provider", e.Provider, "door", e.Door, "reason", e.Reason, "reference", e.Reference)
}
