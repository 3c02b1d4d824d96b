package audit

import "log/slog"

// AdminChange: an administrator changed something through the API.
type AdminChange struct {
	Operation string // of the API model
	By        string // the administrator's key
	Pool      string
	Notes     [][2]string // what was changed, by name and id: client, provider, group, sub, …
}

// Name implements Event.
func (AdminChange) Name() string { return "admin.change" }

// Attrs implements Event.
func (e AdminChange) Attrs() []slog.Attr {
	out := attrs("operation", e.Operation, "by", e.By, "pool", e.Pool)
	for _, n := range e.Notes {
		out = append(out, slog.String(n[0], n[1]))
	}
	return out
}

// APIRefused: somebody called an administrator's operation who did not prove to be one, or to be one who may. Reason is the private cause.
type APIRefused struct{ Operation, By, Reason, Reference string }

// Name implements Event.
func (APIRefused) Name() string { return "api.refused" }

// Attrs implements Event.
func (e APIRefused) Attrs() []slog.Attr {
	return attrs("operation", e.Operation, "by", e.By, "reason", e.Reason, "reference", e.Reference)
}
